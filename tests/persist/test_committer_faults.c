#include "persist/committer.h"

#include <pthread.h>

#include "persist/hooks.h"
#include "tests/persist/committer_fixture.h"

TestSuite(committer_faults, .init = make_store, .fini = remove_store, .timeout = 60);

Test(committer_faults, a_passing_error_costs_neither_data_nor_order)
{
    static const int statuses[] = {DSQ_ERR_FULL, DSQ_ERR_IO, DSQ_ERR_NOMEM, DSQ_ERR_LOCKED};
    start(&manual);
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        uint64_t before = fake_calls(store, FAKE_COMMIT);
        fake_fail(store, FAKE_COMMIT, 0, 2, statuses[i]);
        push("a", "1");
        push("a", "2");
        cr_assert_eq(flush(), DSQ_OK);
        cr_assert_eq(fake_calls(store, FAKE_COMMIT) - before, 3);
    }
    cr_assert_str_eq(fake_log(store), "{a=1 a=2}{a=1 a=2}{a=1 a=2}{a=1 a=2}");
    cr_assert_eq(stats().state, DSQ_COMMITTER_OPEN);
    cr_assert_eq(stats().last_error, DSQ_OK);
    cr_assert_eq(stats().commit_errors, 8);
}

Test(committer_faults, an_error_anywhere_in_a_transaction_begins_it_anew)
{
    static const enum fake_call calls[] = {FAKE_BEGIN, FAKE_JOURNAL_APPEND, FAKE_COMMIT};
    start(&manual);
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        fake_fail(store, calls[i], 0, 1, DSQ_ERR_IO);
        push("a", "1");
        push("b", NULL);
        cr_assert_eq(flush(), DSQ_OK);
    }
    cr_assert_str_eq(fake_log(store), "{a=1 -b}{a=1 -b}{a=1 -b}");
}

Test(committer_faults, an_error_anywhere_in_a_fold_repeats_its_step)
{
    static const enum fake_call calls[] = {FAKE_BEGIN, FAKE_PUT, FAKE_DEL, FAKE_FOLD_COMMIT,
                                           FAKE_JOURNAL_DROP};
    start(&manual);
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        push("a", "1");
        push("b", NULL);
        cr_assert_eq(flush(), DSQ_OK);
        fake_fail(store, calls[i], 0, 2, DSQ_ERR_FULL);
        cr_assert_eq(fold(), DSQ_OK);
    }
    cr_assert_str_eq(fake_kv_log(store), "(a=1 -b)(a=1 -b)(a=1 -b)(a=1 -b)(a=1 -b)");
    cr_assert_eq(fake_journal_rows(store), 0);
    cr_assert_eq(stats().commit_errors, 10);
    cr_assert_eq(stats().state, DSQ_COMMITTER_OPEN);
}

Test(committer_faults, a_fold_that_fails_for_good_keeps_the_journal_until_it_is_resumed)
{
    start(&eager);
    fake_fail(store, FAKE_PUT, 0, FAKE_FOREVER, DSQ_ERR_CORRUPT);
    struct dsq_record *record = push("a", "1");
    cr_assert_eq(wait_for(record), DSQ_OK);
    cr_assert_eq(dsq_committer_fold(committer, &error), DSQ_ERR_CORRUPT);
    cr_assert_eq(stats().state, DSQ_COMMITTER_FAILED);
    cr_assert_eq(dsq_record_state(record), DSQ_RECORD_DURABLE);
    cr_assert_eq(fake_journal_rows(store), 1);
    cr_assert_eq(dsq_committer_admit(committer, 1, false, &error), DSQ_ERR_CORRUPT);
    cr_assert_eq(dsq_committer_resume(committer, &error), DSQ_ERR_CORRUPT);
    fake_heal(store);
    cr_assert_eq(dsq_committer_resume(committer, &error), DSQ_OK);
    cr_assert_eq(dsq_committer_fold(committer, &error), DSQ_OK);
    cr_assert_str_eq(fake_kv_log(store), "(a=1)");
    cr_assert_eq(dsq_record_state(record), DSQ_RECORD_CLEAN);
}

Test(committer_faults, a_commit_of_unknown_outcome_is_executed_again_before_what_follows)
{
    start(&manual);
    fake_fail_after_commit(store, DSQ_ERR_IO);
    push("a", "1");
    push("b", "1");
    cr_assert_eq(flush(), DSQ_OK);
    cr_assert_str_eq(fake_log(store), "{a=1 b=1}{a=1 b=1}");
}

