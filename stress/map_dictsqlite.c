/* The product itself, through its C API, in any mode. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <dictsqlite.h>

#include "stress/map_ops.h"
#include "stress/password.h"
#include "stress/stored.h"
#include "stress/verdict.h"

/* Small, so that timer, back-pressure and eviction come into play within a short run. */
#define FLUSH_INTERVAL_MS 2
#define BUFFER_SIZE 16
#define QUEUE_BYTES ((uint64_t)256 * 1024)

static enum map_status status_of(void *map, const char *call, int status)
{
    switch (status) {
    case DSQ_OK:
        return MAP_OK;
    case DSQ_ABSENT:
        return MAP_ABSENT;
    case DSQ_EXISTS:
        return MAP_EXISTS;
    case DSQ_MISMATCH:
        return MAP_MISMATCH;
    default:
        stress_expect(map, call, status, false);
        return MAP_ERROR;
    }
}

static void *create(const struct map_config *config)
{
    struct dsq_error error = {.status = DSQ_OK};
    struct dsq_options options = {
        .persist_mode = config->mode,
        .hot_capacity = config->capacity,
        .flush_interval_ms = FLUSH_INTERVAL_MS,
        .buffer_size = BUFFER_SIZE,
        .queue_bytes = config->queue_bytes != 0 ? config->queue_bytes : QUEUE_BYTES,
        .error = &error,
    };
    dsq_db *db;
    stress_encrypt(&options, config->encrypt);
    if (dsq_open(config->path, &options, &db) != DSQ_OK) {
        stress_violation("dsq_open: %s", error.message);
    }
    return db;
}

static bool destroy(void *map)
{
    int status = dsq_close(map);
    if (!stress_expect(map, "dsq_close", status, status == DSQ_OK)) {
        dsq_abandon(map);
        return false;
    }
    return true;
}

static void describe(void *map)
{
    struct dsq_stats stats;
    dsq_stats(map, &stats);
    printf("hits %" PRIu64 ", misses %" PRIu64 ", evictions %" PRIu64 ", commits %" PRIu64
           ", resizes %" PRIu64 ", retired bytes %" PRIu64 "\n",
           stats.hits, stats.misses, stats.evictions, stats.commits, stats.resizes,
           stats.retired_bytes);
}

static void count(void *map, struct map_counters *counters)
{
    struct dsq_stats stats;
    dsq_stats(map, &stats);
    counters->commits = stats.commits;
    counters->retired_bytes = stats.retired_bytes;
}

static void nothing(void *map)
{
    (void)map;
}

static void copy_value(void *context, const void *value, size_t size)
{
    struct map_buffer *buffer = context;
    buffer->size = size;
    memcpy(buffer->data, value, size <= sizeof buffer->data ? size : 0);
}

static enum map_status get(void *map, struct map_bytes key, struct map_buffer *value)
{
    struct dsq_view view = {0};
    int status = dsq_peek(map, key.data, key.size, copy_value, value);
    if (status != DSQ_WOULD_BLOCK) {
        return status_of(map, "dsq_peek", status);
    }
    status = dsq_view(map, key.data, key.size, &view);
    if (status == DSQ_OK) {
        copy_value(value, view.data, view.size);
        dsq_view_release(map, &view);
    }
    return status_of(map, "dsq_view", status);
}

static enum map_status put(void *map, struct map_bytes key, struct map_bytes value)
{
    return status_of(map, "dsq_put", dsq_put(map, key.data, key.size, value.data, value.size));
}

static enum map_status remove_key(void *map, struct map_bytes key)
{
    return status_of(map, "dsq_delete", dsq_delete(map, key.data, key.size));
}

static enum map_status pop(void *map, struct map_bytes key, struct map_buffer *value)
{
    void *popped;
    size_t size;
    int status = dsq_pop(map, key.data, key.size, &popped, &size);
    if (status == DSQ_OK) {
        copy_value(value, popped, size);
    }
    dsq_free(popped);
    return status_of(map, "dsq_pop", status);
}

static enum map_status add(void *map, struct map_bytes key, struct map_bytes value)
{
    return status_of(map, "dsq_put_if_absent",
                     dsq_put_if_absent(map, key.data, key.size, value.data, value.size));
}

static enum map_status cas(void *map, struct map_bytes key, struct map_bytes expected,
                           struct map_bytes desired)
{
    return status_of(map, "dsq_compare_and_swap",
                     dsq_compare_and_swap(map, key.data, key.size, expected.data, expected.size,
                                          desired.data, desired.size));
}

static enum map_status incr(void *map, struct map_bytes key, int64_t delta, int64_t *sum)
{
    int64_t previous = 0;
    int status = dsq_fetch_add(map, key.data, key.size, delta, &previous);
    *sum = (int64_t)((uint64_t)previous + (uint64_t)delta);
    return status_of(map, "dsq_fetch_add", status);
}

static enum map_status length(void *map, uint64_t *records)
{
    return status_of(map, "dsq_count", dsq_count(map, records));
}

static enum map_status walk(void *map, map_visitor visit, void *context)
{
    dsq_cursor *cursor;
    struct map_bytes key, value;
    int status = dsq_cursor_open(map, NULL, &cursor);
    if (status != DSQ_OK) {
        return status_of(map, "dsq_cursor_open", status);
    }
    while ((status = dsq_cursor_next(cursor, &key.data, &key.size, &value.data, &value.size)) ==
           DSQ_OK) {
        visit(context, key, value);
    }
    dsq_cursor_close(cursor);
    return status == DSQ_ABSENT ? MAP_OK : status_of(map, "dsq_cursor_next", status);
}

static enum map_status flush(void *map, int64_t timeout_ms)
{
    return status_of(map, "dsq_flush", dsq_flush(map, timeout_ms));
}

const struct map_ops map_dictsqlite = {
    .name = "dictsqlite",
    .symbol = "dsq_put",
    .create = create,
    .destroy = destroy,
    .describe = describe,
    .count = count,
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
    .flush = flush,
    .walk_stored = stored_walk,
};
