/*
 * Our table as a bounded cache beside others: look up, and on a miss insert.  The keys follow Zipf's law, and
 * there are as many of them as make an LRU cache of the capacity hit as often as wanted; what each
 * cache really hit is printed beside its throughput.  The caches take turns within each round, with the
 * same keys; the figures are medians over the rounds, and --json has the quartiles.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/cache_keys.h"
#include "bench/cache_peers.h"
#include "bench/harness.h"
#include "bench/memory.h"
#include "bench/report.h"
#include "stress/options.h"
#include "stress/verdict.h"

#define CACHES_MAX 4
#define ROUNDS_MAX 64
#define THREADS_MAX 256
#define ZIPF_EXPONENT 0.99
#define SHARD_BITS_MAX 6
#define SHARD_BITS_TRIED (SHARD_BITS_MAX + 1)
#define TRIALS 2
#define TRIAL_DIVISOR 4 /* of the operations of a round */
/* Entries beyond the capacity: of a thousand, for each thread that is inserting, one a shard for rounding. */
#define SLACK_PER_THOUSAND 10
#define SLACK_PER_THREAD 8
#define RATE_COLUMN 12

static const unsigned hit_percents[] = {99, 90, 50};

struct parameters {
    uint64_t capacity;
    uint64_t operations; /* of each thread, in a round */
    uint64_t value_bytes;
    uint64_t threads;
    uint64_t rounds;
    uint64_t shard_bits;
    uint64_t hit_percent; /* 0: hit_percents */
    uint64_t seed;
};

/* What one thread does with one cache. */
struct lane {
    const struct parameters *parameters;
    const struct map_ops *ops;
    void *cache;
    const char (*keys)[BENCH_KEY_BYTES];
    uint64_t operations;
    uint64_t hits;
};

struct cache {
    const struct map_ops *ops;
    void *handle;
    uint64_t shard_bits;
    double bytes_per_record;
    uint64_t entries;
    uint64_t hits;
    double rates[ROUNDS_MAX];
};

struct bench {
    struct parameters parameters;
    const char *only;
    const char *json;
    struct bench_report *report;
    char (*keys[THREADS_MAX])[BENCH_KEY_BYTES]; /* of the round */
    struct cache caches[CACHES_MAX];
    size_t cache_count;
    uint64_t work; /* a hash of all keys drawn */
};

/* ---- the work ---- */

static struct map_bytes key_of(const char key[BENCH_KEY_BYTES])
{
    return (struct map_bytes){key, BENCH_KEY_BYTES};
}

/* A value begins with its key, by which a hit is checked. */
static void insert(const struct lane *lane, const char key[BENCH_KEY_BYTES], char *value)
{
    memcpy(value, key, BENCH_KEY_BYTES);
    if (lane->ops->put(lane->cache, key_of(key),
                       (struct map_bytes){value, lane->parameters->value_bytes}) != MAP_OK) {
        stress_violation("%s: an insert failed", lane->ops->name);
    }
}

static void look_up(struct lane *lane, const char key[BENCH_KEY_BYTES], char *value)
{
    struct map_buffer found;
    enum map_status status = lane->ops->get(lane->cache, key_of(key), &found);
    if (status == MAP_ABSENT) {
        insert(lane, key, value);
        return;
    }
    lane->hits++;
    if (status != MAP_OK || found.size != lane->parameters->value_bytes ||
        memcmp(found.data, key, BENCH_KEY_BYTES) != 0) {
        stress_violation("%s: not the value of the key", lane->ops->name);
    }
}

static void lane_run(void *context)
{
    struct lane *lane = context;
    char value[MAP_VALUE_SIZE_MAX] = "";
    lane->ops->thread_enter(lane->cache);
    for (uint64_t i = 0; i < lane->operations; i++) {
        look_up(lane, lane->keys[i], value);
    }
    lane->ops->thread_exit(lane->cache);
}

/* Operations a second, of so many of each thread; *hits is how many of them hit. */
static double round_run(const struct bench *bench, const struct map_ops *ops, void *cache,
                        unsigned threads, uint64_t operations, uint64_t *hits)
{
    struct lane lanes[THREADS_MAX];
    for (unsigned i = 0; i < threads; i++) {
        lanes[i] = (struct lane){&bench->parameters, ops, cache, bench->keys[i], operations, 0};
    }
    uint64_t elapsed_ns = bench_run_threads(threads, lane_run, lanes, sizeof lanes[0]);
    *hits = 0;
    for (unsigned i = 0; i < threads; i++) {
        *hits += lanes[i].hits;
    }
    return (double)(threads * operations) * 1e9 / (double)elapsed_ns;
}

