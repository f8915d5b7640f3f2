#include "persist/tier.h"

#include <sys/wait.h>
#include <unistd.h>

#include "tests/persist/tier_fixture.h"

TestSuite(tier, .init = make_store, .fini = remove_store, .timeout = 60);

static uint64_t hot(void)
{
    return dsq_map_records(&tier->map);
}

Test(tier, a_miss_is_promoted_and_the_next_look_up_reads_nothing)
{
    fake_seed(store, "k", "v");
    open_tier(DSQ_TIER_LAZY, 100);
    cr_assert_eq(peek("k"), DSQ_WOULD_BLOCK);
    cr_assert_str_eq(get("k"), "v");
    cr_assert_eq(peek("k"), DSQ_OK);
    cr_assert_str_eq(get("k"), "v");
    cr_assert_eq(reads(), 1);
    cr_assert_eq(dsq_tier_misses(tier), 1);
    cr_assert_eq(dsq_tier_hits(tier), 2);
}

Test(tier, peek_shows_the_value_of_a_hot_record)
{
    struct dsq_record *record = NULL;
    open_tier(DSQ_TIER_LAZY, 100);
    put("k", "v");
    dsq_read_lock();
    cr_assert_eq(dsq_tier_peek(tier, text("k"), &record), DSQ_OK);
    cr_assert_eq(dsq_record_value(record).size, 1);
    cr_assert_eq(memcmp(dsq_record_value(record).data, "v", 1), 0);
    dsq_read_unlock();
}

Test(tier, an_absence_is_remembered_until_the_key_is_written)
{
    fake_seed(store, "other", "v");
    open_tier(DSQ_TIER_LAZY, 100);
    cr_assert_str_eq(get("k"), "absent");
    cr_assert_eq(peek("k"), DSQ_ABSENT);
    cr_assert_str_eq(get("k"), "absent");
    cr_assert_str_eq(pop("k"), "absent");
    cr_assert_eq(reads(), 1);
    put("k", "v");
    cr_assert_str_eq(get("k"), "v");
}

Test(tier, an_empty_store_answers_misses_without_being_read)
{
    open_tier(DSQ_TIER_LAZY, 100);
    cr_assert_eq(peek("k"), DSQ_ABSENT);
    cr_assert_str_eq(get("k"), "absent");
    cr_assert_str_eq(pop("k"), "absent");
    cr_assert_str_eq(get_or_put("k", "v"), "ok");
    cr_assert_eq(reads(), 0);
}

Test(tier, after_the_first_eviction_a_miss_is_read)
{
    open_tier(DSQ_TIER_LAZY, 100);
    put("k", "v");
    settle_down();
    evict("k");
    cr_assert_eq(peek("k"), DSQ_WOULD_BLOCK);
    cr_assert_str_eq(get("k"), "v");
    cr_assert_eq(reads(), 1);
}

Test(tier, a_failed_read_is_an_error_and_leaves_no_placeholder)
{
    fake_seed(store, "k", "v");
    open_tier(DSQ_TIER_LAZY, 100);
    fake_fail(store, FAKE_READER_GET, 0, 3, DSQ_ERR_IO);
    cr_assert_str_eq(get("k"), "error");
    cr_assert_eq(error.status, DSQ_ERR_IO);
    cr_assert_eq(hot(), 0);
    cr_assert_str_eq(pop("k"), "error");
    cr_assert_eq(hot(), 0);
    cr_assert_str_eq(get_or_put("k", "w"), "error");
    cr_assert_eq(hot(), 0);
    cr_assert_eq(fake_readers(store), 0);
    cr_assert_str_eq(get("k"), "v");
    cr_assert_eq(flush(), DSQ_OK);
    cr_assert_str_eq(fake_log(store), "");
    struct dsq_committer_stats stats;
    dsq_committer_stats(tier->committer, &stats);
    cr_assert_eq(stats.queued_bytes, 0);
}

