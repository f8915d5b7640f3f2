#include "persist/cursor.h"

#include <stdlib.h>

#include "core/error.h"
#include "persist/tier_internal.h"

/*
 * A chunk ends after so many rows or bytes.  The first is smaller, and each may be twice the one before: many
 * want a few records from somewhere.
 */
#define CHUNK_ROWS 256
#define CHUNK_ROWS_FIRST 32
#define CHUNK_BYTES ((size_t)256 * 1024)

/* Rows copied out of the store: key and value lie one after the other in `bytes`. */
struct row {
    size_t offset;
    size_t key_size;
    size_t value_size;
};

struct chunk {
    struct row rows[CHUNK_ROWS];
    size_t limit;
    size_t count;
    size_t next;
    unsigned char *bytes;
    size_t used;
    size_t capacity;
    bool out_of_memory;
};

struct dsq_tier_cursor {
    struct dsq_tier *tier;
    unsigned char *bounds; /* start, stop */
    struct dsq_scan_range range;
    bool exhausted;
    struct chunk chunk;         /* persistent modes */
    unsigned char *last_key;    /* range.start, or stop, once a chunk was read */
    struct dsq_record *current; /* pinned, when the value comes from the hot tier */
    uint64_t shard;             /* memory mode */
    uint64_t position;
    struct dsq_record_list list;
    size_t list_next;
};

static int copy_range(struct dsq_tier_cursor *cursor, const struct dsq_cursor_range *range)
{
    size_t start = range->start.size;
    size_t stop = range->has_stop ? range->stop.size : 0;

    cursor->bounds = malloc(start + stop + 1);
    if (cursor->bounds == NULL) {
        return DSQ_ERR_NOMEM;
    }
    if (start != 0) {
        memcpy(cursor->bounds, range->start.data, start);
    }
    if (stop != 0) {
        memcpy(cursor->bounds + start, range->stop.data, stop);
    }
    cursor->range = (struct dsq_scan_range){
        .start = {cursor->bounds, start},
        .has_stop = range->has_stop,
        .stop = {cursor->bounds + start, stop},
        .descending = range->descending,
    };
    return DSQ_OK;
}

static int open_unfolded(struct dsq_tier *tier, const struct dsq_cursor_range *range,
                         struct dsq_tier_cursor **cursor, struct dsq_error *error)
{
    struct dsq_tier_cursor *made = calloc(1, sizeof *made);

    if (made == NULL || copy_range(made, range) != DSQ_OK) {
        free(made);
        return dsq_error_set(error, DSQ_ERR_NOMEM, "out of memory for a cursor");
    }
    made->tier = tier;
    *cursor = made;
    return DSQ_OK;
}

int dsq_tier_cursor_open(struct dsq_tier *tier, const struct dsq_cursor_range *range,
                         struct dsq_tier_cursor **cursor, struct dsq_error *error)
{
    int status;

    if (range->descending && !tier_persists(tier)) {
        return dsq_error_set(error, DSQ_ERR_UNSUPPORTED, "memory mode has no order to reverse");
    }
    status = dsq_tier_fold(tier, error);
    return status == DSQ_OK ? open_unfolded(tier, range, cursor, error) : status;
}

static void release_current(struct dsq_tier_cursor *cursor)
{
    if (cursor->current != NULL) {
        tier_release(cursor->tier, cursor->current);
        cursor->current = NULL;
    }
}

void dsq_tier_cursor_close(struct dsq_tier_cursor *cursor)
{
    release_current(cursor);
    dsq_record_list_clear(&cursor->list, cursor->tier->reclaim);
    free(cursor->chunk.bytes);
    free(cursor->last_key);
    free(cursor->bounds);
    free(cursor);
}

static bool grow(struct chunk *chunk, size_t more)
{
    size_t capacity = dsq_next_power_of_two(chunk->used + more);
    unsigned char *bytes;

    if (chunk->used + more <= chunk->capacity) {
        return true;
    }
    bytes = realloc(chunk->bytes, capacity);
    if (bytes == NULL) {
        return false;
    }
    chunk->bytes = bytes;
    chunk->capacity = capacity;
    return true;
}

static bool add_row(void *context, struct dsq_bytes key, struct dsq_bytes value)
{
    struct chunk *chunk = context;

    if (chunk->count > 0 && chunk->used + key.size + value.size > CHUNK_BYTES) {
        return false;
    }
    /* One byte more, so that the bytes of an empty row have an address. */
    if (!grow(chunk, key.size + value.size + 1)) {
        chunk->out_of_memory = chunk->count == 0;
        return false;
    }
    chunk->rows[chunk->count++] = (struct row){chunk->used, key.size, value.size};
    if (key.size != 0) {
        memcpy(chunk->bytes + chunk->used, key.data, key.size);
    }
    if (value.size != 0) {
        memcpy(chunk->bytes + chunk->used + key.size, value.data, value.size);
    }
    chunk->used += key.size + value.size;
    return chunk->count < chunk->limit;
}

