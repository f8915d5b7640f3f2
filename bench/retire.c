/*
 * What waits for a grace period while one reader stays in its section and writers overwrite: the bytes,
 * beside the documented bound, and how long the writers' puts take meanwhile; a fresh store in each round.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <dictsqlite.h>

#include "bench/harness.h"
#include "bench/latency.h"
#include "bench/report.h"
#include "persist/tier.h"
#include "stress/options.h"

#define VALUE_BYTES 64
#define WRITERS 2
#define ROUNDS_MAX 64
#define BYTES_PER_MIB (1 << 20)

struct run {
    dsq_db *db;
    uint64_t keys;
    uint64_t stay_ns;
    uint64_t seed;
    atomic_bool inside; /* the reader is */
    atomic_bool left;
    atomic_uint_fast64_t highest_bytes;
};

struct role {
    struct run *run;
    unsigned number; /* 0: the reader */
    struct bench_latency latency;
};

static void stay(void *context, const void *value, size_t size)
{
    struct run *run = context;
    struct timespec time = {.tv_sec = (time_t)(run->stay_ns / 1000000000),
                            .tv_nsec = (long)(run->stay_ns % 1000000000)};
    (void)value;
    (void)size;
    atomic_store(&run->inside, true);
    nanosleep(&time, NULL);
}

static void note_bytes(struct run *run)
{
    struct dsq_stats stats;
    dsq_stats(run->db, &stats);
    uint_fast64_t highest = atomic_load(&run->highest_bytes);
    while (stats.retired_bytes > highest &&
           !atomic_compare_exchange_weak(&run->highest_bytes, &highest, stats.retired_bytes)) {
    }
}

static void overwrite(struct role *role)
{
    static const unsigned char value[VALUE_BYTES] = "value";
    struct run *run = role->run;
    struct stress_random random = {stress_mix3(run->seed, role->number, 0)};
    char key[BENCH_KEY_BYTES];
    while (!atomic_load(&run->inside)) {
    }
    for (uint64_t i = 0; !atomic_load(&run->left); i++) {
        bench_key(stress_random_below(&random, run->keys), key);
        uint64_t before = dsq_now_ns();
        if (dsq_put(run->db, key, sizeof key, value, sizeof value) != DSQ_OK) {
            abort();
        }
        bench_latency_add(&role->latency, dsq_now_ns() - before);
        if (i % 1024 == 0) {
            note_bytes(run);
        }
    }
}

static void play(void *context)
{
    struct role *role = context;
    char key[BENCH_KEY_BYTES];
    if (role->number > 0) {
        overwrite(role);
        return;
    }
    bench_key(0, key);
    if (dsq_peek(role->run->db, key, sizeof key, stay, role->run) != DSQ_OK) {
        abort();
    }
    note_bytes(role->run);
    atomic_store(&role->run->left, true);
}

static void fill(dsq_db *db, uint64_t keys)
{
    static const unsigned char value[VALUE_BYTES] = "value";
    char key[BENCH_KEY_BYTES];
    for (uint64_t i = 0; i < keys; i++) {
        bench_key(i, key);
        if (dsq_put(db, key, sizeof key, value, sizeof value) != DSQ_OK) {
            abort();
        }
    }
}

struct parameters {
    uint64_t keys;
    uint64_t milliseconds;
    uint64_t rounds;
    uint64_t seed;
    const char *json;
};

/* What the rounds brought. */
struct outcome {
    double per_second[ROUNDS_MAX];
    struct bench_latency latency;
    uint64_t highest_bytes;
};

static void measure(const struct parameters *parameters, uint64_t round, struct outcome *outcome)
{
    struct run run = {.keys = parameters->keys,
                      .stay_ns = parameters->milliseconds * DSQ_NS_PER_MS,
                      .seed = stress_mix(parameters->seed) + round};
    struct role roles[1 + WRITERS] = {{.run = &run}};
    struct dsq_options memory = {.persist_mode = DSQ_MODE_MEMORY, .hot_capacity = UINT64_MAX};
    uint64_t puts = 0;
    if (dsq_open(NULL, &memory, &run.db) != DSQ_OK) {
        abort();
    }
    fill(run.db, parameters->keys);
    for (unsigned i = 0; i <= WRITERS; i++) {
        roles[i].run = &run;
        roles[i].number = i;
    }
    uint64_t elapsed_ns = bench_run_threads(1 + WRITERS, play, roles, sizeof roles[0]);
    for (unsigned i = 1; i <= WRITERS; i++) {
        bench_latency_merge(&outcome->latency, &roles[i].latency);
        puts += roles[i].latency.samples;
    }
    uint64_t highest_bytes = atomic_load(&run.highest_bytes);
    outcome->per_second[round] = (double)puts * (double)DSQ_NS_PER_S / (double)elapsed_ns;
    outcome->highest_bytes =
        highest_bytes > outcome->highest_bytes ? highest_bytes : outcome->highest_bytes;
    dsq_close(run.db);
}

static void print_outcome(const struct outcome *outcome)
{
    printf("retired and not yet freed: %.1f MiB at most; bound: %.1f MiB\n",
           (double)outcome->highest_bytes / BYTES_PER_MIB,
           (double)dsq_tier_retired_bytes_max() / BYTES_PER_MIB);
    printf("%-12s %8s %8s %9s %11s\n", "puts", "median", "p99", "p99.99", "worst (ns)");
    printf("%-12" PRIu64 " ", outcome->latency.samples);
    bench_latency_print(&outcome->latency);
    printf("\n");
}

int main(int argc, char **argv)
{
    static struct outcome outcome;
    struct parameters parameters = {.keys = 100000, .milliseconds = 1000, .rounds = 3, .seed = 1};
    const struct stress_option options[] = {
        {"keys", STRESS_NUMBER, &parameters.keys, "records"},
        {"milliseconds", STRESS_NUMBER, &parameters.milliseconds,
         "that the reader stays in its section"},
        {"rounds", STRESS_NUMBER, &parameters.rounds, "of which the medians are taken"},
        {"seed", STRESS_NUMBER, &parameters.seed, "of the writers' keys; 0: a fresh one"},
        {"json", STRESS_TEXT, &parameters.json, "a file for the figures"},
    };
    const size_t option_count = sizeof options / sizeof options[0];
    if (!stress_options_parse(argc, argv, options, option_count) || parameters.keys == 0 ||
        parameters.rounds == 0 || parameters.rounds > ROUNDS_MAX) {
        return 2;
    }
    stress_seed_choose(&parameters.seed);
    struct bench_report *report = bench_report_begin(argv[0], options, option_count);
    bench_report_parameter(report, "value_bytes", VALUE_BYTES);
    for (uint64_t round = 0; round < parameters.rounds; round++) {
        measure(&parameters, round, &outcome);
    }
    print_outcome(&outcome);
    bench_report_figure(report, "dictsqlite", "overwrite beside a reader that stays", WRITERS);
    bench_report_rates(report, outcome.per_second, parameters.rounds);
    bench_report_latency(report, &outcome.latency);
    bench_report_number(report, "retired_bytes", (double)outcome.highest_bytes);
    bench_report_number(report, "bound_bytes", (double)dsq_tier_retired_bytes_max());
    bool held = outcome.highest_bytes <= dsq_tier_retired_bytes_max();
    printf("%s\n", held ? "bound held" : "BOUND EXCEEDED");
    return bench_report_write(report, parameters.json) && held ? 0 : 1;
}
