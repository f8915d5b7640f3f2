/* Migration from one generation of slots to the next: see core/table_internal.h, S2 to S8. */
#include <stdlib.h>

#include "core/perturb.h"
#include "core/status.h"
#include "core/table_internal.h"

/* A shrinking table shrinks by this factor at most, so that `next` outlasts its own filling. */
#define SHRINK_MAX 8

/*
 * Up to this size a table grows by two steps at once: its records are moved a third of a time each
 * on the way, instead of once.
 */
#define BIG_STEPS_SLOTS 16384

/* The most slots that can be occupied once the generation is sealed (S6). */
static uint64_t occupied_max(struct dsq_slots *slots)
{
    uint64_t used = dsq_or_acq_rel(&slots->used, USED_SEALED) & ~USED_SEALED;
    uint64_t removed = dsq_load_relaxed(&slots->removed);

    used = used < slots->slot_count ? used : slots->slot_count;
    return used > removed ? used - removed : 0;
}

static uint64_t next_slot_count(struct dsq_slots *slots)
{
    uint64_t count = dsq_next_power_of_two(2 * occupied_max(slots));
    uint64_t least = slots->slot_count / SHRINK_MAX;

    if (count > slots->slot_count && count < BIG_STEPS_SLOTS) {
        count *= 2;
    }
    least = least > MIN_SLOTS ? least : MIN_SLOTS;
    return count > least ? count : least;
}

int dsq_migration_start(struct dsq_slots *slots)
{
    struct dsq_slots *none = NULL;
    struct dsq_slots *next;

    if (dsq_load_acquire(&slots->next) != NULL) {
        return DSQ_OK;
    }
    next = dsq_slots_new(next_slot_count(slots));
    if (next == NULL) {
        return DSQ_ERR_NOMEM;
    }
    dsq_perturb();
    if (!dsq_cas_acq_rel(&slots->next, &none, next)) {
        dsq_slots_free(next);
    }
    return DSQ_OK;
}

/*
 * Makes sure that the key of a FROZEN slot has a slot in `next` (S4).  The record may be PENDING:
 * nobody depends on a copy, so there is nothing to settle.
 */
static void copy(struct dsq_table *table, struct dsq_slots *next, const _Atomic uint64_t *old_slot,
                 uint64_t frozen)
{
    struct dsq_record *record = word_record(frozen);
    struct dsq_bytes key = dsq_record_key(record);
    struct probe probe = probe_start(table, next, record->hash);
    _Atomic uint64_t *slot;

    while ((slot = probe_next(&probe)) != NULL) {
        uint64_t word = dsq_load_acquire(slot);

        if (word == WORD_EMPTY) {
            dsq_add_relaxed(&next->used, 1);
            dsq_perturb();
            if (dsq_cas_acq_rel(slot, &word, word_of(record))) {
                return;
            }
            dsq_sub_relaxed(&next->used, 1);
        }
        if (word == WORD_CLOSED) {
            return; /* `next` is the root and being replaced: this slot was moved long ago */
        }
        if ((word & WORD_TAG) != (frozen & WORD_TAG)) {
            continue;
        }
        if (word_record(word) == NULL) {
            dsq_perturb();
            /* REMOVED or MOVED, perhaps of this key: then the old slot was final before. */
            if (dsq_load_acquire(old_slot) != frozen) {
                return;
            }
        } else if (dsq_record_has_key(word_record(word), record->hash, key)) {
            return;
        }
    }
    abort(); /* S6 is broken: records would be lost */
}

void dsq_migration_move(struct dsq_table *table, struct dsq_slots *slots, _Atomic uint64_t *slot)
{
    struct dsq_slots *next = dsq_load_acquire(&slots->next);
    uint64_t word = dsq_load_acquire(slot);
    struct dsq_record *record;

    dsq_perturb();
    while (word == WORD_EMPTY) {
        if (dsq_cas_acq_rel(slot, &word, WORD_CLOSED)) {
            return;
        }
    }
    while ((record = word_record(word)) != NULL && (word & WORD_FROZEN) == 0) {
        if (dsq_cas_acq_rel(slot, &word, word | WORD_FROZEN)) {
            word |= WORD_FROZEN;
        }
    }
    if (record == NULL) {
        return;
    }
    dsq_perturb();
    if (record->kind != DSQ_RECORD_LOADING) {
        copy(table, next, slot, word);
    }
    dsq_perturb();
    /* Whoever sees MOVED sees the copy. */
    if (dsq_cas_acq_rel(slot, &word, (word & WORD_TAG) | WORD_MOVED) &&
        record->kind == DSQ_RECORD_LOADING) {
        dsq_table_account_removal(table, record);
        dsq_record_release(table->reclaim, record);
    }
}

