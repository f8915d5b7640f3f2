#include "persist/sqlite_store_internal.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <sqlite3.h>

#include "core/error.h"

static int status_of(int result)
{
    if (result == SQLITE_IOERR_NOMEM) {
        return DSQ_ERR_NOMEM;
    }
    if (result == SQLITE_IOERR_SHMSIZE) {
        return DSQ_ERR_FULL; /* there was no room for the index of the WAL */
    }
    switch (result & 0xff) {
    case SQLITE_NOMEM:
        return DSQ_ERR_NOMEM;
    case SQLITE_FULL:
        return DSQ_ERR_FULL;
    case SQLITE_IOERR:
    case SQLITE_PROTOCOL:
        return DSQ_ERR_IO;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return DSQ_ERR_LOCKED;
    case SQLITE_READONLY:
        return DSQ_ERR_READONLY;
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        return DSQ_ERR_CANTOPEN;
    case SQLITE_TOOBIG:
        return DSQ_ERR_TOO_BIG;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR: /* our statements are right: it is the tables that are not */
    case SQLITE_CONSTRAINT:
        return DSQ_ERR_CORRUPT;
    default:
        return DSQ_ERR_INTERNAL;
    }
}

int dsq_sqlite_error(struct sqlite3 *db, int result, const char *operation, const char *path,
                     struct dsq_error *error)
{
    if (result == SQLITE_IOERR_DATA) {
        return dsq_sealed_failure(db, path, error);
    }
    const char *said = db != NULL ? sqlite3_errmsg(db) : sqlite3_errstr(result);
    return dsq_error_set(error, status_of(result), "%s: %s (SQLite error %d): %s", operation, said,
                         result, path);
}

/*
 * SQLite's own global locks, in the order in which it takes them (a temporary name is drawn under VFS1
 * from PRNG, which asks MASTER for the file system).  A fork while another thread holds one would
 * leave it locked for ever in the child, which may open a file of its own.
 */
static const int global_locks[] = {
    SQLITE_MUTEX_STATIC_OPEN, SQLITE_MUTEX_STATIC_VFS1, SQLITE_MUTEX_STATIC_VFS2,
    SQLITE_MUTEX_STATIC_VFS3, SQLITE_MUTEX_STATIC_PRNG, SQLITE_MUTEX_STATIC_MASTER,
    SQLITE_MUTEX_STATIC_LRU,  SQLITE_MUTEX_STATIC_PMEM, SQLITE_MUTEX_STATIC_MEM,
};
#define GLOBAL_LOCKS (sizeof global_locks / sizeof global_locks[0])

static void before_fork(void)
{
    for (size_t i = 0; i < GLOBAL_LOCKS; i++) {
        sqlite3_mutex_enter(sqlite3_mutex_alloc(global_locks[i]));
    }
}

static void after_fork(void)
{
    for (size_t i = GLOBAL_LOCKS; i-- > 0;) {
        sqlite3_mutex_leave(sqlite3_mutex_alloc(global_locks[i]));
    }
}

static void guard_forks(void)
{
    pthread_atfork(before_fork, after_fork, after_fork);
}

static int configure(sqlite3 *db, bool readonly)
{
    sqlite3_extended_result_codes(db, 1);
    sqlite3_busy_timeout(db, DSQ_SQLITE_BUSY_MS);
    int result = sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    if (result == SQLITE_OK) {
        result = sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    }
    if (result == SQLITE_OK && readonly) {
        result = sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    }
    if (result == SQLITE_OK) {
        result = sqlite3_exec(db,
                              "PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY;"
                              "PRAGMA cell_size_check=ON",
                              NULL, NULL, NULL);
    }
    return result;
}

int dsq_sqlite_connect(const char *source, int flags, const struct dsq_sealed_vfs *vfs,
                       struct sqlite3 **db, struct dsq_error *error)
{
    static pthread_once_t guarded = PTHREAD_ONCE_INIT;
    pthread_once(&guarded, guard_forks);
    int result = sqlite3_open_v2(source, db, flags | SQLITE_OPEN_NOMUTEX, dsq_sealed_vfs_name(vfs));
    if (result == SQLITE_OK) {
        result = configure(*db, (flags & SQLITE_OPEN_READONLY) != 0);
    }
    if (result == SQLITE_OK) {
        return DSQ_OK;
    }
    int status =
        dsq_sqlite_error(*db, sqlite3_extended_errcode(*db), "open the database", source, error);
    sqlite3_close(*db);
    *db = NULL;
    return status;
}

int dsq_sqlite_prepare(struct sqlite3 *db, const char *sql, const char *path,
                       struct sqlite3_stmt **statement, struct dsq_error *error)
{
    int result = sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, statement, NULL);
    return result == SQLITE_OK ? DSQ_OK
                               : dsq_sqlite_error(db, result, "prepare a statement", path, error);
}

int dsq_sqlite_query_number(struct sqlite3 *db, const char *sql, const char *path, uint64_t *number,
                            struct dsq_error *error)
{
    sqlite3_stmt *statement;
    int status = dsq_sqlite_prepare(db, sql, path, &statement, error);
    if (status != DSQ_OK) {
        return status;
    }
    int result = sqlite3_step(statement);
    if (result == SQLITE_ROW && sqlite3_column_type(statement, 0) == SQLITE_INTEGER &&
        sqlite3_column_int64(statement, 0) >= 0) {
        *number = (uint64_t)sqlite3_column_int64(statement, 0);
    } else if (result == SQLITE_ROW || result == SQLITE_DONE) {
        status =
            dsq_error_set(error, DSQ_ERR_CORRUPT, "no number in answer to \"%s\": %s", sql, path);
    } else {
        status = dsq_sqlite_error(db, result, "read the settings", path, error);
    }
    sqlite3_finalize(statement);
    return status;
}

int dsq_sqlite_bind(struct sqlite3_stmt *statement, int index, struct dsq_bytes bytes)
{
    const void *data = bytes.size != 0 ? bytes.data : "";
    return sqlite3_bind_blob64(statement, index, data, bytes.size, SQLITE_STATIC);
}

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           strchr("/._-", c) != NULL;
}

char *dsq_sqlite_uri(const char *path, const char *parameters, const char *value)
{
    static const char head[] = "file:";
    char *uri = malloc(sizeof head + 3 * strlen(path) + strlen(parameters) + strlen(value));
    if (uri == NULL) {
        return NULL;
    }
    char *end = stpcpy(uri, head);
    for (const char *c = path; *c != '\0'; c++) {
        end += is_plain(*c) ? sprintf(end, "%c", *c) : sprintf(end, "%%%02X", (unsigned char)*c);
    }
    strcpy(stpcpy(end, parameters), value);
    return uri;
}

char *dsq_sqlite_immutable_uri(const char *path)
{
    return dsq_sqlite_uri(path, "?immutable=", "1");
}

struct dsq_file_identity dsq_sqlite_identify(const char *path, const char *suffix)
{
    char name[PATH_MAX];
    struct stat found;
    int length = snprintf(name, sizeof name, "%s%s", path, suffix);
    if (length >= (int)sizeof name || stat(name, &found) != 0) {
        return (struct dsq_file_identity){0, 0};
    }
    return (struct dsq_file_identity){found.st_dev, found.st_ino};
}

uint64_t dsq_sqlite_file_size(const char *path, const char *suffix)
{
    char name[PATH_MAX];
    struct stat found;
    int length = snprintf(name, sizeof name, "%s%s", path, suffix);
    return length < (int)sizeof name && stat(name, &found) == 0 ? (uint64_t)found.st_size : 0;
}