Test(committer_faults, while_a_commit_is_tried_again_the_state_says_so_and_nothing_overtakes)
{
    start(&eager);
    fake_fail(store, FAKE_COMMIT, 0, 1, DSQ_ERR_FULL);
    fake_trap(store, FAKE_AT_COMMIT);
    struct dsq_record *first = push("a", "1");
    fake_await_trapped(store, FAKE_AT_COMMIT);
    cr_assert_eq(stats().state, DSQ_COMMITTER_OPEN);
    fake_trap(store, FAKE_AT_COMMIT);
    push("a", "2");
    fake_release(store, FAKE_AT_COMMIT);
    fake_await_trapped(store, FAKE_AT_COMMIT);
    cr_assert_eq(stats().state, DSQ_COMMITTER_RETRYING);
    cr_assert_eq(stats().last_error, DSQ_ERR_FULL);
    cr_assert_eq(dsq_record_state(first), DSQ_RECORD_READY);
    /* Writers are let in as long as there is room. */
    struct dsq_record *last = push("b", "1");
    fake_release(store, FAKE_AT_COMMIT);
    cr_assert_eq(wait_for(last), DSQ_OK);
    cr_assert_str_eq(fake_log(store), "{a=1}{a=2 b=1}");
    cr_assert_eq(stats().state, DSQ_COMMITTER_OPEN);
}

/* Brings the store down with an error that no second attempt will cure; a=1 is in the batch. */
static struct dsq_record *fail_for_good(void)
{
    fake_fail(store, FAKE_COMMIT, 0, FAKE_FOREVER, DSQ_ERR_CORRUPT);
    struct dsq_record *record = push("a", "1");
    cr_assert_eq(wait_for(record), DSQ_ERR_CORRUPT);
    return record;
}

Test(committer_faults, after_a_fatal_error_everyone_hears_of_it)
{
    start(&eager);
    struct dsq_record *record = fail_for_good();
    for (int i = 0; i < 2; i++) {
        error = (struct dsq_error){0};
        cr_assert_eq(flush(), DSQ_ERR_CORRUPT);
        cr_assert_eq(error.status, DSQ_ERR_CORRUPT);
        cr_assert_str_eq(error.message, "planned fault -6");
        cr_assert_eq(wait_for(record), DSQ_ERR_CORRUPT);
        cr_assert_eq(dsq_committer_admit(committer, 1, false, &error), DSQ_ERR_CORRUPT);
        cr_assert_eq(dsq_committer_admit(committer, 1, true, &error), DSQ_ERR_CORRUPT);
        cr_assert_eq(checkpoint(), DSQ_ERR_CORRUPT);
    }
    cr_assert_eq(stats().state, DSQ_COMMITTER_FAILED);
    cr_assert_eq(stats().last_error, DSQ_ERR_CORRUPT);
    cr_assert_eq(stats().commit_errors, 1);
    cr_assert_not(dsq_committer_is_idle(committer));
}

Test(committer_faults, resume_with_the_cause_still_there_fails_with_its_error)
{
    start(&eager);
    fail_for_good();
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(dsq_committer_resume(committer, &error), DSQ_ERR_CORRUPT);
        cr_assert_eq(stats().state, DSQ_COMMITTER_FAILED);
    }
    fake_fail(store, FAKE_COMMIT, 0, FAKE_FOREVER, DSQ_ERR_FULL);
    cr_assert_eq(dsq_committer_resume(committer, &error), DSQ_ERR_FULL);
    cr_assert_eq(flush(), DSQ_ERR_FULL);
    cr_assert_eq(fake_commits(store), 0);
}

Test(committer_faults, resume_after_the_cure_commits_what_was_held_in_order)
{
    start(&eager);
    struct dsq_record *held_back = fail_for_good();
    /* Admitted before the failure, queued after it. */
    struct dsq_record *late = make("a", "2");
    dsq_committer_push(committer, late);
    dsq_committer_settle(committer, late);
    cr_assert_eq(wait_for(late), DSQ_ERR_CORRUPT);
    fake_heal(store);
    cr_assert_eq(dsq_committer_resume(committer, &error), DSQ_OK);
    cr_assert_eq(wait_for(held_back), DSQ_OK);
    cr_assert_eq(wait_for(late), DSQ_OK);
    cr_assert_str_eq(fake_log(store), "{a=1}{a=2}");
    cr_assert_eq(stats().state, DSQ_COMMITTER_OPEN);
    cr_assert_eq(flush(), DSQ_OK);
    cr_assert_eq(dsq_committer_resume(committer, &error), DSQ_OK);
}

