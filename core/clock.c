#include "core/clock.h"

#include "core/perturb.h"
#include "core/table_internal.h"

/* Groups looked at when the table is nearly empty. */
#define SWEEP_GROUPS_MAX 128
/* Chunks that an evictor without a victim moves before it gives up. */
#define HELP_MAX 16
/* A table with fewer live slots than this share is rebuilt smaller, or the hand finds nothing. */
#define SPARSE_SHARE 16

struct candidate {
    struct dsq_slots *slots;
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

/* Where the hand points: slots of the root or, where those have been moved, of its `next`. */
struct hand {
    struct dsq_slots *slots;
    uint64_t first;
    uint64_t count;
};

static uint64_t evict_slot(struct dsq_map *map, struct dsq_table *shard, struct dsq_slots *root,
                           const struct candidate *victim)
{
    struct dsq_record *record = word_record(victim->word);
    uint64_t bytes = dsq_record_bytes(record);

    if (victim->slots != root) {
        dsq_migration_move_key(shard, root, record);
    }

    /* Relaxed look: once false it stays so.  Without a tombstone the key is as absent as with it. */
    if (record->kind == DSQ_RECORD_VALUE && dsq_load_relaxed(&map->complete)) {
        dsq_store_release(&map->complete, false);
    }
    if (!dsq_table_unlink(shard, victim->slots, victim->slot, victim->word)) {
        return 0;
    }
    dsq_add_relaxed(&shard->evictions, 1);
    dsq_ghost_note(&shard->ghost, record->hash);
    dsq_record_release(map->reclaim, record);
    return bytes;
}

/* What is packed into `unswept`: the first slot, how many, and whether they are in `next`. */
#define UNSWEPT_COUNT UINT64_C(0xFF)
#define UNSWEPT_IN_NEXT UINT64_C(0x100)
#define UNSWEPT_FIRST_SHIFT 9

/*
 * Leaves what a sweep has not looked at to the next one.  Were it left out, the first slots of a
 * group would be swept more often than its last.  Of two sweeps that leave something at once, what
 * one left is skipped for this turn.
 */
static void leave_rest(struct dsq_slots *root, const struct hand *hand)
{
    if (hand->count > 0) {
        uint64_t in_next = hand->slots != root ? UNSWEPT_IN_NEXT : 0;

        /* Releases the sight of `next`. */
        dsq_store_release(&root->unswept,
                          hand->first << UNSWEPT_FIRST_SHIFT | in_next | hand->count);
    }
}

static bool take_rest(struct dsq_slots *root, struct hand *hand)
{
    uint64_t rest = dsq_load_relaxed(&root->unswept);

    if (rest != 0) {
        rest = dsq_exchange_acq_rel(&root->unswept, 0);
    }
    hand->slots = (rest & UNSWEPT_IN_NEXT) != 0 ? dsq_load_acquire(&root->next) : root;
    hand->first = rest >> UNSWEPT_FIRST_SHIFT;
    hand->count = rest & UNSWEPT_COUNT;
    return rest != 0;
}

/*
 * Fetches the records that the next step will look at, and the slots of the one after it: they follow each
 * other in the table and not in memory.  Relaxed: addresses to prefetch, which may be stale.
 */
static void prefetch_ahead(const struct dsq_slots *root, uint64_t group)
{
    const _Atomic uint64_t *words = group_words(root, (group + 1) & group_mask(root));

    for (unsigned i = 0; i < GROUP_SLOTS; i++) {
        __builtin_prefetch(word_record(dsq_load_relaxed(&words[i])));
    }
    __builtin_prefetch((const void *)group_words(root, (group + 2) & group_mask(root)));
}

/*
 * Takes a step.  Positions in `next` are those of the root scaled, as the home groups of keys are: so
 * the hand goes round once whether the table is being moved or not.
 */
static struct hand step(struct dsq_slots *root)
{
    uint64_t group = dsq_add_relaxed(&root->hand, 1) & group_mask(root);
    struct dsq_slots *next = dsq_load_acquire(&root->next);
    struct hand hand = {root, group * GROUP_SLOTS, GROUP_SLOTS};

