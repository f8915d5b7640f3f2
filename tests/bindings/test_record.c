#include "tests/bindings/fixture.h"

#include <sys/mman.h>
#include <sys/sysinfo.h>

/* Each of these tests runs in every mode. */
static dsq_db *db;

TestSuite(record, .init = scratch_make, .fini = scratch_remove);

static const int all_modes[] = {DSQ_MODE_WRITETHROUGH, DSQ_MODE_LAZY, DSQ_MODE_MEMORY};

#define MODE_TEST(name)                                                                            \
    static void name(void);                                                                        \
    Test(record, name)                                                                             \
    {                                                                                              \
        in_every_mode(name);                                                                       \
    }                                                                                              \
    static void name(void)

static void in_every_mode(void (*work)(void))
{
    for (size_t i = 0; i < sizeof all_modes / sizeof all_modes[0]; i++) {
        unlink(scratch_path);
        db = open_mode(all_modes[i]);
        work();
        CHECK(dsq_close(db), DSQ_OK);
    }
}

MODE_TEST(a_stored_value_is_found_until_it_is_deleted)
{
    CHECK(contains_text(db, "key"), DSQ_ABSENT);
    CHECK(put_text(db, "key", "value"), DSQ_OK);
    CHECK(contains_text(db, "key"), DSQ_OK);
    check_text(db, "key", "value");
    CHECK(delete_text(db, "key"), DSQ_OK);
    CHECK(contains_text(db, "key"), DSQ_ABSENT);
    CHECK(delete_text(db, "key"), DSQ_ABSENT);
}

MODE_TEST(an_absent_key_hands_out_nothing)
{
    void *value = db;
    size_t size;
    CHECK(dsq_get(db, "key", 3, &value, &size), DSQ_ABSENT);
    cr_assert_null(value);
}

MODE_TEST(a_second_put_replaces_the_first)
{
    CHECK(put_text(db, "key", "a long first value"), DSQ_OK);
    CHECK(put_text(db, "key", "short"), DSQ_OK);
    check_text(db, "key", "short");
}

MODE_TEST(a_deleted_key_can_be_stored_again)
{
    for (unsigned i = 0; i < 20; i++) {
        CHECK(put_text(db, "key", numbered_value(i)), DSQ_OK);
        check_text(db, "key", numbered_value(i));
        CHECK(delete_text(db, "key"), DSQ_OK);
        CHECK(contains_text(db, "key"), DSQ_ABSENT);
    }
}

MODE_TEST(the_empty_key_is_a_key)
{
    CHECK(dsq_contains(db, NULL, 0), DSQ_ABSENT);
    CHECK(dsq_put(db, NULL, 0, "value", 5), DSQ_OK);
    check_bytes(db, "", 0, "value", 5);
    CHECK(dsq_delete(db, "", 0), DSQ_OK);
    CHECK(dsq_contains(db, NULL, 0), DSQ_ABSENT);
}

MODE_TEST(the_empty_value_is_a_value)
{
    CHECK(dsq_put(db, "key", 3, NULL, 0), DSQ_OK);
    check_bytes(db, "key", 3, "", 0);
    CHECK(contains_text(db, "key"), DSQ_OK);
}

MODE_TEST(zero_bytes_count_in_keys_and_values)
{
    CHECK(dsq_put(db, "a\0b", 3, "1\0002", 3), DSQ_OK);
    CHECK(dsq_put(db, "a\0c", 3, "3\0", 2), DSQ_OK);
    CHECK(dsq_put(db, "a", 1, "4", 1), DSQ_OK);
    CHECK(dsq_put(db, "a\0", 2, "\0\0", 2), DSQ_OK);
    check_bytes(db, "a\0b", 3, "1\0002", 3);
    check_bytes(db, "a\0c", 3, "3\0", 2);
    check_bytes(db, "a", 1, "4", 1);
    check_bytes(db, "a\0", 2, "\0\0", 2);
}

MODE_TEST(a_key_of_the_largest_size_is_stored_and_a_larger_one_refused)
{
    char *key = malloc(DSQ_KEY_SIZE_MAX + 1);
    cr_assert_not_null(key);
    memset(key, 'k', DSQ_KEY_SIZE_MAX + 1);
    CHECK(dsq_put(db, key, DSQ_KEY_SIZE_MAX, "value", 5), DSQ_OK);
    check_bytes(db, key, DSQ_KEY_SIZE_MAX, "value", 5);
    CHECK(dsq_put(db, key, DSQ_KEY_SIZE_MAX + 1, "value", 5), DSQ_ERR_TOO_BIG);
    CHECK(dsq_delete(db, key, DSQ_KEY_SIZE_MAX), DSQ_OK);
    free(key);
}

MODE_TEST(a_value_over_the_limit_is_refused_before_it_is_read)
{
    CHECK(put_text(db, "key", "value"), DSQ_OK);
    CHECK(dsq_put(db, "key", 3, "x", DSQ_VALUE_SIZE_MAX + 1), DSQ_ERR_TOO_BIG);
    CHECK(dsq_put(db, "key", 3, "x", SIZE_MAX), DSQ_ERR_TOO_BIG);
    check_text(db, "key", "value");
    struct dsq_error error;
    dsq_last_error(db, &error);
    cr_assert_eq(error.status, DSQ_ERR_TOO_BIG);
    cr_assert_neq(error.message[0], '\0');
}

