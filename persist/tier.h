/*
 * The two tiers as one dictionary: the hot tier (core/shard_map.h) in front of the store
 * (persist/store.h), with the committer (persist/committer.h) between them.
 *
 * A write, inside one read-side critical section:
 *
 *     1  locate the key's slot; if its record is PENDING, settle it
 *     2  push the new record, PENDING, on the queue           <- its place in the one order
 *     3  publish it: compare-and-swap of the slot             <- linearization point
 *     4  settle it: PENDING -> READY.  If 3 failed: it becomes VOID, a fresh record takes over its
 *        payload, back to 1
 *
 * Before: room in the queue and memory, so that nothing can fail after publishing.  After, in
 * writethrough mode: wait until the record is durable.
 *
 * A miss:
 *
 *     1  borrow a reader of the store
 *     2  publish LOADING where the key has no record          <- from here to 4 kv is the truth
 *     3  read the row, outside any critical section
 *     4  replace LOADING by a CLEAN record of what was read
 *
 * "Insert if still absent" in the place of 4 would not do: meanwhile the key may have been written,
 * committed and evicted, and the stale row would stay for ever.  Here a writer simply publishes
 * over LOADING, and 4 fails: the loader starts again at the hot tier.  Since only CLEAN records
 * leave the hot tier, whatever it did not hold when LOADING went in is in kv.  Others who meet
 * LOADING, and a miss that finds no room, read the row without promoting it: what kv holds then was
 * the key's value at some moment since their probe.
 *
 * A change that depends on what is there (delete, get-or-put) decides on the record that it
 * replaces; on a miss it puts LOADING in, or joins one that is there, and publishes over it what
 * follows from the row: the row was the truth as long as LOADING stood.
 *
 * In writethrough mode no outcome leaves before the record that it derives from is durable: a
 * value, an absence seen through a tombstone, a change refused.
 *
 * Nobody waits inside a critical section, nor holding a PENDING record, a LOADING or a reader; but
 * for the read of the row itself.
 */
#ifndef DSQ_PERSIST_TIER_H
#define DSQ_PERSIST_TIER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/bytes.h"
#include "core/hash.h"
#include "core/platform.h"
#include "core/shard_map.h"
#include "persist/committer.h"
#include "persist/store.h"

/*
 * Bytes that may gather for the next grace period before writers wait for it: more cores fill them
 * sooner.  As many may be waiting for the present one, and DSQ_RECLAIM_RIPE_BYTES_MAX to be recycled:
 * the bound of what is retired and not yet freed, 72 MiB up to five cores, 231 MiB from sixteen on,
 * but for what each thread's last call and a replaced table add.
 */
#define DSQ_TIER_RETIRED_BYTES_PER_CORE (UINT64_C(4) * 1024 * 1024)
#define DSQ_TIER_RETIRED_BYTES_LEAST (UINT64_C(20) * 1024 * 1024)
#define DSQ_TIER_RETIRED_BYTES_MOST (UINT64_C(64) * 1024 * 1024)
static inline uint64_t dsq_tier_retired_cap_bytes(void)
{
    uint64_t bytes = DSQ_TIER_RETIRED_BYTES_PER_CORE * dsq_core_count();

    if (bytes < DSQ_TIER_RETIRED_BYTES_LEAST) {
        return DSQ_TIER_RETIRED_BYTES_LEAST;
    }
    return bytes < DSQ_TIER_RETIRED_BYTES_MOST ? bytes : DSQ_TIER_RETIRED_BYTES_MOST;
}

static inline uint64_t dsq_tier_retired_bytes_max(void)
{
    uint64_t cap = dsq_tier_retired_cap_bytes();

    return 2 * cap + DSQ_RECLAIM_RIPE_BYTES_MAX(cap);
}

enum dsq_tier_mode {
    DSQ_TIER_WRITETHROUGH,
    DSQ_TIER_LAZY,
    DSQ_TIER_MEMORY,
};

/* Look-ups counted by stripes of threads: exact up to DSQ_TIER_STRIPES threads, else a little low. */
#define DSQ_TIER_STRIPES 32
struct dsq_tier_stripe {
    DSQ_CACHE_ALIGNED _Atomic uint64_t hits;
    _Atomic uint64_t misses;
};

