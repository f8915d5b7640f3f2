/* What the sections of bench/durable share: their parameters, files and records, and our side. */
#ifndef DSQ_BENCH_DURABLE_RECORDS_H
#define DSQ_BENCH_DURABLE_RECORDS_H

#include <limits.h>
#include <stdint.h>

#include <dictsqlite.h>

#include "bench/report.h"

#define DURABLE_KEY_BYTES 16
#define DURABLE_VALUE_BYTES 64
#define DURABLE_ROUNDS_MAX 64

struct durable_parameters {
    uint64_t records;
    uint64_t sustained;
    uint64_t rows;
    uint64_t backlog;
    uint64_t puts;
    uint64_t rounds;
    uint64_t seed;
    const char *path;
    const char *only;
    const char *json;
    struct bench_report *report;
    char folder[PATH_MAX]; /* of this run's files, made below path */
    int cache_size;        /* of SQLite's side: what the library has */
};

struct durable_record {
    unsigned char key[DURABLE_KEY_BYTES];
    unsigned char value[DURABLE_VALUE_BYTES];
};

/* Numbers from the first up to the end. */
struct durable_span {
    uint64_t first;
    uint64_t end;
};

/* The number-th record of a seed: distinct keys, in random order; both are random bytes. */
void durable_record_make(uint64_t seed, uint64_t number, struct durable_record *record);

/* Of so many records. */
uint64_t durable_work(uint64_t seed, uint64_t count);

/* Ends the program, with the handle's last error, unless status is DSQ_OK.  db may be NULL. */
void durable_require(dsq_db *db, const char *call, int status);

/* A path in the run's folder. */
void durable_path(const struct durable_parameters *parameters, const char *name,
                  char path[PATH_MAX]);

/* Removes a database and what lies beside it. */
void durable_remove(const char *path);

/* Writethrough, synchronous=FULL; queue_bytes and hot_capacity: 0 means the defaults. */
dsq_db *durable_open(const char *path, uint64_t queue_bytes, uint64_t hot_capacity);
void durable_close(dsq_db *db);

/* One put, durable when it returns. */
void durable_put(dsq_db *db, const struct durable_record *record);

/* Writes the records of the span in batches, each durable before the next. */
void durable_write(dsq_db *db, uint64_t seed, struct durable_span span, uint64_t batch_records);

/* A new file at path with so many rows, closed. */
void durable_fill(const char *path, uint64_t seed, uint64_t rows);

/*
 * Reports a violation unless the closed file holds exactly `count` records: counted by the library
 * after reopening and row by row by SQLite; a sample of the numbers below `known` is read back.
 */
void durable_check(const char *path, uint64_t seed, uint64_t known, uint64_t count);

#endif
