/*
 * The slot protocol: private to core/table*.c and core/clock.c.
 *
 * Sources.  One word a slot with the tag inside it, as in growt's complex slots and FASTER's index;
 * frozen and moved marks in the low bits, as in papaya; a cooperative migration in which whoever
 * meets an unfinished slot finishes it, as in Click's NonBlockingHashMap.  Unlike papaya and growt
 * nobody ever waits for a copy, not even of one slot; unlike Click's table nothing depends on a
 * garbage collector.
 *
 * Slot word
 *
 *     63            48 47                           4   3      2      1       0
 *     +---------------+------------------------------+------+------+-------+------+
 *     | tag           | address of the record        |CLOSED|MOVED |REMOVED|FROZEN|
 *     +---------------+------------------------------+------+------+-------+------+
 *
 *     EMPTY    0                   ends every probe; an insertion may take it
 *     LIVE     tag | address       the key's record
 *     FROZEN   LIVE | FROZEN       being moved: the record is still the truth, no more changes here
 *     REMOVED  tag | REMOVED       evicted or given up; never used again
 *     MOVED    tag | MOVED         the key lives on in `next`
 *     CLOSED   CLOSED              was EMPTY when the migration came by: go on in `next`
 *
 * Moves, each by a compare-and-swap of the word:
 *
 *     EMPTY  -> LIVE      insertion (publish)             EMPTY  -> CLOSED   migration
 *     LIVE   -> LIVE'     replacement (publish)           LIVE   -> FROZEN   migration
 *     LIVE   -> REMOVED   eviction, remove                FROZEN -> MOVED    migration, after copying
 *
 * REMOVED, MOVED and CLOSED are final.  A slot leaves EMPTY once and is from then on about one key
 * only.  A key's probe sequence is fixed: the groups of 8 slots from its home group on, cyclically,
 * slots in order; the home group is taken from the high bits of the hash, the tag from the low.
 *
 * Invariants
 *
 *  S1  A key has at most one slot in a generation.  Two insertions of a key race for the first EMPTY
 *      of one sequence; the loser's compare-and-swap fails, and it finds the winner.
 *  S2  `next` is set before any slot of a generation is frozen or closed, and never changes.  There
 *      are at most two generations in use: `next` gets a `next` only once it is the root.
 *  S3  Nobody inserts, changes or removes key k in `next` before k's slot here is final: a changer
 *      walks the whole sequence here first, moves k's slot or closes the EMPTY that ends it.  A slot
 *      that is REMOVED when it was to be moved says nothing: k may have been inserted again further
 *      on by someone who came before `next`, so the walk goes on.
 *      Copying itself is the one exception, and copies only a record that is still the truth.
 *  S4  A copy of k is inserted into `next` at most once.  A copier that is late (k has been moved,
 *      perhaps replaced or removed there since) meets k's slot in `next` before any EMPTY, because
 *      k's first slot there was the first EMPTY of the same sequence and slots never become EMPTY again.
 *      It recognises that slot by the key, or, if it is REMOVED or MOVED there, by looking at
 *      its own old slot again: that one was final before anything happened to k in `next` (S3).
 *  S5  A generation is replaced as root only when all its slots are final: all done flags are set,
 *      each set by a thread that saw every slot of the chunk final.  Nobody counts, so nobody who is
 *      frozen can keep the count from being reached.
 *  S6  `next` has room for all that is copied: reservations are counted before insertions, `used` is
 *      sealed before the size is chosen, so occupied_max bounds what there can be to copy; `next`
 *      has twice that, and admits insertions of new keys up to a quarter of its slots until it
 *      is the root.  (A slow thread may take its share of that quarter after the promotion: it
 *      counts in `used`, and is refused once that is sealed.)
 *  S7  The EMPTY slots of a group are its last ones: an insertion takes the first, a migration goes
 *      from the first on.  So the last slot tells a reader whether the group has any.
 *  S8  A LOADING record is not copied: its slot goes straight to MOVED, its loader finds it gone.
 *
 * A reader probes the root, and goes on to `next` if there is one and the root has no record of the
 * key.  FROZEN is read as LIVE: by S3 it is still the truth.
 *
 * Orderings
 *
 *     publish's CAS (release)            find's load of the word (acquire): the record's contents
 *     store of `next` (release)          load of `next` after a final or frozen word (acquire),
 *                                        chained through the CAS that froze it
 *     FROZEN -> MOVED (release)          a reader that sees MOVED (acquire) sees the copy in `next`
 *     LIVE -> REMOVED in `next`          late copier's load (acquire), then its second look at its
 *                                        old slot must see MOVED: S3 put MOVED before
 *     done flag (release)                load of the flag (acquire) before the root is replaced
 *     root (release)                     load of root (acquire)
 *
 * Reclamation.  Whoever unlinks a record owns the table's reference.  An old generation is retired
 * by whoever replaced it as root.  Everything read here is read inside one critical section, so no
 * address of a record or a generation can come back while someone compares it (no ABA).
 *
 * Rejected: reusing REMOVED slots (needs a uniqueness device; costs a second pass on insertion); a
 * separate tag array (a third cache line, and a helping rule); counting copied slots (a frozen
 * counter blocks the migration).
 */
