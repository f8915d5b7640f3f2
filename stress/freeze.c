/*
 * Progress while others are frozen: threads hammer a few hot records; now and then some are parked
 * by a signal at whatever instruction they were at, and the rest must complete a number of
 * operations, and the store commits, before the parked ones go on.
 *
 * Only a stop inside this library's own code counts.  The interrupted program counter says where a
 * thread was: one stopped in another shared object (malloc, memcpy, the kernel's entry) may hold
 * the allocator's lock, which is outside the promise; it is let go and parked again.  Batches are
 * left out, since a many-key call stopped half-way may hold up commits.
 *
 * A frozen reader keeps retired memory from being freed, so the others get a bounded number of
 * operations per freeze, well below the library's cap.
 */
#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <dictsqlite.h>

#include "stress/options.h"
#include "stress/random.h"
#include "stress/verdict.h"

#define THREADS_MAX 64
#define KEYS 64
#define VALUE_BYTES 48
#define HOT_CAPACITY 4096
#define FLUSH_INTERVAL_MS 2
#define FLUSH_TIMEOUT_MS 20000
/* What each running thread must complete while others are parked, and may at most. */
#define OPERATIONS_PER_FREEZE 200
#define PROGRESS_TIMEOUT_S 20
#define PARK_TRIES 100
#define POLL_NS 50000

enum operation { GET, PUT, DELETE, CONTAINS, VIEW, GET_OR_PUT, OPERATION_COUNT };

static const char *const operation_names[OPERATION_COUNT] = {"get",      "put",  "delete",
                                                             "contains", "view", "get_or_put"};

struct worker {
    pthread_t thread;
    struct stress_random random;
    _Atomic uint64_t completed;
    _Atomic uint64_t limit; /* pauses when completed reaches it */
    _Atomic int operation;  /* the one it is in */
    atomic_bool parked;
    _Atomic uintptr_t stopped_at;
    int release[2]; /* a pipe: a byte releases the parked thread */
};

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
    uint64_t parked_elsewhere;
    uint64_t freezes;
    uint64_t completed; /* operations, while others were parked */
    uint64_t commits;
    uint64_t places; /* distinct instructions stopped at */
    uintptr_t *stops;
};

static dsq_db *db;
static struct worker workers[THREADS_MAX];
static atomic_bool stop;
static _Thread_local struct worker *self;

static void pause_briefly(void)
{
    struct timespec pause = {.tv_nsec = POLL_NS};
    nanosleep(&pause, NULL);
}

static int operate(struct worker *worker, enum operation operation)
{
    char key[16];
    char value[VALUE_BYTES] = "value";
    uint64_t draw = stress_random_below(&worker->random, KEYS);
    size_t size = (size_t)snprintf(key, sizeof key, "key %" PRIu64, draw);
    void *copy = NULL;
    size_t copy_size;
    struct dsq_view view = {0};
    int status = DSQ_OK;
    switch (operation) {
    case GET:
        status = dsq_get(db, key, size, &copy, &copy_size);
        break;
    case PUT:
        status = dsq_put(db, key, size, value, sizeof value);
        break;
    case DELETE:
        status = dsq_delete(db, key, size);
        break;
    case CONTAINS:
        status = dsq_contains(db, key, size);
        break;
    case VIEW:
        status = dsq_view(db, key, size, &view);
        dsq_view_release(db, &view);
        break;
    case GET_OR_PUT:
        status = dsq_get_or_put(db, key, size, value, sizeof value, &copy, &copy_size);
        break;
    case OPERATION_COUNT:
        break;
    }
    dsq_free(copy);
    return status;
}

static void *worker_main(void *argument)
{
    static const enum operation mix[] = {GET, GET,    GET,      GET,  PUT,       PUT,
                                         PUT, DELETE, CONTAINS, VIEW, GET_OR_PUT};
    struct worker *worker = argument;
    self = worker;
    while (!atomic_load(&stop)) {
        if (atomic_load(&worker->completed) >= atomic_load(&worker->limit)) {
            pause_briefly();
            continue;
        }
        enum operation operation =
            mix[stress_random_below(&worker->random, sizeof mix / sizeof mix[0])];
        atomic_store(&worker->operation, (int)operation);
        int status = operate(worker, operation);
        stress_expect(db, operation_names[operation], status, status >= 0);
        atomic_fetch_add(&worker->completed, 1);
    }
    return NULL;
}

