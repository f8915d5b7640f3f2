/* The hot tier by itself (core/shard_map.h): table, shards and eviction without a queue or a file. */
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/reclaim.h"
#include "core/shard_map.h"
#include "core/table.h"
#include "stress/map_ops.h"
#include "stress/verdict.h"

#define RETIRED_CAP_BYTES ((uint64_t)4 * 1024 * 1024)

struct table_map {
    struct dsq_map map;
    struct dsq_reclaim *reclaim;
    struct dsq_hash_secret secret;
};

/* A change of one key: decides on the value that is there, and says what takes its place. */
struct change {
    struct dsq_bytes key;
    uint64_t hash;
    struct dsq_record *fresh; /* NULL: the key is removed */
    enum map_status (*decide)(struct change *change, const struct dsq_record *present);
    struct map_bytes expected;
    struct map_buffer *seen;
    int64_t delta;
    int64_t sum;
};

static void *create(const struct map_config *config)
{
    struct dsq_map_config how = {.capacity = config->capacity, .complete = true};
    struct table_map *map = aligned_alloc(DSQ_CACHE_LINE_BYTES, sizeof *map);
    struct dsq_error error = {.status = DSQ_OK};
    if (map == NULL || dsq_hash_secret_init(&map->secret, &error) != DSQ_OK ||
        dsq_reclaim_new(RETIRED_CAP_BYTES, &map->reclaim, &error) != DSQ_OK) {
        stress_violation("cannot make a table: %s", error.message);
        free(map);
        return NULL;
    }
    if (dsq_map_init(&map->map, &how, map->reclaim) != DSQ_OK) {
        stress_violation("out of memory");
        dsq_reclaim_destroy(map->reclaim);
        free(map);
        return NULL;
    }
    return map;
}

/* Nobody else uses it any more: what holds for a table at rest has to hold. */
static bool destroy(void *handle)
{
    struct table_map *map = handle;
    const char *broken = NULL;
    for (uint64_t i = 0; i < map->map.shard_count && broken == NULL; i++) {
        dsq_read_lock();
        broken = dsq_table_check(&map->map.shards[i]);
        dsq_read_unlock();
    }
    if (broken != NULL) {
        stress_violation("the table at rest: %s", broken);
    }
    dsq_map_fini(&map->map);
    dsq_reclaim_destroy(map->reclaim);
    free(map);
    return broken == NULL;
}

static void nothing(void *map)
{
    (void)map;
}

static void copy_value(const struct dsq_record *record, struct map_buffer *buffer)
{
    struct dsq_bytes value = dsq_record_value(record);
    buffer->size = value.size;
    memcpy(buffer->data, value.data, value.size <= sizeof buffer->data ? value.size : 0);
}

static enum map_status get(void *handle, struct map_bytes key, struct map_buffer *value)
{
    struct table_map *map = handle;
    struct dsq_bytes bytes = {key.data, key.size};
    uint64_t hash = dsq_hash(&map->secret, bytes);
    dsq_read_lock();
    struct dsq_record *record = dsq_table_find(dsq_map_shard(&map->map, hash), hash, bytes);
    if (record != NULL) {
        dsq_record_touch(record);
        copy_value(record, value);
    }
    dsq_read_unlock();
    return record != NULL ? MAP_OK : MAP_ABSENT;
}

/* One attempt in a critical section; false: the key has changed meanwhile. */
static bool attempt(struct table_map *map, struct dsq_table *shard, struct change *change,
                    enum map_status *status)
{
    struct dsq_place place;
    if (dsq_table_locate(shard, change->hash, change->key, &place) != DSQ_OK) {
        stress_violation("out of memory");
        *status = MAP_ERROR;
        return true;
    }
    struct dsq_record *present = place.record;
    *status = change->decide(change, present);
    if (*status != MAP_OK) {
        dsq_table_cancel(shard, &place);
        return true;
    }
    if (!(change->fresh != NULL ? dsq_table_publish(shard, &place, change->fresh)
                                : dsq_table_remove(shard, &place))) {
        return false;
    }
    if (present != NULL) {
        dsq_record_release(map->reclaim, present);
    }
    if (change->fresh != NULL) {
        dsq_map_trim(&map->map, shard, dsq_record_bytes(change->fresh));
    }
    return true;
}

static enum map_status apply(struct table_map *map, struct change *change)
{
    struct dsq_table *shard = dsq_map_shard(&map->map, change->hash);
    enum map_status status = MAP_ERROR;
    dsq_read_lock();
    while (!attempt(map, shard, change, &status)) {
    }
    dsq_read_unlock();
    if (status != MAP_OK && change->fresh != NULL) {
        dsq_record_free(change->fresh);
    }
    return status;
}

static struct change change_of(struct table_map *map, struct map_bytes key)
{
    struct change change = {.key = {key.data, key.size}};
    change.hash = dsq_hash(&map->secret, change.key);
    if (dsq_reclaim_is_full(map->reclaim)) {
        dsq_reclaim_wait(map->reclaim);
    }
    return change;
}

