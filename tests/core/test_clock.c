#include "core/clock.h"

#include "tests/core/map_fixture.h"

static void make_small_map(void)
{
    make_map(100, 0);
}

TestSuite(clock, .init = make_small_map, .fini = remove_map, .timeout = 60);

Test(clock, the_record_that_was_not_used_goes_first)
{
    struct dsq_record *records[20];
    for (uint64_t i = 0; i < 20; i++) {
        records[i] = put_state(i, DSQ_RECORD_CLEAN);
        set_clock(records[i], DSQ_CLOCK_MAX);
    }
    set_clock(records[13], 0);
    cr_assert(evict());
    for (uint64_t i = 0; i < 20; i++) {
        cr_assert_eq(has_number(i), i != 13);
    }
}

Test(clock, a_use_gives_a_second_chance)
{
    for (uint64_t i = 0; i < 20; i++) {
        put_state(i, DSQ_RECORD_CLEAN);
    }
    for (int round = 0; round < 19; round++) {
        uint64_t used = 7;
        dsq_record_touch(find(mix(used), numbered(&used)));
        dsq_record_touch(find(mix(used), numbered(&used)));
        cr_assert(evict());
        cr_assert(has_number(used));
    }
    cr_assert_eq(dsq_map_records(&map), 1);
}

Test(clock, the_hand_counts_down_what_it_passes)
{
    struct dsq_record *records[4];
    for (uint64_t i = 0; i < 4; i++) {
        records[i] = put_state(i, DSQ_RECORD_READY);
    }
    struct dsq_record *used = put_state(4, DSQ_RECORD_CLEAN);
    set_clock(used, DSQ_CLOCK_MAX);
    /* All groups, but fewer slots than the cap: it passes the one again and again, then takes it. */
    cr_assert(evict());
    cr_assert_not(has_number(4));
    for (uint64_t i = 0; i < 4; i++) {
        cr_assert_eq(dsq_load_relaxed(&records[i]->clock), DSQ_CLOCK_INITIAL);
    }
}

Test(clock, the_sweep_is_capped_and_takes_the_lowest_it_saw)
{
    static struct dsq_record *records[2000];
    unsigned inspected = 0;
    for (uint64_t i = 0; i < 2000; i++) {
        records[i] = put_state(i, DSQ_RECORD_CLEAN);
        set_clock(records[i], DSQ_CLOCK_MAX);
    }
    dsq_read_lock();
    if (dsq_load_acquire(&root()->next) != NULL) {
        dsq_migration_finish(table, root());
    }
    cr_assert(dsq_clock_evict(&map, table));
    for (uint64_t i = 0; i < 2000; i++) {
        inspected += has_number(i) && dsq_load_relaxed(&records[i]->clock) < DSQ_CLOCK_MAX;
    }
    dsq_read_unlock();
    cr_assert_eq(dsq_map_records(&map), 1999);
    cr_assert_gt(inspected, 20);
    cr_assert_lt(inspected, 32 + GROUP_SLOTS);
}

Test(clock, what_is_not_clean_is_never_evicted)
{
    put_state(0, DSQ_RECORD_PENDING);
    put_state(1, DSQ_RECORD_READY);
    put_state(2, DSQ_RECORD_DURABLE);
    uint64_t loading = 3;
    store(dsq_record_new(DSQ_RECORD_LOADING, DSQ_RECORD_READY, 1, mix(loading), numbered(&loading),
                         text("")));
    for (int round = 0; round < 20; round++) {
        cr_assert_not(evict());
    }
    for (uint64_t i = 0; i < 4; i++) {
        cr_assert(has_number(i));
    }
    cr_assert_eq(dsq_map_evictions(&map), 0);
    put_state(4, DSQ_RECORD_CLEAN);
    cr_assert(evict());
    cr_assert_not(has_number(4));
    cr_assert_eq(dsq_map_records(&map), 4);
}

Test(clock, nothing_to_evict_in_an_empty_table)
{
    cr_assert_not(evict());
    cr_assert(dsq_map_is_complete(&map));
}

Test(clock, the_first_eviction_ends_completeness)
{
    put_state(0, DSQ_RECORD_READY);
    cr_assert_not(evict());
    cr_assert(dsq_map_is_complete(&map));
    put_state(1, DSQ_RECORD_CLEAN);
    cr_assert(evict());
    cr_assert_not(dsq_map_is_complete(&map));
}

Test(clock, an_evicted_record_is_out_of_the_levels_and_lives_on_for_who_holds_it)
{
    struct dsq_record *record = put_state(0, DSQ_RECORD_CLEAN);
    cr_assert(dsq_record_try_acquire(record));
    cr_assert(evict());
    cr_assert_eq(dsq_map_records(&map), 0);
    cr_assert_eq(dsq_map_values(&map), 0);
    cr_assert_eq(dsq_map_bytes(&map), 0);
    cr_assert_eq(dsq_map_evictions(&map), 1);
    cr_assert_eq(dsq_load_relaxed(&record->refs), 1);
    dsq_record_release(reclaim, record);
}

Test(clock, victims_are_found_while_the_table_is_being_moved)
{
    for (uint64_t i = 0; i < 40; i++) {
        put_state(i, DSQ_RECORD_CLEAN);
    }
    dsq_read_lock();
    struct dsq_slots *old = root();
    cr_assert_eq(dsq_migration_start(old), DSQ_OK);
    dsq_migration_help(table, old);
    dsq_read_unlock();
    for (int i = 40; i > 0; i--) {
        cr_assert(evict());
        cr_assert_eq(dsq_map_records(&map), (uint64_t)i - 1);
    }
    cr_assert_not(evict());
}

