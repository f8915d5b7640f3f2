#include "stress/judge.h"

#include <inttypes.h>
#include <stdlib.h>

#define VALUE_CHARACTERS_MAX 64

static void operation_print(FILE *out, const struct history *history,
                            const struct history_operation *operation, uint64_t start)
{
    char input[VALUE_CHARACTERS_MAX];
    char expected[VALUE_CHARACTERS_MAX];
    char output[VALUE_CHARACTERS_MAX];
    history_value_print(history, operation->input, input, sizeof input);
    history_value_print(history, operation->expected, expected, sizeof expected);
    history_value_print(history, operation->output, output, sizeof output);
    fprintf(out, "  [%8" PRIu64 ", %8" PRIu64 "] process %" PRIu32 ": %s", operation->call - start,
            operation->back - start, operation->process, history_op_name(operation->op));
    switch (operation->op) {
    case HISTORY_GET:
    case HISTORY_POP:
        fprintf(out, " -> %s\n", output);
        break;
    case HISTORY_PUT:
        fprintf(out, " %s\n", input);
        break;
    case HISTORY_DELETE:
        fprintf(out, " -> %s\n", operation->done ? "true" : "false");
        break;
    case HISTORY_ADD:
        fprintf(out, " %s -> %s\n", input, operation->done ? "true" : "false");
        break;
    case HISTORY_CAS:
        fprintf(out, " %s by %s -> %s\n", expected, input, operation->done ? "true" : "false");
        break;
    case HISTORY_INCR:
        fprintf(out, " by %s -> %s\n", input, output);
        break;
    case HISTORY_OP_COUNT:
        break;
    }
}

static void explanation_print(FILE *out, const struct history *history, const char *key_name,
                              const struct history_operation *operations, size_t count,
                              const struct linearizability_search *search)
{
    struct linearizability_window window;
    fprintf(out, "key %s: not linearizable, %zu operations\n", key_name, count);
    if (!linearizability_explain(operations, count, search, &window)) {
        fprintf(out, "  (no smaller part was found within the budget)\n");
        free(window.operations);
        return;
    }
    fprintf(out, "  these %zu cannot be ordered (nanoseconds since the first call):\n",
            window.count);
    for (size_t i = 0; i < window.count; i++) {
        operation_print(out, history, &window.operations[i], window.operations[0].call);
    }
    if (window.unconstrained > 0) {
        fprintf(out, "  whenever %zu other writes took effect, or if they never did\n",
                window.unconstrained);
    }
    free(window.operations);
}

enum linearizability judge_key(FILE *out, const struct history *history, const char *key_name,
                               const struct history_operation *operations, size_t count,
                               bool may_vanish)
{
    struct linearizability_search search = {LINEARIZABILITY_BUDGET, may_vanish};
    enum linearizability result = linearizability_check(operations, count, &search);
    if (result == NOT_LINEARIZABLE) {
        explanation_print(out, history, key_name, operations, count, &search);
    } else if (result == UNDECIDED) {
        fprintf(out, "key %s: undecided, %zu operations need more than the search may remember\n",
                key_name, count);
    }
    return result;
}

static int compare_keys(const void *left, const void *right)
{
    const struct history_operation *a = left;
    const struct history_operation *b = right;
    if (a->key != b->key) {
        return a->key < b->key ? -1 : 1;
    }
    return (a->call > b->call) - (a->call < b->call);
}

enum linearizability judge_history(FILE *out, struct history *history)
{
    enum linearizability worst = LINEARIZABLE;
    size_t end;
    if (history->count > 0) {
        qsort(history->operations, history->count, sizeof *history->operations, compare_keys);
    }
    for (size_t start = 0; start < history->count; start = end) {
        uint32_t key = history->operations[start].key;
        for (end = start; end < history->count && history->operations[end].key == key;) {
            end++;
        }
        enum linearizability result = judge_key(out, history, history->keys[key],
                                                &history->operations[start], end - start, false);
        if (result == NOT_LINEARIZABLE || worst == LINEARIZABLE) {
            worst = result;
        }
    }
    return worst;
}
