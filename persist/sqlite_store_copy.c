/*
 * Copies of the whole store in a file of their own: backups, and conversion between plain and sealed.
 *
 * A plain file is copied page by page.  A sealed one is not: pages that SQLite has never written (free
 * ones) do not open, and one that was changed must not become a whole one by being sealed anew.  There,
 * and where one becomes the other, the rows are copied, in SQLite's own order.
 *
 * Both read one snapshot, while readers and writers go on; as long as they read, the WAL cannot begin
 * anew and grows.
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

#include "core/error.h"
#include "persist/sqlite_store_internal.h"

/* Pages copied, and SQLite's own steps, between two reports. */
#define BACKUP_PAGES 256
#define STEPS 100000

int dsq_sqlite_cancelled(const char *what, const char *path, struct dsq_error *error)
{
    return dsq_error_set(error, DSQ_ERR_CANCELLED, "%s of %s was cancelled", what, path);
}

bool dsq_sqlite_report(const struct dsq_store_progress *progress, uint64_t done, uint64_t total)
{
    return progress->report == NULL || progress->report(progress->context, done, total) == 0;
}

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

/* A copy that is not whole is thrown away, and a whole one is synced at the end. */
static int forgo_safety(struct sqlite3 *copy)
{
    return sqlite3_exec(copy, "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF", NULL, NULL, NULL);
}

/* ---- row by row ---- */

struct row_copy {
    const struct dsq_store_progress *progress;
    const char *path; /* of the copy */
    uint64_t pages;   /* of the source */
    bool cancelled;
};

static int on_copied(void *context)
{
    struct row_copy *copy = context;
    uint64_t pages = dsq_sqlite_file_size(copy->path, "") / DSQ_SEALED_PAGE_BYTES;
    uint64_t done = pages < copy->pages ? pages : copy->pages;
    copy->cancelled = !dsq_sqlite_report(copy->progress, done, copy->pages);
    return copy->cancelled;
}

/* Lets a connection see the store that is copied as `source`. */
static int attach_source(const struct dsq_sqlite_store *self, struct sqlite3 *to)
{
    bool immutable = (self->readers.flags & SQLITE_OPEN_URI) != 0;
    const char *vfs =
        self->vfs != NULL ? dsq_sealed_vfs_name(self->vfs) : sqlite3_vfs_find(NULL)->zName;
    char *uri =
        dsq_sqlite_uri(self->path, immutable ? "?immutable=1&mode=ro&vfs=" : "?mode=ro&vfs=", vfs);
    char *sql = uri != NULL ? sqlite3_mprintf("ATTACH %Q AS source", uri) : NULL;
    int result = sql != NULL ? sqlite3_exec(to, sql, NULL, NULL, NULL) : SQLITE_NOMEM;
    sqlite3_free(sql);
    free(uri);
    return result;
}

