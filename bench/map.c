/*
 * The table beside its peers, in memory: single-thread get and put, and mixes of both by two threads
 * with keys by Zipf's law.  16-byte keys, 64-byte values; every map is called through the same
 * functions and copies the value out.  The maps take turns within each round; the figures are medians
 * over the rounds.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dictsqlite.h>

#include "bench/harness.h"
#include "bench/map_peers.h"
#include "stress/map_ops.h"
#include "stress/options.h"
#include "stress/verdict.h"

#define MAPS_MAX 8
#define ROUNDS_MAX 64
#define VALUE_BYTES 64
#define ZIPF_EXPONENT 0.99

enum workload { FILL, GET, OVERWRITE, MIX_95, MIX_50, MIX_95_ALONE, WORKLOADS };

static const char *const workload_names[WORKLOADS] = {
    "put, new keys",         "get, hits",          "put, over", "95/5 Zipf, 2 threads",
    "50/50 Zipf, 2 threads", "95/5 Zipf, 1 thread"};

struct parameters {
    uint64_t keys;
    uint64_t operations;
    uint64_t rounds;
    uint64_t seed;
    const char *only;
};

/* What one thread does, prepared beforehand: no random numbers are drawn while the clock runs. */
struct plan {
    const struct map_ops *ops;
    void *map;
    const char *keys; /* BENCH_KEY_BYTES each */
    const uint32_t *order;
    uint64_t order_count; /* after which it begins again */
    uint64_t count;
    unsigned writes_percent;
    uint64_t sum; /* of the first bytes read: what was read is used */
};

struct bench {
    const struct parameters *parameters;
    char *keys;
    uint32_t *uniform; /* every key once, shuffled */
    uint32_t *zipf[2];
    double samples[MAPS_MAX][WORKLOADS][ROUNDS_MAX];
    uint64_t work; /* hash of what was done */
};

static struct map_bytes key_at(const struct plan *plan, uint64_t i)
{
    return (struct map_bytes){plan->keys +
                                  (uint64_t)plan->order[i % plan->order_count] * BENCH_KEY_BYTES,
                              BENCH_KEY_BYTES};
}

static void plan_run(struct plan *plan)
{
    static const unsigned char value_bytes[VALUE_BYTES] = "value";
    const struct map_bytes value = {value_bytes, VALUE_BYTES};
    struct map_buffer found;
    for (uint64_t i = 0; i < plan->count; i++) {
        if (i % 100 < plan->writes_percent) {
            if (plan->ops->put(plan->map, key_at(plan, i), value) != MAP_OK) {
                stress_violation("%s: a put failed", plan->ops->name);
            }
        } else if (plan->ops->get(plan->map, key_at(plan, i), &found) == MAP_OK) {
            plan->sum += found.data[0];
        } else {
            stress_violation("%s: a key is missing", plan->ops->name);
        }
    }
}

static void plan_main(void *context)
{
    struct plan *plan = context;
    plan->ops->thread_enter(plan->map);
    plan_run(plan);
    plan->ops->thread_exit(plan->map);
}

/* Operations a second of `threads` plans run at once. */
static double measure(struct plan *plans, unsigned threads)
{
    uint64_t operations = 0;
    uint64_t elapsed_ns = bench_run_threads(threads, plan_main, plans, sizeof plans[0]);
    for (unsigned i = 0; i < threads; i++) {
        operations += plans[i].count;
    }
    return (double)operations * 1e9 / (double)elapsed_ns;
}

static double workload_run(struct bench *bench, const struct map_ops *ops, void *map,
                           enum workload workload)
{
    static const unsigned writes[WORKLOADS] = {100, 0, 100, 5, 50, 5};
    unsigned threads = workload == MIX_95 || workload == MIX_50 ? 2 : 1;
    bool zipf = workload >= MIX_95;
    struct plan plans[2];
    for (unsigned i = 0; i < 2; i++) {
        plans[i] = (struct plan){
            .ops = ops,
            .map = map,
            .keys = bench->keys,
            .order = zipf ? bench->zipf[i] : bench->uniform,
            .order_count = zipf ? bench->parameters->operations : bench->parameters->keys,
            .count = workload == FILL ? bench->parameters->keys : bench->parameters->operations,
            .writes_percent = writes[workload],
        };
    }
    double rate = measure(plans, threads);
    bench->work = stress_mix3(bench->work, plans[0].sum, plans[1].sum);
    return rate;
}

static void round_run(struct bench *bench, const struct map_ops *const *maps, size_t count,
                      uint64_t round)
{
    const struct map_config config = {.mode = DSQ_MODE_MEMORY, .capacity = UINT64_MAX};
    for (size_t i = 0; i < count; i++) {
        void *map = maps[i]->create(&config);
        if (map == NULL) {
            abort();
        }
        for (int workload = 0; workload < WORKLOADS; workload++) {
            bench->samples[i][workload][round] =
                workload_run(bench, maps[i], map, (enum workload)workload);
        }
        maps[i]->destroy(map);
    }
}

