#include "stress/cut.h"

static bool may_have_written(const struct history_operation *operation, struct history_value value)
{
    switch (operation->op) {
    case HISTORY_PUT:
        return history_value_equal(operation->input, value);
    case HISTORY_ADD:
    case HISTORY_CAS:
        return history_value_equal(operation->input, value) &&
               (operation->done || operation->outcome != HISTORY_OK);
    case HISTORY_INCR:
        return operation->outcome != HISTORY_OK || history_value_equal(operation->output, value);
    default:
        return false;
    }
}

/* The first call that can have written a value of a key; 0 if none can. */
static uint64_t written_since(const struct history *history, uint32_t key,
                              struct history_value value)
{
    uint64_t first = 0;
    for (size_t i = 0; i < history->count; i++) {
        const struct history_operation *operation = &history->operations[i];
        if (operation->key == key && may_have_written(operation, value) &&
            (first == 0 || operation->call < first)) {
            first = operation->call;
        }
    }
    return first;
}

uint64_t cut_horizon(const struct cut_life *life, const struct history_value *after)
{
    uint64_t horizon = life->flushed;
    for (uint32_t key = 0; key < life->keys; key++) {
        /* What was there at first, or is absent, says nothing of when it was written. */
        if (after[key].kind != HISTORY_NONE &&
            !history_value_equal(after[key], life->before[key])) {
            uint64_t since = written_since(&life->history, key, after[key]);
            horizon = since > horizon ? since : horizon;
        }
    }
    return horizon;
}

bool cut_gather(const struct cut_life *life, uint32_t key, struct history_value after,
                uint64_t horizon, struct history *gathered)
{
    struct history_operation first = {.op = HISTORY_PUT, .key = key, .input = life->before[key]};
    struct history_operation found = {.op = HISTORY_GET,
                                      .key = key,
                                      .call = horizon != 0 ? horizon : 1,
                                      .back = life->killed,
                                      .output = after};
    bool good = true;
    gathered->count = 0;
    if (first.input.kind != HISTORY_NONE) {
        good = history_append(gathered, &first);
    }
    for (size_t i = 0; i < life->history.count && good; i++) {
        if (life->history.operations[i].key == key) {
            good = history_append(gathered, &life->history.operations[i]);
        }
    }
    return good && history_append(gathered, &found);
}
