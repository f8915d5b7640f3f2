/*
 * Writing: one connection, one thread at a time.
 *
 * The number of rows moves with the rows really inserted and deleted: an UPDATE that finds no row
 * is followed by an INSERT, which so knows that it adds one.  It is counted in `rows` within the
 * transaction, written to meta by it, and published only once COMMIT has succeeded.
 *
 * SQLite rolls a transaction back by itself after some errors (a full disk, no memory).  Statements
 * executed after that would commit one by one, so each looks first whether the transaction stands.
 */
#include "persist/sqlite_store_internal.h"

#include <stdlib.h>
#include <unistd.h>

#include <sqlite3.h>

#include "core/atomic.h"
#include "core/error.h"

static int fail(struct dsq_sqlite_store *self, int result, const char *operation,
                struct dsq_error *error)
{
    return dsq_sqlite_error(self->db, result, operation, self->path, error);
}

/* Executes a bound statement to its end and readies it for the next time. */
static int run(struct sqlite3_stmt *statement)
{
    int result = sqlite3_step(statement);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return result == SQLITE_DONE ? SQLITE_OK : result;
}

static int require_transaction(struct dsq_sqlite_store *self, struct dsq_error *error)
{
    if (self->readonly) {
        return dsq_error_set(error, DSQ_ERR_READONLY, "%s is open read-only", self->path);
    }
    if (sqlite3_get_autocommit(self->db)) {
        return dsq_error_set(error, DSQ_ERR_IO,
                             "no transaction is open: an error before has ended it: %s",
                             self->path);
    }
    return DSQ_OK;
}

static void abandon_transaction(struct dsq_sqlite_store *self)
{
    /* A ROLLBACK that meets an error has still ended the transaction. */
    if (!sqlite3_get_autocommit(self->db)) {
        run(self->writes[DSQ_SQLITE_ROLLBACK]);
    }
}

static bool is_same(struct dsq_file_identity a, struct dsq_file_identity b)
{
    return a.device == b.device && a.inode == b.inode;
}

/*
 * SQLite goes on writing to a file that was deleted or replaced underneath it, and whoever opened the
 * path next would find none of that.
 */
static int require_in_place(struct dsq_sqlite_store *self, struct dsq_error *error)
{
    struct dsq_file_identity wal = dsq_sqlite_identify(self->path, "-wal");
    const char *suffix = !is_same(dsq_sqlite_identify(self->path, ""), self->file) ? "" : "-wal";
    if (suffix[0] == '\0' || (self->wal.inode != 0 && !is_same(wal, self->wal))) {
        return dsq_error_set(error, DSQ_ERR_CHANGED, "%s%s was deleted, moved or replaced",
                             self->path, suffix);
    }
    self->wal = wal;
    return DSQ_OK;
}

static int read_version(struct dsq_sqlite_store *self, uint64_t *version)
{
    struct sqlite3_stmt *statement = self->writes[DSQ_SQLITE_VERSION];
    int result = sqlite3_step(statement);
    *version = (uint64_t)sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return result == SQLITE_ROW ? SQLITE_OK : result;
}

/*
 * To SQLite the version has changed, too, when after an error it had to throw away what it had in memory.
 * What another program writes between such an error and the next transaction goes unnoticed.
 */
static void rollback(struct dsq_store *store)
{
    struct dsq_sqlite_store *self = dsq_sqlite_store_of(store);
    if (self->in_transaction) {
        abandon_transaction(self);
        self->in_transaction = false;
        self->version_unknown = true;
    }
}

/* Inside a transaction: nobody else can write any more. */
static int require_unchanged(struct dsq_sqlite_store *self, struct dsq_error *error)
{
    uint64_t version;
    int result = read_version(self, &version);
    if (result != SQLITE_OK) {
        return fail(self, result, "begin a transaction", error);
    }
    if (self->version_unknown) {
        self->version = version;
        self->version_unknown = false;
    }
    if (version != self->version) {
        return dsq_error_set(error, DSQ_ERR_CHANGED, "another program has written to %s",
                             self->path);
    }
    return require_in_place(self, error);
}

