#include "bench/durable_sqlite.h"

#include <stdio.h>
#include <stdlib.h>

#include <sqlite3.h>

#include "bench/sqlite_calls.h"

struct durable_sqlite {
    sqlite3 *db;
    sqlite3_stmt *begin;
    sqlite3_stmt *upsert;
    sqlite3_stmt *commit;
};

static const struct {
    const char *name;
    const char *create;
} shapes[DURABLE_SHAPES] = {
    [DURABLE_ROWID] = {"rowid", "CREATE TABLE kv(key BLOB PRIMARY KEY, value BLOB NOT NULL)"},
    [DURABLE_WITHOUT_ROWID] = {"without rowid",
                               "CREATE TABLE kv(key BLOB PRIMARY KEY, value BLOB NOT NULL)"
                               " WITHOUT ROWID"},
};

static sqlite3 *watched;

const char *durable_shape_name(enum durable_shape shape)
{
    return shapes[shape].name;
}

static sqlite3_int64 query(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = bench_sqlite_prepare(db, sql);
    bench_sqlite_require(db, sql, sqlite3_step(statement), SQLITE_ROW);
    sqlite3_int64 number = sqlite3_column_int64(statement, 0);
    bench_sqlite_require(db, sql, sqlite3_finalize(statement), SQLITE_OK);
    return number;
}

struct durable_sqlite *durable_sqlite_open(const char *path, enum durable_shape shape,
                                           int cache_size)
{
    struct durable_sqlite *self = calloc(1, sizeof *self);
    char sql[64];
    if (self == NULL) {
        abort();
    }
    bench_sqlite_require(
        self->db, path,
        sqlite3_open_v2(path, &self->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL),
        SQLITE_OK);
    snprintf(sql, sizeof sql, "PRAGMA cache_size=%d", cache_size);
    bench_sqlite_execute(self->db, sql);
    bench_sqlite_execute(self->db, "PRAGMA journal_mode=WAL");
    bench_sqlite_execute(self->db, "PRAGMA synchronous=FULL");
    bench_sqlite_execute(self->db, shapes[shape].create);
    if (query(self->db, "SELECT journal_mode = 'wal' FROM pragma_journal_mode") == 0) {
        fprintf(stderr, "SQLite: no write-ahead log at %s\n", path);
        exit(1);
    }
    self->begin = bench_sqlite_prepare(self->db, "BEGIN IMMEDIATE");
    self->upsert =
        bench_sqlite_prepare(self->db, "INSERT INTO kv(key, value) VALUES(?1, ?2)"
                                       " ON CONFLICT(key) DO UPDATE SET value = excluded.value");
    self->commit = bench_sqlite_prepare(self->db, "COMMIT");
    return self;
}

static void ask(sqlite3 *db, struct durable_settings *settings)
{
    settings->page_size = (int)query(db, "PRAGMA page_size");
    settings->cache_size = (int)query(db, "PRAGMA cache_size");
    settings->synchronous = (int)query(db, "PRAGMA synchronous");
    settings->wal_autocheckpoint = (int)query(db, "PRAGMA wal_autocheckpoint");
}

void durable_sqlite_settings(struct durable_sqlite *self, struct durable_settings *settings)
{
    ask(self->db, settings);
}

static void run(struct durable_sqlite *self, sqlite3_stmt *statement)
{
    int result = sqlite3_step(statement);
    bench_sqlite_require(self->db, sqlite3_sql(statement), result, SQLITE_DONE);
    sqlite3_reset(statement);
}

void durable_sqlite_put(struct durable_sqlite *self, const struct durable_record *record)
{
    int result =
        sqlite3_bind_blob(self->upsert, 1, record->key, (int)sizeof record->key, SQLITE_STATIC);
    bench_sqlite_require(self->db, "bind the key", result, SQLITE_OK);
    result =
        sqlite3_bind_blob(self->upsert, 2, record->value, (int)sizeof record->value, SQLITE_STATIC);
    bench_sqlite_require(self->db, "bind the value", result, SQLITE_OK);
    run(self, self->upsert);
}

void durable_sqlite_put_all(struct durable_sqlite *self, const struct durable_record *records,
                            size_t count)
{
    run(self, self->begin);
    for (size_t i = 0; i < count; i++) {
        durable_sqlite_put(self, &records[i]);
    }
    run(self, self->commit);
}

void durable_sqlite_close(struct durable_sqlite *self)
{
    sqlite3_finalize(self->begin);
    sqlite3_finalize(self->upsert);
    sqlite3_finalize(self->commit);
    bench_sqlite_require(self->db, "close", sqlite3_close(self->db), SQLITE_OK);
    free(self);
}

uint64_t durable_sqlite_count(const char *path)
{
    sqlite3 *db = NULL;
    bench_sqlite_require(db, path, sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL),
                         SQLITE_OK);
    uint64_t count = (uint64_t)query(db, "SELECT count(*) FROM kv");
    bench_sqlite_require(db, "close", sqlite3_close(db), SQLITE_OK);
    return count;
}

/* SQLite calls it for each new connection of the process. */
static int watch(sqlite3 *db, char **message, const struct sqlite3_api_routines *routines)
{
    (void)message;
    (void)routines;
    /* Those that the library reads with have settings of their own. */
    if (sqlite3_db_readonly(db, "main") == 0) {
        watched = db;
    }
    return SQLITE_OK;
}

void durable_sqlite_watch_begin(void)
{
    watched = NULL;
    bench_sqlite_require(NULL, "watch connections", sqlite3_auto_extension((void (*)(void))watch),
                         SQLITE_OK);
}

void durable_sqlite_watch_end(struct durable_settings *settings)
{
    sqlite3_cancel_auto_extension((void (*)(void))watch);
    if (watched == NULL) {
        fprintf(stderr, "the library has made no connection that could be asked\n");
        exit(1);
    }
    ask(watched, settings);
}

const char *durable_sqlite_version(void)
{
    return sqlite3_libversion();
}
