/*
 * Every byte of an encrypted file is changed in turn, and bytes of the log of one that was not closed:
 * whoever opens it then and reads everything finds the right data or an error; after a change of the
 * log, the data as of an earlier commit, too.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <dictsqlite.h>

#include "stress/options.h"
#include "stress/password.h"
#include "stress/random.h"
#include "stress/stored.h"
#include "stress/verdict.h"

#define ROWS 200
#define WORKERS_MAX 16

struct image {
    unsigned char *bytes;
    size_t size;
};

struct parameters {
    uint64_t stride;
    uint64_t log;
    uint64_t threads;
    uint64_t seed;
};

/* One thread's share of the changes. */
struct share {
    const struct image *file;
    const struct image *log; /* NULL: a closed file, whose own bytes are changed */
    uint64_t first;
    uint64_t step;
    uint64_t end;
    uint64_t seed;
    char path[96];
};

static struct {
    _Atomic uint64_t changes;
    _Atomic uint64_t refused; /* at open */
    _Atomic uint64_t errors;  /* while reading */
    _Atomic uint64_t right;
    _Atomic uint64_t earlier;
} totals;

static dsq_db *open_store(const char *path)
{
    struct dsq_options options = {.hot_capacity = 16};
    dsq_db *db = NULL;
    stress_encrypt(&options, 1);
    return dsq_open(path, &options, &db) == DSQ_OK ? db : NULL;
}

/* What key i holds in version 1 or 2. */
static int row_text(uint64_t seed, int i, int version, char *text, size_t size)
{
    return snprintf(text, size, "%d of row %d, %016" PRIx64 " and so on, and so on", version, i,
                    stress_mix3(seed, (uint64_t)i, (uint64_t)version));
}

static void put_rows(dsq_db *db, uint64_t seed, int version)
{
    for (int i = 0; i < ROWS; i++) {
        char key[16];
        char text[96];
        int key_size = snprintf(key, sizeof key, "row %06d", i);
        int size = row_text(seed, i, version, text, sizeof text);
        int status = dsq_put(db, key, (size_t)key_size, text, (size_t)size);
        stress_expect(db, "dsq_put", status, status == DSQ_OK);
    }
}

/* The version that row i has; 0: an error; negative: a violation. */
static int row_version(dsq_db *db, uint64_t seed, int i)
{
    char key[16];
    void *bytes = NULL;
    size_t size = 0;
    int key_size = snprintf(key, sizeof key, "row %06d", i);
    int status = dsq_get(db, key, (size_t)key_size, &bytes, &size);
    int version = status < 0 ? 0 : -1;
    for (int candidate = 1; status == DSQ_OK && candidate <= 2; candidate++) {
        char text[96];
        int length = row_text(seed, i, candidate, text, sizeof text);
        if (size == (size_t)length && memcmp(bytes, text, size) == 0) {
            version = candidate;
        }
    }
    dsq_free(bytes);
    return version;
}

/* Reads all rows: how many are of version 2, which have to be the first ones; negative: an error. */
static int read_rows(dsq_db *db, uint64_t seed)
{
    int newest = 0;
    for (int i = 0; i < ROWS; i++) {
        int version = row_version(db, seed, i);
        if (version == 0) {
            return -1;
        }
        if (version < 0 || (version == 2 && newest != i)) {
            stress_violation("row %d is not what it was at any commit", i);
            return -1;
        }
        newest += version == 2;
    }
    return newest;
}

static bool image_write(const char *path, const char *suffix, const struct image *image)
{
    char name[128];
    snprintf(name, sizeof name, "%s%s", path, suffix);
    FILE *file = fopen(name, "w");
    bool written = file != NULL && fwrite(image->bytes, 1, image->size, file) == image->size;
    return file != NULL && fclose(file) == 0 && written;
}

static bool image_read(const char *path, const char *suffix, struct image *image)
{
    char name[128];
    struct stat found;
    snprintf(name, sizeof name, "%s%s", path, suffix);
    FILE *file = fopen(name, "r");
    if (file == NULL || fstat(fileno(file), &found) != 0) {
        return false;
    }
    image->size = (size_t)found.st_size;
    image->bytes = malloc(image->size);
    bool read = fread(image->bytes, 1, image->size, file) == image->size;
    fclose(file);
    return read;
}

static void judge(const struct share *share, uint64_t at)
{
    dsq_db *db = open_store(share->path);
    atomic_fetch_add(&totals.changes, 1);
    if (db == NULL) {
        atomic_fetch_add(&totals.refused, 1);
        return;
    }
    int newest = read_rows(db, share->seed);
    if (newest < 0) {
        atomic_fetch_add(&totals.errors, 1);
    } else if (newest == ROWS) {
        atomic_fetch_add(&totals.right, 1);
    } else {
        atomic_fetch_add(&totals.earlier, 1);
        if (share->log == NULL) {
            stress_violation("a change of the main file turned %d rows back", ROWS - newest);
        }
    }
    if (stress_failed()) {
        fprintf(stderr, "byte %" PRIu64 " of the %s\n", at, share->log != NULL ? "log" : "file");
    }
    dsq_abandon(db);
}

