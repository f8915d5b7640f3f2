/*
 * Readers: read-only connections, each with its statements, in a pool.
 *
 * An old snapshot would bring back what has been overwritten since, and an open one keeps the WAL from
 * being emptied.  But to begin and end a transaction takes a fifth of the time of a read, so that a reader
 * keeps that of a reader_get open for the next one while
 *
 *   R1  it is of the latest commit.  Nobody else writes, so nothing has changed then.  `generation`
 *       moves once COMMIT has returned and before anybody is told, so before what it holds can be evicted:
 *       a miss that loads `generation` after its LOADING went in loads one that counts everything that is
 *       no longer in the hot tier.  (A readonly store does not hear of commits: it keeps nothing.)
 *   R2  no checkpoint is under way: that begins by having the idle readers let go, and meanwhile the others
 *       do when they are released.  `generation` moves at its end as well, so that nobody
 *       goes on in a snapshot that would make the next commit append to the WAL instead of beginning
 *       it anew.
 *
 * Scans have a transaction of their own, within one call.
 */
#include "persist/sqlite_store_internal.h"

#include <assert.h>
#include <stdlib.h>

#include <sqlite3.h>

#include "core/atomic.h"
#include "core/error.h"
#include "core/thread.h"

/* The queries of a scan: which bound is open, is there an end, and which way it goes. */
#define SCAN_AFTER_START 1
#define SCAN_HAS_STOP 2
#define SCAN_DESCENDING 4
#define SCANS 8

static const char get_sql[] = "SELECT value FROM kv WHERE key = ?1";
static const char begin_sql[] = "BEGIN";
static const char let_go_sql[] = "ROLLBACK"; /* ends it even where it meets an error */
static const char *const scan_sql[SCANS] = {
    "SELECT key, value FROM kv WHERE key >= ?1 ORDER BY key",
    "SELECT key, value FROM kv WHERE key > ?1 ORDER BY key",
    "SELECT key, value FROM kv WHERE key >= ?1 AND key < ?2 ORDER BY key",
    "SELECT key, value FROM kv WHERE key > ?1 AND key < ?2 ORDER BY key",
    "SELECT key, value FROM kv WHERE key >= ?1 ORDER BY key DESC",
    "SELECT key, value FROM kv WHERE key > ?1 ORDER BY key DESC",
    "SELECT key, value FROM kv WHERE key >= ?1 AND key < ?2 ORDER BY key DESC",
    "SELECT key, value FROM kv WHERE key > ?1 AND key < ?2 ORDER BY key DESC",
};

static const char journal_sql[] = "SELECT id, batch FROM journal WHERE id > ?1 ORDER BY id";

struct dsq_reader {
    struct dsq_reader *next; /* in the list of idle ones */
    unsigned thread;         /* that has used it last */
    struct dsq_sqlite_store *store;
    struct sqlite3 *db;
    struct sqlite3_stmt *get;
    struct sqlite3_stmt *begin;
    struct sqlite3_stmt *let_go;
    bool keeps; /* a transaction that began after `generation` had this value */
    uint64_t generation;
    struct sqlite3_stmt *scans[SCANS]; /* prepared when first wanted */
};

static void close_reader(struct dsq_reader *reader)
{
    sqlite3_finalize(reader->get);
    sqlite3_finalize(reader->begin);
    sqlite3_finalize(reader->let_go);
    for (int i = 0; i < SCANS; i++) {
        sqlite3_finalize(reader->scans[i]);
    }
    sqlite3_close(reader->db);
    free(reader);
}