Test(clock, a_sweep_goes_on_in_the_group_where_the_last_one_found_its_victim)
{
    struct dsq_record *records[8];
    for (uint64_t i = 0; i < 8; i++) {
        records[i] = make(DSQ_RECORD_VALUE, i, text((const char[]){(char)('a' + i), 0}), "v");
        store(records[i]);
        set_clock(records[i], 0);
    }
    for (uint64_t i = 0; i < 8; i++) {
        char key[] = {(char)('a' + i), 0};
        cr_assert_not_null(find(i, text(key)));
        cr_assert(evict());
        cr_assert_null(find(i, text(key)), "slots in order, each in its turn");
        store(make(DSQ_RECORD_VALUE, i, text(key), "v"));
    }
}

Test(clock, a_replacement_is_a_use_of_what_it_replaces)
{
    set_clock(put_state(0, DSQ_RECORD_CLEAN), 1);
    cr_assert_eq(dsq_load_relaxed(&put_state(0, DSQ_RECORD_CLEAN)->clock), 2);
    cr_assert_eq(dsq_load_relaxed(&put_state(0, DSQ_RECORD_CLEAN)->clock), 3);
    cr_assert_eq(dsq_load_relaxed(&put_state(0, DSQ_RECORD_CLEAN)->clock), 3);
}

Test(clock, a_row_takes_the_count_of_its_placeholder)
{
    uint64_t key = 0;
    struct dsq_record *placeholder = make(DSQ_RECORD_LOADING, mix(key), numbered(&key), "");
    store(placeholder);
    cr_assert_eq(dsq_load_relaxed(&put_state(key, DSQ_RECORD_CLEAN)->clock), DSQ_CLOCK_INITIAL);
}

Test(clock, what_comes_back_soon_after_its_eviction_starts_with_the_highest_count)
{
    put_state(0, DSQ_RECORD_CLEAN);
    cr_assert(evict());
    cr_assert_eq(dsq_load_relaxed(&put_state(0, DSQ_RECORD_CLEAN)->clock), DSQ_CLOCK_MAX);
    cr_assert_eq(dsq_load_relaxed(&put_state(1, DSQ_RECORD_CLEAN)->clock), DSQ_CLOCK_INITIAL);
}

Test(clock, the_hand_goes_on_where_it_is_when_the_table_is_moved)
{
    struct dsq_slots *old = root();
    dsq_store_relaxed(&old->hand, 5);
    dsq_read_lock();
    cr_assert_eq(dsq_migration_start(old), DSQ_OK);
    dsq_migration_finish(table, old);
    dsq_read_unlock();
    cr_assert_neq(root(), old);
    cr_assert_eq(dsq_load_relaxed(&root()->hand), 5 * root()->slot_count / old->slot_count);
}

Test(clock, a_victim_that_has_been_moved_is_evicted_where_it_is_now)
{
    struct dsq_record *records[8];
    for (uint64_t i = 0; i < 8; i++) {
        records[i] = put_state(i, DSQ_RECORD_CLEAN);
        set_clock(records[i], DSQ_CLOCK_MAX);
    }
    dsq_read_lock();
    struct dsq_slots *old = root();
    cr_assert_eq(dsq_migration_start(old), DSQ_OK);
    for (uint64_t i = 0; i + 1 < old->chunk_count; i++) {
        dsq_migration_help(table, old);
    }
    struct dsq_slots *next = dsq_load_acquire(&old->next);
    uint64_t victim = 0;
    while (victim < 8 && slot_of(next, records[victim]) == NULL) {
        victim++;
    }
    cr_assert_lt(victim, 8);
    set_clock(records[victim], 0);
    cr_assert_gt(dsq_clock_evict(&map, table), 0);
    cr_assert_eq(root(), old, "nobody had to finish the migration for it");
    dsq_read_unlock();
    cr_assert_not(has_number(victim));
    cr_assert_eq(dsq_map_records(&map), 7);
    cr_assert_null(dsq_table_check(table));
}

Test(clock, a_frozen_record_is_no_victim)
{
    struct dsq_record *record = put_state(0, DSQ_RECORD_CLEAN);
    struct dsq_slots *old = root();
    set_clock(record, 0);
    cr_assert_eq(dsq_migration_start(old), DSQ_OK);
    _Atomic uint64_t *slot = slot_of(old, record);
    dsq_store_release(slot, word_of(record) | WORD_FROZEN);
    dsq_read_lock();
    cr_assert_gt(dsq_clock_evict(&map, table), 0, "from `next`, where it helped it to");
    cr_assert_eq(dsq_load_acquire(slot) & WORD_MOVED, WORD_MOVED);
    dsq_read_unlock();
    cr_assert_not(has_number(0));
}

Test(clock, a_table_left_sparse_by_evictions_shrinks_and_keeps_what_is_left)
{
    for (uint64_t i = 0; i < 20000; i++) {
        struct dsq_record *record = put_state(i, DSQ_RECORD_CLEAN);
        set_clock(record, i < 50 ? DSQ_CLOCK_MAX : 0);
    }
    uint64_t slots = dsq_table_slot_count(table);
    for (int i = 0; i < 19900; i++) {
        for (int tries = 0; !evict(); tries++) {
            cr_assert_lt(tries, 100);
        }
    }
    /* Every insertion moves a part of the sparse table, and so does an eviction in vain. */
    for (uint64_t i = 20000; i < 23000; i++) {
        put_state(i, DSQ_RECORD_CLEAN);
        trim();
    }
    cr_assert_eq(dsq_map_records(&map), 100);
    cr_assert_lt(dsq_table_slot_count(table), slots / 4);
    unsigned kept = 0;
    for (uint64_t i = 0; i < 23000; i++) {
        kept += has_number(i);
    }
    cr_assert_eq(kept, 100);
}