static void *change_share(void *context)
{
    struct share *share = context;
    const struct image *changed = share->log != NULL ? share->log : share->file;
    struct image copy = {malloc(changed->size), changed->size};
    size_t used = changed->size; /* room that was made ahead of its use is not looked at */
    while (used > 1 && changed->bytes[used - 1] == 0) {
        used--;
    }
    for (uint64_t i = share->first; i < share->end && !stress_failed(); i += share->step) {
        uint64_t draw = stress_mix3(share->seed, i, 77);
        uint64_t at = share->log != NULL ? draw % used : i;
        stored_remove(share->path);
        memcpy(copy.bytes, changed->bytes, changed->size);
        copy.bytes[at] ^= (unsigned char)(1U << (draw >> 61));
        if (!image_write(share->path, "", share->log != NULL ? share->file : &copy) ||
            (share->log != NULL && !image_write(share->path, "-wal", &copy))) {
            stress_violation("%s cannot be written", share->path);
            break;
        }
        judge(share, at);
    }
    stored_remove(share->path);
    free(copy.bytes);
    return NULL;
}

static void change_all(const struct parameters *parameters, const char *directory,
                       const struct image *file, const struct image *log, uint64_t step,
                       uint64_t end)
{
    static struct share shares[WORKERS_MAX];
    pthread_t threads[WORKERS_MAX];
    memset(&totals, 0, sizeof totals);
    for (uint64_t i = 0; i < parameters->threads; i++) {
        shares[i] = (struct share){.file = file,
                                   .log = log,
                                   .first = i * step,
                                   .step = parameters->threads * step,
                                   .end = end,
                                   .seed = parameters->seed};
        snprintf(shares[i].path, sizeof shares[i].path, "%s/%d.db", directory, (int)i);
        pthread_create(&threads[i], NULL, change_share, &shares[i]);
    }
    for (uint64_t i = 0; i < parameters->threads; i++) {
        pthread_join(threads[i], NULL);
    }
    printf("%s: %" PRIu64 " changes: %" PRIu64 " refused at open, %" PRIu64
           " errors while reading, %" PRIu64 " right data, %" PRIu64 " data of an earlier commit\n",
           log != NULL ? "log of an unclosed file" : "file", totals.changes, totals.refused,
           totals.errors, totals.right, totals.earlier);
}

/* A closed file with rows of version 2, and an unclosed one whose log has them, a commit each. */
static bool make_images(const char *directory, uint64_t seed, struct image *closed,
                        struct image *unclosed, struct image *log)
{
    char path[96];
    snprintf(path, sizeof path, "%s/origin.db", directory);
    dsq_db *db = open_store(path);
    if (db == NULL) {
        return false;
    }
    put_rows(db, seed, 1);
    if (dsq_close(db) != DSQ_OK || (db = open_store(path)) == NULL) {
        return false;
    }
    put_rows(db, seed, 2);
    bool good = image_read(path, "", unclosed) && image_read(path, "-wal", log);
    good = dsq_close(db) == DSQ_OK && good && image_read(path, "", closed);
    stored_remove(path);
    return good;
}

int main(int argc, char **argv)
{
    struct parameters parameters = {.stride = 3, .log = 2000, .threads = 2};
    const struct stress_option options[] = {
        {"stride", STRESS_NUMBER, &parameters.stride, "every so many-th byte of the file; 1: all"},
        {"log", STRESS_NUMBER, &parameters.log, "changes of the log"},
        {"threads", STRESS_NUMBER, &parameters.threads, "that open files at a time"},
        {"seed", STRESS_NUMBER, &parameters.seed, "of all random choices; 0: a fresh one"},
    };
    size_t option_count = sizeof options / sizeof options[0];
    if (!stress_options_parse(argc, argv, options, option_count) || parameters.stride == 0 ||
        parameters.threads == 0 || parameters.threads > WORKERS_MAX) {
        return 2;
    }
    stress_seed_choose(&parameters.seed);
    stress_options_print_replay(argv[0], options, option_count);
    char directory[64];
    struct image closed;
    struct image unclosed;
    struct image log;
    snprintf(directory, sizeof directory, "/tmp/dictsqlite-tamper-XXXXXX");
    if (mkdtemp(directory) == NULL ||
        !make_images(directory, parameters.seed, &closed, &unclosed, &log)) {
        stress_violation("the files to be changed cannot be made");
        return stress_verdict();
    }
    change_all(&parameters, directory, &closed, NULL, parameters.stride, closed.size);
    if (!stress_failed()) {
        change_all(&parameters, directory, &unclosed, &log, 1, parameters.log);
    }
    rmdir(directory);
    free(closed.bytes);
    free(unclosed.bytes);
    free(log.bytes);
    return stress_verdict();
}
