/* In writethrough mode nothing that a crash could take back is told to anybody. */
#include "tests/persist/tier_fixture.h"

static void make_writethrough(void)
{
    make_store();
    fake_seed(store, "k", "old");
    open_tier(DSQ_TIER_WRITETHROUGH, 100);
}

TestSuite(tier_writethrough, .init = make_writethrough, .fini = remove_store, .timeout = 60);

/* A writer of the key that stands within its commit. */
static struct actor *start_commit(void (*call)(struct actor *), const char *key, const char *value)
{
    return start_trapped(FAKE_AT_COMMIT, call, key, value);
}

/* Waits until so many look-ups have been decided: what they still do is wait. */
static void await_lookups(uint64_t count)
{
    while (dsq_tier_hits(tier) + dsq_tier_misses(tier) < count) {
        sched_yield();
    }
}

static uint64_t lookups(void)
{
    return dsq_tier_hits(tier) + dsq_tier_misses(tier);
}

Test(tier_writethrough, a_write_returns_after_its_commit)
{
    uint64_t commits;
    struct actor *writer = start_commit(act_put, "k", "new");
    fake_release(store, FAKE_AT_COMMIT);
    cr_assert_str_eq(finish_at(writer, &commits), "ok");
    cr_assert_eq(commits, 1);
    cr_assert_str_eq(fake_log(store), "{k=new}");
}

Test(tier_writethrough, a_delete_returns_after_its_commit)
{
    uint64_t commits;
    fake_seed(store, "cold", "old");
    struct actor *deleter = start_commit(act_change, "cold", NULL);
    fake_release(store, FAKE_AT_COMMIT);
    cr_assert_str_eq(finish_at(deleter, &commits), "old");
    cr_assert_eq(commits, 1);
    cr_assert_str_eq(fake_log(store), "{-cold}");
}

Test(tier_writethrough, a_reader_of_a_value_waits_for_its_commit)
{
    uint64_t commits;
    struct actor *writer = start_commit(act_put, "k", "new");
    cr_assert_eq(peek("k"), DSQ_WOULD_BLOCK);
    uint64_t before = lookups();
    struct actor *reader = start(act_get, "k", NULL);
    await_lookups(before + 1);
    fake_release(store, FAKE_AT_COMMIT);
    cr_assert_str_eq(finish_at(reader, &commits), "new");
    cr_assert_eq(commits, 1);
    cr_assert_str_eq(finish(writer), "ok");
    cr_assert_eq(peek("k"), DSQ_OK);
}

Test(tier_writethrough, a_reader_of_an_absence_waits_for_the_commit_of_the_delete)
{
    uint64_t commits;
    struct actor *deleter = start_commit(act_change, "k", NULL);
    cr_assert_eq(peek("k"), DSQ_WOULD_BLOCK);
    uint64_t before = lookups();
    struct actor *reader = start(act_get, "k", NULL);
    await_lookups(before + 1);
    fake_release(store, FAKE_AT_COMMIT);
    cr_assert_str_eq(finish_at(reader, &commits), "absent");
    cr_assert_eq(commits, 1);
    cr_assert_str_eq(finish(deleter), "old");
}

Test(tier_writethrough, a_refused_change_waits_for_the_commit_of_what_refused_it)
{
    uint64_t commits;
    struct actor *writer = start_commit(act_put, "k", "new");
    uint64_t before = lookups();
    struct actor *refused = start(act_change, "k", "other");
    await_lookups(before + 1);
    fake_release(store, FAKE_AT_COMMIT);
    cr_assert_str_eq(finish_at(refused, &commits), "new");
    cr_assert_eq(commits, 1);
    finish(writer);

    struct actor *deleter = start_commit(act_change, "k", NULL);
    before = lookups();
    refused = start(act_change, "k", NULL);
    await_lookups(before + 1);
    fake_release(store, FAKE_AT_COMMIT);
    cr_assert_str_eq(finish_at(refused, &commits), "absent");
    cr_assert_eq(commits, 2);
    finish(deleter);
}

Test(tier_writethrough, a_reader_returns_the_value_that_it_waited_for)
{
    struct actor *writer = start_commit(act_put, "k", "first");
    uint64_t before = lookups();
    struct actor *reader = start(act_get, "k", NULL);
    await_lookups(before + 1);
    fake_trap(store, FAKE_AT_COMMIT);
    fake_release(store, FAKE_AT_COMMIT);
    finish(writer);
    /* A newer write, whose commit does not end, does not hold the reader up. */
    writer = start(act_put, "k", "second");
    fake_await_trapped(store, FAKE_AT_COMMIT);
    cr_assert_str_eq(finish(reader), "first");
    fake_release(store, FAKE_AT_COMMIT);
    finish(writer);
}

