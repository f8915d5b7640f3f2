/*
 * The table beside its peers, in memory: look-ups, writes and mixes, by one thread and by more.  Every map is
 * called through the same functions and copies the value out.  The maps take turns within each
 * round; the figures are medians over the rounds, and --json has the quartiles.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/harness.h"
#include "bench/map_peers.h"
#include "bench/map_workload.h"
#include "bench/memory.h"
#include "bench/report.h"
#include "stress/options.h"
#include "stress/verdict.h"

#define ROUNDS_MAX 64
#define WORKLOADS_MAX 16
#define COUNTS_MAX 9 /* numbers of threads: powers of two up to MAP_THREADS_MAX */
#define NAME_COLUMN 18
#define MAP_COLUMN 16

struct bench {
    struct map_parameters parameters;
    uint64_t rounds;
    uint64_t lazy;
    const char *only;
    const char *json;
    struct bench_report *report;
    struct map_peer maps[MAP_PEERS_MAX];
    double bytes_per_record[MAP_PEERS_MAX];
    size_t map_count;
    struct map_inputs inputs;
    double samples[MAP_PEERS_MAX][WORKLOADS_MAX][COUNTS_MAX][ROUNDS_MAX];
    uint64_t work[MAP_PEERS_MAX];
};

/* The index-th number of threads; 0 behind the last. */
static unsigned threads_at(const struct bench *bench, unsigned index)
{
    uint64_t threads = UINT64_C(1) << index;
    return threads <= bench->parameters.threads ? (unsigned)threads : 0;
}

static bool is_measured(const struct bench *bench, size_t map, unsigned workload, unsigned index)
{
    unsigned threads = threads_at(bench, index);
    enum map_sharing sharing = bench->maps[map].sharing;
    bool may = sharing == MAP_BY_ALL ||
               (sharing == MAP_BY_ONE_WRITER && map_workload_only_reads(&map_workloads[workload]));
    return threads == 1 || (threads > 1 && map_workloads[workload].scales && may);
}

static void map_measure(struct bench *bench, size_t map, uint64_t round)
{
    const struct map_ops *ops = bench->maps[map].ops;
    void *full = map_create(ops);
    for (unsigned i = 0; i < map_workload_count; i++) {
        for (unsigned j = 0; j < COUNTS_MAX && is_measured(bench, map, i, j); j++) {
            bench->samples[map][i][j][round] =
                map_workload_run(&bench->inputs, &map_workloads[i], ops, full, threads_at(bench, j),
                                 &bench->work[map]);
        }
    }
    ops->destroy(full);
}

static void table_print(struct bench *bench)
{
    printf("%-*s%8s", NAME_COLUMN, "million a second", "threads");
    for (size_t i = 0; i < bench->map_count; i++) {
        printf("%*s", MAP_COLUMN, bench->maps[i].ops->name);
    }
    printf("\n");
    for (unsigned i = 0; i < map_workload_count; i++) {
        for (unsigned j = 0; j < COUNTS_MAX && is_measured(bench, 0, i, j); j++) {
            printf("%-*s%8u", NAME_COLUMN, map_workloads[i].name, threads_at(bench, j));
            for (size_t k = 0; k < bench->map_count; k++) {
                double rate = bench_median(bench->samples[k][i][j], bench->rounds) / 1e6;
                is_measured(bench, k, i, j) ? printf("%*.2f", MAP_COLUMN, rate)
                                            : printf("%*s", MAP_COLUMN, "");
            }
            printf("\n");
        }
    }
    printf("%-*s", NAME_COLUMN + 8, "bytes a record");
    for (size_t i = 0; i < bench->map_count; i++) {
        printf("%*.1f", MAP_COLUMN, bench->bytes_per_record[i]);
    }
    printf("\n");
    for (size_t i = 0; i < bench->map_count; i++) {
        printf("work of %s: %016" PRIx64 "\n", bench->maps[i].ops->name, bench->work[i]);
    }
}