struct dsq_tier {
    enum dsq_tier_mode mode;
    bool readonly;
    bool cache_absence; /* remember what the store does not have; not in an unbounded hot tier */
    struct dsq_map map;
    struct dsq_reclaim *reclaim;
    struct dsq_store *store;         /* NULL in memory mode */
    struct dsq_committer *committer; /* NULL in memory mode and if readonly */
    struct dsq_hash_secret secret;
    struct dsq_tier_stripe stripes[DSQ_TIER_STRIPES];
};

struct dsq_tier_config {
    enum dsq_tier_mode mode;
    bool readonly;
    uint64_t hot_capacity; /* UINT64_MAX: no bound */
    uint64_t hot_bytes;    /* 0: no bound */
    struct dsq_committer_config committer;
};

/*
 * Starts the threads.  store: NULL in memory mode, else open, and the tier's from success on.  On
 * failure the store is still the caller's.
 */
int dsq_tier_open(const struct dsq_tier_config *config, struct dsq_store *store,
                  struct dsq_tier **tier, struct dsq_error *error);

/*
 * Commits what is queued, moves the WAL into the main file, closes everything and frees.  On an
 * error of these two the tier stays open as it was.
 */
int dsq_tier_close(struct dsq_tier *tier, struct dsq_error *error);

/* Frees without a last commit. */
void dsq_tier_abandon(struct dsq_tier *tier);

/*
 * In a forked child: gives up what the child inherited of the store, and touches no file and no
 * lock.  Tables, queue and records stay allocated: the fork may have caught the parent's threads
 * in the middle of any change to them, and they are copies that nobody else sees.
 */
void dsq_tier_leave_to_parent(struct dsq_tier *tier);

/*
 * Answers from the hot tier alone, inside a critical section of the caller's: DSQ_OK with the key's value
 * in *record, good until the end of the section; DSQ_ABSENT; DSQ_WOULD_BLOCK.  Lock-free.
 */
int dsq_tier_peek(struct dsq_tier *tier, struct dsq_bytes key, struct dsq_record **record);

/*
 * dsq_tier_peek for up to DSQ_TIER_RUN_KEYS keys at once: statuses[i] is its status for keys[i], with
 * records[i].
 */
void dsq_tier_peek_many(struct dsq_tier *tier, const struct dsq_bytes *keys, size_t count,
                        struct dsq_record **records, int *statuses);

/* Keys a run: more misses than a core can have under way, few enough to stay in its first cache. */
#define DSQ_TIER_RUN_KEYS 32

/*
 * dsq_tier_pin for many keys at once, each by itself: statuses[i] is DSQ_OK with records[i], or
 * DSQ_ABSENT or an error with records[i] NULL.  Returns the first error, described in *error, or
 * DSQ_OK.  Faster than a loop once the hot tier is larger than the caches: the memory that the
 * look-ups need is asked for before the first of them waits for it.
 */
int dsq_tier_pin_many(struct dsq_tier *tier, const struct dsq_bytes *keys, size_t count,
                      struct dsq_record **records, int *statuses, struct dsq_error *error);

/* The key's value as a record with a reference for the caller (dsq_record_release); DSQ_ABSENT. */
int dsq_tier_pin(struct dsq_tier *tier, struct dsq_bytes key, struct dsq_record **record,
                 struct dsq_error *error);

/*
 * The newest record that the hot tier has for the key, value or tombstone, with a reference, durable
 * in writethrough mode; *record is NULL if it has none.
 */
int dsq_tier_pin_hot(struct dsq_tier *tier, struct dsq_bytes key, struct dsq_record **record,
                     struct dsq_error *error);

/* What a write may wait for. */
enum dsq_patience {
    DSQ_WAITS, /* room, the disk, and in writethrough mode its commit */
    DSQ_NOWAIT, /* nothing: DSQ_WOULD_BLOCK instead, with nothing done; always in writethrough mode */
    DSQ_SUBMITS /* nothing either, but the commit is for others to wait for */
};

int dsq_tier_put(struct dsq_tier *tier, struct dsq_bytes key, struct dsq_bytes value,
                 enum dsq_patience patience, struct dsq_error *error);

/*
 * A change that depends on what is there.  Its condition is asked with the key's value (NULL:
 * absent) and answers DSQ_OK if the change may happen, else the status that refuses it.  It is asked
 * again whenever the key has changed meanwhile, inside a critical section, so it must be short;
 * `fresh` is where the new value lies, change->value.size bytes, for a condition that computes it
 * from the old one.
 */
