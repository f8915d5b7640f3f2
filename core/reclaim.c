/*
 * States of a retired node: on a stack -> taken by the reclaimer -> (grace period) -> freed.
 *
 * Sleeping.  The reclaimer stores `asleep` and then looks at the stacks' bytes; a retirer adds its
 * bytes and then looks at `asleep`; all four accesses are seq_cst, so at least one of the two sees
 * the other: either the reclaimer does not go to sleep or the retirer wakes it.  Less than
 * WAKE_BYTES on a stack may rest there: it is bounded and counted in dsq_reclaim_bytes.
 */
#include "core/reclaim.h"

#include <pthread.h>
#include <stdlib.h>

#include "core/error.h"
#include "core/event.h"
#include "core/platform.h"
#include "core/thread.h"

#define STACKS 8
#define WAKE_BYTES (UINT64_C(64) * 1024)

struct stack {
    struct dsq_mpsc records;
    _Atomic uint64_t bytes;
} DSQ_CACHE_ALIGNED;

struct dsq_reclaim {
    struct stack stacks[STACKS];
    struct dsq_mpsc objects;
    struct dsq_event wake;        /* the reclaimer waits for work */
    struct dsq_event freed;       /* writers wait for room */
    _Atomic uint64_t total_bytes; /* taken by the reclaimer and not yet freed */
    _Atomic bool full;
    _Atomic bool asleep;
    _Atomic bool stop;
    uint64_t cap_bytes;
    pthread_t thread;
};

char dsq_grace_period_edge;

static _Atomic uint64_t fork_generation;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void child_after_fork(void)
{
    dsq_add_relaxed(&fork_generation, 1);
    urcu_bp_after_fork_child();
}

static void register_fork_handlers(void)
{
    pthread_atfork(urcu_bp_before_fork, urcu_bp_after_fork_parent, child_after_fork);
}

uint64_t dsq_fork_generation(void)
{
    return dsq_load_relaxed(&fork_generation);
}

static uint64_t stacked_bytes(const struct dsq_reclaim *reclaim)
{
    uint64_t bytes = 0;

    for (int i = 0; i < STACKS; i++) {
        bytes += dsq_load_seq_cst(&reclaim->stacks[i].bytes);
    }
    return bytes;
}

uint64_t dsq_reclaim_bytes(const struct dsq_reclaim *reclaim)
{
    return stacked_bytes(reclaim) + dsq_load_relaxed(&reclaim->total_bytes);
}

static void free_records(struct dsq_mpsc_node *node)
{
    while (node != NULL) {
        struct dsq_mpsc_node *next = dsq_mpsc_next(node);

        dsq_record_free((struct dsq_record *)node);
        node = next;
    }
}

static void free_objects(struct dsq_mpsc_node *node)
{
    while (node != NULL) {
        struct dsq_mpsc_node *next = dsq_mpsc_next(node);
        struct dsq_retired *retired = (struct dsq_retired *)node;

        retired->free(retired);
        node = next;
    }
}

/* Takes all that is stacked, waits for a grace period, and frees. */
static void reclaim_round(struct dsq_reclaim *reclaim)
{
    struct dsq_mpsc_node *records[STACKS];
    struct dsq_mpsc_node *objects = dsq_mpsc_take_all(&reclaim->objects);
    uint64_t taken = 0;

    for (int i = 0; i < STACKS; i++) {
        /* Bytes are added before the push: what is subtracted here may be pushed next round. */
        uint64_t bytes = dsq_load_seq_cst(&reclaim->stacks[i].bytes);

        records[i] = dsq_mpsc_take_all(&reclaim->stacks[i].records);
        dsq_sub_seq_cst(&reclaim->stacks[i].bytes, bytes);
        taken += bytes;
    }
    dsq_add_relaxed(&reclaim->total_bytes, taken);
    urcu_bp_synchronize_rcu();
    dsq_annotate_acquire(&dsq_grace_period_edge);
    for (int i = 0; i < STACKS; i++) {
        free_records(records[i]);
    }
    free_objects(objects);
    dsq_sub_relaxed(&reclaim->total_bytes, taken);
}

static void sleep_until_work(struct dsq_reclaim *reclaim)
{
    uint32_t ticket = dsq_event_ticket(&reclaim->wake);

    dsq_store_seq_cst(&reclaim->asleep, true);
    /* Not while `full`: whoever waits for it to end has signalled, perhaps before the ticket. */
    if (stacked_bytes(reclaim) < WAKE_BYTES && !dsq_load_seq_cst(&reclaim->full) &&
        !dsq_load_seq_cst(&reclaim->stop)) {
        dsq_event_wait(&reclaim->wake, ticket, DSQ_NO_DEADLINE);
    }
    dsq_store_seq_cst(&reclaim->asleep, false);
}