/* Whether commits wait for the disk can be changed between transactions only. */
static int set_syncs(struct dsq_sqlite_store *self, bool syncs)
{
    int result = SQLITE_OK;
    if (self->syncs != syncs) {
        result =
            sqlite3_exec(self->db, syncs ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL",
                         NULL, NULL, NULL);
        self->syncs = result == SQLITE_OK ? syncs : self->syncs;
    }
    return result;
}

static int begin(struct dsq_store *store, enum dsq_commit_kind kind, struct dsq_error *error)
{
    struct dsq_sqlite_store *self = dsq_sqlite_store_of(store);
    if (self->readonly) {
        return dsq_error_set(error, DSQ_ERR_READONLY, "%s is open read-only", self->path);
    }
    int result = set_syncs(self, kind == DSQ_COMMIT_DURABLE && !self->synchronous_normal);
    if (result == SQLITE_OK) {
        result = run(self->writes[DSQ_SQLITE_BEGIN]);
    }
    if (result != SQLITE_OK) {
        self->version_unknown = self->version_unknown || (result & 0xff) != SQLITE_BUSY;
        return fail(self, result, "begin a transaction", error);
    }
    int status = require_unchanged(self, error);
    if (status != DSQ_OK) {
        abandon_transaction(self);
        return status;
    }
    self->in_transaction = true;
    self->rows = dsq_load_relaxed(&self->count);
    self->last_seq = dsq_load_relaxed(&self->seq);
    self->folded_seq = 0;
    return DSQ_OK;
}

/* Binds key and, if the statement has a place for it, value, and runs it. */
static int run_on(struct sqlite3_stmt *statement, struct dsq_bytes key,
                  const struct dsq_bytes *value)
{
    int result = dsq_sqlite_bind(statement, 1, key);
    if (result == SQLITE_OK && value != NULL) {
        result = dsq_sqlite_bind(statement, 2, *value);
    }
    return result == SQLITE_OK ? run(statement) : result;
}

static int put(struct dsq_store *store, struct dsq_bytes key, struct dsq_bytes value,
               struct dsq_error *error)
{
    struct dsq_sqlite_store *self = dsq_sqlite_store_of(store);
    int status = require_transaction(self, error);
    if (status != DSQ_OK) {
        return status;
    }
    int result = run_on(self->writes[DSQ_SQLITE_UPDATE], key, &value);
    if (result == SQLITE_OK && sqlite3_changes(self->db) == 0) {
        result = run_on(self->writes[DSQ_SQLITE_INSERT], key, &value);
        self->rows += result == SQLITE_OK;
    }
    return result == SQLITE_OK ? DSQ_OK : fail(self, result, "store a record", error);
}

static int del(struct dsq_store *store, struct dsq_bytes key, struct dsq_error *error)
{
    struct dsq_sqlite_store *self = dsq_sqlite_store_of(store);
    int status = require_transaction(self, error);
    if (status != DSQ_OK) {
        return status;
    }
    int result = run_on(self->writes[DSQ_SQLITE_DELETE], key, NULL);
    if (result != SQLITE_OK) {
        return fail(self, result, "delete a record", error);
    }
    /* A row that another program put there was never counted. */
    if (sqlite3_changes(self->db) != 0 && self->rows != 0) {
        self->rows--;
    }
    return DSQ_OK;
}

static int set_meta(struct dsq_sqlite_store *self, const char *name, uint64_t value)
{
    struct sqlite3_stmt *statement = self->writes[DSQ_SQLITE_SET_META];
    int result = sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    if (result == SQLITE_OK) {
        result = sqlite3_bind_int64(statement, 2, (sqlite3_int64)value);
    }
    return result == SQLITE_OK ? run(statement) : result;
}

static int journal_append(struct dsq_store *store, uint64_t number, struct dsq_bytes batch,
                          struct dsq_error *error)
{
    struct dsq_sqlite_store *self = dsq_sqlite_store_of(store);
    struct sqlite3_stmt *statement = self->writes[DSQ_SQLITE_JOURNAL_APPEND];
    int status = require_transaction(self, error);
    if (status != DSQ_OK) {
        return status;
    }
    int result = sqlite3_bind_int64(statement, 1, (sqlite3_int64)number);
    if (result == SQLITE_OK) {
        result = dsq_sqlite_bind(statement, 2, batch);
    }
    if (result == SQLITE_OK) {
        result = run(statement);
    }
    self->last_seq = number;
    return result == SQLITE_OK ? DSQ_OK : fail(self, result, "append to the journal", error);
}