/* Advances `low` past all chunks known to be done and returns it. */
static uint64_t advance_low(struct dsq_slots *slots)
{
    uint64_t seen = dsq_load_acquire(&slots->low);
    uint64_t low = seen;

    while (low < slots->chunk_count && dsq_load_acquire(&slots->done[low]) != 0) {
        low++;
    }
    while (seen < low && !dsq_cas_acq_rel(&slots->low, &seen, low)) {
    }
    return seen > low ? seen : low;
}

/*
 * Asks for the records of a chunk, then for where they go, so that the waits for memory overlap.  Pages
 * of `next` are touched by a write first: one that is read before is mapped twice, and the second
 * time all cores are interrupted.
 */
static void prefetch_chunk(const struct dsq_table *table, struct dsq_slots *slots,
                           const _Atomic uint64_t *words)
{
    struct dsq_slots *next = dsq_load_acquire(&slots->next);
    uint64_t home = (uint64_t)(words - slots->words) / GROUP_SLOTS;

    dsq_or_relaxed(&next->words[scale_group(home, slots, next) * GROUP_SLOTS], 0);
    for (uint64_t i = 0; i < CHUNK_SLOTS; i++) {
        __builtin_prefetch(word_record(dsq_load_relaxed(&words[i])));
    }
    for (uint64_t i = 0; i < CHUNK_SLOTS; i++) {
        const struct dsq_record *record = word_record(dsq_load_acquire(&words[i]));

        if (record != NULL) {
            uint64_t group = home_group(next, record->hash, table->shard_bits);

            __builtin_prefetch((const void *)&next->words[group * GROUP_SLOTS]);
        }
    }
}

static void move_chunk(struct dsq_table *table, struct dsq_slots *slots, uint64_t chunk)
{
    prefetch_chunk(table, slots, &slots->words[chunk * CHUNK_SLOTS]);
    for (uint64_t i = 0; i < CHUNK_SLOTS; i++) {
        dsq_migration_move(table, slots, &slots->words[chunk * CHUNK_SLOTS + i]);
    }
    dsq_perturb();
    dsq_store_release(&slots->done[chunk], 1);
}

static void free_retired_slots(struct dsq_retired *retired)
{
    dsq_slots_free((struct dsq_slots *)retired);
}

/* The CLOCK hand goes on where it is.  Relaxed: a hint, which a late promoter may set back. */
static void hand_over(struct dsq_slots *slots, struct dsq_slots *next)
{
    uint64_t group = dsq_load_relaxed(&slots->hand) & group_mask(slots);

    dsq_store_relaxed(&next->hand, scale_group(group, slots, next));
}

/* Replaces the root (S5).  Of several threads one succeeds and retires the old generation. */
static void promote(struct dsq_table *table, struct dsq_slots *slots)
{
    struct dsq_slots *expected = slots;
    struct dsq_slots *next = dsq_load_acquire(&slots->next);

    hand_over(slots, next);
    dsq_perturb();
    if (dsq_cas_acq_rel(&table->root, &expected, next)) {
        dsq_add_relaxed(&table->resizes, 1);
        slots->retired.free = free_retired_slots;
        dsq_reclaim_retire(table->reclaim, &slots->retired, slots->slot_count * sizeof(uint64_t));
    }
}

void dsq_migration_help(struct dsq_table *table, struct dsq_slots *slots)
{
    uint64_t chunk = dsq_add_relaxed(&slots->claim, 1);

    if (chunk >= slots->chunk_count) {
        /* All are claimed; a claimer may be frozen, so redo the first that is not done. */
        chunk = advance_low(slots);
    }
    if (chunk < slots->chunk_count) {
        move_chunk(table, slots, chunk);
    }
    if (advance_low(slots) == slots->chunk_count) {
        promote(table, slots);
    }
}

void dsq_migration_finish(struct dsq_table *table, struct dsq_slots *slots)
{
    uint64_t low;

    while ((low = advance_low(slots)) < slots->chunk_count) {
        move_chunk(table, slots, low);
    }
    promote(table, slots);
}
