/*
 * States of a retired record: on a stack -> taken by the reclaimer -> (grace period) -> ripe -> reused
 * or freed by a writer, or freed by the reclaimer.  Other objects skip `ripe`.
 *
 * Why ripe.  An allocator is fast where the thread that frees is the one that allocates next, and slow,
 * with a lock that both take, where one thread allocates and another frees; and a thread that
 * had to walk through all that ever dies would set the pace of all writers together.  So the reclaimer
 * hands over whole lists without looking into them: a batch ripens on the stripe of those who retired
 * it, and a writer takes a record from there, its memory if that fits, for each that it makes.
 *
 *     fresh      the list that ripened last, untouched.  Whoever exchanges it for NULL owns it.  A list
 *                that another one takes the place of is freed by the reclaimer: its writers have
 *                gone, or retire more than they make.
 *     ripe       the list that writers take from: the one who exchanges it for NULL owns it, takes the
 *                first record, a second one while there are plenty, and puts the rest back (acq_rel:
 *                what the reclaimer did before, the grace period included, is seen by who frees)
 *     surplus    the rest that was not put back because another writer's was: taken when there is nothing
 *                else; what takes its place in turn is freed
 *
 * Stripe 0 is that of the threads that work for others (core/thread.h): the committer drops the last
 * references of much that writers replace.  Whoever finds his own stripe empty takes from there.
 *
 * A writer frozen with a list in its hands keeps that list and nothing else.
 *
 * Pace.  A stack is due when it holds `due_bytes` and its writers have begun with what ripened last, or
 * when it holds LATE_BYTES more: so a writer finds a record for each that it makes, and the reclaimer
 * frees none.  A grace period that some stack is due for takes along what it can.  Short lists stay in
 * the caches, but writers on every core keep the reclaimer from its own: where they find nothing ripe while
 * their stack is due, time after time, `due_bytes` doubles, and halves when that has not been for long.
 *
 * Sleeping.  The reclaimer stores `asleep` and then looks at the stacks' bytes; a retirer adds its
 * bytes and then, each time its stack passes a multiple of LOOK_BYTES, looks at `asleep`; all four
 * accesses are seq_cst, so at least one of the two sees the other: either the reclaimer does not go
 * to sleep or the retirer wakes it.  Where the one sees a fresh list that is being taken, the next
 * multiple comes.  What is not due may rest: it is bounded and counted in dsq_reclaim_bytes.
 *
 * `full` is looked after at the same multiples, by those whose stack holds its share of the cap: if all
 * together hold the cap, one of them does.
 */
#include "core/reclaim.h"

#include <pthread.h>
#include <stdlib.h>

#include "core/error.h"
#include "core/event.h"
#include "core/perturb.h"
#include "core/platform.h"
#include "core/thread.h"

/* Powers of two: stripes of writers, one for each core. */
#define STRIPES_MIN 8
#define STRIPES_MAX 64
#define DUE_BYTES_MIN (UINT64_C(128) * 1024)
#define DUE_BYTES_MAX (UINT64_C(1024) * 1024)
/* Records of a round that were not found because it came late, and rounds without any. */
#define LATE_RECORDS 32
#define CALM_ROUNDS 256
#define LATE_BYTES (UINT64_C(1024) * 1024)
/* Of a stripe ripe beyond so many lists: its writers take two records for each that they make. */
#define PLENTY_LISTS 4
#define LOOK_BYTES (UINT64_C(4) * 1024)
/* One for the objects, one for those who work for others. */
_Static_assert((STRIPES_MAX + 2) * LOOK_BYTES == DSQ_RECLAIM_SLACK_BYTES, "said in the header");
/* Ripe records that nobody has asked for are freed when the reclaimer has had no work for so long. */
#define RIPE_IDLE_NS (100 * DSQ_NS_PER_MS)

/* What waits for a grace period. */
struct stack {
    struct dsq_mpsc nodes;
    _Atomic uint64_t bytes;
};

