#include "bench/sqlite_calls.h"

#include <stdio.h>
#include <stdlib.h>

void bench_sqlite_require(sqlite3 *db, const char *what, int result, int expected)
{
    if (result != expected) {
        fprintf(stderr, "SQLite: %s: %s\n", what,
                db != NULL ? sqlite3_errmsg(db) : sqlite3_errstr(result));
        exit(1);
    }
}

void bench_sqlite_execute(sqlite3 *db, const char *sql)
{
    bench_sqlite_require(db, sql, sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
}

sqlite3_stmt *bench_sqlite_prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL);
    bench_sqlite_require(db, sql, result, SQLITE_OK);
    return statement;
}
