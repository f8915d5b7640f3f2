#include "core/table.h"

#include "tests/core/fixture.h"

TestSuite(table, .init = make_table, .fini = remove_table, .timeout = 60);

Test(table, finds_what_was_stored_and_nothing_else)
{
    struct dsq_record *record = put(1, "a", "1");
    cr_assert_eq(find(1, text("a")), record);
    cr_assert_null(find(1, text("b")));
    cr_assert_null(find(2, text("a")));
}

Test(table, tells_keys_of_one_hash_apart)
{
    struct dsq_record *records[20];
    char key[16];
    for (int i = 0; i < 20; i++) {
        snprintf(key, sizeof key, "%d", i);
        records[i] = put(42, key, "v");
    }
    for (int i = 0; i < 20; i++) {
        snprintf(key, sizeof key, "%d", i);
        cr_assert_eq(find(42, text(key)), records[i]);
    }
    cr_assert_null(find(42, text("20")));
}

Test(table, a_replaced_record_is_the_callers_to_release)
{
    struct dsq_record *old = put(1, "a", "1");
    struct dsq_place place;
    dsq_read_lock();
    locate(1, text("a"), &place);
    cr_assert_eq(place.record, old);
    cr_assert(dsq_table_publish(table, &place, make(DSQ_RECORD_VALUE, 1, text("a"), "22")));
    cr_assert_eq(dsq_load_relaxed(&old->refs), 1);
    dsq_record_release(reclaim, old);
    dsq_read_unlock();
    cr_assert_eq(dsq_record_value(find(1, text("a"))).size, 2);
}

Test(table, a_removed_key_is_gone_and_can_be_stored_again)
{
    put(1, "a", "1");
    cr_assert(take(1, text("a")));
    cr_assert_null(find(1, text("a")));
    cr_assert_not(take(1, text("a")));
    put(1, "a", "2");
    cr_assert_not_null(find(1, text("a")));
}

Test(table, of_two_insertions_of_a_key_the_second_fails)
{
    struct dsq_place first;
    struct dsq_place second;
    dsq_read_lock();
    locate(1, text("a"), &first);
    locate(1, text("a"), &second);
    struct dsq_record *winner = make(DSQ_RECORD_VALUE, 1, text("a"), "1");
    struct dsq_record *loser = make(DSQ_RECORD_VALUE, 1, text("a"), "2");
    cr_assert(dsq_table_publish(table, &second, winner));
    cr_assert_not(dsq_table_publish(table, &first, loser));
    locate(1, text("a"), &first);
    cr_assert_eq(first.record, winner);
    dsq_table_cancel(table, &first);
    dsq_read_unlock();
    dsq_record_free(loser);
    cr_assert_eq(dsq_table_live(table), 1);
}

Test(table, a_change_of_a_record_that_has_changed_fails)
{
    put(1, "a", "1");
    struct dsq_place replace;
    struct dsq_place remove;
    struct dsq_record *late = make(DSQ_RECORD_VALUE, 1, text("a"), "late");
    dsq_read_lock();
    locate(1, text("a"), &replace);
    locate(1, text("a"), &remove);
    struct dsq_record *newer = put(1, "a", "2");
    cr_assert_not(dsq_table_publish(table, &replace, late));
    cr_assert_not(dsq_table_remove(table, &remove));
    dsq_read_unlock();
    dsq_record_free(late);
    cr_assert_eq(find(1, text("a")), newer);
}

Test(table, a_slot_whose_key_was_removed_is_not_used_again)
{
    struct dsq_place place;
    put(1, "a", "1");
    dsq_read_lock();
    locate(1, text("a"), &place);
    _Atomic uint64_t *slot = place.slot;
    dsq_read_unlock();
    take(1, text("a"));
    cr_assert_eq(dsq_load_acquire(slot), word_tag(1) | WORD_REMOVED);
    put(1, "b", "1");
    cr_assert_eq(dsq_load_acquire(slot), word_tag(1) | WORD_REMOVED);
}

Test(table, counts_records_values_and_bytes)
{
    put(1, "a", "1");
    put(2, "b", "22");
    store(make(DSQ_RECORD_TOMBSTONE, 3, text("c"), ""));
    cr_assert_eq(dsq_table_live(table), 3);
    cr_assert_eq(dsq_table_values(table), 2);
    cr_assert_eq(dsq_load_relaxed(&table->bytes), 34 + 35 + 33);
    store(make(DSQ_RECORD_TOMBSTONE, 2, text("b"), ""));
    store(make(DSQ_RECORD_VALUE, 3, text("c"), "333"));
    put(1, "a", "4444");
    cr_assert_eq(dsq_table_live(table), 3);
    cr_assert_eq(dsq_table_values(table), 2);
    cr_assert_eq(dsq_load_relaxed(&table->bytes), 37 + 33 + 36);
    take(1, text("a"));
    take(2, text("b"));
    take(3, text("c"));
    cr_assert_eq(dsq_table_live(table), 0);
    cr_assert_eq(dsq_table_values(table), 0);
    cr_assert_eq(dsq_load_relaxed(&table->bytes), 0);
}

