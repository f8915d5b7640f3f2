#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "stress/judge.h"
#include "stress/linearize_run.h"
#include "stress/verdict.h"

#define KEY_CHARACTERS_MAX 48
#define STORM_KEYS UINT64_C(20000)

/* Values are integers far enough apart that additions do not make one into another. */
#define VALUE_SPACING_BITS 16
#define VALUE_THREAD_BITS 48

/* Of a hundred operations. */
static const struct {
    enum history_op op;
    unsigned share;
} mix[] = {
    {HISTORY_GET, 34}, {HISTORY_PUT, 20}, {HISTORY_DELETE, 8}, {HISTORY_POP, 8},
    {HISTORY_ADD, 10}, {HISTORY_CAS, 10}, {HISTORY_INCR, 10},
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static bool is_offered(const struct map_ops *ops, enum history_op op)
{
    switch (op) {
    case HISTORY_POP:
        return ops->pop != NULL;
    case HISTORY_ADD:
        return ops->add != NULL;
    case HISTORY_CAS:
        return ops->cas != NULL;
    case HISTORY_INCR:
        return ops->incr != NULL;
    default:
        return true;
    }
}

static enum history_op draw_op(struct linearize_worker *worker)
{
    for (;;) {
        uint64_t draw = stress_random_below(&worker->random, 100);
        size_t i = 0;
        while (draw >= mix[i].share) {
            draw -= mix[i++].share;
        }
        if (is_offered(worker->run->ops, mix[i].op)) {
            return mix[i].op;
        }
    }
}

static struct history_value draw_value(struct linearize_worker *worker)
{
    return history_integer((int64_t)((worker->index + 1) << VALUE_THREAD_BITS |
                                     ++worker->values << VALUE_SPACING_BITS));
}

/* Integers as map_ops.incr has them. */
static struct map_bytes value_encode(struct history_value value, unsigned char bytes[8])
{
    for (unsigned i = 0; i < 8; i++) {
        bytes[i] = (unsigned char)((uint64_t)value.number >> (8 * i));
    }
    return (struct map_bytes){bytes, 8};
}

static struct history_value value_decode(const struct map_buffer *buffer)
{
    uint64_t bits = 0;
    if (buffer->size != 8) {
        stress_violation("a value of %zu bytes, though all have 8", buffer->size);
        return (struct history_value){HISTORY_NONE, 0};
    }
    for (unsigned i = 8; i-- > 0;) {
        bits = bits << 8 | buffer->data[i];
    }
    return history_integer((int64_t)bits);
}

/* Calls the map; what it says goes into the operation, but for the times. */
static enum map_status perform(struct linearize_run *run, struct map_bytes key,
                               struct history_operation *operation)
{
    const struct map_ops *ops = run->ops;
    unsigned char input_bytes[8];
    unsigned char expected_bytes[8];
    struct map_bytes input = value_encode(operation->input, input_bytes);
    struct map_buffer output;
    int64_t sum = 0;
    enum map_status status = MAP_ERROR;
    switch (operation->op) {
    case HISTORY_GET:
        status = ops->get(run->map, key, &output);
        break;
    case HISTORY_PUT:
        return ops->put(run->map, key, input);
    case HISTORY_DELETE:
        status = ops->remove(run->map, key);
        operation->done = status == MAP_OK;
        return status;
    case HISTORY_POP:
        status = ops->pop(run->map, key, &output);
        break;
    case HISTORY_ADD:
        status = ops->add(run->map, key, input);
        operation->done = status == MAP_OK;
        return status;
    case HISTORY_CAS:
        status = ops->cas(run->map, key, value_encode(operation->expected, expected_bytes), input);
        operation->done = status == MAP_OK;
        return status;
    case HISTORY_INCR:
        status = ops->incr(run->map, key, operation->input.number, &sum);
        operation->output = history_integer(sum);
        return status;
    case HISTORY_OP_COUNT:
        break;
    }
    if (status == MAP_OK) {
        operation->output = value_decode(&output);
    }
    return status;
}

static size_t key_encode(uint64_t key, char name[KEY_CHARACTERS_MAX])
{
    return (size_t)snprintf(name, KEY_CHARACTERS_MAX, "key %" PRIu64, key);
}

/* Performs and times one operation.  The clock is read outside the call. */
static void operate(struct linearize_worker *worker, struct history_operation *operation)
{
    struct linearize_run *run = worker->run;
    char name[KEY_CHARACTERS_MAX];
    struct map_bytes key = {name, key_encode(operation->key, name)};
    operation->process = worker->process;
    operation->outcome = HISTORY_UNKNOWN; /* as it stands if the process dies in the call */
    operation->back = UINT64_MAX;
    operation->call = now_ns();
    enum map_status status = perform(run, key, operation);
    uint64_t back = now_ns();
    if (status == MAP_ERROR) {
        worker->process += (uint32_t)run->threads;
        return;
    }
    operation->back = back;
    operation->outcome = HISTORY_OK;
    if (operation->op == HISTORY_GET && status == MAP_OK) {
        worker->last_seen = operation->output;
    }
}

static void draw_operation(struct linearize_worker *worker, struct history_operation *operation)
{
    struct linearize_run *run = worker->run;
    uint64_t group = worker->index / LINEARIZE_SHARERS_MAX;
    *operation = (struct history_operation){
        .op = draw_op(worker),
        .key = (uint32_t)(group * run->keys + stress_random_below(&worker->random, run->keys)),
    };
    switch (operation->op) {
    case HISTORY_CAS:
        operation->expected = worker->last_seen;
        operation->input = draw_value(worker);
        break;
    case HISTORY_PUT:
    case HISTORY_ADD:
        operation->input = draw_value(worker);
        break;
    case HISTORY_INCR:
        operation->input = history_integer(1 + (int64_t)stress_random_below(&worker->random, 3));
        break;
    default:
        break;
    }
}

static void play(struct linearize_worker *worker)
{
    struct linearize_run *run = worker->run;
    worker->logged = 0;
    while (worker->logged < run->operations && !stress_failed()) {
        struct history_operation *operation = &worker->log[worker->logged];
        draw_operation(worker, operation);
        worker->logged++;
        operate(worker, operation);
    }
}

static bool had_effect(const struct history_operation *operation)
{
    switch (operation->op) {
    case HISTORY_GET:
    case HISTORY_POP:
        return operation->output.kind != HISTORY_NONE;
    case HISTORY_DELETE:
    case HISTORY_ADD:
    case HISTORY_CAS:
        return operation->done;
    default:
        return true;
    }
}

/* Collects what all threads did to a key, and ends it: a last get, and a delete for the next round. */
static void gather(struct linearize_worker *worker, uint32_t key)
{
    struct linearize_run *run = worker->run;
    struct history *gathered = &worker->gathered;
    gathered->count = 0;
    for (uint64_t i = 0; i < run->threads; i++) {
        for (size_t j = 0; j < run->workers[i].logged; j++) {
            const struct history_operation *operation = &run->workers[i].log[j];
            if (operation->key == key) {
                history_append(gathered, operation);
                run->counts[operation->op]++;
                run->effective[operation->op] += had_effect(operation);
            }
        }
    }
    for (int i = 0; i < 2; i++) {
        struct history_operation last = {.op = i == 0 ? HISTORY_GET : HISTORY_DELETE, .key = key};
        operate(worker, &last);
        history_append(gathered, &last);
    }
}

static void gathered_write(struct linearize_worker *worker, FILE *file, uint32_t key)
{
    struct linearize_run *run = worker->run;
    char name[KEY_CHARACTERS_MAX];
    snprintf(name, sizeof name, "round %" PRIu64 " key %" PRIu32, run->round, key);
    pthread_mutex_lock(&run->history_lock);
    for (size_t i = 0; i < worker->gathered.count; i++) {
        history_write(file, &worker->gathered, &worker->gathered.operations[i], name);
    }
    fflush(file);
    pthread_mutex_unlock(&run->history_lock);
}

static void violation_write(struct linearize_worker *worker, uint32_t key)
{
    FILE *file = fopen(worker->run->violation_path, "a");
    if (file != NULL) {
        gathered_write(worker, file, key);
        fclose(file);
    }
    stress_violation("the history is not linearizable; it is in %s",
                     file != NULL ? worker->run->violation_path : "no file: it cannot be written");
}

static void judge(struct linearize_worker *worker, uint32_t key)
{
    struct linearize_run *run = worker->run;
    char name[KEY_CHARACTERS_MAX];
    key_encode(key, name);
    gather(worker, key);
    if (run->history != NULL) {
        gathered_write(worker, run->history, key);
    }
    switch (judge_key(stdout, &worker->gathered, name, worker->gathered.operations,
                      worker->gathered.count, run->may_vanish)) {
    case LINEARIZABLE:
        break;
    case UNDECIDED:
        run->undecided++;
        break;
    case NOT_LINEARIZABLE:
        violation_write(worker, key);
        break;
    }
    run->checked += worker->gathered.count;
}

void *linearize_worker_main(void *argument)
{
    struct linearize_worker *worker = argument;
    struct linearize_run *run = worker->run;
    uint64_t groups = (run->threads + LINEARIZE_SHARERS_MAX - 1) / LINEARIZE_SHARERS_MAX;
    run->ops->thread_enter(run->map);
    for (;;) {
        pthread_barrier_wait(&run->barrier);
        if (worker->index == 0) {
            run->round++;
            run->over = atomic_load(&run->stop) || stress_failed();
        }
        pthread_barrier_wait(&run->barrier);
        if (run->over) {
            break;
        }
        play(worker);
        pthread_barrier_wait(&run->barrier);
        for (uint64_t key = worker->index; key < run->keys * groups; key += run->threads) {
            judge(worker, (uint32_t)key);
        }
    }
    run->ops->thread_exit(run->map);
    return NULL;
}

void *linearize_storm_main(void *argument)
{
    struct linearize_run *run = argument;
    unsigned char bytes[8];
    struct map_bytes value = value_encode(history_integer(1), bytes);
    run->ops->thread_enter(run->map);
    while (!atomic_load(&run->stop)) {
        for (uint64_t i = 0; i < 2 * STORM_KEYS && !atomic_load(&run->stop); i++) {
            char name[KEY_CHARACTERS_MAX];
            int size = snprintf(name, sizeof name, "storm %" PRIu64, i % STORM_KEYS);
            struct map_bytes key = {name, (size_t)size};
            if (i < STORM_KEYS) {
                run->ops->put(run->map, key, value);
            } else {
                run->ops->remove(run->map, key);
            }
        }
    }
    run->ops->thread_exit(run->map);
    return NULL;
}