Test(committer_faults, a_store_that_failed_can_fail_again_after_it_was_resumed)
{
    start(&eager);
    fail_for_good();
    fake_heal(store);
    cr_assert_eq(dsq_committer_resume(committer, &error), DSQ_OK);
    fail_for_good();
    cr_assert_eq(dsq_committer_resume(committer, &error), DSQ_ERR_CORRUPT);
    fake_heal(store);
    cr_assert_eq(dsq_committer_resume(committer, &error), DSQ_OK);
    cr_assert_str_eq(fake_log(store), "{a=1}{a=1}");
}

Test(committer_faults, an_error_that_does_not_pass_fails_the_store_in_the_end)
{
    start(&eager);
    fake_fail(store, FAKE_COMMIT, 0, FAKE_FOREVER, DSQ_ERR_IO);
    cr_assert_eq(wait_for(push("a", "1")), DSQ_ERR_IO);
    cr_assert_eq(stats().state, DSQ_COMMITTER_FAILED);
    cr_assert_gt(stats().commit_errors, 2);
}

struct asker {
    pthread_t thread;
    uint64_t bytes;
    int status;
    _Atomic bool done;
};

static void *ask_for_room(void *argument)
{
    struct asker *asker = argument;
    asker->status = dsq_committer_admit(committer, asker->bytes, false, NULL);
    dsq_store_seq_cst(&asker->done, true);
    return NULL;
}

/* Starts a thread that asks for room and waits until it has found none. */
static void ask_in_vain(struct asker *asker)
{
    dsq_and_seq_cst(&committer->demand, ~DEMAND_COMMIT);
    pthread_create(&asker->thread, NULL, ask_for_room, asker);
    while (!dsq_load_seq_cst(&asker->done) && !demands_commit()) {
        sched_yield();
    }
    cr_assert_not(dsq_load_seq_cst(&asker->done));
}

/* Stops the thread within the commit of a record that fills a queue of 100 bytes. */
static const struct dsq_committer_config narrow = {.queue_bytes = 100};

static void fill_queue(void)
{
    fake_trap(store, FAKE_AT_COMMIT);
    push("a", "a value that fills the queue, or the better part of it");
    fake_await_trapped(store, FAKE_AT_COMMIT);
}

Test(committer_faults, a_full_queue_admits_nobody_until_a_commit_makes_room)
{
    struct asker asker = {.bytes = 50};
    start(&narrow);
    fill_queue();
    cr_assert_eq(dsq_committer_admit(committer, 50, true, &error), DSQ_WOULD_BLOCK);
    ask_in_vain(&asker);
    cr_assert_eq(stats().queued_bytes, 32 + 1 + 54);
    fake_release(store, FAKE_AT_COMMIT);
    pthread_join(asker.thread, NULL);
    cr_assert_eq(asker.status, DSQ_OK);
    cr_assert_eq(fake_commits(store), 1);
    dsq_committer_refund(committer, 50);
    cr_assert_eq(stats().queued_bytes, 0);
}

Test(committer_faults, a_refund_makes_room_as_well)
{
    struct asker asker = {.bytes = 50};
    start(&narrow);
    fill_queue();
    dsq_committer_refund(committer, 50); /* on behalf of a writer that gave up */
    cr_assert_eq(dsq_committer_admit(committer, 50, true, &error), DSQ_OK);
    ask_in_vain(&asker);
    dsq_committer_refund(committer, 50);
    pthread_join(asker.thread, NULL);
    cr_assert_eq(asker.status, DSQ_OK);
    fake_release(store, FAKE_AT_COMMIT);
    cr_assert_eq(flush(), DSQ_OK);
}

Test(committer_faults, a_request_larger_than_the_queue_is_admitted_when_the_queue_is_empty)
{
    start(&narrow);
    cr_assert_eq(dsq_committer_queue_bytes(committer), 100);
    cr_assert_eq(dsq_committer_admit(committer, 1000, true, &error), DSQ_OK);
    cr_assert_eq(dsq_committer_admit(committer, 1, true, &error), DSQ_WOULD_BLOCK);
    dsq_committer_refund(committer, 1000);
    cr_assert_eq(dsq_committer_admit(committer, 1, true, &error), DSQ_OK);
}

