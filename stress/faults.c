/*
 * Errors of the file system, and memory that runs out: a short life of a store (recovery of a
 * journal, writes, reads, a batch, a walk, a flush, its end) is lived over and over, and each time
 * another call fails: every n-th call of every kind, once and for ever.  What the store said must be
 * true throughout: a write that returned success is there, nothing is called absent that is not, no
 * value comes that was not written; and once the cause is gone, resume brings it back.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "persist/hooks.h"
#include "stress/fault_malloc.h"
#include "stress/fault_vfs.h"
#include "stress/options.h"
#include "stress/password.h"
#include "stress/random.h"
#include "stress/stored.h"
#include "stress/verdict.h"

#define KEYS 16
#define STEPS 48
#define HISTORY_MAX 128
#define VALUE_BYTES 300
#define ABSENT UINT64_MAX
#define PATIENCE_MS 8

/* What may be true of a key: the write at `certain`, or any later one, whose outcome is not known. */
struct key_history {
    uint64_t value[HISTORY_MAX]; /* ABSENT: a delete */
    size_t count;
    size_t certain;
};

struct life {
    const char *path;
    struct fault_plan plan;
    bool at_once; /* the plan holds for the opening too */
    struct key_history keys[KEYS];
    uint64_t numbers;
    uint64_t errors; /* that the store's callers were told */
    dsq_db *db;
};

struct kind {
    enum fault_call call;
    int code;
    bool torn;
    const char *name;
};

/* What real file systems and disks answer. */
static const struct kind kinds[] = {
    {FAULT_WRITE, SQLITE_IOERR_WRITE, false, "write fails"},
    {FAULT_WRITE, SQLITE_IOERR_WRITE, true, "write torn"},
    {FAULT_WRITE, SQLITE_FULL, false, "disk full"},
    {FAULT_SYNC, SQLITE_IOERR_FSYNC, false, "sync fails"},
    {FAULT_TRUNCATE, SQLITE_IOERR_TRUNCATE, false, "truncate fails"},
    {FAULT_READ, SQLITE_IOERR_READ, false, "read fails"},
    {FAULT_OPEN, SQLITE_CANTOPEN, false, "open fails"},
    {FAULT_SIZE, SQLITE_IOERR_FSTAT, false, "size fails"},
    {FAULT_LOCK, SQLITE_IOERR_LOCK, false, "lock fails"},
    {FAULT_DELETE, SQLITE_IOERR_DELETE, false, "delete fails"},
    {FAULT_ACCESS, SQLITE_IOERR_ACCESS, false, "access fails"},
    {FAULT_SHM_MAP, SQLITE_IOERR_SHMMAP, false, "shm map fails"},
    {FAULT_SHM_LOCK, SQLITE_IOERR_SHMLOCK, false, "shm lock fails"},
    {FAULT_ALLOCATION, SQLITE_NOMEM, false, "out of memory"},
};

static size_t key_name(uint64_t key, char name[24])
{
    return (size_t)snprintf(name, 24, "key %" PRIu64, key);
}

static size_t value_of(uint64_t number, char value[VALUE_BYTES])
{
    memset(value, (int)('a' + number % 26), VALUE_BYTES);
    snprintf(value, VALUE_BYTES, "%" PRIu64, number);
    return VALUE_BYTES - (size_t)(number % 200);
}

static void note_write(struct life *life, uint64_t key, uint64_t value, int status)
{
    struct key_history *history = &life->keys[key];
    history->value[history->count] = value;
    if (status >= 0) {
        history->certain = history->count;
    } else {
        life->errors++;
    }
    history->count++;
}

/* A write that has been seen, or after which a flush returned, is certain. */
static bool note_sight(struct key_history *history, uint64_t value)
{
    for (size_t i = history->count; i-- > history->certain;) {
        if (history->value[i] == value) {
            history->certain = i;
            return true;
        }
    }
    return false;
}

static bool sight(struct life *life, uint64_t key, int status, const void *bytes, size_t size)
{
    char expected[VALUE_BYTES];
    uint64_t value = ABSENT;
    if (status < 0) {
        life->errors++;
        return true;
    }
    if (status == DSQ_OK) {
        value = strtoull(bytes, NULL, 10);
        if (size != value_of(value, expected) || memcmp(bytes, expected, size) != 0) {
            stress_violation("key %" PRIu64 " has a value that nobody wrote", key);
            return false;
        }
    }
    if (!note_sight(&life->keys[key], value)) {
        stress_violation("key %" PRIu64 ": found %" PRId64
                         ", which is neither its last certain value nor a later one",
                         key, (int64_t)value);
        return false;
    }
    return true;
}

static bool get(struct life *life, uint64_t key)
{
    char name[24];
    void *bytes = NULL;
    size_t size = 0;
    int status = dsq_get(life->db, name, key_name(key, name), &bytes, &size);
    bool good = sight(life, key, status, bytes, size);
    dsq_free(bytes);
    return good;
}

static void put(struct life *life, uint64_t key)
{
    char name[24];
    char value[VALUE_BYTES];
    uint64_t number = ++life->numbers;
    size_t size = value_of(number, value);
    note_write(life, key, number, dsq_put(life->db, name, key_name(key, name), value, size));
}

