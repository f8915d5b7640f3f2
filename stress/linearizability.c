#include "stress/linearizability.h"

#include <stdlib.h>
#include <string.h>

#include "stress/random.h"

/* What a key holds. */
typedef struct history_value state;

/*
 * Calls and returns in the order of their times, linked: what the search has ordered is taken out,
 * and put back when it backs up.
 */
struct event {
    struct event *next;
    struct event *previous;
    struct event *back; /* of a call: its return, NULL if that may come at any time */
    const struct history_operation *operation; /* NULL: a return */
    uint64_t time;
    uint64_t token[2]; /* of a call: what it adds to the sum of a set */
};

/* Sets of ordered operations with the state that they led to: an open-addressing hash set. */
struct memory {
    struct seen {
        uint64_t sum[2];
        uint64_t used;
    } * entries;
    size_t mask;
    size_t count;
    size_t budget;
};

/* One choice made by the search. */
struct step {
    struct event *call;
    state before;
};

struct search {
    struct event head;
    struct event *events;
    struct step *steps;
    size_t depth;
    size_t required; /* returned operations that are not ordered yet */
    bool may_vanish;
    struct memory memory;
    uint64_t sum[2];
};

/* Whether the operation may take effect in a state, and the state that it leaves. */
static bool apply(const struct history_operation *operation, state *now)
{
    bool known = operation->outcome == HISTORY_OK;
    bool present = now->kind != HISTORY_NONE;
    bool equal;
    switch (operation->op) {
    case HISTORY_GET:
        return !known || history_value_equal(operation->output, *now);
    case HISTORY_PUT:
        *now = operation->input;
        return true;
    case HISTORY_DELETE:
        *now = (state){HISTORY_NONE, 0};
        return !known || operation->done == present;
    case HISTORY_POP: {
        state found = *now;
        *now = (state){HISTORY_NONE, 0};
        return !known || history_value_equal(operation->output, found);
    }
    case HISTORY_ADD:
        if (!present) {
            *now = operation->input;
        }
        return !known || operation->done == !present;
    case HISTORY_CAS:
        equal = present && history_value_equal(operation->expected, *now);
        if (equal) {
            *now = operation->input;
        }
        return !known || operation->done == equal;
    case HISTORY_INCR:
        if (now->kind == HISTORY_TEXT) {
            return !known; /* nothing to add to: it has changed nothing */
        }
        *now = history_integer(
            (int64_t)((uint64_t)(present ? now->number : 0) + (uint64_t)operation->input.number));
        return !known || history_value_equal(operation->output, *now);
    case HISTORY_OP_COUNT:
        break;
    }
    return false;
}

/*
 * The same for a key that may have vanished: only where nothing else explains the operation, because
 * a key that is still there can vanish later.
 */
static bool apply_either(const struct history_operation *operation, bool may_vanish, state *now)
{
    state after = *now;
    if (apply(operation, &after)) {
        *now = after;
        return true;
    }
    *now = (state){HISTORY_NONE, 0};
    return may_vanish && apply(operation, now);
}

static bool memory_grow(struct memory *memory)
{
    size_t size = memory->entries != NULL ? 2 * (memory->mask + 1) : 1024;
    struct seen *entries = calloc(size, sizeof *entries);
    if (entries == NULL) {
        return false;
    }
    for (size_t i = 0; memory->entries != NULL && i <= memory->mask; i++) {
        if (memory->entries[i].used != 0) {
            size_t place = memory->entries[i].sum[0] & (size - 1);
            while (entries[place].used != 0) {
                place = (place + 1) & (size - 1);
            }
            entries[place] = memory->entries[i];
        }
    }
    free(memory->entries);
    memory->entries = entries;
    memory->mask = size - 1;
    return true;
}

/* Remembers a set with its state: 1 if it is new, 0 if it was there, -1 if the budget is spent. */
static int memory_add(struct memory *memory, const uint64_t sum[2], state now)
{
    uint64_t mixed = stress_mix3((uint64_t)now.kind, (uint64_t)now.number, 1);
    uint64_t key[2] = {sum[0] ^ mixed, sum[1] ^ stress_mix(mixed)};
    if (memory->count >= memory->budget) {
        return -1;
    }
    if ((memory->entries == NULL || memory->count > memory->mask / 2) && !memory_grow(memory)) {
        return -1;
    }
    size_t place = key[0] & memory->mask;
    while (memory->entries[place].used != 0) {
        if (memory->entries[place].sum[0] == key[0] && memory->entries[place].sum[1] == key[1]) {
            return 0;
        }
        place = (place + 1) & memory->mask;
    }
    memory->entries[place] = (struct seen){{key[0], key[1]}, 1};
    memory->count++;
    return 1;
}

