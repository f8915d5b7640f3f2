/*
 * What the store does when the disk, or memory, fails it, or its process dies half-way.
 *
 * The C library's functions below stand before those that SQLite would otherwise find: the program's
 * own come first when a shared library is bound.
 */
#include "persist/sqlite_store.h"

#include <dlfcn.h>
#include <signal.h>

#include "tests/persist/store_fixture.h"

TestSuite(sqlite_store_faults, .init = scratch_make, .fini = scratch_remove);

static const struct dsq_sqlite_options defaults = {0};

enum {
    ON_WRITE = 1,
    ON_SYNC = 2,
    ON_TRUNCATE = 4,
    ON_UNLINK = 8,
    ON_READ = 16,
    ON_ALLOCATION = 32,
    ON_CHANGE = ON_WRITE | ON_SYNC | ON_TRUNCATE | ON_UNLINK
};

static struct {
    int on;     /* calls that count; 0: none */
    long after; /* so many succeed */
    long times; /* then so many fail */
    int error;  /* with this errno; 0: the process is killed */
    bool torn;  /* a write that fails has written its first half */
    long seen;
} fault;

static bool strikes(int kind)
{
    if ((fault.on & kind) == 0) {
        return false;
    }
    long nth = fault.seen++;
    return nth >= fault.after && nth - fault.after < fault.times;
}

static int fail(void)
{
    if (fault.error == 0) {
        raise(SIGKILL);
    }
    errno = fault.error;
    return -1;
}

static void heal(void)
{
    fault.on = 0;
}

/* The system's headers give the parameters reserved names. */
/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
    ssize_t (*next)(int, const void *, size_t, off64_t) = dlsym(RTLD_NEXT, "pwrite64");
    if (strikes(ON_WRITE)) {
        if (fault.torn) {
            next(fd, data, size / 2, offset);
        }
        return fail();
    }
    return next(fd, data, size, offset);
}

ssize_t pread64(int fd, void *data, size_t size, off64_t offset)
{
    ssize_t (*next)(int, void *, size_t, off64_t) = dlsym(RTLD_NEXT, "pread64");
    return strikes(ON_READ) ? fail() : next(fd, data, size, offset);
}

int fdatasync(int fd)
{
    int (*next)(int) = dlsym(RTLD_NEXT, "fdatasync");
    return strikes(ON_SYNC) ? fail() : next(fd);
}

int ftruncate64(int fd, off64_t size)
{
    int (*next)(int, off64_t) = dlsym(RTLD_NEXT, "ftruncate64");
    return strikes(ON_TRUNCATE) ? fail() : next(fd, size);
}

int unlink(const char *path)
{
    int (*next)(const char *) = dlsym(RTLD_NEXT, "unlink");
    return strikes(ON_UNLINK) ? fail() : next(path);
}

/* AddressSanitizer has an allocator of its own. */
#if defined(__SANITIZE_ADDRESS__)
#define CAN_FAIL_ALLOCATIONS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CAN_FAIL_ALLOCATIONS 0
#endif
#endif

#ifndef CAN_FAIL_ALLOCATIONS
#define CAN_FAIL_ALLOCATIONS 1
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);

static bool starves(void)
{
    bool strike = strikes(ON_ALLOCATION);
    errno = strike ? ENOMEM : errno;
    return strike;
}

void *malloc(size_t size)
{
    return starves() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return starves() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *block, size_t size)
{
    return starves() ? NULL : __libc_realloc(block, size);
}
#endif
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */

#define FOR_EVER LONG_MAX

static long killed_after;
static bool killed_torn;

static int create_and_be_killed(void)
{
    struct dsq_store *store;
    fault.after = killed_after;
    fault.times = 1;
    fault.error = 0;
    fault.torn = killed_torn;
    fault.on = ON_CHANGE;
    if (try_open("db", defaults, &store) != DSQ_OK) {
        return 1;
    }
    return store->ops->close(store, &error) == DSQ_OK ? 0 : 2;
}