struct dsq_change;
typedef int (*dsq_condition)(const struct dsq_change *change, const struct dsq_bytes *present,
                             unsigned char *fresh);

struct dsq_change {
    dsq_condition condition;
    enum dsq_record_kind kind; /* DSQ_RECORD_TOMBSTONE deletes */
    struct dsq_bytes value;
    struct dsq_bytes expected; /* of dsq_if_equal */
    int64_t delta;             /* of dsq_if_countable */
};

int dsq_if_present(const struct dsq_change *change, const struct dsq_bytes *present,
                   unsigned char *fresh); /* else DSQ_ABSENT */
int dsq_if_absent(const struct dsq_change *change, const struct dsq_bytes *present,
                  unsigned char *fresh); /* else DSQ_EXISTS */
int dsq_if_equal(const struct dsq_change *change, const struct dsq_bytes *present,
                 unsigned char *fresh); /* else DSQ_ABSENT or DSQ_MISMATCH */
/*
 * The new value is the old one, an integer of DSQ_INTEGER_BYTES (absent: 0), plus delta.
 * DSQ_MISMATCH if it is none, DSQ_ERR_INVALID if the sum does not fit.
 */
int dsq_if_countable(const struct dsq_change *change, const struct dsq_bytes *present,
                     unsigned char *fresh);

/*
 * DSQ_OK if the change happened, else what its condition said.  The value that was there, if any, is
 * handed out in *seen with a reference (may be NULL).
 */
int dsq_tier_change(struct dsq_tier *tier, struct dsq_bytes key, const struct dsq_change *change,
                    enum dsq_patience patience, struct dsq_record **seen, struct dsq_error *error);

/* One operation of a batch: a put, or a delete (is_delete), which need not find the key. */
struct dsq_operation {
    struct dsq_bytes key;
    struct dsq_bytes value;
    bool is_delete;
};

/*
 * Applies operations, of several on one key the last: one durable unit, visible one by one.
 * DSQ_ERR_TOO_BIG if they exceed the queue.  DSQ_ERR_NOMEM: a part may have been applied.
 */
int dsq_tier_apply(struct dsq_tier *tier, const struct dsq_operation *operations, size_t count,
                   struct dsq_error *error);

int dsq_tier_count(struct dsq_tier *tier, uint64_t *count, struct dsq_error *error);
bool dsq_tier_count_if_known(struct dsq_tier *tier, uint64_t *count);

/* deadline_ns of dsq_now_ns, or DSQ_NO_DEADLINE. */
int dsq_tier_flush(struct dsq_tier *tier, uint64_t deadline_ns, struct dsq_error *error);
/* See dsq_committer_notify and dsq_committer_watch. */
int dsq_tier_notify(struct dsq_tier *tier, struct dsq_notice *notice, struct dsq_error *error);
int dsq_tier_watch(struct dsq_tier *tier, struct dsq_error *error);
/* Flushes, and waits until kv holds all of it. */
int dsq_tier_fold(struct dsq_tier *tier, struct dsq_error *error);
int dsq_tier_resume(struct dsq_tier *tier, struct dsq_error *error);

/*
 * See dsq_store_ops.  Of what was acknowledged before the call a backup holds everything; compacting
 * folds first.  Memory mode: DSQ_ERR_UNSUPPORTED (backup, reseal), DSQ_OK.
 */
int dsq_tier_backup(struct dsq_tier *tier, const char *path, bool overwrite,
                    const struct dsq_store_progress *progress, struct dsq_error *error);
int dsq_tier_verify(struct dsq_tier *tier, const struct dsq_store_progress *progress,
                    struct dsq_error *error);

/*
 * Has the superblock written that the store's vault has once `prepare` has been called, which is if it
 * can be written at all.
 */
int dsq_tier_reseal(struct dsq_tier *tier, int (*prepare)(void *context, struct dsq_error *error),
                    void *context, struct dsq_error *error);
int dsq_tier_compact(struct dsq_tier *tier, const struct dsq_store_progress *progress,
                     struct dsq_error *error);

uint64_t dsq_tier_hits(const struct dsq_tier *tier);
uint64_t dsq_tier_misses(const struct dsq_tier *tier);

#endif
