#include "stress/linearize_operation.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/platform.h"
#include "stress/verdict.h"

#define KEY_PREFIX "key "

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

size_t linearize_key_encode(uint64_t key, char name[LINEARIZE_KEY_CHARACTERS_MAX])
{
    return (size_t)snprintf(name, LINEARIZE_KEY_CHARACTERS_MAX, KEY_PREFIX "%" PRIu64, key);
}

bool linearize_key_decode(struct map_bytes name, uint32_t *key)
{
    char text[LINEARIZE_KEY_CHARACTERS_MAX];
    char again[LINEARIZE_KEY_CHARACTERS_MAX];
    if (name.size >= sizeof text || name.size < sizeof KEY_PREFIX) {
        return false;
    }
    memcpy(text, name.data, name.size);
    text[name.size] = '\0';
    *key = (uint32_t)strtoul(text + sizeof KEY_PREFIX - 1, NULL, 10);
    return linearize_key_encode(*key, again) == name.size && strcmp(text, again) == 0;
}

struct map_bytes linearize_value_encode(struct history_value value, unsigned char bytes[8])
{
    for (unsigned i = 0; i < 8; i++) {
        bytes[i] = (unsigned char)((uint64_t)value.number >> (8 * i));
    }
    return (struct map_bytes){bytes, 8};
}

struct history_value linearize_value_decode(struct map_bytes value)
{
    const unsigned char *bytes = value.data;
    uint64_t bits = 0;
    if (value.size != 8) {
        stress_violation("a value of %zu bytes, though all have 8", value.size);
        return (struct history_value){HISTORY_NONE, 0};
    }
    for (unsigned i = 8; i-- > 0;) {
        bits = bits << 8 | bytes[i];
    }
    return history_integer((int64_t)bits);
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

void linearize_draw(struct linearize_worker *worker, struct history_operation *operation)
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

/* Calls the map; what it says goes into the operation, but for the times. */
static enum map_status call(struct linearize_run *run, struct history_operation *operation)
{
    const struct map_ops *ops = run->ops;
    char name[LINEARIZE_KEY_CHARACTERS_MAX];
    struct map_bytes key = {name, linearize_key_encode(operation->key, name)};
    unsigned char input_bytes[8];
    unsigned char expected_bytes[8];
    struct map_bytes input = linearize_value_encode(operation->input, input_bytes);
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
        status = ops->cas(run->map, key,
                          linearize_value_encode(operation->expected, expected_bytes), input);
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
        operation->output = linearize_value_decode((struct map_bytes){output.data, output.size});
    }
    return status;
}

static void operation_begin(struct linearize_worker *worker, struct history_operation *operation)
{
    operation->process = worker->process;
    operation->outcome = HISTORY_UNKNOWN;
    operation->back = UINT64_MAX;
    operation->call = dsq_now_ns();
}

static void operation_end(struct linearize_worker *worker, struct history_operation *operation,
                          enum map_status status)
{
    uint64_t back = dsq_now_ns();
    if (status == MAP_ERROR) {
        worker->process += (uint32_t)worker->run->threads;
        return;
    }
    operation->back = back;
    operation->outcome = HISTORY_OK;
    if (operation->op == HISTORY_GET && status == MAP_OK) {
        worker->last_seen = operation->output;
    }
}

void linearize_perform(struct linearize_worker *worker, struct history_operation *operation)
{
    operation_begin(worker, operation);
    operation_end(worker, operation, call(worker->run, operation));
}

void linearize_perform_logged(struct linearize_worker *worker,
                              const struct history_operation *operation)
{
    struct linearize_log *log = worker->log;
    uint64_t number = atomic_load(&log->begun);
    struct history_operation *logged = &log->operations[number];
    *logged = *operation;
    operation_begin(worker, logged);
    atomic_store(&log->begun, number + 1);
    operation_end(worker, logged, call(worker->run, logged));
    atomic_store(&log->ended, number + 1);
}