/* The number of the oldest row; 0: the journal is empty. */
static int find_oldest(struct dsq_sqlite_store *self, uint64_t *number)
{
    struct sqlite3_stmt *statement = self->writes[DSQ_SQLITE_JOURNAL_OLDEST];
    int result = sqlite3_step(statement);
    *number = result == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(statement, 0) : 0;
    sqlite3_reset(statement);
    return result == SQLITE_ROW ? SQLITE_OK : result;
}

static int journal_drop(struct dsq_store *store, uint64_t number, struct dsq_error *error)
{
    struct dsq_sqlite_store *self = dsq_sqlite_store_of(store);
    struct sqlite3_stmt *statement = self->writes[DSQ_SQLITE_JOURNAL_DROP];
    uint64_t oldest;
    int status = require_transaction(self, error);
    if (status != DSQ_OK) {
        return status;
    }
    int result = find_oldest(self, &oldest);
    if (result == SQLITE_OK && (oldest == 0 || oldest > number)) {
        return DSQ_ABSENT;
    }
    if (result == SQLITE_OK) {
        result = sqlite3_bind_int64(statement, 1, (sqlite3_int64)oldest);
    }
    if (result == SQLITE_OK) {
        result = run(statement);
    }
    self->folded_seq = oldest;
    return result == SQLITE_OK ? DSQ_OK : fail(self, result, "shorten the journal", error);
}

static int accept_changes(struct dsq_store *store, struct dsq_error *error)
{
    struct dsq_sqlite_store *self = dsq_sqlite_store_of(store);
    uint64_t version;
    uint64_t rows;
    int status = require_in_place(self, error);
    if (status != DSQ_OK) {
        return status;
    }
    /* First: what is written after it, and perhaps not counted, is a change again. */
    int result = read_version(self, &version);
    if (result != SQLITE_OK) {
        return fail(self, result, "read the version of the data", error);
    }
    status = dsq_sqlite_query_number(self->db, "SELECT count(*) FROM kv", self->path, &rows, error);
    if (status == DSQ_OK) {
        self->version = version;
        dsq_store_relaxed(&self->count, rows);
        self->recounted = true;
    }
    dsq_sqlite_readers_advance(&self->readers);
    return status;
}

/* What meta has to say after this transaction and did not say before. */
static int update_meta(struct dsq_sqlite_store *self)
{
    int result = SQLITE_OK;
    if (self->folded_seq != 0) {
        result = set_meta(self, "seq", self->folded_seq);
    }
    if (result == SQLITE_OK && (self->recounted || self->rows != dsq_load_relaxed(&self->count))) {
        result = set_meta(self, "count", self->rows);
    }
    return result;
}

static int commit(struct dsq_store *store, struct dsq_error *error)
{
    struct dsq_sqlite_store *self = dsq_sqlite_store_of(store);
    int status = require_transaction(self, error);
    if (status != DSQ_OK) {
        return status;
    }
    int result = update_meta(self);
    if (result == SQLITE_OK) {
        result = run(self->writes[DSQ_SQLITE_COMMIT]);
    }
    if (result != SQLITE_OK) {
        status = fail(self, result, "commit", error);
        rollback(store);
        return status;
    }
    dsq_sqlite_readers_advance(&self->readers);
    self->in_transaction = false;
    self->recounted = false;
    dsq_store_relaxed(&self->count, self->rows);
    dsq_store_relaxed(&self->seq, self->last_seq);
    return DSQ_OK;
}

/* Answered by the index of kv alone: the rows' pages are not read. */
static int find_one(struct sqlite3_stmt *statement, struct dsq_bytes key, bool *found)
{
    int result = dsq_sqlite_bind(statement, 1, key);
    if (result == SQLITE_OK) {
        result = sqlite3_step(statement);
    }
    *found = result == SQLITE_ROW;
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return result == SQLITE_ROW || result == SQLITE_DONE ? SQLITE_OK : result;
}

