#include "persist/committer.h"

#include <pthread.h>

#include "tests/persist/committer_fixture.h"

TestSuite(committer, .init = make_store, .fini = remove_store, .timeout = 60);

Test(committer, appends_a_batch_to_the_journal_and_folds_the_last_record_of_each_key)
{
    start(&manual);
    push("a", "1");
    push("b", "1");
    push("a", "2");
    push("b", NULL);
    push("c", "1");
    cr_assert_eq(flush(), DSQ_OK);
    cr_assert_str_eq(fake_log(store), "{a=1 b=1 a=2 -b c=1}");
    cr_assert_str_eq(fake_kv_log(store), "");
    cr_assert_eq(store->ops->seq(store), 5);
    cr_assert_eq(fold(), DSQ_OK);
    cr_assert_str_eq(fake_kv_log(store), "(a=2 -b c=1)");
    cr_assert_eq(fake_journal_rows(store), 0);
}

Test(committer, keeps_the_order_of_the_queue_from_one_transaction_to_the_next)
{
    start(&eager);
    fake_trap(store, FAKE_AT_COMMIT);
    push("a", "1");
    fake_await_trapped(store, FAKE_AT_COMMIT);
    push("a", "2");
    push("b", "1");
    push("a", NULL);
    fake_release(store, FAKE_AT_COMMIT);
    cr_assert_eq(flush(), DSQ_OK);
    cr_assert_str_eq(fake_log(store), "{a=1}{a=2 b=1 -a}");
}

Test(committer, steps_over_a_pending_record_and_commits_it_later_in_its_place)
{
    start(&manual);
    struct dsq_record *frozen = push_pending("a", "frozen");
    push("b", "1");
    cr_assert_eq(flush(), DSQ_OK);
    cr_assert_str_eq(fake_log(store), "{b=1}");
    cr_assert_eq(dsq_record_state(frozen), DSQ_RECORD_PENDING);
    push("a", "newer");
    dsq_committer_settle(committer, frozen);
    push("c", "1");
    cr_assert_eq(flush(), DSQ_OK);
    /* At the end of the batch it would have been the last of its key. */
    cr_assert_str_eq(fake_log(store), "{b=1}{a=frozen a=newer c=1}");
    cr_assert_eq(dsq_record_state(frozen), DSQ_RECORD_DURABLE);
}

Test(committer, commits_a_carried_record_as_soon_as_it_is_settled)
{
    start(&eager);
    for (int i = 0; i < 20; i++) {
        struct dsq_record *frozen = push_pending("a", "1");
        await_asleep();
        cr_assert_eq(dsq_record_state(frozen), DSQ_RECORD_PENDING);
        dsq_committer_settle(committer, frozen);
        cr_assert_eq(wait_for(frozen), DSQ_OK);
    }
}

Test(committer, forgets_a_void_record)
{
    start(&manual);
    struct dsq_record *failed = push_pending("a", "never");
    dsq_record_move(failed, DSQ_RECORD_PENDING, DSQ_RECORD_VOID);
    push("b", "1");
    cr_assert_eq(flush(), DSQ_OK);
    cr_assert_str_eq(fake_log(store), "{b=1}");
    await_asleep();
    cr_assert(dsq_committer_is_idle(committer));
    cr_assert_eq(stats().seq, 1);
}

Test(committer, is_idle_only_once_everything_is_durable)
{
    start(&eager);
    cr_assert(dsq_committer_is_idle(committer));
    fake_trap(store, FAKE_AT_COMMIT);
    struct dsq_record *record = push("a", "1");
    fake_await_trapped(store, FAKE_AT_COMMIT);
    cr_assert_not(dsq_committer_is_idle(committer));
    fake_release(store, FAKE_AT_COMMIT);
    cr_assert_eq(wait_for(record), DSQ_OK);
    cr_assert_eq(flush(), DSQ_OK);
    await_asleep();
    cr_assert(dsq_committer_is_idle(committer));
}

