#include "tests/bindings/fixture.h"

static dsq_db *db;
static dsq_batch *batch;

static void open_store(void)
{
    scratch_make();
    db = open_with((struct dsq_options){.queue_bytes = 64 * 1024});
    CHECK(dsq_batch_new(db, &batch), DSQ_OK);
}

static void close_store(void)
{
    dsq_batch_destroy(batch);
    CHECK(dsq_close(db), DSQ_OK);
    scratch_remove();
}

TestSuite(batch, .init = open_store, .fini = close_store);

static int batch_put_text(const char *key, const char *value)
{
    return dsq_batch_put(batch, key, strlen(key), value, strlen(value));
}

static int batch_delete_text(const char *key)
{
    return dsq_batch_delete(batch, key, strlen(key));
}

Test(batch, a_batch_shows_nothing_before_its_commit)
{
    CHECK(put_text(db, "b", "0"), DSQ_OK);
    CHECK(batch_put_text("a", "1"), DSQ_OK);
    CHECK(batch_delete_text("b"), DSQ_OK);
    cr_assert_eq(dsq_batch_count(batch), 2);
    CHECK(contains_text(db, "a"), DSQ_ABSENT);
    CHECK(contains_text(db, "b"), DSQ_OK);
    CHECK(dsq_batch_commit(batch), DSQ_OK);
    check_text(db, "a", "1");
    CHECK(contains_text(db, "b"), DSQ_ABSENT);
}

Test(batch, the_last_operation_on_a_key_counts)
{
    CHECK(put_text(db, "c", "0"), DSQ_OK);
    CHECK(batch_put_text("a", "1"), DSQ_OK);
    CHECK(batch_put_text("a", "2"), DSQ_OK);
    CHECK(batch_put_text("b", "1"), DSQ_OK);
    CHECK(batch_delete_text("b"), DSQ_OK);
    CHECK(batch_delete_text("c"), DSQ_OK);
    CHECK(batch_put_text("c", "3"), DSQ_OK);
    CHECK(dsq_batch_commit(batch), DSQ_OK);
    check_text(db, "a", "2");
    CHECK(contains_text(db, "b"), DSQ_ABSENT);
    check_text(db, "c", "3");
}

Test(batch, deleting_an_absent_key_is_no_error)
{
    CHECK(batch_delete_text("a"), DSQ_OK);
    CHECK(dsq_batch_commit(batch), DSQ_OK);
    CHECK(contains_text(db, "a"), DSQ_ABSENT);
}

Test(batch, an_empty_batch_commits)
{
    CHECK(dsq_batch_commit(batch), DSQ_OK);
    cr_assert_eq(dsq_batch_count(batch), 0);
}

Test(batch, a_batch_can_be_committed_again)
{
    CHECK(batch_put_text("a", "1"), DSQ_OK);
    CHECK(dsq_batch_commit(batch), DSQ_OK);
    CHECK(delete_text(db, "a"), DSQ_OK);
    CHECK(dsq_batch_commit(batch), DSQ_OK);
    check_text(db, "a", "1");
}

Test(batch, a_cleared_batch_is_empty)
{
    CHECK(batch_put_text("a", "1"), DSQ_OK);
    dsq_batch_clear(batch);
    cr_assert_eq(dsq_batch_count(batch), 0);
    CHECK(batch_put_text("b", "2"), DSQ_OK);
    CHECK(dsq_batch_commit(batch), DSQ_OK);
    CHECK(contains_text(db, "a"), DSQ_ABSENT);
    check_text(db, "b", "2");
}

Test(batch, keys_and_values_are_copied)
{
    char key[] = "a";
    char value[] = "1";
    CHECK(batch_put_text(key, value), DSQ_OK);
    key[0] = 'x';
    value[0] = 'x';
    CHECK(dsq_batch_commit(batch), DSQ_OK);
    check_text(db, "a", "1");
    CHECK(contains_text(db, "x"), DSQ_ABSENT);
}

Test(batch, the_empty_key_and_zero_bytes_can_be_batched)
{
    CHECK(dsq_batch_put(batch, NULL, 0, NULL, 0), DSQ_OK);
    CHECK(dsq_batch_put(batch, "a\0b", 3, "\0", 1), DSQ_OK);
    CHECK(dsq_batch_commit(batch), DSQ_OK);
    check_bytes(db, "", 0, "", 0);
    check_bytes(db, "a\0b", 3, "\0", 1);
}

