/* For the tests of the SQLite store: opening one in the scratch directory, and short calls of it. */
#ifndef DSQ_TESTS_PERSIST_STORE_FIXTURE_H
#define DSQ_TESTS_PERSIST_STORE_FIXTURE_H

#include <stdint.h>

#include <sqlite3.h>

#include "persist/sqlite_store.h"
#include "tests/persist/scratch.h"

static struct dsq_error error;

static inline struct dsq_bytes text(const char *string)
{
    return (struct dsq_bytes){string, strlen(string)};
}

static inline bool is_text(struct dsq_bytes bytes, const char *string)
{
    return dsq_bytes_compare(bytes, text(string)) == 0;
}

static inline int try_open(const char *name, struct dsq_sqlite_options options,
                           struct dsq_store **store)
{
    error = (struct dsq_error){0};
    return dsq_sqlite_store_open(scratch_path(name), &options, store, &error);
}

static inline struct dsq_store *must_open(const char *name, struct dsq_sqlite_options options)
{
    struct dsq_store *store;
    cr_assert_eq(try_open(name, options, &store), DSQ_OK, "%s", error.message);
    return store;
}

static inline struct dsq_store *open_default(void)
{
    return must_open("db", (struct dsq_sqlite_options){0});
}

static inline void must_close(struct dsq_store *store)
{
    cr_assert_eq(store->ops->close(store, &error), DSQ_OK, "%s", error.message);
}

static inline void begin(struct dsq_store *store)
{
    cr_assert_eq(store->ops->begin(store, DSQ_COMMIT_DURABLE, &error), DSQ_OK, "%s", error.message);
}

static inline void put(struct dsq_store *store, const char *key, const char *value)
{
    cr_assert_eq(store->ops->put(store, text(key), text(value), &error), DSQ_OK, "%s",
                 error.message);
}

static inline void del(struct dsq_store *store, const char *key)
{
    cr_assert_eq(store->ops->del(store, text(key), &error), DSQ_OK, "%s", error.message);
}

static inline void append(struct dsq_store *store, uint64_t number, const char *batch)
{
    cr_assert_eq(store->ops->journal_append(store, number, text(batch), &error), DSQ_OK, "%s",
                 error.message);
}

static inline void commit(struct dsq_store *store)
{
    cr_assert_eq(store->ops->commit(store, &error), DSQ_OK, "%s", error.message);
}

/* A transaction of one row in kv and one in the journal. */
static inline void store_row(struct dsq_store *store, uint64_t number, const char *key,
                             const char *value)
{
    begin(store);
    put(store, key, value);
    append(store, number, value);
    commit(store);
}

static inline struct dsq_reader *acquire(struct dsq_store *store)
{
    struct dsq_reader *reader;
    cr_assert_eq(store->ops->reader_acquire(store, &reader, &error), DSQ_OK, "%s", error.message);
    return reader;
}

/* Whether the row is there with that value; value NULL: whether it is absent. */
static inline bool has_row_bytes(struct dsq_store *store, struct dsq_bytes key, const char *value)
{
    struct dsq_reader *reader = acquire(store);
    struct dsq_bytes found;
    int status = store->ops->reader_get(reader, key, &found, &error);
    cr_assert_geq(status, DSQ_OK, "%s", error.message);
    bool has = value == NULL ? status == DSQ_ABSENT : status == DSQ_OK && is_text(found, value);
    store->ops->reader_done(reader);
    store->ops->reader_release(store, reader);
    return has;
}

static inline bool has_row(struct dsq_store *store, const char *key, const char *value)
{
    return has_row_bytes(store, text(key), value);
}

/* The answer, a text of one cell, that a plain SQLite connection gets from the file. */
static inline const char *sqlite_says(const char *name, const char *sql)
{
    static char answer[256];
    sqlite3 *db;
    sqlite3_stmt *statement;
    cr_assert_eq(sqlite3_open_v2(scratch_path(name), &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK, "%s",
                 sqlite3_errmsg(db));
    int result = sqlite3_step(statement);
    cr_assert(result == SQLITE_ROW || result == SQLITE_DONE, "%s", sqlite3_errmsg(db));
    const unsigned char *cell =
        result == SQLITE_ROW ? sqlite3_column_text(statement, 0) : (const unsigned char *)"";
    snprintf(answer, sizeof answer, "%s", cell != NULL ? (const char *)cell : "NULL");
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return answer;
}

/* Nothing but the file itself lies there. */
static inline bool is_alone(const char *name)
{
    static const char *const suffixes[] = {"-wal", "-shm", "-journal", "-lock"};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char other[256];
        snprintf(other, sizeof other, "%s%s", name, suffixes[i]);
        if (scratch_has(other)) {
            return false;
        }
    }
    return true;
}

#endif
