/*
 * What a password costs: the same work on an encrypted store and on a plain one, taking turns; medians
 * over the rounds.  Hot gets, durable batches, single durable puts, cold gets in random order (the
 * files in the page cache), and opening, with Argon2id as it is by default.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <dictsqlite.h>
#include <sodium.h>

#include "bench/harness.h"
#include "bench/report.h"
#include "stress/options.h"

#define VALUE_BYTES 64
#define ROUNDS_MAX 64
#define SMALL_TIER 1000
#define OPENS 5

enum side { PLAIN, ENCRYPTED, SIDES };

struct parameters {
    uint64_t rows;
    uint64_t batch;
    uint64_t puts;
    uint64_t hot;
    uint64_t rounds;
    uint64_t seed;
    const char *path;
    const char *json;
};

static char paths[SIDES][300];

static void require(int status, const char *call)
{
    if (status != DSQ_OK) {
        fprintf(stderr, "%s: %s\n", call, dsq_strerror(status));
        exit(1);
    }
}

static dsq_db *open_side(enum side side, int mode, uint64_t hot_capacity)
{
    const struct dsq_options options = {.persist_mode = mode,
                                        .hot_capacity = hot_capacity,
                                        .password = side == ENCRYPTED ? "password" : NULL,
                                        .password_size = side == ENCRYPTED ? 8 : 0};
    dsq_db *db;
    require(dsq_open(paths[side], &options, &db), "dsq_open");
    return db;
}

static void remove_side(enum side side)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-lock"};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char name[2 * sizeof paths[0] + 8];
        snprintf(name, sizeof name, "%s%s", paths[side], suffixes[i]);
        unlink(name);
    }
}

/* Numbers below count in an order that visits each once: an odd step through a power of two. */
static uint64_t scattered(uint64_t i, uint64_t count)
{
    uint64_t mask = dsq_next_power_of_two(count) - 1;
    uint64_t number = i;
    do {
        number = (number * UINT64_C(0x9E3779B97F4A7C15) + 1) & mask;
    } while (number >= count);
    return number;
}

static unsigned char first_byte(uint64_t number)
{
    return (unsigned char)stress_mix(number);
}

static void put(dsq_db *db, uint64_t number)
{
    char key[BENCH_KEY_BYTES];
    unsigned char value[VALUE_BYTES];
    bench_key(number, key);
    memset(value, first_byte(number), sizeof value);
    require(dsq_put(db, key, sizeof key, value, sizeof value), "dsq_put");
}

static void get(dsq_db *db, uint64_t number)
{
    char key[BENCH_KEY_BYTES];
    void *value;
    size_t size;
    bench_key(number, key);
    require(dsq_get(db, key, sizeof key, &value, &size), "dsq_get");
    if (size != VALUE_BYTES || *(unsigned char *)value != first_byte(number)) {
        fprintf(stderr, "a wrong value\n");
        exit(1);
    }
    dsq_free(value);
}

/* Each measures one side and returns nanoseconds an operation. */

static double hot_gets(enum side side, const struct parameters *parameters)
{
    dsq_db *db = open_side(side, DSQ_MODE_LAZY, DSQ_UNBOUNDED);
    for (uint64_t i = 0; i < parameters->hot; i++) {
        get(db, i);
    }
    uint64_t before = dsq_now_ns();
    for (uint64_t i = 0; i < 10 * parameters->hot; i++) {
        get(db, i % parameters->hot);
    }
    uint64_t after = dsq_now_ns();
    require(dsq_close(db), "dsq_close");
    return (double)(after - before) / (double)(10 * parameters->hot);
}

static double cold_gets(enum side side, const struct parameters *parameters)
{
    dsq_db *db = open_side(side, DSQ_MODE_LAZY, SMALL_TIER);
    uint64_t number = parameters->seed % parameters->rows;
    /* Once through a tenth of them, so that what is to be kept in memory is. */
    for (uint64_t i = 0; i < parameters->rows / 10; i++) {
        get(db, number = scattered(number, parameters->rows));
    }
    uint64_t before = dsq_now_ns();
    for (uint64_t i = 0; i < parameters->rows / 4; i++) {
        get(db, number = scattered(number, parameters->rows));
    }
    uint64_t after = dsq_now_ns();
    require(dsq_close(db), "dsq_close");
    return (double)(after - before) / (double)(parameters->rows / 4);
}

