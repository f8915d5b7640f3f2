/*
 * Migration, one step at a time: most tests stop it half-way and look at what each operation makes
 * of that.
 */
#include "core/clock.h"
#include "tests/core/fixture.h"

/* Of every key by name: one tag, one home group. */
#define HASH UINT64_C(7)

static struct dsq_slots *old;
static struct dsq_slots *next;
static bool inside;

/* The test is inside a section from here on: it looks at the old generation to its end. */
static void begin_migration(void)
{
    if (!inside) {
        dsq_read_lock();
        inside = true;
    }
    old = root();
    cr_assert_eq(dsq_migration_start(old), DSQ_OK);
    next = dsq_load_acquire(&old->next);
    cr_assert_not_null(next);
}

static void leave_and_remove_table(void)
{
    if (inside) {
        dsq_read_unlock();
    }
    remove_table();
}

TestSuite(table_resize, .init = make_table, .fini = leave_and_remove_table, .timeout = 60);

/* Freezes a record's slot as a helper does that stops before it copies. */
static _Atomic uint64_t *freeze(const struct dsq_record *record)
{
    _Atomic uint64_t *slot = slot_of(old, record);
    uint64_t word = word_of(record);
    cr_assert_not_null(slot);
    cr_assert(dsq_cas_acq_rel(slot, &word, word | WORD_FROZEN));
    return slot;
}

static void finish_migration(void)
{
    dsq_read_lock();
    dsq_migration_finish(table, old);
    dsq_read_unlock();
    cr_assert_eq(root(), next);
    cr_assert_eq(generations(), 1);
}

Test(table_resize, a_frozen_record_is_still_found)
{
    struct dsq_record *record = put(HASH, "a", "1");
    begin_migration();
    freeze(record);
    cr_assert_eq(find(HASH, text("a")), record);
    cr_assert_null(find(HASH, text("b")));
}

Test(table_resize, a_moved_record_is_found_in_the_next_generation)
{
    struct dsq_record *record = put(HASH, "a", "1");
    begin_migration();
    _Atomic uint64_t *slot = slot_of(old, record);
    dsq_migration_move(table, old, slot);
    cr_assert_eq(dsq_load_acquire(slot), word_tag(HASH) | WORD_MOVED);
    cr_assert_not_null(slot_of(next, record));
    cr_assert_eq(find(HASH, text("a")), record);
    cr_assert_eq(dsq_load_relaxed(&record->refs), 1);
    cr_assert_eq(dsq_table_live(table), 1);
}

Test(table_resize, a_table_that_is_only_read_comes_to_the_end_of_its_migration)
{
    struct dsq_record *record = put(HASH, "a", "1");
    begin_migration();
    dsq_migration_move(table, old, slot_of(old, record));
    for (uint64_t i = 0; i < 2 * old->chunk_count && root() == old; i++) {
        cr_assert_eq(find(HASH, text("a")), record);
    }
    cr_assert_eq(root(), next);
    cr_assert_eq(find(HASH, text("a")), record);
}

Test(table_resize, locate_finishes_the_frozen_slot_it_meets_and_goes_on_in_next)
{
    struct dsq_record *record = put(HASH, "a", "1");
    struct dsq_place place;
    begin_migration();
    _Atomic uint64_t *slot = freeze(record);
    /* So that it is not the help given on the way that moves the slot. */
    dsq_store_relaxed(&old->claim, old->chunk_count);
    dsq_store_relaxed(&old->low, old->chunk_count - 1);
    dsq_read_lock();
    locate(HASH, text("a"), &place);
    cr_assert_eq(dsq_load_acquire(slot), word_tag(HASH) | WORD_MOVED);
    cr_assert_eq(place.slots, next);
    cr_assert_eq(place.record, record);
    dsq_table_cancel(table, &place);
    dsq_read_unlock();
    dsq_store_relaxed(&old->low, 0);
}

