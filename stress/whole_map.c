#include "stress/whole_map.h"

const char *whole_kind_name(enum whole_kind kind)
{
    static const char *const names[WHOLE_KIND_COUNT] = {"length", "walk", "flush"};
    return names[kind];
}

bool whole_note(struct whole_operation *whole, uint32_t key, struct history_value value)
{
    bool first = whole->seen[key].kind == HISTORY_NONE;
    whole->seen[key] = value;
    return first;
}

struct history_operation whole_as_get(const struct whole_operation *whole, uint32_t key)
{
    return (struct history_operation){
        .op = HISTORY_GET,
        .key = key,
        .process = whole->process,
        .call = whole->call,
        .back = whole->back,
        .outcome = HISTORY_OK,
        .output = whole->seen[key],
    };
}

/* Whether the operation can have been a write that leaves the key present, or absent. */
static bool can_leave(const struct history_operation *operation, bool present)
{
    bool known = operation->outcome == HISTORY_OK;
    switch (operation->op) {
    case HISTORY_PUT:
    case HISTORY_INCR:
        return present;
    case HISTORY_ADD:
    case HISTORY_CAS:
        return present && (operation->done || !known);
    case HISTORY_DELETE:
        return !present && (operation->done || !known);
    case HISTORY_POP:
        return !present && (operation->output.kind != HISTORY_NONE || !known);
    case HISTORY_GET:
    case HISTORY_OP_COUNT:
        break;
    }
    return false;
}

/*
 * When the last write began that must be counted and leaves the key present, or absent; 0: none.
 * What had returned by then certainly comes before it.
 */
static uint64_t last_counted(const struct history_operation *operations, size_t count,
                             const struct whole_operation *length, bool present)
{
    uint64_t last = 0;
    for (size_t i = 0; i < count; i++) {
        if (operations[i].outcome == HISTORY_OK && can_leave(&operations[i], present) &&
            operations[i].back < length->call && operations[i].call > last) {
            last = operations[i].call;
        }
    }
    return last;
}

/* Whether the last write counted can be one that leaves the key present, or absent. */
static bool can_be(const struct history_operation *operations, size_t count,
                   const struct whole_operation *length, bool present)
{
    uint64_t undone = last_counted(operations, count, length, !present);
    for (size_t i = 0; i < count; i++) {
        if (operations[i].outcome != HISTORY_FAIL && can_leave(&operations[i], present) &&
            operations[i].call <= length->back && operations[i].back >= undone) {
            return true;
        }
    }
    return !present && undone == 0;
}

void whole_range_add(struct whole_operation *length, const struct history_operation *operations,
                     size_t count)
{
    atomic_fetch_add(&length->low, !can_be(operations, count, length, false));
    atomic_fetch_add(&length->high, can_be(operations, count, length, true));
}
