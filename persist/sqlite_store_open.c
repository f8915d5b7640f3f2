/*
 * Opening and creating.
 *
 * Order: look at the path; own the file; ask whose it is (sqlite_store_probe.c); only then let
 * SQLite at it.  What is refused is refused before anything was written.
 *
 * Creation: the empty file is made here, so that nobody else can ever read it, and filled by one
 * transaction with a rollback journal; WAL mode comes after.  So a creator that is killed leaves
 * an empty file, a file that SQLite rolls back to an empty one, or a finished one.
 */
#include "persist/sqlite_store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "core/atomic.h"
#include "core/error.h"
#include "persist/sqlite_store_internal.h"

#define STRINGIFY(x) #x
#define STRING(x) STRINGIFY(x)

/* docs/decisions/0002-kv-table-shape.md */
#define PAGE_SIZE 4096

/* Of the write-ahead log, as SQLite's file format says. */
#define WAL_HEADER_BYTES 32
#define WAL_FRAME_HEADER_BYTES 24

static const char create_sql[] = "PRAGMA page_size=" STRING(
    PAGE_SIZE) ";"
               "BEGIN IMMEDIATE;"
               "PRAGMA application_id=" STRING(
                   DSQ_APPLICATION_ID) ";"
                                       "PRAGMA user_version=" STRING(
                                           DSQ_FORMAT_VERSION) ";"
                                                               "CREATE TABLE kv(key BLOB PRIMARY "
                                                               "KEY, value BLOB NOT NULL);"
                                                               "CREATE TABLE journal(id INTEGER "
                                                               "PRIMARY KEY, batch BLOB NOT NULL);"
                                                               "CREATE TABLE meta(name TEXT "
                                                               "PRIMARY KEY, value);"
                                                               "INSERT INTO meta VALUES('seq', 0), "
                                                               "('count', 0)";

static const char *const write_sql[DSQ_SQLITE_WRITES] = {
    [DSQ_SQLITE_BEGIN] = "BEGIN IMMEDIATE",
    [DSQ_SQLITE_VERSION] = "PRAGMA data_version",
    [DSQ_SQLITE_READ] = "BEGIN",
    [DSQ_SQLITE_FIND] = "SELECT 1 FROM kv WHERE key = ?1",
    [DSQ_SQLITE_UPDATE] = "UPDATE kv SET value = ?2 WHERE key = ?1",
    [DSQ_SQLITE_INSERT] = "INSERT INTO kv(key, value) VALUES(?1, ?2)",
    [DSQ_SQLITE_DELETE] = "DELETE FROM kv WHERE key = ?1",
    [DSQ_SQLITE_SET_META] = ("INSERT INTO meta(name, value) VALUES(?1, ?2)"
                             " ON CONFLICT(name) DO UPDATE SET value = excluded.value"),
    [DSQ_SQLITE_JOURNAL_APPEND] = "INSERT INTO journal(id, batch) VALUES(?1, ?2)",
    [DSQ_SQLITE_JOURNAL_OLDEST] = "SELECT min(id) FROM journal",
    [DSQ_SQLITE_JOURNAL_DROP] = "DELETE FROM journal WHERE id = ?1",
    [DSQ_SQLITE_COMMIT] = "COMMIT",
    [DSQ_SQLITE_ROLLBACK] = "ROLLBACK",
};

/* The journal's last number, or the last that it had. */
static const char seq_sql[] = "SELECT max(value, ifnull((SELECT max(id) FROM journal), 0))"
                              " FROM meta WHERE name = 'seq'";

static int wal_hook(void *context, sqlite3 *db, const char *schema, int frames)
{
    struct dsq_sqlite_store *self = context;
    (void)db;
    (void)schema;
    dsq_store_relaxed(&self->wal_bytes,
                      WAL_HEADER_BYTES + (uint64_t)frames * self->wal_frame_bytes);
    return SQLITE_OK;
}

/* Makes an empty file that only its owner may read or write; SQLite gives the WAL its mode. */
static int create_file(const char *path, struct dsq_error *error)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0) {
        close(fd);
        return DSQ_OK;
    }
    int status = errno == ENOSPC || errno == EDQUOT ? DSQ_ERR_FULL : DSQ_ERR_CANTOPEN;
    return dsq_error_set(error, status, "cannot create %s: %m", path);
}