struct stripe {
    DSQ_CACHE_ALIGNED struct stack retired;
    _Atomic uint64_t due_bytes; /* the reclaimer's to change */
    _Atomic uint32_t late;      /* records not found since the last round, about */
    DSQ_CACHE_ALIGNED _Atomic(struct dsq_mpsc_node *) ripe;
    _Atomic(struct dsq_mpsc_node *) fresh;
    _Atomic(struct dsq_mpsc_node *) surplus;
    _Atomic uint64_t ripe_bytes; /* of all three; wraps for a moment if a batch is counted late */
    /* Of the round under way, the reclaimer's own. */
    struct dsq_mpsc_node *batch;
    uint64_t batch_bytes;
    uint32_t calm; /* rounds since one came late */
};

struct dsq_reclaim {
    unsigned stripe_count; /* so far and up to `asleep`: seldom written */
    uint64_t cap_bytes;
    uint64_t due_bytes_max; /* of a stripe; all together hold half of the cap at most */
    pthread_t thread;
    _Atomic bool full;
    _Atomic bool stop;
    _Atomic bool asleep;
    struct dsq_event wake;                          /* the reclaimer waits for work */
    DSQ_CACHE_ALIGNED struct dsq_event freed;       /* writers wait for room */
    DSQ_CACHE_ALIGNED _Atomic uint64_t total_bytes; /* taken, before the end of the grace period */
    struct stack objects;
    struct stripe stripes[]; /* that of those who work for others, and stripe_count more */
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

static struct stripe *stripes_end(struct dsq_reclaim *reclaim)
{
    return reclaim->stripes + 1 + reclaim->stripe_count;
}

static struct stripe *own_stripe(struct dsq_reclaim *reclaim)
{
    return &reclaim->stripes[1 + (dsq_thread_number() & (reclaim->stripe_count - 1))];
}

static uint64_t stacked_bytes(struct dsq_reclaim *reclaim)
{
    uint64_t bytes = dsq_load_seq_cst(&reclaim->objects.bytes);

    for (struct stripe *stripe = reclaim->stripes; stripe < stripes_end(reclaim); stripe++) {
        bytes += dsq_load_seq_cst(&stripe->retired.bytes);
    }
    return bytes;
}

static uint64_t ripe_bytes(struct dsq_reclaim *reclaim)
{
    uint64_t bytes = 0;

    for (struct stripe *stripe = reclaim->stripes; stripe < stripes_end(reclaim); stripe++) {
        bytes += dsq_load_relaxed(&stripe->ripe_bytes);
    }
    return bytes;
}

uint64_t dsq_reclaim_bytes(struct dsq_reclaim *reclaim)
{
    return stacked_bytes(reclaim) + dsq_load_relaxed(&reclaim->total_bytes) + ripe_bytes(reclaim);
}

static void free_records(struct stripe *stripe, struct dsq_mpsc_node *node)
{
    uint64_t bytes = 0;

    while (node != NULL) {
        struct dsq_mpsc_node *next = dsq_mpsc_next(node);
        struct dsq_record *record = (struct dsq_record *)node;

        bytes += dsq_record_bytes(record);
        dsq_record_free(record);
        node = next;
    }
    dsq_sub_relaxed(&stripe->ripe_bytes, bytes);
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

static void free_ripe(struct dsq_reclaim *reclaim)
{
    for (struct stripe *stripe = reclaim->stripes; stripe < stripes_end(reclaim); stripe++) {
        free_records(stripe, dsq_exchange_acq_rel(&stripe->ripe, NULL));
        free_records(stripe, dsq_exchange_acq_rel(&stripe->fresh, NULL));
        free_records(stripe, dsq_exchange_acq_rel(&stripe->surplus, NULL));
    }
}

/* A list of the stripe's, which is the caller's from now on; NULL if there is none. */
static struct dsq_mpsc_node *take_ripe(struct stripe *stripe)
{
    struct dsq_mpsc_node *list = NULL;

    if (dsq_load_relaxed(&stripe->ripe) != NULL) {
        list = dsq_exchange_acq_rel(&stripe->ripe, NULL);
    }
    if (list == NULL && dsq_load_relaxed(&stripe->fresh) != NULL) {
        list = dsq_exchange_acq_rel(&stripe->fresh, NULL);
    }
    if (list == NULL && dsq_load_relaxed(&stripe->surplus) != NULL) {
        list = dsq_exchange_acq_rel(&stripe->surplus, NULL);
    }
    return list;
}

/* Puts the rest of a list back, or aside if another writer's is there. */
static void put_back(struct stripe *stripe, struct dsq_mpsc_node *rest)
{
    struct dsq_mpsc_node *none = NULL;

    if (!dsq_cas_acq_rel(&stripe->ripe, &none, rest)) {
        free_records(stripe, dsq_exchange_acq_rel(&stripe->surplus, rest));
    }
}

/* The memory of a dead record if it has that capacity, else NULL, and the allocator has it. */
static struct dsq_record *reuse(struct stripe *stripe, struct dsq_record *record, size_t capacity)
{
    dsq_sub_relaxed(&stripe->ripe_bytes, dsq_record_bytes(record));
    if (dsq_record_is_reusable(record, capacity)) {
        return record;
    }
    dsq_record_free(record);
    return NULL;
}

/* Nothing was ripe: notes if that is because the reclaimer is late.  Relaxed and not exact: a hint. */
static void note_late(struct stripe *stripe)
{
    if (dsq_load_relaxed(&stripe->retired.bytes) >= dsq_load_relaxed(&stripe->due_bytes)) {
        dsq_store_relaxed(&stripe->late, dsq_load_relaxed(&stripe->late) + 1);
    }
}

struct dsq_record *dsq_reclaim_recycle(struct dsq_reclaim *reclaim, size_t capacity)
{
    struct stripe *stripe = own_stripe(reclaim);
    struct dsq_mpsc_node *list = take_ripe(stripe);
    struct dsq_mpsc_node *second = NULL;
    struct dsq_mpsc_node *rest;

    if (list == NULL) {
        note_late(stripe);
        stripe = reclaim->stripes;
        list = take_ripe(stripe);
    }
    if (list == NULL) {
        return NULL;
    }
    dsq_perturb();
    rest = dsq_mpsc_next(list);
    if (rest != NULL && dsq_load_relaxed(&stripe->ripe_bytes) >
                            PLENTY_LISTS * dsq_load_relaxed(&stripe->due_bytes)) {
        second = rest;
        rest = dsq_mpsc_next(second);
    }
    if (rest != NULL) {
        put_back(stripe, rest);
        /* Out of the caches by now, and the next to be taken and written. */
        __builtin_prefetch(rest, 1);
        __builtin_prefetch((const char *)rest + DSQ_CACHE_LINE_BYTES, 1);
    }
    if (second != NULL) {
        dsq_mpsc_link(second, NULL);
        free_records(stripe, second);
    }
    return reuse(stripe, (struct dsq_record *)list, capacity);
}

/* Whether another list may ripen behind the stripe's. */
static bool has_place(struct stripe *stripe)
{
    return dsq_load_relaxed(&stripe->fresh) == NULL ||
           dsq_load_seq_cst(&stripe->retired.bytes) >=
               dsq_load_relaxed(&stripe->due_bytes) + LATE_BYTES;
}

static bool is_due(struct stripe *stripe)
{
    return dsq_load_seq_cst(&stripe->retired.bytes) >= dsq_load_relaxed(&stripe->due_bytes) &&
           has_place(stripe);
}

static bool any_is_due(struct dsq_reclaim *reclaim)
{
    bool due = dsq_load_seq_cst(&reclaim->objects.bytes) >= DUE_BYTES_MIN;

    for (struct stripe *stripe = reclaim->stripes; stripe < stripes_end(reclaim); stripe++) {
        due = due || is_due(stripe);
    }
    return due;
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

/* After the grace period: how long the stripe's next list should be. */
static void adapt(const struct dsq_reclaim *reclaim, struct stripe *stripe)
{
    uint64_t due_bytes = dsq_load_relaxed(&stripe->due_bytes);

    if (dsq_load_relaxed(&stripe->late) >= LATE_RECORDS) {
        due_bytes = due_bytes < reclaim->due_bytes_max ? 2 * due_bytes : due_bytes;
        stripe->calm = 0;
    } else if (++stripe->calm == CALM_ROUNDS) {
        due_bytes = due_bytes > DUE_BYTES_MIN ? due_bytes / 2 : due_bytes;
        stripe->calm = 0;
    }
    dsq_store_relaxed(&stripe->late, 0);
    dsq_store_relaxed(&stripe->due_bytes, due_bytes);
}

/* After the grace period: `room` bytes more may ripen; what is taken of them. */
static uint64_t hand_out(struct stripe *stripe, uint64_t room)
{
    bool fits = stripe->batch_bytes <= room;

    dsq_add_relaxed(&stripe->ripe_bytes, stripe->batch_bytes);
    if (stripe->batch != NULL && fits) {
        free_records(stripe, dsq_exchange_acq_rel(&stripe->fresh, stripe->batch));
    } else {
        free_records(stripe, stripe->batch);
    }
    return fits ? stripe->batch_bytes : 0;
}

static void hand_out_all(struct dsq_reclaim *reclaim)
{
    uint64_t ripe = ripe_bytes(reclaim);
    uint64_t most = DSQ_RECLAIM_RIPE_BYTES_MAX(reclaim->cap_bytes);
    uint64_t room = ripe < most ? most - ripe : 0;

    for (struct stripe *stripe = reclaim->stripes; stripe < stripes_end(reclaim); stripe++) {
        if (stripe->batch != NULL) {
            adapt(reclaim, stripe);
        }
        room -= hand_out(stripe, room);
    }
}

/* Takes what is stacked, all of it or what has a place, waits for a grace period, and hands it out. */
static void reclaim_round(struct dsq_reclaim *reclaim, bool all)
{
    uint64_t object_bytes;
    uint64_t record_bytes = 0;
    struct dsq_mpsc_node *objects = take(&reclaim->objects, &object_bytes);

    for (struct stripe *stripe = reclaim->stripes; stripe < stripes_end(reclaim); stripe++) {
        stripe->batch = NULL;
        stripe->batch_bytes = 0;
        if (all || has_place(stripe)) {
            stripe->batch = take(&stripe->retired, &stripe->batch_bytes);
        }
        record_bytes += stripe->batch_bytes;
    }
    dsq_add_relaxed(&reclaim->total_bytes, object_bytes + record_bytes);
    urcu_bp_synchronize_rcu();
    dsq_annotate_acquire(&dsq_grace_period_edge);
    hand_out_all(reclaim);
    dsq_sub_relaxed(&reclaim->total_bytes, record_bytes);
    free_objects(objects);
    dsq_sub_relaxed(&reclaim->total_bytes, object_bytes);
}

static void sleep_until_work(struct dsq_reclaim *reclaim)
{
    uint32_t ticket = dsq_event_ticket(&reclaim->wake);

    dsq_store_seq_cst(&reclaim->asleep, true);
    /* Not while `full`: whoever waits for it to end has signalled, perhaps before the ticket. */
    if (!any_is_due(reclaim) && !dsq_load_seq_cst(&reclaim->full) &&
        !dsq_load_seq_cst(&reclaim->stop)) {
        if (!dsq_event_wait(&reclaim->wake, ticket, dsq_now_ns() + RIPE_IDLE_NS)) {
            reclaim_round(reclaim, true);
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
        reclaim_round(reclaim, dsq_load_relaxed(&reclaim->full));
        if (dsq_load_relaxed(&reclaim->full) && stacked_bytes(reclaim) < reclaim->cap_bytes) {
            dsq_store_seq_cst(&reclaim->full, false);
            dsq_event_signal(&reclaim->freed);
        }
    }
    return NULL;
}

static unsigned choose_stripes(void)
{
    uint64_t stripes = dsq_next_power_of_two(dsq_core_count());

    stripes = stripes > STRIPES_MIN ? stripes : STRIPES_MIN;
    return (unsigned)(stripes < STRIPES_MAX ? stripes : STRIPES_MAX);
}

static uint64_t choose_due_bytes_max(unsigned stripes, uint64_t cap_bytes)
{
    uint64_t due_bytes = DUE_BYTES_MIN;

    while (due_bytes < DUE_BYTES_MAX && 2 * due_bytes * (stripes + 1) <= cap_bytes / 2) {
        due_bytes *= 2;
    }
    return due_bytes;
}

static struct dsq_reclaim *allocate(unsigned stripes, uint64_t cap_bytes)
{
    size_t bytes = sizeof(struct dsq_reclaim) + (1 + stripes) * sizeof(struct stripe);
    struct dsq_reclaim *made = aligned_alloc(DSQ_CACHE_LINE_BYTES, bytes);

    if (made == NULL) {
        return NULL;
    }
    memset(made, 0, bytes);
    made->stripe_count = stripes;
    made->cap_bytes = cap_bytes;
    made->due_bytes_max = choose_due_bytes_max(stripes, cap_bytes);
    for (struct stripe *stripe = made->stripes; stripe < stripes_end(made); stripe++) {
        dsq_mpsc_init(&stripe->retired.nodes);
        stripe->due_bytes = DUE_BYTES_MIN;
    }
    dsq_mpsc_init(&made->objects.nodes);
    dsq_event_init(&made->wake);
    dsq_event_init(&made->freed);
    return made;
}

int dsq_reclaim_new(uint64_t cap_bytes, struct dsq_reclaim **reclaim, struct dsq_error *error)
{
    struct dsq_reclaim *made = allocate(choose_stripes(), cap_bytes);

    if (made == NULL) {
        return dsq_error_set(error, DSQ_ERR_NOMEM, "out of memory for the reclaimer");
    }
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
    reclaim_round(reclaim, true);
    free_ripe(reclaim);
    free(reclaim);
}

static void note_full(struct dsq_reclaim *reclaim, uint64_t stack_bytes)
{
    if (stack_bytes >= reclaim->cap_bytes / (reclaim->stripe_count + 2) &&
        !dsq_load_relaxed(&reclaim->full) && stacked_bytes(reclaim) >= reclaim->cap_bytes) {
        dsq_store_seq_cst(&reclaim->full, true);
    }
}

/* Pushes; the bytes of the stack if they have passed a multiple of LOOK_BYTES, else 0. */
static uint64_t push(struct stack *stack, struct dsq_mpsc_node *node, uint64_t bytes)
{
    uint64_t before = dsq_add_seq_cst(&stack->bytes, bytes);

    dsq_mpsc_push(&stack->nodes, node);
    return before / LOOK_BYTES != (before + bytes) / LOOK_BYTES ? before + bytes : 0;
}

void dsq_reclaim_retire(struct dsq_reclaim *reclaim, struct dsq_retired *retired, uint64_t bytes)
{
    uint64_t passed = push(&reclaim->objects, &retired->node, bytes);

    if (passed >= DUE_BYTES_MIN && dsq_load_seq_cst(&reclaim->asleep)) {
        dsq_event_signal(&reclaim->wake);
    }
    if (passed != 0) {
        note_full(reclaim, passed);
    }
}

static void retire_record(struct dsq_reclaim *reclaim, struct dsq_record *record)
{
    struct stripe *stripe = dsq_thread_serves_others() ? reclaim->stripes : own_stripe(reclaim);
    uint64_t passed = push(&stripe->retired, &record->node, dsq_record_bytes(record));

    if (passed >= DUE_BYTES_MIN && dsq_load_seq_cst(&reclaim->asleep) && is_due(stripe)) {
        dsq_event_signal(&reclaim->wake);
    }
    if (passed != 0) {
        note_full(reclaim, passed);
    }
}

void dsq_record_release(struct dsq_reclaim *reclaim, struct dsq_record *record)
{
    if (dsq_record_drop(record)) {
        retire_record(reclaim, record);
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
