/*
 * A look-up by one thread over the size of the table, of the values and of the keys: of keys that are there,
 * evenly and by Zipf's law, and of keys that are not.  Throughput and, in a run of its own, latency.  The
 * maps take turns within each round, each in a table filled anew.  What a size costs is cache misses:
 * bench/cache_misses.py counts them with --look-ups.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/harness.h"
#include "bench/latency.h"
#include "bench/map_peers.h"
#include "bench/map_workload.h"
#include "bench/report.h"
#include "stress/options.h"
#include "stress/verdict.h"

#define ROUNDS_MAX 32
#define SETTINGS_MAX 32
#define KEY_BYTES BENCH_KEY_BYTES
#define VALUE_BYTES 64
#define MAP_COLUMN 24
/* What a table of that size takes at most, beside keys and values: what does not fit is left out. */
#define OVERHEAD_BYTES 256
#define DEFAULT_MAPS "dictsqlite,papaya,tbb,mutex+absl,no threads"
#define MEMORY_BYTES ((uint64_t)8 << 30)

/* Powers of ten, and halves of them. */
static const uint64_t key_counts[] = {10000, 31623, 100000, 316228, 1000000, 3162278, 10000000};
static const uint64_t value_sizes[] = {8, 64, 1024, 16384};
static const uint64_t key_sizes[] = {16, 64};
static const char *const workload_names[] = {"get, found", "get, Zipf", "get, absent"};
#define WORKLOADS (sizeof workload_names / sizeof workload_names[0])
#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

/* What a map has shown in a setting. */
struct result {
    double rates[ROUNDS_MAX];
    struct bench_latency latency;
};

struct setting {
    uint64_t keys, key_bytes, value_bytes;
};

struct bench {
    struct map_parameters parameters; /* of the setting; keys: where something else varies */
    uint64_t keys_max;
    uint64_t memory_bytes;
    uint64_t rounds;
    uint64_t look_ups;
    const char *names;
    const char *workload; /* of the look-ups */
    const char *json;
    struct bench_report *report;
    struct map_peer maps[MAP_PEERS_MAX];
    size_t map_count;
    struct setting settings[SETTINGS_MAX];
    size_t setting_count;
    struct result results[MAP_PEERS_MAX][WORKLOADS];
    uint64_t work;
};

/* ---- settings ---- */

static bool is_there(const struct bench *bench, const struct setting *setting)
{
    for (size_t i = 0; i < bench->setting_count; i++) {
        if (memcmp(&bench->settings[i], setting, sizeof *setting) == 0) {
            return true;
        }
    }
    return false;
}

static void setting_add(struct bench *bench, uint64_t keys, uint64_t key_bytes,
                        uint64_t value_bytes)
{
    const struct setting setting = {keys, key_bytes, value_bytes};
    if (keys * (key_bytes + value_bytes + OVERHEAD_BYTES) > bench->memory_bytes) {
        printf("left out for want of memory: %" PRIu64 " keys of %" PRIu64 ", values of %" PRIu64
               " bytes\n",
               keys, key_bytes, value_bytes);
    } else if (!is_there(bench, &setting)) {
        bench->settings[bench->setting_count++] = setting;
    }
}

static void settings_make(struct bench *bench)
{
    uint64_t keys = bench->parameters.keys;
    for (size_t i = 0; i < COUNT_OF(key_counts) && key_counts[i] <= bench->keys_max; i++) {
        setting_add(bench, key_counts[i], KEY_BYTES, VALUE_BYTES);
    }
    for (size_t i = 0; i < COUNT_OF(value_sizes); i++) {
        setting_add(bench, keys, KEY_BYTES, value_sizes[i]);
    }
    for (size_t i = 0; i < COUNT_OF(key_sizes); i++) {
        setting_add(bench, keys, key_sizes[i], VALUE_BYTES);
    }
}

/* ---- the measurement ---- */

static void *map_fill(const struct map_inputs *inputs, const struct map_ops *ops, uint64_t *work)
{
    void *map = map_create(ops);
    map_workload_run(inputs, &map_workloads[MAP_WORKLOAD_FILL], ops, map, 1, work);
    return map;
}

static void map_measure(struct bench *bench, const struct map_inputs *inputs, size_t map,
                        uint64_t round)
{
    const struct map_ops *ops = bench->maps[map].ops;
    void *full = map_fill(inputs, ops, &bench->work);
    for (size_t i = 0; i < WORKLOADS; i++) {
        const struct map_workload *workload = map_workload_find(workload_names[i]);
        struct result *result = &bench->results[map][i];
        result->rates[round] = map_workload_run(inputs, workload, ops, full, 1, &bench->work);
        map_workload_time(inputs, workload, ops, full, &result->latency);
    }
    ops->destroy(full);
}

static void setting_print(struct bench *bench, const struct setting *setting)
{
    printf("%" PRIu64 " keys of %" PRIu64 " bytes, values of %" PRIu64 "\n", setting->keys,
           setting->key_bytes, setting->value_bytes);
    for (size_t i = 0; i < WORKLOADS; i++) {
        printf("  %-12s", workload_names[i]);
        for (size_t j = 0; j < bench->map_count; j++) {
            struct result *result = &bench->results[j][i];
            char cell[MAP_COLUMN];
            snprintf(cell, sizeof cell, "%.2f %5" PRIu64 " %5" PRIu64,
                     bench_median(result->rates, bench->rounds) / 1e6,
                     bench_latency_quantile_ns(&result->latency, 0.5),
                     bench_latency_quantile_ns(&result->latency, 0.99));
            printf("%*s", MAP_COLUMN, cell);
        }
        printf("\n");
    }
    fflush(stdout);
}