static int query(struct dsq_sqlite_store *self, const char *sql, uint64_t *number,
                 struct dsq_error *error)
{
    return dsq_sqlite_query_number(self->db, sql, self->path, number, error);
}

static int execute(struct dsq_sqlite_store *self, const char *sql, const char *operation,
                   struct dsq_error *error)
{
    int result = sqlite3_exec(self->db, sql, NULL, NULL, NULL);
    return result == SQLITE_OK ? DSQ_OK
                               : dsq_sqlite_error(self->db, result, operation, self->path, error);
}

static int connect_writer(struct dsq_sqlite_store *self, struct dsq_error *error)
{
    int status = dsq_sqlite_connect(self->path, SQLITE_OPEN_READWRITE, self->vfs, &self->db, error);
    /* Creating is done with FULL in any case. */
    self->syncs = true;
    return status == DSQ_OK ? execute(self, "PRAGMA synchronous=FULL", "configure", error) : status;
}

static int connect_reader(struct dsq_sqlite_store *self, struct dsq_error *error)
{
    return dsq_sqlite_connect(self->readers.source, self->readers.flags, self->vfs, &self->db,
                              error);
}

/* One transaction: there is no moment at which a file does not say what its values are. */
static int create(struct sqlite3 *db, const char *value_format)
{
    char *sql = value_format != NULL
                    ? sqlite3_mprintf("%s;INSERT INTO meta VALUES('value_format', %Q);COMMIT",
                                      create_sql, value_format)
                    : sqlite3_mprintf("%s;COMMIT", create_sql);
    int result = sql != NULL ? sqlite3_exec(db, sql, NULL, NULL, NULL) : SQLITE_NOMEM;
    sqlite3_free(sql);
    return result;
}

int dsq_sqlite_create_tables(struct sqlite3 *db, bool sealed, const char *value_format,
                             const char *path, struct dsq_error *error)
{
    if (sealed) {
        int seal_bytes = DSQ_SEAL_BYTES;
        sqlite3_file_control(db, "main", SQLITE_FCNTL_RESERVE_BYTES, &seal_bytes);
    }
    int result = create(db, value_format);
    return result == SQLITE_OK ? DSQ_OK
                               : dsq_sqlite_error(db, result, "create the tables", path, error);
}

static int create_tables_if_empty(struct dsq_sqlite_store *self, struct dsq_error *error)
{
    uint64_t pages;
    int status = query(self, "PRAGMA page_count", &pages, error);
    if (status == DSQ_OK && pages == 0 && self->vfs != NULL && !self->is_created_sealed) {
        return dsq_error_set(error, DSQ_ERR_CORRUPT, "the pages of %s were cut off", self->path);
    }
    if (status == DSQ_OK && pages == 0) {
        status = dsq_sqlite_create_tables(self->db, self->vfs != NULL, self->wanted_format,
                                          self->path, error);
    }
    return status;
}

/* Once SQLite has rolled back what there was to roll back, its answers are those that count. */
static int check_format(struct dsq_sqlite_store *self, struct dsq_error *error)
{
    uint64_t application_id;
    uint64_t user_version;
    int status = query(self, "PRAGMA application_id", &application_id, error);
    if (status == DSQ_OK) {
        status = query(self, "PRAGMA user_version", &user_version, error);
    }
    return status == DSQ_OK
               ? dsq_sqlite_check_format(self->path, application_id, user_version, error)
               : status;
}

static int check_value_format(struct dsq_sqlite_store *self, struct dsq_error *error)
{
    int status = dsq_sqlite_read_value_format(self->db, self->path, self->value_format, error);
    if (status == DSQ_OK && self->wanted_format != NULL &&
        strcmp(self->value_format, self->wanted_format) != 0) {
        status = dsq_error_set(error, DSQ_ERR_FORMAT, "values of %s are stored as '%s', not '%s'",
                               self->path, self->value_format, self->wanted_format);
    }
    return status;
}

/* SQLite answers a change of the journal mode that it cannot make with the mode that stays. */
static int enter_wal_mode(struct dsq_sqlite_store *self, struct dsq_error *error)
{
    static const char enter[] = "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0";
    static const char look[] = "SELECT journal_mode = 'wal' FROM pragma_journal_mode";
    uint64_t entered;
    int status = execute(self, enter, "enter WAL mode", error);
    if (status == DSQ_OK) {
        status = query(self, look, &entered, error);
    }
    if (status == DSQ_OK && !entered) {
        status = dsq_error_set(error, DSQ_ERR_UNSUPPORTED,
                               "%s lies where SQLite cannot keep a write-ahead log", self->path);
    }
    return status;
}

