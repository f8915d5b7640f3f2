#include "tests/bindings/fixture.h"

TestSuite(modes, .init = scratch_make, .fini = scratch_remove);

/* Stores, changes and deletes; reopens, and finds just that. */
static void check_persistence(struct dsq_options options)
{
    dsq_db *db = open_with(options);
    put_numbered(db, 300);
    CHECK(put_text(db, numbered_key(10), "changed"), DSQ_OK);
    CHECK(delete_text(db, numbered_key(20)), DSQ_OK);
    CHECK(dsq_put(db, NULL, 0, "of the empty key", 16), DSQ_OK);
    CHECK(dsq_close(db), DSQ_OK);

    db = open_with(options);
    uint64_t count;
    CHECK(dsq_count(db, &count), DSQ_OK);
    cr_assert_eq(count, 300);
    check_text(db, numbered_key(10), "changed");
    CHECK(contains_text(db, numbered_key(20)), DSQ_ABSENT);
    check_bytes(db, "", 0, "of the empty key", 16);
    check_text(db, numbered_key(299), numbered_value(299));
    CHECK(delete_text(db, numbered_key(299)), DSQ_OK);
    CHECK(delete_text(db, numbered_key(20)), DSQ_ABSENT);
    CHECK(dsq_close(db), DSQ_OK);

    db = open_with(options);
    CHECK(contains_text(db, numbered_key(299)), DSQ_ABSENT);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(modes, writethrough_keeps_everything_across_a_reopen)
{
    check_persistence((struct dsq_options){.persist_mode = DSQ_MODE_WRITETHROUGH});
}

Test(modes, writethrough_with_synchronous_normal_keeps_everything_across_a_reopen)
{
    check_persistence((struct dsq_options){.synchronous = DSQ_SYNCHRONOUS_NORMAL});
}

Test(modes, lazy_keeps_everything_across_a_reopen)
{
    check_persistence((struct dsq_options){.persist_mode = DSQ_MODE_LAZY});
}

Test(modes, a_tiny_hot_tier_keeps_everything_across_a_reopen)
{
    check_persistence((struct dsq_options){.persist_mode = DSQ_MODE_LAZY, .hot_capacity = 1});
    unlink(scratch_path);
    check_persistence((struct dsq_options){.hot_capacity = 1});
}

Test(modes, a_hot_tier_bounded_in_bytes_keeps_everything_across_a_reopen)
{
    check_persistence((struct dsq_options){.persist_mode = DSQ_MODE_LAZY, .hot_bytes = 4096});
}

Test(modes, a_small_queue_only_makes_writers_wait)
{
    check_persistence((struct dsq_options){.persist_mode = DSQ_MODE_LAZY, .queue_bytes = 4096});
}

Test(modes, one_mode_reads_what_another_wrote)
{
    dsq_db *db = open_mode(DSQ_MODE_LAZY);
    put_numbered(db, 50);
    CHECK(dsq_close(db), DSQ_OK);
    db = open_mode(DSQ_MODE_WRITETHROUGH);
    check_numbered(db, 50);
    CHECK(dsq_close(db), DSQ_OK);
}

static void write_through_and_leave(void)
{
    dsq_db *db;
    if (dsq_open(scratch_path, NULL, &db) != DSQ_OK) {
        _exit(1);
    }
    for (unsigned i = 0; i < 50; i++) {
        if (put_text(db, numbered_key(i), numbered_value(i)) != DSQ_OK) {
            _exit(1);
        }
    }
    if (put_text(db, "deleted", "") != DSQ_OK || delete_text(db, "deleted") != DSQ_OK) {
        _exit(1);
    }
}

Test(modes, a_writethrough_write_survives_a_kill_right_after)
{
    cr_assert(killed_after(write_through_and_leave));
    dsq_db *db = open_mode(DSQ_MODE_WRITETHROUGH);
    check_numbered(db, 50);
    CHECK(contains_text(db, "deleted"), DSQ_ABSENT);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(modes, a_hot_tier_far_smaller_than_the_data_reads_through)
{
    struct dsq_options options = {.persist_mode = DSQ_MODE_LAZY, .hot_capacity = 20};
    struct dsq_stats stats;
    dsq_db *db = open_with(options);
    put_numbered(db, 3000);
    CHECK(dsq_close(db), DSQ_OK);
    db = open_with(options);
    check_numbered(db, 3000);
    check_numbered(db, 3000);
    CHECK(contains_text(db, "absent"), DSQ_ABSENT);
    dsq_stats(db, &stats);
    cr_assert_leq(stats.hot_records, 20 + 8);
    cr_assert_geq(stats.evictions, 6000 - 28);
    cr_assert_geq(stats.misses, 6000);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(modes, a_changed_cold_record_is_never_seen_in_its_old_state)
{
    dsq_db *db = open_with((struct dsq_options){.persist_mode = DSQ_MODE_LAZY, .hot_capacity = 4});
    put_numbered(db, 200);
    for (unsigned i = 0; i < 200; i++) {
        check_text(db, numbered_key(i), numbered_value(i));
        CHECK(put_text(db, numbered_key(i), "changed"), DSQ_OK);
        check_text(db, numbered_key(i), "changed");
        if (i % 2 == 0) {
            CHECK(delete_text(db, numbered_key(i)), DSQ_OK);
        }
    }
    for (unsigned i = 0; i < 200; i++) {
        if (i % 2 == 0) {
            CHECK(contains_text(db, numbered_key(i)), DSQ_ABSENT);
        } else {
            check_text(db, numbered_key(i), "changed");
        }
    }
    CHECK(dsq_close(db), DSQ_OK);
}

Test(modes, memory_mode_evicts_when_its_hot_tier_is_full)
{
    dsq_db *db =
        open_with((struct dsq_options){.persist_mode = DSQ_MODE_MEMORY, .hot_capacity = 100});
    struct dsq_stats stats;
    uint64_t count;
    put_numbered(db, 10000);
    dsq_stats(db, &stats);
    cr_assert_leq(stats.hot_records, 100 + 8 + 1);
    cr_assert_geq(stats.evictions, 10000 - 109);
    CHECK(dsq_count(db, &count), DSQ_OK);
    cr_assert_leq(count, 109);
    cr_assert_gt(count, 50);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(modes, memory_mode_without_a_bound_keeps_everything)
{
    dsq_db *db = open_with(
        (struct dsq_options){.persist_mode = DSQ_MODE_MEMORY, .hot_capacity = DSQ_UNBOUNDED});
    put_numbered(db, 20000);
    check_numbered(db, 20000);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(modes, memory_mode_writes_no_file_even_with_a_path)
{
    dsq_db *db = open_mode(DSQ_MODE_MEMORY);
    put_numbered(db, 10);
    CHECK(dsq_close(db), DSQ_OK);
    cr_assert_neq(access(scratch_path, F_OK), 0);
}

Test(modes, two_handles_on_two_files_do_not_meet)
{
    dsq_db *first = open_mode(DSQ_MODE_LAZY);
    strcat(scratch_path, "2");
    dsq_db *second = open_mode(DSQ_MODE_WRITETHROUGH);
    CHECK(put_text(first, "key", "1"), DSQ_OK);
    CHECK(put_text(second, "key", "2"), DSQ_OK);
    check_text(first, "key", "1");
    check_text(second, "key", "2");
    CHECK(dsq_close(first), DSQ_OK);
    check_text(second, "key", "2");
    CHECK(dsq_close(second), DSQ_OK);
}