Test(tier_writethrough, a_reader_of_an_uncommitted_value_hears_of_the_failed_commit)
{
    struct actor *writer = start_commit(act_put, "k", "new");
    uint64_t before = lookups();
    struct actor *reader = start(act_get, "k", NULL);
    await_lookups(before + 1);
    fake_fail(store, FAKE_COMMIT, 0, 1, DSQ_ERR_CORRUPT);
    fake_release(store, FAKE_AT_COMMIT);
    cr_assert_str_eq(finish(writer), "error");
    cr_assert_str_eq(finish(reader), "error");
    cr_assert_str_eq(get("k"), "error");
    cr_assert_eq(try_put("other", "v"), DSQ_ERR_CORRUPT);
    cr_assert_eq(dsq_tier_resume(tier, &error), DSQ_OK);
    cr_assert_str_eq(get("k"), "new");
    put("other", "v");
}

Test(tier_writethrough, reads_that_depend_on_no_commit_go_on_after_a_failure)
{
    fake_seed(store, "cold", "v");
    cr_assert_str_eq(get("k"), "old");
    fake_fail(store, FAKE_COMMIT, 0, 1, DSQ_ERR_CORRUPT);
    cr_assert_eq(try_put("other", "v"), DSQ_ERR_CORRUPT);
    cr_assert_str_eq(get("k"), "old");
    cr_assert_str_eq(get("cold"), "v");
    cr_assert_str_eq(pop("absent"), "error");
    cr_assert_eq(flush(), DSQ_ERR_CORRUPT);
    cr_assert_eq(dsq_tier_resume(tier, &error), DSQ_OK);
}

Test(tier_writethrough, nowait_calls_would_always_block)
{
    static const struct dsq_change delete = {.condition = dsq_if_present,
                                             .kind = DSQ_RECORD_TOMBSTONE};
    cr_assert_eq(dsq_tier_put(tier, text("k"), text("v"), DSQ_NOWAIT, &error), DSQ_WOULD_BLOCK);
    cr_assert_eq(dsq_tier_change(tier, text("k"), &delete, DSQ_NOWAIT, NULL, &error),
                 DSQ_WOULD_BLOCK);
    cr_assert_str_eq(get("k"), "old");
}

Test(tier_writethrough, the_count_leaves_out_what_is_not_durable)
{
    uint64_t records = 0;
    struct actor *writer = start_commit(act_put, "new", "v");
    cr_assert_not(dsq_tier_count_if_known(tier, &records));
    fake_release(store, FAKE_AT_COMMIT);
    cr_assert_eq(dsq_tier_count(tier, &records, &error), DSQ_OK);
    cr_assert_eq(records, 2);
    finish(writer);
}

static bool is_ready(const char *key)
{
    bool ready;
    dsq_read_lock();
    const struct dsq_record *record = hot_record(key);
    ready = record != NULL && record->kind == DSQ_RECORD_VALUE &&
            dsq_record_state(record) == DSQ_RECORD_READY;
    dsq_read_unlock();
    return ready;
}

Test(tier_writethrough, writers_in_a_row_share_a_commit)
{
    struct actor *first = start_commit(act_put, "a", "1");
    struct actor *second = start(act_put, "b", "1");
    struct actor *third = start(act_change, "c", "1");
    while (!is_ready("b") || !is_ready("c")) {
        sched_yield();
    }
    fake_release(store, FAKE_AT_COMMIT);
    cr_assert_str_eq(finish(first), "ok");
    cr_assert_str_eq(finish(second), "ok");
    cr_assert_str_eq(finish(third), "ok");
    cr_assert_eq(fake_commits(store), 2);
    settle_down();
    cr_assert_str_eq(fake_kv_log(store), "(a=1 b=1 c=1)");
}

Test(tier_writethrough, a_pinned_hot_record_is_durable_and_null_where_there_is_none)
{
    struct dsq_record *record = NULL;
    cr_assert_eq(dsq_tier_pin_hot(tier, text("k"), &record, &error), DSQ_OK);
    cr_assert_null(record);
    cr_assert_eq(reads(), 0);
    put("k", "new");
    cr_assert_eq(dsq_tier_pin_hot(tier, text("k"), &record, &error), DSQ_OK);
    cr_assert_geq(dsq_record_state(record), DSQ_RECORD_DURABLE);
    dsq_record_release(tier->reclaim, record);
}