/* From here on the file is a whole one. */
static int complete_superblock(struct dsq_sqlite_store *self, struct dsq_error *error)
{
    if (!self->is_created_sealed) {
        return DSQ_OK;
    }
    self->is_created_sealed = false;
    return dsq_sqlite_write_superblock(self->path, self->vault, true, &self->newest_superblock,
                                       error);
}

static int load_meta(struct dsq_sqlite_store *self, struct dsq_error *error)
{
    uint64_t seq;
    uint64_t count;
    int status = query(self, seq_sql, &seq, error);
    if (status == DSQ_OK) {
        status = query(self, "SELECT value FROM meta WHERE name = 'count'", &count, error);
    }
    if (status == DSQ_OK) {
        dsq_store_relaxed(&self->seq, seq);
        dsq_store_relaxed(&self->count, count);
    }
    return status;
}

static int watch_wal(struct dsq_sqlite_store *self, struct dsq_error *error)
{
    uint64_t page_bytes;
    int status = query(self, "PRAGMA page_size", &page_bytes, error);
    if (status == DSQ_OK) {
        self->wal_frame_bytes = WAL_FRAME_HEADER_BYTES + page_bytes;
        dsq_store_relaxed(&self->wal_bytes, dsq_sqlite_file_size(self->path, "-wal"));
        sqlite3_wal_hook(self->db, wal_hook, self);
    }
    return status;
}

static int prepare_writes(struct dsq_sqlite_store *self, struct dsq_error *error)
{
    int status = DSQ_OK;
    for (int i = 0; status == DSQ_OK && i < DSQ_SQLITE_WRITES; i++) {
        status = dsq_sqlite_prepare(self->db, write_sql[i], self->path, &self->writes[i], error);
    }
    self->file = dsq_sqlite_identify(self->path, "");
    if (status == DSQ_OK) {
        status = query(self, write_sql[DSQ_SQLITE_VERSION], &self->version, error);
    }
    /* From here on it is for the caller to wait while another program holds the file. */
    sqlite3_busy_timeout(self->db, 0);
    return status;
}

typedef int (*open_step)(struct dsq_sqlite_store *self, struct dsq_error *error);

static const open_step writer_steps[] = {
    connect_writer, create_tables_if_empty,
    check_format,   check_value_format,
    enter_wal_mode, complete_superblock,
    load_meta,      watch_wal,
    prepare_writes, NULL,
};

static const open_step reader_steps[] = {
    connect_reader,
    check_value_format,
    load_meta,
    NULL,
};

static int take_steps(struct dsq_sqlite_store *self, const open_step *steps,
                      struct dsq_error *error)
{
    int status = DSQ_OK;
    while (status == DSQ_OK && *steps != NULL) {
        status = (*steps++)(self, error);
    }
    return status;
}

static bool can_write_directory_of(const char *path)
{
    char directory[PATH_MAX];
    int length = (int)(strrchr(path, '/') - path) + 1;
    snprintf(directory, sizeof directory, "%.*s", length, path);
    return faccessat(AT_FDCWD, directory, W_OK, AT_EACCESS) == 0;
}

/*
 * To read in WAL mode SQLite needs files beside the database.  Where none can be made, and there is
 * no WAL whose content would be missed, the file is read as an immutable one.
 */
static int choose_source(struct dsq_sqlite_store *self, struct dsq_error *error)
{
    bool immutable = self->readonly && !can_write_directory_of(self->path) &&
                     dsq_sqlite_file_size(self->path, "-wal") == 0;
    self->readers.source = immutable ? dsq_sqlite_immutable_uri(self->path) : strdup(self->path);
    self->readers.flags = SQLITE_OPEN_READONLY | (immutable ? SQLITE_OPEN_URI : 0);
    if (self->readers.source == NULL) {
        return dsq_error_set(error, DSQ_ERR_NOMEM, "out of memory while opening %s", self->path);
    }
    return DSQ_OK;
}

