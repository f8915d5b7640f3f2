/* What the store opens, creates and refuses. */
#include "persist/sqlite_store.h"

#include <signal.h>

#include "tests/persist/store_fixture.h"

TestSuite(sqlite_store_open, .init = scratch_make, .fini = scratch_remove);

static const struct dsq_sqlite_options defaults = {0};
static const struct dsq_sqlite_options readonly = {.readonly = true};
static const struct dsq_sqlite_options must_exist = {.must_exist = true};

static void must_refuse(const char *name, struct dsq_sqlite_options options, int status,
                        const char *reason)
{
    struct dsq_store *store = (void *)1;
    cr_assert_eq(try_open(name, options, &store), status, "%s: %s", name, error.message);
    cr_assert_null(store);
    cr_assert_eq(error.status, status);
    cr_assert_not_null(strstr(error.message, reason), "%s", error.message);
    cr_assert_not_null(strstr(error.message, scratch), "%s", error.message);
}

/* Refuses it for writing and for reading, and neither changes it nor leaves anything beside it. */
static void must_refuse_untouched(const char *name, int status, const char *reason)
{
    size_t before;
    size_t after;
    char *bytes = scratch_read(name, &before);
    must_refuse(name, defaults, status, reason);
    must_refuse(name, readonly, status, reason);
    char *again = scratch_read(name, &after);
    cr_assert(before == after && memcmp(bytes, again, after) == 0);
    cr_assert(is_alone(name));
    free(bytes);
    free(again);
}

static void make_sqlite(const char *name, const char *sql)
{
    sqlite3 *db;
    char *message = NULL;
    cr_assert_eq(sqlite3_open(scratch_path(name), &db), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, &message), SQLITE_OK, "%s", message);
    sqlite3_close(db);
}

Test(sqlite_store_open, creates_a_file_that_says_whose_it_is)
{
    must_close(must_open("db", defaults));
    cr_assert_str_eq(sqlite_says("db", "PRAGMA application_id"), "1685287217");
    cr_assert_str_eq(sqlite_says("db", "PRAGMA user_version"), "1");
    cr_assert_str_eq(sqlite_says("db", "PRAGMA journal_mode"), "wal");
    cr_assert_str_eq(sqlite_says("db", "SELECT group_concat(name, ' ') FROM (SELECT name FROM"
                                       " sqlite_schema WHERE type = 'table' ORDER BY name)"),
                     "journal kv meta");
}

Test(sqlite_store_open, lets_nobody_else_look_into_what_it_creates)
{
    umask(0);
    struct dsq_store *store = must_open("db", defaults);
    store_row(store, 1, "a", "1");
    const char *names[] = {"db", "db-wal", "db-shm", "db-lock"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct stat found;
        cr_assert_eq(stat(scratch_path(names[i]), &found), 0);
        cr_assert_eq(found.st_mode & 0777, 0600, "%s", names[i]);
    }
    must_close(store);
}

Test(sqlite_store_open, fills_an_empty_file)
{
    scratch_write("db", "", 0);
    struct dsq_store *store = must_open("db", must_exist);
    store_row(store, 1, "a", "1");
    must_close(store);
}

Test(sqlite_store_open, does_not_create_what_must_exist)
{
    must_refuse("db", must_exist, DSQ_ERR_CANTOPEN, "no file");
    must_refuse("db", readonly, DSQ_ERR_CANTOPEN, "no file");
    cr_assert_not(scratch_has("db"));
    cr_assert(is_alone("db"));
}

Test(sqlite_store_open, does_not_read_an_empty_file_as_a_database)
{
    scratch_write("db", "", 0);
    must_refuse("db", readonly, DSQ_ERR_FORMAT, "empty");
}

Test(sqlite_store_open, takes_names_that_a_uri_would_misread)
{
    const char *name = "file:a?mode=memory&b#c%41 d";
    must_close(must_open(name, defaults));
    cr_assert(scratch_has(name));
    struct dsq_store *store = must_open(name, must_exist);
    store_row(store, 1, "a", "1");
    must_close(store);
}