/* New records in batches, each on disk before the next, without the fold after them. */
static double durable_batches(enum side side, const struct parameters *parameters)
{
    dsq_db *db = open_side(side, DSQ_MODE_WRITETHROUGH, DSQ_UNBOUNDED);
    dsq_batch *batch;
    require(dsq_batch_new(db, &batch), "dsq_batch_new");
    uint64_t number = parameters->rows;
    uint64_t count = 20 * parameters->batch;
    uint64_t before = dsq_now_ns();
    for (uint64_t i = 0; i < count; i += parameters->batch) {
        dsq_batch_clear(batch);
        for (uint64_t j = 0; j < parameters->batch; j++) {
            char key[BENCH_KEY_BYTES];
            unsigned char value[VALUE_BYTES] = {0};
            bench_key(number++, key);
            require(dsq_batch_put(batch, key, sizeof key, value, sizeof value), "dsq_batch_put");
        }
        require(dsq_batch_commit(batch), "dsq_batch_commit");
    }
    uint64_t after = dsq_now_ns();
    dsq_batch_destroy(batch);
    require(dsq_close(db), "dsq_close");
    return (double)(after - before) / (double)count;
}

static double durable_puts(enum side side, const struct parameters *parameters)
{
    dsq_db *db = open_side(side, DSQ_MODE_WRITETHROUGH, DSQ_UNBOUNDED);
    uint64_t before = dsq_now_ns();
    for (uint64_t i = 0; i < parameters->puts; i++) {
        put(db, i);
    }
    uint64_t after = dsq_now_ns();
    require(dsq_close(db), "dsq_close");
    return (double)(after - before) / (double)parameters->puts;
}

static double opens(enum side side, const struct parameters *parameters)
{
    uint64_t spent = 0;
    (void)parameters;
    for (int i = 0; i < OPENS; i++) {
        uint64_t before = dsq_now_ns();
        dsq_db *db = open_side(side, DSQ_MODE_WRITETHROUGH, 0);
        spent += dsq_now_ns() - before;
        require(dsq_close(db), "dsq_close");
    }
    return (double)spent / OPENS;
}

/* Argon2id by itself, with the limits that are the default: what opening cannot do without. */
static double argon2id(void)
{
    static const unsigned char salt[crypto_pwhash_SALTBYTES];
    unsigned char key[32];
    double samples[OPENS];
    for (int i = 0; i < OPENS; i++) {
        uint64_t before = dsq_now_ns();
        if (crypto_pwhash(key, sizeof key, "password", 8, salt, 3, (size_t)64 << 20,
                          crypto_pwhash_ALG_ARGON2ID13) != 0) {
            exit(1);
        }
        samples[i] = (double)(dsq_now_ns() - before);
    }
    return bench_median(samples, OPENS);
}

static const struct section {
    const char *name;
    double (*measure)(enum side side, const struct parameters *parameters);
    double unit; /* nanoseconds */
    const char *unit_name;
} sections[] = {
    {"a hot get", hot_gets, 1, "ns"},
    {"a cold get", cold_gets, 1e3, "us"},
    {"a durable put, alone", durable_puts, 1e3, "us"},
    {"a durable put, in a batch", durable_batches, 1, "ns"},
    {"opening", opens, 1e6, "ms"},
};

static void fill(enum side side, const struct parameters *parameters)
{
    remove_side(side);
    dsq_db *db = open_side(side, DSQ_MODE_LAZY, 0);
    for (uint64_t i = 0; i < parameters->rows; i++) {
        put(db, i);
    }
    require(dsq_close(db), "dsq_close");
}

/* Of the order in which the cold gets go, which is what the seed changes. */
static uint64_t work_of(const struct parameters *parameters)
{
    uint64_t number = parameters->seed % parameters->rows;
    uint64_t work = parameters->rows;
    for (uint64_t i = 0; i < parameters->rows / 10 + parameters->rows / 4; i++) {
        number = scattered(number, parameters->rows);
        work = stress_mix(work + number);
    }
    return work;
}