static int refuse_absent(const char *path, enum dsq_sqlite_kind kind,
                         const struct dsq_sqlite_options *options, struct dsq_error *error)
{
    if (kind == DSQ_SQLITE_MISSING && (options->must_exist || options->readonly)) {
        return dsq_error_set(error, DSQ_ERR_CANTOPEN, "there is no file %s", path);
    }
    if (kind == DSQ_SQLITE_EMPTY && options->readonly) {
        return dsq_error_set(error, DSQ_ERR_FORMAT, "%s is empty: not a database", path);
    }
    return DSQ_OK;
}

static int probe(const char *path, const struct dsq_sqlite_options *options,
                 enum dsq_sqlite_kind *kind, struct dsq_error *error)
{
    int status = dsq_sqlite_probe_path(path, options->readonly, kind, error);
    return status == DSQ_OK ? refuse_absent(path, *kind, options, error) : status;
}

int dsq_sqlite_write_superblock(const char *path, struct dsq_vault *vault, bool complete,
                                int *newest, struct dsq_error *error)
{
    unsigned char superblock[DSQ_SUPERBLOCK_BYTES];
    vault->ops->superblock(vault, complete, superblock);
    return dsq_sealed_header_write(path, superblock, newest, error);
}

static int seal_new_file(struct dsq_sqlite_store *self, struct dsq_error *error)
{
    int status = self->vault->ops->create(self->vault, error);
    if (status == DSQ_OK) {
        status = dsq_sqlite_write_superblock(self->path, self->vault, false,
                                             &self->newest_superblock, error);
    }
    self->is_created_sealed = status == DSQ_OK;
    return status;
}

/* Whether the copies of a superblock differ: a change of it was interrupted. */
static bool copies_differ(const unsigned char *header)
{
    return memcmp(header, header + DSQ_SUPERBLOCK_STRIDE, DSQ_SUPERBLOCK_BYTES) != 0;
}

static int unseal_file(struct dsq_sqlite_store *self, const unsigned char *header,
                       struct dsq_error *error)
{
    struct dsq_unlocked unlocked;
    struct dsq_error reason = {0};
    int status = self->vault->ops->unlock(self->vault, header, &unlocked, &reason);
    if (status != DSQ_OK) {
        return dsq_error_set(error, status, "%s: %.400s", self->path, reason.message);
    }
    self->newest_superblock = unlocked.newest;
    if (!unlocked.complete) {
        if (self->readonly) {
            return dsq_error_set(error, DSQ_ERR_FORMAT, "%s was never created to its end",
                                 self->path);
        }
        self->is_created_sealed = true;
        return dsq_sealed_discard(self->path, error);
    }
    if (copies_differ(header) && !self->readonly) {
        return dsq_sqlite_write_superblock(self->path, self->vault, true, &self->newest_superblock,
                                           error);
    }
    return DSQ_OK;
}

static bool is_sealed(const unsigned char *header)
{
    return memcmp(header, DSQ_SUPERBLOCK_MAGIC, DSQ_SUPERBLOCK_MAGIC_BYTES) == 0 ||
           memcmp(header + DSQ_SUPERBLOCK_STRIDE, DSQ_SUPERBLOCK_MAGIC,
                  DSQ_SUPERBLOCK_MAGIC_BYTES) == 0;
}

/* Whether the creation of a sealed file was cut off before its first superblock was there. */
static bool is_unwritten(const char *path, const unsigned char *header)
{
    return dsq_sqlite_file_size(path, "") <= DSQ_SEALED_HEADER_BYTES &&
           dsq_bytes_are_zeros(header, DSQ_SEALED_HEADER_BYTES);
}

/* Whether the file is to be sealed, or is; or why vault and file do not agree. */
static int check_vault(const struct dsq_sqlite_store *self, const unsigned char *header,
                       bool *sealed, struct dsq_error *error)
{
    *sealed = is_sealed(header);
    if (*sealed && self->vault == NULL) {
        return dsq_error_set(error, DSQ_ERR_PASSWORD, "%s is encrypted: it needs a password",
                             self->path);
    }
    if (!*sealed && self->vault != NULL) {
        int status = dsq_sqlite_probe_file(self->path, error);
        return status != DSQ_OK
                   ? status
                   : dsq_error_set(error, DSQ_ERR_PASSWORD,
                                   "%s is not encrypted, but a password was given", self->path);
    }
    return DSQ_OK;
}

