/*
 * States of a retired record: on a stack -> taken by the reclaimer -> (grace period) -> ripe -> freed
 * by a writer, or by the reclaimer when the next batch ripens.  Other objects skip `ripe`.
 *
 * Why ripe.  An allocator is fast where the thread that frees is the one that allocates next, and slow,
 * with a lock that both take, where one thread allocates and another frees.  So records ripen on
 * the stripe of the thread that retired them, and writers free one for each that they allocate.
 *
 *     ripe       a list that whoever exchanges it for NULL owns: he frees its first record and puts
 *                the rest back (acq_rel: what the reclaimer did before, the grace period
 *                included, is seen by who frees)
 *     surplus    a ripe list that another one has taken the place of; the reclaimer frees it
 *
 *     any_ripe   a hint (relaxed) that spares writers the look at every stripe: set when something has
 *                ripened or is put back, cleared by who finds nothing.  Where it is lost, what is ripe
 *                waits for the next batch or the next pause.
 *
 * A writer frozen with a list in its hands keeps that list and nothing else.
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
#include "core/perturb.h"
#include "core/platform.h"
#include "core/thread.h"

#define STRIPES 8
#define WAKE_BYTES (UINT64_C(64) * 1024)
/* What may ripen on a stripe; more is freed by the reclaimer. */
#define RIPE_BYTES_MAX (DSQ_RECLAIM_RIPE_BYTES_MAX / STRIPES)
/* Ripe records that nobody has asked for are freed when the reclaimer has had no work for so long. */
#define RIPE_IDLE_NS (100 * DSQ_NS_PER_MS)

/* What waits for a grace period. */
struct stack {
    struct dsq_mpsc nodes;
    _Atomic uint64_t bytes;
};

struct stripe {
    struct stack retired;
    _Atomic(struct dsq_mpsc_node *) ripe;
    _Atomic(struct dsq_mpsc_node *) surplus;
    _Atomic uint64_t ripe_bytes; /* of both; wraps for a moment when a batch was counted late */
} DSQ_CACHE_ALIGNED;