/* Remembers where the next chunk begins: behind the last key of this one. */
static int advance_range(struct dsq_tier_cursor *cursor)
{
    const struct chunk *chunk = &cursor->chunk;
    const struct row *last = &chunk->rows[chunk->count - 1];
    unsigned char *key = malloc(last->key_size + 1);

    if (key == NULL) {
        return DSQ_ERR_NOMEM;
    }
    memcpy(key, chunk->bytes + last->offset, last->key_size);
    free(cursor->last_key);
    cursor->last_key = key;
    if (cursor->range.descending) {
        cursor->range.stop = (struct dsq_bytes){key, last->key_size};
        cursor->range.has_stop = true;
    } else {
        cursor->range.start = (struct dsq_bytes){key, last->key_size};
        cursor->range.after_start = true;
    }
    return DSQ_OK;
}

static int read_chunk(struct dsq_tier_cursor *cursor, struct dsq_error *error)
{
    const struct dsq_store_ops *ops = cursor->tier->store->ops;
    struct chunk *chunk = &cursor->chunk;
    struct dsq_reader *reader;
    int status = ops->reader_acquire(cursor->tier->store, &reader, error);

    if (status != DSQ_OK) {
        return status;
    }
    if (chunk->limit < CHUNK_ROWS) {
        chunk->limit = chunk->limit == 0 ? CHUNK_ROWS_FIRST : 2 * chunk->limit;
    }
    chunk->count = 0;
    chunk->next = 0;
    chunk->used = 0;
    chunk->out_of_memory = false;
    status = ops->reader_scan(reader, &cursor->range, add_row, chunk, error);
    ops->reader_release(cursor->tier->store, reader);
    if (status == DSQ_OK && chunk->count > 0) {
        status = advance_range(cursor);
    }
    if (status == DSQ_ERR_NOMEM || (status == DSQ_OK && chunk->out_of_memory)) {
        status = dsq_error_set(error, DSQ_ERR_NOMEM, "out of memory for the rows of a cursor");
    }
    if (status != DSQ_OK) {
        chunk->count = 0;
        return status;
    }
    cursor->exhausted = chunk->count == 0;
    return DSQ_OK;
}

/*
 * The row, or what the hot tier knows better; DSQ_ABSENT if the key was deleted meanwhile.  On an
 * error the row stays the next one.
 */
static int overlay(struct dsq_tier_cursor *cursor, struct dsq_bytes *key, struct dsq_bytes *value,
                   struct dsq_error *error)
{
    struct chunk *chunk = &cursor->chunk;
    const struct row *row = &chunk->rows[chunk->next];
    int status;

    *key = (struct dsq_bytes){chunk->bytes + row->offset, row->key_size};
    *value = (struct dsq_bytes){chunk->bytes + row->offset + row->key_size, row->value_size};
    status = dsq_tier_pin_hot(cursor->tier, *key, &cursor->current, error);
    if (status != DSQ_OK) {
        return status;
    }
    chunk->next++;
    if (cursor->current != NULL) {
        if (cursor->current->kind != DSQ_RECORD_VALUE) {
            return DSQ_ABSENT;
        }
        *value = dsq_record_value(cursor->current);
    }
    return DSQ_OK;
}

static int next_persistent(struct dsq_tier_cursor *cursor, struct dsq_bytes *key,
                           struct dsq_bytes *value, struct dsq_error *error)
{
    while (!cursor->exhausted) {
        int status;

        release_current(cursor);
        if (cursor->chunk.next == cursor->chunk.count) {
            status = read_chunk(cursor, error);
            if (status != DSQ_OK) {
                return status;
            }
            continue;
        }
        status = overlay(cursor, key, value, error);
        if (status != DSQ_ABSENT) {
            return status;
        }
    }
    return DSQ_ABSENT;
}

