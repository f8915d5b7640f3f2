#include "stress/freeze_worker.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "stress/verdict.h"

#define KEYS 64
#define VALUE_BYTES 48
#define PARK_TIMEOUT_S 20
#define POLL_NS 50000

const char *const operation_names[OPERATION_COUNT] = {"get",      "put",  "delete",
                                                      "contains", "view", "get_or_put"};

static _Thread_local struct worker *self;

void worker_pause(void)
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
        status = dsq_get(worker->db, key, size, &copy, &copy_size);
        break;
    case PUT:
        status = dsq_put(worker->db, key, size, value, sizeof value);
        break;
    case DELETE:
        status = dsq_delete(worker->db, key, size);
        break;
    case CONTAINS:
        status = dsq_contains(worker->db, key, size);
        break;
    case VIEW:
        status = dsq_view(worker->db, key, size, &view);
        dsq_view_release(worker->db, &view);
        break;
    case GET_OR_PUT:
        status = dsq_get_or_put(worker->db, key, size, value, sizeof value, &copy, &copy_size);
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
    atomic_store(&worker->ready, true);
    while (!atomic_load(&worker->stop)) {
        if (atomic_load(&worker->completed) >= atomic_load(&worker->limit)) {
            worker_pause();
            continue;
        }
        enum operation operation =
            mix[stress_random_below(&worker->random, sizeof mix / sizeof mix[0])];
        atomic_store(&worker->operation, (int)operation);
        int status = operate(worker, operation);
        stress_expect(worker->db, operation_names[operation], status, status >= 0);
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

static bool wait_until(atomic_bool *flag, bool value, const char *what)
{
    time_t deadline = time(NULL) + PARK_TIMEOUT_S;
    while (atomic_load(flag) != value) {
        if (time(NULL) > deadline) {
            stress_violation("a thread does not %s", what);
            return false;
        }
        worker_pause();
    }
    return true;
}

bool worker_prepare(void)
{
    struct sigaction action = {.sa_sigaction = park_handler, .sa_flags = SA_SIGINFO | SA_RESTART};
    return sigaction(SIGUSR1, &action, NULL) == 0;
}

bool worker_start(struct worker *worker, dsq_db *db, uint64_t seed)
{
    worker->db = db;
    worker->random.state = seed;
    atomic_store(&worker->limit, UINT64_MAX);
    if (pipe(worker->release) != 0 ||
        pthread_create(&worker->thread, NULL, worker_main, worker) != 0) {
        stress_violation("cannot start a thread");
        return false;
    }
    return wait_until(&worker->ready, true, "start");
}

bool worker_park(struct worker *worker)
{
    return pthread_kill(worker->thread, SIGUSR1) == 0 && wait_until(&worker->parked, true, "stop");
}

bool worker_release(struct worker *worker)
{
    if (write(worker->release[1], "", 1) != 1) {
        stress_violation("write: %s", strerror(errno));
        return false;
    }
    return wait_until(&worker->parked, false, "go on");
}

void worker_join(struct worker *worker)
{
    atomic_store(&worker->stop, true);
    pthread_join(worker->thread, NULL);
}
