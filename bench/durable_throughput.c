/* Many records at once: a burst, single puts by many threads, and a long load to the very end. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/durable_samples.h"
#include "bench/durable_sections.h"
#include "bench/durable_sqlite.h"
#include "bench/harness.h"
#include "stress/verdict.h"

#define BURST_QUEUE_BYTES (UINT64_C(512) * 1024 * 1024)
#define BURST_THREADS_MAX 2
#define MANY_THREADS 64
#define SUSTAINED_BATCH 10000
#define MILLION 1000000

/* Records a second of each round. */
struct rates {
    double written[DURABLE_ROUNDS_MAX];
    double with_close[DURABLE_ROUNDS_MAX]; /* to the end of close */
};

/* What SQLite did best in the burst; until then, what has been best before. */
static struct {
    enum durable_shape shape;
    uint64_t transaction;
} best = {DURABLE_ROWID, 10000};

struct timing {
    uint64_t written_ns; /* until the last record was acknowledged */
    uint64_t closed_ns;  /* from then until close returned */
};

static double per_s(uint64_t records, uint64_t ns)
{
    return ns == 0 ? 0 : (double)records * (double)DSQ_NS_PER_S / (double)ns;
}

static void rates_set(struct rates *rates, uint64_t round, uint64_t records,
                      const struct timing *timing)
{
    rates->written[round] = per_s(records, timing->written_ns);
    rates->with_close[round] = per_s(records, timing->written_ns + timing->closed_ns);
}

/* A line of the table, and two figures; sorts the rates. */
static void rates_report(struct rates *rates, const char *store, const char *workload,
                         unsigned threads, uint64_t batch,
                         const struct durable_parameters *parameters)
{
    char closed[64];
    char name[64];
    struct bench_report *report = parameters->report;
    snprintf(name, sizeof name, "%s, batches of %" PRIu64, store, batch);
    printf("%-40s %7u %12.0f %11.0f\n", name, threads,
           bench_median(rates->written, parameters->rounds),
           bench_median(rates->with_close, parameters->rounds));
    fflush(stdout);
    bench_report_figure_of(report, "store", name, workload, threads);
    bench_report_rates(report, rates->written, parameters->rounds);
    snprintf(closed, sizeof closed, "%s, to the end of close", workload);
    bench_report_figure_of(report, "store", name, closed, threads);
    bench_report_rates(report, rates->with_close, parameters->rounds);
}

static const char *peer_name(enum durable_shape shape)
{
    return shape == DURABLE_ROWID ? "SQLite, rowid" : "SQLite, without rowid";
}

static void close_timed(dsq_db *db, struct timing *timing)
{
    uint64_t before = dsq_now_ns();
    durable_require(db, "dsq_flush", dsq_flush(db, -1));
    durable_close(db);
    timing->closed_ns = dsq_now_ns() - before;
}

struct burst_writer {
    dsq_db *db;
    uint64_t seed;
    struct durable_span span;
    uint64_t batch;
};

static void burst_write(void *context)
{
    const struct burst_writer *writer = context;
    durable_write(writer->db, writer->seed, writer->span, writer->batch);
}

static void burst_ours(const struct durable_parameters *parameters, unsigned threads,
                       uint64_t batch, struct timing *timing)
{
    struct burst_writer writers[BURST_THREADS_MAX];
    char path[PATH_MAX];
    durable_path(parameters, "burst", path);
    dsq_db *db = durable_open(path, BURST_QUEUE_BYTES, DSQ_UNBOUNDED);
    for (unsigned i = 0; i < threads; i++) {
        struct durable_span span = {parameters->records * i / threads,
                                    parameters->records * (i + 1) / threads};
        writers[i] = (struct burst_writer){db, parameters->seed, span, batch};
    }
    timing->written_ns = bench_run_threads(threads, burst_write, writers, sizeof writers[0]);
    close_timed(db, timing);
    durable_check(path, parameters->seed, parameters->records, parameters->records);
    durable_remove(path);
}

static int compare_keys(const void *left, const void *right)
{
    return memcmp(((const struct durable_record *)left)->key,
                  ((const struct durable_record *)right)->key, DURABLE_KEY_BYTES);
}

/* The time of one transaction with the records from first on; they are made and sorted before it. */
static uint64_t peer_transaction(struct durable_sqlite *peer, uint64_t seed,
                                 struct durable_span span, struct durable_record *records)
{
    size_t count = (size_t)(span.end - span.first);
    for (size_t i = 0; i < count; i++) {
        durable_record_make(seed, span.first + i, &records[i]);
    }
    qsort(records, count, sizeof *records, compare_keys);
    uint64_t before = dsq_now_ns();
    durable_sqlite_put_all(peer, records, count);
    return dsq_now_ns() - before;
}

/*
 * Writes `count` records in transactions.  million_ns, unless NULL: when each million was complete, and
 * at last all.
 */
