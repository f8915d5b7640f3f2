/*
 * Backup, verification, compaction.
 *
 * The first two read one snapshot through a connection of their own, while readers and writers go on;
 * as long as they read, the WAL cannot begin anew and grows.
 */
#include "persist/sqlite_store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "core/error.h"
#include "persist/journal.h"

/* Pages copied, rows looked at and SQLite's own steps between two reports. */
#define BACKUP_PAGES 256
#define VERIFY_ROWS 1024
#define STEPS 100000

static int cancelled(const char *what, const char *path, struct dsq_error *error)
{
    return dsq_error_set(error, DSQ_ERR_CANCELLED, "%s of %s was cancelled", what, path);
}

/* Whether the caller wants to go on. */
static bool report(const struct dsq_store_progress *progress, uint64_t done, uint64_t total)
{
    return progress->report == NULL || progress->report(progress->context, done, total) == 0;
}

/* ---- backup ---- */

static int sync_path(const char *path, int flags, struct dsq_error *error)
{
    int fd = open(path, flags | O_CLOEXEC);
    int failed = fd < 0 || fsync(fd) != 0 ? errno : 0;
    if (fd >= 0) {
        close(fd);
    }
    errno = failed;
    return failed == 0 ? DSQ_OK : dsq_error_set(error, DSQ_ERR_IO, "cannot sync %s: %m", path);
}

static int sync_directory_of(const char *path, struct dsq_error *error)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int length = slash != NULL ? (int)(slash - path) + 1 : 0;
    snprintf(directory, sizeof directory, "%.*s", length, path);
    return sync_path(length > 0 ? directory : ".", O_RDONLY | O_DIRECTORY, error);
}

/* Opens a connection that reads one snapshot until it is closed. */
static int open_snapshot(struct dsq_sqlite_store *self, struct sqlite3 **db,
                         struct dsq_error *error)
{
    int status = dsq_sqlite_connect(self->readers.source, self->readers.flags, db, error);
    if (status != DSQ_OK) {
        return status;
    }
    int result = sqlite3_exec(*db, "BEGIN; SELECT count(*) FROM meta", NULL, NULL, NULL);
    if (result != SQLITE_OK) {
        status = dsq_sqlite_error(*db, result, "begin to read", self->path, error);
        sqlite3_close(*db);
    }
    return status;
}

static int copy_pages(struct sqlite3 *from, struct sqlite3 *to, const char *path,
                      const struct dsq_store_progress *progress, struct dsq_error *error)
{
    struct sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    int result = SQLITE_OK;
    bool goes_on = true;
    while (backup != NULL && result == SQLITE_OK && goes_on) {
        result = sqlite3_backup_step(backup, BACKUP_PAGES);
        uint64_t total = (uint64_t)sqlite3_backup_pagecount(backup);
        goes_on = report(progress, total - (uint64_t)sqlite3_backup_remaining(backup), total);
    }
    int finished = sqlite3_backup_finish(backup);
    if (!goes_on) {
        return cancelled("the backup", path, error);
    }
    if (result == SQLITE_DONE && finished == SQLITE_OK) {
        return DSQ_OK;
    }
    return dsq_sqlite_error(to, sqlite3_extended_errcode(to), "write the backup", path, error);
}

/* Copies the snapshot into an empty file and has it on disk. */
static int fill_copy(struct dsq_sqlite_store *self, const char *path,
                     const struct dsq_store_progress *progress, struct dsq_error *error)
{
    struct sqlite3 *from;
    struct sqlite3 *to = NULL;
    int status = open_snapshot(self, &from, error);
    if (status != DSQ_OK) {
        return status;
    }
    int result = sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (result == SQLITE_OK) {
        result =
            sqlite3_exec(to, "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF", NULL, NULL, NULL);
    }
    status = result == SQLITE_OK ? copy_pages(from, to, path, progress, error)
                                 : dsq_sqlite_error(to, result, "create the backup", path, error);
    sqlite3_close(to);
    sqlite3_close(from);
    return status == DSQ_OK ? sync_path(path, O_RDWR, error) : status;
}

static int put_in_place(const char *copy, const char *path, bool overwrite, struct dsq_error *error)
{
    int result = overwrite ? rename(copy, path) : link(copy, path);
    if (result != 0) {
        int status = errno == EEXIST ? DSQ_ERR_CANTOPEN : DSQ_ERR_IO;
        return dsq_error_set(error, status, "cannot put the backup at %s: %m", path);
    }
    if (!overwrite) {
        unlink(copy);
    }
    return sync_directory_of(path, error);
}

