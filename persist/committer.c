/*
 * The writers' side of the committer, its start and its end.
 *
 * Handshake of a push with the thread (both sides seq_cst):
 *
 *     writer                                  thread
 *     push the node                           store `sleep`
 *     add to `pushed`                         load `pushed`: more than taken? then do not sleep
 *     load `sleep`: IDLE? then wake it        sleep
 *
 * At least one of them sees the other.  The thread looks at the queue itself as well: a node can be
 * taken before it is counted, and then hides one that is counted and not taken.  A settled record
 * and an ended group do the same with `carrying` before `sleep`; for the nodes of a group nobody is
 * woken before its end.  A demand is stored and then signalled always.  For a quiet push nobody is woken
 * either; who waits for its record, and so has seen it, looks at `sleep` in the writer's place.
 *
 * Counting: `durable` never passes `pushed`, since a record is counted before it can become READY
 * and a group before it is complete; a marker, READY from birth, counts nothing.  So durable ==
 * pushed means that all that was acknowledged is durable.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "core/error.h"
#include "core/platform.h"
#include "core/reclaim.h"
#include "core/thread.h"
#include "persist/committer_internal.h"
#include "persist/committer_thread.h"

static void init_shared(struct dsq_committer *committer, const struct dsq_committer_config *config,
                        struct dsq_store *store, struct dsq_map *map)
{
    memset(committer, 0, sizeof *committer);
    committer->config = *config;
    committer->store = store;
    committer->map = map;
    dsq_mpsc_init(&committer->queue);
    dsq_event_init(&committer->work);
    dsq_event_init(&committer->progress);
    dsq_event_init(&committer->room);
    dsq_store_relaxed(&committer->seq, store->ops->seq(store));
    dsq_store_relaxed(&committer->durable_seq, store->ops->seq(store));
    dsq_store_relaxed(&committer->folded_seq, store->ops->seq(store));
    dsq_fold_init(&committer->fold, store->ops->seq(store));
    committer->spins = dsq_core_count() > 1;
    dsq_store_relaxed(&committer->wal_bytes, store->ops->wal_bytes(store));
}

/* A mutex that says so, if its owner has ended in whatever way. */
static void init_alive(pthread_mutex_t *alive)
{
    pthread_mutexattr_t robust;

    pthread_mutexattr_init(&robust);
    pthread_mutexattr_setrobust(&robust, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(alive, &robust);
    pthread_mutexattr_destroy(&robust);
}

static bool is_alive(struct dsq_committer *committer)
{
    int result = pthread_mutex_trylock(&committer->alive);

    if (result == EBUSY) {
        return true;
    }
    if (result == EOWNERDEAD) {
        pthread_mutex_consistent(&committer->alive);
    }
    pthread_mutex_unlock(&committer->alive);
    return false;
}

/* Returns once the thread can be seen to live. */
static int start_thread(struct dsq_committer *committer)
{
    dsq_store_seq_cst(&committer->runs, false);
    if (dsq_thread_start(&committer->thread, "dsq-committer", dsq_committer_thread, committer) !=
        DSQ_OK) {
        return DSQ_ERR_NOMEM;
    }
    for (;;) {
        uint32_t ticket = dsq_event_ticket(&committer->progress);

        if (dsq_load_seq_cst(&committer->runs)) {
            return DSQ_OK;
        }
        dsq_event_wait(&committer->progress, ticket, DSQ_NO_DEADLINE);
    }
}

/* With the lock, under which no thread is started: what was the dead one's is the caller's meanwhile. */
static void bury(struct dsq_committer *committer)
{
    if (!dsq_load_seq_cst(&committer->dead)) {
        dsq_error_set(&committer->error, DSQ_ERR_INTERNAL,
                      "the thread that commits has died: resume starts another");
        dsq_store_seq_cst(&committer->dead, true);
        dsq_store_seq_cst(&committer->state, DSQ_COMMITTER_FAILED);
    }
    dsq_batch_fail_notices(committer, &committer->error);
}

/* Found dead; or it has been replaced since. */
static void declare_dead(struct dsq_committer *committer)
{
    pthread_mutex_lock(&committer->error_lock);
    if (!is_alive(committer)) {
        bury(committer);
    }
    pthread_mutex_unlock(&committer->error_lock);
    dsq_event_signal(&committer->progress);
    dsq_event_signal(&committer->room);
}

/* How long a wait may last before somebody looks whether there is still a thread to wait for. */
#define WATCH_NS (UINT64_C(250) * DSQ_NS_PER_MS)

/* dsq_event_wait for what the thread is to signal: returns, too, when it is found dead. */
static bool wait_for_thread(struct dsq_committer *committer, struct dsq_event *event,
                            uint32_t ticket, uint64_t deadline_ns)
{
    for (;;) {
        uint64_t watch_ns = dsq_now_ns() + WATCH_NS;

        if (deadline_ns <= watch_ns) {
            return dsq_event_wait(event, ticket, deadline_ns);
        }
        if (dsq_event_wait(event, ticket, watch_ns)) {
            return true;
        }
        if (!is_alive(committer)) {
            declare_dead(committer);
            return true;
        }
    }
}

int dsq_committer_revive(struct dsq_committer *committer, struct dsq_error *error)
{
    int status = DSQ_OK;

    if (!is_alive(committer)) {
        declare_dead(committer);
    }
    pthread_mutex_lock(&committer->error_lock);
    if (dsq_load_seq_cst(&committer->dead)) {
        pthread_join(committer->thread, NULL);
        /* Whoever comes now waits for the new thread, which says if it fails. */
        dsq_store_seq_cst(&committer->state, DSQ_COMMITTER_OPEN);
        status = start_thread(committer);
        dsq_store_seq_cst(&committer->dead, status != DSQ_OK);
        if (status != DSQ_OK) {
            dsq_store_seq_cst(&committer->state, DSQ_COMMITTER_FAILED);
        }
    }
    pthread_mutex_unlock(&committer->error_lock);
    return status == DSQ_OK
               ? DSQ_OK
               : dsq_error_set(error, status, "the thread that commits cannot be started");
}

int dsq_committer_new(const struct dsq_committer_config *config, struct dsq_store *store,
                      struct dsq_map *map, struct dsq_committer **committer,
                      struct dsq_error *error)
{
    struct dsq_committer *made = aligned_alloc(DSQ_CACHE_LINE_BYTES, sizeof *made);

    if (made == NULL) {
        return dsq_error_set(error, DSQ_ERR_NOMEM, "out of memory for the committer");
    }
    init_shared(made, config, store, map);
    pthread_mutex_init(&made->error_lock, NULL);
    pthread_mutex_init(&made->chore_lock, NULL);
    init_alive(&made->alive);
    if (start_thread(made) != DSQ_OK) {
        pthread_mutex_destroy(&made->alive);
        pthread_mutex_destroy(&made->chore_lock);
        pthread_mutex_destroy(&made->error_lock);
        free(made);
        return dsq_error_set(error, DSQ_ERR_NOMEM, "the committer thread cannot be started");
    }
    *committer = made;
    return DSQ_OK;
}

static void demand(struct dsq_committer *committer, uint32_t what)
{
    dsq_or_seq_cst(&committer->demand, what);
    dsq_event_signal(&committer->work);
}

void dsq_committer_destroy(struct dsq_committer *committer)
{
    demand(committer, DEMAND_STOP);
    pthread_join(committer->thread, NULL);
    pthread_mutex_destroy(&committer->alive);
    pthread_mutex_destroy(&committer->chore_lock);
    pthread_mutex_destroy(&committer->error_lock);
    dsq_batch_discard(committer);
    free(committer->batch.records);
    dsq_journal_row_fini(&committer->row);
    free(committer);
}

static bool has_failed(const struct dsq_committer *committer)
{
    return dsq_load_seq_cst(&committer->state) == DSQ_COMMITTER_FAILED;
}

static int failure(struct dsq_committer *committer, struct dsq_error *error)
{
    struct dsq_error copy;

    pthread_mutex_lock(&committer->error_lock);
    copy = committer->error;
    pthread_mutex_unlock(&committer->error_lock);
    return dsq_error_set(error, copy.status, "%s", copy.message);
}

/* Lazy: whether something has waited for its commit longer than promised. */
static bool is_overdue(const struct dsq_committer *committer)
{
    const struct dsq_committer_config *config = &committer->config;
    uint64_t oldest;

    if (!config->lazy || !config->timer) {
        return false;
    }
    /* Relaxed: a stale value delays the wait by one write. */
    oldest = dsq_load_relaxed(&committer->oldest_ns);
    return oldest != 0 &&
           dsq_now_coarse_ns() >
               oldest + (config->flush_interval_ms + (uint64_t)config->slack_ms) * DSQ_NS_PER_MS;
}

/*
 * Takes room, if there is: a compare-and-swap, since bytes added only to be subtracted again could
 * turn others away whom nobody wakes.  While somebody waits everybody does, down to the low-water
 * mark: else a large request would starve behind small ones.
 */
static bool reserve(struct dsq_committer *committer, uint64_t bytes, bool waited)
{
    uint64_t limit = committer->config.queue_bytes;
    uint64_t before = dsq_load_seq_cst(&committer->queued_bytes);

    if (is_overdue(committer)) {
        return false;
    }
    do {
        if (before != 0 && before + bytes > limit) {
            return false;
        }
        if ((waited || dsq_load_seq_cst(&committer->room_waiters) > 0) && before > limit / 2) {
            return false;
        }
    } while (!dsq_cas_seq_cst(&committer->queued_bytes, &before, before + bytes));
    return true;
}

static int try_admit(struct dsq_committer *committer, uint64_t bytes, bool waited,
                     struct dsq_error *error)
{
    if (has_failed(committer)) {
        return failure(committer, error);
    }
    return reserve(committer, bytes, waited) ? DSQ_OK : DSQ_WOULD_BLOCK;
}

int dsq_committer_admit(struct dsq_committer *committer, uint64_t bytes, bool nowait,
                        struct dsq_error *error)
{
    int status = try_admit(committer, bytes, false, error);

    if (status != DSQ_WOULD_BLOCK || nowait) {
        return status;
    }
    /* Counted before the demand: it is answered once, what is pushed later is due as well. */
    dsq_add_seq_cst(&committer->room_waiters, 1);
    for (;;) {
        uint32_t ticket = dsq_event_ticket(&committer->room);

        status = try_admit(committer, bytes, true, error);
        if (status != DSQ_WOULD_BLOCK) {
            break;
        }
        demand(committer, DEMAND_COMMIT);
        wait_for_thread(committer, &committer->room, ticket, DSQ_NO_DEADLINE);
    }
    dsq_sub_seq_cst(&committer->room_waiters, 1);
    return status;
}

void dsq_committer_refund(struct dsq_committer *committer, uint64_t bytes)
{
    dsq_sub_seq_cst(&committer->queued_bytes, bytes);
    dsq_event_signal(&committer->room);
}

uint64_t dsq_committer_queue_bytes(const struct dsq_committer *committer)
{
    return committer->config.queue_bytes;
}

/* Wakes the thread for a push, if it sleeps and this one is to wake it. */
static void notice_push(struct dsq_committer *committer, uint64_t pushed)
{
    uint8_t sleep = dsq_load_seq_cst(&committer->sleep);

    if (sleep == SLEEP_NONE) {
        return;
    }
    /* Relaxed: too small a `taken` costs a wake-up in vain. */
    if (sleep == SLEEP_IDLE ||
        (committer->config.timer &&
         pushed - dsq_load_relaxed(&committer->taken) >= committer->config.buffer_size)) {
        dsq_event_signal(&committer->work);
    }
}

void dsq_committer_notice_group(struct dsq_committer *committer)
{
    if (dsq_load_seq_cst(&committer->carrying)) {
        dsq_event_signal(&committer->work);
    } else {
        notice_push(committer, dsq_load_seq_cst(&committer->pushed));
    }
}

void dsq_committer_push_weighted(struct dsq_committer *committer, struct dsq_record *record,
                                 uint64_t weight)
{
    dsq_mpsc_push(&committer->queue, &record->node);
    notice_push(committer, dsq_add_seq_cst(&committer->pushed, weight) + weight);
}

void dsq_committer_push(struct dsq_committer *committer, struct dsq_record *record)
{
    dsq_committer_push_weighted(committer, record, 1);
}

void dsq_committer_push_quietly(struct dsq_committer *committer, struct dsq_record *record)
{
    dsq_mpsc_push(&committer->queue, &record->node);
    dsq_add_seq_cst(&committer->pushed, 1);
}

/* For a record that was pushed quietly, on behalf of who is about to wait for it. */
static void wake_for_quiet(struct dsq_committer *committer)
{
    if (dsq_load_seq_cst(&committer->sleep) == SLEEP_IDLE) {
        dsq_event_signal(&committer->work);
    }
}

void dsq_committer_settle(struct dsq_committer *committer, struct dsq_record *record)
{
    if (dsq_record_state(record) == DSQ_RECORD_PENDING &&
        dsq_record_move(record, DSQ_RECORD_PENDING, DSQ_RECORD_READY) &&
        dsq_load_seq_cst(&committer->carrying) &&
        dsq_load_seq_cst(&committer->sleep) == SLEEP_IDLE) {
        dsq_event_signal(&committer->work);
    }
}

/*
 * A lone writer does not sleep through a commit that will be over in less time than it takes to go to
 * sleep and be woken: it yields until then.
 */
#define SPIN_COMMIT_NS_MAX (UINT64_C(300) * 1000)

static void yield_until_durable(struct dsq_committer *committer, const struct dsq_record *record)
{
    uint64_t commit_ns = dsq_load_relaxed(&committer->commit_ns);
    uint64_t end_ns;

    if (!committer->spins || commit_ns > SPIN_COMMIT_NS_MAX) {
        return;
    }
    end_ns = dsq_now_ns() + 2 * commit_ns;
    while (dsq_load_relaxed(&committer->waiters) == 1 &&
           dsq_record_state(record) < DSQ_RECORD_DURABLE && dsq_now_ns() < end_ns) {
        sched_yield();
    }
}

static int sleep_until_durable(struct dsq_committer *committer, const struct dsq_record *record,
                               uint64_t deadline_ns, struct dsq_error *error)
{
    bool in_time = true;

    for (;;) {
        uint32_t ticket = dsq_event_ticket(&committer->progress);

        if (dsq_record_state(record) >= DSQ_RECORD_DURABLE) {
            return DSQ_OK;
        }
        if (has_failed(committer)) {
            return failure(committer, error);
        }
        if (!in_time) {
            return dsq_error_set(error, DSQ_ERR_TIMEOUT, "not yet durable when the time was up");
        }
        in_time = wait_for_thread(committer, &committer->progress, ticket, deadline_ns);
    }
}

int dsq_committer_wait(struct dsq_committer *committer, const struct dsq_record *record,
                       uint64_t deadline_ns, struct dsq_error *error)
{
    int status;

    wake_for_quiet(committer);
    dsq_add_relaxed(&committer->waiters, 1);
    if (deadline_ns == DSQ_NO_DEADLINE) {
        yield_until_durable(committer, record);
    }
    status = sleep_until_durable(committer, record, deadline_ns, error);
    dsq_sub_relaxed(&committer->waiters, 1);
    return status;
}

uint64_t dsq_committer_pushed(const struct dsq_committer *committer)
{
    return dsq_load_seq_cst(&committer->pushed);
}

uint64_t dsq_committer_done(const struct dsq_committer *committer)
{
    return dsq_load_seq_cst(&committer->done);
}

bool dsq_committer_is_idle(const struct dsq_committer *committer)
{
    uint64_t durable = dsq_load_seq_cst(&committer->durable);

    return durable == dsq_committer_pushed(committer);
}

bool dsq_committer_is_folded(const struct dsq_committer *committer)
{
    uint64_t done = dsq_committer_done(committer);

    return done == dsq_committer_pushed(committer);
}

int dsq_committer_flush(struct dsq_committer *committer, uint64_t deadline_ns,
                        struct dsq_error *error)
{
    struct dsq_bytes none = {0};
    struct dsq_record *marker;
    int status;

    if (has_failed(committer)) {
        return failure(committer, error);
    }
    if (dsq_committer_is_idle(committer)) {
        return DSQ_OK;
    }
    marker = dsq_record_new(DSQ_ITEM_MARKER, DSQ_RECORD_READY, 2, 0, none, none);
    if (marker == NULL) {
        return dsq_error_set(error, DSQ_ERR_NOMEM, "out of memory for a flush");
    }
    dsq_committer_push_weighted(committer, marker, 0);
    demand(committer, DEMAND_COMMIT);
    status = dsq_committer_wait(committer, marker, deadline_ns, error);
    dsq_record_release(committer->map->reclaim, marker);
    return status;
}

int dsq_committer_notify(struct dsq_committer *committer, struct dsq_notice *notice,
                         struct dsq_error *error)
{
    struct dsq_record *marker;

    if (has_failed(committer)) {
        return failure(committer, error);
    }
    if (dsq_committer_is_idle(committer)) {
        return DSQ_OK;
    }
    marker = dsq_marker_new(notice);
    if (marker == NULL) {
        return dsq_error_set(error, DSQ_ERR_NOMEM, "out of memory for a flush");
    }
    dsq_committer_push_weighted(committer, marker, 0);
    /* After the push, and a signal whatever the state: in FAILED the thread looks again. */
    demand(committer, DEMAND_COMMIT);
    return DSQ_WOULD_BLOCK;
}

int dsq_committer_watch(struct dsq_committer *committer, struct dsq_error *error)
{
    if (!is_alive(committer)) {
        declare_dead(committer);
    }
    return has_failed(committer) ? failure(committer, error) : DSQ_OK;
}

static void raise_to(_Atomic uint64_t *number, uint64_t to)
{
    uint64_t seen = dsq_load_seq_cst(number);

    while (seen < to && !dsq_cas_seq_cst(number, &seen, to)) {
    }
}

int dsq_committer_fold(struct dsq_committer *committer, struct dsq_error *error)
{
    uint64_t target = dsq_load_seq_cst(&committer->durable_seq);

    /* The thread need not be woken for nothing. */
    if (dsq_load_seq_cst(&committer->folded_seq) >= target) {
        return DSQ_OK;
    }
    raise_to(&committer->fold_target, target);
    dsq_event_signal(&committer->work);
    for (;;) {
        uint32_t ticket = dsq_event_ticket(&committer->progress);

        if (dsq_load_seq_cst(&committer->folded_seq) >= target) {
            return DSQ_OK;
        }
        if (has_failed(committer)) {
            return failure(committer, error);
        }
        wait_for_thread(committer, &committer->progress, ticket, DSQ_NO_DEADLINE);
    }
}

int dsq_committer_resume(struct dsq_committer *committer, struct dsq_error *error)
{
    uint64_t before = dsq_load_seq_cst(&committer->resumes);

    if (dsq_committer_revive(committer, error) != DSQ_OK) {
        return DSQ_ERR_NOMEM;
    }
    if (!has_failed(committer)) {
        return DSQ_OK;
    }
    demand(committer, DEMAND_RESUME);
    for (;;) {
        uint32_t ticket = dsq_event_ticket(&committer->progress);

        if (!has_failed(committer)) {
            return DSQ_OK;
        }
        if (dsq_load_seq_cst(&committer->resumes) != before) {
            return failure(committer, error);
        }
        wait_for_thread(committer, &committer->progress, ticket, DSQ_NO_DEADLINE);
    }
}

/* Waits for the chore; false if it was withdrawn, because the store has failed before it was taken. */
static bool wait_for_chore(struct dsq_committer *committer, struct chore *chore)
{
    for (;;) {
        uint32_t ticket = dsq_event_ticket(&committer->progress);
        struct chore *expected = chore;

        if (dsq_load_seq_cst(&chore->done)) {
            return true;
        }
        if (has_failed(committer) && dsq_cas_seq_cst(&committer->chore, &expected, NULL)) {
            return false;
        }
        if (dsq_load_seq_cst(&committer->dead)) {
            return false; /* it died over it */
        }
        wait_for_thread(committer, &committer->progress, ticket, DSQ_NO_DEADLINE);
    }
}

int dsq_committer_do(struct dsq_committer *committer, dsq_chore run, void *context,
                     struct dsq_error *error)
{
    struct chore chore = {.run = run, .context = context};
    int status;

    pthread_mutex_lock(&committer->chore_lock);
    dsq_store_seq_cst(&committer->chore, &chore);
    demand(committer, DEMAND_CHORE);
    if (!wait_for_chore(committer, &chore)) {
        status = failure(committer, error);
    } else if (chore.status < 0) {
        status = dsq_error_set(error, chore.status, "%s", chore.error.message);
    } else {
        status = chore.status;
    }
    pthread_mutex_unlock(&committer->chore_lock);
    return status;
}

void dsq_committer_stats(struct dsq_committer *committer, struct dsq_committer_stats *stats)
{
    stats->state = (enum dsq_committer_state)dsq_load_seq_cst(&committer->state);
    stats->last_error = DSQ_OK;
    if (stats->state != DSQ_COMMITTER_OPEN) {
        stats->last_error = failure(committer, NULL);
    }
    stats->queued_bytes = dsq_load_seq_cst(&committer->queued_bytes);
    stats->commits = dsq_load_relaxed(&committer->commits);
    stats->commit_errors = dsq_load_relaxed(&committer->commit_errors);
    stats->folds = dsq_load_relaxed(&committer->folds);
    stats->seq = dsq_load_relaxed(&committer->seq);
    stats->durable_seq = dsq_load_seq_cst(&committer->durable_seq);
    stats->wal_bytes = dsq_load_relaxed(&committer->wal_bytes);
}
