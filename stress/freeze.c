/*
 * Progress while others are frozen: threads hammer a few hot records; now and then some are parked
 * by a signal at whatever instruction they were at, and the rest must complete a number of
 * operations, and the store commits, before the parked ones go on.  Any map of stress/map_ops.h can
 * be judged; one with a lock does not pass (map_locked, the control).
 *
 * Only a stop inside the map's own shared object counts.  The interrupted program counter says where a
 * thread was: one stopped in another shared object (malloc, memcpy) may hold the allocator's lock,
 * which is outside the promise; it is let go and parked again.  After some tries a thread that
 * sleeps in a wait of the library's is taken as well: in writethrough mode they hardly do anything
 * else.  Such a wait is the one place where code of ours goes through libc's syscall(); the locks
 * of libc make their system calls themselves.
 *
 * Batches are left out, since a many-key call stopped half-way may hold up commits.  A frozen
 * reader keeps retired memory from being freed, and writers wait at the library's cap on it: so the
 * others get a bounded number of operations per freeze.
 */
#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <dictsqlite.h>

#include "core/platform.h"
#include "stress/freeze_worker.h"
#include "stress/map_ops.h"
#include "stress/options.h"
#include "stress/random.h"
#include "stress/verdict.h"

#define THREADS_MAX 64
/* What each running thread must complete while others are parked, and may at most. */
#define OPERATIONS_PER_FREEZE 200
/* What each may complete at each try to park one: enough to be busy when the signal comes. */
#define OPERATIONS_PER_TRY 1000
/* A freeze begins with little retired, and parks no more threads with much. */
#define RETIRED_BYTES_LOW ((uint64_t)1024 * 1024)
#define RETIRED_BYTES_HIGH ((uint64_t)3 * 1024 * 1024)
#define PARK_TRIES 100
#define AWAKE_TRIES 20

struct parameters {
    uint64_t threads;
    uint64_t freezes;
    uint64_t seconds;
    uint64_t seed;
    uint64_t capacity;
    uint64_t patience;
    int mode;
    const char *map;
    const char *path;
};

struct freezer {
    const struct map_ops *ops;
    void *map;
    const struct parameters *parameters;
    struct stress_random random;
    const void *library; /* where it is mapped */
    uint64_t parked_in[OPERATION_COUNT];
    uint64_t parked_asleep;
    uint64_t parked_elsewhere;
    uint64_t freezes;
    uint64_t completed; /* operations, while others were parked */
    double parked_s;    /* how long that took */
    uint64_t commits;
    uint64_t places; /* of stops */
    uintptr_t *stops;
};

const struct map_ops *const map_ops_all[] = {&map_dictsqlite, &map_rculfhash, &map_locked, NULL};

static struct worker workers[THREADS_MAX];

static double now_s(void)
{
    return (double)dsq_now_ns() / 1e9;
}

/* Whether a stop at this address is one that the promise covers. */
static bool is_ours(struct freezer *freezer, uintptr_t address, bool asleep_too)
{
    Dl_info place;
    if (dladdr((const void *)address, &place) == 0) {
        return false;
    }
    if (place.dli_fbase == freezer->library) {
        return true;
    }
    bool asleep = place.dli_sname != NULL && strcmp(place.dli_sname, "syscall") == 0;
    freezer->parked_asleep += asleep && asleep_too;
    return asleep && asleep_too;
}

/* How many more operations each worker may complete. */
static void limits_set(const struct freezer *freezer, uint64_t operations)
{
    for (uint64_t i = 0; i < freezer->parameters->threads; i++) {
        uint64_t completed = atomic_load(&workers[i].completed);
        atomic_store(&workers[i].limit, completed + operations);
    }
}

static void limits_lift(const struct freezer *freezer)
{
    for (uint64_t i = 0; i < freezer->parameters->threads; i++) {
        atomic_store(&workers[i].limit, UINT64_MAX);
    }
}

static struct map_counters counters(const struct freezer *freezer)
{
    struct map_counters counters = {0};
    if (freezer->ops->count != NULL) {
        freezer->ops->count(freezer->map, &counters);
    }
    return counters;
}

static double deadline(const struct freezer *freezer)
{
    return now_s() + (double)freezer->parameters->patience;
}

/* Holds the workers back until the library has freed what they retired. */
static bool wait_retired_low(const struct freezer *freezer)
{
    double end = deadline(freezer);
    limits_set(freezer, 0);
    while (counters(freezer).retired_bytes > RETIRED_BYTES_LOW) {
        if (now_s() > end) {
            stress_violation("with no thread parked nothing is reclaimed");
            return false;
        }
        worker_pause();
    }
    return true;
}