Test(sqlite_store_open, refuses_what_is_no_regular_file)
{
    cr_assert_eq(mkdir(scratch_path("directory"), 0777), 0);
    cr_assert_eq(mkfifo(scratch_path("pipe"), 0666), 0);
    cr_assert_eq(symlink("/dev/null", scratch_path("device")), 0);
    must_refuse("directory", defaults, DSQ_ERR_CANTOPEN, "a directory");
    must_refuse("directory/", defaults, DSQ_ERR_CANTOPEN, "a directory");
    must_refuse("pipe", defaults, DSQ_ERR_CANTOPEN, "a pipe");
    must_refuse("device", defaults, DSQ_ERR_CANTOPEN, "a device");
    cr_assert_not(scratch_has("directory-lock") || scratch_has("pipe-lock"));
}

Test(sqlite_store_open, refuses_a_path_through_what_is_not_there_or_no_directory)
{
    scratch_write("file", "", 0);
    must_refuse("missing/db", defaults, DSQ_ERR_CANTOPEN, "missing");
    must_refuse("file/db", defaults, DSQ_ERR_CANTOPEN, "file/db");
}

Test(sqlite_store_open, refuses_a_file_that_is_no_database)
{
    static const char prose[] = "Call me Ishmael. Some years ago, never mind how long precisely";
    scratch_write("prose", prose, sizeof prose);
    scratch_write("byte", "S", 1);
    must_refuse_untouched("prose", DSQ_ERR_FORMAT, "not a database");
    must_refuse_untouched("byte", DSQ_ERR_FORMAT, "not a database");
}

Test(sqlite_store_open, refuses_a_database_of_something_else)
{
    make_sqlite("other", "CREATE TABLE kv(key, value); INSERT INTO kv VALUES(1, 2)");
    must_refuse_untouched("other", DSQ_ERR_FORMAT, "not of this library");
    make_sqlite("wal", "PRAGMA journal_mode=WAL; CREATE TABLE t(x)");
    must_refuse_untouched("wal", DSQ_ERR_FORMAT, "not of this library");
    scratch_write("head", "SQLite format 3", 16);
    must_refuse_untouched("head", DSQ_ERR_FORMAT, "not of this library");
}

Test(sqlite_store_open, sends_the_owner_of_a_dictsqlite_file_to_migrate)
{
    make_sqlite("old", "CREATE TABLE kv_store(key TEXT PRIMARY KEY, value BLOB)");
    must_refuse_untouched("old", DSQ_ERR_FORMAT, "`migrate`");
    make_sqlite("tables", "PRAGMA journal_mode=WAL; CREATE TABLE kv_users(key TEXT, value BLOB)");
    must_refuse_untouched("tables", DSQ_ERR_FORMAT, "`migrate`");
}

Test(sqlite_store_open, refuses_a_newer_format_and_names_both_versions)
{
    must_close(must_open("db", defaults));
    make_sqlite("db", "PRAGMA user_version=7");
    must_refuse_untouched("db", DSQ_ERR_FORMAT, "version 7");
    cr_assert_not_null(strstr(error.message, "up to 1"), "%s", error.message);
    make_sqlite("db", "PRAGMA user_version=0");
    must_refuse_untouched("db", DSQ_ERR_FORMAT, "version 0");
}

Test(sqlite_store_open, finds_tables_that_are_not_as_they_should_be)
{
    static const char *const spoils[] = {
        "DROP TABLE kv",
        "DROP TABLE meta",
        "DELETE FROM meta WHERE name = 'seq'",
        "UPDATE meta SET value = 'many' WHERE name = 'count'",
        "UPDATE meta SET value = -1 WHERE name = 'count'",
        "ALTER TABLE kv RENAME COLUMN value TO other",
    };
    for (size_t i = 0; i < sizeof spoils / sizeof spoils[0]; i++) {
        must_close(must_open("db", defaults));
        make_sqlite("db", spoils[i]);
        must_refuse("db", defaults, DSQ_ERR_CORRUPT, "db");
        cr_assert(is_alone("db"), "%s", spoils[i]);
        cr_assert_eq(remove(scratch_path("db")), 0);
    }
}