static void create_despite_kills(bool torn)
{
    int ended;
    killed_torn = torn;
    killed_after = 0;
    do {
        ended = in_child(create_and_be_killed);
        struct dsq_store *store = must_open("db", defaults);
        store_row(store, 1, "a", "1");
        must_close(store);
        cr_assert(is_alone("db"));
        cr_assert_str_eq(sqlite_says("db", "PRAGMA integrity_check"), "ok");
        cr_assert_eq(remove(scratch_path("db")), 0);
        killed_after++;
    } while (ended == -SIGKILL);
    cr_assert_eq(ended, 0);
    cr_assert_gt(killed_after, 20, "a creation changes more than that");
}

Test(sqlite_store_faults, a_creator_killed_before_any_change_leaves_a_file_that_opens)
{
    create_despite_kills(false);
}

Test(sqlite_store_faults, a_creator_killed_within_any_write_leaves_a_file_that_opens)
{
    create_despite_kills(true);
}

static void create_despite_errors(int on, int code, int status)
{
    struct dsq_store *store;
    long after = 0;
    for (int result = status; result != DSQ_OK; after++) {
        fault.after = after;
        fault.times = FOR_EVER;
        fault.error = code;
        fault.seen = 0;
        fault.on = on;
        result = try_open("db", defaults, &store);
        heal();
        if (result == DSQ_OK) {
            must_close(store);
        } else {
            cr_assert_eq(result, status, "%s", error.message);
            must_close(must_open("db", defaults));
        }
        cr_assert_eq(remove(scratch_path("db")), 0);
    }
    cr_assert_gt(after, 1);
}

Test(sqlite_store_faults, a_creation_that_the_disk_refuses_can_be_done_later)
{
    create_despite_errors(ON_WRITE, ENOSPC, DSQ_ERR_FULL);
    create_despite_errors(ON_SYNC, EIO, DSQ_ERR_IO);
}

Test(sqlite_store_faults, a_creation_on_a_full_disk_leaves_nothing)
{
    struct dsq_store *store;
    fault.times = FOR_EVER;
    fault.error = ENOSPC;
    fault.on = ON_WRITE;
    cr_assert_eq(try_open("db", defaults, &store), DSQ_ERR_FULL);
    heal();
    cr_assert_not(scratch_has("db"));
    cr_assert(is_alone("db"));
}

/* Commits a second row while calls of one kind fail, and then again when they do not. */
static void commit_despite(int on, int code, int status)
{
    struct dsq_store *store = must_open("db", defaults);
    store_row(store, 1, "a", "1");
    begin(store);
    put(store, "b", "2");
    fault.times = FOR_EVER;
    fault.error = code;
    fault.on = on;
    cr_assert_eq(store->ops->commit(store, &error), status, "%s", error.message);
    cr_assert_not_null(strstr(error.message, "commit"), "%s", error.message);
    cr_assert_not_null(strstr(error.message, scratch_path("db")), "%s", error.message);
    heal();
    cr_assert_eq(store->ops->count(store), 1);
    cr_assert_eq(store->ops->seq(store), 1);
    cr_assert(has_row(store, "a", "1"));

    store_row(store, 2, "b", "2");
    cr_assert_eq(store->ops->count(store), 2);
    must_close(store);
    cr_assert_str_eq(sqlite_says("db", "SELECT count(*) FROM kv"), "2");
    cr_assert_str_eq(sqlite_says("db", "SELECT value FROM meta WHERE name = 'count'"), "2");
    cr_assert_str_eq(sqlite_says("db", "PRAGMA integrity_check"), "ok");
}

Test(sqlite_store_faults, a_commit_on_a_full_disk_can_be_done_again)
{
    commit_despite(ON_WRITE, ENOSPC, DSQ_ERR_FULL);
}