/* True once the worker stands still inside the library. */
static bool park(struct freezer *freezer, struct worker *worker)
{
    for (int i = 0; i < PARK_TRIES && !stress_failed(); i++) {
        if (counters(freezer).retired_bytes > RETIRED_BYTES_HIGH) {
            return false;
        }
        limits_set(freezer, OPERATIONS_PER_TRY);
        if (!worker_park(worker)) {
            return false;
        }
        uintptr_t address = atomic_load(&worker->stopped_at);
        if (is_ours(freezer, address, i >= AWAKE_TRIES)) {
            freezer->stops[freezer->places++] = address;
            freezer->parked_in[atomic_load(&worker->operation)]++;
            return true;
        }
        freezer->parked_elsewhere++;
        if (!worker_release(worker)) {
            return false;
        }
    }
    return false;
}

static bool all_at_limit(struct freezer *freezer, uint64_t first_running)
{
    for (uint64_t i = first_running; i < freezer->parameters->threads; i++) {
        if (atomic_load(&workers[i].completed) < atomic_load(&workers[i].limit)) {
            return false;
        }
    }
    return true;
}

static uint64_t completed_by(const struct freezer *freezer, uint64_t first_running)
{
    uint64_t sum = 0;
    for (uint64_t i = first_running; i < freezer->parameters->threads; i++) {
        sum += atomic_load(&workers[i].completed);
    }
    return sum;
}

/* What was written meanwhile must be on disk, by a commit made meanwhile. */
static void commit_check(struct freezer *freezer, uint64_t commits_before)
{
    int64_t patience_ms = (int64_t)(1000 * freezer->parameters->patience);
    if (freezer->ops->flush(freezer->map, patience_ms) == MAP_OK &&
        counters(freezer).commits == commits_before) {
        stress_violation("no commit while threads were parked");
    }
    freezer->commits += counters(freezer).commits - commits_before;
}

/* Workers from first_running on have to complete their operations, and the store a commit. */
static void progress_check(struct freezer *freezer, uint64_t first_running)
{
    double start = now_s();
    double end = deadline(freezer);
    uint64_t completed_before = completed_by(freezer, first_running);
    uint64_t commits_before = counters(freezer).commits;
    limits_set(freezer, OPERATIONS_PER_FREEZE);
    while (!all_at_limit(freezer, first_running) && !stress_failed()) {
        if (now_s() > end) {
            stress_violation("with %" PRIu64 " threads parked the others stand still",
                             first_running);
        }
        worker_pause();
    }
    freezer->freezes++;
    freezer->parked_s += now_s() - start;
    freezer->completed += completed_by(freezer, first_running) - completed_before;
    if (freezer->parameters->mode != DSQ_MODE_MEMORY && freezer->ops->flush != NULL &&
        !stress_failed()) {
        commit_check(freezer, commits_before);
    }
}

/* Parks workers 0 .. parked-1 (which they are is chance: all do the same). */
static void freeze_once(struct freezer *freezer)
{
    uint64_t wanted = 1 + stress_random_below(&freezer->random, freezer->parameters->threads - 1);
    uint64_t parked = 0;
    if (!wait_retired_low(freezer)) {
        return;
    }
    while (parked < wanted && park(freezer, &workers[parked])) {
        parked++;
    }
    if (parked > 0 && !stress_failed()) {
        progress_check(freezer, parked);
    }
    limits_lift(freezer);
    for (uint64_t i = 0; i < parked; i++) {
        worker_release(&workers[i]);
    }
}

static int compare_places(const void *a, const void *b)
{
    uintptr_t left = *(const uintptr_t *)a;
    uintptr_t right = *(const uintptr_t *)b;
    return (left > right) - (left < right);
}

static void figures_print(struct freezer *freezer)
{
    uint64_t distinct = 0;
    qsort(freezer->stops, freezer->places, sizeof *freezer->stops, compare_places);
    for (uint64_t i = 0; i < freezer->places; i++) {
        distinct += i == 0 || freezer->stops[i] != freezer->stops[i - 1];
    }
    printf("%" PRIu64 " freezes; threads parked at %" PRIu64 " distinct instructions, in",
           freezer->freezes, distinct);
    for (int i = 0; i < OPERATION_COUNT; i++) {
        printf(" %s %" PRIu64 "%s", operation_names[i], freezer->parked_in[i],
               i + 1 < OPERATION_COUNT ? "," : "\n");
    }
    printf("of them asleep in a wait of the library's: %" PRIu64 "; %" PRIu64
           " stops elsewhere let go\n",
           freezer->parked_asleep, freezer->parked_elsewhere);
    printf("meanwhile the others completed %" PRIu64 " operations in %.3f s, the store %" PRIu64
           " commits\n",
           freezer->completed, freezer->parked_s, freezer->commits);
    if (freezer->freezes == 0 && !stress_failed()) {
        stress_violation("no thread could be parked inside the library");
    }
}

