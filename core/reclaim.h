/*
 * Deferred reclamation: what was unlinked from the table is freed after a grace period of RCU.
 *
 * Readers use liburcu's "bulletproof" flavour (urcu-bp): threads need no registration, a read-side
 * critical section costs about a nanosecond and never waits.  This is the only place that knows
 * liburcu.
 *
 *     retire      lock-free push on one of a few stacks; wakes the reclaimer when enough has
 *                 gathered
 *     reclaimer   one thread of each handle: takes all stacks, waits for one grace period for the
 *                 whole batch (not one call_rcu a record, whose thread sleeps 10 ms a round and
 *                 whose backlog has no bound), hands the records back to the writers
 *     recycle     a writer takes a record of its own that has ripened, just before it makes one
 *
 * Bound: dsq_reclaim_is_full is true once the bytes retired since the last round exceed the cap (so
 * that twice the cap may wait in all, besides what is ripe); writers then wait on the reclaimer
 * before they begin (dsq_reclaim_wait), never inside a critical section.  A frozen reader therefore
 * stops writers at the cap, and nobody else.
 *
 * A node may be retired once nobody can find it any more; readers that found it earlier are inside
 * a critical section that began before, and the grace period waits for exactly those.
 *
 * fork: the grace-period state of the child is reset (pthread_atfork); the reclaimer thread does
 * not exist there, and a handle inherited by the child is only ever abandoned.
 */
#ifndef DSQ_CORE_RECLAIM_H
#define DSQ_CORE_RECLAIM_H

#include <stdbool.h>
#include <stdint.h>

#include "core/atomic.h"
#include "core/mpsc.h"
#include "core/record.h"
#include "core/status.h"

/*
 * Inline the read-side primitives (the licence allows their size), except under the sanitizers:
 * ThreadSanitizer must not see inside liburcu, and urcu-bp places its readers at addresses less
 * aligned than their type says, which UBSan would report in our code; nor under clang's analyzer,
 * which does not see that a reader is registered before it is used.
 */
#if !defined(DSQ_THREAD_SANITIZER) && !defined(__SANITIZE_ADDRESS__) && !defined(__clang_analyzer__)
#define _LGPL_SOURCE
#endif
#define URCU_API_MAP
#include <urcu/urcu-bp.h>

/* Bytes of records past their grace period that wait to be recycled, all threads together. */
#define DSQ_RECLAIM_RIPE_BYTES_MAX(cap_bytes) ((cap_bytes) / 5 * 8)

/* What may gather on the stacks of all threads before anybody looks whether the cap is reached. */
#define DSQ_RECLAIM_SLACK_BYTES (UINT64_C(66) * 4096)

struct dsq_reclaim;

/* An object other than a record: embedded in it, with the function that frees it. */
struct dsq_retired {
    struct dsq_mpsc_node node;
    void (*free)(struct dsq_retired *retired);
};

/* One address stands for every grace period (see core/atomic.h on annotations). */
extern char dsq_grace_period_edge;

/*
 * A read-side critical section.  Nests.  Inside it a thread must not wait for anything, nor call
 * dsq_reclaim_wait or dsq_reclaim_destroy.  Wait-free after a thread's first.
 */
static inline void dsq_read_lock(void)
{
    urcu_bp_read_lock();
}

static inline void dsq_read_unlock(void)
{
    dsq_annotate_release(&dsq_grace_period_edge);
    urcu_bp_read_unlock();
}

/* Starts the reclaimer thread.  cap_bytes bounds what waits for a grace period. */
int dsq_reclaim_new(uint64_t cap_bytes, struct dsq_reclaim **reclaim, struct dsq_error *error);

/* Stops the thread and frees all that was retired.  No other thread may use it any more. */
void dsq_reclaim_destroy(struct dsq_reclaim *reclaim);

/* Lock-free; inside or outside a critical section. */
void dsq_reclaim_retire(struct dsq_reclaim *reclaim, struct dsq_retired *retired, uint64_t bytes);

/* Drops a reference of a record and retires it if that was the last.  As dsq_reclaim_retire. */
void dsq_record_release(struct dsq_reclaim *reclaim, struct dsq_record *record);

/*
 * Takes a record that was retired once its grace period is over, this thread's rather than another's.  Its
 * memory if it has the capacity in bytes (dsq_record_capacity), for dsq_record_new_in; else it
 * is freed, and NULL.  To be called before a record is made.  Lock-free but for the allocator.
 */
struct dsq_record *dsq_reclaim_recycle(struct dsq_reclaim *reclaim, size_t capacity);

/* Whether writers that would retire more have to wait first.  One relaxed load. */
bool dsq_reclaim_is_full(const struct dsq_reclaim *reclaim);

/* Sleeps until dsq_reclaim_is_full is false.  Outside critical sections. */
void dsq_reclaim_wait(struct dsq_reclaim *reclaim);

/* Bytes retired and not yet freed. */
uint64_t dsq_reclaim_bytes(struct dsq_reclaim *reclaim);

/* Counts forks from the first call on; a reclaimer calls it. */
void dsq_fork_watch(void);

/* How often this process has been forked off: differs between a handle's parent and its child. */
uint64_t dsq_fork_generation(void);

#endif
