/*
 * What the eviction of the hot tier costs in misses: traces replayed through the real table, as
 * many shards as the library would choose, beside true LRU, FIFO and the optimum at equal size.
 *
 * A request is a look-up; after a miss the record is inserted.  Keys are numbers, hashed by a
 * bijection as evenly as the keyed hash would.  One thread: the figures are exact and repeat.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/harness.h"
#include "bench/policies.h"
#include "bench/report.h"
#include "core/clock.h"
#include "core/reclaim.h"
#include "core/shard_map.h"
#include "stress/options.h"

#define RECLAIM_CAP_BYTES (UINT64_C(64) << 20)
/* Beyond LRU by so much is a failure, at sizes from BAR_SIZE on. */
#define BAR_PERCENT 0.5
#define BAR_SIZE 1000
/* A curve goes from so small a part of the distinct keys to so large a one. */
#define CURVE_FROM 0.001
#define CURVE_TO 0.5
#define SIZES_MAX 64

struct parameters {
    uint64_t keys;
    uint64_t requests;
    uint64_t size;
    uint64_t seed;
    uint64_t ghost;
    uint64_t curve;
    const char *trace;
    const char *json;
};

struct replay {
    uint64_t misses;
    uint64_t evictions;
    uint64_t inspected;
    uint64_t inspected_max; /* by one insertion, in all shards */
    int64_t records_max;
};

/* Over all rows of the report. */
struct summary {
    unsigned rows;
    double sum_percent;
    double worst_percent;
    bool bar_held;
    struct bench_report *report;
};

static void die(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(2);
}

static void insert(struct dsq_map *map, struct dsq_table *shard, uint64_t hash,
                   struct dsq_bytes key, struct replay *replay)
{
    struct dsq_record *record = dsq_record_new(DSQ_RECORD_VALUE, DSQ_RECORD_CLEAN, 1, hash, key,
                                               (struct dsq_bytes){NULL, 0});
    struct dsq_place place;
    uint64_t before = dsq_load_relaxed(&shard->inspected);
    if (record == NULL || dsq_table_locate(shard, hash, key, &place) != DSQ_OK ||
        !dsq_table_publish(shard, &place, record)) {
        die("out of memory for a record");
    }
    dsq_map_trim(map, shard, dsq_record_bytes(record));
    uint64_t inspected = dsq_load_relaxed(&shard->inspected) - before;
    replay->inspected += inspected;
    if (inspected > replay->inspected_max) {
        replay->inspected_max = inspected;
    }
}

static void request(struct dsq_map *map, uint32_t number, struct replay *replay)
{
    uint64_t hash = stress_mix(number + UINT64_C(1));
    struct dsq_bytes key = {&number, sizeof number};
    struct dsq_table *shard = dsq_map_shard(map, hash);
    dsq_read_lock();
    struct dsq_record *record = dsq_table_find(shard, hash, key);
    if (record != NULL) {
        dsq_record_touch(record);
    } else {
        replay->misses++;
        insert(map, shard, hash, key, replay);
    }
    dsq_read_unlock();
}

static void forget_ghosts(struct dsq_map *map)
{
    for (uint64_t i = 0; i < map->shard_count; i++) {
        dsq_ghost_fini(&map->shards[i].ghost);
        map->shards[i].ghost = (struct dsq_ghost){0};
    }
}

static struct replay replay_ours(const struct bench_trace *trace, uint64_t capacity, bool ghost)
{
    const struct dsq_map_config config = {.capacity = capacity};
    struct replay replay = {0};
    struct dsq_reclaim *reclaim;
    struct dsq_map map;
    struct dsq_error error;
    if (dsq_reclaim_new(RECLAIM_CAP_BYTES, &reclaim, &error) != DSQ_OK ||
        dsq_map_init(&map, &config, reclaim) != DSQ_OK) {
        die("out of memory for the table");
    }
    if (!ghost) {
        forget_ghosts(&map);
    }
    for (size_t i = 0; i < trace->count; i++) {
        if (dsq_reclaim_is_full(reclaim)) {
            dsq_reclaim_wait(reclaim);
        }
        request(&map, trace->keys[i], &replay);
        int64_t records = (int64_t)dsq_map_records(&map);
        replay.records_max = records > replay.records_max ? records : replay.records_max;
    }
    replay.evictions = dsq_map_evictions(&map);
    dsq_map_fini(&map);
    dsq_reclaim_destroy(reclaim);
    return replay;
}

