/*
 * Progress while others are frozen: threads hammer a few hot records; now and then some are parked
 * by a signal at whatever instruction they were at, and the rest must complete a number of
 * operations, and the store commits, before the parked ones go on.
 *
 * Only a stop inside this library's own code counts.  The interrupted program counter says where a
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
#include <time.h>
#include <unistd.h>

#include <dictsqlite.h>

#include "stress/freeze_worker.h"
#include "stress/options.h"
#include "stress/random.h"
#include "stress/verdict.h"

#define THREADS_MAX 64
#define HOT_CAPACITY 4096
#define FLUSH_INTERVAL_MS 2
#define FLUSH_TIMEOUT_MS 20000
/* What each running thread must complete while others are parked, and may at most. */
#define OPERATIONS_PER_FREEZE 200
/* What each may complete at each try to park one: enough to be busy when the signal comes. */
#define OPERATIONS_PER_TRY 1000
/* A freeze begins with little retired, and parks no more threads with much. */
#define RETIRED_BYTES_LOW ((uint64_t)1024 * 1024)
#define RETIRED_BYTES_HIGH ((uint64_t)3 * 1024 * 1024)
#define PROGRESS_TIMEOUT_S 20
#define PARK_TRIES 100
#define AWAKE_TRIES 20

struct parameters {
    uint64_t threads;
    uint64_t freezes;
    uint64_t seed;
    int mode;
    const char *path;
};

struct freezer {
    dsq_db *db;
    const struct parameters *parameters;
    struct stress_random random;
    const void *library; /* where it is mapped */
    uint64_t parked_in[OPERATION_COUNT];
    uint64_t parked_asleep;
    uint64_t parked_elsewhere;
    uint64_t freezes;
    uint64_t completed; /* operations, while others were parked */
    uint64_t commits;
    uint64_t places; /* of stops */
    uintptr_t *stops;
};

static struct worker workers[THREADS_MAX];

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

static uint64_t retired_bytes(const struct freezer *freezer)
{
    struct dsq_stats stats;
    dsq_stats(freezer->db, &stats);
    return stats.retired_bytes;
}

/* Holds the workers back until the library has freed what they retired. */
static bool wait_retired_low(const struct freezer *freezer)
{
    time_t deadline = time(NULL) + PROGRESS_TIMEOUT_S;
    limits_set(freezer, 0);
    while (retired_bytes(freezer) > RETIRED_BYTES_LOW) {
        if (time(NULL) > deadline) {
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
        if (retired_bytes(freezer) > RETIRED_BYTES_HIGH) {
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

/* Workers from first_running on have to complete their operations, and the store a commit. */
static void progress_check(struct freezer *freezer, uint64_t first_running)
{
    struct dsq_stats before, after;
    time_t deadline = time(NULL) + PROGRESS_TIMEOUT_S;
    dsq_stats(freezer->db, &before);
    limits_set(freezer, OPERATIONS_PER_FREEZE);
    while (!all_at_limit(freezer, first_running) && !stress_failed()) {
        if (time(NULL) > deadline) {
            stress_violation("with %" PRIu64 " threads parked the others stand still",
                             first_running);
        }
        worker_pause();
    }
    if (freezer->parameters->mode != DSQ_MODE_MEMORY && !stress_failed()) {
        int status = dsq_flush(freezer->db, FLUSH_TIMEOUT_MS);
        stress_expect(freezer->db, "dsq_flush while threads are parked", status, status == DSQ_OK);
    }
    dsq_stats(freezer->db, &after);
    freezer->freezes++;
    freezer->commits += after.commits - before.commits;
    freezer->completed += (freezer->parameters->threads - first_running) * OPERATIONS_PER_FREEZE;
    if (freezer->parameters->mode != DSQ_MODE_MEMORY && after.commits == before.commits) {
        stress_violation("no commit while %" PRIu64 " threads were parked", first_running);
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
    printf("meanwhile the others completed %" PRIu64 " operations, the store %" PRIu64 " commits\n",
           freezer->completed, freezer->commits);
    if (freezer->freezes == 0 && !stress_failed()) {
        stress_violation("no thread could be parked inside the library");
    }
}

static void freezer_run(const struct parameters *parameters, dsq_db *db)
{
    struct freezer freezer = {.db = db, .parameters = parameters};
    Dl_info library;
    freezer.random.state = parameters->seed;
    freezer.stops = calloc(parameters->freezes * parameters->threads, sizeof *freezer.stops);
    if (freezer.stops == NULL || dladdr(dlsym(RTLD_DEFAULT, "dsq_put"), &library) == 0 ||
        !worker_prepare()) {
        stress_violation("cannot start");
        free(freezer.stops);
        return;
    }
    freezer.library = library.dli_fbase;
    for (uint64_t i = 0; i < parameters->threads && !stress_failed(); i++) {
        worker_start(&workers[i], db, stress_mix3(parameters->seed, i, 5));
    }
    for (uint64_t i = 0; i < parameters->freezes && !stress_failed(); i++) {
        freeze_once(&freezer);
    }
    for (uint64_t i = 0; i < parameters->threads && !stress_failed(); i++) {
        worker_join(&workers[i]);
    }
    figures_print(&freezer);
    free(freezer.stops);
}

static int database_run(const struct parameters *parameters, const char *path)
{
    struct dsq_error error = {.status = DSQ_OK};
    struct dsq_options options = {.persist_mode = parameters->mode,
                                  .hot_capacity = HOT_CAPACITY,
                                  .flush_interval_ms = FLUSH_INTERVAL_MS,
                                  .error = &error};
    dsq_db *db;
    if (dsq_open(path, &options, &db) != DSQ_OK) {
        stress_violation("dsq_open: %s", error.message);
        return stress_verdict();
    }
    freezer_run(parameters, db);
    if (!stress_failed()) {
        int status = dsq_close(db);
        stress_expect(db, "dsq_close", status, status == DSQ_OK);
    }
    return stress_verdict();
}

int main(int argc, char **argv)
{
    struct parameters parameters = {.threads = 4, .freezes = 200, .mode = DSQ_MODE_LAZY};
    const struct stress_option options[] = {
        {"threads", STRESS_NUMBER, &parameters.threads, "threads, at least 2"},
        {"freezes", STRESS_NUMBER, &parameters.freezes, "how often to park some of them"},
        {"seed", STRESS_NUMBER, &parameters.seed, "of all random choices; 0: a fresh one"},
        {"mode", STRESS_MODE, &parameters.mode, "memory, lazy or writethrough"},
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
        return database_run(&parameters, parameters.path);
    }
    if (mkdtemp(directory) == NULL) {
        perror("mkdtemp");
        return 2;
    }
    snprintf(path, sizeof path, "%s/freeze.db", directory);
    int result = database_run(&parameters, path);
    if (result == 0) {
        unlink(path);
        rmdir(directory);
    }
    return result;
}