static void keys_draw(struct bench *bench, uint64_t count, unsigned threads, uint64_t round)
{
    struct bench_zipf zipf;
    bench_zipf_init(&zipf, count, ZIPF_EXPONENT);
    for (unsigned i = 0; i < threads; i++) {
        struct stress_random random = {
            .state = stress_mix3(bench->parameters.seed, round, count * THREADS_MAX + i)};
        for (uint64_t j = 0; j < bench->parameters.operations; j++) {
            uint64_t number = bench_zipf_next(&zipf, &random);
            bench_key(number, bench->keys[i][j]);
            bench->work = stress_mix3(bench->work, number, i);
        }
    }
}

/* ---- a cache ---- */

static void *cache_create(const struct parameters *parameters, const struct map_ops *ops,
                          uint64_t shard_bits)
{
    const struct map_config config = {
        .mode = DSQ_MODE_MEMORY, .capacity = parameters->capacity, .shard_bits = shard_bits};
    void *cache = ops->create(&config);
    if (cache == NULL) {
        abort();
    }
    return cache;
}

/* The first number from `number` on that has no divisor with `count` in common. */
static uint64_t coprime_above(uint64_t number, uint64_t count)
{
    for (;; number++) {
        uint64_t a = number;
        uint64_t b = count;
        while (b != 0) {
            uint64_t rest = a % b;
            a = b;
            b = rest;
        }
        if (a == 1) {
            return number;
        }
    }
}

/*
 * With the most frequent keys, in steps that meet each of them once and leave no two of them side by side
 * in memory.
 */
static void cache_fill(const struct parameters *parameters, const struct map_ops *ops, void *cache)
{
    struct lane lane = {.parameters = parameters, .ops = ops, .cache = cache};
    uint64_t count = parameters->capacity;
    uint64_t step = coprime_above(count / 8 * 5, count);
    char value[MAP_VALUE_SIZE_MAX] = "";
    char key[BENCH_KEY_BYTES];
    ops->thread_enter(cache);
    for (uint64_t i = 0; i < count; i++) {
        bench_key(i * step % count, key);
        insert(&lane, key, value);
    }
    ops->thread_exit(cache);
}

/* Full, and used as in the rounds that follow. */
static void *cache_warm(const struct bench *bench, const struct map_ops *ops, uint64_t shard_bits,
                        unsigned threads)
{
    uint64_t hits;
    void *cache = cache_create(&bench->parameters, ops, shard_bits);
    cache_fill(&bench->parameters, ops, cache);
    (void)round_run(bench, ops, cache, threads, bench->parameters.operations, &hits);
    return cache;
}

/* The number of shards with which it is fastest; ours has no such choice. */
static uint64_t shard_bits_choose(const struct bench *bench, const struct map_ops *ops,
                                  unsigned threads)
{
    uint64_t operations = bench->parameters.operations / TRIAL_DIVISOR + 1;
    uint64_t best = 0;
    double best_rate = 0;
    if (ops == &map_dictsqlite || bench->parameters.shard_bits < SHARD_BITS_TRIED) {
        return bench->parameters.shard_bits;
    }
    for (uint64_t i = 0; i < (uint64_t)SHARD_BITS_TRIED * TRIALS; i++) {
        uint64_t hits;
        uint64_t bits = i % SHARD_BITS_TRIED;
        void *cache = cache_warm(bench, ops, bits, threads);
        double rate = round_run(bench, ops, cache, threads, operations, &hits);
        ops->destroy(cache);
        if (rate > best_rate) {
            best = bits;
            best_rate = rate;
        }
    }
    return best;
}

static uint64_t entries_of(const struct cache *cache)
{
    uint64_t entries = 0;
    if (cache->ops->length(cache->handle, &entries) != MAP_OK) {
        stress_violation("%s cannot be counted", cache->ops->name);
    }
    return entries;
}

/* All have the same room, or the hit rates could not be compared. */
static void cache_check(struct cache *cache, const struct parameters *parameters, unsigned threads)
{
    uint64_t most = parameters->capacity + parameters->capacity * SLACK_PER_THOUSAND / 1000 +
                    (uint64_t)threads * SLACK_PER_THREAD + (UINT64_C(1) << cache->shard_bits);
    cache->entries = entries_of(cache);
    if (cache->entries > most) {
        stress_violation("%s holds %" PRIu64 " entries", cache->ops->name, cache->entries);
    }
}

struct fill {
    const struct parameters *parameters;
    const struct map_ops *ops;
};