Test(tier, no_reader_to_be_had_is_an_error_too)
{
    fake_seed(store, "k", "v");
    open_tier(DSQ_TIER_LAZY, 100);
    fake_fail(store, FAKE_READER_ACQUIRE, 0, 2, DSQ_ERR_CORRUPT);
    cr_assert_str_eq(get("k"), "error");
    cr_assert_eq(error.status, DSQ_ERR_CORRUPT);
    cr_assert_str_eq(pop("k"), "error");
    cr_assert_eq(hot(), 0);
}

Test(tier, a_miss_is_not_promoted_while_everything_hot_is_dirty)
{
    static const char *const dirty[] = {"a", "b", "c", "d", "e"};
    fake_seed(store, "k", "v");
    open_tier(DSQ_TIER_LAZY, 4);
    for (size_t i = 0; i < 5; i++) {
        put(dirty[i], "v");
    }
    cr_assert_str_eq(get("k"), "v");
    cr_assert_str_eq(get("absent"), "absent");
    cr_assert_eq(hot(), 5);
    cr_assert_str_eq(get("k"), "v");
    cr_assert_eq(reads(), 3);
    settle_down();
    cr_assert_eq(hot(), 4);
    cr_assert_str_eq(get("k"), "v");
    cr_assert_str_eq(get("k"), "v");
    cr_assert_eq(reads(), 4);
    cr_assert_eq(hot(), 4);
}

Test(tier, a_change_is_made_though_everything_hot_is_dirty)
{
    fake_seed(store, "k", "v");
    open_tier(DSQ_TIER_LAZY, 2);
    put("a", "v");
    put("b", "v");
    put("c", "v");
    cr_assert_str_eq(pop("k"), "v");
    cr_assert_str_eq(get("k"), "absent");
    settle_down();
    cr_assert_str_eq(fake_log(store), "{a=v b=v c=v -k}");
    cr_assert_leq(hot(), 2);
}

Test(tier, get_or_put_stores_an_absent_key_and_shows_a_present_one)
{
    fake_seed(store, "cold", "old");
    open_tier(DSQ_TIER_LAZY, 100);
    cr_assert_str_eq(get_or_put("cold", "new"), "old");
    cr_assert_str_eq(get_or_put("fresh", "new"), "ok");
    cr_assert_str_eq(get_or_put("fresh", "newer"), "new");
    cr_assert_eq(flush(), DSQ_OK);
    /* What changes nothing is not queued. */
    cr_assert_str_eq(fake_log(store), "{fresh=new}");
}

Test(tier, nowait_calls_do_nothing_where_they_would_have_to_wait)
{
    static const struct dsq_change delete = {.condition = dsq_if_present,
                                             .kind = DSQ_RECORD_TOMBSTONE};
    struct dsq_tier_config config = {
        .mode = DSQ_TIER_LAZY, .hot_capacity = 100, .committer.queue_bytes = 70};
    fake_seed(store, "cold", "v");
    cr_assert_eq(try_open(config), DSQ_OK);
    cr_assert_eq(dsq_tier_change(tier, text("cold"), &delete, DSQ_NOWAIT, NULL, &error),
                 DSQ_WOULD_BLOCK);
    cr_assert_eq(dsq_tier_put(tier, text("a"), text("1"), DSQ_NOWAIT, &error), DSQ_OK);
    cr_assert_eq(dsq_tier_put(tier, text("b"), text("1"), DSQ_NOWAIT, &error), DSQ_OK);
    cr_assert_eq(dsq_tier_put(tier, text("c"), text("1"), DSQ_NOWAIT, &error), DSQ_WOULD_BLOCK);
    cr_assert_eq(reads(), 0);
    settle_down();
    cr_assert_eq(dsq_tier_change(tier, text("a"), &delete, DSQ_NOWAIT, NULL, &error), DSQ_OK);
    cr_assert_eq(flush(), DSQ_OK);
    cr_assert_str_eq(fake_log(store), "{a=1 b=1}{-a}");
}

