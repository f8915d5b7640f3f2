/*
 * dsq_multi_get beside loops of dsq_get and of dsq_view over the same keys in the same order, all of
 * them hot.  The three take turns within each round; medians over the rounds.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dictsqlite.h>

#include "bench/harness.h"
#include "stress/options.h"

#define VALUE_BYTES 64
#define ROUNDS_MAX 64
#define BATCH_MAX 1024

enum way { LOOP_OF_GETS, LOOP_OF_VIEWS, MULTI_GET, WAYS };

static const char *const way_names[WAYS] = {"a loop of dsq_get", "a loop of dsq_view",
                                            "dsq_multi_get"};

struct parameters {
    uint64_t keys;
    uint64_t batch;
    uint64_t rounds;
    uint64_t seed;
};

/* Each returns how many keys it found. */

static uint64_t by_get(dsq_db *db, const struct dsq_key *keys, size_t count)
{
    uint64_t found = 0;
    for (size_t i = 0; i < count; i++) {
        void *value;
        size_t size;
        found += dsq_get(db, keys[i].data, keys[i].size, &value, &size) == DSQ_OK &&
                 *(unsigned char *)value != 0;
        dsq_free(value);
    }
    return found;
}

static uint64_t by_view(dsq_db *db, const struct dsq_key *keys, size_t count)
{
    uint64_t found = 0;
    for (size_t i = 0; i < count; i++) {
        struct dsq_view view;
        found += dsq_view(db, keys[i].data, keys[i].size, &view) == DSQ_OK &&
                 *(const unsigned char *)view.data != 0;
        dsq_view_release(db, &view);
    }
    return found;
}

static uint64_t by_multi_get(dsq_db *db, const struct dsq_key *keys, size_t count)
{
    static struct dsq_view views[BATCH_MAX];
    static int statuses[BATCH_MAX];
    uint64_t found = 0;
    if (dsq_multi_get(db, keys, count, views, statuses) != DSQ_OK) {
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        found += statuses[i] == DSQ_OK && *(const unsigned char *)views[i].data != 0;
        dsq_view_release(db, &views[i]);
    }
    return found;
}

/* Nanoseconds a key of one pass over all keys; ends the program if one is not found. */
static double pass(dsq_db *db, enum way way, const struct dsq_key *keys,
                   const struct parameters *parameters)
{
    static uint64_t (*const ways[WAYS])(dsq_db *, const struct dsq_key *,
                                        size_t) = {by_get, by_view, by_multi_get};
    uint64_t found = 0;
    uint64_t before = dsq_now_ns();
    for (uint64_t i = 0; i < parameters->keys; i += parameters->batch) {
        uint64_t left = parameters->keys - i;
        found += ways[way](db, keys + i, left < parameters->batch ? left : parameters->batch);
    }
    uint64_t after = dsq_now_ns();
    if (found != parameters->keys) {
        fprintf(stderr, "%s found %" PRIu64 " of %" PRIu64 "\n", way_names[way], found,
                parameters->keys);
        exit(1);
    }
    return (double)(after - before) / (double)parameters->keys;
}

/* Fills the store, and makes the keys in an order of their own. */
static bool fill(dsq_db *db, char *names, struct dsq_key *keys, const struct parameters *parameters)
{
    struct stress_random random = {.state = parameters->seed};
    unsigned char value[VALUE_BYTES];
    memset(value, 'v', sizeof value);
    for (uint64_t i = 0; i < parameters->keys; i++) {
        char *name = names + i * BENCH_KEY_BYTES;
        bench_key(i, name);
        if (dsq_put(db, name, BENCH_KEY_BYTES, value, sizeof value) != DSQ_OK) {
            return false;
        }
        uint64_t j = stress_random_below(&random, i + 1);
        keys[i] = keys[j];
        keys[j] = (struct dsq_key){name, BENCH_KEY_BYTES};
    }
    return true;
}

static void run(dsq_db *db, const struct dsq_key *keys, const struct parameters *parameters)
{
    double samples[WAYS][ROUNDS_MAX];
    double gains[WAYS][ROUNDS_MAX];
    for (uint64_t round = 0; round < parameters->rounds; round++) {
        for (int way = 0; way < WAYS; way++) {
            samples[way][round] = pass(db, (enum way)way, keys, parameters);
        }
        for (int way = 0; way < WAYS; way++) {
            gains[way][round] = samples[way][round] / samples[MULTI_GET][round];
        }
    }
    for (int way = 0; way < WAYS; way++) {
        printf("%-20s %7.1f ns a key, x%.2f of dsq_multi_get\n", way_names[way],
               bench_median(samples[way], parameters->rounds),
               bench_median(gains[way], parameters->rounds));
    }
}

int main(int argc, char **argv)
{
    struct parameters parameters = {.keys = 1000000, .batch = 128, .rounds = 7, .seed = 1};
    const struct stress_option options[] = {
        {"keys", STRESS_NUMBER, &parameters.keys, "records"},
        {"batch", STRESS_NUMBER, &parameters.batch, "keys a call"},
        {"rounds", STRESS_NUMBER, &parameters.rounds, "of which the medians are taken"},
        {"seed", STRESS_NUMBER, &parameters.seed, "of the order; 0: a fresh one"},
    };
    const struct dsq_options memory = {.persist_mode = DSQ_MODE_MEMORY,
                                       .hot_capacity = DSQ_UNBOUNDED};
    dsq_db *db;
    if (!stress_options_parse(argc, argv, options, sizeof options / sizeof options[0]) ||
        parameters.keys == 0 || parameters.batch == 0 || parameters.batch > BATCH_MAX ||
        parameters.rounds == 0 || parameters.rounds > ROUNDS_MAX) {
        return 2;
    }
    stress_seed_choose(&parameters.seed);
    bench_print_machine();
    stress_options_print_replay(argv[0], options, sizeof options / sizeof options[0]);
    char *names = malloc(parameters.keys * BENCH_KEY_BYTES);
    struct dsq_key *keys = malloc(parameters.keys * sizeof *keys);
    if (names == NULL || keys == NULL || dsq_open(NULL, &memory, &db) != DSQ_OK ||
        !fill(db, names, keys, &parameters)) {
        fprintf(stderr, "cannot fill a store of %" PRIu64 " records\n", parameters.keys);
        return 2;
    }
    run(db, keys, &parameters);
    free(names);
    free(keys);
    return dsq_close(db) == DSQ_OK ? 0 : 1;
}