static void setting_report(struct bench *bench, const struct setting *setting)
{
    for (size_t i = 0; i < bench->map_count; i++) {
        for (size_t j = 0; j < WORKLOADS; j++) {
            bench_report_figure(bench->report, bench->maps[i].ops->name, workload_names[j], 1);
            bench_report_number(bench->report, "keys", (double)setting->keys);
            bench_report_number(bench->report, "key_bytes", (double)setting->key_bytes);
            bench_report_number(bench->report, "value_bytes", (double)setting->value_bytes);
            bench_report_rates(bench->report, bench->results[i][j].rates, bench->rounds);
            bench_report_latency(bench->report, &bench->results[i][j].latency);
        }
    }
}

static bool inputs_make(struct bench *bench, struct map_inputs *inputs)
{
    if (!map_inputs_make(inputs, &bench->parameters)) {
        fprintf(stderr, "out of memory\n");
        map_inputs_free(inputs);
        return false;
    }
    return true;
}

static bool setting_measure(struct bench *bench, const struct setting *setting)
{
    struct map_inputs inputs;
    bench->parameters.keys = setting->keys;
    bench->parameters.key_bytes = setting->key_bytes;
    bench->parameters.value_bytes = setting->value_bytes;
    memset(bench->results, 0, sizeof bench->results);
    if (!inputs_make(bench, &inputs)) {
        return false;
    }
    for (uint64_t round = 0; round < bench->rounds; round++) {
        for (size_t i = 0; i < bench->map_count; i++) {
            map_measure(bench, &inputs, i, round);
        }
    }
    map_inputs_free(&inputs);
    setting_print(bench, setting);
    setting_report(bench, setting);
    return true;
}

/*
 * Fills the first map and looks so many keys up, for a tool that counts.  Keys are drawn for all operations,
 * however many are looked up: the difference of two runs is look-ups alone.
 */
static int look_up_only(struct bench *bench)
{
    struct map_inputs inputs;
    const struct map_ops *ops = bench->maps[0].ops;
    const struct map_workload *workload = map_workload_find(bench->workload);
    if (workload == NULL || !map_workload_only_reads(workload) ||
        bench->look_ups > bench->parameters.operations || !inputs_make(bench, &inputs)) {
        return 2;
    }
    bench->parameters.operations = bench->look_ups;
    void *full = map_fill(&inputs, ops, &bench->work);
    map_workload_run(&inputs, workload, ops, full, 1, &bench->work);
    ops->destroy(full);
    map_inputs_free(&inputs);
    return stress_failed() ? 1 : 0;
}

/* ---- the program ---- */

static int bench_run(struct bench *bench)
{
    settings_make(bench);
    printf("million a second, then median and 99th percentile of a look-up in ns, of which reading "
           "the "
           "clock takes %" PRIu64 "\n%-14s",
           bench_clock_cost_ns(), "");
    for (size_t i = 0; i < bench->map_count; i++) {
        printf("%*s", MAP_COLUMN, bench->maps[i].ops->name);
    }
    printf("\n");
    for (size_t i = 0; i < bench->setting_count; i++) {
        if (!setting_measure(bench, &bench->settings[i])) {
            return 2;
        }
    }
    printf("work: %016" PRIx64 "\n", bench->work);
    bench_report_work(bench->report, "all", bench->work);
    if (!bench_report_write(bench->report, bench->json)) {
        return 2;
    }
    return stress_failed() ? 1 : 0;
}

static bool is_usable(const struct bench *bench)
{
    const struct map_parameters *p = &bench->parameters;
    return p->keys > 0 && p->keys <= MAP_KEYS_MAX && p->operations > 0 && bench->rounds > 0 &&
           bench->rounds <= ROUNDS_MAX;
}

int main(int argc, char **argv)
{
    static struct bench bench = {
        .parameters = {.keys = 100000,
                       .operations = 1000000,
                       .key_bytes = KEY_BYTES,
                       .value_bytes = VALUE_BYTES,
                       .threads = 1,
                       .seed = 1},
        .keys_max = 10000000,
        .memory_bytes = MEMORY_BYTES,
        .rounds = 3,
        .names = DEFAULT_MAPS,
        .workload = "get, found",
    };
    const struct stress_option options[] = {
        {"keys", STRESS_NUMBER, &bench.parameters.keys, "where keys and values vary in size"},
        {"keys-max", STRESS_NUMBER, &bench.keys_max, "of the sizes of the table"},
        {"operations", STRESS_NUMBER, &bench.parameters.operations, "look-ups in a round"},
        {"rounds", STRESS_NUMBER, &bench.rounds, "of which the medians are taken"},
        {"memory-bytes", STRESS_NUMBER, &bench.memory_bytes, "that a table may take"},
        {"seed", STRESS_NUMBER, &bench.parameters.seed, "of keys and orders; 0: a fresh one"},
        {"maps", STRESS_TEXT, &bench.names, "to measure, commas between"},
        {"look-ups", STRESS_NUMBER, &bench.look_ups, "of the first map, and nothing else"},
        {"workload", STRESS_TEXT, &bench.workload, "of --look-ups"},
        {"json", STRESS_TEXT, &bench.json, "a file for the figures"},
    };
    const size_t option_count = sizeof options / sizeof options[0];
    if (!stress_options_parse(argc, argv, options, option_count) || !is_usable(&bench)) {
        return 2;
    }
    bench.map_count = map_peers_choose(bench.names, false, bench.maps);
    if (bench.map_count == 0) {
        fprintf(stderr, "no map of \"%s\" is there\n", bench.names);
        return 2;
    }
    stress_seed_choose(&bench.parameters.seed);
    if (bench.look_ups > 0) {
        return look_up_only(&bench);
    }
    bench.report = bench_report_begin(argv[0], options, option_count);
    return bench_run(&bench);
}
