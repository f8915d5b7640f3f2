/*
 * Threads that get, put, delete, view, batch and scan the same keys through the C API, in any mode
 * and with any hot tier, while stress/register_model.h checks every outcome.  At the end every key
 * must hold its owner's last write; in the persistent modes again after close and reopen.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <dictsqlite.h>

#include "stress/mixed_record.h"
#include "stress/mixed_worker.h"
#include "stress/options.h"
#include "stress/password.h"
#include "stress/verdict.h"

#define MEMORY_CHECK_INTERVAL_NS 5000000
#define THREADS_MAX 256
/* Small enough that writers meet back-pressure and the timer as well as each other. */
#define QUEUE_BYTES ((uint64_t)256 * 1024)
#define FLUSH_INTERVAL_MS 20
#define BUFFER_SIZE 200

struct parameters {
    uint64_t threads;
    uint64_t seconds;
    uint64_t seed;
    uint64_t capacity;
    uint64_t keys;
    uint64_t encrypt;
    int mode;
    const char *path;
};

static int database_open(const struct parameters *parameters, dsq_db **db)
{
    struct dsq_error error = {.status = DSQ_OK};
    struct dsq_options options = {
        .persist_mode = parameters->mode,
        .hot_capacity = parameters->capacity,
        .queue_bytes = QUEUE_BYTES,
        .flush_interval_ms = FLUSH_INTERVAL_MS,
        .buffer_size = BUFFER_SIZE,
        .error = &error,
    };
    stress_encrypt(&options, parameters->encrypt);
    int status = dsq_open(parameters->path, &options, db);
    if (status != DSQ_OK) {
        stress_violation("dsq_open of %s: %s", parameters->path, error.message);
    }
    return status;
}

static void sleep_briefly(void)
{
    struct timespec pause = {.tv_nsec = MEMORY_CHECK_INTERVAL_NS};
    nanosleep(&pause, NULL);
}

/* Watches the memory bound until the time is over or something is wrong. */
static void watch(struct mixed_run *run, uint64_t seconds)
{
    time_t end = time(NULL) + (time_t)seconds;
    while (time(NULL) < end && !stress_failed()) {
        mixed_check_memory(run);
        sleep_briefly();
    }
    atomic_store(&run->stop, true);
}

static uint64_t workers_run(struct mixed_run *run, const struct parameters *parameters)
{
    pthread_t threads[THREADS_MAX];
    struct mixed_worker *workers = calloc(run->threads, sizeof *workers);
    uint64_t started = 0;
    uint64_t operations = 0;
    for (; workers != NULL && started < run->threads; started++) {
        struct mixed_worker *worker = &workers[started];
        worker->run = run;
        worker->index = started;
        worker->random.state = stress_mix3(parameters->seed, started, 3);
        if (pthread_create(&threads[started], NULL, mixed_worker_main, worker) != 0) {
            break;
        }
    }
    if (started == run->threads) {
        watch(run, parameters->seconds);
    } else {
        stress_violation("cannot start %" PRIu64 " threads", run->threads);
    }
    for (uint64_t i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
        operations += workers[i].operations;
    }
    free(workers);
    return operations;
}

/* With nobody writing, the floor is the last write: a read allowed by the model is that version. */
static void last_writes_check(struct mixed_run *run, const char *when)
{
    uint64_t present = 0;
    for (uint64_t key = 0; key < run->model.count && !stress_failed(); key++) {
        unsigned char name[MIXED_KEY_BYTES_MAX];
        size_t name_size = mixed_key_encode(key, name);
        uint64_t last = register_floor(&run->model, key);
        atomic_store(&run->model.keys[key].started, last);
        void *value;
        size_t size = 0;
        int status = dsq_get(run->db, name, name_size, &value, &size);
        mixed_check_read(run, when, key, last, status, value, size);
        present += status == DSQ_OK;
        dsq_free(value);
    }
    uint64_t count = 0;
    int status = dsq_count(run->db, &count);
    stress_expect(run->db, "dsq_count", status, status == DSQ_OK);
    if (!stress_failed() && !run->model.may_vanish && count != present) {
        stress_violation("%s: dsq_count says %" PRIu64 ", gets find %" PRIu64, when, count,
                         present);
    }
}