MODE_TEST(keys_over_the_limit_are_refused_by_every_call)
{
    void *value = NULL;
    size_t size;
    struct dsq_view view = {0};
    const size_t over = DSQ_KEY_SIZE_MAX + 1;
    CHECK(dsq_get(db, "x", over, &value, &size), DSQ_ERR_TOO_BIG);
    CHECK(dsq_contains(db, "x", over), DSQ_ERR_TOO_BIG);
    CHECK(dsq_delete(db, "x", over), DSQ_ERR_TOO_BIG);
    CHECK(dsq_view(db, "x", over, &view), DSQ_ERR_TOO_BIG);
    CHECK(dsq_peek(db, "x", over, NULL, NULL), DSQ_ERR_TOO_BIG);
    CHECK(dsq_pop(db, "x", over, &value, &size), DSQ_ERR_TOO_BIG);
    CHECK(dsq_get_or_put(db, "x", over, "v", 1, &value, &size), DSQ_ERR_TOO_BIG);
}

MODE_TEST(null_where_none_may_be_is_refused)
{
    void *value = NULL;
    size_t size;
    CHECK(dsq_put(db, NULL, 3, "value", 5), DSQ_ERR_INVALID);
    CHECK(dsq_put(db, "key", 3, NULL, 5), DSQ_ERR_INVALID);
    CHECK(dsq_get(db, NULL, 3, &value, &size), DSQ_ERR_INVALID);
    CHECK(dsq_get(db, "key", 3, NULL, &size), DSQ_ERR_INVALID);
    CHECK(dsq_delete(db, NULL, 3), DSQ_ERR_INVALID);
    CHECK(dsq_contains(db, NULL, 3), DSQ_ERR_INVALID);
    CHECK(dsq_contains(NULL, "key", 3), DSQ_ERR_INVALID);
    CHECK(dsq_put(NULL, "key", 3, "value", 5), DSQ_ERR_INVALID);
    CHECK(contains_text(db, "key"), DSQ_ABSENT);
}

MODE_TEST(values_of_all_sizes_come_back_whole)
{
    const size_t sizes[] = {1, 7, 8, 9, 63, 64, 65, 4095, 4096, 4097, 65536, 1 << 20, 5 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        unsigned char *value = malloc(sizes[i]);
        cr_assert_not_null(value);
        for (size_t k = 0; k < sizes[i]; k++) {
            value[k] = (unsigned char)(k * 31 + i);
        }
        CHECK(dsq_put(db, &i, sizeof i, value, sizes[i]), DSQ_OK);
        check_bytes(db, &i, sizeof i, value, sizes[i]);
        free(value);
    }
}

Test(record, a_value_of_the_largest_size_is_stored)
{
    struct sysinfo info;
    cr_assert_eq(sysinfo(&info), 0);
    if ((info.freeram + info.bufferram) * (unsigned long)info.mem_unit < 4 * DSQ_VALUE_SIZE_MAX) {
        cr_skip_test("not enough free memory");
    }
    void *value = mmap(NULL, DSQ_VALUE_SIZE_MAX, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(value, MAP_FAILED);
    struct dsq_view view = {0};
    db = open_mode(DSQ_MODE_MEMORY);
    CHECK(dsq_put(db, "key", 3, value, DSQ_VALUE_SIZE_MAX), DSQ_OK);
    CHECK(dsq_view(db, "key", 3, &view), DSQ_OK);
    cr_assert_eq(view.size, DSQ_VALUE_SIZE_MAX);
    cr_assert_eq(((const char *)view.data)[DSQ_VALUE_SIZE_MAX - 1], 0);
    dsq_view_release(db, &view);
    CHECK(dsq_close(db), DSQ_OK);
    munmap(value, DSQ_VALUE_SIZE_MAX);
}

static void remember(void *context, const void *value, size_t size)
{
    char *text = context;
    memcpy(text, value, size);
    text[size] = '\0';
}

MODE_TEST(peek_shows_what_the_hot_tier_holds)
{
    char text[32] = "";
    CHECK(put_text(db, "key", "value"), DSQ_OK);
    CHECK(dsq_flush(db, -1), DSQ_OK);
    CHECK(dsq_peek(db, "key", 3, remember, text), DSQ_OK);
    cr_assert_str_eq(text, "value");
    CHECK(dsq_peek(db, "key", 3, NULL, NULL), DSQ_OK);
}

Test(record, peek_would_block_where_the_disk_has_to_be_read)
{
    db = open_mode(DSQ_MODE_WRITETHROUGH);
    CHECK(put_text(db, "key", "value"), DSQ_OK);
    CHECK(dsq_close(db), DSQ_OK);
    db = open_mode(DSQ_MODE_WRITETHROUGH);
    CHECK(dsq_peek(db, "key", 3, NULL, NULL), DSQ_WOULD_BLOCK);
    check_text(db, "key", "value");
    CHECK(dsq_peek(db, "key", 3, NULL, NULL), DSQ_OK);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(record, a_writethrough_write_would_always_block)
{
    db = open_mode(DSQ_MODE_WRITETHROUGH);
    CHECK(dsq_put_nowait(db, "key", 3, "value", 5), DSQ_WOULD_BLOCK);
    CHECK(contains_text(db, "key"), DSQ_ABSENT);
    CHECK(put_text(db, "key", "value"), DSQ_OK);
    CHECK(dsq_delete_nowait(db, "key", 3), DSQ_WOULD_BLOCK);
    CHECK(contains_text(db, "key"), DSQ_OK);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(record, writes_that_need_not_wait_do_not)
{
    const int modes[] = {DSQ_MODE_LAZY, DSQ_MODE_MEMORY};
    for (size_t i = 0; i < 2; i++) {
        db = open_mode(modes[i]);
        CHECK(dsq_put_nowait(db, "key", 3, "value", 5), DSQ_OK);
        check_text(db, "key", "value");
        CHECK(dsq_delete_nowait(db, "key", 3), DSQ_OK);
        CHECK(contains_text(db, "key"), DSQ_ABSENT);
        CHECK(dsq_close(db), DSQ_OK);
    }
}
