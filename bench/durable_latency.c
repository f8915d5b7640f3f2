/*
 * One durable put at a time: beside SQLite and the bare disk, which take turns so that what else the
 * disk does hits all alike; and while a backlog is folded into the table of rows.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/durable_samples.h"
#include "bench/durable_sections.h"
#include "bench/durable_sqlite.h"
#include "bench/harness.h"
#include "stress/verdict.h"

#define BLOCK_BYTES 4096
#define OVERWRITTEN_BLOCKS 1024
/* Operations of one kind before it is another's turn. */
#define TURN 20
#define BACKLOG_BATCH 10000
/* While a fold goes on, at most so many times the puts asked for. */
#define FOLDING_PUTS_FACTOR 10
/* Fewer puts beside the fold say nothing of it. */
#define FOLDING_SAMPLES_MIN 20

enum kind { OURS, PEER_ROWID, PEER_WITHOUT_ROWID, GROWING, OVERWRITING, KINDS };

static const char *const kind_names[KINDS] = {
    [OURS] = "dictsqlite",
    [PEER_ROWID] = "SQLite, rowid",
    [PEER_WITHOUT_ROWID] = "SQLite, without rowid",
    [GROWING] = "pwrite + fdatasync, 4 KiB, growing",
    [OVERWRITING] = "pwrite + fdatasync, 4 KiB, overwriting",
};

struct single {
    const struct durable_parameters *parameters;
    dsq_db *db;
    struct durable_sqlite *peers[DURABLE_SHAPES];
    int growing;
    int overwritten;
    struct durable_samples samples[KINDS];
};

static void disk_failed(const char *operation)
{
    fprintf(stderr, "%s: %s\n", operation, strerror(errno));
    exit(1);
}

static void write_block(int fd, uint64_t number, const struct durable_record *record)
{
    unsigned char block[BLOCK_BYTES] = {0};
    memcpy(block, record, sizeof *record);
    if (pwrite(fd, block, sizeof block, (off_t)(number * BLOCK_BYTES)) != BLOCK_BYTES) {
        disk_failed("pwrite");
    }
}

static void sync_data(int fd)
{
    if (fdatasync(fd) != 0) {
        disk_failed("fdatasync");
    }
}

static int open_plain(const struct durable_parameters *parameters, const char *name,
                      uint64_t blocks)
{
    const struct durable_record empty = {.key = {0}};
    char path[PATH_MAX];
    durable_path(parameters, name, path);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        disk_failed(path);
    }
    for (uint64_t i = 0; i < blocks; i++) {
        write_block(fd, i, &empty);
    }
    if (fsync(fd) != 0) {
        disk_failed("fsync");
    }
    return fd;
}

static void operate(struct single *single, enum kind kind, uint64_t number,
                    const struct durable_record *record)
{
    switch (kind) {
    case OURS:
        durable_put(single->db, record);
        break;
    case PEER_ROWID:
        durable_sqlite_put(single->peers[DURABLE_ROWID], record);
        break;
    case PEER_WITHOUT_ROWID:
        durable_sqlite_put(single->peers[DURABLE_WITHOUT_ROWID], record);
        break;
    case GROWING:
        write_block(single->growing, number, record);
        sync_data(single->growing);
        break;
    default:
        write_block(single->overwritten, number % OVERWRITTEN_BLOCKS, record);
        sync_data(single->overwritten);
        break;
    }
}

static void take_turn(struct single *single, enum kind kind, struct durable_span span)
{
    struct durable_record record;
    for (uint64_t i = span.first; i < span.end; i++) {
        durable_record_make(single->parameters->seed, i, &record);
        uint64_t before = dsq_now_ns();
        operate(single, kind, i, &record);
        durable_samples_add(&single->samples[kind], dsq_now_ns() - before);
    }
}

static void single_open(struct single *single)
{
    static const char *const names[DURABLE_SHAPES] = {"single-rowid", "single-without"};
    char path[PATH_MAX];
    durable_path(single->parameters, "single", path);
    single->db = durable_open(path, 0, 0);
    for (enum durable_shape shape = 0; shape < DURABLE_SHAPES; shape++) {
        durable_path(single->parameters, names[shape], path);
        single->peers[shape] = durable_sqlite_open(path, shape, single->parameters->cache_size);
    }
    single->growing = open_plain(single->parameters, "growing", 0);
    single->overwritten = open_plain(single->parameters, "overwritten", OVERWRITTEN_BLOCKS);
}

static void single_close(struct single *single)
{
    static const char *const names[] = {"single-rowid", "single-without", "growing", "overwritten"};
    const struct durable_parameters *parameters = single->parameters;
    char path[PATH_MAX];
    durable_close(single->db);
    close(single->growing);
    close(single->overwritten);
    durable_path(parameters, "single", path);
    durable_check(path, parameters->seed, parameters->puts, parameters->puts);
    durable_remove(path);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        durable_path(parameters, names[i], path);
        if (i < DURABLE_SHAPES) {
            durable_sqlite_close(single->peers[i]);
            if (durable_sqlite_count(path) != parameters->puts) {
                stress_violation("SQLite has not kept %" PRIu64 " records", parameters->puts);
            }
        }
        durable_remove(path);
    }
}