static double percent(uint64_t part, uint64_t whole)
{
    return whole != 0 ? 100.0 * (double)part / (double)whole : 0;
}

static void policy_report(struct bench_report *report, const char *policy,
                          const struct bench_trace *trace, uint64_t size, uint64_t misses)
{
    bench_report_figure_of(report, "policy", policy, trace->name, 1);
    bench_report_number(report, "size", (double)size);
    bench_report_number(report, "miss_ratio", (double)misses / (double)trace->count);
}

static void report_row(const struct bench_trace *trace, uint64_t size,
                       const struct parameters *parameters, struct summary *summary)
{
    uint64_t optimal = bench_misses_optimal(trace, size);
    uint64_t lru = bench_misses_lru(trace, size);
    uint64_t fifo = bench_misses_fifo(trace, size);
    struct replay ours = replay_ours(trace, size, parameters->ghost != 0);
    double beyond = percent(ours.misses, lru) - 100;
    double mean = ours.evictions != 0 ? (double)ours.inspected / (double)ours.evictions : 0;
    printf("%-22s %8llu  %6.2f %6.2f %6.2f %6.2f  %+7.2f %%  %5.1f %4llu  %8lld\n", trace->name,
           (unsigned long long)size, percent(optimal, trace->count), percent(lru, trace->count),
           percent(fifo, trace->count), percent(ours.misses, trace->count), beyond, mean,
           (unsigned long long)ours.inspected_max, (long long)ours.records_max);
    policy_report(summary->report, "dictsqlite", trace, size, ours.misses);
    bench_report_number(summary->report, "inspected_max", (double)ours.inspected_max);
    policy_report(summary->report, "LRU", trace, size, lru);
    policy_report(summary->report, "FIFO", trace, size, fifo);
    policy_report(summary->report, "best possible", trace, size, optimal);
    if (ours.inspected_max > DSQ_CLOCK_SWEEP_MAX) {
        printf("an insertion inspected more than the cap of %d\n", DSQ_CLOCK_SWEEP_MAX);
        summary->bar_held = false;
    }
    if (size >= BAR_SIZE) {
        summary->rows++;
        summary->sum_percent += beyond;
        summary->worst_percent = beyond > summary->worst_percent ? beyond : summary->worst_percent;
    }
}

/*
 * The sizes for a trace: the one asked for; or a curve's, evenly spaced on a logarithmic scale; or 1,000, 10,000,
 * and 1 % and 10 % of the distinct keys.  Returns how many.
 */
static size_t sizes_of(const struct bench_trace *trace, const struct parameters *parameters,
                       uint64_t sizes[SIZES_MAX])
{
    const uint64_t usual[] = {1000, 10000, trace->distinct / 100, trace->distinct / 10};
    if (parameters->size != 0) {
        sizes[0] = parameters->size;
        return 1;
    }
    for (size_t i = 0; i < parameters->curve; i++) {
        double part = parameters->curve > 1 ? (double)i / (double)(parameters->curve - 1) : 0;
        sizes[i] = (uint64_t)(trace->distinct * CURVE_FROM * pow(CURVE_TO / CURVE_FROM, part));
    }
    if (parameters->curve == 0) {
        memcpy(sizes, usual, sizeof usual);
        return sizeof usual / sizeof usual[0];
    }
    return (size_t)parameters->curve;
}