Test(sqlite_store_faults, a_commit_that_cannot_be_written_can_be_done_again)
{
    commit_despite(ON_WRITE, EIO, DSQ_ERR_IO);
}

Test(sqlite_store_faults, a_commit_that_cannot_be_synced_can_be_done_again)
{
    commit_despite(ON_SYNC, EIO, DSQ_ERR_IO);
}

Test(sqlite_store_faults, a_commit_that_fails_half_way_leaves_no_transaction_behind)
{
    struct dsq_store *store = must_open("db", defaults);
    sqlite_says("db", "CREATE TRIGGER t BEFORE UPDATE ON meta BEGIN"
                      " SELECT RAISE(ABORT, 'not now'); END");
    cr_assert_eq(store->ops->accept_changes(store, &error), DSQ_OK);
    begin(store);
    put(store, "a", "1");
    cr_assert_eq(store->ops->commit(store, &error), DSQ_ERR_CORRUPT, "%s", error.message);
    cr_assert_not_null(strstr(error.message, "not now"), "%s", error.message);
    cr_assert(has_row(store, "a", NULL));
    sqlite_says("db", "DROP TRIGGER t");
    cr_assert_eq(store->ops->accept_changes(store, &error), DSQ_OK);
    store_row(store, 1, "a", "1");
    cr_assert_eq(store->ops->count(store), 1);
    must_close(store);
}

Test(sqlite_store_faults, a_transaction_that_an_error_has_ended_takes_no_more_writes)
{
    struct dsq_store *store = must_open("db", defaults);
    const size_t size = (size_t)8 << 20; /* more than SQLite keeps in memory: it writes early */
    char *value = calloc(1, size);
    begin(store);
    fault.times = FOR_EVER;
    fault.error = ENOSPC;
    fault.on = ON_WRITE;
    cr_assert_eq(store->ops->put(store, text("big"), (struct dsq_bytes){value, size}, &error),
                 DSQ_ERR_FULL);
    heal();
    cr_assert_eq(store->ops->put(store, text("a"), text("1"), &error), DSQ_ERR_IO);
    cr_assert_eq(store->ops->commit(store, &error), DSQ_ERR_IO);
    store->ops->rollback(store);
    cr_assert(has_row(store, "big", NULL) && has_row(store, "a", NULL));
    cr_assert_eq(store->ops->seq(store), 0);
    store_row(store, 2, "c", "3");
    must_close(store);
    free(value);
}

static void read_despite(int code, int status)
{
    struct dsq_store *store = must_open("db", defaults);
    store_row(store, store->ops->seq(store) + 1, "a", "1");
    struct dsq_reader *reader = acquire(store);
    const struct dsq_scan_range all = {0};
    struct dsq_bytes value;
    fault.times = FOR_EVER;
    fault.error = code;
    fault.on = ON_READ;
    cr_assert_eq(store->ops->reader_get(reader, text("a"), &value, &error), status, "%s",
                 error.message);
    store->ops->reader_done(reader);
    cr_assert_eq(store->ops->reader_scan(reader, &all, NULL, NULL, &error), status, "%s",
                 error.message);
    heal();
    store->ops->reader_release(store, reader);
    cr_assert(has_row(store, "a", "1"));
    must_close(store);
}

Test(sqlite_store_faults, a_record_that_cannot_be_read_is_not_called_absent)
{
    read_despite(ENOLCK, DSQ_ERR_IO);
    read_despite(EIO, DSQ_ERR_CORRUPT); /* SQLite takes it for a sign of a broken file system */
}

static int try_begin(struct dsq_store *store)
{
    int status = store->ops->begin(store, DSQ_COMMIT_DURABLE, &error);
    if (status == DSQ_OK) {
        commit(store);
    }
    return status;
}