    prefetch_ahead(root, group);
    if (next != NULL && group / (CHUNK_SLOTS / GROUP_SLOTS) < dsq_load_acquire(&root->low)) {
        hand.slots = next;
        hand.first = scale_group(group, root, next) * GROUP_SLOTS;
        if (next->slot_count > root->slot_count) {
            hand.count = GROUP_SLOTS * (next->slot_count / root->slot_count);
        }
    }
    return hand;
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

/* Looks at one slot; the size of the record evicted, or 0. */
static uint64_t sweep_slot(struct dsq_map *map, struct dsq_table *shard, struct dsq_slots *root,
                           struct candidate *seen, struct sweep *sweep)
{
    struct dsq_record *record;

    seen->word = dsq_load_acquire(seen->slot);
    record = word_record(seen->word);
    if (record == NULL || (seen->word & WORD_FROZEN) != 0) {
        return 0;
    }
    sweep->occupied++;
    if (dsq_record_state(record) != DSQ_RECORD_CLEAN) {
        return 0;
    }
    sweep->met_clean = true;
    seen->clock = dsq_load_relaxed(&record->clock);
    return inspect(seen, &sweep->lowest) ? evict_slot(map, shard, root, seen) : 0;
}

static uint64_t sweep_slots(struct dsq_map *map, struct dsq_table *shard, struct dsq_slots *root,
                            struct hand *hand, struct sweep *sweep)
{
    uint64_t bytes = 0;

    while (hand->count > 0 && bytes == 0 && sweep->occupied < DSQ_CLOCK_SWEEP_MAX) {
        struct candidate seen = {.slots = hand->slots, .slot = &hand->slots->words[hand->first]};

        hand->first++;
        hand->count--;
        bytes = sweep_slot(map, shard, root, &seen, sweep);
    }
    return bytes;
}

static uint64_t run_sweep(struct dsq_map *map, struct dsq_table *shard, struct dsq_slots *root,
                          struct sweep *sweep)
{
    struct hand hand;
    bool resumed = take_rest(root, &hand);
    uint64_t bytes = 0;

    while (bytes == 0 && sweep->groups < SWEEP_GROUPS_MAX &&
           sweep->occupied < DSQ_CLOCK_SWEEP_MAX) {
        if (!resumed) {
            hand = step(root);
            sweep->groups++;
        }
        resumed = false;
        bytes = sweep_slots(map, shard, root, &hand, sweep);
    }
    leave_rest(root, &hand);
    if (bytes == 0 && sweep->lowest.slot != NULL) {
        bytes = evict_slot(map, shard, root, &sweep->lowest);
    }
    return bytes;
}

/* Starts a migration if the table is sparse; whether one is under way. */
static bool shrink_if_sparse(struct dsq_table *shard, struct dsq_slots *slots)
{
    int64_t live = dsq_table_live(shard);

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

/* Not a read-modify-write: two evictors of one shard may lose a count. */
static void count_inspected(struct dsq_table *shard, const struct sweep *sweep)
{
    dsq_store_relaxed(&shard->inspected, dsq_load_relaxed(&shard->inspected) + sweep->occupied);
}

uint64_t dsq_clock_evict(struct dsq_map *map, struct dsq_table *shard)
{
    uint64_t epoch = dsq_load_acquire(&map->clean_epoch);

    for (unsigned i = 0; i < HELP_MAX; i++) {
        struct dsq_slots *slots = dsq_load_acquire(&shard->root);
        struct sweep sweep = {0};
        uint64_t bytes = run_sweep(map, shard, slots, &sweep);

        count_inspected(shard, &sweep);
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

/* Until the hand has found nothing for a whole turn. */
void dsq_clock_evict_all(struct dsq_map *map, struct dsq_table *shard)
{
    uint64_t in_vain = 0;
    uint64_t turn;

    do {
        dsq_read_lock();
        turn = dsq_load_acquire(&shard->root)->slot_count / DSQ_CLOCK_SWEEP_MAX + 1;
        in_vain = dsq_clock_evict(map, shard) != 0 ? 0 : in_vain + 1;
        dsq_read_unlock();
    } while (in_vain < turn);
}
