/* SQLite's calls as the benchmarks use them: what fails ends the program with a message. */
#ifndef DSQ_BENCH_SQLITE_CALLS_H
#define DSQ_BENCH_SQLITE_CALLS_H

#include <sqlite3.h>

/* what: the call or the statement; db may be NULL. */
void bench_sqlite_require(sqlite3 *db, const char *what, int result, int expected);
void bench_sqlite_execute(sqlite3 *db, const char *sql);
/* For many uses. */
sqlite3_stmt *bench_sqlite_prepare(sqlite3 *db, const char *sql);

#endif
