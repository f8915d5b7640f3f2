/* The product, through its C API: lazy mode where a crash may lose an interval, else writethrough. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <dictsqlite.h>

#include "bench/stores_ops.h"
#include "core/platform.h"

#define PROBE_RECORDS 20000
/* Of each SQLite connection: its default. */
#define PAGE_CACHE_BYTES ((uint64_t)2000 * 1024)
#define SETTLE_POLL_US 1000
#define SETTLE_NS ((uint64_t)60 * 1000000000)

static void require(dsq_db *db, const char *call, int status)
{
    if (status == DSQ_OK) {
        return;
    }
    struct dsq_error error = {0};
    dsq_last_error(db, &error);
    store_fail("dictsqlite", call, error.status != DSQ_OK ? error.message : dsq_strerror(status));
}

static void *open_store(const struct store_config *config)
{
    struct dsq_error error = {0};
    const struct dsq_options options = {
        .persist_mode =
            config->durability == STORE_INTERVAL ? DSQ_MODE_LAZY : DSQ_MODE_WRITETHROUGH,
        .synchronous =
            config->durability == STORE_PROCESS ? DSQ_SYNCHRONOUS_NORMAL : DSQ_SYNCHRONOUS_FULL,
        .flush_interval_ms = STORE_INTERVAL_MS,
        .hot_capacity = config->hot_records,
        .queue_bytes = config->write_bytes,
        .error = &error,
    };
    char path[STORE_PATH_BYTES];
    dsq_db *db;
    store_path(config->folder, "dictsqlite", path);
    if (dsq_open(path, &options, &db) != DSQ_OK) {
        store_fail("dictsqlite", "dsq_open", error.message);
    }
    return db;
}

static void close_store(void *store)
{
    require(store, "dsq_close", dsq_close(store));
}

static void flush(void *store)
{
    require(store, "dsq_flush", dsq_flush(store, -1));
}

static void settle(void *store)
{
    const uint64_t deadline_ns = dsq_now_ns() + SETTLE_NS;
    struct dsq_stats stats;
    flush(store);
    for (dsq_stats(store, &stats); stats.unfolded > 0; dsq_stats(store, &stats)) {
        if (dsq_now_ns() > deadline_ns) {
            store_fail("dictsqlite", "fold", "does not end");
        }
        usleep(SETTLE_POLL_US);
    }
}

static void load(void *store, const struct store_source *source)
{
    char key[STORE_KEY_BYTES];
    unsigned char *value = malloc(source->value_bytes);
    dsq_batch *batch;
    require(store, "dsq_batch_new", dsq_batch_new(store, &batch));
    for (uint64_t i = 0; i < source->count; i++) {
        source->record(source->context, i, key, value);
        require(store, "dsq_batch_put",
                dsq_batch_put(batch, key, sizeof key, value, source->value_bytes));
        if (dsq_batch_count(batch) == STORE_LOAD_BATCH || i + 1 == source->count) {
            require(store, "dsq_batch_commit", dsq_batch_commit(batch));
            dsq_batch_clear(batch);
        }
    }
    dsq_batch_destroy(batch);
    free(value);
}

/* Any thread may use the handle. */
static void *enter(void *store)
{
    return store;
}

static void leave(void *session)
{
    (void)session;
}

struct copy {
    void *value;
    size_t size;
    size_t capacity;
};

static void copy_out(void *context, const void *value, size_t size)
{
    struct copy *copy = context;
    copy->size = size;
    memcpy(copy->value, value, size < copy->capacity ? size : copy->capacity);
}

/* A hit needs no memory of its own for the copy; a miss hands out one. */
static size_t get(void *session, const void *key, void *value, size_t capacity)
{
    struct copy copy = {.value = value, .capacity = capacity};
    void *found;
    size_t size;
    int status = dsq_peek(session, key, STORE_KEY_BYTES, copy_out, &copy);
    if (status == DSQ_WOULD_BLOCK) {
        status = dsq_get(session, key, STORE_KEY_BYTES, &found, &size);
        if (status == DSQ_OK) {
            copy_out(&copy, found, size);
            dsq_free(found);
        }
    }
    if (status != DSQ_ABSENT) {
        require(session, "dsq_get", status);
    }
    return status == DSQ_OK ? copy.size : STORE_ABSENT;
}