Test(table_resize, a_new_key_goes_to_next_and_the_end_of_its_old_sequence_is_closed)
{
    struct dsq_place place;
    begin_migration();
    dsq_store_relaxed(&old->claim, old->chunk_count - 1);
    dsq_read_lock();
    locate(HASH, text("a"), &place);
    cr_assert_eq(place.slots, next);
    cr_assert(place.fresh);
    cr_assert_null(place.record);
    _Atomic uint64_t *first = &old->words[home_group(old, HASH, 0) * GROUP_SLOTS];
    cr_assert_eq(dsq_load_acquire(first), WORD_CLOSED);
    cr_assert(dsq_table_publish(table, &place, make(DSQ_RECORD_VALUE, HASH, text("a"), "1")));
    dsq_read_unlock();
    cr_assert_not_null(find(HASH, text("a")));
}

Test(table_resize, an_insertion_that_began_before_the_migration_loses_to_the_closed_slot)
{
    struct dsq_place place;
    struct dsq_record *late = make(DSQ_RECORD_VALUE, HASH, text("a"), "late");
    dsq_read_lock();
    locate(HASH, text("a"), &place);
    begin_migration();
    dsq_migration_move(table, old, place.slot);
    cr_assert_not(dsq_table_publish(table, &place, late));
    dsq_read_unlock();
    store(late);
    cr_assert_eq(find(HASH, text("a")), late);
}

Test(table_resize, changes_that_began_before_the_freeze_fail_after_it)
{
    struct dsq_record *record = put(HASH, "a", "1");
    struct dsq_record *late = make(DSQ_RECORD_VALUE, HASH, text("a"), "late");
    struct dsq_place replace;
    struct dsq_place remove;
    dsq_read_lock();
    locate(HASH, text("a"), &replace);
    locate(HASH, text("a"), &remove);
    begin_migration();
    freeze(record);
    cr_assert_not(dsq_table_publish(table, &replace, late));
    cr_assert_not(dsq_table_remove(table, &remove));
    dsq_read_unlock();
    store(late);
    cr_assert_eq(find(HASH, text("a")), late);
    finish_migration();
    cr_assert_eq(find(HASH, text("a")), late);
}

/* What a copier that was frozen after its load of a FROZEN word does when it wakes up. */
static void copy_late(_Atomic uint64_t *slot, uint64_t frozen)
{
    uint64_t now = dsq_load_acquire(slot);
    dsq_store_release(slot, frozen);
    dsq_migration_move(table, old, slot);
    cr_assert_eq(dsq_load_acquire(slot), now);
}

Test(table_resize, a_record_is_copied_once_by_two_copiers)
{
    struct dsq_record *record = put(HASH, "a", "1");
    begin_migration();
    _Atomic uint64_t *slot = freeze(record);
    dsq_read_lock();
    dsq_migration_move(table, old, slot);
    copy_late(slot, word_of(record) | WORD_FROZEN);
    dsq_read_unlock();
    cr_assert_not_null(slot_of(next, record));
    cr_assert_eq(dsq_load_relaxed(&next->used), 1);
}

Test(table_resize, a_late_copier_does_not_bring_back_what_was_replaced)
{
    struct dsq_record *record = put(HASH, "a", "1");
    begin_migration();
    _Atomic uint64_t *slot = freeze(record);
    dsq_read_lock();
    dsq_migration_move(table, old, slot);
    struct dsq_record *newer = put(HASH, "a", "2");
    copy_late(slot, word_of(record) | WORD_FROZEN);
    dsq_read_unlock();
    cr_assert_eq(find(HASH, text("a")), newer);
    cr_assert_eq(dsq_load_relaxed(&next->used), 1);
}

Test(table_resize, moving_a_slot_that_is_final_changes_nothing)
{
    struct dsq_record *record = put(HASH, "a", "1");
    begin_migration();
    _Atomic uint64_t *slot = slot_of(old, record);
    dsq_migration_move(table, old, slot);
    cr_assert(take(HASH, text("a")));
    dsq_migration_move(table, old, slot);
    cr_assert_eq(dsq_load_acquire(slot), word_tag(HASH) | WORD_MOVED);
    cr_assert_null(find(HASH, text("a")));
    cr_assert_eq(dsq_load_relaxed(&next->used), 1);
}