Test(sqlite_store_open, reports_damage_where_it_lies_and_never_as_absence)
{
    struct dsq_store *store = must_open("db", defaults);
    char key[16];
    begin(store);
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "%04d", i);
        put(store, key, "a value that is long enough to fill some pages with a thousand of it");
    }
    commit(store);
    must_close(store);
    FILE *file = fopen(scratch_path("db"), "r+");
    cr_assert_eq(fseek(file, 8L * 4096, SEEK_SET), 0);
    for (int i = 0; i < 4096 * 4; i++) {
        fputc(0xff, file);
    }
    fclose(file);

    store = must_open("db", defaults);
    struct dsq_reader *reader = acquire(store);
    int damaged = 0;
    for (int i = 0; i < 1000; i++) {
        struct dsq_bytes value;
        snprintf(key, sizeof key, "%04d", i);
        int status = store->ops->reader_get(reader, text(key), &value, &error);
        cr_assert(status == DSQ_OK || status == DSQ_ERR_CORRUPT, "%d", status);
        damaged += status == DSQ_ERR_CORRUPT;
        store->ops->reader_done(reader);
    }
    cr_assert(damaged > 0 && damaged < 1000);
    cr_assert_not_null(strstr(error.message, "db"), "%s", error.message);
    store->ops->reader_release(store, reader);
    (void)store->ops->close(store, NULL);
}

Test(sqlite_store_open, refuses_a_second_owner_until_the_first_has_closed)
{
    struct dsq_store *store = must_open("db", defaults);
    cr_assert_eq(symlink("db", scratch_path("link")), 0);
    must_refuse("db", defaults, DSQ_ERR_LOCKED, "in this process");
    must_refuse("link", readonly, DSQ_ERR_LOCKED, "in this process");
    must_close(store);
    store = must_open("link", readonly);
    must_refuse("db", defaults, DSQ_ERR_LOCKED, "in use");
    must_close(store);
}

static struct dsq_store *store_of_child;

static int open_write_and_die(void)
{
    if (try_open("db", defaults, &store_of_child) != DSQ_OK) {
        return 1;
    }
    store_row(store_of_child, 1, "a", "1");
    raise(SIGKILL);
    return 2;
}

Test(sqlite_store_open, reads_the_log_of_a_killed_writer)
{
    cr_assert_eq(in_child(open_write_and_die), -SIGKILL);
    cr_assert(scratch_has("db-wal"));
    struct dsq_store *store = must_open("db", defaults);
    cr_assert(has_row(store, "a", "1"));
    cr_assert_eq(store->ops->count(store), 1);
    cr_assert_neq(store->ops->wal_bytes(store), 0);
    must_close(store);
    cr_assert(is_alone("db"));
}

Test(sqlite_store_open, reads_the_log_of_a_killed_writer_without_writing_it)
{
    cr_assert_eq(in_child(open_write_and_die), -SIGKILL);
    size_t before;
    size_t after;
    char *bytes = scratch_read("db-wal", &before);
    struct dsq_store *store = must_open("db", readonly);
    cr_assert(has_row(store, "a", "1"));
    must_close(store);
    char *again = scratch_read("db-wal", &after);
    cr_assert(before == after && memcmp(bytes, again, after) == 0);
    free(bytes);
    free(again);
}

static int change_other_and_die(void)
{
    sqlite3 *db;
    sqlite3_open(scratch_path("other"), &db);
    sqlite3_exec(db,
                 "PRAGMA cache_size=1; BEGIN; PRAGMA user_version=5;"
                 "UPDATE t SET x = randomblob(3000)",
                 NULL, NULL, NULL);
    raise(SIGKILL);
    return 1;
}