/* Collects the next windows until one has records; DSQ_ABSENT after the last shard. */
static int walk_on(struct dsq_tier_cursor *cursor, struct dsq_error *error)
{
    const struct dsq_map *map = &cursor->tier->map;

    dsq_record_list_clear(&cursor->list, cursor->tier->reclaim);
    cursor->list_next = 0;
    while (cursor->list.count == 0) {
        int status;

        if (cursor->shard == map->shard_count) {
            return DSQ_ABSENT;
        }
        dsq_read_lock();
        status = dsq_table_walk(&map->shards[cursor->shard], &cursor->position, &cursor->list);
        dsq_read_unlock();
        if (status != DSQ_OK) {
            return dsq_error_set(error, status, "out of memory for a cursor");
        }
        cursor->shard += cursor->position == 0;
    }
    return DSQ_OK;
}

static bool in_range(const struct dsq_scan_range *range, struct dsq_bytes key)
{
    return dsq_bytes_compare(key, range->start) >= 0 &&
           (!range->has_stop || dsq_bytes_compare(key, range->stop) < 0);
}

static int next_in_memory(struct dsq_tier_cursor *cursor, struct dsq_bytes *key,
                          struct dsq_bytes *value, struct dsq_error *error)
{
    for (;;) {
        const struct dsq_record *record;

        if (cursor->list_next == cursor->list.count) {
            int status = walk_on(cursor, error);

            if (status != DSQ_OK) {
                return status;
            }
        }
        record = cursor->list.records[cursor->list_next++];
        *key = dsq_record_key(record);
        *value = dsq_record_value(record);
        if (in_range(&cursor->range, *key)) {
            return DSQ_OK;
        }
    }
}

int dsq_tier_cursor_next(struct dsq_tier_cursor *cursor, struct dsq_bytes *key,
                         struct dsq_bytes *value, struct dsq_error *error)
{
    if (tier_persists(cursor->tier)) {
        return next_persistent(cursor, key, value, error);
    }
    return next_in_memory(cursor, key, value, error);
}

/*
 * Whether the kv table has a row of a key that is still there.  The row of one that is deleted looks
 * as good when its tombstone was folded and evicted after the row was read: so each is looked up.
 */
static int has_row(struct dsq_tier *tier, bool *found, struct dsq_error *error)
{
    static const struct dsq_cursor_range all;
    struct dsq_tier_cursor *cursor;
    struct dsq_record *record;
    struct dsq_bytes key;
    struct dsq_bytes value;
    int status = open_unfolded(tier, &all, &cursor, error);
    int looked_up = DSQ_ABSENT;

    if (status != DSQ_OK) {
        return status;
    }
    while (looked_up == DSQ_ABSENT && status == DSQ_OK) {
        status = dsq_tier_cursor_next(cursor, &key, &value, error);
        looked_up = status == DSQ_OK ? dsq_tier_pin(tier, key, &record, error) : status;
    }
    dsq_tier_cursor_close(cursor);
    *found = looked_up == DSQ_OK;
    if (*found) {
        tier_release(tier, record);
    }
    return looked_up == DSQ_ABSENT ? DSQ_OK : looked_up;
}

/* One look at everything, a part after the other. */
static int look_for_any(struct dsq_tier *tier, bool *found, struct dsq_error *error)
{
    uint64_t count;
    int status = DSQ_OK;

    if (tier->mode == DSQ_TIER_WRITETHROUGH) {
        status = dsq_tier_flush(tier, DSQ_NO_DEADLINE, error);
    }
    if (status == DSQ_OK && dsq_map_count(&tier->map, &count) != DSQ_OK) {
        status = dsq_error_set(error, DSQ_ERR_NOMEM, "out of memory for counting");
    }
    /* A value in the hot tier is one; what it does not hold is in the kv table. */
    *found = status != DSQ_OK || count != 0;
    if (!*found && tier->store != NULL) {
        status = has_row(tier, found, error);
    }
    return status;
}

static uint64_t writes_so_far(const struct dsq_tier *tier)
{
    return tier->committer != NULL ? dsq_committer_pushed(tier->committer) : 0;
}

/*
 * Nothing found says nothing where one key came, behind the look, before another one went, ahead of it: it
 * is looked again until nobody has written meanwhile.  Who writes all the time also stores, so that some
 * look finds it; should none of many, there was nothing most of the time.
 */
#define LOOKS_MAX 64

int dsq_tier_is_empty(struct dsq_tier *tier, bool *empty, struct dsq_error *error)
{
    uint64_t count;
    uint64_t writes;
    bool found;
    int status;
    int looks = 0;

    if (dsq_tier_count_if_known(tier, &count)) {
        *empty = count == 0;
        return DSQ_OK;
    }
    do {
        writes = writes_so_far(tier);
        status = look_for_any(tier, &found, error);
    } while (status == DSQ_OK && !found && writes != writes_so_far(tier) && ++looks < LOOKS_MAX);
    *empty = !found;
    return status;
}
