/*
 * The committer: the thread that takes everything queued and makes it durable, group by group.
 *
 * One order for everything.  Writers push their record on one lock-free queue after they have read
 * the slot and before they publish (persist/tier.h has the writer's steps).  The committer takes
 * all there is, in push order, and commits what is READY in one transaction.  Because the push lies
 * between reading what is replaced and publishing:
 *
 *   - two writes to one key are queued in the order of their publications: the last one wins;
 *   - a write that began after another returned is queued after it;
 *   - a write by someone who saw a value is queued after that value.
 *
 * So what is committed at any moment is a consistent cut.
 *
 * A record that is still PENDING after the take was neither acknowledged nor seen by the writer of
 * anything taken (whoever depends on a PENDING record makes it READY first): it is stepped over and
 * carried to the front of the next batch, so that a frozen writer stops no commit.
 *
 * A group (a call with many keys) is several queue nodes that are committed in one transaction or
 * not at all: the committer cuts its batch only where no group is open.  A group whose writer is
 * frozen half-way holds what was queued after its first node.
 *
 * A commit appends the batch to the journal.  Between commits the thread folds (persist/fold.h): it
 * merges what the journal has into kv, in steps that take about as long as a commit while somebody
 * waits for one.  A fold begins when enough is unfolded, when nothing has been written for a
 * while, when writers wait for room, and on demand.
 *
 * Who cannot wait asks to be told (dsq_committer_notify): a marker with a notice (core/mailbox.h) takes
 * its place in the queue and belongs to the thread from then on, which sends the notice when
 * the marker's batch is durable, or when the store fails, wherever the marker is by then.  What is
 * queued after that finds the thread in FAILED, looking at the queue each time somebody signals.
 *
 * Back-pressure: bytes are admitted before a record is made and given back when it is CLEAN; above
 * `queue_bytes` writers wait until half of it is free.
 *
 * States: OPEN -> RETRYING (a commit failed: the whole batch is tried again, with growing pauses,
 * nothing overtakes it) -> FAILED (it failed for good: nothing is dropped; every write, flush and
 * close returns the error that led here) -> dsq_committer_resume -> OPEN.
 *
 * Nobody may call the waiting functions here inside a read-side critical section.
 */
#ifndef DSQ_PERSIST_COMMITTER_H
#define DSQ_PERSIST_COMMITTER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/mailbox.h"
#include "core/record.h"
#include "core/shard_map.h"
#include "core/status.h"
#include "persist/store.h"

struct dsq_committer;

struct dsq_committer_config {
    bool lazy;  /* wait for the interval or the count; else commit at once */
    bool timer; /* lazy: whether the interval and the count start commits */
    uint32_t flush_interval_ms;
    uint32_t slack_ms; /* lazy: how much later than the interval writers begin to wait */
    uint32_t buffer_size;
    uint64_t queue_bytes;
    /* A fold begins at so many unfolded bytes or records, and after so long a pause; 0: not so. */
    uint64_t fold_bytes;
    uint64_t fold_records;
    uint32_t fold_idle_ms;
};

enum dsq_committer_state {
    DSQ_COMMITTER_OPEN = 0,
    DSQ_COMMITTER_RETRYING = 1,
    DSQ_COMMITTER_FAILED = 2,
};

struct dsq_committer_stats {
    enum dsq_committer_state state;
    int last_error;
    uint64_t queued_bytes;
    uint64_t commits;
    uint64_t commit_errors;
    uint64_t folds;
    uint64_t seq;
    uint64_t durable_seq;
    uint64_t wal_bytes;
};

/* Starts the thread.  Store and map stay the caller's and must outlive the committer. */
int dsq_committer_new(const struct dsq_committer_config *config, struct dsq_store *store,
                      struct dsq_map *map, struct dsq_committer **committer,
                      struct dsq_error *error);

/* Ends the thread without committing what is queued or folding, and frees.  No other thread may use it. */
void dsq_committer_destroy(struct dsq_committer *committer);

/*
 * Reserves bytes in the queue; waits for room unless nowait (then DSQ_WOULD_BLOCK).  A request
 * larger than the whole queue is admitted when the queue is empty.  The store's error if it has
 * failed.
 */
int dsq_committer_admit(struct dsq_committer *committer, uint64_t bytes, bool nowait,
                        struct dsq_error *error);
void dsq_committer_refund(struct dsq_committer *committer, uint64_t bytes);

/* The bound given at the start. */
uint64_t dsq_committer_queue_bytes(const struct dsq_committer *committer);