static int find(struct dsq_store *store, const struct dsq_bytes *keys, bool *found, size_t count,
                struct dsq_error *error)
{
    struct dsq_sqlite_store *self = dsq_sqlite_store_of(store);
    int result = run(self->writes[DSQ_SQLITE_READ]);
    for (size_t i = 0; result == SQLITE_OK && i < count; i++) {
        result = find_one(self->writes[DSQ_SQLITE_FIND], keys[i], &found[i]);
    }
    int status = result == SQLITE_OK ? DSQ_OK : fail(self, result, "look for keys", error);
    abandon_transaction(self);
    if (status != DSQ_OK) {
        self->version_unknown = true;
    }
    return status;
}

static uint64_t count(const struct dsq_store *store)
{
    return dsq_load_relaxed(&((const struct dsq_sqlite_store *)store)->count);
}

static uint64_t seq(const struct dsq_store *store)
{
    return dsq_load_relaxed(&((const struct dsq_sqlite_store *)store)->seq);
}

static uint64_t wal_bytes(const struct dsq_store *store)
{
    return dsq_load_relaxed(&((const struct dsq_sqlite_store *)store)->wal_bytes);
}

/* How far the file of the WAL is kept ahead of its use, and what a commit may need to have it so. */
#define WAL_AHEAD_BYTES (UINT64_C(2) * 1024 * 1024)
#define SMALL_COMMIT_BYTES (UINT64_C(64) * 1024)

/* Makes a file as long as that with zeros, if it is shorter. */
static int lengthen(struct sqlite3_file *file, int64_t end)
{
    static const unsigned char zeros[65536];
    sqlite3_int64 size;
    int result = file->pMethods->xFileSize(file, &size);
    while (result == SQLITE_OK && size < end) {
        int part = end - size < (int64_t)sizeof zeros ? (int)(end - size) : (int)sizeof zeros;
        result = file->pMethods->xWrite(file, zeros, part, size);
        size += part;
    }
    return result;
}

/* Zeros are no frames: whoever reads the WAL stops before them. */
static int lengthen_wal(const struct dsq_sqlite_store *self, struct sqlite3_file *wal, int64_t end)
{
    int result = self->vfs != NULL ? dsq_sealed_wal_beneath(&wal, &end) : SQLITE_OK;
    return result == SQLITE_OK ? lengthen(wal, end) : result;
}

static void make_room(struct dsq_store *store)
{
    struct dsq_sqlite_store *self = dsq_sqlite_store_of(store);
    uint64_t used = dsq_load_relaxed(&self->wal_bytes);
    uint64_t commit_bytes = used > self->wal_committed ? used - self->wal_committed : used;
    struct sqlite3_file *wal = NULL;
    sqlite3_int64 size;
    self->wal_committed = used;
    if (used == 0 || used + WAL_AHEAD_BYTES / 2 <= self->wal_room ||
        commit_bytes > SMALL_COMMIT_BYTES ||
        sqlite3_file_control(self->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, (void *)&wal) !=
            SQLITE_OK ||
        wal == NULL || wal->pMethods == NULL || wal->pMethods->xFileSize(wal, &size) != SQLITE_OK) {
        return;
    }
    uint64_t end = used + WAL_AHEAD_BYTES;
    if ((uint64_t)size < end && lengthen_wal(self, wal, (int64_t)end) == SQLITE_OK) {
        (void)wal->pMethods->xSync(wal, SQLITE_SYNC_NORMAL | SQLITE_SYNC_DATAONLY);
    }
    self->wal_room = end > (uint64_t)size ? end : (uint64_t)size;
}

