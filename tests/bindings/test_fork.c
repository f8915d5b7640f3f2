#include "tests/bindings/fixture.h"

TestSuite(fork, .init = scratch_make, .fini = scratch_remove);

static dsq_db *db;

/* The number of the first call that does not refuse the inherited handle; 0 if all do. */
static int every_call_is_refused(void)
{
    void *value = NULL;
    size_t size;
    int ignored;
    uint64_t count;
    struct dsq_view view = {0};
    dsq_batch *batch = NULL;
    dsq_cursor *cursor = NULL;
    const int statuses[] = {
        put_text(db, "key", "child"),
        dsq_put_nowait(db, "key", 3, "child", 5),
        delete_text(db, "key"),
        dsq_delete_nowait(db, "key", 3),
        contains_text(db, "key"),
        dsq_get(db, "key", 3, &value, &size),
        dsq_view(db, "key", 3, &view),
        dsq_peek(db, "key", 3, NULL, NULL),
        dsq_pop(db, "key", 3, &value, &size),
        dsq_get_or_put(db, "key", 3, "child", 5, &value, &size),
        dsq_put_if_absent(db, "key", 3, "child", 5),
        dsq_replace(db, "key", 3, "child", 5),
        dsq_compare_and_swap(db, "key", 3, "parent", 6, "child", 5),
        dsq_compare_and_delete(db, "key", 3, "parent", 6),
        dsq_fetch_add(db, "key", 3, 1, NULL),
        dsq_multi_get(db, &(struct dsq_key){"key", 3}, 1, &view, &ignored),
        dsq_batch_new(db, &batch),
        dsq_cursor_open(db, NULL, &cursor),
        dsq_count(db, &count),
        dsq_flush(db, -1),
        dsq_resume(db),
        dsq_close(db),
    };
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        if (statuses[i] != DSQ_ERR_FORKED) {
            return (int)i + 1;
        }
    }
    return 0;
}

static int refuse_then_abandon(void)
{
    int refused = every_call_is_refused();
    dsq_abandon(db);
    return refused;
}

Test(fork, a_child_is_refused_by_every_call_on_the_handle_and_the_parent_goes_on)
{
    const int modes[] = {DSQ_MODE_WRITETHROUGH, DSQ_MODE_LAZY, DSQ_MODE_MEMORY};
    for (size_t i = 0; i < 3; i++) {
        db = open_mode(modes[i]);
        CHECK(put_text(db, "key", "parent"), DSQ_OK);
        cr_assert_eq(exit_of(refuse_then_abandon), 0);
        check_text(db, "key", "parent");
        CHECK(put_text(db, "key", "parent again"), DSQ_OK);
        CHECK(dsq_close(db), DSQ_OK);
    }
    db = open_mode(DSQ_MODE_WRITETHROUGH);
    check_text(db, "key", "parent again");
    CHECK(dsq_close(db), DSQ_OK);
}

static int open_own(void)
{
    char path[sizeof scratch_path + 8];
    dsq_db *own;
    snprintf(path, sizeof path, "%s-own", scratch_path);
    if (dsq_open(path, NULL, &own) != DSQ_OK) {
        return 1;
    }
    if (put_text(own, "key", "child") != DSQ_OK || contains_text(own, "key") != DSQ_OK) {
        return 2;
    }
    return dsq_close(own) == DSQ_OK ? 0 : 3;
}

Test(fork, a_child_can_open_a_file_of_its_own)
{
    db = open_mode(DSQ_MODE_LAZY);
    CHECK(put_text(db, "key", "parent"), DSQ_OK);
    cr_assert_eq(exit_of(open_own), 0);
    check_text(db, "key", "parent");
    CHECK(dsq_close(db), DSQ_OK);
}

static int open_same(void)
{
    dsq_db *own = NULL;
    int status = dsq_open(scratch_path, NULL, &own);
    return status == DSQ_ERR_LOCKED && own == NULL ? 0 : 1;
}

Test(fork, a_child_cannot_open_the_file_that_its_parent_owns)
{
    db = open_mode(DSQ_MODE_WRITETHROUGH);
    cr_assert_eq(exit_of(open_same), 0);
    CHECK(put_text(db, "key", "value"), DSQ_OK);
    CHECK(dsq_close(db), DSQ_OK);
}

static int abandon_then_open_same(void)
{
    dsq_abandon(db);
    return open_same();
}

Test(fork, abandoning_the_handle_in_a_child_does_not_give_the_lock_of_the_parent_up)
{
    db = open_mode(DSQ_MODE_WRITETHROUGH);
    cr_assert_eq(exit_of(abandon_then_open_same), 0);
    cr_assert_eq(exit_of(open_same), 0);
    CHECK(put_text(db, "key", "value"), DSQ_OK);
    CHECK(dsq_close(db), DSQ_OK);
}

static int abandon_with_open_view(void)
{
    dsq_abandon(db);
    return 0;
}

Test(fork, a_view_held_at_the_fork_stays_valid_in_the_parent)
{
    struct dsq_view view = {0};
    db = open_mode(DSQ_MODE_LAZY);
    CHECK(put_text(db, "key", "value"), DSQ_OK);
    CHECK(dsq_view(db, "key", 3, &view), DSQ_OK);
    cr_assert_eq(exit_of(abandon_with_open_view), 0);
    cr_assert_eq(memcmp(view.data, "value", 5), 0);
    dsq_view_release(db, &view);
    CHECK(dsq_close(db), DSQ_OK);
}
