#include <stdlib.h>
#include <string.h>

#include "stress/linearizability.h"

/*
 * Leaving operations out takes a search each: short ones, because what makes a search long is no
 * explanation either.
 */
#define BUDGET_OF_A_TRIAL ((size_t)50 * 1000)

static bool changes_nothing(const struct history_operation *operation)
{
    switch (operation->op) {
    case HISTORY_GET:
        return true;
    case HISTORY_POP:
        return operation->outcome == HISTORY_OK && operation->output.kind == HISTORY_NONE;
    case HISTORY_DELETE:
    case HISTORY_ADD:
    case HISTORY_CAS:
        return operation->outcome == HISTORY_OK && !operation->done;
    case HISTORY_PUT:
    case HISTORY_INCR:
    case HISTORY_OP_COUNT:
        break;
    }
    return false;
}

static int compare_calls(const void *left, const void *right)
{
    const struct history_operation *a = left;
    const struct history_operation *b = right;
    return (a->call > b->call) - (a->call < b->call);
}

static int compare_times(const void *left, const void *right)
{
    const uint64_t *a = left;
    const uint64_t *b = right;
    return (*a > *b) - (*a < *b);
}

/*
 * What was known by a time, into `known`: calls until then, with those that had not returned as
 * unknown.  A history stays linearizable when its end is cut off like this.
 */
static size_t known_by(const struct history_operation *operations, size_t count, uint64_t time,
                       struct history_operation *known)
{
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        bool pending = operations[i].back > time;
        if (operations[i].call > time || operations[i].outcome == HISTORY_FAIL ||
            (pending && operations[i].op == HISTORY_GET)) {
            continue;
        }
        known[used] = operations[i];
        if (pending) {
            known[used].outcome = HISTORY_UNKNOWN;
            known[used].back = UINT64_MAX;
        }
        used++;
    }
    return used;
}

/* Cuts the history off at the first return that cannot be explained; its new length, 0: gave up. */
static size_t cut_off(const struct history_operation *operations, size_t count,
                      const struct linearizability_search *search, struct history_operation *known)
{
    uint64_t *times = calloc(count + 1, sizeof *times);
    size_t low = 0;
    size_t high = 0;
    if (times == NULL) {
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        if (operations[i].outcome == HISTORY_OK) {
            times[high++] = operations[i].back;
        }
    }
    qsort(times, high, sizeof *times, compare_times);
    high = high > 0 ? high - 1 : 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        size_t used = known_by(operations, count, times[middle], known);
        if (linearizability_check(known, used, search) == NOT_LINEARIZABLE) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    size_t used = known_by(operations, count, times[high], known);
    free(times);
    return linearizability_check(known, used, search) == NOT_LINEARIZABLE ? used : 0;
}

/* Tries to do without operation i: true if the rest is still not linearizable. */
static bool do_without(struct history_operation *operations, size_t *count, size_t i,
                       const struct linearizability_search *search)
{
    struct history_operation tried = operations[i];
    if (tried.outcome == HISTORY_UNKNOWN) {
        return false;
    }
    if (!changes_nothing(&tried)) {
        operations[i].outcome = HISTORY_UNKNOWN;
        operations[i].call = 0;
        operations[i].back = UINT64_MAX;
        if (linearizability_check(operations, *count, search) == NOT_LINEARIZABLE) {
            return true;
        }
        operations[i] = tried;
        return false;
    }
    operations[i] = operations[*count - 1];
    if (linearizability_check(operations, *count - 1, search) == NOT_LINEARIZABLE) {
        --*count;
        return true;
    }
    operations[i] = tried;
    return false;
}

bool linearizability_explain(const struct history_operation *operations, size_t count,
                             const struct linearizability_search *search,
                             struct linearizability_window *window)
{
    struct history_operation *left = calloc(count + 1, sizeof *left);
    *window = (struct linearizability_window){.operations = left};
    if (left == NULL) {
        return false;
    }
    struct linearizability_search trial = *search;
    trial.budget = search->budget < BUDGET_OF_A_TRIAL ? search->budget : BUDGET_OF_A_TRIAL;
    size_t used = cut_off(operations, count, search, left);
    qsort(left, used, sizeof *left, compare_calls);
    /* The oldest first, over and over until nothing more can go. */
    for (bool shrunk = used > 0; shrunk;) {
        shrunk = false;
        for (size_t i = 0; i < used;) {
            size_t before = used;
            bool gone = do_without(left, &used, i, &trial);
            shrunk |= gone;
            i += used == before;
        }
        qsort(left, used, sizeof *left, compare_calls);
    }
    for (size_t i = 0; i < used; i++) {
        if (left[i].outcome == HISTORY_UNKNOWN) {
            window->unconstrained++;
        } else {
            left[window->count++] = left[i];
        }
    }
    return used > 0;
}