static void peer_load(const struct durable_parameters *parameters, enum durable_shape shape,
                      uint64_t transaction, uint64_t count, struct timing *timing,
                      uint64_t *million_ns)
{
    char path[PATH_MAX];
    struct durable_record *records = calloc(transaction, sizeof *records);
    if (records == NULL) {
        abort();
    }
    durable_path(parameters, "sqlite", path);
    struct durable_sqlite *peer = durable_sqlite_open(path, shape, parameters->cache_size);
    timing->written_ns = 0;
    for (uint64_t i = 0; i < count; i += transaction) {
        struct durable_span span = {i, count - i < transaction ? count : i + transaction};
        timing->written_ns += peer_transaction(peer, parameters->seed, span, records);
        if (million_ns != NULL) {
            million_ns[(span.end - 1) / MILLION] = timing->written_ns;
        }
    }
    uint64_t before = dsq_now_ns();
    durable_sqlite_close(peer);
    timing->closed_ns = dsq_now_ns() - before;
    if (durable_sqlite_count(path) != count) {
        stress_violation("SQLite has not kept %" PRIu64 " records", count);
    }
    durable_remove(path);
    free(records);
}

/* Those of the burst; without threads, SQLite. */
static const struct contender {
    unsigned threads;
    enum durable_shape shape;
    uint64_t batch;
} contenders[] = {
    {1, DURABLE_SHAPES, 10000}, {2, DURABLE_SHAPES, 1000},        {0, DURABLE_ROWID, 1000},
    {0, DURABLE_ROWID, 10000},  {0, DURABLE_WITHOUT_ROWID, 1000}, {0, DURABLE_WITHOUT_ROWID, 10000},
};

#define CONTENDERS (sizeof contenders / sizeof contenders[0])

static void contender_run(const struct contender *contender,
                          const struct durable_parameters *parameters, struct timing *timing)
{
    if (contender->threads > 0) {
        burst_ours(parameters, contender->threads, contender->batch, timing);
    } else {
        peer_load(parameters, contender->shape, contender->batch, parameters->records, timing,
                  NULL);
    }
}

/* The medians of ours beside SQLite's best, which is noted. */
static void print_beside_best(struct rates *rates, uint64_t rounds)
{
    size_t best_index = CONTENDERS - 1;
    for (size_t i = 0; i < CONTENDERS; i++) {
        if (contenders[i].threads == 0 && bench_median(rates[i].written, rounds) >
                                              bench_median(rates[best_index].written, rounds)) {
            best_index = i;
        }
    }
    best.shape = contenders[best_index].shape;
    best.transaction = contenders[best_index].batch;
    for (size_t i = 0; i < CONTENDERS && contenders[i].threads > 0; i++) {
        printf("%u thread%s: x%.2f of SQLite's best (%s, transactions of %" PRIu64
               "), with close x%.2f\n",
               contenders[i].threads, contenders[i].threads == 1 ? "" : "s",
               bench_median(rates[i].written, rounds) /
                   bench_median(rates[best_index].written, rounds),
               durable_shape_name(best.shape), best.transaction,
               bench_median(rates[i].with_close, rounds) /
                   bench_median(rates[best_index].with_close, rounds));
    }
}

void durable_burst(const struct durable_parameters *parameters)
{
    static struct rates rates[CONTENDERS];
    printf("\nburst: %" PRIu64
           " new records; dictsqlite with hot_capacity unbounded, queue_bytes %" PRIu64
           "; SQLite's are made and sorted off the clock\n",
           parameters->records, BURST_QUEUE_BYTES);
    printf("%-40s %7s %12s %11s\n", "records a second", "threads", "written", "with close");
    for (uint64_t round = 0; round < parameters->rounds; round++) {
        for (size_t i = 0; i < CONTENDERS; i++) {
            struct timing timing;
            contender_run(&contenders[i], parameters, &timing);
            rates_set(&rates[i], round, parameters->records, &timing);
        }
    }
    for (size_t i = 0; i < CONTENDERS; i++) {
        bool is_ours = contenders[i].threads > 0;
        rates_report(&rates[i], is_ours ? "dictsqlite" : peer_name(contenders[i].shape),
                     "burst of new records", is_ours ? contenders[i].threads : 1,
                     contenders[i].batch, parameters);
    }
    print_beside_best(rates, parameters->rounds);
}

struct many_writer {
    dsq_db *db;
    uint64_t seed;
    struct durable_span span;
    struct durable_samples samples;
};

static void many_write(void *context)
{
    struct many_writer *writer = context;
    struct durable_record record;
    for (uint64_t i = writer->span.first; i < writer->span.end; i++) {
        durable_record_make(writer->seed, i, &record);
        uint64_t before = dsq_now_ns();
        durable_put(writer->db, &record);
        durable_samples_add(&writer->samples, dsq_now_ns() - before);
    }
}