/* The keys of the file, from its superblock or for a new one. */
static int take_keys(struct dsq_sqlite_store *self, enum dsq_sqlite_kind kind, bool *sealed,
                     struct dsq_error *error)
{
    unsigned char header[DSQ_SEALED_HEADER_BYTES] = {0};
    bool is_new = kind != DSQ_SQLITE_FILLED;
    int status = is_new ? DSQ_OK : dsq_sealed_header_read(self->path, header, error);
    if (status == DSQ_OK && self->vault != NULL && !self->readonly) {
        is_new = is_new || is_unwritten(self->path, header);
    }
    *sealed = self->vault != NULL;
    if (status == DSQ_OK && !is_new) {
        status = check_vault(self, header, sealed, error);
    }
    if (status != DSQ_OK || !*sealed) {
        return status;
    }
    return is_new ? seal_new_file(self, error) : unseal_file(self, header, error);
}

/* A plain file that was encrypted, and then not closed, has left the index of its WAL. */
static void remove_plain_index(const struct dsq_sqlite_store *self)
{
    char name[PATH_MAX];
    if (snprintf(name, sizeof name, "%s-shm", self->path) < (int)sizeof name) {
        unlink(name);
    }
}

/* Readies the layer that seals, if there is to be one. */
static int unseal(struct dsq_sqlite_store *self, enum dsq_sqlite_kind kind, struct dsq_error *error)
{
    bool sealed;
    int status = take_keys(self, kind, &sealed, error);
    if (status != DSQ_OK || !sealed) {
        return status;
    }
    if (!self->readonly) {
        remove_plain_index(self);
    }
    return dsq_sealed_vfs_new(self->vault->ops->codec(self->vault), &self->vfs, error);
}

static int open_owned(struct dsq_sqlite_store *self, const struct dsq_sqlite_options *options,
                      struct dsq_error *error)
{
    enum dsq_sqlite_kind kind;
    int status = probe(self->path, options, &kind, error);
    if (status == DSQ_OK && kind == DSQ_SQLITE_MISSING) {
        status = create_file(self->path, error);
        self->remove_if_empty = status == DSQ_OK;
    }
    if (status == DSQ_OK) {
        status = unseal(self, kind, error);
    }
    if (status == DSQ_OK && kind == DSQ_SQLITE_FILLED && self->vfs == NULL) {
        status = dsq_sqlite_probe_file(self->path, error);
    }
    if (status == DSQ_OK) {
        status = choose_source(self, error);
    }
    return status == DSQ_OK ? take_steps(self, self->readonly ? reader_steps : writer_steps, error)
                            : status;
}

static struct dsq_sqlite_store *new_store(const struct dsq_sqlite_options *options)
{
    struct dsq_sqlite_store *self = calloc(1, sizeof *self);
    if (self == NULL || dsq_sqlite_readers_init(&self->readers) != DSQ_OK) {
        free(self);
        return NULL;
    }
    self->base.ops = &dsq_sqlite_store_ops;
    self->readonly = options->readonly;
    self->synchronous_normal = options->synchronous_normal;
    self->vault = options->vault;
    self->wanted_format = options->value_format;
    return self;
}

int dsq_sqlite_store_open(const char *path, const struct dsq_sqlite_options *options,
                          struct dsq_store **store, struct dsq_error *error)
{
    *store = NULL;
    /* Asked again once the file is owned; here so that what is hopeless leaves no trace. */
    enum dsq_sqlite_kind kind;
    int status = probe(path, options, &kind, error);
    if (status != DSQ_OK) {
        return status;
    }
    struct dsq_sqlite_store *self = new_store(options);
    if (self == NULL) {
        return dsq_error_set(error, DSQ_ERR_NOMEM, "out of memory while opening %s", path);
    }
    status = dsq_owner_lock_acquire(path, options->readonly, &self->lock, error);
    if (status == DSQ_OK) {
        self->path = dsq_owner_lock_path(self->lock);
        status = open_owned(self, options, error);
    }
    if (status != DSQ_OK) {
        dsq_sqlite_store_destroy(self);
        return status;
    }
    self->remove_if_empty = false;
    self->wanted_format = NULL;
    *store = &self->base;
    return DSQ_OK;
}