static void unlink_event(struct event *event)
{
    event->previous->next = event->next;
    if (event->next != NULL) {
        event->next->previous = event->previous;
    }
}

static void relink_event(struct event *event)
{
    event->previous->next = event;
    if (event->next != NULL) {
        event->next->previous = event;
    }
}

/* Orders an operation next. */
static void lift(struct search *search, struct event *call, state before)
{
    search->steps[search->depth++] = (struct step){call, before};
    search->sum[0] += call->token[0];
    search->sum[1] += call->token[1];
    search->required -= call->back != NULL;
    unlink_event(call);
    if (call->back != NULL) {
        unlink_event(call->back);
    }
}

/* Takes the last choice back and returns it. */
static struct step unlift(struct search *search)
{
    struct step step = search->steps[--search->depth];
    struct event *call = step.call;
    search->sum[0] -= call->token[0];
    search->sum[1] -= call->token[1];
    search->required += call->back != NULL;
    if (call->back != NULL) {
        relink_event(call->back);
    }
    relink_event(call);
    return step;
}

static enum linearizability search_run(struct search *search)
{
    state now = {HISTORY_NONE, 0};
    struct event *event = search->head.next;
    while (search->required > 0) {
        if (event != NULL && event->operation != NULL) {
            state after = now;
            int fresh = 0;
            if (apply_either(event->operation, search->may_vanish, &after)) {
                uint64_t sum[2] = {search->sum[0] + event->token[0],
                                   search->sum[1] + event->token[1]};
                fresh = memory_add(&search->memory, sum, after);
            }
            if (fresh < 0) {
                return UNDECIDED;
            }
            if (fresh > 0) {
                lift(search, event, now);
                now = after;
                event = search->head.next;
            } else {
                event = event->next;
            }
            continue;
        }
        /* A return: whoever it belongs to had to be ordered by now. */
        if (search->depth == 0) {
            return NOT_LINEARIZABLE;
        }
        struct step step = unlift(search);
        now = step.before;
        event = step.call->next;
    }
    return LINEARIZABLE;
}

static int compare_events(const void *left, const void *right)
{
    const struct event *a = left;
    const struct event *b = right;
    if (a->time != b->time) {
        return a->time < b->time ? -1 : 1;
    }
    /* At one time calls come first: the two may have overlapped. */
    return (a->operation == NULL) - (b->operation == NULL);
}

/* Makes the list of events; `back` of a call is found through the operation's place in the list. */
static bool search_prepare(struct search *search, const struct history_operation *operations,
                           size_t count)
{
    struct event **calls = calloc(count + 1, sizeof *calls);
    size_t used = 0;
    search->events = calloc(2 * count + 1, sizeof *search->events);
    search->steps = calloc(count + 1, sizeof *search->steps);
    if (search->events == NULL || search->steps == NULL || calls == NULL) {
        free(calls);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const struct history_operation *operation = &operations[i];
        if (operation->outcome == HISTORY_FAIL) {
            continue;
        }
        /* A token is the operation's number until the events are sorted. */
        search->events[used++] =
            (struct event){.operation = operation, .time = operation->call, .token = {i}};
        if (operation->outcome == HISTORY_OK) {
            search->events[used++] = (struct event){.time = operation->back, .token = {i}};
            search->required++;
        }
    }
    qsort(search->events, used, sizeof *search->events, compare_events);
    struct event *last = &search->head;
    for (size_t i = 0; i < used; i++) {
        struct event *event = &search->events[i];
        size_t number = event->token[0];
        event->previous = last;
        last->next = event;
        last = event;
        if (event->operation == NULL) {
            calls[number]->back = event;
            continue;
        }
        calls[number] = event;
        event->token[0] = stress_mix3(number, 2, 3);
        event->token[1] = stress_mix3(number, 5, 7);
    }
    free(calls);
    return true;
}

enum linearizability linearizability_check(const struct history_operation *operations, size_t count,
                                           const struct linearizability_search *how)
{
    struct search search = {.may_vanish = how->may_vanish, .memory = {.budget = how->budget}};
    enum linearizability result = UNDECIDED;
    if (search_prepare(&search, operations, count)) {
        result = search_run(&search);
    }
    free(search.events);
    free(search.steps);
    free(search.memory.entries);
    return result;
}
