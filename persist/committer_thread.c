/* When to commit, and what to do when a commit fails. */
#include "persist/committer_thread.h"

#include <sched.h>

#include "core/error.h"
#include "core/platform.h"
#include "core/thread.h"
#include "persist/committer_internal.h"
#include "persist/hooks.h"

/* A failed commit is tried again after 1, 2, 4 ... ms, at most this long apart ... */
#define RETRY_PAUSE_MAX_MS 250
/* ... and so long in all: for a lock that another program holds, and for everything else. */
#define RETRY_LOCKED_MS 30000
#define RETRY_OTHER_MS 2000
/* The WAL is moved into the main file when it has grown to this size. */
#define CHECKPOINT_WAL_BYTES (UINT64_C(16) * 1024 * 1024)

static bool is_demanded(const struct dsq_committer *committer, uint32_t what)
{
    return (dsq_load_seq_cst(&committer->demand) & what) != 0;
}

static uint64_t backlog(const struct dsq_committer *committer)
{
    uint64_t pushed = dsq_load_seq_cst(&committer->pushed);
    uint64_t taken = dsq_load_relaxed(&committer->taken);

    /* A node can be taken before its producer has counted it. */
    return (int64_t)(pushed - taken) > 0 ? pushed - taken : 0;
}

static bool has_work(struct dsq_committer *committer)
{
    return backlog(committer) > 0 || !dsq_mpsc_is_empty(&committer->queue) ||
           dsq_batch_carry_is_ready(committer);
}

/* Sleeps unless there is a reason not to: see the handshake in persist/committer.c. */
static void sleep_until(struct dsq_committer *committer, enum sleep_state how, uint64_t deadline_ns)
{
    uint32_t ticket = dsq_event_ticket(&committer->work);
    bool stay_awake;

    dsq_store_seq_cst(&committer->sleep, (uint8_t)how);
    if (how == SLEEP_IDLE) {
        stay_awake = has_work(committer);
    } else {
        stay_awake = committer->config.timer && backlog(committer) >= committer->config.buffer_size;
    }
    stay_awake = stay_awake || dsq_committer_wants_fold(committer);
    if (!stay_awake && !is_demanded(committer, ~0U)) {
        dsq_event_wait(&committer->work, ticket, deadline_ns);
    }
    dsq_store_seq_cst(&committer->sleep, SLEEP_NONE);
}

/* Lazy: when what is queued has to start its commit. */
static uint64_t commit_deadline(struct dsq_committer *committer)
{
    uint64_t oldest = dsq_load_relaxed(&committer->oldest_ns);

    if (!committer->config.timer) {
        return DSQ_NO_DEADLINE;
    }
    if (oldest == 0) {
        oldest = dsq_now_ns();
        dsq_store_relaxed(&committer->oldest_ns, oldest);
    }
    return oldest + committer->config.flush_interval_ms * DSQ_NS_PER_MS;
}

/* Whether work that is there may be committed now. */
static bool may_commit(struct dsq_committer *committer, uint64_t deadline_ns)
{
    return !committer->config.lazy || committer->cut_short || committer->markers_in_chain > 0 ||
           dsq_load_seq_cst(&committer->room_waiters) > 0 ||
           (committer->config.timer && backlog(committer) >= committer->config.buffer_size) ||
           (deadline_ns != DSQ_NO_DEADLINE && dsq_now_ns() >= deadline_ns);
}

static uint64_t work_deadline(struct dsq_committer *committer)
{
    return committer->config.lazy ? commit_deadline(committer) : 0;
}

bool dsq_committer_is_due(struct dsq_committer *committer)
{
    return is_demanded(committer, ~0U) ||
           (has_work(committer) && may_commit(committer, work_deadline(committer)));
}

/* Where the next push usually comes at once, it is not worth going to sleep. */
#define SPIN_PAUSE_NS_MAX (UINT64_C(50) * 1000)

static void yield_for_work(struct dsq_committer *committer)
{
    uint64_t since_ns = committer->committed_at_ns;
    uint64_t now_ns = dsq_now_ns();

    while (committer->spins && committer->pause_ns < SPIN_PAUSE_NS_MAX &&
           dsq_mpsc_is_empty(&committer->queue) && now_ns - since_ns < 2 * SPIN_PAUSE_NS_MAX) {
        sched_yield();
        now_ns = dsq_now_ns();
    }
}

/* After a sleep or none: how long the pause was, weighed one in four, and no more than is of use. */
static void note_pause(struct dsq_committer *committer)
{
    uint64_t pause_ns = dsq_now_ns() - committer->committed_at_ns;

    pause_ns = pause_ns < 4 * SPIN_PAUSE_NS_MAX ? pause_ns : 4 * SPIN_PAUSE_NS_MAX;
    committer->pause_ns = (3 * committer->pause_ns + pause_ns) / 4;
}

