/* Private to persist/tier*.c. */
#ifndef DSQ_PERSIST_TIER_INTERNAL_H
#define DSQ_PERSIST_TIER_INTERNAL_H

#include "core/event.h"
#include "core/reclaim.h"
#include "persist/tier.h"

/* A placeholder that stands for a read under way, and what the read found. */
struct dsq_lease {
    struct dsq_record *placeholder; /* with a reference; NULL: a read without promotion */
    bool own;                       /* this thread put it in and has to take it out */
    struct dsq_record *row;         /* CLEAN: the value, or a tombstone; with a reference */
};

/* Ends the lease: releases what it still holds; takes an own placeholder out if it still stands. */
void dsq_lease_end(struct dsq_tier *tier, struct dsq_lease *lease);

/*
 * Reads the row of a key for which the hot tier has no record.  promote_always: also when the hot
 * tier is full of what cannot be evicted.  DSQ_OK with a lease, whose row is set; *retry if
 * the key got a record meanwhile (then there is no lease); or the error of the read.
 */
int dsq_lease_begin(struct dsq_tier *tier, uint64_t hash, struct dsq_bytes key, bool promote_always,
                    struct dsq_lease *lease, bool *retry, struct dsq_error *error);

/*
 * Publishes the row of a lease over its placeholder, which the place holds, inside a critical
 * section; false if the key has changed.  Uses up the place.
 */
bool dsq_lease_promote(struct dsq_tier *tier, struct dsq_table *shard, struct dsq_place *place,
                       struct dsq_lease *lease);

static inline bool tier_persists(const struct dsq_tier *tier)
{
    return tier->mode != DSQ_TIER_MEMORY;
}

/* After a probe that missed: whether that means absent. */
static inline bool tier_knows_absence(const struct dsq_tier *tier)
{
    return !tier_persists(tier) || dsq_map_is_complete(&tier->map);
}

static inline struct dsq_table *tier_shard(const struct dsq_tier *tier, uint64_t hash)
{
    return dsq_map_shard(&tier->map, hash);
}

/* Whoever returns, depends on or replaces a PENDING record makes it READY first. */
static inline void tier_settle(struct dsq_tier *tier, struct dsq_record *record)
{
    if (tier->committer != NULL && record != NULL &&
        DSQ_UNLIKELY(dsq_record_state(record) == DSQ_RECORD_PENDING)) {
        dsq_committer_settle(tier->committer, record);
    }
}

/* Whether an outcome derived from the (settled) record has to wait for its commit. */
static inline bool tier_must_wait(const struct dsq_tier *tier, const struct dsq_record *record)
{
    return tier->mode == DSQ_TIER_WRITETHROUGH && dsq_record_state(record) < DSQ_RECORD_DURABLE;
}

/*
 * One look at the hot tier, inside a critical section: DSQ_OK with the key's value in *record,
 * DSQ_ABSENT, or DSQ_WOULD_BLOCK.
 */
static inline int tier_glance(struct dsq_tier *tier, uint64_t hash, struct dsq_bytes key,
                              struct dsq_record **record)
{
    struct dsq_record *found = dsq_table_find(tier_shard(tier, hash), hash, key);

    *record = found;
    if (found == NULL) {
        /* Asked after the probe: see core/shard_map.h. */
        return tier_knows_absence(tier) ? DSQ_ABSENT : DSQ_WOULD_BLOCK;
    }
    if (found->kind == DSQ_RECORD_LOADING) {
        return DSQ_WOULD_BLOCK;
    }
    dsq_record_touch(found);
    tier_settle(tier, found);
    if (tier_must_wait(tier, found)) {
        return DSQ_WOULD_BLOCK;
    }
    return found->kind == DSQ_RECORD_VALUE ? DSQ_OK : DSQ_ABSENT;
}

/* dsq_record_new, in the place of a record that nobody needs any more if there is one. */
static inline struct dsq_record *tier_record_new(struct dsq_tier *tier, enum dsq_record_kind kind,
                                                 enum dsq_record_state state, uint32_t refs,
                                                 uint64_t hash, struct dsq_bytes key,
                                                 struct dsq_bytes value)
{
    size_t capacity = dsq_record_capacity(key.size, value.size);