Test(tier, a_lazy_writer_waits_for_room_and_its_wait_starts_the_commit)
{
    struct dsq_tier_config config = {
        .mode = DSQ_TIER_LAZY, .hot_capacity = 100, .committer.queue_bytes = 70};
    cr_assert_eq(try_open(config), DSQ_OK);
    put("a", "1");
    put("b", "1");
    cr_assert_eq(fake_commits(store), 0);
    put("c", "1");
    cr_assert_geq(fake_commits(store), 1);
}

static void fill(struct dsq_operation *operations, char (*keys)[24], size_t count, bool is_delete)
{
    for (size_t i = 0; i < count; i++) {
        snprintf(keys[i], sizeof keys[i], "%06zu", i);
        operations[i] = (struct dsq_operation){
            .key = text(keys[i]), .value = text(is_delete ? "" : keys[i]), .is_delete = is_delete};
    }
}

Test(tier, a_batch_of_many_keys_passes_through_a_small_hot_tier_as_one_commit)
{
    static struct dsq_operation operations[1000];
    static char keys[1000][24];
    open_tier(DSQ_TIER_WRITETHROUGH, 10);
    fill(operations, keys, 1000, false);
    cr_assert_eq(dsq_tier_apply(tier, operations, 1000, &error), DSQ_OK);
    cr_assert_eq(fake_commits(store), 1);
    settle_down();
    cr_assert_leq(hot(), 10);
    for (size_t i = 0; i < 1000; i++) {
        cr_assert_str_eq(get(keys[i]), keys[i]);
    }
    cr_assert_leq(hot(), 10);
    /* The last of them was promoted, though the table shrank meanwhile. */
    cr_assert_eq(peek(keys[999]), DSQ_OK);
    fill(operations, keys, 1000, true);
    cr_assert_eq(dsq_tier_apply(tier, operations, 1000, &error), DSQ_OK);
    cr_assert_eq(fake_commits(store), 2);
    settle_down();
    cr_assert_eq(store->ops->count(store), 0);
    for (size_t i = 0; i < 1000; i += 100) {
        cr_assert_str_eq(get(keys[i]), "absent");
    }
}

Test(tier, a_batch_larger_than_the_queue_is_refused_whole)
{
    static struct dsq_operation operations[3];
    static char keys[3][24];
    struct dsq_tier_config config = {
        .mode = DSQ_TIER_LAZY, .hot_capacity = 100, .committer.queue_bytes = 100};
    cr_assert_eq(try_open(config), DSQ_OK);
    fill(operations, keys, 3, false);
    cr_assert_eq(dsq_tier_apply(tier, operations, 3, &error), DSQ_ERR_TOO_BIG);
    cr_assert_eq(hot(), 0);
    cr_assert_eq(dsq_tier_apply(tier, operations, 2, &error), DSQ_OK);
    cr_assert_eq(dsq_tier_apply(tier, operations, 0, &error), DSQ_OK);
    cr_assert_eq(flush(), DSQ_OK);
    cr_assert_str_eq(fake_log(store), "{000000=000000 000001=000001}");
}

static int count(uint64_t *records)
{
    return dsq_tier_count(tier, records, &error);
}

Test(tier, the_count_of_a_complete_hot_tier_is_known_without_a_commit)
{
    uint64_t records = 99;
    open_tier(DSQ_TIER_LAZY, 100);
    put("a", "1");
    put("a", "2");
    put("b", "1");
    cr_assert_str_eq(pop("b"), "1");
    cr_assert(dsq_tier_count_if_known(tier, &records));
    cr_assert_eq(records, 1);
    cr_assert_eq(count(&records), DSQ_OK);
    cr_assert_eq(fake_commits(store), 0);
}

Test(tier, the_count_of_an_incomplete_hot_tier_needs_a_flush)
{
    uint64_t records = 99;
    fake_seed(store, "cold", "1");
    open_tier(DSQ_TIER_LAZY, 100);
    cr_assert(dsq_tier_count_if_known(tier, &records));
    cr_assert_eq(records, 1);
    put("a", "1");
    cr_assert_not(dsq_tier_count_if_known(tier, &records));
    cr_assert_eq(count(&records), DSQ_OK);
    cr_assert_eq(records, 2);
    fake_fail(store, FAKE_COMMIT, 0, FAKE_FOREVER, DSQ_ERR_CORRUPT);
    put("b", "1");
    cr_assert_eq(count(&records), DSQ_ERR_CORRUPT);
}