/* Sleeps until there is something to do; whether what is queued is to be committed. */
static bool wait_for_work(struct dsq_committer *committer)
{
    for (;;) {
        bool work = has_work(committer);
        uint64_t deadline_ns = work ? work_deadline(committer) : DSQ_NO_DEADLINE;

        if (is_demanded(committer, ~0U)) {
            /* Cleared before the queue is taken: a later demand is for a later push. */
            dsq_and_seq_cst(&committer->demand, ~(DEMAND_COMMIT | DEMAND_RESUME));
            return true;
        }
        if (work && may_commit(committer, deadline_ns)) {
            return true;
        }
        if (dsq_committer_wants_fold(committer)) {
            return false;
        }
        if (work) {
            sleep_until(committer, SLEEP_TIMED, deadline_ns);
        } else {
            if (!committer->config.lazy) {
                yield_for_work(committer);
            }
            sleep_until(committer, SLEEP_IDLE, dsq_committer_fold_deadline(committer));
        }
    }
}

static void record_failure(struct dsq_committer *committer, const struct dsq_error *error)
{
    dsq_add_relaxed(&committer->commit_errors, 1);
    pthread_mutex_lock(&committer->error_lock);
    if (dsq_load_seq_cst(&committer->state) != DSQ_COMMITTER_RETRYING) {
        committer->error = *error;
    }
    pthread_mutex_unlock(&committer->error_lock);
}

static void set_state(struct dsq_committer *committer, enum dsq_committer_state state)
{
    dsq_store_seq_cst(&committer->state, (uint8_t)state);
    dsq_event_signal(&committer->progress);
    dsq_event_signal(&committer->room);
}

static uint64_t patience_ns(int status)
{
    uint64_t ms = 0;

    switch (status) {
    case DSQ_ERR_LOCKED:
        ms = RETRY_LOCKED_MS;
        break;
    case DSQ_ERR_IO:
    case DSQ_ERR_FULL:
    case DSQ_ERR_NOMEM:
        ms = RETRY_OTHER_MS;
        break;
    default:
        break;
    }
    return (ms != 0 && dsq_hooks.patience_ms != 0 ? dsq_hooks.patience_ms : ms) * DSQ_NS_PER_MS;
}

/* Sleeps for a pause between attempts; false if the thread is to stop. */
static bool pause_ns(struct dsq_committer *committer, uint64_t duration_ns)
{
    uint64_t end_ns = dsq_now_ns() + duration_ns;

    while (!is_demanded(committer, DEMAND_STOP)) {
        uint32_t ticket = dsq_event_ticket(&committer->work);

        if (dsq_now_ns() >= end_ns) {
            return true;
        }
        dsq_event_wait(&committer->work, ticket, end_ns);
    }
    return false;
}

/* FAILED: keeps everything until somebody resumes; false if the thread is to stop. */
static bool wait_for_resume(struct dsq_committer *committer)
{
    set_state(committer, DSQ_COMMITTER_FAILED);
    for (;;) {
        uint32_t ticket = dsq_event_ticket(&committer->work);

        dsq_batch_fail_notices(committer, &committer->error);
        if (is_demanded(committer, DEMAND_STOP)) {
            return false;
        }
        if (is_demanded(committer, DEMAND_RESUME)) {
            dsq_and_seq_cst(&committer->demand, ~DEMAND_RESUME);
            return true;
        }
        dsq_event_wait(&committer->work, ticket, DSQ_NO_DEADLINE);
    }
}

/* After a failure: pauses, or fails for good and waits for resume; false to stop. */
static bool wait_before_retry(struct dsq_committer *committer, int status, uint64_t since_ns,
                              unsigned attempt)
{
    uint64_t pause_ms = attempt < 8 ? UINT64_C(1) << attempt : RETRY_PAUSE_MAX_MS;

    if (dsq_load_seq_cst(&committer->state) == DSQ_COMMITTER_FAILED) {
        dsq_add_seq_cst(&committer->resumes, 1);
        return wait_for_resume(committer);
    }
    if (dsq_now_ns() - since_ns >= patience_ns(status)) {
        return wait_for_resume(committer);
    }
    set_state(committer, DSQ_COMMITTER_RETRYING);
    return pause_ns(committer, pause_ms * DSQ_NS_PER_MS);
}

/* Resumed after another program has written: what is hot and not ours to write may be stale. */
static void accept_changes(struct dsq_committer *committer)
{
    struct dsq_store *store = committer->store;

    /* If it fails, the next transaction says why. */
    if (store->ops->accept_changes(store, NULL) == DSQ_OK) {
        dsq_map_evict_clean(committer->map);
    }
}

