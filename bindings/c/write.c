/* The C API: puts, deletes and changes that depend on what is there. */
#include <stdlib.h>
#include <string.h>

#include "bindings/c/dictsqlite.h"
#include "bindings/c/handle.h"
#include "core/error.h"

static int put(dsq_db *db, struct dsq_bytes key, struct dsq_bytes value, enum dsq_patience patience)
{
    struct dsq_error error;
    int status = dsq_handle_enter_with_key(db, key, &error);

    if (status == DSQ_OK) {
        status = dsq_check_bytes(value, DSQ_VALUE_SIZE_MAX, "value", &error);
    }
    if (status == DSQ_OK) {
        status = dsq_tier_put(db->tier, key, value, patience, &error);
    }
    return dsq_handle_leave(db, status, &error);
}

int dsq_put(dsq_db *db, const void *key, size_t key_size, const void *value, size_t value_size)
{
    return put(db, (struct dsq_bytes){key, key_size}, (struct dsq_bytes){value, value_size},
               DSQ_WAITS);
}

int dsq_put_nowait(dsq_db *db, const void *key, size_t key_size, const void *value,
                   size_t value_size)
{
    return put(db, (struct dsq_bytes){key, key_size}, (struct dsq_bytes){value, value_size},
               DSQ_NOWAIT);
}

int dsq_submit_put(dsq_db *db, const void *key, size_t key_size, const void *value,
                   size_t value_size)
{
    return put(db, (struct dsq_bytes){key, key_size}, (struct dsq_bytes){value, value_size},
               DSQ_SUBMITS);
}

/* A change, with the value that was there handed out as a pinned record, or NULL. */
static int change(dsq_db *db, struct dsq_bytes key, const struct dsq_change *what,
                  enum dsq_patience patience, struct dsq_record **seen)
{
    struct dsq_error error;
    int status = dsq_handle_enter_with_key(db, key, &error);

    if (status == DSQ_OK) {
        status = dsq_check_bytes(what->value, DSQ_VALUE_SIZE_MAX, "value", &error);
    }
    if (status == DSQ_OK) {
        status = dsq_tier_change(db->tier, key, what, patience, seen, &error);
    }
    return dsq_handle_leave(db, status, &error);
}

static const struct dsq_change delete_change = {
    .condition = dsq_if_present,
    .kind = DSQ_RECORD_TOMBSTONE,
};

int dsq_delete(dsq_db *db, const void *key, size_t key_size)
{
    return change(db, (struct dsq_bytes){key, key_size}, &delete_change, DSQ_WAITS, NULL);
}

int dsq_delete_nowait(dsq_db *db, const void *key, size_t key_size)
{
    return change(db, (struct dsq_bytes){key, key_size}, &delete_change, DSQ_NOWAIT, NULL);
}

int dsq_submit_delete(dsq_db *db, const void *key, size_t key_size)
{
    return change(db, (struct dsq_bytes){key, key_size}, &delete_change, DSQ_SUBMITS, NULL);
}

int dsq_pop(dsq_db *db, const void *key, size_t key_size, void **value, size_t *value_size)
{
    struct dsq_record *seen = NULL;
    int status;

    if (value == NULL || value_size == NULL) {
        return DSQ_ERR_INVALID;
    }
    *value = NULL;
    status = change(db, (struct dsq_bytes){key, key_size}, &delete_change, DSQ_WAITS, &seen);
    return seen != NULL ? dsq_handle_copy_out(db, seen, status, value, value_size) : status;
}

int dsq_get_or_put(dsq_db *db, const void *key, size_t key_size, const void *value,
                   size_t value_size, void **existing, size_t *existing_size)
{
    struct dsq_change add = {
        .condition = dsq_if_absent,
        .kind = DSQ_RECORD_VALUE,
        .value = {value, value_size},
    };
    struct dsq_record *seen = NULL;
    int status;

    if (existing == NULL || existing_size == NULL) {
        return DSQ_ERR_INVALID;
    }
    *existing = NULL;
    status = change(db, (struct dsq_bytes){key, key_size}, &add, DSQ_WAITS, &seen);
    return seen != NULL ? dsq_handle_copy_out(db, seen, status, existing, existing_size) : status;
}

int dsq_put_if_absent(dsq_db *db, const void *key, size_t key_size, const void *value,
                      size_t value_size)
{
    struct dsq_change add = {
        .condition = dsq_if_absent,
        .kind = DSQ_RECORD_VALUE,
        .value = {value, value_size},
    };

    return change(db, (struct dsq_bytes){key, key_size}, &add, DSQ_WAITS, NULL);
}

int dsq_replace(dsq_db *db, const void *key, size_t key_size, const void *value, size_t value_size)
{
    struct dsq_change replace = {
        .condition = dsq_if_present,
        .kind = DSQ_RECORD_VALUE,
        .value = {value, value_size},
    };

    return change(db, (struct dsq_bytes){key, key_size}, &replace, DSQ_WAITS, NULL);
}

static int change_if_equal(dsq_db *db, struct dsq_bytes key, const struct dsq_change *what)
{
    struct dsq_error error = {0};

    if (what->expected.data == NULL && what->expected.size != 0) {
        dsq_error_set(&error, DSQ_ERR_INVALID, "the expected value is NULL but has a size");
        return dsq_handle_leave(db, DSQ_ERR_INVALID, &error);
    }
    return change(db, key, what, DSQ_WAITS, NULL);
}

int dsq_compare_and_swap(dsq_db *db, const void *key, size_t key_size, const void *expected,
                         size_t expected_size, const void *desired, size_t desired_size)
{
    struct dsq_change swap = {
        .condition = dsq_if_equal,
        .kind = DSQ_RECORD_VALUE,
        .value = {desired, desired_size},
        .expected = {expected, expected_size},
    };

    return change_if_equal(db, (struct dsq_bytes){key, key_size}, &swap);
}

int dsq_compare_and_delete(dsq_db *db, const void *key, size_t key_size, const void *expected,
                           size_t expected_size)
{
    struct dsq_change delete = {
        .condition = dsq_if_equal,
        .kind = DSQ_RECORD_TOMBSTONE,
        .expected = {expected, expected_size},
    };

    return change_if_equal(db, (struct dsq_bytes){key, key_size}, &delete);
}

int dsq_fetch_add(dsq_db *db, const void *key, size_t key_size, int64_t delta, int64_t *previous)
{
    static const unsigned char room[DSQ_INTEGER_BYTES];
    struct dsq_change add = {
        .condition = dsq_if_countable,
        .kind = DSQ_RECORD_VALUE,
        .value = {room, sizeof room},
        .delta = delta,
    };
    struct dsq_record *seen = NULL;
    int64_t before = 0;
    int status = change(db, (struct dsq_bytes){key, key_size}, &add, DSQ_WAITS, &seen);

    if (seen != NULL) {
        (void)dsq_integer_decode(dsq_record_value(seen), &before);
        dsq_record_release(db->tier->reclaim, seen);
    }
    if (status == DSQ_OK && previous != NULL) {
        *previous = before;
    }
    return status;
}
