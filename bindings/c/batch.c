/* Batches of the C API: copies of keys and values until dsq_batch_commit. */
#include <stdlib.h>

#include "bindings/c/handle.h"
#include "core/error.h"

/* Copies of keys and values lie one after the other in blocks, each larger than the one before. */
#define BLOCK_BYTES_MIN 4096
#define BLOCK_BYTES_MAX ((size_t)1 << 20)

struct block {
    struct block *next;
    size_t used;
    size_t size;
    unsigned char bytes[];
};

struct dsq_batch {
    dsq_db *db;
    struct dsq_operation *operations;
    size_t count;
    size_t capacity;
    struct block *blocks; /* the last first */
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
    struct dsq_operation *operations;

    if (batch->count < batch->capacity) {
        return true;
    }
    operations = realloc(batch->operations, capacity * sizeof *operations);
    if (operations == NULL) {
        return false;
    }
    batch->operations = operations;
    batch->capacity = capacity;
    return true;
}

/* Room for size bytes in the last block, or in a new one. */
static unsigned char *take_bytes(dsq_batch *batch, size_t size)
{
    struct block *block = batch->blocks;

    if (block == NULL || block->size - block->used < size) {
        size_t block_size = block != NULL ? 2 * block->size : BLOCK_BYTES_MIN;

        block_size = block_size < BLOCK_BYTES_MAX ? block_size : BLOCK_BYTES_MAX;
        block_size = block_size > size ? block_size : size;
        block = malloc(sizeof *block + block_size);
        if (block == NULL) {
            return NULL;
        }
        *block = (struct block){.next = batch->blocks, .size = block_size};
        batch->blocks = block;
    }
    block->used += size;
    return block->bytes + block->used - size;
}

static struct dsq_bytes copy_bytes(unsigned char *to, struct dsq_bytes bytes)
{
    if (bytes.size != 0) {
        memcpy(to, bytes.data, bytes.size);
    }
    return (struct dsq_bytes){to, bytes.size};
}

static int append(dsq_batch *batch, struct dsq_bytes key, struct dsq_bytes value, bool is_delete)
{
    unsigned char *copy = reserve(batch) ? take_bytes(batch, key.size + value.size) : NULL;

    if (copy == NULL) {
        return DSQ_ERR_NOMEM;
    }
    batch->operations[batch->count++] = (struct dsq_operation){
        .key = copy_bytes(copy, key),
        .value = copy_bytes(copy + key.size, value),
        .is_delete = is_delete,
    };
    return DSQ_OK;
}

static int check_operation(const struct dsq_operation *operation, struct dsq_error *error)
{
    int status = dsq_check_bytes(operation->key, DSQ_KEY_SIZE_MAX, "key", error);

    return status == DSQ_OK ? dsq_check_bytes(operation->value, DSQ_VALUE_SIZE_MAX, "value", error)
                            : status;
}

static int add(dsq_batch *batch, struct dsq_bytes key, struct dsq_bytes value, bool is_delete)
{
    struct dsq_operation operation = {.key = key, .value = value};
    struct dsq_error error = {0};
    int status;

    if (batch == NULL) {
        return DSQ_ERR_INVALID;
    }
    status = dsq_handle_enter(batch->db);
    if (status == DSQ_OK) {
        status = check_operation(&operation, &error);
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

int dsq_batch_commit(dsq_batch *batch)
{
    struct dsq_error error = {0};
    int status;

    if (batch == NULL) {
        return DSQ_ERR_INVALID;
    }
    status = dsq_handle_enter(batch->db);
    if (status == DSQ_OK) {
        status = dsq_tier_apply(batch->db->tier, batch->operations, batch->count, &error);
    }
    return dsq_handle_leave(batch->db, status, &error);
}

static void free_blocks(struct block *block)
{
    while (block != NULL) {
        struct block *next = block->next;

        free(block);
        block = next;
    }
}

/* The last block is kept, unless a large record has made it large. */
void dsq_batch_clear(dsq_batch *batch)
{
    if (batch == NULL) {
        return;
    }
    batch->count = 0;
    if (batch->blocks != NULL && batch->blocks->size <= BLOCK_BYTES_MAX) {
        free_blocks(batch->blocks->next);
        batch->blocks->next = NULL;
        batch->blocks->used = 0;
    } else {
        free_blocks(batch->blocks);
        batch->blocks = NULL;
    }
}

void dsq_batch_destroy(dsq_batch *batch)
{
    if (batch != NULL) {
        free_blocks(batch->blocks);
        free(batch->operations);
        free(batch);
    }
}

int dsq_multi_write(dsq_db *db, const struct dsq_entry *entries, size_t count)
{
    struct dsq_operation *operations = NULL;
    struct dsq_error error = {0};
    int status = dsq_handle_enter(db);

    if (count != 0 && entries == NULL) {
        return DSQ_ERR_INVALID;
    }
    if (status == DSQ_OK && count != 0) {
        operations = calloc(count, sizeof *operations);
        status = operations != NULL ? DSQ_OK : DSQ_ERR_NOMEM;
    }
    for (size_t i = 0; i < count && status == DSQ_OK; i++) {
        operations[i] = (struct dsq_operation){
            .key = {entries[i].key, entries[i].key_size},
            .value = {entries[i].value, entries[i].value_size},
            .is_delete = entries[i].is_delete != 0,
        };
        status = check_operation(&operations[i], &error);
    }
    if (status == DSQ_OK) {
        status = dsq_tier_apply(db->tier, operations, count, &error);
    }
    free(operations);
    return dsq_handle_leave(db, status, &error);
}