Test(tier, a_readonly_tier_reads_and_refuses_every_change)
{
    static const struct dsq_operation operation = {.key = {"k", 1}, .value = {"w", 1}};
    uint64_t records;
    fake_seed(store, "k", "v");
    struct dsq_tier_config config = {
        .mode = DSQ_TIER_WRITETHROUGH, .readonly = true, .hot_capacity = 100};
    cr_assert_eq(try_open(config), DSQ_OK);
    cr_assert_str_eq(get("k"), "v");
    cr_assert_str_eq(get("absent"), "absent");
    cr_assert_eq(try_put("k", "w"), DSQ_ERR_READONLY);
    cr_assert_str_eq(pop("k"), "error");
    cr_assert_str_eq(get_or_put("new", "w"), "error");
    cr_assert_eq(dsq_tier_apply(tier, &operation, 1, &error), DSQ_ERR_READONLY);
    cr_assert_eq(count(&records), DSQ_OK);
    cr_assert_eq(records, 1);
    cr_assert_eq(flush(), DSQ_OK);
    cr_assert_eq(dsq_tier_resume(tier, &error), DSQ_OK);
    cr_assert_str_eq(get("k"), "v");
    close_tier();
}

Test(tier, in_memory_mode_a_delete_takes_the_record_out)
{
    uint64_t records;
    open_tier(DSQ_TIER_MEMORY, 100);
    put("a", "1");
    put("a", "2");
    put("b", "1");
    cr_assert_eq(hot(), 2);
    cr_assert_str_eq(pop("a"), "2");
    cr_assert_eq(hot(), 1);
    cr_assert_str_eq(pop("a"), "absent");
    cr_assert_str_eq(get("a"), "absent");
    cr_assert_str_eq(get_or_put("a", "3"), "ok");
    cr_assert_str_eq(get_or_put("a", "4"), "3");
    cr_assert_eq(count(&records), DSQ_OK);
    cr_assert_eq(records, 2);
    close_tier();
}

Test(tier, in_memory_mode_a_batch_is_applied_key_by_key)
{
    static struct dsq_operation operations[10];
    static char keys[10][24];
    open_tier(DSQ_TIER_MEMORY, 100);
    fill(operations, keys, 10, false);
    cr_assert_eq(dsq_tier_apply(tier, operations, 10, &error), DSQ_OK);
    cr_assert_eq(hot(), 10);
    fill(operations, keys, 10, true);
    cr_assert_eq(dsq_tier_apply(tier, operations, 9, &error), DSQ_OK);
    cr_assert_eq(dsq_tier_apply(tier, operations, 9, &error), DSQ_OK);
    cr_assert_eq(hot(), 1);
    cr_assert_str_eq(get(keys[9]), keys[9]);
}

Test(tier, in_memory_mode_a_full_hot_tier_evicts)
{
    char key[16];
    open_tier(DSQ_TIER_MEMORY, 50);
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "%d", i);
        put(key, "v");
        cr_assert_leq(hot(), 50);
    }
    cr_assert_eq(hot(), 50);
    cr_assert_eq(dsq_map_evictions(&tier->map), 950);
    cr_assert_str_eq(get("999"), "v");
}

Test(tier, an_unbounded_hot_tier_keeps_no_tombstones)
{
    fake_seed(store, "cold", "1");
    fake_seed(store, "warm", "1");
    open_tier(DSQ_TIER_LAZY, UINT64_MAX);
    cr_assert_str_eq(get("warm"), "1");
    cr_assert_str_eq(get("never"), "absent");
    cr_assert_eq(hot(), 1);
    cr_assert_str_eq(pop("warm"), "1");
    cr_assert_str_eq(pop("cold"), "1");
    cr_assert_eq(hot(), 2);
    settle_down();
    cr_assert_eq(hot(), 0);
    cr_assert_str_eq(get("warm"), "absent");
    cr_assert_str_eq(get("cold"), "absent");
}