static bool database_close(struct mixed_run *run)
{
    int status = dsq_close(run->db);
    if (!stress_expect(run->db, "dsq_close", status, status == DSQ_OK)) {
        dsq_abandon(run->db);
        return false;
    }
    return true;
}

static void figures_print(struct mixed_run *run, const struct parameters *parameters,
                          uint64_t operations)
{
    struct dsq_stats stats;
    dsq_stats(run->db, &stats);
    printf("%" PRIu64 " operations, %" PRIu64 " a second; hits %" PRIu64 ", misses %" PRIu64
           ", evictions %" PRIu64 ", commits %" PRIu64 ", retired bytes %" PRIu64 "\n",
           operations, operations / (parameters->seconds != 0 ? parameters->seconds : 1),
           stats.hits, stats.misses, stats.evictions, stats.commits, stats.retired_bytes);
}

static void run_all(struct mixed_run *run, const struct parameters *parameters)
{
    if (database_open(parameters, &run->db) != DSQ_OK) {
        return;
    }
    uint64_t operations = workers_run(run, parameters);
    figures_print(run, parameters, operations);
    last_writes_check(run, "the last write");
    if (!database_close(run) || parameters->mode == DSQ_MODE_MEMORY || stress_failed()) {
        return;
    }
    if (database_open(parameters, &run->db) == DSQ_OK) {
        last_writes_check(run, "the last write, after reopening");
        database_close(run);
    }
}

/* A fresh directory for a run that was given no file; removed again if nothing is wrong. */
static bool scratch_make(struct parameters *parameters, char directory[], char path[], size_t size)
{
    if (parameters->path != NULL || parameters->mode == DSQ_MODE_MEMORY) {
        return true;
    }
    if (mkdtemp(directory) == NULL) {
        perror("mkdtemp");
        return false;
    }
    snprintf(path, size, "%s/mixed.db", directory);
    parameters->path = path;
    return true;
}

int main(int argc, char **argv)
{
    struct parameters parameters = {
        .threads = 8, .seconds = 5, .capacity = 100, .keys = 10000, .mode = DSQ_MODE_WRITETHROUGH};
    const struct stress_option options[] = {
        {"threads", STRESS_NUMBER, &parameters.threads, "threads, each the writer of its keys"},
        {"seconds", STRESS_NUMBER, &parameters.seconds, "how long"},
        {"seed", STRESS_NUMBER, &parameters.seed, "of all random choices; 0: a fresh one"},
        {"capacity", STRESS_NUMBER, &parameters.capacity, "hot records, or unbounded"},
        {"keys", STRESS_NUMBER, &parameters.keys, "distinct keys, at least as many as threads"},
        {"encrypt", STRESS_NUMBER, &parameters.encrypt, STRESS_ENCRYPT_MEANING},
        {"mode", STRESS_MODE, &parameters.mode, "memory, lazy or writethrough"},
        {"path", STRESS_TEXT, &parameters.path, "a file that does not exist"},
    };
    size_t option_count = sizeof options / sizeof options[0];
    if (!stress_options_parse(argc, argv, options, option_count) || parameters.threads == 0 ||
        parameters.threads > THREADS_MAX || parameters.keys < parameters.threads) {
        return 2;
    }
    stress_seed_choose(&parameters.seed);
    stress_options_print_replay(argv[0], options, option_count);

    char directory[] = "/tmp/dictsqlite-mixed-XXXXXX";
    char path[sizeof directory + sizeof "/mixed.db"];
    bool may_vanish = parameters.mode == DSQ_MODE_MEMORY && parameters.capacity != DSQ_UNBOUNDED;
    bool given = parameters.path != NULL;
    struct mixed_run run = {
        .threads = parameters.threads, .mode = parameters.mode, .capacity = parameters.capacity};
    if (!scratch_make(&parameters, directory, path, sizeof path) ||
        !register_model_init(&run.model, parameters.keys, parameters.seed, may_vanish)) {
        return 2;
    }
    run_all(&run, &parameters);
    register_model_fini(&run.model);
    if (!given && parameters.path != NULL && !stress_failed()) {
        unlink(parameters.path);
        rmdir(directory);
    }
    return stress_verdict();
}