struct dsq_reclaim {
    struct stripe stripes[STRIPES];
    struct stack objects;
    struct dsq_event wake;        /* the reclaimer waits for work */
    struct dsq_event freed;       /* writers wait for room */
    _Atomic uint64_t total_bytes; /* taken by the reclaimer, before the end of the grace period */
    _Atomic bool full;
    _Atomic bool asleep;
    _Atomic bool stop;
    _Atomic bool any_ripe; /* see above */
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

void dsq_fork_watch(void)
{
    pthread_once(&fork_once, register_fork_handlers);
}

uint64_t dsq_fork_generation(void)
{
    return dsq_load_relaxed(&fork_generation);
}

static uint64_t stacked_bytes(const struct dsq_reclaim *reclaim)
{
    uint64_t bytes = dsq_load_seq_cst(&reclaim->objects.bytes);

    for (int i = 0; i < STRIPES; i++) {
        bytes += dsq_load_seq_cst(&reclaim->stripes[i].retired.bytes);
    }
    return bytes;
}

uint64_t dsq_reclaim_bytes(const struct dsq_reclaim *reclaim)
{
    uint64_t bytes = stacked_bytes(reclaim) + dsq_load_relaxed(&reclaim->total_bytes);

    for (int i = 0; i < STRIPES; i++) {
        bytes += dsq_load_relaxed(&reclaim->stripes[i].ripe_bytes);
    }
    return bytes;
}

static void free_record(struct stripe *stripe, struct dsq_mpsc_node *node)
{
    struct dsq_record *record = (struct dsq_record *)node;

    dsq_sub_relaxed(&stripe->ripe_bytes, dsq_record_bytes(record));
    dsq_record_free(record);
}

static void free_records(struct stripe *stripe, struct dsq_mpsc_node *node)
{
    while (node != NULL) {
        struct dsq_mpsc_node *next = dsq_mpsc_next(node);

        free_record(stripe, node);
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

/* Puts a list where writers find it, and what was there into `surplus`. */
static void ripen(struct stripe *stripe, struct dsq_mpsc_node *list)
{
    struct dsq_mpsc_node *before = dsq_exchange_acq_rel(&stripe->ripe, list);

    if (before != NULL) {
        free_records(stripe, dsq_exchange_acq_rel(&stripe->surplus, before));
    }
}

static void note_ripe(struct dsq_reclaim *reclaim)
{
    if (!dsq_load_relaxed(&reclaim->any_ripe)) {
        dsq_store_relaxed(&reclaim->any_ripe, true);
    }
}

static void free_surplus(struct stripe *stripe)
{
    free_records(stripe, dsq_exchange_acq_rel(&stripe->surplus, NULL));
}

static void free_ripe(struct dsq_reclaim *reclaim)
{
    for (int i = 0; i < STRIPES; i++) {
        free_records(&reclaim->stripes[i], dsq_exchange_acq_rel(&reclaim->stripes[i].ripe, NULL));
        free_surplus(&reclaim->stripes[i]);
    }
}

/* The first record of a ripe list, which is the caller's from now on; NULL if there is none. */
static struct dsq_mpsc_node *pick_ripe(struct dsq_reclaim *reclaim, struct stripe *stripe)
{
    struct dsq_mpsc_node *list = dsq_load_relaxed(&stripe->ripe);
    struct dsq_mpsc_node *none = NULL;
    struct dsq_mpsc_node *rest;

    if (list != NULL) {
        list = dsq_exchange_acq_rel(&stripe->ripe, NULL);
    }
    rest = list != NULL ? dsq_mpsc_next(list) : NULL;
    dsq_perturb();
    if (rest != NULL && !dsq_cas_acq_rel(&stripe->ripe, &none, rest)) {
        ripen(stripe, rest);
    }
    if (rest != NULL) {
        note_ripe(reclaim);
    }
    return list;
}

void dsq_reclaim_recycle(struct dsq_reclaim *reclaim)
{
    unsigned own = dsq_thread_number();

    if (!dsq_load_relaxed(&reclaim->any_ripe)) {
        return;
    }
    for (unsigned i = 0; i < STRIPES; i++) {
        struct stripe *stripe = &reclaim->stripes[(own + i) % STRIPES];
        struct dsq_mpsc_node *record = pick_ripe(reclaim, stripe);

        if (record != NULL) {
            free_record(stripe, record);
            return;
        }
    }
    dsq_store_relaxed(&reclaim->any_ripe, false);
}

/*
 * Takes a stack.  Bytes are added before the push: what is counted as taken here may be pushed, and
 * taken, in the next round.
 */
static struct dsq_mpsc_node *take(struct stack *stack, uint64_t *bytes)
{
    struct dsq_mpsc_node *newest;

    *bytes = dsq_load_seq_cst(&stack->bytes);
    newest = dsq_mpsc_take_newest_first(&stack->nodes);
    dsq_sub_seq_cst(&stack->bytes, *bytes);
    return newest;
}

/* After the grace period. */
static void hand_out(struct dsq_reclaim *reclaim, struct stripe *stripe,
                     struct dsq_mpsc_node *records, uint64_t bytes)
{
    dsq_add_relaxed(&stripe->ripe_bytes, bytes);
    if (bytes > RIPE_BYTES_MAX) {
        free_records(stripe, records);
    } else if (records != NULL) {
        ripen(stripe, records);
        note_ripe(reclaim);
    }
    free_surplus(stripe);
}

/* Takes all that is stacked, waits for a grace period, and hands it out or frees it. */
static void reclaim_round(struct dsq_reclaim *reclaim)
{
    struct dsq_mpsc_node *records[STRIPES];
    uint64_t bytes[STRIPES];
    uint64_t taken;
    struct dsq_mpsc_node *objects = take(&reclaim->objects, &taken);

    for (int i = 0; i < STRIPES; i++) {
        records[i] = take(&reclaim->stripes[i].retired, &bytes[i]);
        taken += bytes[i];
    }
    dsq_add_relaxed(&reclaim->total_bytes, taken);
    urcu_bp_synchronize_rcu();
    dsq_annotate_acquire(&dsq_grace_period_edge);
    for (int i = 0; i < STRIPES; i++) {
        hand_out(reclaim, &reclaim->stripes[i], records[i], bytes[i]);
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
        if (!dsq_event_wait(&reclaim->wake, ticket, dsq_now_ns() + RIPE_IDLE_NS)) {
            free_ripe(reclaim);
            dsq_event_wait(&reclaim->wake, ticket, DSQ_NO_DEADLINE);
        }
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
    for (int i = 0; i < STRIPES; i++) {
        dsq_mpsc_init(&made->stripes[i].retired.nodes);
    }
    dsq_mpsc_init(&made->objects.nodes);
    dsq_event_init(&made->wake);
    dsq_event_init(&made->freed);
    made->cap_bytes = cap_bytes;
    dsq_fork_watch();
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
    free_ripe(reclaim);
    free(reclaim);
}

/*
 * If all stacks together hold the cap, one of them holds its share: only then the sum is taken.
 */
static void note_retired(struct dsq_reclaim *reclaim, uint64_t stack_bytes)
{
    if (stack_bytes >= reclaim->cap_bytes / (STRIPES + 1) && !dsq_load_relaxed(&reclaim->full) &&
        stacked_bytes(reclaim) >= reclaim->cap_bytes) {
        dsq_store_seq_cst(&reclaim->full, true);
    }
    if (stack_bytes >= WAKE_BYTES / (STRIPES + 1) && dsq_load_seq_cst(&reclaim->asleep) &&
        stacked_bytes(reclaim) >= WAKE_BYTES) {
        dsq_event_signal(&reclaim->wake);
    }
}

static void retire(struct dsq_reclaim *reclaim, struct stack *stack, struct dsq_mpsc_node *node,
                   uint64_t bytes)
{
    uint64_t before = dsq_add_seq_cst(&stack->bytes, bytes);

    dsq_mpsc_push(&stack->nodes, node);
    note_retired(reclaim, before + bytes);
}

void dsq_reclaim_retire(struct dsq_reclaim *reclaim, struct dsq_retired *retired, uint64_t bytes)
{
    retire(reclaim, &reclaim->objects, &retired->node, bytes);
}

void dsq_record_release(struct dsq_reclaim *reclaim, struct dsq_record *record)
{
    if (dsq_record_drop(record)) {
        struct stripe *stripe = &reclaim->stripes[dsq_thread_number() % STRIPES];

        retire(reclaim, &stripe->retired, &record->node, dsq_record_bytes(record));
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
