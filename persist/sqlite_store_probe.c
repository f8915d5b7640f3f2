/*
 * Whose file is it?  Answered before the store's connections exist, through a connection that
 * takes the file for immutable: such a one locks nothing, recovers nothing and creates nothing.
 * It reads through SQLite and not through a descriptor of ours, whose closing would drop the locks
 * that other connections of this process hold on the same file.
 *
 * The main file says whose it is at every moment: its creation is one transaction in a rollback
 * journal, so that its header is written with it or not at all.  A creator that was killed leaves
 * an empty file, or a half written one with a journal beside it, which SQLite rolls back.
 */
#include "persist/sqlite_store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "core/error.h"
#include "persist/sqlite_store.h"

#define HEADER_BYTES 100
#define USER_VERSION_AT 60
#define APPLICATION_ID_AT 68

static const char magic[16] = "SQLite format 3";

static const char *kind_of_file(mode_t mode)
{
    return S_ISDIR(mode)    ? "a directory"
           : S_ISFIFO(mode) ? "a pipe"
           : S_ISSOCK(mode) ? "a socket"
                            : "a device";
}

static int check_access(const char *path, bool readonly, struct dsq_error *error)
{
    if (faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) != 0) {
        return dsq_error_set(error, DSQ_ERR_CANTOPEN, "cannot read %s: %m", path);
    }
    if (!readonly && faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) != 0) {
        return dsq_error_set(error, DSQ_ERR_READONLY, "cannot write %s: %m", path);
    }
    return DSQ_OK;
}

int dsq_sqlite_probe_path(const char *path, bool readonly, enum dsq_sqlite_kind *kind,
                          struct dsq_error *error)
{
    struct stat found;
    if (stat(path, &found) != 0) {
        *kind = DSQ_SQLITE_MISSING;
        return errno == ENOENT ? DSQ_OK
                               : dsq_error_set(error, DSQ_ERR_CANTOPEN, "cannot open %s: %m", path);
    }
    if (!S_ISREG(found.st_mode)) {
        return dsq_error_set(error, DSQ_ERR_CANTOPEN, "cannot open %s: it is %s", path,
                             kind_of_file(found.st_mode));
    }
    *kind = found.st_size == 0 ? DSQ_SQLITE_EMPTY : DSQ_SQLITE_FILLED;
    return check_access(path, readonly, error);
}

static uint32_t big_endian(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

int dsq_sqlite_check_format(const char *path, uint64_t application_id, uint64_t user_version,
                            struct dsq_error *error)
{
    if (application_id != DSQ_APPLICATION_ID) {
        return dsq_error_set(error, DSQ_ERR_FORMAT,
                             "%s is an SQLite database that is not of this library", path);
    }
    if (user_version < 1 || user_version > DSQ_FORMAT_VERSION) {
        return dsq_error_set(error, DSQ_ERR_FORMAT,
                             "%s has format version %u; this build reads versions up to %d", path,
                             (unsigned)user_version, DSQ_FORMAT_VERSION);
    }
    return DSQ_OK;
}

static int read_header(sqlite3 *db, const char *path, unsigned char *header,
                       struct dsq_error *error)
{
    sqlite3_file *file = NULL;
    int result = sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    if (result == SQLITE_OK) {
        result = file->pMethods->xRead(file, header, HEADER_BYTES, 0);
    }
    /* What a short file lacks has been read as zeros. */
    if (result == SQLITE_OK || result == SQLITE_IOERR_SHORT_READ) {
        return DSQ_OK;
    }
    return dsq_sqlite_error(NULL, result, "read the header", path, error);
}

/* Whether it has a table as the predecessor made them. */
static bool is_dictsqlite(sqlite3 *db)
{
    static const char sql[] = "SELECT count(*) > 0 FROM sqlite_schema WHERE type = 'table' AND"
                              " (name = 'kv_store' OR name GLOB 'kv_*')";
    uint64_t found = 0;
    return dsq_sqlite_query_number(db, sql, "", &found, NULL) == DSQ_OK && found != 0;
}

static int judge(sqlite3 *db, const char *path, const unsigned char *header,
                 struct dsq_error *error)
{
    bool has_journal = dsq_sqlite_file_size(path, "-journal") != 0;
    if (has_journal && dsq_bytes_are_zeros(header, sizeof magic)) {
        return DSQ_OK;
    }
    if (memcmp(header, magic, sizeof magic) != 0) {
        return dsq_error_set(error, DSQ_ERR_FORMAT, "%s is not a database", path);
    }
    uint32_t application_id = big_endian(header + APPLICATION_ID_AT);
    if (application_id != DSQ_APPLICATION_ID && is_dictsqlite(db)) {
        return dsq_error_set(error, DSQ_ERR_FORMAT,
                             "%s is a database of DictSQLite: convert it with `migrate`", path);
    }
    return dsq_sqlite_check_format(path, application_id, big_endian(header + USER_VERSION_AT),
                                   error);
}

int dsq_sqlite_probe_file(const char *path, struct dsq_error *error)
{
    char *uri = dsq_sqlite_immutable_uri(path);
    if (uri == NULL) {
        return dsq_error_set(error, DSQ_ERR_NOMEM, "out of memory while opening %s", path);
    }
    sqlite3 *db;
    int status = dsq_sqlite_connect(uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL, &db, error);
    free(uri);
    if (status != DSQ_OK) {
        return status;
    }
    unsigned char header[HEADER_BYTES];
    status = read_header(db, path, header, error);
    if (status == DSQ_OK) {
        status = judge(db, path, header, error);
    }
    sqlite3_close(db);
    return status;
}