    return dsq_record_new_in(dsq_reclaim_recycle(tier->reclaim, capacity), kind, state, refs, hash,
                             key, value);
}

/*
 * Asks for the slots of some keys, and then for their records: the waits for memory overlap.  Inside a
 * critical section.
 */
static inline void tier_prefetch(struct dsq_tier *tier, const uint64_t *hashes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        dsq_table_prefetch_slots(tier_shard(tier, hashes[i]), hashes[i]);
    }
    for (size_t i = 0; i < count; i++) {
        dsq_table_prefetch_record(tier_shard(tier, hashes[i]), hashes[i]);
    }
}

static inline void tier_release(struct dsq_tier *tier, struct dsq_record *record)
{
    dsq_record_release(tier->reclaim, record);
}

/* Waits until a record, of which the caller holds a reference, may be spoken of. */
static inline int tier_wait(struct dsq_tier *tier, const struct dsq_record *record,
                            struct dsq_error *error)
{
    if (!tier_must_wait(tier, record)) {
        return DSQ_OK;
    }
    return dsq_committer_wait(tier->committer, record, DSQ_NO_DEADLINE, error);
}

/*
 * One look at the hot tier, inside a critical section: the key's value or tombstone, settled, with a
 * reference, or NULL.  *absent: and that means that the key is absent.
 */
struct dsq_record *dsq_tier_pin_found(struct dsq_tier *tier, uint64_t hash, struct dsq_bytes key,
                                      bool *absent);

/*
 * A pinned record as the outcome of a look-up: waits if the mode asks for it.  On any status but
 * DSQ_OK the record is released and NULL.
 */
int dsq_tier_outcome(struct dsq_tier *tier, struct dsq_record **record, struct dsq_error *error);

/* Of this thread. */
struct dsq_tier_stripe *dsq_tier_stripe(struct dsq_tier *tier);

static inline void tier_count_hits(struct dsq_tier *tier, uint64_t hits)
{
    struct dsq_tier_stripe *stripe = dsq_tier_stripe(tier);
    /* Not a read-modify-write: two threads of one stripe may lose a count. */
    dsq_store_relaxed(&stripe->hits, dsq_load_relaxed(&stripe->hits) + hits);
}

static inline void tier_count_miss(struct dsq_tier *tier)
{
    struct dsq_tier_stripe *stripe = dsq_tier_stripe(tier);
    dsq_store_relaxed(&stripe->misses, dsq_load_relaxed(&stripe->misses) + 1);
}

/*
 * What a write does with its record.  A write is admitted, its record made; then, in a critical
 * section, located places are tried with dsq_write_try until one succeeds.
 */
struct dsq_write {
    struct dsq_record *record;
    bool durable; /* the caller holds a reference and will wait */
    bool quiet;   /* a flush will follow: the thread need not be woken for this */
};

/*
 * Waits for room and makes the record.  DSQ_WOULD_BLOCK, the store's error, DSQ_ERR_READONLY,
 * DSQ_ERR_NOMEM: nothing is held.
 */
int dsq_write_begin(struct dsq_tier *tier, enum dsq_record_kind kind, uint64_t hash,
                    struct dsq_bytes key, struct dsq_bytes value, enum dsq_patience patience,
                    struct dsq_write *write, struct dsq_error *error);

/*
 * Steps 1 to 4 of persist/tier.h for a located place.  DSQ_OK: published, and what was replaced is
 * released.  DSQ_EXISTS: the key has changed, locate again.  DSQ_ERR_NOMEM: the write is over.
 */
int dsq_write_try(struct dsq_tier *tier, struct dsq_table *shard, struct dsq_place *place,
                  struct dsq_write *write);

/* Gives up a write that was not published. */
void dsq_write_cancel(struct dsq_tier *tier, struct dsq_write *write);

/* After publishing, outside critical sections: waits for durability where the mode asks for it. */
int dsq_write_end(struct dsq_tier *tier, struct dsq_write *write, struct dsq_error *error);

#endif