static void report_trace(struct bench_trace trace, const struct parameters *parameters,
                         struct summary *summary)
{
    uint64_t sizes[SIZES_MAX];
    size_t count = sizes_of(&trace, parameters, sizes);
    uint64_t work = bench_trace_checksum(&trace);
    printf("# %s: %zu requests, %u keys, checksum %016llx\n", trace.name, trace.count,
           trace.distinct, (unsigned long long)work);
    bench_report_work(summary->report, trace.name, work);
    for (size_t i = 0; i < count; i++) {
        bool again = false;
        for (size_t j = 0; j < i; j++) {
            again = again || sizes[j] == sizes[i];
        }
        bool wanted = parameters->size != 0 || (sizes[i] > 0 && sizes[i] < trace.distinct);
        if (wanted && !again) {
            report_row(&trace, sizes[i], parameters, summary);
        }
    }
    bench_trace_free(&trace);
}

static void report_generated(const struct parameters *parameters, struct summary *summary)
{
    static const double exponents[] = {0.7, 0.99, 1.2};
    uint32_t keys = (uint32_t)parameters->keys;
    for (size_t i = 0; i < sizeof exponents / sizeof exponents[0]; i++) {
        report_trace(bench_trace_zipf(exponents[i], keys, parameters->requests, parameters->seed),
                     parameters, summary);
    }
    report_trace(bench_trace_scans(keys, parameters->requests, parameters->seed), parameters,
                 summary);
    report_trace(bench_trace_loop(keys, parameters->requests), parameters, summary);
}

int main(int argc, char **argv)
{
    struct parameters parameters = {
        .keys = 100000, .requests = 2000000, .seed = 1, .ghost = 1, .trace = NULL};
    struct summary summary = {.worst_percent = -100, .bar_held = true};
    const struct stress_option options[] = {
        {"keys", STRESS_NUMBER, &parameters.keys, "distinct keys of the generated traces"},
        {"requests", STRESS_NUMBER, &parameters.requests, "length of the generated traces"},
        {"size", STRESS_NUMBER, &parameters.size, "records in the cache; 0: several sizes"},
        {"seed", STRESS_NUMBER, &parameters.seed, "of the generated traces; 0: a fresh one"},
        {"ghost", STRESS_NUMBER, &parameters.ghost, "0: without the ghost, for the ablation"},
        {"curve", STRESS_NUMBER, &parameters.curve, "so many sizes, for a curve; 0: a few"},
        {"trace", STRESS_TEXT, &parameters.trace, "replay this file, one key a line"},
        {"json", STRESS_TEXT, &parameters.json, "a file for the figures"},
    };
    const size_t option_count = sizeof options / sizeof options[0];
    if (!stress_options_parse(argc, argv, options, option_count)) {
        return 2;
    }
    if (parameters.keys == 0 || parameters.keys > 100000000 || parameters.requests == 0 ||
        parameters.curve > SIZES_MAX) {
        die("--keys must be from 1 to 100000000, --requests at least 1, --curve at most 64");
    }
    stress_seed_choose(&parameters.seed);
    summary.report = bench_report_begin(argv[0], options, option_count);
    printf("%-22s %8s  %6s %6s %6s %6s  %9s  %10s  %8s\n", "misses in % of requests", "size",
           "best", "LRU", "FIFO", "ours", "to LRU", "inspected", "records");
    if (parameters.trace != NULL) {
        report_trace(bench_trace_read(parameters.trace), &parameters, &summary);
    } else {
        report_generated(&parameters, &summary);
    }
    if (summary.rows > 0) {
        double mean = summary.sum_percent / summary.rows;
        printf("misses to those of LRU at %d records and more: %+.2f %% in the mean, %+.2f %% at "
               "worst\n",
               BAR_SIZE, mean, summary.worst_percent);
        summary.bar_held = summary.bar_held && summary.worst_percent <= BAR_PERCENT && mean <= 0;
    }
    printf("%s\n", summary.bar_held ? "bar held" : "BAR MISSED");
    return bench_report_write(summary.report, parameters.json) && summary.bar_held ? 0 : 1;
}
