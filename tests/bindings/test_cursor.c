#include "tests/bindings/fixture.h"

#include <pthread.h>
#include <stdatomic.h>

TestSuite(cursor, .init = scratch_make, .fini = scratch_remove);

static dsq_db *db;

/* Walks the range; writes the keys, each followed by a comma, into text. */
static void walk(const struct dsq_range *range, char *text, size_t size)
{
    dsq_cursor *cursor;
    const void *key;
    size_t key_size;
    int status;
    size_t used = 0;
    CHECK(dsq_cursor_open(db, range, &cursor), DSQ_OK);
    while ((status = dsq_cursor_next(cursor, &key, &key_size, NULL, NULL)) == DSQ_OK) {
        cr_assert_lt(used + key_size + 2, size);
        memcpy(text + used, key, key_size);
        used += key_size;
        text[used++] = ',';
    }
    text[used] = '\0';
    cr_assert_eq(status, DSQ_ABSENT);
    dsq_cursor_close(cursor);
}

static void check_walk(const struct dsq_range *range, const char *expected)
{
    char text[256];
    walk(range, text, sizeof text);
    cr_assert_str_eq(text, expected);
}

static void open_with_fruit(int mode)
{
    db = open_mode(mode);
    CHECK(put_text(db, "pear", "4"), DSQ_OK);
    CHECK(put_text(db, "apple", "1"), DSQ_OK);
    CHECK(put_text(db, "apricot", "2"), DSQ_OK);
    CHECK(put_text(db, "fig", "3"), DSQ_OK);
    CHECK(put_text(db, "ap", "0"), DSQ_OK);
}

Test(cursor, all_keys_come_in_order)
{
    open_with_fruit(DSQ_MODE_WRITETHROUGH);
    struct dsq_range all = {0};
    check_walk(NULL, "ap,apple,apricot,fig,pear,");
    check_walk(&all, "ap,apple,apricot,fig,pear,");
    CHECK(dsq_close(db), DSQ_OK);
}

Test(cursor, lazy_writes_are_visited_without_a_flush)
{
    open_with_fruit(DSQ_MODE_LAZY);
    CHECK(delete_text(db, "fig"), DSQ_OK);
    check_walk(NULL, "ap,apple,apricot,pear,");
    CHECK(dsq_close(db), DSQ_OK);
}

Test(cursor, a_prefix_restricts_the_keys)
{
    open_with_fruit(DSQ_MODE_WRITETHROUGH);
    check_walk(&(struct dsq_range){.prefix = "ap", .prefix_size = 2}, "ap,apple,apricot,");
    check_walk(&(struct dsq_range){.prefix = "app", .prefix_size = 3}, "apple,");
    check_walk(&(struct dsq_range){.prefix = "b", .prefix_size = 1}, "");
    check_walk(&(struct dsq_range){.prefix = "pears", .prefix_size = 5}, "");
    CHECK(dsq_close(db), DSQ_OK);
}

Test(cursor, a_prefix_may_end_in_the_largest_byte)
{
    db = open_mode(DSQ_MODE_WRITETHROUGH);
    CHECK(put_text(db, "a\xff", "1"), DSQ_OK);
    CHECK(put_text(db, "a\xff\xff", "2"), DSQ_OK);
    CHECK(put_text(db, "b", "3"), DSQ_OK);
    CHECK(put_text(db, "\xff\xff", "4"), DSQ_OK);
    check_walk(&(struct dsq_range){.prefix = "a\xff", .prefix_size = 2}, "a\xff,a\xff\xff,");
    check_walk(&(struct dsq_range){.prefix = "\xff", .prefix_size = 1}, "\xff\xff,");
    CHECK(dsq_close(db), DSQ_OK);
}

