/*
 * The hash table of one shard: open addressing over 64-bit slot words, lock-free throughout,
 * growing, shrinking and cleaning itself by cooperative incremental migration.
 *
 * The algorithm, its invariants and its orderings are described at the head of
 * core/table_internal.h.  Here is what callers need.
 *
 * Every function must be called inside a read-side critical section (core/reclaim.h), and every
 * record or place that it returns is valid until the end of that section only, unless a reference
 * was taken.
 *
 * Progress: the walk is wait-free but for the length of a probe; the others are lock-free (find too,
 * since it helps a migration by a chunk when its key has been moved).  No thread, wherever it is frozen, keeps another from completing any of them.
 */
#ifndef DSQ_CORE_TABLE_H
#define DSQ_CORE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/atomic.h"
#include "core/bytes.h"
#include "core/ghost.h"
#include "core/platform.h"
#include "core/reclaim.h"
#include "core/record.h"

struct dsq_slots; /* one generation of the slot array */

struct dsq_table {
    /* Read by everyone, written when a migration ends. */
    _Atomic(struct dsq_slots *) root;
    struct dsq_reclaim *reclaim;
    unsigned shard_bits; /* high bits of the hash that chose this shard */
    struct dsq_ghost ghost;

    /* Written by every insertion and removal. */
    DSQ_CACHE_ALIGNED _Atomic int64_t census; /* see below */
    _Atomic int64_t valueless;                /* occupied slots that hold none of its values */
    _Atomic int64_t bytes;                    /* footprint of all records */
    _Atomic uint64_t resizes;
    _Atomic uint64_t evictions;
    _Atomic uint64_t inspected;     /* records that the CLOCK hand has looked at; may lose some */
    _Atomic uint64_t barren_groups; /* swept one after the other without a CLEAN record */
    _Atomic uint64_t pinned_epoch;  /* see core/clock.h */
};

/*
 * Census: how many of the records are DSQ_RECORD_VALUE, times DSQ_CENSUS_VALUE, plus how many changes
 * of that number are under way.  A change adds itself before its compare-and-swap and takes itself
 * out, with its effect, after it, in one step each.  So whoever reads a census without changes reads
 * the number of values at that moment.
 *
 * Why a count alone will not do: a removal that has happened and not counted yet, and an insertion
 * of the same key after it that has counted and returned, would make two of one key.
 */
#define DSQ_CENSUS_VALUE (INT64_C(1) << 16)

/* About how many values there are: without the changes under way. */
static inline int64_t dsq_table_values(const struct dsq_table *table)
{
    return dsq_load_acquire(&table->census) >> 16;
}

/*
 * About how many slots of all generations are occupied.  Not counted by itself: an insertion of a
 * value would have one more shared counter to change.
 */
static inline int64_t dsq_table_live(const struct dsq_table *table)
{
    return dsq_table_values(table) + dsq_load_relaxed(&table->valueless);
}

/*
 * How many values there are, if at some moment of the call no change of that was under way.
 * Wait-free.
 */
bool dsq_table_values_at_rest(const struct dsq_table *table, uint64_t *values);

/* Where a key is or would go: found by dsq_table_locate, used up by publish, remove or cancel. */
struct dsq_place {
    struct dsq_slots *slots;
    _Atomic uint64_t *slot;
    uint64_t word;             /* what the slot held: the `expected` of the compare-and-swap */
    struct dsq_record *record; /* the key's record, or NULL if the key has none */
    uint64_t hash;
    bool fresh; /* the vacancy was reserved in a generation that is still being filled */
};

/* DSQ_ERR_NOMEM if memory runs out. */
int dsq_table_init(struct dsq_table *table, struct dsq_reclaim *reclaim, unsigned shard_bits);

/* Releases all records, frees the slots.  No other thread may use the table any more. */
void dsq_table_fini(struct dsq_table *table);

/*
 * The key's record, of whatever kind, or NULL.
 * Linearization point: the load of the slot that holds it, or the one that found the slot where it
 * would be first without it.
 */
struct dsq_record *dsq_table_find(struct dsq_table *table, uint64_t hash, struct dsq_bytes key);

/*
 * Hints for a find that follows: the first brings the key's group of slots into the cache, the
 * second, which needs it there, the record that the key most likely has.  Made for many keys before
 * the first find, they let the misses of all of them overlap.  They decide nothing.
 */
void dsq_table_prefetch_slots(struct dsq_table *table, uint64_t hash);
void dsq_table_prefetch_record(struct dsq_table *table, uint64_t hash);

/*
 * Finds the key's slot for a change, or a vacancy for it, reserved.  Exactly one of publish, remove
 * and cancel must follow in the same critical section.  Helps a migration under way.
 * DSQ_ERR_NOMEM: a vacancy would need more memory; nothing is reserved.
 */
int dsq_table_locate(struct dsq_table *table, uint64_t hash, struct dsq_bytes key,
                     struct dsq_place *place);

/*
 * Puts a record of the same key into the place.  True: it is published, the table has taken over
 * one reference of it, and the record that it replaced (place->record) is unlinked: the
 * table's reference of that one now is the caller's to release.  False: the key has changed
 * meanwhile; nothing was done and the place is used up: locate again.
 * Linearization point of a true result: the compare-and-swap of the slot.
 */
bool dsq_table_publish(struct dsq_table *table, struct dsq_place *place, struct dsq_record *record);

/*
 * Unlinks the place's record.  True: the table's reference is the caller's to release.  False: as
 * in publish.
 */
bool dsq_table_remove(struct dsq_table *table, struct dsq_place *place);

/* Gives a place up. */
void dsq_table_cancel(struct dsq_table *table, struct dsq_place *place);

/* Slots of all generations in use, for statistics. */
uint64_t dsq_table_slot_count(const struct dsq_table *table);

/*
 * Checks the invariants of a table that nobody else uses: NULL, or a sentence on what is broken.
 * Finishes a migration that is under way.
 */
const char *dsq_table_check(struct dsq_table *table);

/* Records collected by a walk, each with a reference that the list owns. */
struct dsq_record_list {
    struct dsq_record **records;
    size_t count;
    size_t capacity;
};

/*
 * Collects, with a reference each, the values whose hash lies in the window of the hash space that
 * begins at *position (0: the first), and advances *position to the next window; 0 again when that
 * was the last one.  A key that is there throughout a whole walk is collected exactly once, whatever
 * resizes happen between or during the calls.  DSQ_ERR_NOMEM: nothing was collected, *position
 * stays.
 */
int dsq_table_walk(struct dsq_table *table, uint64_t *position, struct dsq_record_list *list);

/* Releases what a list holds; the list can be used again. */
void dsq_record_list_clear(struct dsq_record_list *list, struct dsq_reclaim *reclaim);

#endif
