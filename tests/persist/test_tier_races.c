/* The races of two tiers, each made to happen: a reader stands still with an old row in its hand. */
#include "persist/cursor.h"
#include "tests/persist/tier_fixture.h"

static void make_lazy(void)
{
    make_store();
    fake_seed(store, "k", "old");
    open_tier(DSQ_TIER_LAZY, 100);
}

TestSuite(tier_races, .init = make_lazy, .fini = remove_store, .timeout = 60);

Test(tier_races, a_promotion_does_not_overwrite_a_newer_write)
{
    struct actor *reader = start_trapped(FAKE_AFTER_READ, act_get, "k", NULL);
    put("k", "new");
    fake_release(store, FAKE_AFTER_READ);
    cr_assert_str_eq(finish(reader), "new");
    cr_assert_str_eq(get("k"), "new");
    settle_down();
    cr_assert(fake_has(store, "k", "new"));
}

Test(tier_races, a_stale_row_is_not_promoted_after_the_newer_write_was_committed_and_evicted)
{
    struct actor *reader = start_trapped(FAKE_AFTER_READ, act_get, "k", NULL);
    put("k", "new");
    settle_down();
    evict("k");
    fake_release(store, FAKE_AFTER_READ);
    cr_assert_str_eq(finish(reader), "new");
    cr_assert_str_eq(get("k"), "new");
    cr_assert_eq(reads(), 2);
}

Test(tier_races, a_stale_row_is_not_promoted_over_the_lease_of_another_reader)
{
    struct actor *first = start_trapped(FAKE_AFTER_READ, act_get, "k", NULL);
    put("k", "new");
    settle_down();
    evict("k");
    struct actor *second = start_trapped(FAKE_BEFORE_READ, act_get, "k", NULL);
    fake_release(store, FAKE_AFTER_READ);
    cr_assert_str_eq(finish(first), "new");
    fake_release(store, FAKE_BEFORE_READ);
    cr_assert_str_eq(finish(second), "new");
    cr_assert_str_eq(get("k"), "new");
}

Test(tier_races, a_deleted_key_does_not_come_back_while_its_delete_is_queued)
{
    cr_assert_str_eq(pop("k"), "old");
    cr_assert_eq(peek("k"), DSQ_ABSENT);
    cr_assert_str_eq(get("k"), "absent");
    cr_assert(fake_has(store, "k", "old"));
    /* Nor can the tombstone be evicted before it is committed. */
    dsq_read_lock();
    cr_assert_not(dsq_clock_evict(&tier->map, &tier->map.shards[0]));
    dsq_read_unlock();
    fake_trap(store, FAKE_AT_COMMIT);
    struct dsq_committer *committer = tier->committer;
    cr_assert_eq(dsq_committer_flush(committer, dsq_now_ns(), &error), DSQ_ERR_TIMEOUT);
    fake_await_trapped(store, FAKE_AT_COMMIT);
    cr_assert_str_eq(get("k"), "absent");
    fake_release(store, FAKE_AT_COMMIT);
    settle_down();
    evict("k");
    cr_assert_str_eq(get("k"), "absent");
    cr_assert(fake_has(store, "k", NULL));
}

Test(tier_races, a_reader_with_the_old_row_does_not_bring_a_deleted_key_back)
{
    struct actor *reader = start_trapped(FAKE_AFTER_READ, act_get, "k", NULL);
    cr_assert_str_eq(pop("k"), "old");
    settle_down();
    evict("k");
    fake_release(store, FAKE_AFTER_READ);
    cr_assert_str_eq(finish(reader), "absent");
    cr_assert_str_eq(get("k"), "absent");
}

static void act_is_empty(struct actor *actor)
{
    bool empty;
    int status = dsq_tier_is_empty(tier, &empty, NULL);
    show(actor->shown, status, NULL);
    if (status == DSQ_OK) {
        snprintf(actor->shown, sizeof actor->shown, empty ? "empty" : "not empty");
    }
}

Test(tier_races, a_row_of_a_deleted_key_makes_no_empty_store_look_filled)
{
    /* Else the number of records is known, and no row is looked at. */
    put("other", "value");
    cr_assert_str_eq(pop("other"), "value");
    struct actor *reader = start_trapped(FAKE_AFTER_SCAN, act_is_empty, NULL, NULL);
    cr_assert_str_eq(pop("k"), "old");
    settle_down();
    evict("k");
    fake_release(store, FAKE_AFTER_SCAN);
    cr_assert_str_eq(finish(reader), "empty");
}

Test(tier_races, a_delete_of_a_key_that_is_only_in_the_store_finds_and_removes_it)
{
    cr_assert_str_eq(pop("k"), "old");
    cr_assert_str_eq(pop("k"), "absent");
    cr_assert_str_eq(pop("never"), "absent");
    settle_down();
    cr_assert_str_eq(fake_log(store), "{-k}");
}