static int open_reader(struct dsq_sqlite_store *store, struct dsq_reader **reader,
                       struct dsq_error *error)
{
    struct dsq_reader *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return dsq_error_set(error, DSQ_ERR_NOMEM, "out of memory while opening %s", store->path);
    }
    made->store = store;
    int status = dsq_sqlite_connect(store->readers.source, store->readers.flags, store->vfs,
                                    &made->db, error);
    if (status == DSQ_OK) {
        status = dsq_sqlite_prepare(made->db, get_sql, store->path, &made->get, error);
    }
    if (status == DSQ_OK) {
        status = dsq_sqlite_prepare(made->db, begin_sql, store->path, &made->begin, error);
    }
    if (status == DSQ_OK) {
        status = dsq_sqlite_prepare(made->db, let_go_sql, store->path, &made->let_go, error);
    }
    if (status != DSQ_OK) {
        close_reader(made);
        return status;
    }
    *reader = made;
    return DSQ_OK;
}

int dsq_sqlite_readers_init(struct dsq_sqlite_readers *readers)
{
    if (pthread_mutex_init(&readers->mutex, NULL) != 0) {
        return DSQ_ERR_NOMEM;
    }
    if (pthread_cond_init(&readers->released, NULL) != 0) {
        pthread_mutex_destroy(&readers->mutex);
        return DSQ_ERR_NOMEM;
    }
    return DSQ_OK;
}

void dsq_sqlite_readers_close(struct dsq_sqlite_readers *readers)
{
    while (readers->idle != NULL) {
        struct dsq_reader *reader = readers->idle;
        readers->idle = reader->next;
        readers->opened--;
        close_reader(reader);
    }
    assert(readers->opened == 0);
}

void dsq_sqlite_readers_fini(struct dsq_sqlite_readers *readers)
{
    dsq_sqlite_readers_close(readers);
    pthread_cond_destroy(&readers->released);
    pthread_mutex_destroy(&readers->mutex);
    free(readers->source);
}

void dsq_sqlite_readers_abandon(struct dsq_sqlite_readers *readers)
{
    /* The lent ones belonged to threads that do not exist in the child, and so does the mutex. */
    while (readers->idle != NULL) {
        struct dsq_reader *reader = readers->idle;
        readers->idle = reader->next;
        free(reader);
    }
    free(readers->source);
}

/*
 * The idle reader that this thread has used last, as its pages are in the cache of that processor; else the
 * one that was released last.
 */
static struct dsq_reader **find_idle(struct dsq_sqlite_readers *readers)
{
    const unsigned thread = dsq_thread_number();
    for (struct dsq_reader **at = &readers->idle; *at != NULL; at = &(*at)->next) {
        if ((*at)->thread == thread) {
            return at;
        }
    }
    return &readers->idle;
}

/* Takes an idle reader, or leave (NULL) to open one more; waits while there is neither. */
static struct dsq_reader *take_idle(struct dsq_sqlite_readers *readers)
{
    pthread_mutex_lock(&readers->mutex);
    while (readers->idle == NULL && readers->opened == DSQ_SQLITE_READERS_MAX) {
        pthread_cond_wait(&readers->released, &readers->mutex);
    }
    struct dsq_reader **place = find_idle(readers);
    struct dsq_reader *reader = *place;
    if (reader != NULL) {
        *place = reader->next;
    } else {
        readers->opened++;
    }
    pthread_mutex_unlock(&readers->mutex);
    return reader;
}

static void give_up_opening(struct dsq_sqlite_readers *readers)
{
    pthread_mutex_lock(&readers->mutex);
    readers->opened--;
    pthread_cond_signal(&readers->released);
    pthread_mutex_unlock(&readers->mutex);
}

int dsq_sqlite_reader_acquire(struct dsq_store *store, struct dsq_reader **reader,
                              struct dsq_error *error)
{
    struct dsq_sqlite_store *self = dsq_sqlite_store_of(store);
    *reader = take_idle(&self->readers);
    if (*reader != NULL) {
        return DSQ_OK;
    }
    int status = open_reader(self, reader, error);
    if (status != DSQ_OK) {
        give_up_opening(&self->readers);
    }
    return status;
}

static bool is_between_transactions(const struct dsq_reader *reader)
{
    return sqlite3_txn_state(reader->db, NULL) == SQLITE_TXN_NONE;
}

