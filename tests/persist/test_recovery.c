#include "persist/recovery.h"

#include <criterion/criterion.h>

#include "persist/journal.h"
#include "tests/persist/store_fixture.h"

TestSuite(recovery, .init = scratch_make, .fini = scratch_remove, .timeout = 60);

static struct dsq_journal_row row;

static void add(const char *key, const char *value)
{
    struct dsq_record *record =
        dsq_record_new(value != NULL ? DSQ_RECORD_VALUE : DSQ_RECORD_TOMBSTONE, DSQ_RECORD_READY, 1,
                       0, text(key), text(value != NULL ? value : ""));
    cr_assert(dsq_journal_row_add(&row, record));
    dsq_record_free(record);
}

/* Commits what was added as one row. */
static void commit_row(struct dsq_store *store, uint64_t number)
{
    begin(store);
    cr_assert_eq(
        store->ops->journal_append(store, number, dsq_journal_row_seal(&row, number), &error),
        DSQ_OK);
    commit(store);
    dsq_journal_row_clear(&row);
}

static void recover(struct dsq_store *store)
{
    cr_assert_eq(dsq_recover(store, &error), DSQ_OK, "%s", error.message);
}

Test(recovery, folds_what_the_journal_holds_in_its_order)
{
    struct dsq_store *store = open_default();
    store_row(store, 1, "a", "old");
    begin(store);
    cr_assert_eq(store->ops->journal_drop(store, 1, &error), DSQ_OK);
    commit(store);
    add("a", "1");
    add("b", "1");
    add("c", "1");
    commit_row(store, 4);
    add("b", NULL);
    add("a", "2");
    commit_row(store, 6);
    cr_assert_eq(dsq_recovery_is_needed(store, &error), DSQ_EXISTS);
    recover(store);
    cr_assert_eq(dsq_recovery_is_needed(store, &error), DSQ_OK);
    cr_assert(has_row(store, "a", "2"));
    cr_assert(has_row(store, "b", NULL));
    cr_assert(has_row(store, "c", "1"));
    cr_assert_eq(store->ops->count(store), 2);
    cr_assert_eq(store->ops->seq(store), 6);
    must_close(store);
    cr_assert_str_eq(sqlite_says("db", "SELECT count(*) FROM journal"), "0");
    cr_assert_str_eq(sqlite_says("db", "SELECT value FROM meta WHERE name = 'seq'"), "6");
    dsq_journal_row_fini(&row);
}

Test(recovery, of_an_empty_journal_writes_nothing)
{
    struct dsq_store *store = open_default();
    recover(store);
    cr_assert_eq(store->ops->wal_bytes(store), 0);
    must_close(store);
}

Test(recovery, can_be_done_again_over_what_it_has_applied)
{
    struct dsq_store *store = open_default();
    for (uint64_t rounds = 0; rounds < 2; rounds++) {
        add("a", "1");
        add("b", "1");
        commit_row(store, 3 * rounds + 2);
        add("a", NULL);
        commit_row(store, 3 * rounds + 3);
        /* As if the slices had been committed and the crash had come before the rows went. */
        begin(store);
        del(store, "a");
        put(store, "b", "1");
        commit(store);
        recover(store);
        cr_assert(has_row(store, "a", NULL) && has_row(store, "b", "1"));
        cr_assert_eq(store->ops->count(store), 1);
    }
    must_close(store);
    dsq_journal_row_fini(&row);
}

Test(recovery, goes_through_a_long_journal_in_portions)
{
    enum { ROWS = 90, VALUE = 1 << 20 };
    static char value[VALUE + 1];
    struct dsq_store *store = open_default();
    memset(value, 'v', VALUE);
    for (unsigned i = 0; i < ROWS; i++) {
        char key[16];
        snprintf(key, sizeof key, "%u", i % 60);
        value[0] = (char)('0' + i / 60);
        add(key, value);
        commit_row(store, i + 1);
    }
    recover(store);
    cr_assert_eq(store->ops->count(store), 60);
    value[0] = '1';
    cr_assert(has_row(store, "29", value));
    value[0] = '0';
    cr_assert(has_row(store, "30", value));
    must_close(store);
    dsq_journal_row_fini(&row);
}

Test(recovery, a_damaged_row_is_named_and_nothing_after_it_is_touched)
{
    struct dsq_store *store = open_default();
    add("a", "1");
    commit_row(store, 1);
    begin(store);
    append(store, 2, "this is no batch");
    commit(store);
    add("a", "3");
    commit_row(store, 3);
    cr_assert_eq(dsq_recover(store, &error), DSQ_ERR_CORRUPT);
    cr_assert_str_eq(error.message, "row 2 of the journal is damaged");
    must_close(store);
    cr_assert_str_eq(sqlite_says("db", "SELECT count(*) FROM journal"), "3");
    dsq_journal_row_fini(&row);
}