#ifndef DSQ_CORE_TABLE_INTERNAL_H
#define DSQ_CORE_TABLE_INTERNAL_H

#include "core/group.h"
#include "core/table.h"

#define GROUP_SLOTS DSQ_GROUP_SLOTS
#define CHUNK_SLOTS 32
#define MIN_SLOTS 64
/* New keys take at most this share of the slots of a generation that is still being filled. */
#define FRESH_SHARE 4

#define WORD_EMPTY UINT64_C(0)
#define WORD_FROZEN UINT64_C(1)
#define WORD_REMOVED UINT64_C(2)
#define WORD_MOVED UINT64_C(4)
#define WORD_CLOSED UINT64_C(8)
#define WORD_ADDRESS UINT64_C(0x0000FFFFFFFFFFF0)
#define WORD_TAG UINT64_C(0xFFFF000000000000)

/* Set in `used`: no more reservations, a migration is due. */
#define USED_SEALED (UINT64_C(1) << 63)

struct dsq_slots {
    struct dsq_retired retired;
    uint64_t slot_count; /* a power of two */
    unsigned home_shift;
    _Atomic uint64_t *words;
    _Atomic(struct dsq_slots *) next; /* so far one cache line: all that a reader needs */
    uint64_t chunk_count;
    _Atomic uint8_t *done; /* of each chunk: all its slots are final */
    void *allocation;

    DSQ_CACHE_ALIGNED _Atomic uint64_t used; /* slots reserved or no longer EMPTY; USED_SEALED */
    _Atomic uint64_t removed;                /* slots that became REMOVED */
    _Atomic uint64_t fresh;                  /* new keys admitted before this was the root */

    DSQ_CACHE_ALIGNED _Atomic uint64_t hand; /* next group of the CLOCK hand */
    _Atomic uint64_t unswept;                /* of the group before: see core/clock.c */

    DSQ_CACHE_ALIGNED _Atomic uint64_t claim; /* next chunk to hand to a helper */
    _Atomic uint64_t low;                     /* chunks below are done */
};

static inline uint64_t word_tag(uint64_t hash)
{
    return hash << DSQ_TAG_SHIFT;
}

static inline uint64_t word_of(const struct dsq_record *record)
{
    return word_tag(record->hash) | (uint64_t)(uintptr_t)record;
}

/* The record of a LIVE or FROZEN word, NULL of any other. */
static inline struct dsq_record *word_record(uint64_t word)
{
    return (struct dsq_record *)(uintptr_t)(word & WORD_ADDRESS);
}

static inline uint64_t home_group(const struct dsq_slots *slots, uint64_t hash, unsigned shard_bits)
{
    return (hash << shard_bits) >> slots->home_shift;
}

