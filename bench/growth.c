/*
 * A table that starts small and grows under its writers: how long the worst of them waits, and what a
 * record costs beside its key and value.  Ours in memory mode without a bound, beside liburcu's
 * rculfhash with automatic resizing, in one run.
 */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dictsqlite.h>

#include "bench/harness.h"
#include "bench/latency.h"
#include "stress/map_ops.h"
#include "stress/options.h"
#include "stress/verdict.h"

#define VALUE_BYTES 64
#define THREADS_MAX 64

struct parameters {
    uint64_t keys;
    uint64_t threads;
};

/* One thread's share: keys first, first + step, ... below end. */
struct share {
    const struct map_ops *ops;
    void *map;
    uint64_t first;
    uint64_t step;
    uint64_t end;
    struct bench_latency latency;
};

static void put_share(void *context)
{
    static const unsigned char value[VALUE_BYTES] = "value";
    struct share *share = context;
    char key[BENCH_KEY_BYTES];
    share->ops->thread_enter(share->map);
    for (uint64_t i = share->first; i < share->end; i += share->step) {
        bench_key(i, key);
        uint64_t before = dsq_now_ns();
        enum map_status status = share->ops->put(share->map, (struct map_bytes){key, sizeof key},
                                                 (struct map_bytes){value, sizeof value});
        bench_latency_add(&share->latency, dsq_now_ns() - before);
        if (status != MAP_OK) {
            stress_violation("%s: a put failed", share->ops->name);
        }
    }
    share->ops->thread_exit(share->map);
}

static void check_all_there(const struct map_ops *ops, void *map, uint64_t keys)
{
    struct map_buffer value;
    char key[BENCH_KEY_BYTES];
    ops->thread_enter(map);
    for (uint64_t i = 0; i < keys; i++) {
        bench_key(i, key);
        if (ops->get(map, (struct map_bytes){key, sizeof key}, &value) != MAP_OK) {
            stress_violation("%s: key %" PRIu64 " is missing", ops->name, i);
            break;
        }
    }
    ops->thread_exit(map);
}

static void measure(const struct map_ops *ops, const struct parameters *parameters)
{
    static struct share shares[THREADS_MAX];
    const struct map_config config = {.mode = DSQ_MODE_MEMORY, .capacity = UINT64_MAX};
    struct bench_latency latency = {.samples = 0};
    malloc_trim(0);
    uint64_t before = bench_resident_bytes();
    void *map = ops->create(&config);
    if (map == NULL) {
        abort();
    }
    memset(shares, 0, sizeof shares);
    for (uint64_t i = 0; i < parameters->threads; i++) {
        shares[i].ops = ops;
        shares[i].map = map;
        shares[i].first = i;
        shares[i].step = parameters->threads;
        shares[i].end = parameters->keys;
    }
    uint64_t elapsed_ns =
        bench_run_threads((unsigned)parameters->threads, put_share, shares, sizeof shares[0]);
    uint64_t bytes = bench_resident_bytes() - before;
    for (uint64_t i = 0; i < parameters->threads; i++) {
        bench_latency_merge(&latency, &shares[i].latency);
    }
    printf("%-12s %7.2f ", ops->name, (double)latency.samples * 1e3 / (double)elapsed_ns);
    bench_latency_print(&latency);
    printf(" %12.1f\n", (double)bytes / (double)parameters->keys - (BENCH_KEY_BYTES + VALUE_BYTES));
    check_all_there(ops, map, parameters->keys);
    if (ops->describe != NULL) {
        ops->describe(map);
    }
    ops->destroy(map);
}

int main(int argc, char **argv)
{
    struct parameters parameters = {.keys = 10000000, .threads = 2};
    const struct stress_option options[] = {
        {"keys", STRESS_NUMBER, &parameters.keys, "records"},
        {"threads", STRESS_NUMBER, &parameters.threads, "that put them"},
    };
    const size_t option_count = sizeof options / sizeof options[0];
    if (!stress_options_parse(argc, argv, options, option_count) || parameters.keys == 0 ||
        parameters.threads == 0 || parameters.threads > THREADS_MAX) {
        return 2;
    }
    bench_print_machine();
    stress_options_print_replay(argv[0], options, option_count);
    printf("keys of %d bytes, values of %d; reading the clock takes %" PRIu64
           " ns of each latency\n",
           BENCH_KEY_BYTES, VALUE_BYTES, bench_clock_cost_ns());
    printf("%-12s %7s %8s %8s %9s %11s %12s\n", "puts in ns", "M/s", "median", "p99", "p99.99",
           "worst", "bytes beside");
    measure(&map_dictsqlite, &parameters);
    measure(&map_rculfhash, &parameters);
    return stress_failed() ? 1 : 0;
}
