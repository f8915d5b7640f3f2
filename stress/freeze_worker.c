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
#define VALUE_BYTES 8
#define PARK_TIMEOUT_S 20
#define POLL_NS 50000

const char *const operation_names[OPERATION_COUNT] = {"get", "put", "remove", "pop",
                                                      "add", "cas", "incr"};

static _Thread_local struct worker *self;

void worker_pause(void)
{
    struct timespec pause = {.tv_nsec = POLL_NS};
    nanosleep(&pause, NULL);
}

static bool is_offered(const struct map_ops *ops, enum operation operation)
{
    switch (operation) {
    case POP:
        return ops->pop != NULL;
    case ADD:
        return ops->add != NULL;
    case CAS:
        return ops->cas != NULL;
    case INCR:
        return ops->incr != NULL;
    default:
        return true;
    }
}

static enum operation draw(struct worker *worker)
{
    static const enum operation mix[] = {GET, GET, GET, GET, GET, PUT,
                                         PUT, PUT, POP, ADD, CAS, INCR};
    enum operation operation;
    do {
        operation = mix[stress_random_below(&worker->random, sizeof mix / sizeof mix[0])];
    } while (!is_offered(worker->ops, operation));
    /* What is put is removed as often as not. */
    return operation == PUT && stress_random_below(&worker->random, 3) == 0 ? REMOVE : operation;
}

static enum map_status operate(struct worker *worker, enum operation operation)
{
    const struct map_ops *ops = worker->ops;
    char name[16];
    unsigned char bytes[VALUE_BYTES] = {1};
    unsigned char other_bytes[VALUE_BYTES] = {2};
    uint64_t draw_key = stress_random_below(&worker->random, KEYS);
    struct map_bytes key = {name, (size_t)snprintf(name, sizeof name, "key %" PRIu64, draw_key)};
    struct map_bytes value = {bytes, sizeof bytes};
    struct map_bytes other = {other_bytes, sizeof other_bytes};
    struct map_buffer output;
    int64_t sum;
    switch (operation) {
    case GET:
        return ops->get(worker->map, key, &output);
    case PUT:
        return ops->put(worker->map, key, value);
    case REMOVE:
        return ops->remove(worker->map, key);
    case POP:
        return ops->pop(worker->map, key, &output);
    case ADD:
        return ops->add(worker->map, key, other);
    case CAS:
        return ops->cas(worker->map, key, value, other);
    case INCR:
        return ops->incr(worker->map, key, 1, &sum);
    case OPERATION_COUNT:
        break;
    }
    return MAP_ERROR;
}

static void *worker_main(void *argument)
{
    struct worker *worker = argument;
    self = worker;
    worker->ops->thread_enter(worker->map);
    atomic_store(&worker->ready, true);
    while (!atomic_load(&worker->stop)) {
        if (atomic_load(&worker->completed) >= atomic_load(&worker->limit)) {
            worker_pause();
            continue;
        }
        enum operation operation = draw(worker);
        atomic_store(&worker->operation, (int)operation);
        /* An error has been reported as a violation by the map. */
        (void)operate(worker, operation);
        atomic_fetch_add(&worker->completed, 1);
    }
    worker->ops->thread_exit(worker->map);
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

bool worker_start(struct worker *worker, const struct map_ops *ops, void *map, uint64_t seed)
{
    worker->ops = ops;
    worker->map = map;
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