Test(committer_faults, while_somebody_waits_nobody_is_let_in_above_the_low_water_mark)
{
    struct asker asker = {.bytes = 50};
    start(&narrow);
    fake_trap(store, FAKE_AT_COMMIT);
    push("a", "1"); /* 34 bytes */
    fake_await_trapped(store, FAKE_AT_COMMIT);
    cr_assert_eq(dsq_committer_admit(committer, 56, true, &error), DSQ_OK);
    ask_in_vain(&asker);
    dsq_and_seq_cst(&committer->demand, ~DEMAND_COMMIT);
    dsq_committer_refund(committer, 30);
    while (!demands_commit()) { /* it has looked again, and waits again */
        sched_yield();
    }
    cr_assert_eq(dsq_committer_admit(committer, 5, true, &error), DSQ_WOULD_BLOCK);
    dsq_committer_refund(committer, 20);
    pthread_join(asker.thread, NULL);
    cr_assert_eq(asker.status, DSQ_OK);
    cr_assert_eq(stats().queued_bytes, 90);
    cr_assert_eq(dsq_committer_admit(committer, 5, true, &error), DSQ_OK);
    fake_release(store, FAKE_AT_COMMIT);
    cr_assert_eq(flush(), DSQ_OK);
}

Test(committer_faults, those_who_wait_for_room_hear_of_a_fatal_error)
{
    struct asker asker = {.bytes = 50};
    start(&narrow);
    fake_fail(store, FAKE_COMMIT, 0, FAKE_FOREVER, DSQ_ERR_CORRUPT);
    fill_queue();
    ask_in_vain(&asker);
    fake_release(store, FAKE_AT_COMMIT);
    pthread_join(asker.thread, NULL);
    cr_assert_eq(asker.status, DSQ_ERR_CORRUPT);
}

Test(committer_faults, without_a_timer_a_full_queue_starts_a_commit)
{
    struct asker asker = {.bytes = 50};
    struct dsq_committer_config config = narrow;
    config.lazy = true;
    start(&config);
    push("a", "a value that fills the queue, or the better part of it");
    pthread_create(&asker.thread, NULL, ask_for_room, &asker);
    pthread_join(asker.thread, NULL);
    cr_assert_eq(asker.status, DSQ_OK);
    cr_assert_eq(fake_commits(store), 1);
}

Test(committer_faults, without_a_timer_a_full_queue_starts_a_commit_of_what_is_pushed_later)
{
    struct asker asker = {.bytes = 50};
    struct dsq_committer_config config = narrow;
    config.lazy = true;
    start(&config);
    struct dsq_record *record = make("a", "a value that fills the queue, or the better part of it");
    cr_assert_eq(dsq_committer_admit(committer, dsq_record_bytes(record), false, &error), DSQ_OK);
    pthread_create(&asker.thread, NULL, ask_for_room, &asker);
    /* The writer that was admitted is slow: its push comes after the demand was answered. */
    while (dsq_load_seq_cst(&committer->room_waiters) == 0 || demands_commit() ||
           dsq_load_seq_cst(&committer->sleep) != SLEEP_IDLE) {
        sched_yield();
    }
    dsq_committer_push(committer, record);
    dsq_committer_settle(committer, record);
    pthread_join(asker.thread, NULL);
    cr_assert_eq(asker.status, DSQ_OK);
}

Test(committer_faults, while_room_cannot_be_made_nobody_spins)
{
    struct asker asker = {.bytes = 50};
    start(&narrow);
    cr_assert_eq(dsq_committer_admit(committer, 90, false, &error), DSQ_OK);
    pthread_create(&asker.thread, NULL, ask_for_room, &asker);
    while (dsq_load_seq_cst(&committer->room_waiters) == 0 || demands_commit() ||
           dsq_load_seq_cst(&committer->sleep) != SLEEP_IDLE) {
        sched_yield();
    }
    uint32_t ticket = dsq_event_ticket(&committer->room);
    for (int i = 0; i < 1000; i++) {
        sched_yield();
    }
    cr_assert_eq(dsq_event_ticket(&committer->room), ticket);
    dsq_committer_refund(committer, 90);
    pthread_join(asker.thread, NULL);
    cr_assert_eq(asker.status, DSQ_OK);
}

