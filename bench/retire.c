/*
 * What waits for a grace period while one reader stays in its section and writers overwrite: the bytes,
 * beside the documented bound, and how long the writers' puts take meanwhile.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <dictsqlite.h>

#include "bench/harness.h"
#include "bench/latency.h"
#include "persist/tier.h"
#include "stress/options.h"

#define VALUE_BYTES 64
#define WRITERS 2

struct run {
    dsq_db *db;
    uint64_t keys;
    uint64_t stay_ns;
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
    struct stress_random random = {role->number};
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

int main(int argc, char **argv)
{
    uint64_t keys = 100000;
    uint64_t milliseconds = 1000;
    const struct stress_option options[] = {
        {"keys", STRESS_NUMBER, &keys, "records"},
        {"milliseconds", STRESS_NUMBER, &milliseconds, "that the reader stays in its section"},
    };
    const size_t option_count = sizeof options / sizeof options[0];
    if (!stress_options_parse(argc, argv, options, option_count) || keys == 0) {
        return 2;
    }
    bench_print_machine();
    stress_options_print_replay(argv[0], options, option_count);
    struct run run = {.keys = keys, .stay_ns = milliseconds * 1000000};
    struct role roles[1 + WRITERS] = {{.run = &run}};
    struct bench_latency latency = {.samples = 0};
    struct dsq_options memory = {.persist_mode = DSQ_MODE_MEMORY, .hot_capacity = UINT64_MAX};
    if (dsq_open(NULL, &memory, &run.db) != DSQ_OK) {
        abort();
    }
    fill(run.db, keys);
    for (unsigned i = 0; i <= WRITERS; i++) {
        roles[i].run = &run;
        roles[i].number = i;
    }
    bench_run_threads(1 + WRITERS, play, roles, sizeof roles[0]);
    for (unsigned i = 1; i <= WRITERS; i++) {
        bench_latency_merge(&latency, &roles[i].latency);
    }
    printf("retired and not yet freed: %.1f MiB at most; bound: %.1f MiB\n",
           (double)atomic_load(&run.highest_bytes) / (1 << 20),
           (double)dsq_tier_retired_bytes_max() / (1 << 20));
    printf("%-12s %8s %8s %9s %11s\n", "puts", "median", "p99", "p99.99", "worst (ns)");
    printf("%-12" PRIu64 " ", latency.samples);
    bench_latency_print(&latency);
    printf("\n");
    bool held = atomic_load(&run.highest_bytes) <= dsq_tier_retired_bytes_max();
    printf("%s\n", held ? "bound held" : "BOUND EXCEEDED");
    dsq_close(run.db);
    return held ? 0 : 1;
}
