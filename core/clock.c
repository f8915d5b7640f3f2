#include "core/clock.h"

#include "core/perturb.h"
#include "core/table_internal.h"

#define SWEEP_OCCUPIED 32
/* Groups looked at when the table is nearly empty. */
#define SWEEP_GROUPS_MAX 128
/* Chunks that an evictor without a victim moves before it gives up. */
#define HELP_MAX 16
/* A table with fewer live slots than this share is rebuilt smaller, or the hand finds nothing. */
#define SPARSE_SHARE 16

struct candidate {
    _Atomic uint64_t *slot;
    uint64_t word;
    uint8_t clock;
};

/* What a sweep has met so far. */
struct sweep {
    struct candidate lowest; /* CLEAN, with the lowest count */
    unsigned occupied;
    unsigned groups;
    bool met_clean;
};

static uint64_t evict_slot(struct dsq_map *map, struct dsq_table *shard, struct dsq_slots *slots,
                           const struct candidate *victim)
{
    uint64_t expected = victim->word;
    struct dsq_record *record = word_record(expected);
    uint64_t bytes = dsq_record_bytes(record);

    /* Relaxed look: once false it stays so.  Without a tombstone the key is as absent as with it. */
    if (record->kind == DSQ_RECORD_VALUE && dsq_load_relaxed(&map->complete)) {
        dsq_store_release(&map->complete, false);
    }
    dsq_perturb();
    /* Releases the cleared flag to whoever acquires the REMOVED word. */
    if (!dsq_cas_acq_rel(victim->slot, &expected, (expected & WORD_TAG) | WORD_REMOVED)) {
        return 0;
    }
    dsq_add_relaxed(&slots->removed, 1);
    dsq_add_relaxed(&shard->evictions, 1);
    dsq_table_account_removal(shard, record);
    dsq_record_release(map->reclaim, record);
    return bytes;
}

/* The next group under the hand: while the root is being moved, one that is not moved yet. */
static bool next_group(struct dsq_slots *slots, uint64_t *group)
{
    uint64_t groups = slots->slot_count / GROUP_SLOTS;
    uint64_t step = dsq_add_relaxed(&slots->hand, 1);
    uint64_t moved = 0;

    if (dsq_load_acquire(&slots->next) != NULL) {
        moved = dsq_load_acquire(&slots->low) * (CHUNK_SLOTS / GROUP_SLOTS);
        if (moved >= groups) {
            return false;
        }
    }
    *group = moved == 0 ? step & group_mask(slots) : moved + step % (groups - moved);
    return true;
}

/*
 * Inspects one occupied slot: true if its record may go now.  Otherwise gives it its second chance
 * and remembers the lowest.
 */
static bool inspect(const struct candidate *seen, struct candidate *lowest)
{
    struct dsq_record *record = word_record(seen->word);
    uint8_t clock = seen->clock;

    if (clock == 0) {
        return true;
    }
    dsq_store_relaxed(&record->clock, (uint8_t)(clock - 1));
    if (lowest->slot == NULL || clock < lowest->clock) {
        *lowest = *seen;
    }
    return false;
}

/* Sweeps one group; the size of the record evicted, or 0. */
static uint64_t sweep_group(struct dsq_map *map, struct dsq_table *shard, struct dsq_slots *slots,
                            uint64_t group, struct sweep *sweep)
{
    for (unsigned i = 0; i < GROUP_SLOTS; i++) {
        struct candidate seen = {.slot = &slots->words[group * GROUP_SLOTS + i]};
        struct dsq_record *record;
        uint64_t bytes = 0;

        seen.word = dsq_load_acquire(seen.slot);
        record = word_record(seen.word);
        if (record == NULL || (seen.word & WORD_FROZEN) != 0) {
            continue;
        }
        sweep->occupied++;
        if (dsq_record_state(record) != DSQ_RECORD_CLEAN) {
            continue;
        }
        sweep->met_clean = true;
        seen.clock = dsq_load_relaxed(&record->clock);
        if (inspect(&seen, &sweep->lowest)) {
            bytes = evict_slot(map, shard, slots, &seen);
        }
        if (bytes != 0) {
            return bytes;
        }
    }
    return 0;
}

static uint64_t run_sweep(struct dsq_map *map, struct dsq_table *shard, struct dsq_slots *slots,
                          struct sweep *sweep)
{
    uint64_t group;

    while (sweep->groups < SWEEP_GROUPS_MAX && sweep->occupied < SWEEP_OCCUPIED) {
        uint64_t bytes;

        if (!next_group(slots, &group)) {
            break;
        }
        sweep->groups++;
        bytes = sweep_group(map, shard, slots, group, sweep);
        if (bytes != 0) {
            return bytes;
        }
    }
    return sweep->lowest.slot != NULL ? evict_slot(map, shard, slots, &sweep->lowest) : 0;
}

/* Starts a migration if the table is sparse; whether one is under way. */
static bool shrink_if_sparse(struct dsq_table *shard, struct dsq_slots *slots)
{
    int64_t live = dsq_load_relaxed(&shard->live);

    /* Without memory for a smaller table the larger one stays in use. */
    return slots->slot_count > MIN_SLOTS &&
           (uint64_t)(live > 0 ? live : 0) * SPARSE_SHARE < slots->slot_count &&
           dsq_migration_start(slots) == DSQ_OK;
}

/*
 * After a sweep in vain: whether the hand has met nothing CLEAN for a whole turn.  Relaxed: the
 * verdict is a hint, which a concurrent sweep may bring forward or put off a little.
 */
static bool is_barren(struct dsq_table *shard, const struct dsq_slots *slots,
                      const struct sweep *sweep)
{
    uint64_t barren = 0;

    if (!sweep->met_clean) {
        barren = dsq_load_relaxed(&shard->barren_groups) + sweep->groups;
    }
    dsq_store_relaxed(&shard->barren_groups, barren);
    return barren >= slots->slot_count / GROUP_SLOTS;
}

uint64_t dsq_clock_evict(struct dsq_map *map, struct dsq_table *shard)
{
    uint64_t epoch = dsq_load_acquire(&map->clean_epoch);

    for (unsigned i = 0; i < HELP_MAX; i++) {
        struct dsq_slots *slots = dsq_load_acquire(&shard->root);
        struct sweep sweep = {0};
        uint64_t bytes = run_sweep(map, shard, slots, &sweep);

        if (bytes != 0) {
            dsq_store_relaxed(&shard->barren_groups, 0);
            shrink_if_sparse(shard, slots);
            return bytes;
        }
        if (dsq_load_acquire(&slots->next) == NULL && !shrink_if_sparse(shard, slots)) {
            if (is_barren(shard, slots, &sweep) && map->commits) {
                dsq_store_relaxed(&shard->pinned_epoch, epoch);
                dsq_store_relaxed(&shard->barren_groups, 0);
            }
            return 0;
        }
        dsq_migration_help(shard, slots);
    }
    return 0;
}