Test(sqlite_store_faults, what_another_program_writes_is_noticed_and_can_be_accepted)
{
    struct dsq_store *store = must_open("db", defaults);
    store_row(store, 1, "a", "1");
    cr_assert_eq(try_begin(store), DSQ_OK);
    sqlite_says("db", "INSERT INTO kv VALUES(CAST('b' AS BLOB), CAST('2' AS BLOB))");
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(try_begin(store), DSQ_ERR_CHANGED);
        cr_assert_not_null(strstr(error.message, "another program"), "%s", error.message);
    }
    cr_assert_eq(store->ops->accept_changes(store, &error), DSQ_OK);
    cr_assert_eq(store->ops->count(store), 2);
    store_row(store, 2, "b", "3");
    cr_assert_eq(store->ops->count(store), 2);
    must_close(store);
    cr_assert_str_eq(sqlite_says("db", "SELECT value FROM meta WHERE name = 'count'"), "2");
}

Test(sqlite_store_faults, a_read_or_a_checkpoint_by_another_program_is_no_change)
{
    struct dsq_store *store = must_open("db", defaults);
    store_row(store, 1, "a", "1");
    sqlite_says("db", "SELECT count(*) FROM kv");
    sqlite_says("db", "PRAGMA wal_checkpoint");
    store_row(store, 2, "a", "2");
    must_close(store);
}

Test(sqlite_store_faults, a_file_that_is_moved_away_is_missed_until_it_is_back)
{
    static const char *const names[] = {"db", "db-wal"};
    for (size_t i = 0; i < 2; i++) {
        char elsewhere[256];
        char path[256];
        struct dsq_store *store = must_open("db", defaults);
        store_row(store, store->ops->seq(store) + 1, "a", "1");
        cr_assert_eq(try_begin(store), DSQ_OK);
        snprintf(path, sizeof path, "%s", scratch_path(names[i]));
        snprintf(elsewhere, sizeof elsewhere, "%s", scratch_path("elsewhere"));
        cr_assert_eq(rename(path, elsewhere), 0);
        cr_assert_eq(try_begin(store), DSQ_ERR_CHANGED);
        cr_assert_not_null(strstr(error.message, names[i]), "%s", error.message);
        scratch_write(names[i], "replaced", 8);
        cr_assert_eq(try_begin(store), DSQ_ERR_CHANGED);
        cr_assert_eq(store->ops->accept_changes(store, &error), DSQ_ERR_CHANGED);
        cr_assert_eq(rename(elsewhere, path), 0);
        store_row(store, store->ops->seq(store) + 1, "a", "2");
        must_close(store);
    }
}

static long syncs_of_a_commit(bool normal, enum dsq_commit_kind kind)
{
    struct dsq_store *store =
        must_open("db", (struct dsq_sqlite_options){.synchronous_normal = normal});
    store_row(store, store->ops->seq(store) + 1, "a", "1");
    fault.seen = 0;
    fault.times = 0;
    fault.on = ON_SYNC;
    cr_assert_eq(store->ops->begin(store, kind, &error), DSQ_OK);
    put(store, "a", "2");
    commit(store);
    heal();
    must_close(store);
    return fault.seen;
}

Test(sqlite_store_faults, a_durable_commit_reaches_the_disk_unless_synchronous_is_normal)
{
    cr_assert_eq(syncs_of_a_commit(false, DSQ_COMMIT_DURABLE), 1);
    cr_assert_eq(syncs_of_a_commit(false, DSQ_COMMIT_SOON), 0);
    cr_assert_eq(syncs_of_a_commit(true, DSQ_COMMIT_DURABLE), 0);
}

Test(sqlite_store_faults, a_checkpoint_that_fails_is_reported_and_loses_nothing)
{
    struct dsq_store *store = must_open("db", defaults);
    store_row(store, store->ops->seq(store) + 1, "a", "1");
    fault.times = FOR_EVER;
    fault.error = EIO;
    fault.on = ON_SYNC;
    cr_assert_eq(store->ops->checkpoint(store, true, &error), DSQ_ERR_IO);
    cr_assert_not_null(strstr(error.message, "checkpoint"), "%s", error.message);
    heal();
    cr_assert(has_row(store, "a", "1"));
    cr_assert_eq(store->ops->checkpoint(store, true, &error), DSQ_OK);
    must_close(store);
}