/* Does it until it succeeds; false if the thread is to stop before. */
static bool insist_on(struct dsq_committer *committer,
                      int (*action)(struct dsq_committer *committer, struct dsq_error *error))
{
    uint64_t since_ns = dsq_now_ns();
    struct dsq_error error = {0};

    for (unsigned attempt = 0;; attempt++) {
        int status = action(committer, &error);

        if (status == DSQ_OK) {
            break;
        }
        record_failure(committer, &error);
        if (!wait_before_retry(committer, status, since_ns, attempt)) {
            return false;
        }
        if (status == DSQ_ERR_CHANGED) {
            accept_changes(committer);
        }
    }
    if (dsq_load_seq_cst(&committer->state) != DSQ_COMMITTER_OPEN) {
        set_state(committer, DSQ_COMMITTER_OPEN);
    }
    return true;
}

/*
 * A failed checkpoint loses nothing: the data is in the WAL.  After one the WAL begins anew with the
 * next commit, in the space that it has; where a reader or an error is in the way it grows, and the
 * next attempt comes when it has grown by some more.
 */
static void checkpoint_if_due(struct dsq_committer *committer)
{
    struct dsq_store *store = committer->store;
    uint64_t wal_bytes = store->ops->wal_bytes(store);

    if (wal_bytes < committer->wal_seen || committer->wal_limit == 0) {
        committer->wal_limit = CHECKPOINT_WAL_BYTES;
    }
    committer->wal_seen = wal_bytes;
    if (wal_bytes >= committer->wal_limit) {
        dsq_hook_stage(DSQ_STAGE_CHECKPOINT);
        (void)store->ops->checkpoint(store, false, NULL);
        committer->wal_limit = wal_bytes + CHECKPOINT_WAL_BYTES / 4;
    } else {
        store->ops->make_room(store);
    }
    dsq_store_relaxed(&committer->wal_bytes, wal_bytes);
}

/*
 * What is carried because it is PENDING has not been acknowledged and does not age; what is held
 * behind an open group has been, and does.
 */
static void update_age(struct dsq_committer *committer)
{
    uint64_t before = dsq_load_relaxed(&committer->oldest_ns);
    uint64_t oldest = has_work(committer) ? committer->taken_at_ns : 0;

    if (committer->groups_in_chain > 0) {
        oldest = before != 0 ? before : committer->taken_at_ns;
    }
    if (oldest != before) {
        dsq_store_relaxed(&committer->oldest_ns, oldest);
        /* For who found the old age overdue and waits: the signal of the commit came before. */
        dsq_event_signal(&committer->room);
    }
}

static void do_chore(struct dsq_committer *committer)
{
    struct chore *chore;

    if (!is_demanded(committer, DEMAND_CHORE)) {
        return;
    }
    dsq_and_seq_cst(&committer->demand, ~DEMAND_CHORE);
    chore = dsq_exchange_acq_rel(&committer->chore, NULL);
    if (chore != NULL) {
        chore->status = chore->run(committer->store, chore->context, &chore->error);
        dsq_store_seq_cst(&chore->done, true);
        dsq_event_signal(&committer->progress);
    }
}

/* Commits what is queued; false if the thread is to stop. */
static bool commit_queued(struct dsq_committer *committer)
{
    uint64_t start_ns = dsq_now_ns();

    note_pause(committer);
    if (!insist_on(committer, dsq_batch_collect)) {
        return false;
    }
    if (committer->batch.count > 0) {
        dsq_hook_stage(DSQ_STAGE_DRAINED);
        if (!insist_on(committer, dsq_batch_write)) {
            return false;
        }
        dsq_batch_finish(committer);
        committer->committed_at_ns = dsq_now_ns();
        dsq_store_relaxed(&committer->commit_ns, committer->committed_at_ns - start_ns);
    }
    update_age(committer);
    return true;
}

/* Takes over what a thread that died was doing; false if this one is to stop. */
static bool take_over(struct dsq_committer *committer)
{
    const struct batch *batch = &committer->batch;
    struct dsq_store *store = committer->store;

    store->ops->rollback(store);
    if (batch->count > 0) {
        if (store->ops->seq(store) < batch->last_seq && !insist_on(committer, dsq_batch_write)) {
            return false;
        }
        dsq_batch_finish(committer);
        update_age(committer);
    }
    dsq_committer_note_folded(committer);
    return true;
}

static void run(struct dsq_committer *committer)
{
    if (!take_over(committer)) {
        return;
    }
    for (;;) {
        bool commit = wait_for_work(committer);

        if (is_demanded(committer, DEMAND_STOP)) {
            return;
        }
        do_chore(committer);
        if (commit && !commit_queued(committer)) {
            return;
        }
        if (dsq_committer_wants_fold(committer)) {
            if (!insist_on(committer, dsq_committer_fold_step)) {
                return;
            }
            dsq_committer_note_folded(committer);
        }
        checkpoint_if_due(committer);
    }
}

void *dsq_committer_thread(void *argument)
{
    struct dsq_committer *committer = argument;

    dsq_thread_serve_others();
    pthread_mutex_lock(&committer->alive);
    dsq_store_seq_cst(&committer->runs, true);
    dsq_event_signal(&committer->progress);
    run(committer);
    pthread_mutex_unlock(&committer->alive);
    return NULL;
}
