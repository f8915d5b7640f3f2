/* A dictionary in a file, in C: example.c FILE */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <dictsqlite.h>

/* Prints what went wrong, if anything did, and says whether it went well. */
static int succeeded(dsq_db *db, const char *what, int status)
{
    struct dsq_error error;

    if (status == DSQ_OK) {
        return 1;
    }
    dsq_last_error(db, &error);
    fprintf(stderr, "%s: %s (%s)\n", what, dsq_strerror(status), error.message);
    return 0;
}

static int store_and_look_up(dsq_db *db)
{
    void *value;
    size_t size;

    if (!succeeded(db, "put", dsq_put(db, "colour", 6, "green", 5)) ||
        !succeeded(db, "get", dsq_get(db, "colour", 6, &value, &size))) {
        return 0;
    }
    printf("colour is %.*s\n", (int)size, (const char *)value);
    dsq_free(value);
    return dsq_contains(db, "shape", 5) == DSQ_ABSENT;
}

/* Three records that reach the disk together or not at all. */
static int store_together(dsq_db *db)
{
    static const char *const names[] = {"planet/mercury", "planet/venus", "planet/earth"};
    dsq_batch *batch;
    int done;

    if (!succeeded(db, "batch", dsq_batch_new(db, &batch))) {
        return 0;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!succeeded(db, "batch", dsq_batch_put(batch, names[i], strlen(names[i]), &i, 1))) {
            break;
        }
    }
    done = succeeded(db, "commit", dsq_batch_commit(batch));
    dsq_batch_destroy(batch);
    return done;
}

static int list(dsq_db *db)
{
    const struct dsq_range planets = {.prefix = "planet/", .prefix_size = 7};
    const void *key;
    size_t key_size;
    dsq_cursor *cursor;
    int status;

    if (!succeeded(db, "cursor", dsq_cursor_open(db, &planets, &cursor))) {
        return 0;
    }
    while ((status = dsq_cursor_next(cursor, &key, &key_size, NULL, NULL)) == DSQ_OK) {
        printf("%.*s\n", (int)key_size, (const char *)key);
    }
    dsq_cursor_close(cursor);
    return status == DSQ_ABSENT;
}

static int report(dsq_db *db)
{
    struct dsq_stats stats;
    uint64_t count;

    if (!succeeded(db, "count", dsq_count(db, &count))) {
        return 0;
    }
    dsq_stats(db, &stats);
    printf("%" PRIu64 " records, %" PRIu64 " commits\n", count, stats.commits);
    return 1;
}

int main(int argc, char **argv)
{
    struct dsq_error error;
    const struct dsq_options options = {.hot_capacity = 1000, .error = &error};
    dsq_db *db;
    int done;

    if (argc != 2) {
        fprintf(stderr, "usage: %s FILE\n", argv[0]);
        return 2;
    }
    if (dsq_open(argv[1], &options, &db) != DSQ_OK) {
        fprintf(stderr, "open: %s\n", error.message);
        return 1;
    }
    done = store_and_look_up(db) && store_together(db) && list(db) && report(db);
    if (!succeeded(db, "close", dsq_close(db))) {
        dsq_abandon(db);
        return 1;
    }
    return done ? 0 : 1;
}