static void let_go(struct dsq_reader *reader)
{
    if (reader->keeps) {
        /* An error may have ended it before. */
        if (!sqlite3_get_autocommit(reader->db)) {
            sqlite3_step(reader->let_go);
            sqlite3_reset(reader->let_go);
        }
        reader->keeps = false;
    }
    assert(is_between_transactions(reader));
}

/* Acquire: what the commits that it counts have led to is seen, and they are read. */
static uint64_t generation_of(const struct dsq_reader *reader)
{
    return dsq_load_acquire(&reader->store->readers.generation);
}

static void let_go_if_old(struct dsq_reader *reader)
{
    assert(reader->keeps || is_between_transactions(reader));
    if (reader->keeps && reader->generation != generation_of(reader)) {
        let_go(reader);
    }
}

/* R1.  SQLite's result. */
static int refresh(struct dsq_reader *reader)
{
    uint64_t generation = generation_of(reader);
    if (reader->store->readonly || (reader->keeps && reader->generation == generation)) {
        return SQLITE_OK;
    }
    let_go(reader);
    int result = sqlite3_step(reader->begin);
    sqlite3_reset(reader->begin);
    reader->keeps = result == SQLITE_DONE;
    reader->generation = generation;
    return reader->keeps ? SQLITE_OK : result;
}

/* Releases the commit that the caller has made. */
void dsq_sqlite_readers_advance(struct dsq_sqlite_readers *readers)
{
    dsq_add_acq_rel(&readers->generation, 1);
}

void dsq_sqlite_readers_pause(struct dsq_sqlite_readers *readers)
{
    pthread_mutex_lock(&readers->mutex);
    readers->paused = true;
    for (struct dsq_reader *reader = readers->idle; reader != NULL; reader = reader->next) {
        let_go(reader);
    }
    pthread_mutex_unlock(&readers->mutex);
}

void dsq_sqlite_readers_resume(struct dsq_sqlite_readers *readers)
{
    dsq_sqlite_readers_advance(readers);
    pthread_mutex_lock(&readers->mutex);
    readers->paused = false;
    pthread_mutex_unlock(&readers->mutex);
}

void dsq_sqlite_reader_release(struct dsq_store *store, struct dsq_reader *reader)
{
    struct dsq_sqlite_readers *readers = &dsq_sqlite_store_of(store)->readers;
    let_go_if_old(reader);
    pthread_mutex_lock(&readers->mutex);
    if (readers->paused) {
        let_go(reader);
    }
    reader->next = readers->idle;
    reader->thread = dsq_thread_number();
    readers->idle = reader;
    pthread_cond_signal(&readers->released);
    pthread_mutex_unlock(&readers->mutex);
}

static void end(struct sqlite3_stmt *statement)
{
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
}

static int fail(struct dsq_reader *reader, int result, const char *operation,
                struct dsq_error *error)
{
    return dsq_sqlite_error(reader->db, result, operation, reader->store->path, error);
}

/* The bytes of a column of the row; SQLITE_NOMEM if there was no memory to hold them. */
static int read_cell(struct sqlite3_stmt *statement, int column, struct dsq_bytes *bytes)
{
    bytes->data = sqlite3_column_blob(statement, column);
    bytes->size = (size_t)sqlite3_column_bytes(statement, column);
    /* An empty BLOB is NULL too. */
    bool failed =
        bytes->data == NULL && sqlite3_errcode(sqlite3_db_handle(statement)) == SQLITE_NOMEM;
    return failed ? SQLITE_NOMEM : SQLITE_OK;
}