static uintptr_t program_counter(const ucontext_t *context)
{
#if defined(__x86_64__)
    return (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (uintptr_t)context->uc_mcontext.pc;
#else
    (void)context;
    return 0;
#endif
}

/* Uses only what a signal handler may: atomics and read. */
static void park_handler(int signal_number, siginfo_t *info, void *context)
{
    (void)signal_number;
    (void)info;
    int saved = errno;
    char byte;
    atomic_store(&self->stopped_at, program_counter(context));
    atomic_store(&self->parked, true);
    while (read(self->release[0], &byte, 1) < 0 && errno == EINTR) {
    }
    atomic_store(&self->parked, false);
    errno = saved;
}

static bool wait_parked(struct worker *worker, bool parked)
{
    time_t deadline = time(NULL) + PROGRESS_TIMEOUT_S;
    while (atomic_load(&worker->parked) != parked) {
        if (time(NULL) > deadline) {
            stress_violation("a thread does not %s", parked ? "take the signal" : "go on");
            return false;
        }
        pause_briefly();
    }
    return true;
}

static bool release(struct worker *worker)
{
    if (write(worker->release[1], "", 1) != 1) {
        stress_violation("write: %s", strerror(errno));
        return false;
    }
    return wait_parked(worker, false);
}

/* True once the worker stands still inside the library. */
static bool park(struct freezer *freezer, struct worker *worker)
{
    for (int i = 0; i < PARK_TRIES && !stress_failed(); i++) {
        Dl_info place;
        if (pthread_kill(worker->thread, SIGUSR1) != 0 || !wait_parked(worker, true)) {
            return false;
        }
        uintptr_t stopped_at = atomic_load(&worker->stopped_at);
        if (dladdr((const void *)stopped_at, &place) != 0 && place.dli_fbase == freezer->library) {
            freezer->stops[freezer->places++] = stopped_at;
            freezer->parked_in[atomic_load(&worker->operation)]++;
            return true;
        }
        freezer->parked_elsewhere++;
        if (!release(worker)) {
            return false;
        }
    }
    return false;
}

static void limits_set(struct freezer *freezer, bool bounded)
{
    for (uint64_t i = 0; i < freezer->parameters->threads; i++) {
        uint64_t completed = atomic_load(&workers[i].completed);
        atomic_store(&workers[i].limit, bounded ? completed + OPERATIONS_PER_FREEZE : UINT64_MAX);
    }
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
    limits_set(freezer, true);
    while (!all_at_limit(freezer, first_running) && !stress_failed()) {
        if (time(NULL) > deadline) {
            stress_violation("with %" PRIu64 " threads parked the others stand still",
                             first_running);
        }
        pause_briefly();
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
    while (parked < wanted && park(freezer, &workers[parked])) {
        parked++;
    }
    if (parked > 0 && !stress_failed()) {
        progress_check(freezer, parked);
    }
    limits_set(freezer, false);
    for (uint64_t i = 0; i < parked; i++) {
        release(&workers[i]);
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
    printf("%" PRIu64 " stops outside the library let go; meanwhile the others completed %" PRIu64
           " operations, the store %" PRIu64 " commits\n",
           freezer->parked_elsewhere, freezer->completed, freezer->commits);
    if (freezer->freezes == 0 && !stress_failed()) {
        stress_violation("no thread could be parked inside the library");
    }
}

static bool workers_start(const struct parameters *parameters)
{
    struct sigaction action = {.sa_sigaction = park_handler, .sa_flags = SA_SIGINFO | SA_RESTART};
    if (sigaction(SIGUSR1, &action, NULL) != 0) {
        return false;
    }
    for (uint64_t i = 0; i < parameters->threads; i++) {
        workers[i].random.state = stress_mix3(parameters->seed, i, 5);
        atomic_store(&workers[i].limit, UINT64_MAX);
        if (pipe(workers[i].release) != 0 ||
            pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]) != 0) {
            return false;
        }
    }
    return true;
}

static void freezer_run(const struct parameters *parameters)
{
    struct freezer freezer = {.db = db, .parameters = parameters};
    Dl_info library;
    freezer.random.state = parameters->seed;
    freezer.stops = calloc(parameters->freezes * parameters->threads, sizeof *freezer.stops);
    if (freezer.stops == NULL || dladdr(dlsym(RTLD_DEFAULT, "dsq_put"), &library) == 0 ||
        !workers_start(parameters)) {
        stress_violation("cannot start: %s", strerror(errno));
        free(freezer.stops);
        return;
    }
    freezer.library = library.dli_fbase;
    for (uint64_t i = 0; i < parameters->freezes && !stress_failed(); i++) {
        freeze_once(&freezer);
    }
    atomic_store(&stop, true);
    for (uint64_t i = 0; i < parameters->threads && !stress_failed(); i++) {
        pthread_join(workers[i].thread, NULL);
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
    if (dsq_open(path, &options, &db) != DSQ_OK) {
        stress_violation("dsq_open: %s", error.message);
        return stress_verdict();
    }
    freezer_run(parameters);
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