static void freezer_run(struct freezer *freezer)
{
    const struct parameters *parameters = freezer->parameters;
    double end = parameters->seconds != 0 ? now_s() + (double)parameters->seconds : 1e300;
    for (uint64_t i = 0; i < parameters->threads && !stress_failed(); i++) {
        worker_start(&workers[i], freezer->ops, freezer->map, stress_mix3(parameters->seed, i, 5));
    }
    for (uint64_t i = 0; i < parameters->freezes && now_s() < end && !stress_failed(); i++) {
        freeze_once(freezer);
    }
    for (uint64_t i = 0; i < parameters->threads && !stress_failed(); i++) {
        worker_join(&workers[i]);
    }
    figures_print(freezer);
}

static int map_run(const struct parameters *parameters, const char *path)
{
    struct map_config config = {.mode = parameters->mode,
                                .capacity = parameters->capacity,
                                .path = path,
                                .queue_bytes = DSQ_DEFAULT_QUEUE_BYTES};
    struct freezer freezer = {.ops = map_ops_find(parameters->map), .parameters = parameters};
    Dl_info library;
    freezer.random.state = parameters->seed;
    freezer.stops = calloc(parameters->freezes * parameters->threads, sizeof *freezer.stops);
    if (freezer.ops == NULL || freezer.stops == NULL || !worker_prepare() ||
        dladdr(dlsym(RTLD_DEFAULT, freezer.ops->symbol), &library) == 0 ||
        (freezer.map = freezer.ops->create(&config)) == NULL) {
        fprintf(stderr, "cannot start\n");
        free(freezer.stops);
        return 2;
    }
    freezer.library = library.dli_fbase;
    freezer_run(&freezer);
    free(freezer.stops);
    /* After a failure a thread may still be inside. */
    if (!stress_failed()) {
        freezer.ops->destroy(freezer.map);
    }
    return stress_verdict();
}

int main(int argc, char **argv)
{
    struct parameters parameters = {.threads = 4,
                                    .freezes = 200,
                                    .capacity = 4096,
                                    .patience = 20,
                                    .mode = DSQ_MODE_LAZY,
                                    .map = "dictsqlite"};
    const struct stress_option options[] = {
        {"threads", STRESS_NUMBER, &parameters.threads, "threads, at least 2"},
        {"freezes", STRESS_NUMBER, &parameters.freezes, "how often to park some of them"},
        {"seconds", STRESS_NUMBER, &parameters.seconds,
         "how long at most; 0: as long as that takes"},
        {"seed", STRESS_NUMBER, &parameters.seed, "of all random choices; 0: a fresh one"},
        {"capacity", STRESS_NUMBER, &parameters.capacity, "hot records, or unbounded"},
        {"patience", STRESS_NUMBER, &parameters.patience, "seconds in which the others must go on"},
        {"mode", STRESS_MODE, &parameters.mode, "memory, lazy or writethrough"},
        {"map", STRESS_TEXT, &parameters.map, "dictsqlite, rculfhash, or locked: not to pass"},
        {"path", STRESS_TEXT, &parameters.path, "a file that does not exist"},
    };
    size_t option_count = sizeof options / sizeof options[0];
    if (!stress_options_parse(argc, argv, options, option_count) || parameters.threads < 2 ||
        parameters.threads > THREADS_MAX || parameters.freezes == 0) {
        return 2;
    }
    stress_seed_choose(&parameters.seed);
    stress_options_print_replay(argv[0], options, option_count);
#ifdef __SANITIZE_THREAD__
    printf("skipped: ThreadSanitizer delivers signals at system calls only\n");
    return 0;
#endif
    char directory[] = "/tmp/dictsqlite-freeze-XXXXXX";
    char path[sizeof directory + sizeof "/freeze.db"];
    if (parameters.path != NULL || parameters.mode == DSQ_MODE_MEMORY) {
        return map_run(&parameters, parameters.path);
    }
    if (mkdtemp(directory) == NULL) {
        perror("mkdtemp");
        return 2;
    }
    snprintf(path, sizeof path, "%s/freeze.db", directory);
    int result = map_run(&parameters, path);
    if (result == 0) {
        unlink(path);
        rmdir(directory);
    }
    return result;
}
