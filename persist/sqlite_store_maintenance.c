/*
 * Verification and compaction.
 *
 * The former reads one snapshot through a connection of its own, while readers and writers go on; as
 * long as it reads, the WAL cannot begin anew and grows.
 */
#include "persist/sqlite_store_internal.h"

#include <string.h>

#include <sqlite3.h>

#include "core/error.h"
#include "persist/journal.h"

/* Rows looked at and SQLite's own steps between two reports. */
#define VERIFY_ROWS 1024
#define STEPS 100000

/* ---- verification ---- */

struct verification {
    const struct dsq_store_progress *progress;
    const char *path;
    struct sqlite3 *db;
    uint64_t rows; /* that meta.count says */
    uint64_t seen;
    bool cancelled;
    bool is_whole; /* what a batch's records have shown so far */
};

static int on_steps(void *context)
{
    struct verification *verification = context;
    verification->cancelled =
        !dsq_sqlite_report(verification->progress, verification->seen, verification->rows);
    return verification->cancelled;
}

static int damaged(const struct verification *verification, struct dsq_error *error,
                   const char *what, uint64_t number)
{
    return dsq_error_set(error, DSQ_ERR_CORRUPT, "%s (%llu): %s", what, (unsigned long long)number,
                         verification->path);
}

/* The error of a statement that did not end as it should. */
static int failed(const struct verification *verification, int result, struct dsq_error *error)
{
    if (result == SQLITE_INTERRUPT && verification->cancelled) {
        return dsq_sqlite_cancelled("the verification", verification->path, error);
    }
    return dsq_sqlite_error(verification->db, result, "verify", verification->path, error);
}

static int verify_pages(struct verification *verification, struct dsq_error *error)
{
    struct sqlite3_stmt *statement;
    int status = dsq_sqlite_prepare(verification->db, "PRAGMA integrity_check(1)",
                                    verification->path, &statement, error);
    if (status != DSQ_OK) {
        return status;
    }
    int result = sqlite3_step(statement);
    if (result != SQLITE_ROW) {
        status = failed(verification, result, error);
    } else if (strcmp((const char *)sqlite3_column_text(statement, 0), "ok") != 0) {
        status = dsq_error_set(error, DSQ_ERR_CORRUPT, "%s: %s", verification->path,
                               (const char *)sqlite3_column_text(statement, 0));
    }
    sqlite3_finalize(statement);
    return status;
}

/* A row is as every row of ours is: else why not. */
static const char *row_fault(struct sqlite3_stmt *statement)
{
    if (sqlite3_column_type(statement, 1) != SQLITE_BLOB ||
        sqlite3_column_type(statement, 2) != SQLITE_BLOB) {
        return "a row of kv has a key or a value that is no BLOB";
    }
    if ((size_t)sqlite3_column_bytes(statement, 1) > DSQ_STORED_KEY_BYTES_MAX ||
        (size_t)sqlite3_column_bytes(statement, 2) > DSQ_STORED_VALUE_BYTES_MAX) {
        return "a row of kv has a key or a value over the limit";
    }
    return NULL;
}