static void delete (struct life *life, uint64_t key)
{
    char name[24];
    int status = dsq_delete(life->db, name, key_name(key, name));
    note_write(life, key, ABSENT, status);
}

static void batch(struct life *life, uint64_t first)
{
    dsq_batch *group;
    if (dsq_batch_new(life->db, &group) != DSQ_OK) {
        life->errors++;
        return;
    }
    uint64_t base = life->numbers;
    int status = DSQ_OK;
    for (uint64_t i = 0; status == DSQ_OK && i < 3; i++) {
        char name[24];
        char value[VALUE_BYTES];
        size_t size = value_of(++life->numbers, value);
        status = dsq_batch_put(group, name, key_name((first + i) % KEYS, name), value, size);
    }
    if (status == DSQ_OK) {
        status = dsq_batch_commit(group);
    }
    for (uint64_t i = 0; i < 3; i++) {
        note_write(life, (first + i) % KEYS, base + 1 + i, status);
    }
    dsq_batch_destroy(group);
}

/* A walk shows only what may be there; keys that it must show are asked for one by one elsewhere. */
static bool walk(struct life *life)
{
    dsq_cursor *cursor;
    const void *key;
    const void *value;
    size_t key_size;
    size_t value_size;
    int status = dsq_cursor_open(life->db, NULL, &cursor);
    if (status != DSQ_OK) {
        life->errors++;
        return true;
    }
    bool good = true;
    while (good &&
           (status = dsq_cursor_next(cursor, &key, &key_size, &value, &value_size)) == DSQ_OK) {
        char name[24] = "";
        memcpy(name, key, key_size < sizeof name ? key_size : sizeof name - 1);
        good = sight(life, strtoull(name + 4, NULL, 10), DSQ_OK, value, value_size);
    }
    life->errors += status < 0;
    dsq_cursor_close(cursor);
    return good;
}

static uint64_t encrypt;

static int open_store(struct life *life, struct dsq_error *error)
{
    struct dsq_options options = {.hot_capacity = 4, .error = error};
    stress_encrypt(&options, encrypt);
    return dsq_open(life->path, &options, &life->db);
}

static bool take_steps(struct life *life)
{
    struct stress_random random = {.state = 1};
    for (int i = 0; i < STEPS; i++) {
        uint64_t key = stress_random_below(&random, KEYS);
        uint64_t draw = stress_random_below(&random, 16);
        if (draw < 6) {
            put(life, key);
        } else if (draw < 8) {
            delete (life, key);
        } else if (draw < 9) {
            batch(life, key);
        } else if (draw < 10 && !walk(life)) {
            return false;
        } else if (draw >= 10 && !get(life, key)) {
            return false;
        }
    }
    return true;
}

static bool all_good(struct life *life)
{
    for (uint64_t key = 0; key < KEYS; key++) {
        uint64_t before = life->errors;
        if (!get(life, key)) {
            return false;
        }
        if (life->errors != before) {
            struct dsq_error error;
            dsq_last_error(life->db, &error);
            stress_violation("key %" PRIu64 " cannot be read though nothing fails: %s", key,
                             error.message);
            return false;
        }
    }
    return true;
}

static bool expect_ok(struct life *life, const char *call, int status)
{
    return stress_expect(life->db, call, status, status == DSQ_OK);
}

static bool must_open(struct life *life)
{
    struct dsq_error error = {0};
    int status = open_store(life, &error);
    return stress_expect(NULL, error.message, status, status == DSQ_OK);
}

/* With the cause gone: everything that may be there can be read, flushed, and found again. */
static bool recover(struct life *life, bool abandon)
{
    if (!expect_ok(life, "dsq_resume", dsq_resume(life->db)) ||
        !expect_ok(life, "dsq_flush", dsq_flush(life->db, -1)) || !all_good(life)) {
        return false;
    }
    if (abandon) {
        dsq_abandon(life->db);
    } else if (!expect_ok(life, "dsq_close", dsq_close(life->db))) {
        return false;
    }
    if (!must_open(life) || !all_good(life) || !walk(life) ||
        !expect_ok(life, "dsq_close", dsq_close(life->db))) {
        return false;
    }
    return stored_integrity(life->path);
}

/* Opens under the plan; what cannot be opened says so and can be opened once the cause is gone. */
static bool open_under(struct life *life)
{
    struct dsq_error error = {0};
    if (life->at_once) {
        fault_vfs_plan(&life->plan);
    }
    int status = open_store(life, &error);
    if (status != DSQ_OK) {
        life->errors++;
        if (error.message[0] == '\0') {
            stress_violation("an open that failed does not say why");
            return false;
        }
        fault_vfs_heal();
        status = open_store(life, &error);
    }
    if (!stress_expect(NULL, error.message, status, status == DSQ_OK)) {
        return false;
    }
    if (!life->at_once) {
        fault_vfs_plan(&life->plan);
    }
    return true;
}