/* One round; returns puts a second. */
static double many_round(const struct durable_parameters *parameters,
                         struct durable_samples *samples, uint64_t *commits)
{
    static struct many_writer writers[MANY_THREADS];
    struct dsq_stats stats;
    char path[PATH_MAX];
    uint64_t count = parameters->puts * MANY_THREADS;
    durable_path(parameters, "many", path);
    dsq_db *db = durable_open(path, 0, 0);
    for (unsigned i = 0; i < MANY_THREADS; i++) {
        struct durable_span span = {parameters->puts * i, parameters->puts * (i + 1)};
        writers[i] = (struct many_writer){.db = db, .seed = parameters->seed, .span = span};
    }
    uint64_t ns = bench_run_threads(MANY_THREADS, many_write, writers, sizeof writers[0]);
    for (unsigned i = 0; i < MANY_THREADS; i++) {
        durable_samples_merge(samples, &writers[i].samples);
        durable_samples_free(&writers[i].samples);
    }
    dsq_stats(db, &stats);
    *commits += stats.commits;
    durable_close(db);
    durable_check(path, parameters->seed, count, count);
    durable_remove(path);
    return per_s(count, ns);
}

void durable_many(const struct durable_parameters *parameters)
{
    struct durable_samples samples = {.ns = NULL};
    double per_second[DURABLE_ROUNDS_MAX];
    uint64_t commits = 0;
    for (uint64_t round = 0; round < parameters->rounds; round++) {
        per_second[round] = many_round(parameters, &samples, &commits);
    }
    printf("\nmany: durable puts one by one from %d threads, %" PRIu64 " each\n", MANY_THREADS,
           parameters->puts);
    printf("%-40s %s\n", "", DURABLE_SAMPLES_COLUMNS);
    bench_report_figure_of(parameters->report, "store", "dictsqlite", "durable puts one by one",
                           MANY_THREADS);
    durable_samples_report(&samples, samples.count, parameters->report);
    /* What the threads did together, in place of what one of them did. */
    bench_report_rates(parameters->report, per_second, parameters->rounds);
    durable_samples_print("dictsqlite", &samples);
    printf("%.0f puts/s, %.1f puts a commit\n", bench_median(per_second, parameters->rounds),
           (double)samples.count / (double)(commits > 0 ? commits : 1));
    durable_samples_free(&samples);
}

/* As peer_load. */
static void sustained_ours(const struct durable_parameters *parameters, struct timing *timing,
                           uint64_t *million_ns)
{
    char path[PATH_MAX];
    durable_path(parameters, "sustained", path);
    dsq_db *db = durable_open(path, 0, 0);
    uint64_t began = dsq_now_ns();
    for (uint64_t i = 0; i < parameters->sustained; i += MILLION) {
        uint64_t left = parameters->sustained - i;
        struct durable_span span = {i, left < MILLION ? i + left : i + MILLION};
        durable_write(db, parameters->seed, span, SUSTAINED_BATCH);
        million_ns[i / MILLION] = dsq_now_ns() - began;
    }
    timing->written_ns = dsq_now_ns() - began;
    close_timed(db, timing);
    durable_check(path, parameters->seed, parameters->sustained, parameters->sustained);
    durable_remove(path);
}

static void print_millions(uint64_t count, const uint64_t *ours_ns, const uint64_t *peer_ns)
{
    printf("%-12s %14s %14s\n", "million", "dictsqlite/s", "SQLite/s");
    for (uint64_t i = 0; i * MILLION < count; i++) {
        uint64_t left = count - i * MILLION;
        uint64_t records = left < MILLION ? left : MILLION;
        uint64_t ours = ours_ns[i] - (i > 0 ? ours_ns[i - 1] : 0);
        uint64_t peer = peer_ns[i] - (i > 0 ? peer_ns[i - 1] : 0);
        printf("%-12" PRIu64 " %14.0f %14.0f\n", i + 1, per_s(records, ours), per_s(records, peer));
    }
}

void durable_sustained(const struct durable_parameters *parameters)
{
    static struct rates ours;
    static struct rates peer;
    struct timing timing;
    size_t millions = (size_t)(parameters->sustained / MILLION + 1);
    uint64_t *ours_ns = calloc(millions, sizeof *ours_ns);
    uint64_t *peer_ns = calloc(millions, sizeof *peer_ns);
    if (ours_ns == NULL || peer_ns == NULL) {
        abort();
    }
    printf("\nsustained: %" PRIu64 " new records by one thread, to the end of close\n",
           parameters->sustained);
    fflush(stdout);
    for (uint64_t round = 0; round < parameters->rounds; round++) {
        sustained_ours(parameters, &timing, ours_ns);
        rates_set(&ours, round, parameters->sustained, &timing);
        peer_load(parameters, best.shape, best.transaction, parameters->sustained, &timing,
                  peer_ns);
        rates_set(&peer, round, parameters->sustained, &timing);
    }
    print_millions(parameters->sustained, ours_ns, peer_ns);
    printf("%-40s %7s %12s %11s\n", "records a second", "threads", "written", "with close");
    rates_report(&ours, "dictsqlite", "sustained load", 1, SUSTAINED_BATCH, parameters);
    rates_report(&peer, peer_name(best.shape), "sustained load", 1, best.transaction, parameters);
    printf("x%.2f of SQLite, with close x%.2f\n",
           bench_median(ours.written, parameters->rounds) /
               bench_median(peer.written, parameters->rounds),
           bench_median(ours.with_close, parameters->rounds) /
               bench_median(peer.with_close, parameters->rounds));
    free(ours_ns);
    free(peer_ns);
}
