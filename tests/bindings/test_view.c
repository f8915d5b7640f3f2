#include "tests/bindings/fixture.h"

TestSuite(view, .init = scratch_make, .fini = scratch_remove);

static void check_view(const struct dsq_view *view, const char *expected)
{
    cr_assert_eq(view->size, strlen(expected));
    cr_assert_eq(memcmp(view->data, expected, view->size), 0);
}

Test(view, a_view_outlives_overwriting_and_deletion)
{
    struct dsq_view view = {0};
    dsq_db *db = open_mode(DSQ_MODE_WRITETHROUGH);
    CHECK(put_text(db, "key", "first"), DSQ_OK);
    CHECK(dsq_view(db, "key", 3, &view), DSQ_OK);
    CHECK(put_text(db, "key", "second"), DSQ_OK);
    check_view(&view, "first");
    check_text(db, "key", "second");
    CHECK(delete_text(db, "key"), DSQ_OK);
    check_view(&view, "first");
    dsq_view_release(db, &view);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(view, a_view_outlives_eviction)
{
    struct dsq_view view = {0};
    dsq_db *db =
        open_with((struct dsq_options){.persist_mode = DSQ_MODE_MEMORY, .hot_capacity = 8});
    CHECK(put_text(db, "key", "value"), DSQ_OK);
    CHECK(dsq_view(db, "key", 3, &view), DSQ_OK);
    put_numbered(db, 2000);
    CHECK(contains_text(db, "key"), DSQ_ABSENT);
    check_view(&view, "value");
    dsq_view_release(db, &view);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(view, one_record_can_be_viewed_several_times)
{
    struct dsq_view first = {0};
    struct dsq_view second = {0};
    dsq_db *db = open_mode(DSQ_MODE_LAZY);
    CHECK(put_text(db, "key", "value"), DSQ_OK);
    CHECK(dsq_view(db, "key", 3, &first), DSQ_OK);
    CHECK(dsq_view(db, "key", 3, &second), DSQ_OK);
    dsq_view_release(db, &first);
    CHECK(put_text(db, "key", "other"), DSQ_OK);
    check_view(&second, "value");
    dsq_view_release(db, &second);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(view, a_record_read_from_the_disk_can_be_viewed)
{
    struct dsq_view view = {0};
    struct dsq_options options = {.hot_capacity = 4};
    dsq_db *db = open_with(options);
    put_numbered(db, 100);
    CHECK(dsq_close(db), DSQ_OK);
    db = open_with(options);
    CHECK(dsq_view(db, numbered_key(7), strlen(numbered_key(7)), &view), DSQ_OK);
    check_numbered(db, 100);
    check_view(&view, numbered_value(7));
    dsq_view_release(db, &view);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(view, an_absent_key_has_no_view)
{
    struct dsq_view view = {0};
    dsq_db *db = open_mode(DSQ_MODE_MEMORY);
    CHECK(dsq_view(db, "key", 3, &view), DSQ_ABSENT);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(view, releasing_a_zeroed_view_does_nothing)
{
    struct dsq_view view = {0};
    dsq_db *db = open_mode(DSQ_MODE_MEMORY);
    dsq_view_release(db, &view);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(view, a_store_with_an_open_view_cannot_be_closed_and_stays_usable)
{
    struct dsq_view view = {0};
    dsq_db *db = open_mode(DSQ_MODE_WRITETHROUGH);
    CHECK(put_text(db, "key", "value"), DSQ_OK);
    CHECK(dsq_view(db, "key", 3, &view), DSQ_OK);
    CHECK(dsq_close(db), DSQ_ERR_BUSY);
    check_view(&view, "value");
    CHECK(put_text(db, "key", "other"), DSQ_OK);
    check_text(db, "key", "other");
    dsq_view_release(db, &view);
    CHECK(dsq_close(db), DSQ_OK);
}