static const struct dsq_committer_config prompt = {.lazy = true,
                                                   .timer = true,
                                                   .flush_interval_ms = 1000,
                                                   .slack_ms = 1000,
                                                   .buffer_size = 1000,
                                                   .queue_bytes = 1 << 20};

Test(committer_faults, what_is_held_behind_an_open_group_ages)
{
    start(&prompt);
    struct dsq_group *group = dsq_group_begin();
    push_node(group, make("a", "1"), make("b", "1"));
    push("c", "1");
    cr_assert_eq(dsq_committer_flush(committer, dsq_now_ns(), &error), DSQ_ERR_TIMEOUT);
    await_asleep();
    cr_assert_neq(dsq_load_relaxed(&committer->oldest_ns), 0);
    dsq_group_end(committer, group);
    cr_assert_eq(flush(), DSQ_OK);
    await_asleep();
    cr_assert_eq(dsq_load_relaxed(&committer->oldest_ns), 0);
    dsq_group_release(committer, group);
}

/* Stops the thread within a commit and makes what it commits older than promised. */
static void make_overdue(void)
{
    fake_trap(store, FAKE_AT_COMMIT);
    push("a", "1");
    cr_assert_eq(dsq_committer_flush(committer, dsq_now_ns(), &error), DSQ_ERR_TIMEOUT);
    fake_await_trapped(store, FAKE_AT_COMMIT);
    dsq_store_relaxed(&committer->oldest_ns, 1);
}

Test(committer_faults, lazy_writers_wait_while_the_oldest_write_is_overdue)
{
    struct asker asker = {.bytes = 50};
    start(&prompt);
    cr_assert_eq(dsq_committer_admit(committer, 1, true, &error), DSQ_OK);
    make_overdue();
    cr_assert_eq(dsq_committer_admit(committer, 1, true, &error), DSQ_WOULD_BLOCK);
    ask_in_vain(&asker);
    fake_release(store, FAKE_AT_COMMIT);
    pthread_join(asker.thread, NULL);
    cr_assert_eq(asker.status, DSQ_OK);
    cr_assert_eq(fake_commits(store), 1);
}

Test(committer_faults, a_long_checkpoint_after_an_overdue_commit_leaves_nobody_waiting)
{
    struct asker asker = {.bytes = 50};
    start(&prompt);
    fake_set_wal_bytes(store, UINT64_C(1) << 30);
    make_overdue();
    ask_in_vain(&asker);
    dsq_and_seq_cst(&committer->demand, ~DEMAND_COMMIT);
    fake_trap(store, FAKE_AT_CHECKPOINT);
    fake_release(store, FAKE_AT_COMMIT);
    fake_await_trapped(store, FAKE_AT_CHECKPOINT);
    /* It has been woken by the bytes given back, and has looked again. */
    while (!dsq_load_seq_cst(&asker.done) && !demands_commit()) {
        sched_yield();
    }
    fake_release(store, FAKE_AT_CHECKPOINT);
    pthread_join(asker.thread, NULL);
    cr_assert_eq(asker.status, DSQ_OK);
}

/* remove_store destroys the committer; the leak sanitizer judges. */
Test(committer_faults, what_is_queued_and_carried_goes_with_the_committer)
{
    start(&manual);
    push_pending("a", "frozen");
    push("b", "1");
    cr_assert_eq(flush(), DSQ_OK);
    push("c", "1");
    struct dsq_group *open = dsq_group_begin();
    push_node(open, make("d", "1"), make("e", "1"));
    dsq_group_release(committer, open);
    struct dsq_group *ended = dsq_group_begin();
    push_node(ended, make("f", "1"), make("g", "1"));
    dsq_group_end(committer, ended);
    dsq_group_release(committer, ended);
    cr_assert_str_eq(fake_log(store), "{b=1}");
}

Test(committer_faults, a_batch_that_failed_goes_with_the_committer)
{
    start(&eager);
    fake_fail(store, FAKE_COMMIT, 0, FAKE_FOREVER, DSQ_ERR_CORRUPT);
    struct dsq_group *group = dsq_group_begin();
    push_node(group, make("a", "1"), make("b", "1"));
    dsq_group_end(committer, group);
    cr_assert_eq(dsq_group_wait(committer, group, DSQ_NO_DEADLINE, &error), DSQ_ERR_CORRUPT);
    dsq_group_release(committer, group);
    cr_assert_eq(fake_commits(store), 0);
}