static void single_print(struct single *single)
{
    double p50[KINDS];
    double p99[KINDS];
    for (enum kind kind = 0; kind < KINDS; kind++) {
        bench_report_figure_of(single->parameters->report, "store", kind_names[kind],
                               "one durable put after the other", 1);
        durable_samples_report(&single->samples[kind], TURN, single->parameters->report);
        durable_samples_print(kind_names[kind], &single->samples[kind]);
        p50[kind] = durable_samples_quantile_ns(&single->samples[kind], 0.5);
        p99[kind] = durable_samples_quantile_ns(&single->samples[kind], 0.99);
    }
    enum kind peer = p50[PEER_ROWID] < p50[PEER_WITHOUT_ROWID] ? PEER_ROWID : PEER_WITHOUT_ROWID;
    printf(
        "time of dictsqlite beside the better of SQLite's: p50 x%.2f, p99 x%.2f; beside the disk, "
        "growing: p50 x%.2f, overwriting: p50 x%.2f\n",
        p50[OURS] / p50[peer], p99[OURS] / p99[peer], p50[OURS] / p50[GROWING],
        p50[OURS] / p50[OVERWRITING]);
}

void durable_single(const struct durable_parameters *parameters)
{
    struct single single = {.parameters = parameters};
    single_open(&single);
    for (uint64_t i = 0; i < parameters->puts; i += TURN) {
        uint64_t left = parameters->puts - i;
        struct durable_span span = {i, left < TURN ? i + left : i + TURN};
        /* Nobody always comes after the same neighbour's first. */
        for (unsigned j = 0; j < KINDS; j++) {
            take_turn(&single, (enum kind)((i / TURN + j) % KINDS), span);
        }
    }
    printf("\nsingle: one thread, each durable before the next, %d of a kind in turn\n", TURN);
    printf("%-40s %s\n", "", DURABLE_SAMPLES_COLUMNS);
    single_print(&single);
    single_close(&single);
    for (enum kind kind = 0; kind < KINDS; kind++) {
        durable_samples_free(&single.samples[kind]);
    }
}

static void put_timed(dsq_db *db, uint64_t seed, uint64_t number, struct durable_samples *samples)
{
    struct durable_record record;
    durable_record_make(seed, number, &record);
    uint64_t before = dsq_now_ns();
    durable_put(db, &record);
    durable_samples_add(samples, dsq_now_ns() - before);
}

/*
 * Puts from number first on, until the fold is over and there have been enough; returns how many.  The
 * fold is over when no more is unfolded than was put since: the backlog is older.
 */
static uint64_t put_after_backlog(dsq_db *db, const struct durable_parameters *parameters,
                                  uint64_t first, struct durable_samples *during,
                                  struct durable_samples *after)
{
    struct dsq_stats stats;
    uint64_t put = 0;
    for (; put < parameters->puts * FOLDING_PUTS_FACTOR; put++) {
        dsq_stats(db, &stats);
        bool folding = stats.unfolded > put;
        if (!folding && put >= parameters->puts) {
            break;
        }
        put_timed(db, parameters->seed, first + put, folding ? during : after);
    }
    return put;
}

static void folding_report(const char *workload, const struct durable_samples *samples,
                           struct bench_report *report)
{
    if (samples->count > 0) {
        bench_report_figure_of(report, "store", "dictsqlite", workload, 1);
        durable_samples_report(samples, TURN, report);
    }
}

static void folding_print(struct durable_samples *without, struct durable_samples *during,
                          struct durable_samples *after)
{
    bool was_slow = during->count >= FOLDING_SAMPLES_MIN;
    struct durable_samples *loaded = was_slow ? during : after;
    durable_samples_print("before there is a backlog", without);
    durable_samples_print("while the backlog is folded", during);
    durable_samples_print("once it is folded", after);
    printf("p99 %s beside p50 before: x%.2f\n",
           was_slow ? "while it is folded" : "once it is folded (too soon for a figure meanwhile)",
           durable_samples_quantile_ns(loaded, 0.99) / durable_samples_quantile_ns(without, 0.5));
}

void durable_folding(const struct durable_parameters *parameters)
{
    struct durable_samples without = {.ns = NULL};
    struct durable_samples during = {.ns = NULL};
    struct durable_samples after = {.ns = NULL};
    struct dsq_stats before;
    struct dsq_stats ended;
    char path[PATH_MAX];
    uint64_t first = parameters->puts + parameters->backlog;
    durable_path(parameters, "folding", path);
    dsq_db *db = durable_open(path, 0, 0);
    for (uint64_t i = 0; i < parameters->puts; i++) {
        put_timed(db, parameters->seed, i, &without);
    }
    durable_write(db, parameters->seed, (struct durable_span){parameters->puts, first},
                  BACKLOG_BATCH);
    dsq_stats(db, &before);
    uint64_t put = put_after_backlog(db, parameters, first, &during, &after);
    dsq_stats(db, &ended);
    printf("\nfolding: single puts beside the fold of a backlog of %" PRIu64 ": %" PRIu64
           " unfolded at first, %" PRIu64 " at last, %" PRIu64 " folds meanwhile\n",
           parameters->backlog, before.unfolded, ended.unfolded, ended.folds - before.folds);
    printf("%-40s %s\n", "", DURABLE_SAMPLES_COLUMNS);
    folding_report("durable put, no backlog", &without, parameters->report);
    folding_report("durable put while a backlog is folded", &during, parameters->report);
    folding_report("durable put, backlog folded", &after, parameters->report);
    folding_print(&without, &during, &after);
    durable_close(db);
    durable_check(path, parameters->seed, first + put, first + put);
    durable_remove(path);
    durable_samples_free(&without);
    durable_samples_free(&during);
    durable_samples_free(&after);
}
