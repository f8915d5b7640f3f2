#include <poll.h>
#include <pthread.h>

#include "persist/hooks.h"
#include "tests/persist/committer_fixture.h"

static struct dsq_mailbox *mailbox;

static void make_all(void)
{
    make_store();
    cr_assert_eq(dsq_mailbox_new(&mailbox), DSQ_OK);
}

static void remove_all(void)
{
    remove_store();
    dsq_mailbox_release(mailbox);
}

TestSuite(notify, .init = make_all, .fini = remove_all, .timeout = 60);

static int ask(uint64_t token)
{
    struct dsq_notice *notice = dsq_notice_new(mailbox, token);
    int status = dsq_committer_notify(committer, notice, &error);
    if (status != DSQ_WOULD_BLOCK) {
        dsq_notice_discard(notice);
    }
    return status;
}

static bool is_announced(int timeout_ms)
{
    struct pollfd polled = {.fd = dsq_mailbox_descriptor(mailbox), .events = POLLIN};
    return poll(&polled, 1, timeout_ms) == 1;
}

/* Waits for the next notice and demands its token and status. */
static void expect(uint64_t token, int status)
{
    struct dsq_notice *notice = dsq_mailbox_has_more(mailbox) ? dsq_mailbox_take(mailbox) : NULL;
    while (notice == NULL) {
        cr_assert(is_announced(30000));
        notice = dsq_mailbox_take(mailbox);
    }
    cr_assert_eq(notice->token, token);
    cr_assert_eq(notice->error.status, status, "%d: %s", notice->error.status,
                 notice->error.message);
    dsq_notice_free(notice);
}

Test(notify, comes_when_all_that_was_pushed_before_is_durable)
{
    start(&manual);
    struct dsq_record *record = push("a", "1");
    fake_trap(store, FAKE_AT_COMMIT);
    cr_assert_eq(ask(1), DSQ_WOULD_BLOCK);
    fake_await_trapped(store, FAKE_AT_COMMIT);
    cr_assert_not(is_announced(0));
    fake_release(store, FAKE_AT_COMMIT);
    expect(1, DSQ_OK);
    cr_assert_geq(dsq_record_state(record), DSQ_RECORD_DURABLE);
    cr_assert_str_eq(fake_log(store), "{a=1}");
}

Test(notify, is_not_needed_where_all_is_durable_already)
{
    start(&manual);
    cr_assert_eq(ask(1), DSQ_OK);
    push("a", "1");
    cr_assert_eq(flush(), DSQ_OK);
    cr_assert_eq(ask(2), DSQ_OK);
    cr_assert_not(is_announced(0));
}

Test(notify, several_come_in_the_order_of_asking_and_share_a_commit)
{
    start(&manual);
    fake_trap(store, FAKE_AT_COMMIT);
    push("a", "1");
    cr_assert_eq(ask(1), DSQ_WOULD_BLOCK);
    fake_await_trapped(store, FAKE_AT_COMMIT);
    for (uint64_t token = 2; token < 10; token++) {
        push("b", "1");
        cr_assert_eq(ask(token), DSQ_WOULD_BLOCK);
    }
    fake_release(store, FAKE_AT_COMMIT);
    for (uint64_t token = 1; token < 10; token++) {
        expect(token, DSQ_OK);
    }
    cr_assert_eq(fake_commits(store), 2);
}

Test(notify, what_is_pushed_quietly_is_committed_by_the_flush_that_follows)
{
    start(&eager);
    await_asleep();
    struct dsq_record *record = make("a", "1");
    cr_assert_eq(dsq_committer_admit(committer, dsq_record_bytes(record), true, &error), DSQ_OK);
    dsq_committer_push_quietly(committer, record);
    dsq_committer_settle(committer, record);
    cr_assert_eq(ask(1), DSQ_WOULD_BLOCK);
    expect(1, DSQ_OK);
    cr_assert_eq(fake_commits(store), 1);
}

Test(notify, what_is_pushed_quietly_is_committed_for_who_waits_for_it)
{
    start(&eager);
    for (int i = 0; i < 100; i++) {
        await_asleep();
        struct dsq_record *record = make("a", "1");
        uint64_t bytes = dsq_record_bytes(record);
        cr_assert_eq(dsq_committer_admit(committer, bytes, true, &error), DSQ_OK);
        dsq_committer_push_quietly(committer, record);
        dsq_committer_settle(committer, record);
        cr_assert_eq(wait_for(record), DSQ_OK);
        drop_held();
    }
    cr_assert_eq(fake_commits(store), 100);
}

Test(notify, survives_a_passing_error)
{
    start(&manual);
    fake_fail(store, FAKE_COMMIT, 0, 3, DSQ_ERR_IO);
    push("a", "1");
    cr_assert_eq(ask(1), DSQ_WOULD_BLOCK);
    expect(1, DSQ_OK);
    cr_assert_eq(stats().commit_errors, 3);
}

/* Fails with a marker in the batch, and one in the queue behind the commit. */
static void fail_under_two(void)
{
    fake_fail(store, FAKE_COMMIT, 0, FAKE_FOREVER, DSQ_ERR_CORRUPT);
    fake_trap(store, FAKE_AT_COMMIT);
    push("a", "1");
    cr_assert_eq(ask(1), DSQ_WOULD_BLOCK);
    fake_await_trapped(store, FAKE_AT_COMMIT);
    push("b", "1");
    cr_assert_eq(ask(2), DSQ_WOULD_BLOCK);
    fake_release(store, FAKE_AT_COMMIT);
    expect(1, DSQ_ERR_CORRUPT);
    expect(2, DSQ_ERR_CORRUPT);
}

