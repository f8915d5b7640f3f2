/*
 * A table that starts small and grows under its writers: how long the worst of them waits, and what a
 * record costs beside its key and value.  Ours in memory mode without a bound, beside liburcu's
 * rculfhash with automatic resizing; they take turns within each round.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dictsqlite.h>

#include "bench/harness.h"
#include "bench/latency.h"
#include "bench/memory.h"
#include "bench/report.h"
#include "stress/map_ops.h"
#include "stress/options.h"
#include "stress/verdict.h"

#define VALUE_BYTES 64
#define THREADS_MAX 64
#define ROUNDS_MAX 64
#define KEYS_MAX UINT32_MAX
/* The worst put is kept for each of so many parts of the growth. */
#define PARTS 50

struct parameters {
    uint64_t keys;
    uint64_t threads;
    uint64_t rounds;
    uint64_t seed;
    const char *only;
    const char *json;
};

/* One thread's share of the order: from first, every step-th, below end. */
struct share {
    const struct map_ops *ops;
    void *map;
    const uint32_t *order;
    uint64_t first;
    uint64_t step;
    uint64_t end;
    struct bench_latency latency;
    uint64_t worst_ns[PARTS];
};

/* What a map did in all rounds. */
struct side {
    const struct map_ops *ops;
    const struct parameters *parameters;
    const uint32_t *order;
    double bytes_per_record;
    double per_second[ROUNDS_MAX];
    struct bench_latency latency;
    uint64_t worst_ns[PARTS];
};

/* The value of a key begins with its number. */
static void value_make(uint64_t number, unsigned char value[VALUE_BYTES])
{
    memset(value, 0, VALUE_BYTES);
    memcpy(value, &number, sizeof number);
}

static uint64_t higher(uint64_t left, uint64_t right)
{
    return left > right ? left : right;
}

static void put_share(void *context)
{
    unsigned char value[VALUE_BYTES];
    struct share *share = context;
    char key[BENCH_KEY_BYTES];
    share->ops->thread_enter(share->map);
    for (uint64_t i = share->first; i < share->end; i += share->step) {
        bench_key(share->order[i], key);
        value_make(share->order[i], value);
        uint64_t before = dsq_now_ns();
        enum map_status status = share->ops->put(share->map, (struct map_bytes){key, sizeof key},
                                                 (struct map_bytes){value, sizeof value});
        uint64_t taken_ns = dsq_now_ns() - before;
        uint64_t *worst_ns = &share->worst_ns[i * PARTS / share->end];
        bench_latency_add(&share->latency, taken_ns);
        *worst_ns = higher(*worst_ns, taken_ns);
        if (status != MAP_OK) {
            stress_violation("%s: a put failed", share->ops->name);
        }
    }
    share->ops->thread_exit(share->map);
}

static void check_all_there(const struct map_ops *ops, void *map, uint64_t keys)
{
    struct map_buffer value;
    unsigned char expected[VALUE_BYTES];
    char key[BENCH_KEY_BYTES];
    ops->thread_enter(map);
    for (uint64_t i = 0; i < keys; i++) {
        bench_key(i, key);
        value_make(i, expected);
        if (ops->get(map, (struct map_bytes){key, sizeof key}, &value) != MAP_OK ||
            value.size != VALUE_BYTES || memcmp(value.data, expected, VALUE_BYTES) != 0) {
            stress_violation("%s: key %" PRIu64 " is missing or another", ops->name, i);
            break;
        }
    }
    ops->thread_exit(map);
}

static void side_merge(struct side *side, const struct share *share)
{
    bench_latency_merge(&side->latency, &share->latency);
    for (unsigned i = 0; i < PARTS; i++) {
        side->worst_ns[i] = higher(side->worst_ns[i], share->worst_ns[i]);
    }
}

static struct share shares[THREADS_MAX];

/* Fills a new map, which is returned; the shares say what each thread met. */
static void *grow(const struct side *side, uint64_t *elapsed_ns)
{
    const struct map_config config = {.mode = DSQ_MODE_MEMORY, .capacity = UINT64_MAX};
    unsigned threads = (unsigned)side->parameters->threads;
    void *map = side->ops->create(&config);
    if (map == NULL) {
        abort();
    }
    memset(shares, 0, sizeof shares);
    for (unsigned i = 0; i < threads; i++) {
        shares[i].ops = side->ops;
        shares[i].map = map;
        shares[i].order = side->order;
        shares[i].first = i;
        shares[i].step = threads;
        shares[i].end = side->parameters->keys;
    }
    *elapsed_ns = bench_run_threads(threads, put_share, shares, sizeof shares[0]);
    return map;
}

/* In a process of its own, which ends with the map full. */
static void fill(void *context)
{
    uint64_t elapsed_ns;
    (void)grow(context, &elapsed_ns);
}

static void measure(struct side *side, uint64_t round)
{
    uint64_t elapsed_ns;
    uint64_t keys = side->parameters->keys;
    void *map = grow(side, &elapsed_ns);
    side->per_second[round] = (double)keys * (double)DSQ_NS_PER_S / (double)elapsed_ns;
    for (uint64_t i = 0; i < side->parameters->threads; i++) {
        side_merge(side, &shares[i]);
    }
    check_all_there(side->ops, map, keys);
    side->ops->destroy(map);
}

