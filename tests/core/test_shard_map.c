#include "core/shard_map.h"

#include "tests/core/map_fixture.h"

TestSuite(shard_map, .timeout = 60);

Test(shard_map, a_small_capacity_is_one_shard_a_large_one_many)
{
    make_map(255, 0);
    cr_assert_eq(map.shard_count, 1);
    cr_assert_eq(map.shard_capacity, 255);
    remove_map();
    make_map(UINT64_C(1) << 30, UINT64_C(1) << 40);
    cr_assert_geq(map.shard_count, 4);
    cr_assert_eq(map.shard_capacity, (INT64_C(1) << 30) / (int64_t)map.shard_count);
    cr_assert_eq(map.shard_bytes, (INT64_C(1) << 40) / (int64_t)map.shard_count);
    for (uint64_t i = 0; i < map.shard_count; i++) {
        cr_assert_eq(dsq_map_shard(&map, i << (64 - map.shard_bits)), &map.shards[i]);
    }
    cr_assert_eq(dsq_map_shard(&map, UINT64_MAX), &map.shards[map.shard_count - 1]);
    remove_map();
}

Test(shard_map, an_unbounded_map_is_unbounded_in_every_shard)
{
    make_map(UINT64_MAX, 0);
    cr_assert_eq(map.shard_capacity, INT64_MAX);
    cr_assert_eq(map.shard_bytes, INT64_MAX);
    remove_map();
}

Test(shard_map, trim_evicts_down_to_the_capacity)
{
    make_map(10, 0);
    for (uint64_t i = 0; i < 15; i++) {
        put_state(i, DSQ_RECORD_CLEAN);
    }
    trim();
    cr_assert_eq(dsq_map_records(&map), 10);
    trim();
    cr_assert_eq(dsq_map_records(&map), 10);
    cr_assert_eq(dsq_map_evictions(&map), 5);
    remove_map();
}

Test(shard_map, trim_evicts_down_to_the_bytes)
{
    const uint64_t each = 32 + 8 + 1;
    make_map(100, 10 * each);
    for (uint64_t i = 0; i < 13; i++) {
        put_state(i, DSQ_RECORD_CLEAN);
    }
    trim();
    cr_assert_eq(dsq_map_bytes(&map), 10 * each);
    cr_assert_eq(dsq_map_records(&map), 10);
    remove_map();
}

Test(shard_map, one_trim_does_a_bounded_amount_of_work)
{
    make_map(1, 0);
    for (uint64_t i = 0; i < 100; i++) {
        put_state(i, DSQ_RECORD_CLEAN);
    }
    trim();
    cr_assert_gt(dsq_map_evictions(&map), 0);
    cr_assert_leq(dsq_map_evictions(&map), 8);
    for (int i = 0; i < 100; i++) {
        trim();
    }
    cr_assert_eq(dsq_map_records(&map), 1);
    remove_map();
}

/* How far the hand has gone. */
static uint64_t hand(void)
{
    return dsq_load_relaxed(&root()->hand);
}

Test(shard_map, after_a_fruitless_sweep_trim_rests_until_records_become_clean)
{
    struct dsq_record *records[12];
    make_map(10, 0);
    for (uint64_t i = 0; i < 12; i++) {
        records[i] = put_state(i, DSQ_RECORD_READY);
    }
    cr_assert(dsq_map_has_room(&map, table), "nobody has looked yet");
    uint64_t before = hand();
    trim();
    cr_assert_gt(hand(), before);
    cr_assert_not(dsq_map_has_room(&map, table));
    before = hand();
    trim();
    cr_assert_eq(hand(), before);
    for (int i = 0; i < 12; i++) {
        dsq_record_move(records[i], DSQ_RECORD_READY, DSQ_RECORD_CLEAN);
    }
    trim();
    cr_assert_eq(hand(), before);
    dsq_map_advance_clean_epoch(&map);
    cr_assert(dsq_map_has_room(&map, table));
    trim();
    cr_assert_eq(dsq_map_records(&map), 10);
    remove_map();
}

Test(shard_map, a_sweep_of_a_sparse_table_that_finds_nothing_is_no_reason_to_rest)
{
    make_map(1, 0);
    for (uint64_t i = 0; i < 20000; i++) {
        put_state(i, DSQ_RECORD_CLEAN);
    }
    for (uint64_t i = 3; i < 20000; i++) {
        cr_assert(take(mix(i), numbered(&i)));
    }
    for (int i = 0; i < 1000; i++) {
        trim();
    }
    cr_assert_eq(dsq_map_records(&map), 1);
    remove_map();
}

Test(shard_map, there_is_room_below_the_capacity_whatever_is_dirty)
{
    make_map(10, 0);
    for (uint64_t i = 0; i < 12; i++) {
        put_state(i, DSQ_RECORD_READY);
    }
    trim();
    cr_assert_not(dsq_map_has_room(&map, table));
    for (uint64_t i = 0; i < 3; i++) {
        cr_assert(take(mix(i), numbered(&i)));
    }
    cr_assert(dsq_map_has_room(&map, table));
    remove_map();
}

static uint64_t count_values(void)
{
    uint64_t count = 0;
    cr_assert_eq(dsq_map_count(&map, &count), DSQ_OK);
    return count;
}

Test(shard_map, counts_the_values_of_all_shards)
{
    make_map(1000000, 0);
    for (uint64_t i = 0; i < 1000; i++) {
        table = dsq_map_shard(&map, mix(i));
        put_state(i, DSQ_RECORD_CLEAN);
    }
    cr_assert_eq(count_values(), 1000);
    remove_map();
}

Test(shard_map, counts_the_values_also_while_a_change_is_frozen)
{
    make_map(1000000, 0);
    for (uint64_t i = 0; i < 1000; i++) {
        table = dsq_map_shard(&map, mix(i));
        put_state(i, DSQ_RECORD_CLEAN);
    }
    uint64_t number = 3;
    struct dsq_table *frozen = dsq_map_shard(&map, mix(number));
    dsq_add_relaxed(&frozen->census, 1);
    cr_assert_eq(count_values(), 1000);
    table = frozen;
    cr_assert(take(mix(number), numbered(&number)));
    cr_assert_eq(count_values(), 999);
    dsq_sub_relaxed(&frozen->census, 1);
    cr_assert_eq(count_values(), 999);
    remove_map();
}

Test(shard_map, sums_are_over_all_shards)
{
    make_map(1000000, 0);
    for (uint64_t i = 0; i < 1000; i++) {
        table = dsq_map_shard(&map, mix(i));
        put_state(i, DSQ_RECORD_CLEAN);
        cr_assert(has_number(i));
    }
    cr_assert_eq(dsq_map_records(&map), 1000);
    cr_assert_eq(dsq_map_values(&map), 1000);
    cr_assert_eq(dsq_map_bytes(&map), 1000 * (32 + 8 + 1));
    cr_assert_geq(dsq_map_slots(&map), map.shard_count * MIN_SLOTS);
    cr_assert_gt(dsq_map_resizes(&map), 0);
    for (uint64_t i = 0; i < map.shard_count; i++) {
        cr_assert_gt(dsq_table_live(&map.shards[i]), 0);
    }
    remove_map();
}
