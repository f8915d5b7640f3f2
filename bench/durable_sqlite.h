/*
 * SQLite by itself, used as its documentation says is fastest with each commit on disk: the peer of
 * bench/durable.  What fails ends the program.
 */
#ifndef DSQ_BENCH_DURABLE_SQLITE_H
#define DSQ_BENCH_DURABLE_SQLITE_H

#include <stddef.h>
#include <stdint.h>

#include "bench/durable_records.h"

/* The two tables that hold such records; which one is faster depends on the order of the keys. */
enum durable_shape { DURABLE_ROWID, DURABLE_WITHOUT_ROWID, DURABLE_SHAPES };

const char *durable_shape_name(enum durable_shape shape);

/* As the pragmas of these names answer. */
struct durable_settings {
    int page_size;
    int cache_size; /* pages, or KiB if negative */
    int synchronous;
    int wal_autocheckpoint;
};

struct durable_sqlite;

/* Makes a file with an empty table: WAL, synchronous=FULL, SQLite's own automatic checkpoints. */
struct durable_sqlite *durable_sqlite_open(const char *path, enum durable_shape shape,
                                           int cache_size);
void durable_sqlite_settings(struct durable_sqlite *self, struct durable_settings *settings);

/* One upsert, committed by itself. */
void durable_sqlite_put(struct durable_sqlite *self, const struct durable_record *record);

/* The upserts in one transaction. */
void durable_sqlite_put_all(struct durable_sqlite *self, const struct durable_record *records,
                            size_t count);
void durable_sqlite_close(struct durable_sqlite *self);

/* The rows of kv, counted one by one. */
uint64_t durable_sqlite_count(const char *path);

/*
 * The settings of the connection that the library made last between begin and end, asked of that
 * connection itself: it must still be open, and its owner idle.
 */
void durable_sqlite_watch_begin(void);
void durable_sqlite_watch_end(struct durable_settings *settings);

const char *durable_sqlite_version(void);

#endif
