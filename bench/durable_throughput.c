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

struct rates {
    double records_per_s;
    double with_close_per_s;
};

/* What SQLite did best in the burst; until then, what has been best before. */
static struct {
    enum durable_shape shape;
    uint64_t transaction;
    struct rates rates;
} best = {DURABLE_ROWID, 10000, {0, 0}};

struct timing {
    uint64_t written_ns; /* until the last record was acknowledged */
    uint64_t closed_ns;  /* from then until close returned */
};

static double per_s(uint64_t records, uint64_t ns)
{
    return ns == 0 ? 0 : (double)records * (double)DSQ_NS_PER_S / (double)ns;
}

static double seconds(uint64_t ns)
{
    return (double)ns / (double)DSQ_NS_PER_S;
}

static struct rates rates_of(uint64_t records, const struct timing *timing)
{
    return (struct rates){per_s(records, timing->written_ns),
                          per_s(records, timing->written_ns + timing->closed_ns)};
}

static void print_timing(const char *name, uint64_t records, const struct timing *timing)
{
    struct rates rates = rates_of(records, timing);
    printf("%-52s %11.0f %9.3f %9.3f %11.0f\n", name, rates.records_per_s,
           seconds(timing->written_ns), seconds(timing->closed_ns), rates.with_close_per_s);
    fflush(stdout);
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

static struct rates burst_ours(const struct durable_parameters *parameters, unsigned threads,
                               uint64_t batch)
{
    struct burst_writer writers[BURST_THREADS_MAX];
    struct timing timing;
    char path[PATH_MAX];
    char name[64];
    durable_path(parameters, "burst", path);
    dsq_db *db = durable_open(path, BURST_QUEUE_BYTES, DSQ_UNBOUNDED);
    for (unsigned i = 0; i < threads; i++) {
        struct durable_span span = {parameters->records * i / threads,
                                    parameters->records * (i + 1) / threads};
        writers[i] = (struct burst_writer){db, parameters->seed, span, batch};
    }
    timing.written_ns = bench_run_threads(threads, burst_write, writers, sizeof writers[0]);
    close_timed(db, &timing);
    snprintf(name, sizeof name, "dictsqlite, %u thread%s, batches of %" PRIu64, threads,
             threads == 1 ? "" : "s", batch);
    print_timing(name, parameters->records, &timing);
    durable_check(path, parameters->seed, parameters->records, parameters->records);
    durable_remove(path);
    return rates_of(parameters->records, &timing);
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

static void burst_peer(const struct durable_parameters *parameters, enum durable_shape shape,
                       uint64_t transaction)
{
    struct timing timing;
    char name[64];
    peer_load(parameters, shape, transaction, parameters->records, &timing, NULL);
    snprintf(name, sizeof name, "SQLite, %s, sorted, transactions of %" PRIu64,
             durable_shape_name(shape), transaction);
    print_timing(name, parameters->records, &timing);
    struct rates rates = rates_of(parameters->records, &timing);
    if (rates.records_per_s > best.rates.records_per_s) {
        best.shape = shape;
        best.transaction = transaction;
        best.rates = rates;
    }
}

static void print_beside_best(const char *name, const struct rates *rates)
{
    printf("%s: x%.2f of SQLite's best (%s, transactions of %" PRIu64 "), with close x%.2f\n", name,
           rates->records_per_s / best.rates.records_per_s, durable_shape_name(best.shape),
           best.transaction, rates->with_close_per_s / best.rates.with_close_per_s);
}

void durable_burst(const struct durable_parameters *parameters)
{
    printf("\nburst: %" PRIu64
           " new records; dictsqlite with hot_capacity unbounded, queue_bytes %" PRIu64
           "; SQLite's are made and sorted off the clock\n",
           parameters->records, BURST_QUEUE_BYTES);
    printf("%-52s %11s %9s %9s %11s\n", "", "records/s", "s", "close s", "with close");
    struct rates one = burst_ours(parameters, 1, 10000);
    struct rates two = burst_ours(parameters, 2, 1000);
    for (enum durable_shape shape = 0; shape < DURABLE_SHAPES; shape++) {
        burst_peer(parameters, shape, 1000);
        burst_peer(parameters, shape, 10000);
    }
    print_beside_best("one thread", &one);
    print_beside_best("two threads", &two);
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

void durable_many(const struct durable_parameters *parameters)
{
    static struct many_writer writers[MANY_THREADS];
    struct durable_samples samples = {.ns = NULL};
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
        durable_samples_merge(&samples, &writers[i].samples);
        durable_samples_free(&writers[i].samples);
    }
    dsq_stats(db, &stats);
    durable_close(db);
    printf("\nmany: durable puts one by one from %d threads, %" PRIu64 " each\n", MANY_THREADS,
           parameters->puts);
    printf("%-40s %s\n", "", DURABLE_SAMPLES_COLUMNS);
    durable_samples_print("dictsqlite", &samples);
    printf("%.0f puts/s, %.1f puts a commit\n", per_s(count, ns),
           (double)count / (double)(stats.commits > 0 ? stats.commits : 1));
    durable_samples_free(&samples);
    durable_check(path, parameters->seed, count, count);
    durable_remove(path);
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
    struct timing ours;
    struct timing peer;
    char name[64];
    size_t millions = (size_t)(parameters->sustained / MILLION + 1);
    uint64_t *ours_ns = calloc(millions, sizeof *ours_ns);
    uint64_t *peer_ns = calloc(millions, sizeof *peer_ns);
    if (ours_ns == NULL || peer_ns == NULL) {
        abort();
    }
    printf("\nsustained: %" PRIu64 " new records by one thread, to the end of close\n",
           parameters->sustained);
    fflush(stdout);
    sustained_ours(parameters, &ours, ours_ns);
    peer_load(parameters, best.shape, best.transaction, parameters->sustained, &peer, peer_ns);
    print_millions(parameters->sustained, ours_ns, peer_ns);
    printf("%-52s %11s %9s %9s %11s\n", "", "records/s", "s", "close s", "with close");
    snprintf(name, sizeof name, "dictsqlite, batches of %d", SUSTAINED_BATCH);
    print_timing(name, parameters->sustained, &ours);
    snprintf(name, sizeof name, "SQLite, %s, sorted, transactions of %" PRIu64,
             durable_shape_name(best.shape), best.transaction);
    print_timing(name, parameters->sustained, &peer);
    struct rates ours_rates = rates_of(parameters->sustained, &ours);
    struct rates peer_rates = rates_of(parameters->sustained, &peer);
    printf("x%.2f of SQLite, with close x%.2f\n",
           ours_rates.records_per_s / peer_rates.records_per_s,
           ours_rates.with_close_per_s / peer_rates.with_close_per_s);
    free(ours_ns);
    free(peer_ns);
}