Test(committer_faults, a_committer_that_is_retrying_can_be_destroyed)
{
    start(&eager);
    fake_fail(store, FAKE_COMMIT, 0, FAKE_FOREVER, DSQ_ERR_LOCKED);
    push("a", "1");
    while (stats().state != DSQ_COMMITTER_RETRYING) {
        sched_yield();
    }
}

Test(committer_faults, what_another_program_wrote_fails_the_store_until_it_is_resumed)
{
    start(&eager);
    fake_fail(store, FAKE_BEGIN, 0, 1, DSQ_ERR_CHANGED);
    struct dsq_record *record = push("a", "1");
    cr_assert_eq(wait_for(record), DSQ_ERR_CHANGED);
    cr_assert_eq(stats().state, DSQ_COMMITTER_FAILED);
    cr_assert_eq(dsq_committer_resume(committer, &error), DSQ_OK);
    cr_assert_eq(wait_for(record), DSQ_OK);
    cr_assert_eq(fake_calls(store, FAKE_ACCEPT_CHANGES), 1);
    cr_assert_str_eq(fake_log(store), "{a=1}");
}

/* Ends the thread at the first time that it comes to the stage. */
static void die_at(void *context, enum dsq_stage stage)
{
    if (stage == *(enum dsq_stage *)context) {
        dsq_hooks.stage = NULL;
        pthread_exit(NULL);
    }
}

Test(committer_faults, a_thread_that_dies_is_noticed_and_another_goes_on_where_it_was)
{
    static const enum dsq_stage stages[] = {
        DSQ_STAGE_DRAINED, DSQ_STAGE_BEFORE_COMMIT, DSQ_STAGE_COMMITTED, DSQ_STAGE_ACKNOWLEDGED,
        DSQ_STAGE_FOLDING, DSQ_STAGE_SLICED,        DSQ_STAGE_FOLDED,    DSQ_STAGE_CHECKPOINT};
    start(&eager);
    for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++) {
        enum dsq_stage stage = stages[i];
        uint64_t before_ns = dsq_now_ns();
        fake_set_wal_bytes(store, stage == DSQ_STAGE_CHECKPOINT ? UINT64_C(1) << 30 : 0);
        dsq_hooks = (struct dsq_hooks){.stage = die_at, .context = &stage};
        push("a", "1");
        struct dsq_record *last = push("b", NULL);
        int status = fold();
        if (status == DSQ_OK) {
            /* It died after that, and somebody else hears of it. */
            status = checkpoint();
        }
        cr_assert_eq(status, DSQ_ERR_INTERNAL, "at stage %d: %d", (int)stage, status);
        cr_assert_lt(dsq_now_ns() - before_ns, DSQ_NS_PER_S, "stage %d", (int)stage);
        cr_assert_eq(stats().state, DSQ_COMMITTER_FAILED);
        cr_assert_eq(dsq_committer_admit(committer, 1, false, &error), DSQ_ERR_INTERNAL);
        cr_assert_eq(dsq_committer_resume(committer, &error), DSQ_OK);
        cr_assert_eq(fold(), DSQ_OK);
        cr_assert_eq(wait_for(last), DSQ_OK);
        cr_assert(fake_has(store, "a", "1") && fake_has(store, "b", NULL));
        cr_assert_eq(fake_journal_rows(store), 0);
        cr_assert_eq(stats().queued_bytes, 0);
        cr_assert_eq(stats().durable_seq, 2 * (i + 1));
        cr_assert(dsq_committer_is_idle(committer) && dsq_committer_is_folded(committer));
    }
}

Test(committer_faults, those_who_wait_for_room_hear_of_a_thread_that_died)
{
    enum dsq_stage stage = DSQ_STAGE_BEFORE_COMMIT;
    struct asker asker = {.bytes = 50};
    start(&narrow);
    dsq_hooks = (struct dsq_hooks){.stage = die_at, .context = &stage};
    push("a", "a value that fills the queue, or the better part of it");
    pthread_create(&asker.thread, NULL, ask_for_room, &asker);
    pthread_join(asker.thread, NULL);
    cr_assert_eq(asker.status, DSQ_ERR_INTERNAL);
    cr_assert_eq(dsq_committer_revive(committer, &error), DSQ_OK);
    cr_assert_eq(flush(), DSQ_OK);
}