static inline uint64_t group_mask(const struct dsq_slots *slots)
{
    return slots->slot_count / GROUP_SLOTS - 1;
}

/* The group of `to` that holds what a group of `from` holds, or the first of several that do. */
static inline uint64_t scale_group(uint64_t group, const struct dsq_slots *from,
                                   const struct dsq_slots *to)
{
    return to->slot_count >= from->slot_count ? group * (to->slot_count / from->slot_count)
                                              : group / (from->slot_count / to->slot_count);
}

/* Slots that may be used before the generation is replaced by a larger or cleaner one. */
static inline uint64_t used_limit(const struct dsq_slots *slots)
{
    return slots->slot_count / 8 * 7;
}

static inline const _Atomic uint64_t *group_words(const struct dsq_slots *slots, uint64_t group)
{
    return &slots->words[group * GROUP_SLOTS];
}

/*
 * A walk along a probe sequence, for a change: of the slots that may hold the key, or may be EMPTY or
 * CLOSED.  What it leaves out was about another key when it came by, and is for ever.
 */
struct probe {
    const struct dsq_slots *slots;
    uint64_t group;
    uint64_t groups_left;
    uint64_t tag;
    unsigned candidates; /* of the group, that are still to be visited */
};

static inline struct probe probe_start(const struct dsq_table *table, const struct dsq_slots *slots,
                                       uint64_t hash)
{
    uint64_t group = home_group(slots, hash, table->shard_bits);

    return (struct probe){
        .slots = slots,
        .group = group,
        .groups_left = slots->slot_count / GROUP_SLOTS,
        .tag = word_tag(hash),
        .candidates = dsq_group_candidates(group_words(slots, group), word_tag(hash)),
    };
}

/* The next slot of the walk, NULL when all have been seen. */
static inline _Atomic uint64_t *probe_next(struct probe *probe)
{
    unsigned in_group;

    while (probe->candidates == 0) {
        if (--probe->groups_left == 0) {
            return NULL;
        }
        probe->group = (probe->group + 1) & group_mask(probe->slots);
        probe->candidates =
            dsq_group_candidates(group_words(probe->slots, probe->group), probe->tag);
    }
    in_group = (unsigned)__builtin_ctz(probe->candidates);
    probe->candidates &= probe->candidates - 1;
    return &probe->slots->words[probe->group * GROUP_SLOTS + in_group];
}

/* NULL if memory runs out. */
struct dsq_slots *dsq_slots_new(uint64_t slot_count);
void dsq_slots_free(struct dsq_slots *slots);

/*
 * Seals a root and gives it a `next`, unless it has one.  Lock-free.  DSQ_ERR_NOMEM.
 */
int dsq_migration_start(struct dsq_slots *slots);

/* Moves one chunk of a generation that has a `next`, and replaces the root if that was the last. */
void dsq_migration_help(struct dsq_table *table, struct dsq_slots *slots);

/* Moves all that is left of a generation that has a `next`, and replaces the root. */
void dsq_migration_finish(struct dsq_table *table, struct dsq_slots *slots);

/* Makes one slot of a generation that has a `next` final. */
void dsq_migration_move(struct dsq_table *table, struct dsq_slots *slots, _Atomic uint64_t *slot);

/*
 * Makes the record's key final in a generation that has a `next`: from then on the key may be changed
 * in `next` (S3).
 */
void dsq_migration_move_key(struct dsq_table *table, struct dsq_slots *slots,
                            const struct dsq_record *record);

/* Unlinks the record that the slot holds, as `word`: REMOVED.  False: the slot has changed. */
bool dsq_table_unlink(struct dsq_table *table, struct dsq_slots *slots, _Atomic uint64_t *slot,
                      uint64_t word);

/* Accounts a slot that became REMOVED, or a MOVED one whose record was not copied. */
void dsq_table_account_removal(struct dsq_table *table, const struct dsq_record *record);

#endif
