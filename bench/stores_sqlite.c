/*
 * SQLite by itself: a connection with prepared statements for each thread, a write-ahead log, and writers
 * that queue for a mutex, which costs them less than SQLite's own sleeping and trying again.  And the
 * bare SELECT that our cold reads are measured beside.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "bench/sqlite_calls.h"
#include "bench/stores_ops.h"

#define BUSY_MS 60000
#define MMAP_BYTES ((int64_t)1 << 40)

struct sqlite {
    char path[STORE_PATH_BYTES];
    char settings[256];
    pthread_mutex_t writing;
};

struct sqlite_session {
    struct sqlite *store;
    sqlite3 *db;
    sqlite3_stmt *get;
    sqlite3_stmt *put;
    sqlite3_stmt *scan;
};

static void *enter(void *store)
{
    struct sqlite_session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        abort();
    }
    session->store = store;
    bench_sqlite_require(
        session->db, session->store->path,
        sqlite3_open_v2(session->store->path, &session->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL),
        SQLITE_OK);
    sqlite3_busy_timeout(session->db, BUSY_MS);
    bench_sqlite_execute(session->db, session->store->settings);
    bench_sqlite_execute(
        session->db, "CREATE TABLE IF NOT EXISTS kv(key BLOB PRIMARY KEY, value BLOB NOT NULL)");
    session->get = bench_sqlite_prepare(session->db, "SELECT value FROM kv WHERE key = ?1");
    session->put =
        bench_sqlite_prepare(session->db, "INSERT INTO kv(key, value) VALUES(?1, ?2)"
                                          " ON CONFLICT(key) DO UPDATE SET value = excluded.value");
    session->scan = bench_sqlite_prepare(
        session->db, "SELECT key, value FROM kv WHERE key >= ?1 ORDER BY key LIMIT ?2");
    return session;
}

static void leave(void *opaque)
{
    struct sqlite_session *session = opaque;
    sqlite3_finalize(session->get);
    sqlite3_finalize(session->put);
    sqlite3_finalize(session->scan);
    bench_sqlite_require(session->db, "close", sqlite3_close(session->db), SQLITE_OK);
    free(session);
}

static struct sqlite *new_store(const char *folder, const char *name)
{
    struct sqlite *self = calloc(1, sizeof *self);
    if (self == NULL || pthread_mutex_init(&self->writing, NULL) != 0) {
        abort();
    }
    store_path(folder, name, self->path);
    return self;
}

static void *open_store(const struct store_config *config)
{
    struct sqlite *self = new_store(config->folder, "sqlite");
    snprintf(self->settings, sizeof self->settings,
             "PRAGMA journal_mode=WAL; PRAGMA synchronous=%s; PRAGMA mmap_size=%lld;"
             "PRAGMA cache_size=-%lld",
             config->durability == STORE_POWER ? "FULL" : "NORMAL", (long long)MMAP_BYTES,
             (long long)(config->read_bytes / config->threads / 1024));
    leave(enter(self));
    return self;
}

/* No setting but what the library's readers have: SQLite's own page cache, no memory-mapped I/O. */
static void *open_select(const struct store_config *config)
{
    struct sqlite *self = new_store(config->folder, STORE_COPY_NAME);
    strcpy(self->settings, "PRAGMA mmap_size=0");
    return self;
}

static void close_store(void *store)
{
    struct sqlite *self = store;
    pthread_mutex_destroy(&self->writing);
    free(self);
}

static void bind(const struct sqlite_session *session, sqlite3_stmt *statement, int index,
                 const void *bytes, size_t size)
{
    bench_sqlite_require(session->db, "bind",
                         sqlite3_bind_blob64(statement, index, bytes, size, SQLITE_STATIC),
                         SQLITE_OK);
}

