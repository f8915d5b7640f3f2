#include "tests/bindings/fixture.h"

#include <fcntl.h>
#include <poll.h>

TestSuite(notify, .init = scratch_make, .fini = scratch_remove, .timeout = 60);

#define MANUAL ((struct dsq_options){.persist_mode = DSQ_MODE_LAZY, .manual_flush = 1})

static dsq_notifier *notifier;

static void make_notifier(void)
{
    CHECK(dsq_notifier_new(&notifier), DSQ_OK);
    cr_assert_neq(fcntl(dsq_notifier_descriptor(notifier), F_GETFD) & FD_CLOEXEC, 0);
}

static bool is_announced(int timeout_ms)
{
    struct pollfd polled = {.fd = dsq_notifier_descriptor(notifier), .events = POLLIN};
    return poll(&polled, 1, timeout_ms) == 1;
}

/* Waits for one completion. */
static struct dsq_completion await_completion(void)
{
    struct dsq_completion completion;
    while (dsq_notifier_take(notifier, &completion, 1) == 0) {
        cr_assert(is_announced(30000));
    }
    return completion;
}

Test(notify, a_submitted_write_is_on_disk_when_its_flush_has_completed)
{
    const int modes[] = {DSQ_MODE_WRITETHROUGH, DSQ_MODE_LAZY};
    make_notifier();
    for (size_t i = 0; i < 2; i++) {
        dsq_db *db = open_mode(modes[i]);
        CHECK(dsq_submit_put(db, "k", 1, modes[i] == DSQ_MODE_LAZY ? "l" : "w", 1), DSQ_OK);
        CHECK(dsq_flush_notify(db, notifier, 7 + i), DSQ_WOULD_BLOCK);
        struct dsq_completion completion = await_completion();
        cr_assert_eq(completion.token, 7 + i);
        CHECK(completion.error.status, DSQ_OK);
        dsq_abandon(db);
        db = open_mode(modes[i]);
        check_text(db, "k", modes[i] == DSQ_MODE_LAZY ? "l" : "w");
        CHECK(dsq_flush_notify(db, notifier, 9), DSQ_OK);
        CHECK(dsq_close(db), DSQ_OK);
    }
    cr_assert_not(is_announced(0));
    dsq_notifier_destroy(notifier);
}

Test(notify, in_memory_mode_there_is_nothing_to_wait_for)
{
    make_notifier();
    dsq_db *db = open_mode(DSQ_MODE_MEMORY);
    CHECK(put_text(db, "k", "v"), DSQ_OK);
    CHECK(dsq_flush_notify(db, notifier, 1), DSQ_OK);
    CHECK(dsq_watch(db), DSQ_OK);
    CHECK(dsq_close(db), DSQ_OK);
    dsq_notifier_destroy(notifier);
}

Test(notify, submitted_writes_of_one_flush_are_one_commit)
{
    struct dsq_stats stats;
    make_notifier();
    dsq_db *db = open_mode(DSQ_MODE_WRITETHROUGH);
    for (unsigned i = 0; i < 1000; i++) {
        const char *key = numbered_key(i);
        CHECK(dsq_submit_put(db, key, strlen(key), "v", 1), DSQ_OK);
    }
    CHECK(dsq_flush_notify(db, notifier, 1), DSQ_WOULD_BLOCK);
    CHECK(await_completion().error.status, DSQ_OK);
    dsq_stats(db, &stats);
    cr_assert_leq(stats.commits, 2, "%d", (int)stats.commits);
    cr_assert_eq(stats.durable_seq, 1000);
    CHECK(dsq_close(db), DSQ_OK);
    dsq_notifier_destroy(notifier);
}

Test(notify, one_notifier_serves_several_stores_and_hands_out_as_much_as_there_is_room_for)
{
    struct dsq_completion completions[4];
    dsq_db *dbs[2];
    uint64_t seen = 0;
    make_notifier();
    dbs[0] = open_with(MANUAL);
    strcat(scratch_path, "2");
    dbs[1] = open_with(MANUAL);
    for (unsigned token = 0; token < 40; token++) {
        CHECK(put_text(dbs[token % 2], "k", "v"), DSQ_OK);
        if (dsq_flush_notify(dbs[token % 2], notifier, token) == DSQ_OK) {
            seen |= UINT64_C(1) << token;
        }
    }
    while (seen != (UINT64_C(1) << 40) - 1) {
        cr_assert(is_announced(30000));
        size_t count = 4;
        while (count == 4) {
            count = dsq_notifier_take(notifier, completions, 4);
            for (size_t i = 0; i < count; i++) {
                cr_assert_eq(seen >> completions[i].token & 1, 0);
                seen |= UINT64_C(1) << completions[i].token;
            }
        }
    }
    CHECK(dsq_close(dbs[0]), DSQ_OK);
    CHECK(dsq_close(dbs[1]), DSQ_OK);
    dsq_notifier_destroy(notifier);
}