static enum map_status store(struct table_map *map, struct change *change, struct map_bytes value)
{
    size_t capacity = dsq_record_capacity(change->key.size, value.size);
    change->fresh = dsq_record_new_in(dsq_reclaim_recycle(map->reclaim, capacity), DSQ_RECORD_VALUE,
                                      DSQ_RECORD_CLEAN, 1, change->hash, change->key,
                                      (struct dsq_bytes){value.data, value.size});
    if (change->fresh == NULL) {
        stress_violation("out of memory");
        return MAP_ERROR;
    }
    return apply(map, change);
}

static enum map_status always(struct change *change, const struct dsq_record *present)
{
    (void)change;
    (void)present;
    return MAP_OK;
}

static enum map_status put(void *handle, struct map_bytes key, struct map_bytes value)
{
    struct change change = change_of(handle, key);
    change.decide = always;
    return store(handle, &change, value);
}

static enum map_status if_present(struct change *change, const struct dsq_record *present)
{
    if (present == NULL) {
        return MAP_ABSENT;
    }
    copy_value(present, change->seen);
    return MAP_OK;
}

static enum map_status pop(void *handle, struct map_bytes key, struct map_buffer *value)
{
    struct change change = change_of(handle, key);
    change.decide = if_present;
    change.seen = value;
    return apply(handle, &change);
}

static enum map_status remove_key(void *handle, struct map_bytes key)
{
    struct map_buffer ignored;
    return pop(handle, key, &ignored);
}

static enum map_status if_absent(struct change *change, const struct dsq_record *present)
{
    (void)change;
    return present == NULL ? MAP_OK : MAP_EXISTS;
}

static enum map_status add(void *handle, struct map_bytes key, struct map_bytes value)
{
    struct change change = change_of(handle, key);
    change.decide = if_absent;
    return store(handle, &change, value);
}

static enum map_status if_equal(struct change *change, const struct dsq_record *present)
{
    if (present == NULL) {
        return MAP_ABSENT;
    }
    struct dsq_bytes expected = {change->expected.data, change->expected.size};
    return dsq_bytes_compare(dsq_record_value(present), expected) == 0 ? MAP_OK : MAP_MISMATCH;
}

static enum map_status cas(void *handle, struct map_bytes key, struct map_bytes expected,
                           struct map_bytes desired)
{
    struct change change = change_of(handle, key);
    change.decide = if_equal;
    change.expected = expected;
    return store(handle, &change, desired);
}

static enum map_status if_countable(struct change *change, const struct dsq_record *present)
{
    int64_t before = 0;
    if (present != NULL && !dsq_integer_decode(dsq_record_value(present), &before)) {
        return MAP_MISMATCH;
    }
    change->sum = (int64_t)((uint64_t)before + (uint64_t)change->delta);
    dsq_integer_encode(change->sum, dsq_record_unshared_value(change->fresh));
    return MAP_OK;
}

static enum map_status incr(void *handle, struct map_bytes key, int64_t delta, int64_t *sum)
{
    const unsigned char zero[DSQ_INTEGER_BYTES] = {0};
    struct change change = change_of(handle, key);
    change.decide = if_countable;
    change.delta = delta;
    enum map_status status = store(handle, &change, (struct map_bytes){zero, sizeof zero});
    *sum = change.sum;
    return status;
}

static enum map_status length(void *handle, uint64_t *count)
{
    struct table_map *map = handle;
    return dsq_map_count(&map->map, count) == DSQ_OK ? MAP_OK : MAP_ERROR;
}

/* One window: collected inside a critical section, visited outside. */
static enum map_status walk_window(struct table_map *map, struct dsq_table *shard,
                                   uint64_t *position, map_visitor visit, void *context)
{
    struct dsq_record_list list = {0};
    dsq_read_lock();
    int status = dsq_table_walk(shard, position, &list);
    dsq_read_unlock();
    if (status != DSQ_OK) {
        stress_violation("out of memory");
        return MAP_ERROR;
    }
    for (size_t i = 0; i < list.count; i++) {
        struct dsq_bytes key = dsq_record_key(list.records[i]);
        struct dsq_bytes value = dsq_record_value(list.records[i]);
        visit(context, (struct map_bytes){key.data, key.size},
              (struct map_bytes){value.data, value.size});
    }
    dsq_record_list_clear(&list, map->reclaim);
    return MAP_OK;
}

static enum map_status walk(void *handle, map_visitor visit, void *context)
{
    struct table_map *map = handle;
    enum map_status status = MAP_OK;
    for (uint64_t i = 0; i < map->map.shard_count; i++) {
        uint64_t position = 0;
        do {
            status = walk_window(map, &map->map.shards[i], &position, visit, context);
        } while (status == MAP_OK && position != 0);
    }
    return status;
}

const struct map_ops map_table = {
    .name = "table",
    .create = create,
    .destroy = destroy,
    .thread_enter = nothing,
    .thread_exit = nothing,
    .get = get,
    .put = put,
    .remove = remove_key,
    .pop = pop,
    .add = add,
    .cas = cas,
    .incr = incr,
    .length = length,
    .walk = walk,
};
