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
#include "bench/report.h"
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
    const char *json;
};

/* The value of a key begins with its number, from 1 on; each returns the sum of those that it found. */

static uint64_t number_of(const void *value)
{
    uint64_t number;
    memcpy(&number, value, sizeof number);
    return number;
}

static uint64_t by_get(dsq_db *db, const struct dsq_key *keys, size_t count)
{
    uint64_t found = 0;
    for (size_t i = 0; i < count; i++) {
        void *value;
        size_t size;
        if (dsq_get(db, keys[i].data, keys[i].size, &value, &size) == DSQ_OK) {
            found += number_of(value);
            dsq_free(value);
        }
    }
    return found;
}

static uint64_t by_view(dsq_db *db, const struct dsq_key *keys, size_t count)
{
    uint64_t found = 0;
    for (size_t i = 0; i < count; i++) {
        struct dsq_view view;
        if (dsq_view(db, keys[i].data, keys[i].size, &view) == DSQ_OK) {
            found += number_of(view.data);
            dsq_view_release(db, &view);
        }
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
        if (statuses[i] == DSQ_OK) {
            found += number_of(views[i].data);
            dsq_view_release(db, &views[i]);
        }
    }
    return found;
}

/* Keys a second of one pass over all of them; ends the program if what is found is not what was stored. */
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
    if (found != parameters->keys * (parameters->keys + 1) / 2) {
        fprintf(stderr, "%s did not find what was stored\n", way_names[way]);
        exit(1);
    }
    return (double)parameters->keys * (double)DSQ_NS_PER_S / (double)(after - before);
}

/* Fills the store, and makes the keys in an order of their own. */
static bool fill(dsq_db *db, char *names, struct dsq_key *keys, const struct parameters *parameters)
{
    struct stress_random random = {.state = parameters->seed};
    unsigned char value[VALUE_BYTES];
    memset(value, 'v', sizeof value);
    for (uint64_t i = 0; i < parameters->keys; i++) {
        char *name = names + i * BENCH_KEY_BYTES;
        uint64_t number = i + 1;
        bench_key(i, name);
        memcpy(value, &number, sizeof number);
        if (dsq_put(db, name, BENCH_KEY_BYTES, value, sizeof value) != DSQ_OK) {
            return false;
        }
        uint64_t j = stress_random_below(&random, i + 1);
        keys[i] = keys[j];
        keys[j] = (struct dsq_key){name, BENCH_KEY_BYTES};
    }
    return true;
}

/* Of the order of the keys. */
static uint64_t work_of(const struct dsq_key *keys, uint64_t count)
{
    uint64_t work = count;
    for (uint64_t i = 0; i < count; i++) {
        work = stress_mix(work + stress_checksum(keys[i].data, keys[i].size));
    }
    return work;
}

static void run(dsq_db *db, const struct dsq_key *keys, const struct parameters *parameters,
                struct bench_report *report)
{
    double samples[WAYS][ROUNDS_MAX];
    double gains[WAYS][ROUNDS_MAX];
    uint64_t work = work_of(keys, parameters->keys);
    for (uint64_t round = 0; round < parameters->rounds; round++) {
        for (int way = 0; way < WAYS; way++) {
            samples[way][round] = pass(db, (enum way)way, keys, parameters);
        }
        for (int way = 0; way < WAYS; way++) {
            gains[way][round] = samples[MULTI_GET][round] / samples[way][round];
        }
    }
    for (int way = 0; way < WAYS; way++) {
        bench_report_figure_of(report, "call", way_names[way], "get, hot", 1);
        bench_report_rates(report, samples[way], parameters->rounds);
        printf("%-20s %7.1f ns a key, x%.2f of dsq_multi_get\n", way_names[way],
               1e9 / bench_median(samples[way], parameters->rounds),
               bench_median(gains[way], parameters->rounds));
    }
    printf("work %016" PRIx64 "\n", work);
    bench_report_work(report, "order of the keys", work);
}

int main(int argc, char **argv)
{
    struct parameters parameters = {.keys = 1000000, .batch = 128, .rounds = 7, .seed = 1};
    const struct stress_option options[] = {
        {"keys", STRESS_NUMBER, &parameters.keys, "records"},
        {"batch", STRESS_NUMBER, &parameters.batch, "keys a call"},
        {"rounds", STRESS_NUMBER, &parameters.rounds, "of which the medians are taken"},
        {"seed", STRESS_NUMBER, &parameters.seed, "of the order; 0: a fresh one"},
        {"json", STRESS_TEXT, &parameters.json, "a file for the figures"},
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
    struct bench_report *report =
        bench_report_begin(argv[0], options, sizeof options / sizeof options[0]);
    bench_report_parameter(report, "key_bytes", BENCH_KEY_BYTES);
    bench_report_parameter(report, "value_bytes", VALUE_BYTES);
    char *names = malloc(parameters.keys * BENCH_KEY_BYTES);
    struct dsq_key *keys = malloc(parameters.keys * sizeof *keys);
    if (names == NULL || keys == NULL || dsq_open(NULL, &memory, &db) != DSQ_OK ||
        !fill(db, names, keys, &parameters)) {
        fprintf(stderr, "cannot fill a store of %" PRIu64 " records\n", parameters.keys);
        return 2;
    }
    run(db, keys, &parameters, report);
    free(names);
    free(keys);
    bool closed = dsq_close(db) == DSQ_OK;
    return bench_report_write(report, parameters.json) && closed ? 0 : 1;
}