Test(tier, a_complete_hot_tier_keeps_no_tombstones)
{
    open_tier(DSQ_TIER_LAZY, 100);
    put("a", "1");
    cr_assert_str_eq(pop("a"), "1");
    cr_assert_eq(hot(), 1);
    settle_down();
    cr_assert_eq(hot(), 0);
    cr_assert_eq(peek("a"), DSQ_ABSENT);
}

Test(tier, close_commits_what_was_written_or_leaves_everything_open)
{
    open_tier(DSQ_TIER_LAZY, 100);
    put("a", "1");
    fake_fail(store, FAKE_COMMIT, 0, 1, DSQ_ERR_CORRUPT);
    cr_assert_eq(dsq_tier_close(tier, &error), DSQ_ERR_CORRUPT);
    cr_assert_str_eq(get("a"), "1");
    cr_assert_eq(try_put("b", "1"), DSQ_ERR_CORRUPT);
    cr_assert_eq(dsq_tier_resume(tier, &error), DSQ_OK);
    put("b", "1");
    cr_assert_eq(flush(), DSQ_OK);
    cr_assert_str_eq(fake_log(store), "{a=1}{b=1}");
    close_tier();
}

Test(tier, a_close_whose_checkpoint_fails_leaves_everything_open)
{
    open_tier(DSQ_TIER_LAZY, 100);
    put("a", "1");
    fake_fail(store, FAKE_CHECKPOINT, 0, 1, DSQ_ERR_IO);
    cr_assert_eq(dsq_tier_close(tier, &error), DSQ_ERR_IO);
    cr_assert_str_eq(error.message, "planned fault -4");
    put("b", "1");
    cr_assert_str_eq(get("a"), "1");
    close_tier();
}

Test(tier, a_forked_child_leaves_it_to_the_parent)
{
    int status = 0;
    open_tier(DSQ_TIER_LAZY, 100);
    put("a", "1");
    pid_t child = fork();
    if (child == 0) {
        dsq_tier_leave_to_parent(tier);
        _exit(tier->store == NULL ? 0 : 1);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    put("b", "1");
    cr_assert_eq(flush(), DSQ_OK);
    cr_assert_str_eq(fake_log(store), "{a=1 b=1}");
}

/* remove_store abandons the tier; the leak sanitizer judges. */
Test(tier, what_was_not_committed_goes_with_an_abandoned_tier)
{
    static struct dsq_operation operations[300];
    static char keys[300][24];
    open_tier(DSQ_TIER_LAZY, 10);
    fill(operations, keys, 300, false);
    cr_assert_eq(dsq_tier_apply(tier, operations, 300, &error), DSQ_OK);
    put("a", "1");
    cr_assert_str_eq(pop("a"), "1");
    cr_assert_eq(fake_commits(store), 0);
}

Test(tier, what_another_program_wrote_is_seen_after_a_resume)
{
    fake_seed(store, "a", "1");
    fake_seed(store, "b", "1");
    open_tier(DSQ_TIER_WRITETHROUGH, 100);
    cr_assert_str_eq(get("a"), "1");
    cr_assert_str_eq(get("absent"), "absent");
    put("mine", "1");
    settle_down();
    fake_seed(store, "a", "2");
    fake_seed(store, "absent", "2");
    fake_fail(store, FAKE_BEGIN, 0, 1, DSQ_ERR_CHANGED);
    cr_assert_eq(try_put("b", "3"), DSQ_ERR_CHANGED);
    cr_assert_eq(dsq_tier_resume(tier, &error), DSQ_OK);
    cr_assert_str_eq(get("a"), "2");
    cr_assert_str_eq(get("absent"), "2");
    cr_assert_str_eq(get("b"), "3");
    cr_assert_str_eq(get("mine"), "1");
    close_tier();
}
