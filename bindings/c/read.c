/* The C API: look-ups. */
#include <stdlib.h>
#include <string.h>

#include "bindings/c/dictsqlite.h"
#include "bindings/c/handle.h"
#include "core/error.h"

int dsq_handle_copy_out(dsq_db *db, struct dsq_record *record, int status, void **value,
                        size_t *value_size)
{
    struct dsq_bytes bytes = dsq_record_value(record);
    struct dsq_error error = {0};

    *value = malloc(bytes.size != 0 ? bytes.size : 1);
    if (*value == NULL) {
        status = dsq_error_set(&error, DSQ_ERR_NOMEM, "out of memory for a value of %zu bytes",
                               bytes.size);
    } else {
        memcpy(*value, bytes.data, bytes.size);
        *value_size = bytes.size;
    }
    dsq_record_release(db->tier->reclaim, record);
    return dsq_handle_leave(db, status, &error);
}

static int pin(dsq_db *db, struct dsq_bytes key, struct dsq_record **record)
{
    struct dsq_error error;
    int status = dsq_handle_enter_with_key(db, key, &error);

    if (status == DSQ_OK) {
        status = dsq_tier_pin(db->tier, key, record, &error);
    }
    return dsq_handle_leave(db, status, &error);
}

int dsq_get(dsq_db *db, const void *key, size_t key_size, void **value, size_t *value_size)
{
    struct dsq_record *record = NULL;
    int status;

    if (value == NULL || value_size == NULL) {
        return DSQ_ERR_INVALID;
    }
    *value = NULL;
    status = pin(db, (struct dsq_bytes){key, key_size}, &record);
    return status == DSQ_OK ? dsq_handle_copy_out(db, record, status, value, value_size) : status;
}

void dsq_free(void *value)
{
    free(value);
}

int dsq_contains(dsq_db *db, const void *key, size_t key_size)
{
    struct dsq_record *record = NULL;
    int status = dsq_peek(db, key, key_size, NULL, NULL);

    if (status != DSQ_WOULD_BLOCK) {
        return status;
    }
    status = pin(db, (struct dsq_bytes){key, key_size}, &record);
    if (status == DSQ_OK) {
        dsq_record_release(db->tier->reclaim, record);
    }
    return status;
}

static struct dsq_view view_of(struct dsq_record *record)
{
    struct dsq_bytes value = dsq_record_value(record);

    return (struct dsq_view){value.data, value.size, record};
}

int dsq_view(dsq_db *db, const void *key, size_t key_size, struct dsq_view *view)
{
    struct dsq_record *record = NULL;
    int status;

    if (view == NULL) {
        return DSQ_ERR_INVALID;
    }
    *view = (struct dsq_view){0};
    status = pin(db, (struct dsq_bytes){key, key_size}, &record);
    if (status == DSQ_OK) {
        dsq_add_relaxed(&db->pins, 1);
        *view = view_of(record);
    }
    return status;
}

void dsq_view_release(dsq_db *db, struct dsq_view *view)
{
    if (db != NULL && view != NULL && view->pin != NULL) {
        dsq_record_release(db->tier->reclaim, view->pin);
        dsq_sub_acq_rel(&db->pins, 1);
        *view = (struct dsq_view){0};
    }
}

int dsq_peek(dsq_db *db, const void *key, size_t key_size, dsq_visitor visitor, void *context)
{
    struct dsq_bytes bytes = {key, key_size};
    struct dsq_record *record;
    struct dsq_error error;
    int status = dsq_handle_enter_with_key(db, bytes, &error);

    if (status != DSQ_OK) {
        return dsq_handle_leave(db, status, &error);
    }
    dsq_read_lock();
    status = dsq_tier_peek(db->tier, bytes, &record);
    if (status == DSQ_OK && visitor != NULL) {
        struct dsq_bytes value = dsq_record_value(record);

        visitor(context, value.data, value.size);
    }
    dsq_read_unlock();
    return status;
}

static struct dsq_peeked peeked_of(const struct dsq_record *record)
{
    struct dsq_bytes value = dsq_record_value(record);

    /* Relaxed: the caller lets one thread at a time look and note. */
    return (struct dsq_peeked){value.data, value.size, record, (uint32_t)record->hash,
                               dsq_load_relaxed(&record->note)};
}

static void note(struct dsq_record *record, const struct dsq_peeked *peeked, uint16_t noted)
{
    if (noted != peeked->note) {
        dsq_store_relaxed(&record->note, noted);
    }
}

int dsq_peek_noted(dsq_db *db, const void *key, size_t key_size, dsq_noting_visitor visitor,
                   void *context)
{
    struct dsq_bytes bytes = {key, key_size};
    struct dsq_record *record;
    struct dsq_error error;
    int status = dsq_handle_enter_with_key(db, bytes, &error);

    if (status != DSQ_OK || visitor == NULL) {
        return status != DSQ_OK ? dsq_handle_leave(db, status, &error) : DSQ_ERR_INVALID;
    }
    dsq_read_lock();
    status = dsq_tier_peek(db->tier, bytes, &record);
    if (status == DSQ_OK) {
        struct dsq_peeked peeked = peeked_of(record);

        note(record, &peeked, visitor(context, &peeked));
    }
    dsq_read_unlock();
    return status;
}