static void *reclaimer(void *argument)
{
    struct dsq_reclaim *reclaim = argument;

    while (!dsq_load_seq_cst(&reclaim->stop)) {
        sleep_until_work(reclaim);
        reclaim_round(reclaim);
        if (dsq_load_relaxed(&reclaim->full) && stacked_bytes(reclaim) < reclaim->cap_bytes) {
            dsq_store_seq_cst(&reclaim->full, false);
            dsq_event_signal(&reclaim->freed);
        }
    }
    return NULL;
}

int dsq_reclaim_new(uint64_t cap_bytes, struct dsq_reclaim **reclaim, struct dsq_error *error)
{
    struct dsq_reclaim *made = aligned_alloc(DSQ_CACHE_LINE_BYTES, sizeof *made);

    if (made == NULL) {
        return dsq_error_set(error, DSQ_ERR_NOMEM, "out of memory for the reclaimer");
    }
    memset(made, 0, sizeof *made);
    for (int i = 0; i < STACKS; i++) {
        dsq_mpsc_init(&made->stacks[i].records);
    }
    dsq_mpsc_init(&made->objects);
    dsq_event_init(&made->wake);
    dsq_event_init(&made->freed);
    made->cap_bytes = cap_bytes;
    pthread_once(&fork_once, register_fork_handlers);
    if (dsq_thread_start(&made->thread, "dsq-reclaimer", reclaimer, made) != DSQ_OK) {
        free(made);
        return dsq_error_set(error, DSQ_ERR_NOMEM, "the reclaimer thread cannot be started");
    }
    *reclaim = made;
    return DSQ_OK;
}

void dsq_reclaim_destroy(struct dsq_reclaim *reclaim)
{
    dsq_store_seq_cst(&reclaim->stop, true);
    dsq_event_signal(&reclaim->wake);
    pthread_join(reclaim->thread, NULL);
    reclaim_round(reclaim);
    free(reclaim);
}

/*
 * After the bytes were added to a stack and the node pushed.  If all stacks together hold the cap,
 * one of them holds its share: only then the sum is taken.
 */
static void note_retired(struct dsq_reclaim *reclaim, uint64_t stack_bytes)
{
    if (stack_bytes >= reclaim->cap_bytes / STACKS && !dsq_load_relaxed(&reclaim->full) &&
        stacked_bytes(reclaim) >= reclaim->cap_bytes) {
        dsq_store_seq_cst(&reclaim->full, true);
    }
    if (stack_bytes >= WAKE_BYTES / STACKS && dsq_load_seq_cst(&reclaim->asleep) &&
        stacked_bytes(reclaim) >= WAKE_BYTES) {
        dsq_event_signal(&reclaim->wake);
    }
}

void dsq_reclaim_retire(struct dsq_reclaim *reclaim, struct dsq_retired *retired, uint64_t bytes)
{
    struct stack *stack = &reclaim->stacks[0];
    uint64_t before = dsq_add_seq_cst(&stack->bytes, bytes);

    dsq_mpsc_push(&reclaim->objects, &retired->node);
    note_retired(reclaim, before + bytes);
}

void dsq_record_release(struct dsq_reclaim *reclaim, struct dsq_record *record)
{
    if (dsq_record_drop(record)) {
        struct stack *stack = &reclaim->stacks[record->hash % STACKS];
        uint64_t bytes = dsq_record_bytes(record);
        uint64_t before = dsq_add_seq_cst(&stack->bytes, bytes);

        dsq_mpsc_push(&stack->records, &record->node);
        note_retired(reclaim, before + bytes);
    }
}

bool dsq_reclaim_is_full(const struct dsq_reclaim *reclaim)
{
    return dsq_load_relaxed(&reclaim->full);
}

void dsq_reclaim_wait(struct dsq_reclaim *reclaim)
{
    while (dsq_load_relaxed(&reclaim->full)) {
        uint32_t ticket = dsq_event_ticket(&reclaim->freed);

        if (dsq_load_seq_cst(&reclaim->full)) {
            dsq_event_signal(&reclaim->wake);
            dsq_event_wait(&reclaim->freed, ticket, DSQ_NO_DEADLINE);
        }
    }
}