/* What is to be overwritten must not be this store, nor have a log that would belong to the copy. */
static int check_target(const struct dsq_sqlite_store *self, const char *path, bool overwrite,
                        struct dsq_error *error)
{
    struct dsq_file_identity target = dsq_sqlite_identify(path, "");
    struct dsq_file_identity own = dsq_sqlite_identify(self->path, "");
    if (target.inode == 0) {
        return DSQ_OK;
    }
    if (target.inode == own.inode && target.device == own.device) {
        return dsq_error_set(error, DSQ_ERR_INVALID, "%s is the store itself", path);
    }
    if (!overwrite) {
        return dsq_error_set(error, DSQ_ERR_CANTOPEN, "%s is there already", path);
    }
    if (dsq_sqlite_file_size(path, "-wal") != 0) {
        return dsq_error_set(error, DSQ_ERR_LOCKED,
                             "%s has a write-ahead log: it is open, or was not closed", path);
    }
    return DSQ_OK;
}

static int make_copy(struct dsq_sqlite_store *self, const char *path, bool overwrite,
                     const struct dsq_store_progress *progress, struct dsq_error *error)
{
    char copy[PATH_MAX];
    if (snprintf(copy, sizeof copy, "%s.XXXXXX", path) >= (int)sizeof copy) {
        return dsq_error_set(error, DSQ_ERR_CANTOPEN, "the path is too long: %s", path);
    }
    int fd = mkostemp(copy, O_CLOEXEC);
    if (fd < 0) {
        int status = errno == ENOSPC || errno == EDQUOT ? DSQ_ERR_FULL : DSQ_ERR_CANTOPEN;
        return dsq_error_set(error, status, "cannot create %s: %m", copy);
    }
    close(fd);
    int status = fill_copy(self, copy, progress, error);
    if (status == DSQ_OK) {
        status = put_in_place(copy, path, overwrite, error);
    }
    if (status != DSQ_OK) {
        unlink(copy);
    }
    return status;
}

int dsq_sqlite_backup(struct dsq_store *store, const char *path, bool overwrite,
                      const struct dsq_store_progress *progress, struct dsq_error *error)
{
    struct dsq_sqlite_store *self = dsq_sqlite_store_of(store);
    struct dsq_owner_lock *lock = NULL;
    int status = check_target(self, path, overwrite, error);
    if (status == DSQ_OK && overwrite) {
        status = dsq_owner_lock_acquire(path, false, &lock, error);
    }
    if (status == DSQ_OK) {
        status = make_copy(self, path, overwrite, progress, error);
    }
    dsq_owner_lock_release(lock);
    return status;
}

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
        !report(verification->progress, verification->seen, verification->rows);
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
        return cancelled("the verification", verification->path, error);
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
            status = cancelled("the verification", verification->path, error);
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

int dsq_sqlite_verify(struct dsq_store *store, const struct dsq_store_progress *progress,
                      struct dsq_error *error)
{
    struct dsq_sqlite_store *self = dsq_sqlite_store_of(store);
    struct verification verification = {.progress = progress, .path = self->path};
    int status = open_snapshot(self, &verification.db, error);
    if (status != DSQ_OK) {
        return status;
    }
    sqlite3_progress_handler(verification.db, STEPS, on_steps, &verification);
    status = dsq_sqlite_query_number(verification.db, "SELECT value FROM meta WHERE name = 'count'",
                                     self->path, &verification.rows, error);
    if (status == DSQ_OK) {
        status = verify_pages(&verification, error);
    }
    if (status == DSQ_OK) {
        status = verify_rows(&verification, error);
    }
    if (status == DSQ_OK) {
        status = verify_journal(&verification, error);
    }
    if (status == DSQ_OK && on_steps(&verification)) {
        status = cancelled("the verification", self->path, error);
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
    compaction->cancelled = !report(compaction->progress, ++compaction->reports, 0);
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
        status = cancelled("the compaction", self->path, error);
    } else if (result != SQLITE_OK) {
        status = dsq_sqlite_error(self->db, result, "compact", self->path, error);
    }
    if (result != SQLITE_OK) {
        sqlite3_exec(self->db, "PRAGMA temp_store=MEMORY", NULL, NULL, NULL);
        self->version_unknown = true;
    }
    return status == DSQ_OK ? store->ops->checkpoint(store, true, error) : status;
}