static int verify_rows(struct verification *verification, struct dsq_error *error)
{
    struct sqlite3_stmt *statement;
    int status = dsq_sqlite_prepare(verification->db, "SELECT rowid, key, value FROM kv",
                                    verification->path, &statement, error);
    int result = SQLITE_ROW;
    while (status == DSQ_OK && (result = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *fault = row_fault(statement);
        if (fault != NULL) {
            status =
                damaged(verification, error, fault, (uint64_t)sqlite3_column_int64(statement, 0));
        }
        if (++verification->seen % VERIFY_ROWS == 0 && on_steps(verification)) {
            status = dsq_sqlite_cancelled("the verification", verification->path, error);
        }
    }
    if (status == DSQ_OK && result != SQLITE_DONE) {
        status = failed(verification, result, error);
    }
    sqlite3_finalize(statement);
    if (status == DSQ_OK && verification->seen != verification->rows) {
        status = damaged(verification, error, "kv does not have as many rows as are counted",
                         verification->rows);
    }
    return status;
}

static int verify_value_format(const struct verification *verification, struct dsq_error *error)
{
    char name[DSQ_SQLITE_VALUE_FORMAT_BYTES_MAX + 1];
    return dsq_sqlite_read_value_format(verification->db, verification->path, name, error);
}

static bool look_at_record(void *context, enum dsq_record_kind kind, struct dsq_bytes key,
                           struct dsq_bytes value)
{
    (void)kind;
    *(bool *)context =
        key.size <= DSQ_STORED_KEY_BYTES_MAX && value.size <= DSQ_STORED_VALUE_BYTES_MAX;
    return *(bool *)context;
}

static int verify_journal(struct verification *verification, struct dsq_error *error)
{
    struct sqlite3_stmt *statement;
    int status = dsq_sqlite_prepare(verification->db, "SELECT id, batch FROM journal ORDER BY id",
                                    verification->path, &statement, error);
    int result = SQLITE_ROW;
    while (status == DSQ_OK && (result = sqlite3_step(statement)) == SQLITE_ROW) {
        struct dsq_bytes batch = {sqlite3_column_blob(statement, 1),
                                  (size_t)sqlite3_column_bytes(statement, 1)};
        uint64_t number = (uint64_t)sqlite3_column_int64(statement, 0);
        bool sound = true;
        if (!dsq_journal_row_read(batch, number, look_at_record, &sound) || !sound) {
            status = damaged(verification, error, "a row of the journal is damaged", number);
        }
    }
    if (status == DSQ_OK && result != SQLITE_DONE) {
        status = failed(verification, result, error);
    }
    sqlite3_finalize(statement);
    return status;
}

/* First, since it names the page; also those that hold nothing now, which nothing else reads. */
static int verify_seals(struct verification *verification, struct dsq_error *error)
{
    int result = SQLITE_OK;
    for (int64_t i = 0; (result = dsq_sealed_check_page(verification->db, i)) == SQLITE_OK; i++) {
        if (i % VERIFY_ROWS == VERIFY_ROWS - 1 && on_steps(verification)) {
            return dsq_sqlite_cancelled("the verification", verification->path, error);
        }
    }
    return result == SQLITE_DONE ? DSQ_OK : failed(verification, result, error);
}

int dsq_sqlite_verify(struct dsq_store *store, const struct dsq_store_progress *progress,
                      struct dsq_error *error)
{
    struct dsq_sqlite_store *self = dsq_sqlite_store_of(store);
    struct verification verification = {.progress = progress, .path = self->path};
    int status = dsq_sqlite_open_snapshot(self, &verification.db, error);
    if (status != DSQ_OK) {
        return status;
    }
    sqlite3_progress_handler(verification.db, STEPS, on_steps, &verification);
    status = dsq_sqlite_query_number(verification.db, "SELECT value FROM meta WHERE name = 'count'",
                                     self->path, &verification.rows, error);
    if (status == DSQ_OK && self->vfs != NULL) {
        status = verify_seals(&verification, error);
    }
    if (status == DSQ_OK) {
        status = verify_pages(&verification, error);
    }
    if (status == DSQ_OK) {
        status = verify_value_format(&verification, error);
    }
    if (status == DSQ_OK) {
        status = verify_rows(&verification, error);
    }
    if (status == DSQ_OK) {
        status = verify_journal(&verification, error);
    }
    if (status == DSQ_OK && on_steps(&verification)) {
        status = dsq_sqlite_cancelled("the verification", self->path, error);
    }
    sqlite3_close(verification.db);
    return status;
}

/* ---- compaction ---- */

struct compaction {
    const struct dsq_store_progress *progress;
    uint64_t reports;
    bool cancelled;
};

static int on_compaction(void *context)
{
    struct compaction *compaction = context;
    compaction->cancelled = !dsq_sqlite_report(compaction->progress, ++compaction->reports, 0);
    return compaction->cancelled;
}

int dsq_sqlite_compact(struct dsq_store *store, const struct dsq_store_progress *progress,
                       struct dsq_error *error)
{
    struct dsq_sqlite_store *self = dsq_sqlite_store_of(store);
    struct compaction compaction = {.progress = progress};
    int status = DSQ_OK;
    sqlite3_progress_handler(self->db, STEPS, on_compaction, &compaction);
    /* What VACUUM puts aside is as large as the file: not in memory. */
    int result = sqlite3_exec(self->db, "PRAGMA temp_store=FILE; VACUUM; PRAGMA temp_store=MEMORY",
                              NULL, NULL, NULL);
    sqlite3_progress_handler(self->db, 0, NULL, NULL);
    if (result == SQLITE_INTERRUPT && compaction.cancelled) {
        status = dsq_sqlite_cancelled("the compaction", self->path, error);
    } else if (result != SQLITE_OK) {
        status = dsq_sqlite_error(self->db, result, "compact", self->path, error);
    }
    if (result != SQLITE_OK) {
        sqlite3_exec(self->db, "PRAGMA temp_store=MEMORY", NULL, NULL, NULL);
        self->version_unknown = true;
    }
    return status == DSQ_OK ? store->ops->checkpoint(store, true, error) : status;
}