Test(tier_races, a_reader_that_lost_its_lease_starts_again_at_the_hot_tier)
{
    struct actor *reader = start_trapped(FAKE_BEFORE_READ, act_get, "k", NULL);
    put("k", "newer");
    settle_down();
    put("k", "newest");
    fake_release(store, FAKE_BEFORE_READ);
    /* The row says "newer": to return it after "newest" was published would be to go back. */
    cr_assert_str_eq(finish(reader), "newest");
    cr_assert_eq(reads(), 1);
}

Test(tier_races, of_two_concurrent_pops_of_a_cold_key_one_gets_it)
{
    struct actor *slow = start_trapped(FAKE_AFTER_READ, act_change, "k", NULL);
    cr_assert_str_eq(pop("k"), "old");
    fake_release(store, FAKE_AFTER_READ);
    cr_assert_str_eq(finish(slow), "absent");
}

Test(tier_races, of_two_concurrent_stores_of_an_absent_key_one_wins)
{
    struct actor *slow = start_trapped(FAKE_AFTER_READ, act_change, "new", "of the slow");
    cr_assert_str_eq(get_or_put("new", "of the quick"), "ok");
    fake_release(store, FAKE_AFTER_READ);
    cr_assert_str_eq(finish(slow), "of the quick");
    settle_down();
    cr_assert_str_eq(fake_log(store), "{new=of the quick}");
}

Test(tier_races, a_pop_that_read_an_old_row_takes_the_newer_value)
{
    struct actor *slow = start_trapped(FAKE_AFTER_READ, act_change, "k", NULL);
    put("k", "new");
    settle_down();
    evict("k");
    fake_release(store, FAKE_AFTER_READ);
    cr_assert_str_eq(finish(slow), "new");
    cr_assert_str_eq(get("k"), "absent");
}

Test(tier_races, an_absence_that_was_read_is_not_remembered_over_a_later_write)
{
    struct actor *reader = start_trapped(FAKE_AFTER_READ, act_get, "n", NULL);
    put("n", "new");
    settle_down();
    evict("n");
    fake_release(store, FAKE_AFTER_READ);
    cr_assert_str_eq(finish(reader), "new");
    cr_assert_str_eq(get("n"), "new");
}

Test(tier_races, readers_that_meet_a_placeholder_read_for_themselves)
{
    struct actor *first = start_trapped(FAKE_BEFORE_READ, act_get, "k", NULL);
    cr_assert_eq(peek("k"), DSQ_WOULD_BLOCK);
    cr_assert_str_eq(get("k"), "old");
    cr_assert_eq(dsq_map_records(&tier->map), 1);
    fake_release(store, FAKE_BEFORE_READ);
    cr_assert_str_eq(finish(first), "old");
    cr_assert_eq(peek("k"), DSQ_OK);
}

Test(tier_races, a_change_that_joined_a_lease_takes_it_over)
{
    struct actor *reader = start_trapped(FAKE_BEFORE_READ, act_get, "k", NULL);
    cr_assert_str_eq(get_or_put("k", "other"), "old");
    cr_assert_eq(peek("k"), DSQ_OK);
    fake_release(store, FAKE_BEFORE_READ);
    cr_assert_str_eq(finish(reader), "old");
    cr_assert_eq(dsq_map_records(&tier->map), 1);
}

Test(tier_races, a_write_is_not_held_up_by_a_read_of_its_key)
{
    struct actor *reader = start_trapped(FAKE_BEFORE_READ, act_get, "k", NULL);
    fake_fail(store, FAKE_READER_GET, 0, 1, DSQ_ERR_IO);
    put("k", "new");
    fake_release(store, FAKE_BEFORE_READ);
    /* The failed read is told, though the lease was lost; the write stands. */
    cr_assert_str_eq(finish(reader), "error");
    cr_assert_str_eq(get("k"), "new");
}

Test(tier_races, a_placeholder_moved_away_by_a_growing_table_costs_its_reader_another_look)
{
    struct actor *reader = start_trapped(FAKE_AFTER_READ, act_get, "k", NULL);
    struct dsq_table *shard = &tier->map.shards[0];
    dsq_read_lock();
    struct dsq_slots *root = dsq_load_acquire(&shard->root);
    cr_assert_eq(dsq_migration_start(root), DSQ_OK);
    dsq_migration_finish(shard, root);
    dsq_read_unlock();
    cr_assert_null(hot_record("k"));
    fake_release(store, FAKE_AFTER_READ);
    cr_assert_str_eq(finish(reader), "old");
    cr_assert_eq(reads(), 2);
    cr_assert_eq(dsq_map_records(&tier->map), 1);
}