Test(sqlite_store_faults, a_close_that_cannot_checkpoint_says_so_and_keeps_the_log)
{
    struct dsq_store *store = must_open("db", defaults);
    store_row(store, store->ops->seq(store) + 1, "a", "1");
    fault.times = FOR_EVER;
    fault.error = ENOSPC;
    fault.on = ON_WRITE;
    cr_assert_eq(store->ops->close(store, &error), DSQ_ERR_FULL);
    heal();
    cr_assert(scratch_has("db-wal"));
    cr_assert_not(scratch_has("db-lock"));
    store = must_open("db", defaults);
    cr_assert(has_row(store, "a", "1"));
    must_close(store);
    cr_assert(is_alone("db"));
}

static bool count_row(void *context, struct dsq_bytes key, struct dsq_bytes value)
{
    (void)key;
    (void)value;
    ++*(int *)context;
    return true;
}

/* A life of a store, ended by the first thing that fails. */
static int live(struct dsq_store *store)
{
    struct dsq_reader *reader;
    struct dsq_bytes value;
    const struct dsq_scan_range all = {0};
    int rows = 0;
    int status = store->ops->begin(store, DSQ_COMMIT_DURABLE, &error);
    status = status != DSQ_OK ? status : store->ops->put(store, text("a"), text("2"), &error);
    status = status != DSQ_OK ? status : store->ops->put(store, text("b"), text("2"), &error);
    status = status != DSQ_OK ? status : store->ops->del(store, text("b"), &error);
    status = status != DSQ_OK ? status : store->ops->commit(store, &error);
    store->ops->rollback(store);
    if (status != DSQ_OK ||
        (status = store->ops->reader_acquire(store, &reader, &error)) != DSQ_OK) {
        return status;
    }
    status = store->ops->reader_get(reader, text("a"), &value, &error);
    store->ops->reader_done(reader);
    if (status == DSQ_OK) {
        status = store->ops->reader_scan(reader, &all, count_row, &rows, &error);
    }
    store->ops->reader_release(store, reader);
    return status != DSQ_OK || rows == 1 ? status : DSQ_ABSENT;
}

Test(sqlite_store_faults, running_out_of_memory_anywhere_is_an_error_and_no_harm)
{
    if (!CAN_FAIL_ALLOCATIONS) {
        cr_skip_test("the sanitizer's allocator is not ours to fail");
    }
    int status = DSQ_ERR_NOMEM;
    for (long after = 0; status != DSQ_OK; after++) {
        struct dsq_store *store;
        fault.after = after;
        fault.times = 1;
        fault.error = ENOMEM;
        fault.seen = 0;
        fault.on = ON_ALLOCATION;
        status = try_open("db", defaults, &store);
        if (status == DSQ_OK) {
            status = live(store);
            int closed = store->ops->close(store, &error);
            status = status != DSQ_OK ? status : closed;
        }
        bool struck = fault.seen > after;
        heal();
        cr_assert(status == DSQ_OK || status == DSQ_ERR_NOMEM, "%ld: %s", after, error.message);
        if (!struck) {
            break; /* SQLite can do without some of its allocations */
        }
        status = DSQ_ERR_NOMEM;
    }
    cr_assert_eq(status, DSQ_OK);
    cr_assert_str_eq(sqlite_says("db", "PRAGMA integrity_check"), "ok");
    struct dsq_store *store = must_open("db", defaults);
    cr_assert(has_row(store, "a", "2"));
    cr_assert_eq(store->ops->count(store), 1);
    must_close(store);
    cr_assert(is_alone("db"));
}