static size_t get(void *opaque, const void *key, void *value, size_t capacity)
{
    struct sqlite_session *session = opaque;
    size_t size = STORE_ABSENT;
    bind(session, session->get, 1, key, STORE_KEY_BYTES);
    int result = sqlite3_step(session->get);
    if (result == SQLITE_ROW) {
        const void *found = sqlite3_column_blob(session->get, 0);
        size = (size_t)sqlite3_column_bytes(session->get, 0);
        memcpy(value, found, size < capacity ? size : capacity);
    } else {
        bench_sqlite_require(session->db, "SELECT", result, SQLITE_DONE);
    }
    sqlite3_reset(session->get);
    return size;
}

static void put_here(const struct sqlite_session *session, const void *key, const void *value,
                     size_t value_size)
{
    bind(session, session->put, 1, key, STORE_KEY_BYTES);
    bind(session, session->put, 2, value, value_size);
    bench_sqlite_require(session->db, "INSERT", sqlite3_step(session->put), SQLITE_DONE);
    sqlite3_reset(session->put);
}

static void put(void *opaque, const void *key, const void *value, size_t value_size)
{
    struct sqlite_session *session = opaque;
    pthread_mutex_lock(&session->store->writing);
    put_here(session, key, value, value_size);
    pthread_mutex_unlock(&session->store->writing);
}

static void load(void *store, const struct store_source *source)
{
    struct sqlite_session *session = enter(store);
    char key[STORE_KEY_BYTES];
    unsigned char *value = malloc(source->value_bytes);
    for (uint64_t i = 0; i < source->count; i++) {
        if (i % STORE_LOAD_BATCH == 0) {
            bench_sqlite_execute(session->db, "BEGIN IMMEDIATE");
        }
        source->record(source->context, i, key, value);
        put_here(session, key, value, source->value_bytes);
        if ((i + 1) % STORE_LOAD_BATCH == 0 || i + 1 == source->count) {
            bench_sqlite_execute(session->db, "COMMIT");
        }
    }
    free(value);
    leave(session);
}

static size_t scan(void *opaque, const void *key, size_t count, store_visitor visitor,
                   void *context)
{
    struct sqlite_session *session = opaque;
    size_t visited = 0;
    int result;
    bind(session, session->scan, 1, key, STORE_KEY_BYTES);
    bench_sqlite_require(session->db, "bind",
                         sqlite3_bind_int64(session->scan, 2, (sqlite3_int64)count), SQLITE_OK);
    while ((result = sqlite3_step(session->scan)) == SQLITE_ROW) {
        visitor(context, sqlite3_column_blob(session->scan, 0),
                (size_t)sqlite3_column_bytes(session->scan, 0),
                sqlite3_column_blob(session->scan, 1),
                (size_t)sqlite3_column_bytes(session->scan, 1));
        visited++;
    }
    bench_sqlite_require(session->db, "SELECT", result, SQLITE_DONE);
    sqlite3_reset(session->scan);
    return visited;
}

/* Autocommitted writes leave nothing to wait for. */
static void flush(void *store)
{
    (void)store;
}

/* What the next measurement would otherwise have to move out of the log. */
static void settle(void *store)
{
    struct sqlite_session *session = enter(store);
    bench_sqlite_execute(session->db, "PRAGMA wal_checkpoint(PASSIVE)");
    leave(session);
}

#define NORMAL_SURVIVES                                                                            \
    "synchronous=NORMAL: nothing is lost when the process dies; a loss of power takes the tail "   \
    "since the last checkpoint"

const struct store_ops store_sqlite = {
    .name = "sqlite",
    .survives =
        {
            [STORE_INTERVAL] = NORMAL_SURVIVES,
            [STORE_PROCESS] = NORMAL_SURVIVES,
            [STORE_POWER] = "synchronous=FULL: nothing is lost",
        },
    .settings =
        "write-ahead log, statements prepared once a thread, autocommit; the reading budget as "
        "page caches, and memory-mapped I/O besides",
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

const struct store_ops store_select = {
    .name = "SELECT",
    .open = open_select,
    .close = close_store,
    .enter = enter,
    .leave = leave,
    .get = get,
    .flush = flush,
    .settle = flush,
};