Test(table_resize, a_removed_slot_stays_so_and_its_key_is_not_looked_for_in_next)
{
    struct dsq_record *record = put(HASH, "a", "1");
    _Atomic uint64_t *slot = slot_of(root(), record);
    cr_assert(take(HASH, text("a")));
    begin_migration();
    dsq_migration_move(table, old, slot);
    cr_assert_eq(dsq_load_acquire(slot), word_tag(HASH) | WORD_REMOVED);
    cr_assert_null(find(HASH, text("a")));
}

Test(table_resize, a_loading_placeholder_is_left_behind)
{
    struct dsq_record *loading = make(DSQ_RECORD_LOADING, HASH, text("a"), "");
    dsq_record_try_acquire(loading);
    store(loading);
    begin_migration();
    _Atomic uint64_t *slot = slot_of(old, loading);
    dsq_read_lock();
    dsq_migration_move(table, old, slot);
    dsq_read_unlock();
    cr_assert_eq(dsq_load_acquire(slot), word_tag(HASH) | WORD_MOVED);
    cr_assert_null(slot_of(next, loading));
    cr_assert_null(find(HASH, text("a")));
    cr_assert_eq(dsq_load_relaxed(&loading->refs), 1, "the table's reference is dropped");
    cr_assert_eq(dsq_table_live(table), 0);
    dsq_record_release(reclaim, loading);
}

Test(table_resize, a_second_start_is_no_second_generation)
{
    begin_migration();
    cr_assert_eq(dsq_migration_start(old), DSQ_OK);
    cr_assert_eq(dsq_load_acquire(&old->next), next);
    cr_assert_eq(generations(), 2);
}

Test(table_resize, a_sealed_root_reserves_nothing_more)
{
    struct dsq_place place;
    begin_migration();
    cr_assert_neq(dsq_load_relaxed(&old->used) & USED_SEALED, 0);
    dsq_read_lock();
    locate(HASH, text("a"), &place);
    cr_assert_eq(place.slots, next);
    cr_assert_eq(dsq_load_relaxed(&old->used), USED_SEALED);
    dsq_table_cancel(table, &place);
    dsq_read_unlock();
    cr_assert_eq(dsq_load_relaxed(&next->used), 0);
    cr_assert_eq(dsq_load_relaxed(&next->fresh), 0);
}

Test(table_resize, next_admits_new_keys_up_to_a_quarter_of_its_slots_then_the_migration_is_finished)
{
    begin_migration();
    /* Every chunk is claimed by somebody who sleeps, but for the first, which is never done. */
    for (uint64_t i = 0; i < next->slot_count / FRESH_SHARE; i++) {
        dsq_store_relaxed(&old->claim, old->chunk_count);
        dsq_store_relaxed(&old->low, 0);
        for (uint64_t chunk = 0; chunk < old->chunk_count; chunk++) {
            dsq_store_relaxed(&old->done[chunk], 0);
        }
        put_number(i);
        cr_assert_eq(root(), old);
    }
    cr_assert_eq(dsq_load_relaxed(&next->fresh), next->slot_count / FRESH_SHARE);
    dsq_store_relaxed(&old->done[0], 0);
    dsq_store_relaxed(&old->low, 0);
    put_number(1000);
    cr_assert_eq(root(), next);
    for (uint64_t i = 0; i < MIN_SLOTS / FRESH_SHARE; i++) {
        cr_assert(has_number(i));
    }
}

Test(table_resize, a_chunk_claimed_by_a_sleeper_is_moved_by_others)
{
    begin_migration();
    dsq_add_relaxed(&old->claim, 1); /* and never comes back */
    dsq_read_lock();
    for (uint64_t i = 1; i < old->chunk_count; i++) {
        dsq_migration_help(table, old);
    }
    cr_assert_eq(root(), old, "the first chunk is not done");
    dsq_migration_help(table, old);
    dsq_read_unlock();
    cr_assert_eq(root(), next);
    cr_assert_eq(dsq_load_relaxed(&table->resizes), 1);
}