static void section_report(const struct section *section, double samples_ns[SIDES][ROUNDS_MAX],
                           uint64_t rounds, struct bench_report *report)
{
    static const char *const side_names[SIDES] = {"plain", "encrypted"};
    for (int side = 0; side < SIDES; side++) {
        double per_second[ROUNDS_MAX];
        for (uint64_t round = 0; round < rounds; round++) {
            per_second[round] = (double)DSQ_NS_PER_S / samples_ns[side][round];
        }
        bench_report_figure_of(report, "store", side_names[side], section->name, 1);
        bench_report_rates(report, per_second, rounds);
    }
}

static void run(const struct section *section, const struct parameters *parameters,
                struct bench_report *report)
{
    double samples[SIDES][ROUNDS_MAX];
    double ratios[ROUNDS_MAX];
    for (uint64_t round = 0; round < parameters->rounds; round++) {
        for (int side = 0; side < SIDES; side++) {
            samples[side][round] = section->measure((enum side)side, parameters);
        }
        ratios[round] = samples[ENCRYPTED][round] / samples[PLAIN][round];
    }
    printf("%-26s %10.2f %s plain, %10.2f %s encrypted: x%.2f of the time\n", section->name,
           bench_median(samples[PLAIN], parameters->rounds) / section->unit, section->unit_name,
           bench_median(samples[ENCRYPTED], parameters->rounds) / section->unit, section->unit_name,
           bench_median(ratios, parameters->rounds));
    fflush(stdout);
    section_report(section, samples, parameters->rounds, report);
}

int main(int argc, char **argv)
{
    struct parameters parameters = {.rows = 1000000,
                                    .batch = 1000,
                                    .puts = 2000,
                                    .hot = 20000,
                                    .rounds = 5,
                                    .seed = 1,
                                    .path = "/tmp"};
    const struct stress_option options[] = {
        {"rows", STRESS_NUMBER, &parameters.rows, "of the stores"},
        {"batch", STRESS_NUMBER, &parameters.batch, "records of a durable batch"},
        {"puts", STRESS_NUMBER, &parameters.puts, "single durable puts"},
        {"hot", STRESS_NUMBER, &parameters.hot, "keys of the hot gets"},
        {"rounds", STRESS_NUMBER, &parameters.rounds, "of which the medians are taken"},
        {"seed", STRESS_NUMBER, &parameters.seed, "of the order of the cold gets; 0: a fresh one"},
        {"path", STRESS_TEXT, &parameters.path, "a folder for the files"},
        {"json", STRESS_TEXT, &parameters.json, "a file for the figures"},
    };
    if (!stress_options_parse(argc, argv, options, sizeof options / sizeof options[0]) ||
        parameters.rounds == 0 || parameters.rounds > ROUNDS_MAX || parameters.batch == 0 ||
        parameters.rows < 100 || parameters.hot == 0 || parameters.hot > parameters.rows ||
        parameters.puts == 0 || parameters.puts > parameters.rows) {
        return 2;
    }
    stress_seed_choose(&parameters.seed);
    struct bench_report *report =
        bench_report_begin(argv[0], options, sizeof options / sizeof options[0]);
    uint64_t work = work_of(&parameters);
    bench_report_parameter(report, "value_bytes", VALUE_BYTES);
    bench_report_work(report, "order of the cold gets", work);
    printf("work %016" PRIx64 "\n", work);
    for (int side = 0; side < SIDES; side++) {
        snprintf(paths[side], sizeof paths[side], "%s/dictsqlite-bench-%d-%d.db", parameters.path,
                 (int)getpid(), side);
        fill((enum side)side, &parameters);
    }
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++) {
        run(&sections[i], &parameters, report);
    }
    printf("Argon2id alone: %.2f ms\n", argon2id() / 1e6);
    for (int side = 0; side < SIDES; side++) {
        remove_side((enum side)side);
    }
    return bench_report_write(report, parameters.json) ? 0 : 1;
}