static void fill_run(void *context)
{
    const struct fill *fill = context;
    void *cache = cache_create(fill->parameters, fill->ops, 0);
    cache_fill(fill->parameters, fill->ops, cache);
}

/* ---- a setting: a hit rate and a number of threads ---- */

static void row_print(struct bench *bench, unsigned percent, uint64_t keys, unsigned threads,
                      double *ratios)
{
    const struct parameters *parameters = &bench->parameters;
    double operations = (double)(threads * parameters->operations * parameters->rounds);
    printf("%u %% hits %15u%15" PRIu64, percent, threads, keys);
    for (size_t i = 0; i < bench->cache_count; i++) {
        struct cache *cache = &bench->caches[i];
        printf("%*.2f (%5.2f %%)", RATE_COLUMN,
               bench_median(cache->rates, parameters->rounds) / 1e6,
               100 * (double)cache->hits / operations);
    }
    if (bench->cache_count > 1) {
        printf("%10.2f", bench_median(ratios, parameters->rounds));
    }
    printf("\n");
}

static void setting_report(struct bench *bench, unsigned percent, unsigned threads)
{
    const struct parameters *parameters = &bench->parameters;
    char workload[32];
    snprintf(workload, sizeof workload, "%u %% hits", percent);
    for (size_t i = 0; i < bench->cache_count; i++) {
        struct cache *cache = &bench->caches[i];
        bench_report_figure(bench->report, cache->ops->name, workload, threads);
        bench_report_rates(bench->report, cache->rates, parameters->rounds);
        bench_report_number(bench->report, "hit_rate",
                            (double)cache->hits /
                                (double)(threads * parameters->operations * parameters->rounds));
        bench_report_number(bench->report, "bytes_per_record", cache->bytes_per_record);
        bench_report_number(bench->report, "entries", (double)cache->entries);
        if (cache->ops != &map_dictsqlite) {
            bench_report_number(bench->report, "shards", (double)(1U << cache->shard_bits));
        }
    }
}

/* Ours to the fastest of the others, in this round. */
static double ratio_of(const struct bench *bench, uint64_t round)
{
    double best = 0;
    for (size_t i = 1; i < bench->cache_count; i++) {
        double rate = bench->caches[i].rates[round];
        best = rate > best ? rate : best;
    }
    return bench->caches[0].rates[round] / best;
}

static void setting_measure(struct bench *bench, unsigned percent, unsigned threads)
{
    double ratios[ROUNDS_MAX];
    const struct parameters *parameters = &bench->parameters;
    uint64_t keys = cache_keys_for(parameters->capacity, ZIPF_EXPONENT, percent / 100.0);
    keys_draw(bench, keys, threads, UINT64_MAX);
    for (size_t i = 0; i < bench->cache_count; i++) {
        struct cache *cache = &bench->caches[i];
        cache->shard_bits = shard_bits_choose(bench, cache->ops, threads);
        cache->handle = cache_warm(bench, cache->ops, cache->shard_bits, threads);
        cache->hits = 0;
    }
    for (uint64_t round = 0; round < parameters->rounds; round++) {
        keys_draw(bench, keys, threads, round);
        for (size_t i = 0; i < bench->cache_count; i++) {
            uint64_t hits;
            struct cache *cache = &bench->caches[i];
            cache->rates[round] =
                round_run(bench, cache->ops, cache->handle, threads, parameters->operations, &hits);
            cache->hits += hits;
        }
        ratios[round] = ratio_of(bench, round);
    }
    for (size_t i = 0; i < bench->cache_count; i++) {
        cache_check(&bench->caches[i], parameters, threads);
        bench->caches[i].ops->destroy(bench->caches[i].handle);
    }
    row_print(bench, percent, keys, threads, ratios);
    setting_report(bench, percent, threads);
}

/* ---- the program ---- */

static void heading_print(struct bench *bench)
{
    printf("bytes of memory a record of %d and %" PRIu64 " bytes:", BENCH_KEY_BYTES,
           bench->parameters.value_bytes);
    for (size_t i = 0; i < bench->cache_count; i++) {
        printf(" %s %.0f", bench->caches[i].ops->name, bench->caches[i].bytes_per_record);
    }
    printf("\n%-17s%7s%15s", "million a second", "threads", "keys");
    for (size_t i = 0; i < bench->cache_count; i++) {
        printf("%*s", RATE_COLUMN + 10, bench->caches[i].ops->name);
    }
    printf("%s\n", bench->cache_count > 1 ? "  to best" : "");
}