/* One life with one fault; how many calls failed. */
static uint64_t live(struct life *life, bool abandon)
{
    uint64_t failed = 0;
    if (open_under(life) && take_steps(life)) {
        int status = abandon ? DSQ_OK : dsq_close(life->db);
        bool closed = !abandon && status == DSQ_OK;
        failed = fault_vfs_heal();
        life->errors += status != DSQ_OK;
        if (closed) {
            if (!must_open(life)) {
                return failed;
            }
        }
        recover(life, abandon);
    }
    fault_vfs_heal();
    return failed;
}

static bool copy_file(const char *from, const char *to, const char *suffix)
{
    char command[600];
    snprintf(command, sizeof command, "cp '%s%s' '%s%s' 2>/dev/null", from, suffix, to, suffix);
    return system(command) == 0;
}

/* A store with rows in kv and records in the journal, as a crash leaves it. */
static bool prepare(struct life *life)
{
    if (!must_open(life)) {
        return false;
    }
    for (uint64_t key = 0; key < KEYS; key += 2) {
        put(life, key);
    }
    if (!expect_ok(life, "dsq_close", dsq_close(life->db)) || !must_open(life)) {
        return false;
    }
    for (uint64_t key = 0; key < KEYS; key += 3) {
        put(life, key);
    }
    delete (life, 4);
    dsq_abandon(life->db);
    return true;
}

struct walk_totals {
    uint64_t lives;
    uint64_t failed_calls;
    uint64_t told;
};

struct walk {
    struct life prepared;
    const char *origin;
    char path[128];
    uint64_t stride;
    struct walk_totals totals;
};

/* False when the n-th call does not exist any more. */
static bool walk_one(struct walk *walk, const struct kind *kind, uint64_t nth, bool for_ever,
                     bool at_once)
{
    struct life *life = malloc(sizeof *life);
    *life = walk->prepared;
    life->path = walk->path;
    life->at_once = at_once;
    life->plan = (struct fault_plan){kind->call, nth, for_ever, kind->code, kind->torn};
    life->errors = 0;
    stored_remove(walk->path);
    copy_file(walk->origin, walk->path, "");
    copy_file(walk->origin, walk->path, "-wal");
    uint64_t failed = live(life, nth % 2 == 0);
    walk->totals.lives++;
    walk->totals.failed_calls += failed;
    walk->totals.told += life->errors;
    uint64_t errors = life->errors;
    free(life);
    if (stress_failed()) {
        fprintf(stderr, "%s, call %" PRIu64 "%s%s; the file is %s\n", kind->name, nth,
                for_ever ? " and all after it" : "", at_once ? ", counted from the open" : "",
                walk->path);
    }
    return failed != 0 || (at_once && errors != 0);
}

static void walk_kind(struct walk *walk, const struct kind *kind)
{
    for (int variant = 0; variant < 4 && !stress_failed(); variant++) {
        bool for_ever = (variant & 1) != 0;
        bool at_once = (variant & 2) != 0;
        uint64_t nth = 1;
        while (!stress_failed() && walk_one(walk, kind, nth, for_ever, at_once)) {
            nth += walk->stride;
        }
    }
    printf("%-16s %6" PRIu64 " lives so far, %7" PRIu64 " calls failed, %7" PRIu64 " errors told\n",
           kind->name, walk->totals.lives, walk->totals.failed_calls, walk->totals.told);
}

int main(int argc, char **argv)
{
    uint64_t stride = 7;
    const struct stress_option options[] = {
        {"stride", STRESS_NUMBER, &stride, "visit every so many-th call; 1: every call"},
        {"encrypt", STRESS_NUMBER, &encrypt, STRESS_ENCRYPT_MEANING},
    };
    if (!stress_options_parse(argc, argv, options, 2) || stride == 0) {
        return 2;
    }
    stress_options_print_replay(argv[0], options, 2);
    char directory[64];
    struct stat found;
    snprintf(directory, sizeof directory, "%s/dictsqlite-faults-XXXXXX",
             stat("/dev/shm", &found) == 0 ? "/dev/shm" : "/tmp");
    if (mkdtemp(directory) == NULL || !fault_malloc_install() || !fault_vfs_install()) {
        fprintf(stderr, "no directory, or SQLite does not take the file system\n");
        return 2;
    }
    char origin[128];
    struct walk *walk = calloc(1, sizeof *walk);
    snprintf(origin, sizeof origin, "%s/origin.db", directory);
    snprintf(walk->path, sizeof walk->path, "%s/faults.db", directory);
    walk->origin = origin;
    walk->stride = stride;
    walk->prepared.path = origin;
    for (uint64_t key = 0; key < KEYS; key++) {
        walk->prepared.keys[key] = (struct key_history){{ABSENT}, 1, 0};
    }
    dsq_hooks.patience_ms = PATIENCE_MS;
    if (prepare(&walk->prepared)) {
        for (size_t i = 0; i < sizeof kinds / sizeof kinds[0] && !stress_failed(); i++) {
            walk_kind(walk, &kinds[i]);
        }
    }
    if (!stress_failed()) {
        stored_remove(origin);
        stored_remove(walk->path);
        rmdir(directory);
    }
    free(walk);
    return stress_verdict();
}