static int insert_rows(const struct dsq_sqlite_store *self, struct sqlite3 *to,
                       struct row_copy *copy, struct dsq_error *error)
{
    static const char sql[] = "BEGIN; INSERT INTO main.kv SELECT * FROM source.kv;"
                              "INSERT INTO main.journal SELECT * FROM source.journal;"
                              "DELETE FROM main.meta;"
                              "INSERT INTO main.meta SELECT * FROM source.meta; COMMIT";
    sqlite3_db_config(to, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    int result = attach_source(self, to);
    if (result == SQLITE_OK) {
        result = forgo_safety(to);
    }
    if (result == SQLITE_OK) {
        (void)dsq_sqlite_query_number(to, "PRAGMA source.page_count", self->path, &copy->pages,
                                      NULL);
        sqlite3_progress_handler(to, STEPS, on_copied, copy);
        result = sqlite3_exec(to, sql, NULL, NULL, NULL);
        sqlite3_progress_handler(to, 0, NULL, NULL);
    }
    if (result == SQLITE_INTERRUPT && copy->cancelled) {
        return dsq_sqlite_cancelled("the copy", self->path, error);
    }
    return result == SQLITE_OK ? DSQ_OK
                               : dsq_sqlite_error(to, result, "copy the rows", self->path, error);
}

static int copy_into(const struct dsq_sqlite_store *self, const char *path,
                     const struct dsq_sealed_vfs *vfs, const struct dsq_store_progress *progress,
                     struct dsq_error *error)
{
    struct row_copy copy = {.progress = progress, .path = path};
    struct sqlite3 *to;
    int status = dsq_sqlite_connect(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_URI, vfs, &to, error);
    if (status != DSQ_OK) {
        return status;
    }
    status = dsq_sqlite_create_tables(to, vfs != NULL, NULL, path, error);
    if (status == DSQ_OK) {
        status = insert_rows(self, to, &copy, error);
    }
    sqlite3_close(to);
    return status == DSQ_OK ? sync_path(path, O_RDWR, error) : status;
}

/* Fills an empty file, sealed by the vault, which is created or a copy of another, or plain. */
static int copy_rows(const struct dsq_sqlite_store *self, const char *path, struct dsq_vault *vault,
                     const struct dsq_store_progress *progress, struct dsq_error *error)
{
    struct dsq_sealed_vfs *vfs = NULL;
    int status = DSQ_OK;
    int newest = 0;
    if (vault != NULL) {
        status = dsq_sqlite_write_superblock(path, vault, false, &newest, error);
        if (status == DSQ_OK) {
            status = dsq_sealed_vfs_new(vault->ops->codec(vault), &vfs, error);
        }
    }
    if (status == DSQ_OK) {
        status = copy_into(self, path, vfs, progress, error);
    }
    if (status == DSQ_OK && vault != NULL) {
        status = dsq_sqlite_write_superblock(path, vault, true, &newest, error);
    }
    dsq_sealed_vfs_free(vfs);
    return status;
}

/* ---- backup ---- */

/* Opens a connection that reads one snapshot until it is closed. */
int dsq_sqlite_open_snapshot(struct dsq_sqlite_store *self, struct sqlite3 **db,
                             struct dsq_error *error)
{
    int status =
        dsq_sqlite_connect(self->readers.source, self->readers.flags, self->vfs, db, error);
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
        goes_on =
            dsq_sqlite_report(progress, total - (uint64_t)sqlite3_backup_remaining(backup), total);
    }
    int finished = sqlite3_backup_finish(backup);
    if (!goes_on) {
        return dsq_sqlite_cancelled("the backup", path, error);
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
    int status = dsq_sqlite_open_snapshot(self, &from, error);
    if (status != DSQ_OK) {
        return status;
    }
    int result = sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (result == SQLITE_OK) {
        result = forgo_safety(to);
    }
    status = result == SQLITE_OK ? copy_pages(from, to, path, progress, error)
                                 : dsq_sqlite_error(to, result, "create the backup", path, error);
    sqlite3_close(to);
    sqlite3_close(from);
    return status == DSQ_OK ? sync_path(path, O_RDWR, error) : status;
}

/* A sealed store's backup has its keys and its password, and an identity of its own. */
static int fill_sealed_copy(struct dsq_sqlite_store *self, const char *path,
                            const struct dsq_store_progress *progress, struct dsq_error *error)
{
    struct dsq_vault *vault;
    int status = self->vault->ops->copy(self->vault, &vault, error);
    if (status == DSQ_OK) {
        status = copy_rows(self, path, vault, progress, error);
        dsq_vault_destroy(vault);
    }
    return status;
}

static int put_in_place(const char *copy, const char *path, bool overwrite, struct dsq_error *error)
{
    int result = overwrite ? rename(copy, path) : link(copy, path);
    if (result != 0) {
        int status = errno == EEXIST ? DSQ_ERR_CANTOPEN : DSQ_ERR_IO;
        return dsq_error_set(error, status, "cannot put the copy at %s: %m", path);
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

/* An empty file beside path, PATH_MAX bytes long at most. */
static int make_beside(const char *path, mode_t mode, char *copy, struct dsq_error *error)
{
    if (snprintf(copy, PATH_MAX, "%s.XXXXXX", path) >= PATH_MAX) {
        return dsq_error_set(error, DSQ_ERR_CANTOPEN, "the path is too long: %s", path);
    }
    int fd = mkostemp(copy, O_CLOEXEC);
    if (fd < 0) {
        int status = errno == ENOSPC || errno == EDQUOT ? DSQ_ERR_FULL : DSQ_ERR_CANTOPEN;
        return dsq_error_set(error, status, "cannot create %s: %m", copy);
    }
    (void)fchmod(fd, mode);
    close(fd);
    return DSQ_OK;
}

static int make_copy(struct dsq_sqlite_store *self, const char *path, bool overwrite,
                     const struct dsq_store_progress *progress, struct dsq_error *error)
{
    char copy[PATH_MAX];
    int status = make_beside(path, 0600, copy, error);
    if (status != DSQ_OK) {
        return status;
    }
    status = self->vfs != NULL ? fill_sealed_copy(self, copy, progress, error)
                               : fill_copy(self, copy, progress, error);
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

/* ---- conversion ---- */

static int empty_wal(struct dsq_sqlite_store *self, struct dsq_error *error)
{
    int status = self->base.ops->checkpoint(&self->base, true, error);
    if (status == DSQ_OK && dsq_sqlite_file_size(self->path, "-wal") != 0) {
        return dsq_error_set(error, DSQ_ERR_LOCKED, "another program reads %s", self->path);
    }
    return status;
}

static int convert_store(struct dsq_sqlite_store *self, struct dsq_vault *to,
                         const struct dsq_store_progress *progress, struct dsq_error *error)
{
    char copy[PATH_MAX];
    struct stat found;
    int status = empty_wal(self, error);
    if (status == DSQ_OK) {
        mode_t mode = stat(self->path, &found) == 0 ? found.st_mode & 0777 : 0600;
        status = make_beside(self->path, mode, copy, error);
    }
    if (status != DSQ_OK) {
        return status;
    }
    status = to != NULL ? to->ops->create(to, error) : DSQ_OK;
    if (status == DSQ_OK) {
        status = copy_rows(self, copy, to, progress, error);
    }
    if (status == DSQ_OK) {
        status = put_in_place(copy, self->path, true, error);
    }
    if (status != DSQ_OK) {
        unlink(copy);
    }
    return status;
}

int dsq_sqlite_convert(const char *path, struct dsq_vault *from, struct dsq_vault *to,
                       const struct dsq_store_progress *progress, struct dsq_error *error)
{
    const struct dsq_sqlite_options options = {.must_exist = true, .vault = from};
    struct dsq_store *store;
    int status = dsq_sqlite_store_open(path, &options, &store, error);
    if (status != DSQ_OK) {
        return status;
    }
    status = convert_store(dsq_sqlite_store_of(store), to, progress, error);
    /* Of what has been replaced nothing is left to be written. */
    (void)store->ops->close(store, NULL);
    return status;
}