static void put(void *session, const void *key, const void *value, size_t value_size)
{
    require(session, "dsq_put", dsq_put(session, key, STORE_KEY_BYTES, value, value_size));
}

static size_t scan(void *session, const void *key, size_t count, store_visitor visitor,
                   void *context)
{
    const struct dsq_range range = {.start = key, .start_size = STORE_KEY_BYTES};
    const void *found;
    const void *value;
    size_t key_size;
    size_t value_size;
    size_t visited = 0;
    int status = DSQ_OK;
    dsq_cursor *cursor;
    require(session, "dsq_cursor_open", dsq_cursor_open(session, &range, &cursor));
    while (visited < count && status == DSQ_OK) {
        status = dsq_cursor_next(cursor, &found, &key_size, &value, &value_size);
        if (status == DSQ_OK) {
            visitor(context, found, key_size, value, value_size);
            visited++;
        }
    }
    dsq_cursor_close(cursor);
    if (status != DSQ_ABSENT) {
        require(session, "dsq_cursor_next", status);
    }
    return visited;
}

bool store_dictsqlite_is_cold(void *store, const void *key)
{
    return dsq_peek(store, key, STORE_KEY_BYTES, NULL, NULL) == DSQ_WOULD_BLOCK;
}

uint64_t store_dictsqlite_misses(void *store)
{
    struct dsq_stats stats;
    dsq_stats(store, &stats);
    return stats.misses;
}

void store_dictsqlite_copy(void *store, const char *folder)
{
    char path[STORE_PATH_BYTES];
    store_path(folder, STORE_COPY_NAME, path);
    require(store, "dsq_backup", dsq_backup(store, path, 0, NULL, NULL));
}

uint64_t store_dictsqlite_bytes(uint64_t records, uint64_t value_bytes, unsigned threads)
{
    const struct dsq_options options = {.persist_mode = DSQ_MODE_MEMORY,
                                        .hot_capacity = DSQ_UNBOUNDED};
    unsigned char *value = calloc(1, value_bytes);
    struct dsq_stats stats;
    dsq_db *db = NULL;
    if (value == NULL || dsq_open(NULL, &options, &db) != DSQ_OK) {
        store_fail("dictsqlite", "dsq_open", "out of memory");
    }
    for (uint64_t i = 0; i < PROBE_RECORDS; i++) {
        char key[STORE_KEY_BYTES] = {0};
        memcpy(key, &i, sizeof i);
        put(db, key, value, value_bytes);
    }
    dsq_stats(db, &stats);
    close_store(db);
    free(value);
    return records * (stats.hot_bytes + stats.table_slots * sizeof(uint64_t)) / PROBE_RECORDS +
           (1 + threads) * PAGE_CACHE_BYTES;
}

const struct store_ops store_dictsqlite = {
    .name = "dictsqlite",
    .survives =
        {
            [STORE_INTERVAL] =
                "lazy, 100 ms, synchronous=FULL: a crash of process or machine loses "
                "the last interval; what survives is a consistent cut",
            [STORE_PROCESS] = "writethrough, synchronous=NORMAL: nothing is lost when the process "
                              "dies; a loss of power takes the tail since the last checkpoint",
            [STORE_POWER] = "writethrough, synchronous=FULL: nothing is lost",
        },
    .settings = "hot_capacity and queue_bytes as said above; the rest as it comes",
    .open = open_store,
    .close = close_store,
    .load = load,
    .enter = enter,
    .leave = leave,
    .get = get,
    .put = put,
    .scan = scan,
    .flush = flush,
    .settle = settle,
};