Test(cursor, a_range_includes_its_start_and_excludes_its_stop)
{
    open_with_fruit(DSQ_MODE_WRITETHROUGH);
    struct dsq_range range = {.start = "apple", .start_size = 5, .stop = "fig", .stop_size = 3};
    check_walk(&range, "apple,apricot,");
    range.stop = "fig\0";
    range.stop_size = 4;
    check_walk(&range, "apple,apricot,fig,");
    CHECK(dsq_close(db), DSQ_OK);
}

Test(cursor, a_range_may_be_open_at_either_end_or_empty)
{
    open_with_fruit(DSQ_MODE_WRITETHROUGH);
    check_walk(&(struct dsq_range){.start = "b", .start_size = 1}, "fig,pear,");
    check_walk(&(struct dsq_range){.stop = "b", .stop_size = 1}, "ap,apple,apricot,");
    check_walk(&(struct dsq_range){.start = "x", .start_size = 1, .stop = "b", .stop_size = 1}, "");
    check_walk(&(struct dsq_range){.stop = "", .stop_size = 0}, "");
    CHECK(dsq_close(db), DSQ_OK);
}

Test(cursor, a_prefix_together_with_a_range_is_refused)
{
    dsq_cursor *cursor = NULL;
    db = open_mode(DSQ_MODE_WRITETHROUGH);
    struct dsq_range range = {.prefix = "a", .prefix_size = 1, .start = "b", .start_size = 1};
    CHECK(dsq_cursor_open(db, &range, &cursor), DSQ_ERR_INVALID);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(cursor, the_end_stays_the_end)
{
    dsq_cursor *cursor;
    const void *key;
    size_t size;
    db = open_mode(DSQ_MODE_WRITETHROUGH);
    CHECK(dsq_cursor_open(db, NULL, &cursor), DSQ_OK);
    CHECK(dsq_cursor_next(cursor, &key, &size, NULL, NULL), DSQ_ABSENT);
    CHECK(put_text(db, "key", "value"), DSQ_OK);
    CHECK(dsq_cursor_next(cursor, &key, &size, NULL, NULL), DSQ_ABSENT);
    dsq_cursor_close(cursor);
    dsq_cursor_close(NULL);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(cursor, keys_come_with_their_values_and_the_empty_key_comes_first)
{
    dsq_cursor *cursor;
    const void *key, *value;
    size_t key_size, value_size;
    db = open_mode(DSQ_MODE_LAZY);
    CHECK(put_text(db, "", "of the empty key"), DSQ_OK);
    CHECK(put_text(db, "a", ""), DSQ_OK);
    CHECK(dsq_cursor_open(db, NULL, &cursor), DSQ_OK);
    CHECK(dsq_cursor_next(cursor, &key, &key_size, &value, &value_size), DSQ_OK);
    cr_assert_eq(key_size, 0);
    cr_assert_eq(value_size, strlen("of the empty key"));
    cr_assert_eq(memcmp(value, "of the empty key", value_size), 0);
    CHECK(dsq_cursor_next(cursor, &key, &key_size, &value, &value_size), DSQ_OK);
    cr_assert_eq(key_size, 1);
    cr_assert_eq(value_size, 0);
    CHECK(dsq_cursor_next(cursor, &key, &key_size, &value, &value_size), DSQ_ABSENT);
    dsq_cursor_close(cursor);
    CHECK(dsq_close(db), DSQ_OK);
}

/* Demands each of the numbered keys exactly once. */
static void check_visits(unsigned count, bool ordered)
{
    dsq_cursor *cursor;
    const void *key, *value;
    size_t key_size, value_size;
    bool *seen = calloc(count, sizeof *seen);
    cr_assert_not_null(seen);
    CHECK(dsq_cursor_open(db, NULL, &cursor), DSQ_OK);
    for (unsigned i = 0; i < count; i++) {
        char text[32] = "";
        CHECK(dsq_cursor_next(cursor, &key, &key_size, &value, &value_size), DSQ_OK);
        cr_assert_eq(key_size, strlen(numbered_key(0)));
        memcpy(text, key, key_size);
        unsigned number = (unsigned)atoi(text + strlen("key "));
        cr_assert_lt(number, count);
        cr_assert_not(seen[number]);
        cr_assert(!ordered || number == i);
        cr_assert_eq(value_size, strlen(numbered_value(number)));
        cr_assert_eq(memcmp(value, numbered_value(number), value_size), 0);
        seen[number] = true;
    }
    CHECK(dsq_cursor_next(cursor, &key, &key_size, &value, &value_size), DSQ_ABSENT);
    dsq_cursor_close(cursor);
    free(seen);
}

Test(cursor, many_more_records_than_the_hot_tier_holds_are_visited_once)
{
    db = open_with((struct dsq_options){.persist_mode = DSQ_MODE_LAZY, .hot_capacity = 16});
    put_numbered(db, 5000);
    check_visits(5000, true);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(cursor, memory_mode_visits_each_record_once_in_any_order)
{
    db = open_with(
        (struct dsq_options){.persist_mode = DSQ_MODE_MEMORY, .hot_capacity = DSQ_UNBOUNDED});
    put_numbered(db, 5000);
    check_visits(5000, false);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(cursor, memory_mode_restricts_the_keys_too)
{
    char text[256];
    open_with_fruit(DSQ_MODE_MEMORY);
    walk(&(struct dsq_range){.prefix = "app", .prefix_size = 3}, text, sizeof text);
    cr_assert_str_eq(text, "apple,");
    walk(&(struct dsq_range){.start = "b", .start_size = 1, .stop = "g", .stop_size = 1}, text,
         sizeof text);
    cr_assert_str_eq(text, "fig,");
    CHECK(dsq_close(db), DSQ_OK);
}

static atomic_bool stop;

/* Adds, changes and removes odd keys only. */
static void *disturb(void *unused)
{
    (void)unused;
    for (unsigned i = 1; !atomic_load(&stop); i = (i + 2) % 4000) {
        char key[32];
        snprintf(key, sizeof key, "key %06u", i);
        put_text(db, key, "odd");
        delete_text(db, key);
    }
    return NULL;
}

Test(cursor, records_that_stay_are_visited_once_while_others_come_and_go)
{
    pthread_t thread;
    db = open_with((struct dsq_options){.persist_mode = DSQ_MODE_LAZY, .hot_capacity = 64});
    for (unsigned i = 0; i < 4000; i += 2) {
        CHECK(put_text(db, numbered_key(i), numbered_value(i)), DSQ_OK);
    }
    cr_assert_eq(pthread_create(&thread, NULL, disturb, NULL), 0);
    for (int walks = 0; walks < 5; walks++) {
        dsq_cursor *cursor;
        const void *key;
        size_t size;
        unsigned next_even = 0;
        CHECK(dsq_cursor_open(db, NULL, &cursor), DSQ_OK);
        while (dsq_cursor_next(cursor, &key, &size, NULL, NULL) == DSQ_OK) {
            char text[32] = "";
            memcpy(text, key, size);
            unsigned number = (unsigned)atoi(text + strlen("key "));
            if (number % 2 == 0) {
                cr_assert_eq(number, next_even);
                next_even += 2;
            }
        }
        cr_assert_eq(next_even, 4000);
        dsq_cursor_close(cursor);
    }
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(cursor, a_store_with_an_open_cursor_cannot_be_closed_and_stays_usable)
{
    dsq_cursor *cursor;
    const void *key;
    size_t size;
    open_with_fruit(DSQ_MODE_WRITETHROUGH);
    CHECK(dsq_cursor_open(db, NULL, &cursor), DSQ_OK);
    CHECK(dsq_close(db), DSQ_ERR_BUSY);
    CHECK(dsq_cursor_next(cursor, &key, &size, NULL, NULL), DSQ_OK);
    CHECK(put_text(db, "quince", "5"), DSQ_OK);
    dsq_cursor_close(cursor);
    CHECK(dsq_close(db), DSQ_OK);
}