/* Ours first. */
static void caches_choose(struct bench *bench)
{
    const struct map_ops *all[CACHES_MAX] = {&map_dictsqlite};
    size_t known = 1;
    for (size_t i = 0; cache_peers[i] != NULL && known < CACHES_MAX; i++) {
        all[known++] = cache_peers[i];
    }
    if (known == 1) {
        printf("RocksDB is not installed: ours alone\n");
    }
    for (size_t i = 0; i < known; i++) {
        if (bench->only == NULL || strcmp(all[i]->name, bench->only) == 0) {
            bench->caches[bench->cache_count++].ops = all[i];
        }
    }
}

static void memory_measure(struct bench *bench)
{
    for (size_t i = 0; i < bench->cache_count; i++) {
        struct fill fill = {&bench->parameters, bench->caches[i].ops};
        bench->caches[i].bytes_per_record =
            (double)bench_memory_bytes(fill_run, &fill) / (double)bench->parameters.capacity;
    }
}

static int bench_run(struct bench *bench)
{
    const struct parameters *parameters = &bench->parameters;
    for (uint64_t i = 0; i < parameters->threads; i++) {
        bench->keys[i] = calloc(parameters->operations, sizeof bench->keys[i][0]);
        if (bench->keys[i] == NULL) {
            fprintf(stderr, "out of memory\n");
            return 2;
        }
    }
    memory_measure(bench);
    heading_print(bench);
    for (size_t i = 0; i < sizeof hit_percents / sizeof hit_percents[0]; i++) {
        bool wanted = parameters->hit_percent == 0 || parameters->hit_percent == hit_percents[i];
        for (unsigned threads = 1; wanted && threads <= parameters->threads; threads *= 2) {
            setting_measure(bench, hit_percents[i], threads);
        }
    }
    printf("work: %016" PRIx64 "\n", bench->work);
    bench_report_work(bench->report, "all", bench->work);
    for (uint64_t i = 0; i < parameters->threads; i++) {
        free(bench->keys[i]);
    }
    if (!bench_report_write(bench->report, bench->json)) {
        return 2;
    }
    return stress_failed() ? 1 : 0;
}

static bool is_usable(const struct parameters *p)
{
    return p->capacity > 0 && p->capacity <= UINT32_MAX && p->operations > 0 &&
           p->value_bytes >= BENCH_KEY_BYTES && p->value_bytes <= MAP_VALUE_SIZE_MAX &&
           p->threads > 0 && p->threads <= THREADS_MAX && p->rounds > 0 &&
           p->rounds <= ROUNDS_MAX && p->shard_bits <= SHARD_BITS_TRIED;
}

int main(int argc, char **argv)
{
    static struct bench bench = {
        .parameters = {.capacity = 100000,
                       .operations = 1000000,
                       .value_bytes = 64,
                       .threads = 2,
                       .rounds = 5,
                       .shard_bits = SHARD_BITS_TRIED,
                       .seed = 1},
    };
    const struct stress_option options[] = {
        {"capacity", STRESS_NUMBER, &bench.parameters.capacity, "records in each cache"},
        {"operations", STRESS_NUMBER, &bench.parameters.operations, "of each thread, in a round"},
        {"value-bytes", STRESS_NUMBER, &bench.parameters.value_bytes, "16 to 16384"},
        {"threads", STRESS_NUMBER, &bench.parameters.threads, "1, 2, 4 … up to so many"},
        {"rounds", STRESS_NUMBER, &bench.parameters.rounds, "of which the medians are taken"},
        {"shard-bits", STRESS_NUMBER, &bench.parameters.shard_bits,
         "the logarithm of the peers' shards, 0 to 6; 7: the fastest, tried beforehand"},
        {"hits", STRESS_NUMBER, &bench.parameters.hit_percent, "99, 90 or 50 percent; 0: each"},
        {"seed", STRESS_NUMBER, &bench.parameters.seed, "of the keys; 0: a fresh one"},
        {"only", STRESS_TEXT, &bench.only, "the name of the one cache to measure"},
        {"json", STRESS_TEXT, &bench.json, "a file for the figures"},
    };
    const size_t option_count = sizeof options / sizeof options[0];
    if (!stress_options_parse(argc, argv, options, option_count) || !is_usable(&bench.parameters)) {
        return 2;
    }
    caches_choose(&bench);
    if (bench.cache_count == 0) {
        fprintf(stderr, "no cache is called \"%s\"\n", bench.only);
        return 2;
    }
    stress_seed_choose(&bench.parameters.seed);
    bench.report = bench_report_begin(argv[0], options, option_count);
    return bench_run(&bench);
}
