/*
 * Threads that work on a few keys at once, in rounds; what they did and got is recorded, and after
 * each round every key's history is searched for an order that explains it
 * (stress/linearizability.h).  Any map of stress/map_ops.h, and dictsqlite in any mode.
 *
 * At most eight threads share a key, and a round is short: then the search ends (measured with other
 * checkers as well, see stress/linearizability.h).  For more threads and hours there is the
 * constant-time check of stress/mixed.c.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <dictsqlite.h>

#include "stress/linearize_kill.h"
#include "stress/linearize_run.h"
#include "stress/options.h"
#include "stress/password.h"
#include "stress/verdict.h"

#define CAPACITY_CHOSEN 0
#define CAPACITY_OF_FILES 2
#define WHOLE_ODDS 256

struct parameters {
    uint64_t threads;
    uint64_t seconds;
    uint64_t seed;
    uint64_t capacity;
    uint64_t keys;
    uint64_t operations;
    uint64_t storm;
    uint64_t whole;
    uint64_t kill;
    uint64_t encrypt;
    int mode;
    const char *map;
    const char *history;
    const char *path;
};

const struct map_ops *const map_ops_all[] = {&map_dictsqlite, &map_table, &map_rculfhash, NULL};

static void sleep_s(uint64_t seconds)
{
    struct timespec rest = {.tv_nsec = 10000000};
    time_t end = time(NULL) + (time_t)seconds;
    while (time(NULL) < end && !stress_failed()) {
        nanosleep(&rest, NULL);
    }
}

static bool wholes_make(const struct linearize_run *run, struct linearize_worker *worker)
{
    for (size_t i = 0; i < LINEARIZE_WHOLES_MAX; i++) {
        worker->wholes[i].seen = calloc(run->all_keys, sizeof *worker->wholes[i].seen);
        if (worker->wholes[i].seen == NULL) {
            return false;
        }
    }
    return true;
}

static void workers_free(struct linearize_run *run)
{
    for (uint64_t i = 0; i < run->threads; i++) {
        struct linearize_worker *worker = &run->workers[i];
        for (size_t j = 0; j < LINEARIZE_WHOLES_MAX; j++) {
            free(worker->wholes[j].seen);
        }
        history_free(&worker->gathered);
        linearize_log_free(worker->log, run->operations);
    }
}

static bool workers_make(struct linearize_run *run, struct linearize_worker *workers)
{
    for (uint64_t i = 0; i < run->threads; i++) {
        workers[i] = (struct linearize_worker){.run = run,
                                               .index = i,
                                               .process = (uint32_t)i,
                                               .last_seen = history_integer(0),
                                               .log = linearize_log_new(run->operations)};
        workers[i].random.state = stress_mix3(run->seed, i, 11);
        if (workers[i].log == NULL || !wholes_make(run, &workers[i])) {
            return false;
        }
    }
    return true;
}

/* Runs all threads for the given time. */
static void threads_run(struct linearize_run *run, const struct parameters *parameters)
{
    pthread_t threads[2 * LINEARIZE_THREADS_MAX];
    uint64_t total = run->threads + parameters->storm;
    for (uint64_t i = 0; i < total; i++) {
        int failed =
            i < run->threads
                ? pthread_create(&threads[i], NULL, linearize_worker_main, &run->workers[i])
                : pthread_create(&threads[i], NULL, linearize_storm_main, run);
        if (failed != 0) {
            /* The others wait for this one at the barrier: there is nothing to go on with. */
            fprintf(stderr, "cannot start thread %" PRIu64 "\n", i);
            exit(2);
        }
    }
    sleep_s(parameters->seconds);
    atomic_store(&run->stop, true);
    for (uint64_t i = 0; i < total; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void figures_print(const struct linearize_run *run, uint64_t seconds)
{
    printf("%" PRIu64 " operations checked, %" PRIu64 " a second, in %" PRIu64 " rounds;",
           run->checked, run->checked / (seconds != 0 ? seconds : 1), run->round);
    for (int i = 0; i < HISTORY_OP_COUNT; i++) {
        printf(" %s %" PRIu64 "/%" PRIu64 "%s", history_op_name((enum history_op)i),
               run->effective[i], run->counts[i], i + 1 < HISTORY_OP_COUNT ? "," : "\n");
    }
    printf("on the whole map:");
    for (int i = 0; i < WHOLE_KIND_COUNT; i++) {
        printf(" %s %" PRIu64 "%s", whole_kind_name((enum whole_kind)i), run->whole_counts[i],
               i + 1 < WHOLE_KIND_COUNT ? "," : "\n");
    }
    if (run->undecided > 0) {
        printf("%" PRIu64 " histories undecided: fewer threads or operations would be\n",
               run->undecided);
    }
}

static bool run_in_this_process(struct linearize_run *run, const struct parameters *parameters,
                                const struct map_config *config)
{
    run->map = run->ops->create(config);
    if (run->map == NULL) {
        return false;
    }
    pthread_barrier_init(&run->barrier, NULL, (unsigned)run->threads);
    threads_run(run, parameters);
    if (run->ops->describe != NULL) {
        run->ops->describe(run->map);
    }
    pthread_barrier_destroy(&run->barrier);
    run->ops->destroy(run->map);
    return true;
}

static int run_all(struct linearize_run *run, const struct parameters *parameters, const char *path)
{
    static struct linearize_worker workers[LINEARIZE_THREADS_MAX];
    struct linearize_kill kill = {
        .run = run,
        .config = {.mode = parameters->mode,
                   .capacity = parameters->capacity,
                   .encrypt = parameters->encrypt,
                   .path = path},
        .seconds = parameters->seconds,
        .work_us = 1000 * parameters->kill,
    };
    /* An encrypted file cannot be looked into beside the library. */
    run->file = parameters->mode != DSQ_MODE_MEMORY && !parameters->encrypt ? path : NULL;
    run->workers = workers;
    bool ran = workers_make(run, workers) &&
               (parameters->kill != 0 ? linearize_kill_run(&kill)
                                      : run_in_this_process(run, parameters, &kill.config));
    workers_free(run);
    if (!ran) {
        return 2;
    }
    figures_print(run, parameters->seconds);
    if (run->undecided > 0 && !stress_failed()) {
        return 2;
    }
    return stress_verdict();
}

static bool parameters_fit(struct parameters *parameters)
{
    if (parameters->capacity == CAPACITY_CHOSEN) {
        parameters->capacity =
            parameters->mode == DSQ_MODE_MEMORY ? DSQ_UNBOUNDED : CAPACITY_OF_FILES;
    }
    if (parameters->threads == 0 || parameters->threads > LINEARIZE_THREADS_MAX ||
        parameters->storm > LINEARIZE_THREADS_MAX || parameters->keys == 0 ||
        parameters->operations == 0) {
        fprintf(stderr, "threads 1 to %d, storm 0 to %d, keys and operations at least 1\n",
                LINEARIZE_THREADS_MAX, LINEARIZE_THREADS_MAX);
        return false;
    }
    if (parameters->kill != 0 && parameters->mode == DSQ_MODE_MEMORY) {
        fprintf(stderr, "what is in memory only does not survive being killed: choose a mode\n");
        return false;
    }
    return true;
}

/* In a directory of its own, which stays if something is found. */
static int run_with_files(struct linearize_run *run, const struct parameters *parameters)
{
    char directory[] = "/tmp/dictsqlite-linearize-XXXXXX";
    char path[sizeof directory + sizeof "/linearize.db"];
    char violation_path[sizeof directory + sizeof "/violation.jsonl"];
    if (mkdtemp(directory) == NULL) {
        return 2;
    }
    snprintf(path, sizeof path, "%s/linearize.db", directory);
    snprintf(violation_path, sizeof violation_path, "%s/violation.jsonl", directory);
    run->violation_path = violation_path;
    if (parameters->history != NULL && (run->history = fopen(parameters->history, "w")) == NULL) {
        perror(parameters->history);
        return 2;
    }
    int result = run_all(run, parameters, parameters->path != NULL ? parameters->path : path);
    if (run->history != NULL && fclose(run->history) != 0) {
        perror(parameters->history);
        result = 2;
    }
    if (result != 1) {
        unlink(path);
        rmdir(directory);
    }
    return result;
}

int main(int argc, char **argv)
{
    struct parameters parameters = {.threads = 4,
                                    .seconds = 5,
                                    .keys = 4,
                                    .operations = 400,
                                    .whole = WHOLE_ODDS,
                                    .mode = DSQ_MODE_MEMORY,
                                    .map = "dictsqlite"};
    const struct stress_option options[] = {
        {"threads", STRESS_NUMBER, &parameters.threads, "threads; eight at most share keys"},
        {"seconds", STRESS_NUMBER, &parameters.seconds, "how long"},
        {"seed", STRESS_NUMBER, &parameters.seed, "of all random choices; 0: a fresh one"},
        {"capacity", STRESS_NUMBER, &parameters.capacity,
         "hot records; 0: unbounded in memory mode, else a handful"},
        {"keys", STRESS_NUMBER, &parameters.keys, "keys that eight threads share"},
        {"operations", STRESS_NUMBER, &parameters.operations, "of a thread in a round"},
        {"storm", STRESS_NUMBER, &parameters.storm, "threads that make the tables grow and shrink"},
        {"whole", STRESS_NUMBER, &parameters.whole,
         "one in so many operations is on the whole map; 0: none"},
        {"kill", STRESS_NUMBER, &parameters.kill,
         "milliseconds in which the process that works is killed; 0: never"},
        {"mode", STRESS_MODE, &parameters.mode, "memory, lazy or writethrough"},
        {"map", STRESS_TEXT, &parameters.map,
         "dictsqlite, table (its hot tier alone) or rculfhash"},
        {"encrypt", STRESS_NUMBER, &parameters.encrypt, STRESS_ENCRYPT_MEANING},
        {"history", STRESS_TEXT, &parameters.history, "a file for every operation"},
        {"path", STRESS_TEXT, &parameters.path, "a database file that does not exist"},
    };
    size_t option_count = sizeof options / sizeof options[0];
    if (!stress_options_parse(argc, argv, options, option_count) || !parameters_fit(&parameters)) {
        return 2;
    }
    struct linearize_run run = {
        .ops = map_ops_find(parameters.map),
        .threads = parameters.threads,
        .keys = parameters.keys,
        .all_keys = parameters.keys *
                    ((parameters.threads + LINEARIZE_SHARERS_MAX - 1) / LINEARIZE_SHARERS_MAX),
        .operations = parameters.operations,
        .whole_odds = parameters.whole,
        .storms = parameters.storm,
        .may_vanish = parameters.mode == DSQ_MODE_MEMORY && parameters.capacity != DSQ_UNBOUNDED,
        .history_lock = PTHREAD_MUTEX_INITIALIZER,
    };
    stress_seed_choose(&parameters.seed);
    run.seed = parameters.seed;
    stress_options_print_replay(argv[0], options, option_count);

    return run.ops != NULL ? run_with_files(&run, &parameters) : 2;
}