Test(table, says_how_many_values_there_are_unless_a_change_of_that_is_under_way)
{
    uint64_t values = 0;
    put(1, "a", "1");
    cr_assert(dsq_table_values_at_rest(table, &values));
    cr_assert_eq(values, 1);
    dsq_add_relaxed(&table->census, 1); /* what a thread that is frozen in a change leaves there */
    put(2, "b", "1");
    cr_assert_not(dsq_table_values_at_rest(table, &values));
    cr_assert_eq(dsq_table_values(table), 2);
    dsq_sub_relaxed(&table->census, 1);
    cr_assert(dsq_table_values_at_rest(table, &values));
    cr_assert_eq(values, 2);
}

Test(table, a_change_that_failed_is_not_counted)
{
    struct dsq_place places[3];
    uint64_t values = 0;
    dsq_read_lock();
    for (int i = 0; i < 2; i++) {
        locate(1, text("a"), &places[i]);
    }
    struct dsq_record *records[] = {make(DSQ_RECORD_VALUE, 1, text("a"), "1"),
                                    make(DSQ_RECORD_VALUE, 1, text("a"), "2")};
    cr_assert(dsq_table_publish(table, &places[0], records[0]));
    cr_assert_not(dsq_table_publish(table, &places[1], records[1]));
    locate(1, text("a"), &places[1]);
    places[2] = places[1];
    cr_assert(dsq_table_remove(table, &places[1]));
    cr_assert_not(dsq_table_remove(table, &places[2]));
    dsq_read_unlock();
    cr_assert(dsq_table_values_at_rest(table, &values));
    cr_assert_eq(values, 0);
    dsq_record_release(reclaim, records[0]);
    dsq_record_free(records[1]);
}

Test(table, a_cancelled_place_gives_its_reservation_back)
{
    struct dsq_place place;
    put(1, "a", "1");
    for (int i = 0; i < 1000; i++) {
        dsq_read_lock();
        locate(2, text("b"), &place);
        dsq_table_cancel(table, &place);
        locate(1, text("a"), &place);
        dsq_table_cancel(table, &place);
        dsq_read_unlock();
    }
    cr_assert_eq(dsq_load_relaxed(&root()->used), 1);
    cr_assert_eq(dsq_load_relaxed(&table->resizes), 0);
}

Test(table, reservations_are_admitted_up_to_seven_eighths_of_the_slots)
{
    struct dsq_place places[MIN_SLOTS];
    struct dsq_slots *first = root();
    dsq_read_lock();
    for (uint64_t i = 0; i < used_limit(first); i++) {
        locate(mix(i), numbered(&i), &places[i]);
        cr_assert_eq(places[i].slots, first);
        cr_assert_not(places[i].fresh);
    }
    cr_assert_eq(dsq_load_relaxed(&first->used), used_limit(first));
    /* One more: the table is replaced, and the place is in the next generation. */
    uint64_t more = 1000;
    struct dsq_place place;
    locate(mix(more), numbered(&more), &place);
    cr_assert_neq(place.slots, first);
    dsq_table_cancel(table, &place);
    for (uint64_t i = 0; i < MIN_SLOTS / 8 * 7; i++) {
        dsq_table_cancel(table, &places[i]);
    }
    dsq_read_unlock();
}

Test(table, keys_that_all_begin_in_the_last_group_wrap_around)
{
    char key[16];
    for (int i = 0; i < 30; i++) {
        snprintf(key, sizeof key, "%d", i);
        put(UINT64_MAX - (uint64_t)i, key, "v");
    }
    for (int i = 0; i < 30; i++) {
        snprintf(key, sizeof key, "%d", i);
        cr_assert_not_null(find(UINT64_MAX - (uint64_t)i, text(key)));
    }
    cr_assert_null(find(UINT64_MAX, text("30")));
}

Test(table, the_bits_that_chose_the_shard_do_not_choose_the_slot)
{
    struct dsq_slots *slots = root();
    const unsigned shard_bits = 4;
    cr_assert_eq(home_group(slots, UINT64_C(0xf) << 60, shard_bits), 0);
    cr_assert_eq(home_group(slots, UINT64_MAX, shard_bits), group_mask(slots));
    cr_assert_eq(home_group(slots, UINT64_C(1) << 59, shard_bits), (group_mask(slots) + 1) / 2);
}

Test(table, a_word_keeps_the_tag_and_the_record_through_every_mark)
{
    const uint64_t hash = UINT64_C(0x123456789abcdef0);
    struct dsq_record *record = make(DSQ_RECORD_VALUE, hash, text("a"), "1");
    cr_assert_eq(word_record(word_of(record)), record);
    cr_assert_eq(word_record(word_of(record) | WORD_FROZEN), record);
    cr_assert_eq(word_of(record) & WORD_TAG, UINT64_C(0xdef0) << 48);
    cr_assert_null(word_record(word_tag(hash) | WORD_REMOVED));
    cr_assert_null(word_record(word_tag(hash) | WORD_MOVED));
    cr_assert_null(word_record(WORD_CLOSED));
    dsq_record_free(record);
}
