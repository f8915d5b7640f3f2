/* Batches of the C API: copies of keys and values until dsq_batch_commit. */
#include <stdlib.h>

#include "bindings/c/handle.h"
#include "core/error.h"

/* A key and a value, one after the other, in an allocation of their own. */
struct entry {
    struct dsq_operation operation;
    size_t place; /* decides between operations on one key */
};

struct dsq_batch {
    dsq_db *db;
    struct entry *entries;
    size_t count;
    size_t capacity;
};

int dsq_batch_new(dsq_db *db, dsq_batch **batch)
{
    struct dsq_error error = {0};
    int status = dsq_handle_enter(db);

    if (batch == NULL) {
        return DSQ_ERR_INVALID;
    }
    *batch = NULL;
    if (status == DSQ_OK) {
        *batch = calloc(1, sizeof **batch);
        status = *batch != NULL ? DSQ_OK : DSQ_ERR_NOMEM;
    }
    if (status == DSQ_OK) {
        (*batch)->db = db;
    }
    return dsq_handle_leave(db, status, &error);
}

static bool reserve(dsq_batch *batch)
{
    size_t capacity = batch->capacity != 0 ? 2 * batch->capacity : 16;
    struct entry *entries;

    if (batch->count < batch->capacity) {
        return true;
    }
    entries = realloc(batch->entries, capacity * sizeof *entries);
    if (entries == NULL) {
        return false;
    }
    batch->entries = entries;
    batch->capacity = capacity;
    return true;
}

static int append(dsq_batch *batch, struct dsq_bytes key, struct dsq_bytes value, bool is_delete)
{
    unsigned char *copy = reserve(batch) ? malloc(key.size + value.size + 1) : NULL;

    if (copy == NULL) {
        return DSQ_ERR_NOMEM;
    }
    if (key.size != 0) {
        memcpy(copy, key.data, key.size);
    }
    if (value.size != 0) {
        memcpy(copy + key.size, value.data, value.size);
    }
    batch->entries[batch->count] = (struct entry){
        .operation = {{copy, key.size}, {copy + key.size, value.size}, is_delete},
        .place = batch->count,
    };
    batch->count++;
    return DSQ_OK;
}

static int add(dsq_batch *batch, struct dsq_bytes key, struct dsq_bytes value, bool is_delete)
{
    struct dsq_error error = {0};
    int status;

    if (batch == NULL) {
        return DSQ_ERR_INVALID;
    }
    status = dsq_handle_enter(batch->db);
    if (status == DSQ_OK) {
        status = dsq_check_bytes(key, DSQ_KEY_SIZE_MAX, "key", &error);
    }
    if (status == DSQ_OK) {
        status = dsq_check_bytes(value, DSQ_VALUE_SIZE_MAX, "value", &error);
    }
    if (status == DSQ_OK) {
        status = append(batch, key, value, is_delete);
    }
    return dsq_handle_leave(batch->db, status, &error);
}

int dsq_batch_put(dsq_batch *batch, const void *key, size_t key_size, const void *value,
                  size_t value_size)
{
    return add(batch, (struct dsq_bytes){key, key_size}, (struct dsq_bytes){value, value_size},
               false);
}

int dsq_batch_delete(dsq_batch *batch, const void *key, size_t key_size)
{
    return add(batch, (struct dsq_bytes){key, key_size}, (struct dsq_bytes){0}, true);
}

size_t dsq_batch_count(const dsq_batch *batch)
{
    return batch != NULL ? batch->count : 0;
}

static int compare_entries(const void *left, const void *right)
{
    const struct entry *a = left;
    const struct entry *b = right;
    int order = dsq_bytes_compare(a->operation.key, b->operation.key);

    if (order != 0) {
        return order;
    }
    return a->place < b->place ? -1 : a->place > b->place;
}

static bool same_key(const struct entry *a, const struct entry *b)
{
    return dsq_bytes_compare(a->operation.key, b->operation.key) == 0;
}

/* The last operation of each key, as an array of its own; NULL if memory runs out. */
static struct dsq_operation *distinct_operations(dsq_batch *batch, size_t *count)
{
    struct dsq_operation *operations = malloc((batch->count + 1) * sizeof *operations);

    *count = 0;
    if (operations == NULL || batch->count == 0) {
        return operations;
    }
    qsort(batch->entries, batch->count, sizeof *batch->entries, compare_entries);
    for (size_t i = 0; i < batch->count; i++) {
        if (i + 1 == batch->count || !same_key(&batch->entries[i], &batch->entries[i + 1])) {
            operations[(*count)++] = batch->entries[i].operation;
        }
    }
    return operations;
}

int dsq_batch_commit(dsq_batch *batch)
{
    struct dsq_error error = {0};
    struct dsq_operation *operations;
    size_t count;
    int status;

    if (batch == NULL) {
        return DSQ_ERR_INVALID;
    }
    status = dsq_handle_enter(batch->db);
    if (status != DSQ_OK) {
        return dsq_handle_leave(batch->db, status, &error);
    }
    operations = distinct_operations(batch, &count);
    status = operations != NULL ? dsq_tier_apply(batch->db->tier, operations, count, &error)
                                : DSQ_ERR_NOMEM;
    free(operations);
    return dsq_handle_leave(batch->db, status, &error);
}

void dsq_batch_clear(dsq_batch *batch)
{
    if (batch != NULL) {
        for (size_t i = 0; i < batch->count; i++) {
            free((void *)batch->entries[i].operation.key.data);
        }
        batch->count = 0;
    }
}

void dsq_batch_destroy(dsq_batch *batch)
{
    if (batch != NULL) {
        dsq_batch_clear(batch);
        free(batch->entries);
        free(batch);
    }
}