Test(notify, a_store_that_fails_tells_everyone_who_asked)
{
    start(&manual);
    fail_under_two();
    cr_assert_eq(ask(3), DSQ_ERR_CORRUPT);
    cr_assert_not(is_announced(0));
}

Test(notify, after_resume_what_had_failed_is_committed_in_order_and_told_once)
{
    start(&manual);
    fail_under_two();
    cr_assert_eq(dsq_committer_resume(committer, &error), DSQ_ERR_CORRUPT);
    fake_heal(store);
    cr_assert_eq(dsq_committer_resume(committer, &error), DSQ_OK);
    push("c", "1");
    cr_assert_eq(ask(3), DSQ_WOULD_BLOCK);
    expect(3, DSQ_OK);
    /* What was carried over the failure need not wait for more. */
    cr_assert(strcmp(fake_log(store), "{a=1}{b=1 c=1}") == 0 ||
              strcmp(fake_log(store), "{a=1}{b=1}{c=1}") == 0);
    cr_assert_not(is_announced(0));
}

/* As after a failure that came between the look at the state and the push. */
Test(notify, a_marker_that_comes_too_late_for_the_failure_is_told_of_it)
{
    start(&manual);
    fail_under_two();
    for (uint64_t token = 3; token < 100; token++) {
        dsq_committer_push_weighted(committer, dsq_marker_new(dsq_notice_new(mailbox, token)), 0);
        dsq_event_signal(&committer->work);
        expect(token, DSQ_ERR_CORRUPT);
    }
}

Test(notify, a_record_that_a_failed_store_has_taken_wakes_the_thread_when_it_is_settled)
{
    start(&eager);
    fake_fail(store, FAKE_COMMIT, 0, FAKE_FOREVER, DSQ_ERR_CORRUPT);
    cr_assert_eq(wait_for(push("a", "1")), DSQ_ERR_CORRUPT);
    struct dsq_record *pending = make("b", "1");
    dsq_committer_push(committer, pending);
    dsq_event_signal(&committer->work);
    while (!dsq_mpsc_is_empty(&committer->queue)) {
        sched_yield();
    }
    fake_heal(store);
    cr_assert_eq(dsq_committer_resume(committer, &error), DSQ_OK);
    await_asleep();
    dsq_committer_settle(committer, pending);
    while (fake_commits(store) < 2) {
        sched_yield();
    }
    cr_assert_str_eq(fake_log(store), "{a=1}{b=1}");
}

Test(notify, who_gives_the_store_up_tells_those_who_asked)
{
    start(&manual);
    fake_trap(store, FAKE_AT_COMMIT);
    fake_fail(store, FAKE_COMMIT, 0, FAKE_FOREVER, DSQ_ERR_LOCKED);
    push("a", "1");
    cr_assert_eq(ask(1), DSQ_WOULD_BLOCK);
    fake_await_trapped(store, FAKE_AT_COMMIT);
    push("b", "1");
    cr_assert_eq(ask(2), DSQ_WOULD_BLOCK);
    fake_release(store, FAKE_AT_COMMIT);
    dsq_committer_destroy(committer);
    committer = NULL;
    expect(1, DSQ_ERR_CLOSED);
    expect(2, DSQ_ERR_CLOSED);
}

Test(notify, nobody_is_told_who_has_released_the_mailbox)
{
    start(&manual);
    fake_trap(store, FAKE_AT_COMMIT);
    push("a", "1");
    cr_assert_eq(ask(1), DSQ_WOULD_BLOCK);
    fake_await_trapped(store, FAKE_AT_COMMIT);
    dsq_mailbox_release(mailbox);
    fake_release(store, FAKE_AT_COMMIT);
    cr_assert_eq(flush(), DSQ_OK);
    cr_assert_eq(dsq_mailbox_new(&mailbox), DSQ_OK);
}

static void die(void *context, enum dsq_stage stage)
{
    if (stage == DSQ_STAGE_BEFORE_COMMIT) {
        dsq_hooks.stage = NULL;
        dsq_store_seq_cst((_Atomic bool *)context, true);
        pthread_exit(NULL);
    }
}

Test(notify, who_looks_now_and_then_hears_that_the_thread_has_died)
{
    static _Atomic bool dies;
    start(&manual);
    cr_assert_eq(dsq_committer_watch(committer, &error), DSQ_OK);
    dsq_hooks = (struct dsq_hooks){.stage = die, .context = (void *)&dies};
    push("a", "1");
    cr_assert_eq(ask(1), DSQ_WOULD_BLOCK);
    while (!dsq_load_seq_cst(&dies) || dsq_committer_watch(committer, &error) == DSQ_OK) {
        sched_yield();
    }
    expect(1, DSQ_ERR_INTERNAL);
    cr_assert_eq(ask(2), DSQ_ERR_INTERNAL);
    cr_assert_eq(dsq_committer_resume(committer, &error), DSQ_OK);
    cr_assert_eq(dsq_committer_watch(committer, &error), DSQ_OK);
    push("b", "1");
    cr_assert_eq(ask(3), DSQ_WOULD_BLOCK);
    expect(3, DSQ_OK);
    cr_assert(fake_has(store, "a", NULL) && fake_commits(store) == 2);
}