/* Queues a record or an item; takes over one of its references.  Lock-free. */
void dsq_committer_push(struct dsq_committer *committer, struct dsq_record *record);

/*
 * The same without waking the thread: whoever waits for the record, a flush, or what is pushed
 * next does that.  For many records in a row that one flush follows: woken by the first, the
 * thread would commit them in handfuls.
 */
void dsq_committer_push_quietly(struct dsq_committer *committer, struct dsq_record *record);

/* PENDING -> READY, if it is PENDING.  Lock-free. */
void dsq_committer_settle(struct dsq_committer *committer, struct dsq_record *record);

/*
 * Waits until a READY record, of which the caller holds a reference, is durable.  The store's error
 * if it fails meanwhile: the outcome is unknown then.  DSQ_ERR_TIMEOUT at the deadline.
 */
int dsq_committer_wait(struct dsq_committer *committer, const struct dsq_record *record,
                       uint64_t deadline_ns, struct dsq_error *error);

/* A barrier: waits until all that was acknowledged before the call is durable. */
int dsq_committer_flush(struct dsq_committer *committer, uint64_t deadline_ns,
                        struct dsq_error *error);

/*
 * The same without waiting.  DSQ_WOULD_BLOCK: the notice will be sent, with DSQ_OK or the error of the
 * store once it has failed, by the committer's thread or by who destroys the committer
 * (DSQ_ERR_CLOSED).  DSQ_OK, all is durable, and errors: the notice is the caller's still.
 */
int dsq_committer_notify(struct dsq_committer *committer, struct dsq_notice *notice,
                         struct dsq_error *error);

/*
 * Looks whether the thread lives, as those who wait for it do now and then; if not, the store has failed.
 * DSQ_OK, or the error with which it has failed.
 */
int dsq_committer_watch(struct dsq_committer *committer, struct dsq_error *error);

/* Waits until all that is durable at the call is in kv. */
int dsq_committer_fold(struct dsq_committer *committer, struct dsq_error *error);

/* FAILED -> OPEN by trying the failed commit again; its error if it fails again. */
int dsq_committer_resume(struct dsq_committer *committer, struct dsq_error *error);

/* Starts another thread if the one that commits is dead. */
int dsq_committer_revive(struct dsq_committer *committer, struct dsq_error *error);

/*
 * Has the committer's thread, which alone may write, do something between two transactions; its status
 * and error, or the store's if it has failed.  One at a time: others wait.
 */
typedef int (*dsq_chore)(struct dsq_store *store, void *context, struct dsq_error *error);
int dsq_committer_do(struct dsq_committer *committer, dsq_chore run, void *context,
                     struct dsq_error *error);

/*
 * The rows that kv will have once all that is committed is folded; DSQ_WOULD_BLOCK if folding it is the
 * better way to know.
 */
int dsq_committer_count(struct dsq_committer *committer, uint64_t *count, struct dsq_error *error);

/* Whether all that was queued is durable; whether it is in kv. */
bool dsq_committer_is_idle(const struct dsq_committer *committer);
bool dsq_committer_is_folded(const struct dsq_committer *committer);

void dsq_committer_stats(struct dsq_committer *committer, struct dsq_committer_stats *stats);

/*
 * Records queued, and records that have left the queue for good.  Sampled around another level, done
 * before it and pushed after it, they bound what was unfolded when that level was read.
 */
uint64_t dsq_committer_pushed(const struct dsq_committer *committer);
uint64_t dsq_committer_done(const struct dsq_committer *committer);

/*
 * A group: begin; then for each of its nodes, inside one critical section, push and publish; then
 * end, which must come.  The group holds a reference of its own until dsq_group_release.
 */
struct dsq_group;

struct dsq_group *dsq_group_begin(void);

/*
 * Queues `count` records, taking over one reference of each, as the next node of the group.
 * DSQ_ERR_NOMEM: nothing was queued.
 */
int dsq_group_push(struct dsq_committer *committer, struct dsq_group *group,
                   struct dsq_record *const *records, size_t count);

/* Every record of the group is published: the committer may take it. */
void dsq_group_end(struct dsq_committer *committer, struct dsq_group *group);

/* As dsq_committer_wait, for the whole of an ended group. */
int dsq_group_wait(struct dsq_committer *committer, const struct dsq_group *group,
                   uint64_t deadline_ns, struct dsq_error *error);
void dsq_group_release(struct dsq_committer *committer, struct dsq_group *group);

#endif
