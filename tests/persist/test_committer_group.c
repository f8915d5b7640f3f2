#include "persist/committer.h"

#include "tests/persist/committer_fixture.h"

TestSuite(committer_group, .init = make_store, .fini = remove_store, .timeout = 60);

static int wait_for_group(const struct dsq_group *group)
{
    return dsq_group_wait(committer, group, DSQ_NO_DEADLINE, &error);
}

Test(committer_group, is_committed_in_one_transaction_with_what_lies_between_its_nodes)
{
    start(&eager);
    struct dsq_group *group = dsq_group_begin();
    push_node(group, make("a", "1"), make("b", "1"));
    push("m", "1");
    push_node(group, make("c", "1"), make("a", NULL));
    await_asleep();
    dsq_group_end(committer, group);
    cr_assert_eq(wait_for_group(group), DSQ_OK);
    cr_assert_str_eq(fake_log(store), "{a=1 b=1 m=1 c=1 -a}");
    cr_assert_eq(store->ops->seq(store), 5);
    dsq_group_release(committer, group);
}

Test(committer_group, that_is_not_ended_holds_itself_and_what_came_after)
{
    start(&eager);
    push("z", "1");
    struct dsq_group *group = dsq_group_begin();
    push_node(group, make("a", "1"), make("b", "1"));
    struct dsq_record *after = push("y", "1");
    await_asleep();
    cr_assert_str_eq(fake_log(store), "{z=1}");
    cr_assert_eq(dsq_committer_flush(committer, dsq_now_ns(), &error), DSQ_ERR_TIMEOUT);
    await_asleep();
    cr_assert_str_eq(fake_log(store), "{z=1}");
    dsq_group_end(committer, group);
    cr_assert_eq(wait_for(after), DSQ_OK);
    cr_assert_str_eq(fake_log(store), "{z=1}{a=1 b=1 y=1}");
    dsq_group_release(committer, group);
}

Test(committer_group, overlapping_groups_are_committed_together_when_both_have_ended)
{
    start(&eager);
    struct dsq_group *first = dsq_group_begin();
    struct dsq_group *second = dsq_group_begin();
    push_node(first, make("a", "1"), make("b", "1"));
    push_node(second, make("c", "1"), make("d", "1"));
    push_node(first, make("e", "1"), make("a", "2"));
    dsq_group_end(committer, first);
    await_asleep();
    cr_assert_eq(fake_calls(store, FAKE_BEGIN), 0);
    push_node(second, make("f", "1"), make("c", "2"));
    dsq_group_end(committer, second);
    cr_assert_eq(wait_for_group(first), DSQ_OK);
    cr_assert_eq(wait_for_group(second), DSQ_OK);
    cr_assert_str_eq(fake_log(store), "{a=1 b=1 c=1 d=1 e=1 a=2 f=1 c=2}");
    dsq_group_release(committer, first);
    dsq_group_release(committer, second);
}

Test(committer_group, ended_groups_go_ahead_of_one_that_is_open)
{
    start(&manual);
    struct dsq_group *ended = dsq_group_begin();
    struct dsq_group *open = dsq_group_begin();
    push_node(ended, make("a", "1"), make("b", "1"));
    dsq_group_end(committer, ended);
    cr_assert_eq(flush(), DSQ_OK);
    push_node(open, make("c", "1"), make("d", "1"));
    cr_assert_eq(wait_for_group(ended), DSQ_OK);
    cr_assert_str_eq(fake_log(store), "{a=1 b=1}");
    dsq_group_end(committer, open);
    cr_assert_eq(flush(), DSQ_OK);
    cr_assert_str_eq(fake_log(store), "{a=1 b=1}{c=1 d=1}");
    dsq_group_release(committer, ended);
    dsq_group_release(committer, open);
}

Test(committer_group, void_records_of_a_group_are_left_out)
{
    start(&eager);
    struct dsq_group *group = dsq_group_begin();
    struct dsq_record *failed = make("a", "never");
    dsq_record_move(failed, DSQ_RECORD_PENDING, DSQ_RECORD_VOID);
    push_node(group, failed, make("b", "1"));
    push_node(group, make("a", "again"), make("c", "1"));
    dsq_group_end(committer, group);
    cr_assert_eq(wait_for_group(group), DSQ_OK);
    cr_assert_str_eq(fake_log(store), "{b=1 a=again c=1}");
    await_asleep();
    cr_assert(dsq_committer_is_idle(committer));
    dsq_group_release(committer, group);
}

Test(committer_group, without_nodes_is_durable_at_once)
{
    start(&eager);
    struct dsq_group *group = dsq_group_begin();
    dsq_group_end(committer, group);
    cr_assert_eq(wait_for_group(group), DSQ_OK);
    dsq_group_release(committer, group);
}

Test(committer_group, a_group_is_tried_again_whole_after_an_error)
{
    start(&manual);
    fake_fail(store, FAKE_JOURNAL_APPEND, 0, 1, DSQ_ERR_FULL);
    struct dsq_group *group = dsq_group_begin();
    push_node(group, make("a", "1"), make("b", "1"));
    push_node(group, make("c", "1"), make("d", "1"));
    dsq_group_end(committer, group);
    cr_assert_eq(flush(), DSQ_OK);
    cr_assert_str_eq(fake_log(store), "{a=1 b=1 c=1 d=1}");
    cr_assert_eq(stats().commit_errors, 1);
    dsq_group_release(committer, group);
}

/* A committer whose thread's steps the test makes itself. */
static void make_without_thread(void)
{
    committer = aligned_alloc(DSQ_CACHE_LINE_BYTES, sizeof *committer);
    cr_assert_not_null(committer);
    memset(committer, 0, sizeof *committer);
    committer->config = eager;
    committer->store = store;
    committer->map = &map;
    dsq_mpsc_init(&committer->queue);
    dsq_event_init(&committer->work);
    dsq_event_init(&committer->progress);
    dsq_event_init(&committer->room);
}

Test(committer_group, nodes_pushed_after_the_take_are_fetched_when_the_group_has_ended)
{
    make_without_thread();
    struct dsq_group *group = dsq_group_begin();
    push_node(group, make("a", "1"), make("b", "1"));
    cr_assert_eq(dsq_batch_collect(committer, &error), DSQ_OK);
    cr_assert_eq(committer->batch.count, 0);
    cr_assert_not(dsq_batch_carry_is_ready(committer));
    push_node(group, make("c", "1"), make("d", "1"));
    dsq_group_end(committer, group);
    cr_assert(dsq_batch_carry_is_ready(committer));
    cr_assert_eq(dsq_batch_collect(committer, &error), DSQ_OK);
    cr_assert_eq(dsq_batch_write(committer, &error), DSQ_OK);
    dsq_batch_finish(committer);
    cr_assert_str_eq(fake_log(store), "{a=1 b=1 c=1 d=1}");
    dsq_group_release(committer, group);
    dsq_batch_discard(committer);
    dsq_journal_row_fini(&committer->row);
    free(committer->batch.records);
    free(committer);
    committer = NULL;
}