static void side_report(struct side *side, struct bench_report *report)
{
    const struct parameters *parameters = side->parameters;
    double per_second = bench_median(side->per_second, parameters->rounds);
    printf("%-12s %7.2f ", side->ops->name, per_second / 1e6);
    bench_latency_print(&side->latency);
    printf(" %12.1f\n", side->bytes_per_record - (BENCH_KEY_BYTES + VALUE_BYTES));
    bench_report_figure(report, side->ops->name, "put, growing", (unsigned)parameters->threads);
    bench_report_rates(report, side->per_second, parameters->rounds);
    bench_report_latency(report, &side->latency);
    bench_report_number(report, "bytes_per_record", side->bytes_per_record);
    for (unsigned i = 0; i < PARTS; i++) {
        bench_report_point(report, "worst_ns_by_records",
                           (double)parameters->keys * (i + 1) / PARTS, (double)side->worst_ns[i]);
    }
}

/* The keys in a shuffled order; NULL for want of memory. */
static uint32_t *order_new(const struct parameters *parameters)
{
    uint32_t *order = malloc(parameters->keys * sizeof *order);
    struct stress_random random = {parameters->seed};
    for (uint64_t i = 0; order != NULL && i < parameters->keys; i++) {
        uint64_t j = stress_random_below(&random, i + 1);
        order[i] = order[j];
        order[j] = (uint32_t)i;
    }
    return order;
}

/* The side of that name alone. */
static bool choose(struct side *sides, size_t *count, const char *name)
{
    for (size_t i = 0; i < *count; i++) {
        if (strcmp(sides[i].ops->name, name) == 0) {
            sides[0] = sides[i];
            *count = 1;
            return true;
        }
    }
    return false;
}

static int run(const struct parameters *parameters, struct bench_report *report)
{
    static struct side sides[] = {{.ops = &map_dictsqlite}, {.ops = &map_rculfhash}};
    size_t side_count = sizeof sides / sizeof sides[0];
    if (parameters->only != NULL && !choose(sides, &side_count, parameters->only)) {
        fprintf(stderr, "no map is called \"%s\"\n", parameters->only);
        return 2;
    }
    uint32_t *order = order_new(parameters);
    if (order == NULL) {
        fprintf(stderr, "out of memory\n");
        return 2;
    }
    uint64_t work = stress_checksum(order, parameters->keys * sizeof *order);
    bench_report_work(report, "order of the keys", work);
    printf("keys of %d bytes, values of %d; work %016" PRIx64 "; reading the clock takes %" PRIu64
           " ns of each latency\n",
           BENCH_KEY_BYTES, VALUE_BYTES, work, bench_clock_cost_ns());
    for (size_t i = 0; i < side_count; i++) {
        sides[i].parameters = parameters;
        sides[i].order = order;
        sides[i].bytes_per_record =
            (double)bench_memory_bytes(fill, &sides[i]) / (double)parameters->keys;
    }
    for (uint64_t round = 0; round < parameters->rounds; round++) {
        for (size_t i = 0; i < side_count; i++) {
            measure(&sides[i], round);
        }
    }
    free(order);
    printf("%-12s %7s %8s %8s %9s %11s %12s\n", "puts in ns", "M/s", "median", "p99", "p99.99",
           "worst", "bytes beside");
    for (size_t i = 0; i < side_count; i++) {
        side_report(&sides[i], report);
    }
    return stress_failed() ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct parameters parameters = {.keys = 10000000, .threads = 2, .rounds = 3, .seed = 1};
    const struct stress_option options[] = {
        {"keys", STRESS_NUMBER, &parameters.keys, "records"},
        {"threads", STRESS_NUMBER, &parameters.threads, "that put them"},
        {"rounds", STRESS_NUMBER, &parameters.rounds, "of which the medians are taken"},
        {"seed", STRESS_NUMBER, &parameters.seed, "of the order of the keys; 0: a fresh one"},
        {"only", STRESS_TEXT, &parameters.only, "the name of the one map to measure"},
        {"json", STRESS_TEXT, &parameters.json, "a file for the figures"},
    };
    const size_t option_count = sizeof options / sizeof options[0];
    if (!stress_options_parse(argc, argv, options, option_count) || parameters.keys == 0 ||
        parameters.keys > KEYS_MAX || parameters.threads == 0 || parameters.threads > THREADS_MAX ||
        parameters.rounds == 0 || parameters.rounds > ROUNDS_MAX) {
        return 2;
    }
    stress_seed_choose(&parameters.seed);
    struct bench_report *report = bench_report_begin(argv[0], options, option_count);
    bench_report_parameter(report, "key_bytes", BENCH_KEY_BYTES);
    bench_report_parameter(report, "value_bytes", VALUE_BYTES);
    int status = run(&parameters, report);
    return bench_report_write(report, parameters.json) ? status : 2;
}
