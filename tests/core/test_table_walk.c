/* A walk sees every key once, whatever becomes of the table between its windows. */
#include "tests/core/fixture.h"

TestSuite(table_walk, .init = make_table, .fini = remove_table, .timeout = 60);

#define KEYS 20000

static unsigned char seen[2 * KEYS];

/* Collects one window; false when that was the last. */
static bool walk_on(uint64_t *position)
{
    struct dsq_record_list list = {0};
    dsq_read_lock();
    cr_assert_eq(dsq_table_walk(table, position, &list), DSQ_OK);
    dsq_read_unlock();
    for (size_t i = 0; i < list.count; i++) {
        uint64_t number;
        cr_assert_eq(list.records[i]->kind, DSQ_RECORD_VALUE);
        memcpy(&number, dsq_record_key(list.records[i]).data, sizeof number);
        seen[number]++;
    }
    dsq_record_list_clear(&list, reclaim);
    cr_assert_eq(list.count, 0);
    return *position != 0;
}

static void fill(uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to; i++) {
        put_number(i);
    }
}

/* Every key of [from, to) exactly once, every other at most once. */
static void check_seen(uint64_t from, uint64_t to)
{
    for (uint64_t i = 0; i < 2 * KEYS; i++) {
        cr_assert_leq(seen[i], 1, "%lu seen %d times", (unsigned long)i, seen[i]);
        cr_assert(seen[i] == 1 || i < from || i >= to, "%lu not seen", (unsigned long)i);
    }
}

Test(table_walk, of_an_empty_table_ends_at_once)
{
    uint64_t position = 0;
    cr_assert_not(walk_on(&position));
    check_seen(0, 0);
}

Test(table_walk, sees_every_value_once_in_many_windows)
{
    uint64_t position = 0;
    unsigned windows = 1;
    fill(0, KEYS);
    while (walk_on(&position)) {
        windows++;
    }
    check_seen(0, KEYS);
    cr_assert_gt(windows, 10);
}

Test(table_walk, leaves_out_tombstones_placeholders_and_what_was_removed)
{
    uint64_t position = 0;
    fill(0, 10);
    for (uint64_t i = 3; i < 6; i++) {
        store(make(i == 3 ? DSQ_RECORD_LOADING : DSQ_RECORD_TOMBSTONE, mix(i), numbered(&i), ""));
    }
    for (uint64_t i = 6; i < 8; i++) {
        cr_assert(take(mix(i), numbered(&i)));
    }
    while (walk_on(&position)) {
    }
    for (uint64_t i = 0; i < 10; i++) {
        cr_assert_eq(seen[i], i < 3 || i >= 8);
    }
}

Test(table_walk, sees_every_key_once_while_the_table_grows)
{
    uint64_t position = 0;
    uint64_t more = KEYS;
    fill(0, KEYS);
    uint64_t slots = dsq_table_slot_count(table);
    while (walk_on(&position)) {
        fill(more, more + 200 < 2 * KEYS ? more + 200 : 2 * KEYS);
        more = more + 200 < 2 * KEYS ? more + 200 : 2 * KEYS;
    }
    check_seen(0, KEYS);
    cr_assert_gt(dsq_table_slot_count(table), slots);
}

Test(table_walk, sees_every_key_once_while_the_table_shrinks)
{
    const uint64_t kept = KEYS / 16;
    uint64_t position = 0;
    uint64_t leaving = KEYS;
    fill(0, KEYS);
    struct dsq_slots *before = root();
    uint64_t slots = dsq_table_slot_count(table);
    for (bool on = true; on;) {
        on = walk_on(&position);
        for (int i = 0; i < 500 && leaving > kept; i++) {
            leaving--;
            take(mix(leaving), numbered(&leaving));
        }
        if (leaving == kept && root() == before) {
            dsq_read_lock();
            cr_assert_eq(dsq_migration_start(before), DSQ_OK);
            dsq_migration_finish(table, before);
            dsq_read_unlock();
        }
    }
    check_seen(0, kept);
    cr_assert_lt(dsq_table_slot_count(table), slots);
}

Test(table_walk, sees_every_key_once_when_a_migration_stands_half_way)
{
    uint64_t position = 0;
    fill(0, KEYS);
    dsq_read_lock(); /* keeps the old generation: look-ups may end the migration */
    struct dsq_slots *old = root();
    cr_assert_eq(dsq_migration_start(old), DSQ_OK);
    for (uint64_t i = 0; i < old->slot_count; i++) {
        /* Some moved, some frozen, some copied but not yet marked so, some as they were. */
        uint64_t word = dsq_load_acquire(&old->words[i]);
        bool occupied = word_record(word) != NULL;
        if (i % 4 == 0 || (i % 4 == 2 && occupied)) {
            dsq_migration_move(table, old, &old->words[i]);
        }
        if ((i % 4 == 1 || i % 4 == 2) && occupied) {
            dsq_store_release(&old->words[i], word | WORD_FROZEN);
        }
    }
    while (walk_on(&position)) {
    }
    check_seen(0, KEYS);
    for (uint64_t i = 0; i < KEYS; i++) {
        cr_assert(has_number(i));
    }
    /* The table at rest has no FROZEN slot. */
    dsq_migration_finish(table, old);
    dsq_read_unlock();
}

Test(table_walk, sees_keys_that_lie_far_from_home)
{
    uint64_t position = 0;
    for (uint64_t i = 0; i < 40; i++) {
        store(make(DSQ_RECORD_VALUE, UINT64_MAX - i, numbered(&i), "v"));
    }
    while (walk_on(&position)) {
    }
    check_seen(0, 40);
}

Test(table_walk, what_it_collected_outlives_its_removal)
{
    struct dsq_record_list list = {0};
    uint64_t position = 0;
    uint64_t number = 5;
    put_number(number);
    dsq_read_lock();
    cr_assert_eq(dsq_table_walk(table, &position, &list), DSQ_OK);
    dsq_read_unlock();
    cr_assert_eq(list.count, 1);
    take(mix(number), numbered(&number));
    cr_assert(dsq_record_has_key(list.records[0], mix(number), numbered(&number)));
    dsq_record_list_clear(&list, reclaim);
}