Test(batch, what_is_over_a_limit_is_not_added)
{
    CHECK(dsq_batch_put(batch, "x", DSQ_KEY_SIZE_MAX + 1, "v", 1), DSQ_ERR_TOO_BIG);
    CHECK(dsq_batch_put(batch, "x", 1, "v", DSQ_VALUE_SIZE_MAX + 1), DSQ_ERR_TOO_BIG);
    CHECK(dsq_batch_delete(batch, "x", DSQ_KEY_SIZE_MAX + 1), DSQ_ERR_TOO_BIG);
    cr_assert_eq(dsq_batch_count(batch), 0);
}

Test(batch, a_batch_larger_than_the_queue_is_refused_whole)
{
    static char value[16 * 1024];
    for (unsigned i = 0; i < 8; i++) {
        const char *key = numbered_key(i);
        CHECK(dsq_batch_put(batch, key, strlen(key), value, sizeof value), DSQ_OK);
    }
    CHECK(dsq_batch_commit(batch), DSQ_ERR_TOO_BIG);
    for (unsigned i = 0; i < 8; i++) {
        CHECK(contains_text(db, numbered_key(i)), DSQ_ABSENT);
    }
}

Test(batch, a_large_batch_fits_a_tiny_hot_tier)
{
    dsq_batch_destroy(batch);
    CHECK(dsq_close(db), DSQ_OK);
    db = open_with((struct dsq_options){.hot_capacity = 4});
    CHECK(dsq_batch_new(db, &batch), DSQ_OK);
    for (unsigned i = 0; i < 1000; i++) {
        CHECK(batch_put_text(numbered_key(i), numbered_value(i)), DSQ_OK);
    }
    CHECK(dsq_batch_commit(batch), DSQ_OK);
    check_numbered(db, 1000);
}

Test(batch, null_where_none_may_be_is_refused)
{
    dsq_batch *other = NULL;
    CHECK(dsq_batch_new(NULL, &other), DSQ_ERR_INVALID);
    CHECK(dsq_batch_new(db, NULL), DSQ_ERR_INVALID);
    CHECK(dsq_batch_put(batch, NULL, 1, "v", 1), DSQ_ERR_INVALID);
    CHECK(dsq_batch_put(batch, "k", 1, NULL, 1), DSQ_ERR_INVALID);
    dsq_batch_destroy(NULL);
}

Test(batch, entries_are_written_as_a_batch_of_them_is)
{
    struct dsq_entry entries[] = {
        {.key = "a", .key_size = 1, .value = "first", .value_size = 5},
        {.key = "gone", .key_size = 4, .is_delete = 1},
        {.key = "a", .key_size = 1, .value = "last", .value_size = 4},
        {.key = "empty", .key_size = 5},
    };
    CHECK(put_text(db, "gone", "value"), DSQ_OK);
    CHECK(dsq_multi_write(db, entries, 4), DSQ_OK);
    check_bytes(db, "a", 1, "last", 4);
    check_bytes(db, "empty", 5, "", 0);
    CHECK(contains_text(db, "gone"), DSQ_ABSENT);
    CHECK(dsq_multi_write(db, NULL, 0), DSQ_OK);
}

Test(batch, of_entries_that_cannot_be_none_is_written)
{
    struct dsq_entry entries[] = {
        {.key = "a", .key_size = 1, .value = "value", .value_size = 5},
        {.key = "b", .key_size = DSQ_KEY_SIZE_MAX + 1},
    };
    CHECK(dsq_multi_write(db, entries, 2), DSQ_ERR_TOO_BIG);
    entries[1] = (struct dsq_entry){.key = "b", .key_size = 1, .value_size = 1};
    CHECK(dsq_multi_write(db, entries, 2), DSQ_ERR_INVALID);
    CHECK(dsq_multi_write(db, NULL, 1), DSQ_ERR_INVALID);
    CHECK(dsq_multi_write(NULL, entries, 1), DSQ_ERR_INVALID);
    CHECK(contains_text(db, "a"), DSQ_ABSENT);
}

static void commit_batch_and_leave(void)
{
    dsq_db *own;
    dsq_batch *many;
    if (dsq_open(scratch_path, NULL, &own) != DSQ_OK || dsq_batch_new(own, &many) != DSQ_OK) {
        _exit(1);
    }
    for (unsigned i = 0; i < 100; i++) {
        const char *key = numbered_key(i);
        const char *value = numbered_value(i);
        dsq_batch_put(many, key, strlen(key), value, strlen(value));
    }
    if (dsq_batch_commit(many) != DSQ_OK) {
        _exit(1);
    }
}

TestSuite(batch_durability, .init = scratch_make, .fini = scratch_remove);

Test(batch_durability, a_committed_batch_survives_a_kill)
{
    cr_assert(killed_after(commit_batch_and_leave));
    db = open_mode(DSQ_MODE_DEFAULT);
    check_numbered(db, 100);
    CHECK(dsq_close(db), DSQ_OK);
}