Test(committer, flush_with_nothing_queued_touches_no_disk)
{
    start(&manual);
    cr_assert_eq(flush(), DSQ_OK);
    push("a", "1");
    cr_assert_eq(flush(), DSQ_OK);
    cr_assert_eq(flush(), DSQ_OK);
    cr_assert_eq(fake_calls(store, FAKE_BEGIN), 1);
}

Test(committer, flush_that_runs_out_of_time_says_so_and_the_data_keeps_its_place)
{
    start(&eager);
    fake_trap(store, FAKE_AT_COMMIT);
    struct dsq_record *record = push("a", "1");
    fake_await_trapped(store, FAKE_AT_COMMIT);
    cr_assert_eq(dsq_committer_flush(committer, dsq_now_ns(), &error), DSQ_ERR_TIMEOUT);
    cr_assert_eq(dsq_committer_wait(committer, record, dsq_now_ns(), &error), DSQ_ERR_TIMEOUT);
    cr_assert_eq(fake_commits(store), 0);
    fake_release(store, FAKE_AT_COMMIT);
    cr_assert_eq(flush(), DSQ_OK);
    cr_assert_str_eq(fake_log(store), "{a=1}");
}

Test(committer, flush_does_not_wait_for_what_is_pushed_after_it)
{
    start(&manual);
    push_pending("a", "frozen");
    cr_assert_eq(flush(), DSQ_OK);
    cr_assert_eq(fake_calls(store, FAKE_BEGIN), 0);
}

Test(committer, a_flush_over_a_carried_record_does_not_make_it_count_as_durable)
{
    start(&manual);
    push_pending("a", "frozen");
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(flush(), DSQ_OK);
        cr_assert_not(dsq_committer_is_idle(committer));
    }
}

Test(committer, a_checkpoint_on_demand_is_done_before_it_returns_and_its_error_told)
{
    start(&manual);
    fake_set_wal_bytes(store, 1000);
    fake_fail(store, FAKE_CHECKPOINT, 0, 1, DSQ_ERR_FULL);
    cr_assert_eq(checkpoint(), DSQ_ERR_FULL);
    cr_assert_str_eq(error.message, "planned fault -5");
    cr_assert_eq(checkpoint(), DSQ_OK);
    cr_assert_eq(store->ops->wal_bytes(store), 0);
}

struct waiter {
    pthread_t thread;
    const struct dsq_record *record; /* NULL: flush */
    int status;
    uint64_t commits; /* that had taken effect when the wait ended */
};

static void *wait_and_look(void *argument)
{
    struct waiter *waiter = argument;
    waiter->status = waiter->record != NULL ? wait_for(waiter->record) : flush();
    waiter->commits = fake_commits(store);
    return NULL;
}

Test(committer, nobody_hears_of_durability_before_the_commit)
{
    start(&eager);
    fake_trap(store, FAKE_AT_COMMIT);
    struct waiter waiters[] = {{.record = push("a", "1")}, {.record = NULL}};
    fake_await_trapped(store, FAKE_AT_COMMIT);
    for (size_t i = 0; i < 2; i++) {
        pthread_create(&waiters[i].thread, NULL, wait_and_look, &waiters[i]);
    }
    /* The flush has queued its marker. */
    while (!demands_commit()) {
        sched_yield();
    }
    fake_release(store, FAKE_AT_COMMIT);
    for (size_t i = 0; i < 2; i++) {
        pthread_join(waiters[i].thread, NULL);
        cr_assert_eq(waiters[i].status, DSQ_OK);
        cr_assert_eq(waiters[i].commits, 1);
    }
}

Test(committer, a_lazy_write_is_committed_when_the_interval_has_passed)
{
    const struct dsq_committer_config config = {.lazy = true,
                                                .timer = true,
                                                .flush_interval_ms = 5,
                                                .slack_ms = 1000,
                                                .buffer_size = 1000,
                                                .queue_bytes = 1 << 20};
    start(&config);
    uint64_t before_ns = dsq_now_ns();
    cr_assert_eq(wait_for(push("a", "1")), DSQ_OK);
    cr_assert_geq(dsq_now_ns() - before_ns, 5 * DSQ_NS_PER_MS);
}