Test(notify, close_completes_and_abandon_tells_what_is_under_way)
{
    make_notifier();
    for (unsigned i = 0; i < 50; i++) {
        dsq_db *db = open_with(MANUAL);
        CHECK(put_text(db, "k", "v"), DSQ_OK);
        CHECK(dsq_flush_notify(db, notifier, i), DSQ_WOULD_BLOCK);
        if (i % 2 == 0) {
            CHECK(dsq_close(db), DSQ_OK);
        } else {
            dsq_abandon(db);
        }
        struct dsq_completion completion;
        cr_assert_eq(dsq_notifier_take(notifier, &completion, 1), 1);
        cr_assert_eq(completion.token, i);
        cr_assert(completion.error.status == DSQ_OK ||
                  (i % 2 == 1 && completion.error.status == DSQ_ERR_CLOSED));
    }
    dsq_notifier_destroy(notifier);
}

Test(notify, a_notifier_may_go_before_its_flush_has_ended)
{
    dsq_db *db = open_with(MANUAL);
    for (unsigned i = 0; i < 50; i++) {
        make_notifier();
        CHECK(put_text(db, "k", numbered_value(i)), DSQ_OK);
        CHECK(dsq_flush_notify(db, notifier, i), DSQ_WOULD_BLOCK);
        dsq_notifier_destroy(notifier);
    }
    CHECK(dsq_flush(db, -1), DSQ_OK);
    check_text(db, "k", numbered_value(49));
    CHECK(dsq_close(db), DSQ_OK);
}

Test(notify, a_store_that_has_failed_says_so)
{
    struct dsq_error error;
    make_notifier();
    dsq_db *db = open_with(MANUAL);
    CHECK(put_text(db, "k", "v"), DSQ_OK);
    CHECK(dsq_flush(db, -1), DSQ_OK);
    CHECK(dsq_watch(db), DSQ_OK);
    run_sqlite3("DELETE FROM kv");
    CHECK(put_text(db, "k", "w"), DSQ_OK);
    CHECK(dsq_flush_notify(db, notifier, 1), DSQ_WOULD_BLOCK);
    struct dsq_completion completion = await_completion();
    CHECK(completion.error.status, DSQ_ERR_CHANGED);
    cr_assert_neq(completion.error.message[0], '\0');
    CHECK(dsq_flush_notify(db, notifier, 2), DSQ_ERR_CHANGED);
    CHECK(dsq_watch(db), DSQ_ERR_CHANGED);
    dsq_last_error(db, &error);
    cr_assert_str_eq(error.message, completion.error.message);
    CHECK(dsq_resume(db), DSQ_OK);
    CHECK(dsq_watch(db), DSQ_OK);
    int status = dsq_flush_notify(db, notifier, 3);
    cr_assert(status == DSQ_OK || await_completion().token == 3);
    check_text(db, "k", "w");
    CHECK(dsq_close(db), DSQ_OK);
    dsq_notifier_destroy(notifier);
}

Test(notify, bad_arguments_are_refused)
{
    struct dsq_completion completion;
    dsq_db *db = open_with(MANUAL);
    make_notifier();
    CHECK(dsq_notifier_new(NULL), DSQ_ERR_INVALID);
    CHECK(dsq_flush_notify(db, NULL, 1), DSQ_ERR_INVALID);
    CHECK(dsq_flush_notify(NULL, notifier, 1), DSQ_ERR_INVALID);
    CHECK(dsq_watch(NULL), DSQ_ERR_INVALID);
    cr_assert_eq(dsq_notifier_descriptor(NULL), -1);
    cr_assert_eq(dsq_notifier_take(NULL, &completion, 1), 0);
    cr_assert_eq(dsq_notifier_take(notifier, NULL, 1), 0);
    cr_assert_eq(dsq_notifier_take(notifier, &completion, 0), 0);
    dsq_notifier_destroy(NULL);
    dsq_notifier_destroy(notifier);
    CHECK(dsq_close(db), DSQ_OK);
}

static dsq_db *inherited;

/* In a child: 0 if neither the store nor the notifier can be used, and another can. */
static int use_what_was_inherited(void)
{
    struct dsq_completion completion;
    dsq_notifier *own = NULL;
    if (dsq_flush_notify(inherited, notifier, 1) != DSQ_ERR_FORKED ||
        dsq_watch(inherited) != DSQ_ERR_FORKED ||
        dsq_notifier_take(notifier, &completion, 1) != 0 || dsq_notifier_new(&own) != DSQ_OK) {
        return 1;
    }
    dsq_db *db = open_mode(DSQ_MODE_MEMORY);
    if (dsq_flush_notify(db, notifier, 1) != DSQ_ERR_FORKED ||
        dsq_flush_notify(db, own, 1) != DSQ_OK) {
        return 2;
    }
    dsq_notifier_destroy(notifier);
    dsq_notifier_destroy(own);
    dsq_abandon(inherited);
    return dsq_close(db) == DSQ_OK ? 0 : 3;
}

Test(notify, a_forked_child_takes_nothing_from_its_parent)
{
    inherited = open_with(MANUAL);
    make_notifier();
    CHECK(put_text(inherited, "k", "v"), DSQ_OK);
    CHECK(dsq_flush_notify(inherited, notifier, 5), DSQ_WOULD_BLOCK);
    cr_assert_eq(exit_of(use_what_was_inherited), 0);
    cr_assert_eq(await_completion().token, 5);
    CHECK(dsq_close(inherited), DSQ_OK);
    dsq_notifier_destroy(notifier);
}