static bool bench_prepare(struct bench *bench)
{
    const struct parameters *parameters = bench->parameters;
    struct stress_random random = {.state = parameters->seed};
    struct bench_zipf zipf;
    bench->keys = malloc(parameters->keys * BENCH_KEY_BYTES);
    bench->uniform = malloc(parameters->keys * sizeof *bench->uniform);
    bench_zipf_init(&zipf, parameters->keys, ZIPF_EXPONENT);
    for (unsigned i = 0; i < 2; i++) {
        bench->zipf[i] = malloc(parameters->operations * sizeof *bench->zipf[i]);
        if (bench->zipf[i] == NULL || bench->keys == NULL || bench->uniform == NULL) {
            return false;
        }
    }
    for (uint64_t i = 0; i < parameters->keys; i++) {
        bench_key(stress_mix3(parameters->seed, i, 1) % UINT64_C(10000000000000000),
                  bench->keys + i * BENCH_KEY_BYTES);
        uint64_t j = stress_random_below(&random, i + 1);
        bench->uniform[i] = bench->uniform[j];
        bench->uniform[j] = (uint32_t)i;
    }
    for (unsigned i = 0; i < 2; i++) {
        for (uint64_t j = 0; j < parameters->operations; j++) {
            bench->zipf[i][j] = (uint32_t)bench_zipf_next(&zipf, &random);
            bench->work = stress_mix3(bench->work, bench->zipf[i][j], j);
        }
    }
    return true;
}

static void table_print(struct bench *bench, const struct map_ops *const *maps, size_t count)
{
    printf("%-30s", "million operations a second");
    for (int workload = 0; workload < WORKLOADS; workload++) {
        printf("%24s", workload_names[workload]);
    }
    printf("\n");
    for (size_t i = 0; i < count; i++) {
        printf("%-30s", maps[i]->name);
        for (int workload = 0; workload < WORKLOADS; workload++) {
            printf("%24.2f",
                   bench_median(bench->samples[i][workload], bench->parameters->rounds) / 1e6);
        }
        printf("\n");
    }
    printf("work %016" PRIx64 "\n", bench->work);
}

/* All maps, or the one of that name. */
static size_t maps_choose(const struct map_ops *maps[MAPS_MAX], const char *only)
{
    const struct map_ops *all[MAPS_MAX] = {&map_dictsqlite, &map_rculfhash};
    size_t known = 2;
    size_t count = 0;
    for (size_t i = 0; map_peers[i] != NULL && known < MAPS_MAX; i++) {
        all[known++] = map_peers[i];
    }
    for (size_t i = 0; i < known; i++) {
        if (only == NULL || strcmp(all[i]->name, only) == 0) {
            maps[count++] = all[i];
        }
    }
    return count;
}

int main(int argc, char **argv)
{
    struct parameters parameters = {.keys = 100000, .operations = 1000000, .rounds = 5, .seed = 1};
    static struct bench bench;
    const struct map_ops *maps[MAPS_MAX];
    size_t count;
    const struct stress_option options[] = {
        {"keys", STRESS_NUMBER, &parameters.keys, "records"},
        {"operations", STRESS_NUMBER, &parameters.operations,
         "of each thread, but for the first puts"},
        {"rounds", STRESS_NUMBER, &parameters.rounds, "of which the medians are taken"},
        {"seed", STRESS_NUMBER, &parameters.seed, "of keys and orders; 0: a fresh one"},
        {"only", STRESS_TEXT, &parameters.only, "the name of the one map to measure"},
    };
    if (!stress_options_parse(argc, argv, options, sizeof options / sizeof options[0]) ||
        parameters.keys == 0 || parameters.keys > UINT32_MAX || parameters.operations == 0 ||
        parameters.rounds == 0 || parameters.rounds > ROUNDS_MAX) {
        return 2;
    }
    count = maps_choose(maps, parameters.only);
    if (count == 0) {
        fprintf(stderr, "no map is called \"%s\"\n", parameters.only);
        return 2;
    }
    stress_seed_choose(&parameters.seed);
    bench_print_machine();
    stress_options_print_replay(argv[0], options, sizeof options / sizeof options[0]);
    bench.parameters = &parameters;
    if (!bench_prepare(&bench)) {
        fprintf(stderr, "out of memory\n");
        return 2;
    }
    for (uint64_t round = 0; round < parameters.rounds; round++) {
        round_run(&bench, maps, count, round);
    }
    table_print(&bench, maps, count);
    free(bench.keys);
    free(bench.uniform);
    free(bench.zipf[0]);
    free(bench.zipf[1]);
    return stress_failed() ? 1 : 0;
}
