#include "bench/durable_records.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/durable_sqlite.h"
#include "stress/random.h"
#include "stress/verdict.h"

#define FILL_BATCH_RECORDS 10000
#define CHECK_SAMPLES 1000

void durable_record_make(uint64_t seed, uint64_t number, struct durable_record *record)
{
    uint64_t words[(DURABLE_KEY_BYTES + DURABLE_VALUE_BYTES) / sizeof(uint64_t)];
    /* Keys are distinct since mixing is a bijection. */
    struct stress_random random = {stress_mix(stress_mix(seed) + number)};
    words[0] = random.state;
    for (size_t i = 1; i < sizeof words / sizeof words[0]; i++) {
        words[i] = stress_random_next(&random);
    }
    memcpy(record->key, words, sizeof record->key);
    memcpy(record->value, (unsigned char *)words + sizeof record->key, sizeof record->value);
}

uint64_t durable_work(uint64_t seed, uint64_t count)
{
    struct durable_record record;
    uint64_t work = count;
    for (uint64_t i = 0; i < count; i++) {
        durable_record_make(seed, i, &record);
        work = stress_mix(work + stress_checksum(&record, sizeof record));
    }
    return work;
}

void durable_require(dsq_db *db, const char *call, int status)
{
    if (status == DSQ_OK) {
        return;
    }
    struct dsq_error error = {0};
    if (db != NULL) {
        dsq_last_error(db, &error);
    }
    fprintf(stderr, "%s: %s: %s\n", call, dsq_strstatus(status), error.message);
    exit(1);
}

void durable_path(const struct durable_parameters *parameters, const char *name,
                  char path[PATH_MAX])
{
    if (snprintf(path, PATH_MAX, "%s/%s", parameters->folder, name) >= PATH_MAX) {
        abort();
    }
}

void durable_remove(const char *path)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-lock"};
    char name[PATH_MAX];
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        if (snprintf(name, sizeof name, "%s%s", path, suffixes[i]) < (int)sizeof name) {
            unlink(name);
        }
    }
}

dsq_db *durable_open(const char *path, uint64_t queue_bytes, uint64_t hot_capacity)
{
    struct dsq_error error = {0};
    const struct dsq_options options = {
        .persist_mode = DSQ_MODE_WRITETHROUGH,
        .synchronous = DSQ_SYNCHRONOUS_FULL,
        .queue_bytes = queue_bytes,
        .hot_capacity = hot_capacity,
        .error = &error,
    };
    dsq_db *db;
    int status = dsq_open(path, &options, &db);
    if (status != DSQ_OK) {
        fprintf(stderr, "%s: %s\n", path, error.message);
        exit(1);
    }
    return db;
}

void durable_close(dsq_db *db)
{
    durable_require(db, "dsq_close", dsq_close(db));
}

void durable_put(dsq_db *db, const struct durable_record *record)
{
    durable_require(
        db, "dsq_put",
        dsq_put(db, record->key, sizeof record->key, record->value, sizeof record->value));
}

void durable_write(dsq_db *db, uint64_t seed, struct durable_span span, uint64_t batch_records)
{
    struct durable_record record;
    dsq_batch *batch;
    durable_require(db, "dsq_batch_new", dsq_batch_new(db, &batch));
    for (uint64_t i = span.first; i < span.end; i++) {
        durable_record_make(seed, i, &record);
        int status =
            dsq_batch_put(batch, record.key, sizeof record.key, record.value, sizeof record.value);
        durable_require(db, "dsq_batch_put", status);
        if (dsq_batch_count(batch) == batch_records || i + 1 == span.end) {
            durable_require(db, "dsq_batch_commit", dsq_batch_commit(batch));
            dsq_batch_clear(batch);
        }
    }
    dsq_batch_destroy(batch);
}

void durable_fill(const char *path, uint64_t seed, uint64_t rows)
{
    dsq_db *db = durable_open(path, 0, 0);
    durable_write(db, seed, (struct durable_span){0, rows}, FILL_BATCH_RECORDS);
    durable_close(db);
}

static void check_sample(dsq_db *db, uint64_t seed, uint64_t known)
{
    struct stress_random random = {seed};
    struct durable_record record;
    struct dsq_view view;
    for (unsigned i = 0; known > 0 && i < CHECK_SAMPLES; i++) {
        uint64_t number = stress_random_below(&random, known);
        durable_record_make(seed, number, &record);
        int status = dsq_view(db, record.key, sizeof record.key, &view);
        if (status != DSQ_OK || view.size != sizeof record.value ||
            memcmp(view.data, record.value, view.size) != 0) {
            stress_violation("record %" PRIu64 " is missing or another", number);
        }
        dsq_view_release(db, &view);
    }
}

void durable_check(const char *path, uint64_t seed, uint64_t known, uint64_t count)
{
    uint64_t counted;
    dsq_db *db = durable_open(path, 0, 0);
    durable_require(db, "dsq_count", dsq_count(db, &counted));
    check_sample(db, seed, known);
    durable_close(db);
    uint64_t rows = durable_sqlite_count(path);
    if (counted != count || rows != count) {
        stress_violation("%s: %" PRIu64 " records, %" PRIu64 " rows in place of %" PRIu64, path,
                         counted, rows, count);
    }
}
