#include "stress/stored.h"

#include <sqlite3.h>

#include "stress/verdict.h"

#define BUSY_TIMEOUT_MS 10000

static int rows_visit(sqlite3_stmt *rows, map_visitor visit, void *context)
{
    int result;
    while ((result = sqlite3_step(rows)) == SQLITE_ROW) {
        struct map_bytes key = {sqlite3_column_blob(rows, 0),
                                (size_t)sqlite3_column_bytes(rows, 0)};
        struct map_bytes value = {sqlite3_column_blob(rows, 1),
                                  (size_t)sqlite3_column_bytes(rows, 1)};
        visit(context, key, value);
    }
    return result;
}

enum map_status stored_walk(const char *path, map_visitor visit, void *context)
{
    sqlite3 *connection = NULL;
    sqlite3_stmt *rows = NULL;
    int result = sqlite3_open_v2(path, &connection, SQLITE_OPEN_READONLY, NULL);
    if (result == SQLITE_OK) {
        sqlite3_busy_timeout(connection, BUSY_TIMEOUT_MS);
        /* The library's writer is the only one that moves the log into the file. */
        sqlite3_db_config(connection, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        result = sqlite3_prepare_v2(connection, "SELECT key, value FROM kv", -1, &rows, NULL);
    }
    if (result == SQLITE_OK) {
        result = rows_visit(rows, visit, context);
    }
    if (result != SQLITE_DONE) {
        stress_violation("%s, read by SQLite alone: %s", path, sqlite3_errmsg(connection));
    }
    sqlite3_finalize(rows);
    sqlite3_close(connection);
    return result == SQLITE_DONE ? MAP_OK : MAP_ERROR;
}