/* Keys a run: what is kept of them lies on the stack. */
#define MULTI_KEYS 64

/* One run of dsq_multi_get. */
static int view_many(dsq_db *db, const struct dsq_bytes *keys, size_t count, struct dsq_view *views,
                     int *statuses, struct dsq_error *error)
{
    struct dsq_record *records[MULTI_KEYS];
    int64_t pinned = 0;
    int status = dsq_tier_pin_many(db->tier, keys, count, records, statuses, error);

    for (size_t i = 0; i < count; i++) {
        if (records[i] != NULL) {
            views[i] = view_of(records[i]);
            pinned++;
        }
    }
    dsq_add_relaxed(&db->pins, pinned);
    return status;
}

/* Refuses the call before any look-up if one of the keys cannot be. */
static int check_keys(const struct dsq_key *keys, size_t count, struct dsq_error *error)
{
    int status = DSQ_OK;

    for (size_t i = 0; i < count && status == DSQ_OK; i++) {
        struct dsq_bytes key = {keys[i].data, keys[i].size};

        status = dsq_check_bytes(key, DSQ_KEY_SIZE_MAX, "key", error);
    }
    return status;
}

/* NULLs where none may be, what keeps the handle from use, and keys that cannot be. */
static int enter_with_keys(dsq_db *db, const struct dsq_key *keys, size_t count,
                           struct dsq_error *error)
{
    int status = dsq_handle_enter(db);

    if (status == DSQ_OK && count != 0 && keys == NULL) {
        status = DSQ_ERR_INVALID;
    }
    return status == DSQ_OK ? check_keys(keys, count, error) : status;
}

/* The keys of one run as the tier takes them. */
static void take_keys(const struct dsq_key *keys, size_t count, struct dsq_bytes *taken)
{
    for (size_t i = 0; i < count; i++) {
        taken[i] = (struct dsq_bytes){keys[i].data, keys[i].size};
    }
}

/* One run of dsq_multi_peek: the first of the keys is number `first` to the visitor. */
static void peek_run(dsq_db *db, const struct dsq_key *keys, size_t count, size_t first,
                     dsq_multi_visitor visitor, void *context, int *statuses)
{
    struct dsq_bytes taken[DSQ_TIER_RUN_KEYS];
    struct dsq_record *records[DSQ_TIER_RUN_KEYS];

    take_keys(keys, count, taken);
    dsq_read_lock();
    dsq_tier_peek_many(db->tier, taken, count, records, statuses);
    for (size_t i = 0; i < count; i++) {
        if (statuses[i] == DSQ_OK) {
            struct dsq_peeked peeked = peeked_of(records[i]);

            note(records[i], &peeked, visitor(context, first + i, &peeked));
        }
    }
    dsq_read_unlock();
}

int dsq_multi_peek(dsq_db *db, const struct dsq_key *keys, size_t count, dsq_multi_visitor visitor,
                   void *context, int *statuses)
{
    struct dsq_error error = {0};
    int status = enter_with_keys(db, keys, count, &error);

    if (count != 0 && (visitor == NULL || statuses == NULL)) {
        return DSQ_ERR_INVALID;
    }
    for (size_t i = 0; status == DSQ_OK && i < count; i += DSQ_TIER_RUN_KEYS) {
        size_t run = count - i < DSQ_TIER_RUN_KEYS ? count - i : DSQ_TIER_RUN_KEYS;

        peek_run(db, keys + i, run, i, visitor, context, statuses + i);
    }
    return dsq_handle_leave(db, status, &error);
}

int dsq_multi_get(dsq_db *db, const struct dsq_key *keys, size_t count, struct dsq_view *views,
                  int *statuses)
{
    struct dsq_error error = {0};
    int first = enter_with_keys(db, keys, count, &error);

    if (count != 0 && (keys == NULL || views == NULL || statuses == NULL)) {
        return DSQ_ERR_INVALID;
    }
    for (size_t i = 0; i < count; i++) {
        views[i] = (struct dsq_view){0};
        statuses[i] = first;
    }
    if (first != DSQ_OK) {
        return dsq_handle_leave(db, first, &error);
    }
    for (size_t i = 0; i < count; i += MULTI_KEYS) {
        struct dsq_error later;
        struct dsq_bytes taken[MULTI_KEYS];
        size_t run = count - i < MULTI_KEYS ? count - i : MULTI_KEYS;
        int status;

        take_keys(keys + i, run, taken);
        status =
            view_many(db, taken, run, views + i, statuses + i, first == DSQ_OK ? &error : &later);
        first = first == DSQ_OK ? status : first;
    }
    return dsq_handle_leave(db, first, &error);
}