int dsq_sqlite_reader_get(struct dsq_reader *reader, struct dsq_bytes key, struct dsq_bytes *value,
                          struct dsq_error *error)
{
    assert(reader->keeps || is_between_transactions(reader));
    int result = refresh(reader);
    if (result == SQLITE_OK) {
        result = dsq_sqlite_bind(reader->get, 1, key);
    }
    if (result == SQLITE_OK) {
        result = sqlite3_step(reader->get);
    }
    if (result == SQLITE_DONE) {
        return DSQ_ABSENT;
    }
    if (result == SQLITE_ROW) {
        result = read_cell(reader->get, 0, value);
        if (result == SQLITE_OK) {
            return DSQ_OK;
        }
    }
    int status = fail(reader, result, "read a record", error);
    /* Nothing is kept of a transaction that has met an error. */
    sqlite3_reset(reader->get);
    let_go(reader);
    return status;
}

void dsq_sqlite_reader_done(struct dsq_reader *reader)
{
    end(reader->get);
    let_go_if_old(reader);
}

static int scan_statement(struct dsq_reader *reader, const struct dsq_scan_range *range,
                          struct sqlite3_stmt **statement, struct dsq_error *error)
{
    int which = (range->after_start ? SCAN_AFTER_START : 0) |
                (range->has_stop ? SCAN_HAS_STOP : 0) | (range->descending ? SCAN_DESCENDING : 0);
    int status = DSQ_OK;
    if (reader->scans[which] == NULL) {
        status = dsq_sqlite_prepare(reader->db, scan_sql[which], reader->store->path,
                                    &reader->scans[which], error);
    }
    *statement = reader->scans[which];
    return status;
}

static int visit_rows(struct sqlite3_stmt *statement, dsq_row_visitor visitor, void *context)
{
    int result;
    while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
        struct dsq_bytes key;
        struct dsq_bytes value;
        result = read_cell(statement, 0, &key);
        if (result == SQLITE_OK) {
            result = read_cell(statement, 1, &value);
        }
        if (result != SQLITE_OK || !visitor(context, key, value)) {
            return result;
        }
    }
    return result == SQLITE_DONE ? SQLITE_OK : result;
}

int dsq_sqlite_reader_scan(struct dsq_reader *reader, const struct dsq_scan_range *range,
                           dsq_row_visitor visitor, void *context, struct dsq_error *error)
{
    struct sqlite3_stmt *statement;
    let_go(reader);
    int status = scan_statement(reader, range, &statement, error);
    if (status != DSQ_OK) {
        return status;
    }
    int result = dsq_sqlite_bind(statement, 1, range->start);
    if (result == SQLITE_OK && range->has_stop) {
        result = dsq_sqlite_bind(statement, 2, range->stop);
    }
    if (result == SQLITE_OK) {
        result = visit_rows(statement, visitor, context);
    }
    if (result != SQLITE_OK) {
        status = fail(reader, result, "read a range of records", error);
    }
    end(statement);
    return status;
}

static int visit_journal(struct sqlite3_stmt *statement, dsq_journal_row_visitor visitor,
                         void *context)
{
    int result;
    while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
        struct dsq_bytes batch;
        result = read_cell(statement, 1, &batch);
        if (result != SQLITE_OK ||
            !visitor(context, (uint64_t)sqlite3_column_int64(statement, 0), batch)) {
            return result;
        }
    }
    return result == SQLITE_DONE ? SQLITE_OK : result;
}

int dsq_sqlite_reader_journal(struct dsq_reader *reader, uint64_t after,
                              dsq_journal_row_visitor visitor, void *context,
                              struct dsq_error *error)
{
    struct sqlite3_stmt *statement;
    let_go(reader);
    int status =
        dsq_sqlite_prepare(reader->db, journal_sql, reader->store->path, &statement, error);
    if (status != DSQ_OK) {
        return status;
    }
    int result = sqlite3_bind_int64(statement, 1, (sqlite3_int64)after);
    if (result == SQLITE_OK) {
        result = visit_journal(statement, visitor, context);
    }
    if (result != SQLITE_OK) {
        status = fail(reader, result, "read the journal", error);
    }
    sqlite3_finalize(statement);
    return status;
}