/* The loss of power may leave the first page unwritten, and the journal to tell what was there. */
Test(sqlite_store_open, asks_again_whose_a_file_is_after_a_journal_was_rolled_back)
{
    make_sqlite("other",
                "CREATE TABLE t(x); INSERT INTO t SELECT randomblob(3000) FROM"
                " (WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n LIMIT 100)"
                " SELECT i FROM n)");
    cr_assert_eq(in_child(change_other_and_die), -SIGKILL);
    cr_assert(scratch_has("other-journal"));
    must_refuse("other", defaults, DSQ_ERR_FORMAT, "not of this library");
    cr_assert(scratch_has("other-journal"), "nothing was rolled back yet");

    FILE *file = fopen(scratch_path("other"), "r+");
    for (int i = 0; i < 16; i++) {
        fputc(0, file);
    }
    fclose(file);
    must_refuse("other", readonly, DSQ_ERR_READONLY, "readonly");
    must_refuse("other", defaults, DSQ_ERR_FORMAT, "not of this library");
    cr_assert_str_eq(sqlite_says("other", "SELECT count(*) FROM t"), "100");
}

/* The status, negated, of opening as somebody to whom the modes of files mean something. */
static int open_as_nobody(struct dsq_sqlite_options options)
{
    become_nobody();
    struct dsq_store *store;
    int status = try_open("db", options, &store);
    if (status == DSQ_OK && options.readonly && !has_row(store, "a", "1")) {
        return 100;
    }
    if (status == DSQ_OK && store->ops->close(store, &error) != DSQ_OK) {
        return 101;
    }
    return -status;
}

static int write_as_nobody(void)
{
    return open_as_nobody(defaults);
}

static int read_as_nobody(void)
{
    return open_as_nobody(readonly);
}

static void make_row_for_all(mode_t file, mode_t directory)
{
    struct dsq_store *store = must_open("db", defaults);
    store_row(store, 1, "a", "1");
    must_close(store);
    cr_assert_eq(chmod(scratch_path("db"), file), 0);
    cr_assert_eq(chmod(scratch, directory), 0);
}

Test(sqlite_store_open, refuses_to_create_in_a_directory_that_cannot_be_written)
{
    cr_assert_eq(chmod(scratch, 0555), 0);
    cr_assert_eq(in_child(write_as_nobody), -DSQ_ERR_READONLY);
    cr_assert_not(scratch_has("db"));
}

Test(sqlite_store_open, reads_but_does_not_write_in_a_directory_that_cannot_be_written)
{
    make_row_for_all(0666, 0555);
    cr_assert_eq(in_child(write_as_nobody), -DSQ_ERR_READONLY);
    cr_assert_eq(in_child(read_as_nobody), -DSQ_OK);
    cr_assert(is_alone("db"));
}

Test(sqlite_store_open, reads_but_does_not_write_a_file_that_cannot_be_written)
{
    make_row_for_all(0444, 0777);
    cr_assert_eq(in_child(write_as_nobody), -DSQ_ERR_READONLY);
    cr_assert_eq(in_child(read_as_nobody), -DSQ_OK);
}

Test(sqlite_store_open, refuses_a_file_that_cannot_be_read)
{
    make_row_for_all(0, 0777);
    cr_assert_eq(in_child(write_as_nobody), -DSQ_ERR_CANTOPEN);
    cr_assert_eq(in_child(read_as_nobody), -DSQ_ERR_CANTOPEN);
}

Test(sqlite_store_open, says_that_another_program_keeps_the_file_locked)
{
    must_close(must_open("db", defaults));
    sqlite3 *other;
    cr_assert_eq(sqlite3_open(scratch_path("db"), &other), SQLITE_OK);
    cr_assert_eq(
        sqlite3_exec(other, "PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE", NULL, NULL, NULL),
        SQLITE_OK);
    must_refuse("db", defaults, DSQ_ERR_LOCKED, "locked");
    sqlite3_close(other);
    must_close(must_open("db", defaults));
}

static int lock_other(void)
{
    sqlite3 *db;
    sqlite3_open(scratch_path("other"), &db);
    return sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
}

Test(sqlite_store_open, drops_no_lock_of_another_connection_of_this_process)
{
    make_sqlite("other", "CREATE TABLE t(x)");
    sqlite3 *other;
    cr_assert_eq(sqlite3_open(scratch_path("other"), &other), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(other, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
    must_refuse("other", defaults, DSQ_ERR_FORMAT, "not of this library");
    cr_assert_eq(in_child(lock_other), SQLITE_BUSY);
    sqlite3_close(other);
    cr_assert_eq(in_child(lock_other), SQLITE_OK);
}
