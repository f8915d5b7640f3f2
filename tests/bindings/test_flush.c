#include "tests/bindings/fixture.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

TestSuite(flush, .init = scratch_make, .fini = scratch_remove);

#define MANUAL                                                                                     \
    ((struct dsq_options){.persist_mode = DSQ_MODE_LAZY, .manual_flush = 1, .hot_capacity = 1000})

static void put_and_flush_and_put(void)
{
    struct dsq_options options = MANUAL;
    dsq_db *db;
    if (dsq_open(scratch_path, &options, &db) != DSQ_OK ||
        put_text(db, "before", "flush") != DSQ_OK || dsq_flush(db, -1) != DSQ_OK ||
        put_text(db, "after", "flush") != DSQ_OK || put_text(db, "before", "lost") != DSQ_OK) {
        _exit(1);
    }
}

Test(flush, what_was_written_before_a_flush_survives_a_kill_and_what_came_later_need_not)
{
    cr_assert(killed_after(put_and_flush_and_put));
    dsq_db *db = open_with(MANUAL);
    check_text(db, "before", "flush");
    CHECK(contains_text(db, "after"), DSQ_ABSENT);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(flush, close_is_a_flush)
{
    dsq_db *db = open_with(MANUAL);
    CHECK(put_text(db, "key", "value"), DSQ_OK);
    CHECK(dsq_close(db), DSQ_OK);
    db = open_with(MANUAL);
    check_text(db, "key", "value");
    CHECK(dsq_close(db), DSQ_OK);
}

Test(flush, abandon_is_not_a_flush)
{
    dsq_db *db = open_with(MANUAL);
    CHECK(put_text(db, "kept", "value"), DSQ_OK);
    CHECK(dsq_flush(db, -1), DSQ_OK);
    CHECK(put_text(db, "lost", "value"), DSQ_OK);
    dsq_abandon(db);
    db = open_with(MANUAL);
    check_text(db, "kept", "value");
    CHECK(contains_text(db, "lost"), DSQ_ABSENT);
    CHECK(dsq_close(db), DSQ_OK);
}

static bool all_durable(dsq_db *db)
{
    struct dsq_stats stats;
    dsq_stats(db, &stats);
    return stats.commits > 0 && stats.queued_bytes == 0;
}

/* Lets other threads run until everything is on disk, within a time far beyond any interval. */
static void await_durable(dsq_db *db)
{
    time_t deadline = time(NULL) + 60;
    while (!all_durable(db) && time(NULL) < deadline) {
        sched_yield();
    }
    cr_assert(all_durable(db));
}

Test(flush, a_lazy_write_reaches_the_disk_by_itself)
{
    dsq_db *db =
        open_with((struct dsq_options){.persist_mode = DSQ_MODE_LAZY, .flush_interval_ms = 10});
    CHECK(put_text(db, "key", "value"), DSQ_OK);
    await_durable(db);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(flush, a_full_buffer_starts_a_commit_before_the_interval_is_over)
{
    dsq_db *db = open_with((struct dsq_options){
        .persist_mode = DSQ_MODE_LAZY, .flush_interval_ms = 1000 * 1000, .buffer_size = 10});
    put_numbered(db, 10);
    struct dsq_stats stats = {0};
    time_t deadline = time(NULL) + 60;
    while (stats.commits == 0 && time(NULL) < deadline) {
        dsq_stats(db, &stats);
        sched_yield();
    }
    cr_assert_gt(stats.commits, 0);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(flush, a_flush_of_nothing_succeeds_in_every_mode)
{
    const int modes[] = {DSQ_MODE_WRITETHROUGH, DSQ_MODE_LAZY, DSQ_MODE_MEMORY};
    for (size_t i = 0; i < 3; i++) {
        dsq_db *db = open_mode(modes[i]);
        CHECK(dsq_flush(db, -1), DSQ_OK);
        CHECK(dsq_flush(db, 60 * 1000), DSQ_OK);
        CHECK(dsq_close(db), DSQ_OK);
    }
}

Test(flush, a_flush_that_ran_out_of_time_leaves_the_data_to_a_later_one)
{
    dsq_db *db = open_with(MANUAL);
    put_numbered(db, 500);
    int status = dsq_flush(db, 0);
    cr_assert(status == DSQ_OK || status == DSQ_ERR_TIMEOUT);
    CHECK(dsq_flush(db, -1), DSQ_OK);
    await_durable(db);
    check_numbered(db, 500);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(flush, resuming_a_healthy_store_changes_nothing)
{
    dsq_db *db = open_mode(DSQ_MODE_WRITETHROUGH);
    CHECK(put_text(db, "key", "value"), DSQ_OK);
    CHECK(dsq_resume(db), DSQ_OK);
    check_text(db, "key", "value");
    CHECK(dsq_close(db), DSQ_OK);
}

Test(flush, is_empty_follows_puts_and_deletes_without_a_flush)
{
    for (int mode = DSQ_MODE_WRITETHROUGH; mode <= DSQ_MODE_MEMORY; mode++) {
        int empty = 0;
        dsq_db *db = open_mode(mode);
        CHECK(dsq_is_empty(db, &empty), DSQ_OK);
        cr_assert_eq(empty, 1);
        CHECK(put_text(db, "key", "value"), DSQ_OK);
        CHECK(dsq_is_empty(db, &empty), DSQ_OK);
        cr_assert_eq(empty, 0);
        CHECK(delete_text(db, "key"), DSQ_OK);
        CHECK(dsq_is_empty(db, &empty), DSQ_OK);
        cr_assert_eq(empty, 1);
        CHECK(dsq_close(db), DSQ_OK);
    }
}

Test(flush, is_empty_knows_what_is_cold_and_what_is_deleted_but_not_yet_committed)
{
    dsq_db *db = open_mode(DSQ_MODE_WRITETHROUGH);
    int empty = 1;
    CHECK(put_text(db, "cold", "value"), DSQ_OK);
    CHECK(dsq_close(db), DSQ_OK);
    db = open_with(MANUAL);
    CHECK(put_text(db, "hot", "value"), DSQ_OK);
    CHECK(delete_text(db, "hot"), DSQ_OK);
    CHECK(dsq_is_empty(db, &empty), DSQ_OK);
    cr_assert_eq(empty, 0);
    CHECK(delete_text(db, "cold"), DSQ_OK);
    CHECK(dsq_is_empty(db, &empty), DSQ_OK);
    cr_assert_eq(empty, 1);
    struct dsq_stats stats;
    dsq_stats(db, &stats);
    cr_assert_eq(stats.commits, 0);
    CHECK(dsq_close(db), DSQ_OK);
}

static atomic_bool turns_end;

/* One of two keys is there at any time. */
static void *take_turns(void *argument)
{
    dsq_db *db = argument;
    for (int i = 0; i < 100000; i++) {
        CHECK(put_text(db, i % 2 == 0 ? "b" : "a", "value"), DSQ_OK);
        CHECK(delete_text(db, i % 2 == 0 ? "a" : "b"), DSQ_OK);
    }
    atomic_store(&turns_end, true);
    return NULL;
}

Test(flush, is_empty_is_never_said_of_a_store_whose_keys_take_turns)
{
    pthread_t thread;
    int empty = 0;
    dsq_db *db = open_mode(DSQ_MODE_LAZY);
    CHECK(put_text(db, "a", "value"), DSQ_OK);
    CHECK(dsq_close(db), DSQ_OK);
    /* Opened anew: what is not hot may be on disk. */
    db = open_mode(DSQ_MODE_LAZY);
    cr_assert_eq(pthread_create(&thread, NULL, take_turns, db), 0);
    while (!atomic_load(&turns_end) && empty == 0) {
        CHECK(dsq_is_empty(db, &empty), DSQ_OK);
    }
    pthread_join(thread, NULL);
    cr_assert_eq(empty, 0);
    CHECK(dsq_close(db), DSQ_OK);
}

static void check_count(dsq_db *db, uint64_t expected)
{
    uint64_t count = expected + 1;
    CHECK(dsq_count(db, &count), DSQ_OK);
    cr_assert_eq(count, expected);
}

Test(flush, count_follows_puts_and_deletes_in_every_mode)
{
    const int modes[] = {DSQ_MODE_WRITETHROUGH, DSQ_MODE_LAZY, DSQ_MODE_MEMORY};
    for (size_t i = 0; i < 3; i++) {
        unlink(scratch_path);
        dsq_db *db = open_mode(modes[i]);
        check_count(db, 0);
        CHECK(put_text(db, "a", "1"), DSQ_OK);
        CHECK(put_text(db, "b", "2"), DSQ_OK);
        CHECK(put_text(db, "a", "3"), DSQ_OK);
        check_count(db, 2);
        CHECK(delete_text(db, "a"), DSQ_OK);
        CHECK(delete_text(db, "a"), DSQ_ABSENT);
        check_count(db, 1);
        CHECK(dsq_close(db), DSQ_OK);
    }
}

Test(flush, count_is_right_when_most_records_are_cold)
{
    struct dsq_options options = {.persist_mode = DSQ_MODE_LAZY, .hot_capacity = 10};
    dsq_db *db = open_with(options);
    put_numbered(db, 1000);
    check_count(db, 1000);
    CHECK(delete_text(db, numbered_key(500)), DSQ_OK);
    check_count(db, 999);
    CHECK(dsq_close(db), DSQ_OK);
    db = open_with(options);
    check_count(db, 999);
    CHECK(put_text(db, numbered_key(500), "again"), DSQ_OK);
    CHECK(put_text(db, numbered_key(1), "again"), DSQ_OK);
    check_count(db, 1000);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(flush, stats_tell_hits_misses_and_evictions)
{
    struct dsq_stats before, after;
    struct dsq_options options = {.persist_mode = DSQ_MODE_WRITETHROUGH, .hot_capacity = 10};
    dsq_db *db = open_with(options);
    put_numbered(db, 100);
    CHECK(dsq_close(db), DSQ_OK);
    db = open_with(options);
    check_text(db, numbered_key(0), numbered_value(0));
    dsq_stats(db, &before);
    cr_assert_geq(before.misses, 1);
    check_text(db, numbered_key(0), numbered_value(0));
    dsq_stats(db, &after);
    cr_assert_eq(after.misses, before.misses);
    cr_assert_eq(after.hits, before.hits + 1);
    check_numbered(db, 100);
    dsq_stats(db, &after);
    cr_assert_geq(after.misses, before.misses + 90);
    cr_assert_gt(after.evictions, before.evictions);
    cr_assert_geq(after.table_slots, after.hot_records);
    cr_assert_leq(after.hot_records, 10 + 8);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(flush, stats_tell_what_was_committed)
{
    struct dsq_stats stats;
    dsq_db *db = open_mode(DSQ_MODE_WRITETHROUGH);
    put_numbered(db, 10);
    dsq_stats(db, &stats);
    cr_assert_geq(stats.commits, 1);
    cr_assert_geq(stats.durable_seq, 10);
    cr_assert_leq(stats.durable_seq, stats.seq);
    cr_assert_eq(stats.commit_errors, 0);
    cr_assert_eq(stats.last_error, DSQ_OK);
    cr_assert_eq(stats.state, DSQ_STATE_OPEN);
    cr_assert(!stats.records_known || stats.records == 10);
    cr_assert_eq(stats.hot_records, 10);
    cr_assert_gt(stats.hot_bytes, 10 * strlen(numbered_value(0)));
    CHECK(dsq_close(db), DSQ_OK);
}

Test(flush, the_last_error_is_none_until_a_call_fails)
{
    struct dsq_error error = {.status = 1};
    dsq_db *db = open_mode(DSQ_MODE_MEMORY);
    CHECK(contains_text(db, "absence is no error"), DSQ_ABSENT);
    dsq_last_error(db, &error);
    cr_assert_eq(error.status, DSQ_OK);
    CHECK(dsq_put(db, "x", DSQ_KEY_SIZE_MAX + 1, "v", 1), DSQ_ERR_TOO_BIG);
    dsq_last_error(db, &error);
    cr_assert_eq(error.status, DSQ_ERR_TOO_BIG);
    CHECK(put_text(db, "key", "value"), DSQ_OK);
    dsq_last_error(db, &error);
    cr_assert_eq(error.status, DSQ_ERR_TOO_BIG);
    CHECK(dsq_close(db), DSQ_OK);
}

/* ---- writes that are submitted ---- */

Test(flush, a_submitted_write_is_visible_at_once_and_on_disk_after_a_flush)
{
    dsq_db *db = open_mode(DSQ_MODE_WRITETHROUGH);
    CHECK(dsq_put_nowait(db, "k", 1, "v", 1), DSQ_WOULD_BLOCK);
    CHECK(dsq_submit_put(db, "k", 1, "v", 1), DSQ_OK);
    CHECK(dsq_submit_put(db, "k", 1, "v2", 2), DSQ_OK);
    CHECK(dsq_submit_put(db, "gone", 4, "v", 1), DSQ_OK);
    check_bytes(db, "k", 1, "v2", 2);
    CHECK(dsq_submit_delete(db, "gone", 4), DSQ_OK);
    CHECK(dsq_submit_delete(db, "gone", 4), DSQ_ABSENT);
    CHECK(contains_text(db, "gone"), DSQ_ABSENT);
    CHECK(dsq_flush(db, -1), DSQ_OK);
    dsq_abandon(db);
    db = open_mode(DSQ_MODE_WRITETHROUGH);
    check_bytes(db, "k", 1, "v2", 2);
    CHECK(contains_text(db, "gone"), DSQ_ABSENT);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(flush, a_submitted_write_never_waits)
{
    static char value[100000];
    struct dsq_options options = {.hot_capacity = 8, .queue_bytes = 1000000};
    dsq_db *db = open_with(options);
    int submitted = 0;
    for (int i = 0; i < 100; i++) {
        char key[24];
        snprintf(key, sizeof key, "cold %d", i);
        CHECK(put_text(db, key, "v"), DSQ_OK);
    }
    CHECK(dsq_close(db), DSQ_OK);
    db = open_with(options);
    /* Whether the key is there is on the disk. */
    CHECK(dsq_submit_delete(db, "cold 1", 6), DSQ_WOULD_BLOCK);
    CHECK(dsq_delete(db, "cold 1", 6), DSQ_OK);
    /* There is room for ten of these before the disk has one. */
    while (submitted < 1000 && dsq_submit_put(db, "k", 1, value, sizeof value) == DSQ_OK) {
        submitted++;
    }
    cr_assert_geq(submitted, 9);
    CHECK(dsq_flush(db, -1), DSQ_OK);
    CHECK(dsq_submit_put(db, NULL, 1, "v", 1), DSQ_ERR_INVALID);
    CHECK(dsq_close(db), DSQ_OK);
    db = open_with((struct dsq_options){.readonly = 1});
    CHECK(dsq_submit_put(db, "k", 1, "v", 1), DSQ_ERR_READONLY);
    CHECK(dsq_submit_delete(db, "k", 1), DSQ_ERR_READONLY);
    CHECK(dsq_close(db), DSQ_OK);
}
