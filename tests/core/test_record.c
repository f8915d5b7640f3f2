#include "core/record.h"

#include <stdlib.h>

#include <criterion/criterion.h>

static struct dsq_bytes text(const char *string)
{
    return (struct dsq_bytes){string, strlen(string)};
}

static struct dsq_record *make(uint32_t refs, struct dsq_bytes key, struct dsq_bytes value)
{
    struct dsq_record *record =
        dsq_record_new(DSQ_RECORD_VALUE, DSQ_RECORD_PENDING, refs, 42, key, value);
    cr_assert_not_null(record);
    return record;
}

static bool has(const struct dsq_record *record, struct dsq_bytes key, struct dsq_bytes value)
{
    return dsq_bytes_compare(dsq_record_key(record), key) == 0 &&
           dsq_bytes_compare(dsq_record_value(record), value) == 0;
}

Test(record, holds_copies_of_key_and_value)
{
    char key[] = "key";
    char value[] = "value";
    struct dsq_record *record = make(2, text(key), text(value));
    key[0] = 'X';
    value[0] = 'X';
    cr_assert(has(record, text("key"), text("value")));
    cr_assert_eq(dsq_load_relaxed(&record->refs), 2);
    cr_assert_eq(dsq_record_state(record), DSQ_RECORD_PENDING);
    cr_assert_eq(dsq_load_relaxed(&record->clock), DSQ_CLOCK_INITIAL);
    cr_assert_eq(dsq_record_bytes(record), 32 + 3 + 5);
    dsq_record_free(record);
}

Test(record, key_and_value_may_be_empty)
{
    const struct dsq_bytes none = {NULL, 0};
    struct dsq_record *record = make(1, none, none);
    cr_assert(has(record, text(""), text("")));
    cr_assert(dsq_record_has_key(record, 42, none));
    dsq_record_free(record);
}

Test(record, values_on_either_side_of_the_inline_limit_come_back_whole)
{
    char *bytes = malloc(2 * DSQ_INLINE_VALUE_MAX);
    for (size_t i = 0; i < 2 * DSQ_INLINE_VALUE_MAX; i++) {
        bytes[i] = (char)(i * 7);
    }
    static const size_t sizes[] = {DSQ_INLINE_VALUE_MAX - 1, DSQ_INLINE_VALUE_MAX,
                                   DSQ_INLINE_VALUE_MAX + 1, 2 * DSQ_INLINE_VALUE_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct dsq_bytes value = {bytes, sizes[i]};
        struct dsq_record *record = make(1, text("key"), value);
        cr_assert(has(record, text("key"), value));
        cr_assert_eq(record->external, sizes[i] > DSQ_INLINE_VALUE_MAX);
        cr_assert_eq(dsq_record_bytes(record), 32 + 3 + sizes[i]);
        dsq_record_free(record);
    }
    free(bytes);
}

Test(record, keys_are_compared_by_hash_size_and_every_byte)
{
    char key[40];
    memset(key, 'k', sizeof key);
    for (size_t size = 0; size <= sizeof key; size++) {
        struct dsq_record *record = make(1, (struct dsq_bytes){key, size}, text(""));
        cr_assert(dsq_record_has_key(record, 42, (struct dsq_bytes){key, size}));
        cr_assert_not(dsq_record_has_key(record, 43, (struct dsq_bytes){key, size}));
        if (size > 0) {
            cr_assert_not(dsq_record_has_key(record, 42, (struct dsq_bytes){key, size - 1}));
        }
        for (size_t i = 0; i < size; i++) {
            key[i] = 'x';
            cr_assert_not(dsq_record_has_key(record, 42, (struct dsq_bytes){key, size}));
            key[i] = 'k';
        }
        dsq_record_free(record);
    }
}

Test(record, bytes_are_ordered_by_memcmp_and_then_by_length)
{
    static const char *const ordered[] = {"", "a", "aa", "ab", "b", "\xff"};
    for (size_t i = 0; i < 6; i++) {
        for (size_t j = 0; j < 6; j++) {
            int order = dsq_bytes_compare(text(ordered[i]), text(ordered[j]));
            cr_assert_eq((order > 0) - (order < 0), (i > j) - (i < j));
        }
    }
}

Test(record, renewing_copies_an_inline_record_and_voids_the_failed_one)
{
    struct dsq_record *failed = make(2, text("key"), text("value"));
    struct dsq_record *fresh = dsq_record_renew(failed, 3);
    cr_assert_not_null(fresh);
    cr_assert(has(fresh, text("key"), text("value")));
    cr_assert_eq(fresh->hash, 42);
    cr_assert_eq(fresh->kind, DSQ_RECORD_VALUE);
    cr_assert_eq(dsq_load_relaxed(&fresh->refs), 3);
    cr_assert_eq(dsq_record_state(fresh), DSQ_RECORD_PENDING);
    cr_assert_eq(dsq_record_state(failed), DSQ_RECORD_VOID);
    cr_assert(has(failed, text("key"), text("value")));
    dsq_record_free(failed);
    dsq_record_free(fresh);
}

Test(record, renewing_takes_an_external_value_over_without_a_copy)
{
    const size_t size = 3 * DSQ_INLINE_VALUE_MAX;
    char *bytes = calloc(1, size);
    struct dsq_record *failed = make(2, text("key"), (struct dsq_bytes){bytes, size});
    const void *value = dsq_record_value(failed).data;
    struct dsq_record *fresh = dsq_record_renew(failed, 2);
    cr_assert_not_null(fresh);
    cr_assert_eq(dsq_record_value(fresh).data, value);
    cr_assert(has(fresh, text("key"), (struct dsq_bytes){bytes, size}));
    cr_assert_null(dsq_record_value(failed).data);
    cr_assert(dsq_record_has_key(failed, 42, text("key")));
    cr_assert_eq(dsq_record_bytes(failed), dsq_record_bytes(fresh));
    /* In this order a value freed twice would be seen. */
    dsq_record_free(failed);
    cr_assert(has(fresh, text("key"), (struct dsq_bytes){bytes, size}));
    dsq_record_free(fresh);
    free(bytes);
}

Test(record, the_state_moves_only_from_where_it_is)
{
    struct dsq_record *record = make(1, text("key"), text("value"));
    cr_assert_not(dsq_record_move(record, DSQ_RECORD_READY, DSQ_RECORD_CLEAN));
    cr_assert(dsq_record_move(record, DSQ_RECORD_PENDING, DSQ_RECORD_READY));
    cr_assert_not(dsq_record_move(record, DSQ_RECORD_PENDING, DSQ_RECORD_VOID));
    cr_assert(dsq_record_move(record, DSQ_RECORD_READY, DSQ_RECORD_CLEAN));
    cr_assert_eq(dsq_record_state(record), DSQ_RECORD_CLEAN);
    dsq_record_free(record);
}

Test(record, the_last_reference_is_told_and_cannot_be_revived)
{
    struct dsq_record *record = make(1, text("key"), text("value"));
    cr_assert(dsq_record_try_acquire(record));
    cr_assert_not(dsq_record_drop(record));
    cr_assert(dsq_record_drop(record));
    cr_assert_not(dsq_record_try_acquire(record));
    cr_assert_eq(dsq_load_relaxed(&record->refs), 0);
    dsq_record_free(record);
}

Test(record, the_use_counter_saturates)
{
    struct dsq_record *record = make(1, text("key"), text("value"));
    for (int i = 0; i < 10; i++) {
        dsq_record_touch(record);
    }
    cr_assert_eq(dsq_load_relaxed(&record->clock), DSQ_CLOCK_MAX);
    dsq_record_free(record);
}
