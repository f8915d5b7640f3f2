/* Cursors of the C API: a range or a prefix over persist/cursor.h; and whether there is any record. */
#include <stdlib.h>

#include "bindings/c/handle.h"
#include "core/error.h"
#include "persist/cursor.h"

struct dsq_cursor {
    dsq_db *db;
    struct dsq_tier_cursor *cursor;
};

/*
 * The first key after all that begin with the prefix: the prefix without its trailing 0xFF bytes,
 * its last byte one higher.  Its size; 0: there is none.
 */
static size_t prefix_successor(struct dsq_bytes prefix, unsigned char *successor)
{
    size_t size = prefix.size;

    if (size != 0) {
        memcpy(successor, prefix.data, size);
    }
    while (size > 0 && successor[size - 1] == 0xFF) {
        size--;
    }
    if (size > 0) {
        successor[size - 1]++;
    }
    return size;
}

static int check_range(const struct dsq_range *range, struct dsq_error *error)
{
    struct dsq_bytes prefix = {range->prefix, range->prefix_size};
    struct dsq_bytes start = {range->start, range->start_size};
    struct dsq_bytes stop = {range->stop, range->stop_size};
    int status = dsq_check_bytes(prefix, DSQ_KEY_SIZE_MAX, "prefix", error);

    if (status == DSQ_OK) {
        status = dsq_check_bytes(start, DSQ_KEY_SIZE_MAX, "start", error);
    }
    if (status == DSQ_OK) {
        status = dsq_check_bytes(stop, DSQ_KEY_SIZE_MAX, "stop", error);
    }
    if (status == DSQ_OK && prefix.size != 0 && (start.data != NULL || stop.data != NULL)) {
        status = dsq_error_set(error, DSQ_ERR_INVALID, "a prefix excludes start and stop");
    }
    return status;
}

static int open_range(dsq_db *db, const struct dsq_range *range, struct dsq_tier_cursor **cursor,
                      struct dsq_error *error)
{
    struct dsq_bytes prefix = {range->prefix, range->prefix_size};
    struct dsq_cursor_range bounds = {
        .start = {range->start, range->start_size},
        .has_stop = range->stop != NULL,
        .stop = {range->stop, range->stop_size},
        .descending = range->descending != 0,
    };
    unsigned char *successor = malloc(prefix.size + 1);
    int status;

    if (successor == NULL) {
        return dsq_error_set(error, DSQ_ERR_NOMEM, "out of memory for a cursor");
    }
    if (prefix.size != 0) {
        size_t size = prefix_successor(prefix, successor);

        bounds.start = prefix;
        bounds.has_stop = size != 0;
        bounds.stop = (struct dsq_bytes){successor, size};
    }
    status = dsq_tier_cursor_open(db->tier, &bounds, cursor, error);
    free(successor);
    return status;
}

int dsq_cursor_open(dsq_db *db, const struct dsq_range *range, dsq_cursor **cursor)
{
    static const struct dsq_range all;
    struct dsq_error error = {0};
    struct dsq_cursor *made;
    int status = dsq_handle_enter(db);

    if (cursor == NULL) {
        return DSQ_ERR_INVALID;
    }
    *cursor = NULL;
    range = range != NULL ? range : &all;
    if (status == DSQ_OK) {
        status = check_range(range, &error);
    }
    if (status != DSQ_OK) {
        return dsq_handle_leave(db, status, &error);
    }
    made = malloc(sizeof *made);
    if (made == NULL) {
        return dsq_handle_leave(db, DSQ_ERR_NOMEM, &error);
    }
    made->db = db;
    status = open_range(db, range, &made->cursor, &error);
    if (status != DSQ_OK) {
        free(made);
        return dsq_handle_leave(db, status, &error);
    }
    dsq_add_relaxed(&db->pins, 1);
    *cursor = made;
    return DSQ_OK;
}

int dsq_cursor_next(dsq_cursor *cursor, const void **key, size_t *key_size, const void **value,
                    size_t *value_size)
{
    struct dsq_error error = {0};
    struct dsq_bytes found_key = {0};
    struct dsq_bytes found_value = {0};
    int status;

    if (cursor == NULL || key == NULL || key_size == NULL ||
        (value != NULL && value_size == NULL)) {
        return DSQ_ERR_INVALID;
    }
    status = dsq_handle_enter(cursor->db);
    if (status == DSQ_OK) {
        status = dsq_tier_cursor_next(cursor->cursor, &found_key, &found_value, &error);
    }
    if (status == DSQ_OK) {
        *key = found_key.data;
        *key_size = found_key.size;
        if (value != NULL) {
            *value = found_value.data;
            *value_size = found_value.size;
        }
    }
    return dsq_handle_leave(cursor->db, status, &error);
}

int dsq_is_empty(dsq_db *db, int *empty)
{
    struct dsq_error error = {0};
    bool is_empty = false;
    int status = dsq_handle_enter(db);

    if (empty == NULL) {
        return DSQ_ERR_INVALID;
    }
    if (status == DSQ_OK) {
        status = dsq_tier_is_empty(db->tier, &is_empty, &error);
    }
    *empty = is_empty;
    return dsq_handle_leave(db, status, &error);
}

void dsq_cursor_close(dsq_cursor *cursor)
{
    if (cursor != NULL) {
        dsq_tier_cursor_close(cursor->cursor);
        dsq_sub_acq_rel(&cursor->db->pins, 1);
        free(cursor);
    }
}