Test(table_resize, the_root_is_not_replaced_before_every_slot_is_final)
{
    struct dsq_record *record = put(HASH, "a", "1");
    begin_migration();
    dsq_read_lock();
    for (uint64_t chunk = 0; chunk < old->chunk_count; chunk++) {
        cr_assert_eq(root(), old);
        dsq_migration_help(table, old);
    }
    cr_assert_eq(root(), next);
    for (uint64_t i = 0; i < old->slot_count; i++) {
        uint64_t word = dsq_load_acquire(&old->words[i]);
        cr_assert_neq(word & (WORD_MOVED | WORD_REMOVED | WORD_CLOSED), 0);
    }
    dsq_read_unlock();
    cr_assert_eq(find(HASH, text("a")), record);
}

Test(table_resize, a_helper_that_comes_after_the_end_does_no_harm)
{
    put(HASH, "a", "1");
    begin_migration();
    dsq_read_lock(); /* keeps the old generation */
    dsq_migration_finish(table, old);
    dsq_migration_help(table, old);
    dsq_migration_finish(table, old);
    cr_assert_eq(root(), next);
    cr_assert_eq(dsq_load_relaxed(&table->resizes), 1);
    dsq_read_unlock();
    cr_assert_not_null(find(HASH, text("a")));
}

Test(table_resize, a_late_copier_meets_the_root_itself_being_replaced)
{
    struct dsq_record *record = put(HASH, "a", "1");
    begin_migration();
    _Atomic uint64_t *slot = slot_of(old, record);
    struct dsq_slots *oldest = old;
    dsq_read_lock();
    dsq_migration_finish(table, old);
    cr_assert(take(HASH, text("a")));
    begin_migration();
    dsq_migration_finish(table, old);
    struct dsq_record *newer = put(HASH, "a", "2");
    old = oldest;
    copy_late(slot, word_of(record) | WORD_FROZEN);
    dsq_read_unlock();
    cr_assert_eq(find(HASH, text("a")), newer);
}

Test(table_resize, grows_to_two_hundred_thousand_keys_and_none_is_lost_on_the_way)
{
    const uint64_t count = 200000;
    for (uint64_t i = 0; i < count; i++) {
        put_number(i);
        /* The newest, and a few of all that came before. */
        for (uint64_t j = i; j > 0; j /= 16) {
            cr_assert(has_number(j), "%lu is lost after %lu", (unsigned long)j, (unsigned long)i);
        }
    }
    for (uint64_t i = 0; i < count; i++) {
        cr_assert(has_number(i));
    }
    cr_assert_not(has_number(count));
    cr_assert_eq(dsq_table_live(table), (int64_t)count);
    cr_assert_leq(dsq_table_slot_count(table), 8 * count);
    cr_assert_gt(dsq_load_relaxed(&table->resizes), 5);
    for (uint64_t i = 0; i < count; i += 2) {
        cr_assert(take(mix(i), numbered(&i)));
    }
    for (uint64_t i = 0; i < count; i++) {
        cr_assert_eq(has_number(i), i % 2 == 1);
    }
}

Test(table_resize, replacing_and_removing_for_ever_does_not_grow_the_table)
{
    for (uint64_t i = 0; i < 100000; i++) {
        uint64_t leaving = i - 20;
        put_number(i);
        put_number(i);
        if (i >= 20) {
            cr_assert(take(mix(leaving), numbered(&leaving)));
        }
    }
    cr_assert_eq(dsq_table_live(table), 20);
    cr_assert_leq(dsq_table_slot_count(table), 8 * MIN_SLOTS);
    for (uint64_t i = 100000 - 20; i < 100000; i++) {
        cr_assert(has_number(i));
    }
}