static int checkpoint(struct dsq_store *store, bool truncate, struct dsq_error *error)
{
    struct dsq_sqlite_store *self = dsq_sqlite_store_of(store);
    if (self->readonly) {
        return DSQ_OK;
    }
    int mode = truncate ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE;
    dsq_sqlite_readers_pause(&self->readers);
    int result = sqlite3_wal_checkpoint_v2(self->db, "main", mode, NULL, NULL);
    dsq_sqlite_readers_resume(&self->readers);
    if (result == SQLITE_OK && truncate) {
        dsq_store_relaxed(&self->wal_bytes, 0);
        self->wal_room = 0;
    }
    if (result == SQLITE_OK || (result & 0xff) == SQLITE_BUSY) {
        return DSQ_OK; /* busy: readers are in the way */
    }
    return fail(self, result, "checkpoint", error);
}

/*
 * A read-only connection leaves the WAL files behind that it had to create.  A writing one that
 * finds nobody else removes them; with the WAL empty it has nothing to write.
 */
static void remove_readers_traces(const struct dsq_sqlite_store *self)
{
    struct sqlite3 *db;
    bool has_traces = self->vfs != NULL ? dsq_sqlite_identify(self->path, "-wal").inode != 0
                                        : dsq_sqlite_file_size(self->path, "-shm") != 0;
    if (!has_traces || dsq_sqlite_file_size(self->path, "-wal") != 0 ||
        dsq_sqlite_connect(self->path, SQLITE_OPEN_READWRITE, self->vfs, &db, NULL) != DSQ_OK) {
        return;
    }
    uint64_t version;
    (void)dsq_sqlite_query_number(db, "PRAGMA user_version", self->path, &version, NULL);
    sqlite3_close(db);
}

void dsq_sqlite_store_destroy(struct dsq_sqlite_store *self)
{
    dsq_sqlite_readers_fini(&self->readers);
    for (int i = 0; i < DSQ_SQLITE_WRITES; i++) {
        sqlite3_finalize(self->writes[i]);
    }
    sqlite3_close(self->db);
    if (self->remove_if_empty && dsq_sqlite_file_size(self->path, "") == 0) {
        unlink(self->path);
    }
    if (self->readonly && self->lock != NULL) {
        remove_readers_traces(self);
    }
    dsq_sealed_vfs_free(self->vfs);
    dsq_owner_lock_release(self->lock);
    free(self);
}

static int reseal(struct dsq_store *store, struct dsq_error *error)
{
    struct dsq_sqlite_store *self = dsq_sqlite_store_of(store);
    if (self->vault == NULL) {
        return dsq_error_set(error, DSQ_ERR_UNSUPPORTED, "%s is not encrypted", self->path);
    }
    return dsq_sqlite_write_superblock(self->path, self->vault, true, &self->newest_superblock,
                                       error);
}

static int close_store(struct dsq_store *store, struct dsq_error *error)
{
    struct dsq_sqlite_store *self = dsq_sqlite_store_of(store);
    rollback(store);
    dsq_sqlite_readers_close(&self->readers);
    int status = checkpoint(store, true, error);
    dsq_sqlite_store_destroy(self);
    return status;
}

static void abandon(struct dsq_store *store)
{
    struct dsq_sqlite_store *self = dsq_sqlite_store_of(store);
    dsq_sqlite_readers_abandon(&self->readers);
    dsq_owner_lock_abandon(self->lock);
    free(self);
}

const struct dsq_store_ops dsq_sqlite_store_ops = {
    .begin = begin,
    .put = put,
    .del = del,
    .journal_append = journal_append,
    .journal_drop = journal_drop,
    .commit = commit,
    .accept_changes = accept_changes,
    .rollback = rollback,
    .find = find,
    .count = count,
    .seq = seq,
    .checkpoint = checkpoint,
    .make_room = make_room,
    .wal_bytes = wal_bytes,
    .reader_acquire = dsq_sqlite_reader_acquire,
    .reader_release = dsq_sqlite_reader_release,
    .reader_get = dsq_sqlite_reader_get,
    .reader_done = dsq_sqlite_reader_done,
    .reader_scan = dsq_sqlite_reader_scan,
    .reader_journal = dsq_sqlite_reader_journal,
    .backup = dsq_sqlite_backup,
    .verify = dsq_sqlite_verify,
    .compact = dsq_sqlite_compact,
    .reseal = reseal,
    .close = close_store,
    .abandon = abandon,
};