static const struct dsq_committer_config three_at_once = {.lazy = true,
                                                          .timer = true,
                                                          .flush_interval_ms = 3600 * 1000,
                                                          .slack_ms = 1000,
                                                          .buffer_size = 3,
                                                          .queue_bytes = 1 << 20};

Test(committer, a_full_buffer_is_committed_before_the_interval_has_passed)
{
    start(&three_at_once);
    struct dsq_record *first = push("a", "1");
    struct dsq_record *second = push("b", "1");
    push("c", "1"); /* itself committed now or, if the thread met it PENDING, with the next */
    cr_assert_eq(wait_for(first), DSQ_OK);
    cr_assert_eq(wait_for(second), DSQ_OK);
    cr_assert_eq(fake_calls(store, FAKE_BEGIN), 1);
}

/* Waits until the thread sleeps over work that is not due. */
static void await_not_due(void)
{
    while (dsq_load_seq_cst(&committer->sleep) != SLEEP_TIMED) {
        sched_yield();
    }
}

Test(committer, a_buffer_that_is_not_full_waits)
{
    start(&three_at_once);
    push("a", "1");
    push("b", "1");
    await_not_due();
    cr_assert_eq(fake_calls(store, FAKE_BEGIN), 0);
    cr_assert_eq(flush(), DSQ_OK);
    cr_assert_str_eq(fake_log(store), "{a=1 b=1}");
}

Test(committer, without_a_timer_only_flush_starts_a_commit)
{
    struct dsq_committer_config config = three_at_once;
    config.timer = false;
    start(&config);
    for (int i = 0; i < 10; i++) {
        push("a", "1");
    }
    await_not_due();
    cr_assert_eq(fake_calls(store, FAKE_BEGIN), 0);
    cr_assert_eq(flush(), DSQ_OK);
    cr_assert_eq(fake_commits(store), 1);
}

Test(committer, a_large_wal_is_checkpointed_and_a_failed_checkpoint_harms_nothing)
{
    start(&manual);
    fake_set_wal_bytes(store, UINT64_C(1) << 30);
    fake_fail(store, FAKE_CHECKPOINT, 0, 1, DSQ_ERR_IO);
    push("a", "1");
    cr_assert_eq(flush(), DSQ_OK);
    push("a", "2");
    cr_assert_eq(flush(), DSQ_OK);
    await_asleep();
    cr_assert_eq(fake_calls(store, FAKE_CHECKPOINT), 1);
    /* Not at every commit, but once the WAL has grown by some more. */
    fake_set_wal_bytes(store, UINT64_C(3) << 30);
    push("a", "3");
    cr_assert_eq(flush(), DSQ_OK);
    await_asleep();
    cr_assert_eq(fake_calls(store, FAKE_CHECKPOINT), 2);
    push("a", "4");
    cr_assert_eq(flush(), DSQ_OK);
    await_asleep();
    cr_assert_eq(fake_calls(store, FAKE_CHECKPOINT), 2);
    cr_assert_eq(stats().state, DSQ_COMMITTER_OPEN);
    cr_assert_eq(stats().wal_bytes, 0);
}

Test(committer, counts_commits_numbers_and_bytes)
{
    start(&manual);
    uint64_t bytes = dsq_record_bytes(push("a", "1")) + dsq_record_bytes(push("b", "12"));
    cr_assert_eq(stats().queued_bytes, bytes);
    cr_assert_eq(dsq_committer_pushed(committer), 2);
    cr_assert_eq(flush(), DSQ_OK);
    await_asleep();
    cr_assert_eq(stats().queued_bytes, bytes, "until it is folded");
    cr_assert_not(dsq_committer_is_folded(committer));
    cr_assert_eq(fold(), DSQ_OK);
    await_asleep();
    cr_assert(dsq_committer_is_folded(committer));
    cr_assert_eq(stats().queued_bytes, 0);
    cr_assert_eq(stats().commits, 1);
    cr_assert_eq(stats().folds, 1);
    cr_assert_eq(stats().seq, 2);
    cr_assert_eq(stats().durable_seq, 2);
    cr_assert_eq(stats().last_error, DSQ_OK);
    cr_assert_eq(dsq_committer_done(committer), dsq_committer_pushed(committer));
}