static void figures_report(struct bench *bench)
{
    for (size_t i = 0; i < bench->map_count; i++) {
        bench_report_work(bench->report, bench->maps[i].ops->name, bench->work[i]);
        for (unsigned j = 0; j < map_workload_count; j++) {
            for (unsigned k = 0; k < COUNTS_MAX && is_measured(bench, i, j, k); k++) {
                bench_report_figure(bench->report, bench->maps[i].ops->name, map_workloads[j].name,
                                    threads_at(bench, k));
                bench_report_rates(bench->report, bench->samples[i][j][k], bench->rounds);
                bench_report_number(bench->report, "bytes_per_record", bench->bytes_per_record[i]);
            }
        }
    }
}

/* ---- memory ---- */

static void memory_measure(struct bench *bench)
{
    for (size_t i = 0; i < bench->map_count; i++) {
        bench->bytes_per_record[i] = map_bytes_per_record(&bench->inputs, bench->maps[i].ops);
    }
}

/* ---- the program ---- */

static bool is_usable(const struct bench *bench)
{
    const struct map_parameters *p = &bench->parameters;
    return p->keys > 0 && p->keys <= MAP_KEYS_MAX && p->operations > 0 &&
           p->key_bytes >= BENCH_KEY_BYTES && p->key_bytes <= MAP_KEY_BYTES_MAX &&
           p->value_bytes > 0 && p->value_bytes <= MAP_VALUE_SIZE_MAX && p->threads > 0 &&
           p->threads <= MAP_THREADS_MAX && p->threads <= p->keys && bench->rounds > 0 &&
           bench->rounds <= ROUNDS_MAX;
}

static int bench_run(struct bench *bench)
{
    if (!map_inputs_make(&bench->inputs, &bench->parameters)) {
        fprintf(stderr, "out of memory\n");
        return 2;
    }
    memory_measure(bench);
    for (uint64_t round = 0; round < bench->rounds; round++) {
        for (size_t i = 0; i < bench->map_count; i++) {
            map_measure(bench, i, round);
        }
    }
    table_print(bench);
    figures_report(bench);
    if (!bench_report_write(bench->report, bench->json)) {
        return 2;
    }
    return stress_failed() ? 1 : 0;
}

int main(int argc, char **argv)
{
    static struct bench bench = {
        .parameters = {.keys = 100000,
                       .operations = 1000000,
                       .key_bytes = BENCH_KEY_BYTES,
                       .value_bytes = 64,
                       .threads = 2,
                       .seed = 1},
        .rounds = 5,
    };
    const struct stress_option options[] = {
        {"keys", STRESS_NUMBER, &bench.parameters.keys, "records"},
        {"operations", STRESS_NUMBER, &bench.parameters.operations,
         "of each thread, but for the first puts"},
        {"key-bytes", STRESS_NUMBER, &bench.parameters.key_bytes, "16 to 64"},
        {"value-bytes", STRESS_NUMBER, &bench.parameters.value_bytes, "1 to 16384"},
        {"threads", STRESS_NUMBER, &bench.parameters.threads, "1, 2, 4 … up to so many"},
        {"rounds", STRESS_NUMBER, &bench.rounds, "of which the medians are taken"},
        {"seed", STRESS_NUMBER, &bench.parameters.seed, "of keys and orders; 0: a fresh one"},
        {"lazy", STRESS_NUMBER, &bench.lazy, "1: also \"" MAP_LAZY "\", with files"},
        {"only", STRESS_TEXT, &bench.only, "the names of the maps to measure, commas between"},
        {"json", STRESS_TEXT, &bench.json, "a file for the figures"},
    };
    const size_t option_count = sizeof options / sizeof options[0];
    if (!stress_options_parse(argc, argv, options, option_count) || !is_usable(&bench)) {
        return 2;
    }
    bench.map_count = map_peers_choose(bench.only, bench.lazy != 0, bench.maps);
    if (bench.map_count == 0) {
        fprintf(stderr, "no map is called \"%s\"\n", bench.only);
        return 2;
    }
    stress_seed_choose(&bench.parameters.seed);
    bench.report = bench_report_begin(argv[0], options, option_count);
    int status = bench_run(&bench);
    map_inputs_free(&bench.inputs);
    return status;
}
