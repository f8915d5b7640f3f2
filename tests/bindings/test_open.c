#include "tests/bindings/fixture.h"

TestSuite(open, .init = scratch_make, .fini = scratch_remove);

static struct dsq_error error;

/* Opens the path with the options and expects a failure that is described and leaves no handle. */
static void check_refused(const char *path, struct dsq_options options, int expected)
{
    dsq_db *db = (dsq_db *)&error;
    options.error = &error;
    CHECK(dsq_open(path, &options, &db), expected);
    cr_assert_null(db);
    cr_assert_eq(error.status, expected);
    cr_assert_neq(error.message[0], '\0');
}

static void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(bytes, 1, size, file), size);
    cr_assert_eq(fclose(file), 0);
}

static size_t read_file(const char *path, char *bytes, size_t capacity)
{
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file);
    size_t size = fread(bytes, 1, capacity, file);
    fclose(file);
    return size;
}

/* How many files lie in the scratch directory. */
static int scratch_count(void)
{
    char command[sizeof scratch + 32];
    int count = -1;
    snprintf(command, sizeof command, "ls -A %s | wc -l", scratch);
    FILE *output = popen(command, "r");
    cr_assert_not_null(output);
    cr_assert_eq(fscanf(output, "%d", &count), 1);
    pclose(output);
    return count;
}

/* The file is refused, and is afterwards, with its directory, byte for byte as before. */
static void check_refused_untouched(int expected)
{
    static char before[1 << 16];
    static char after[1 << 16];
    size_t size = read_file(scratch_path, before, sizeof before);
    int count = scratch_count();
    check_refused(scratch_path, (struct dsq_options){0}, expected);
    cr_assert_eq(read_file(scratch_path, after, sizeof after), size);
    cr_assert_eq(memcmp(before, after, size), 0);
    cr_assert_eq(scratch_count(), count);
}

Test(open, default_options_are_writethrough_and_create_the_file)
{
    dsq_db *db;
    struct dsq_stats stats;
    struct stat status;
    CHECK(dsq_open(scratch_path, NULL, &db), DSQ_OK);
    dsq_stats(db, &stats);
    cr_assert_eq(stats.mode, DSQ_MODE_WRITETHROUGH);
    cr_assert_eq(stats.state, DSQ_STATE_OPEN);
    cr_assert_eq(stat(scratch_path, &status), 0);
    cr_assert_eq(status.st_mode & 0777, 0600);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(open, the_path_memory_means_memory_mode_and_no_file)
{
    dsq_db *db;
    struct dsq_stats stats;
    cr_assert_eq(chdir(scratch), 0);
    CHECK(dsq_open(":memory:", NULL, &db), DSQ_OK);
    CHECK(put_text(db, "key", "value"), DSQ_OK);
    dsq_stats(db, &stats);
    cr_assert_eq(stats.mode, DSQ_MODE_MEMORY);
    CHECK(dsq_close(db), DSQ_OK);
    cr_assert_eq(scratch_count(), 0);
}

Test(open, memory_mode_needs_no_path)
{
    dsq_db *db;
    struct dsq_options options = {.persist_mode = DSQ_MODE_MEMORY};
    CHECK(dsq_open(NULL, &options, &db), DSQ_OK);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(open, without_a_path_a_persistent_mode_is_refused)
{
    check_refused(NULL, (struct dsq_options){0}, DSQ_ERR_INVALID);
}

Test(open, an_unknown_mode_is_refused_by_name)
{
    check_refused(scratch_path, (struct dsq_options){.persist_mode = 99}, DSQ_ERR_INVALID);
    cr_assert_not_null(strstr(error.message, "persist_mode"));
    check_refused(scratch_path, (struct dsq_options){.persist_mode = -1}, DSQ_ERR_INVALID);
    cr_assert_eq(scratch_count(), 0);
}

Test(open, an_unknown_synchronous_is_refused_by_name)
{
    check_refused(scratch_path, (struct dsq_options){.synchronous = 99}, DSQ_ERR_INVALID);
    cr_assert_not_null(strstr(error.message, "synchronous"));
    cr_assert_eq(scratch_count(), 0);
}

Test(open, a_missing_handle_pointer_is_refused)
{
    CHECK(dsq_open(scratch_path, NULL, NULL), DSQ_ERR_INVALID);
}

Test(open, a_failure_needs_no_place_for_its_description)
{
    dsq_db *db;
    CHECK(dsq_open(scratch, NULL, &db), DSQ_ERR_CANTOPEN);
    cr_assert_null(db);
}

Test(open, a_directory_is_refused)
{
    check_refused(scratch, (struct dsq_options){0}, DSQ_ERR_CANTOPEN);
    cr_assert_not_null(strstr(error.message, "directory"));
}

Test(open, a_missing_directory_is_refused)
{
    char path[sizeof scratch + 32];
    snprintf(path, sizeof path, "%s/missing/test.db", scratch);
    check_refused(path, (struct dsq_options){0}, DSQ_ERR_CANTOPEN);
    cr_assert_not_null(strstr(error.message, "missing"));
}

Test(open, a_file_that_must_exist_is_not_created)
{
    check_refused(scratch_path, (struct dsq_options){.must_exist = 1}, DSQ_ERR_CANTOPEN);
    check_refused(scratch_path, (struct dsq_options){.readonly = 1}, DSQ_ERR_CANTOPEN);
    cr_assert_eq(scratch_count(), 0);
}

static int open_as_nobody(void)
{
    if (getuid() == 0 && setuid(65534) != 0) {
        return 1;
    }
    dsq_db *db;
    return dsq_open(scratch_path, NULL, &db) == DSQ_ERR_READONLY && db == NULL ? 0 : 2;
}

Test(open, a_directory_that_cannot_be_written_is_refused)
{
    cr_assert_eq(chmod(scratch, 0555), 0);
    cr_assert_eq(exit_of(open_as_nobody), 0);
    cr_assert_eq(chmod(scratch, 0755), 0);
    cr_assert_eq(scratch_count(), 0);
}

Test(open, a_file_that_cannot_be_written_is_refused)
{
    CHECK(dsq_close(open_mode(DSQ_MODE_DEFAULT)), DSQ_OK);
    cr_assert_eq(chmod(scratch_path, 0444), 0);
    cr_assert_eq(chmod(scratch, 0755), 0);
    cr_assert_eq(exit_of(open_as_nobody), 0);
}

Test(open, a_file_that_is_no_database_is_refused_untouched)
{
    const char text[] = "Dear diary, this is a text and no database, however long it may get.";
    write_file(scratch_path, text, sizeof text);
    check_refused_untouched(DSQ_ERR_FORMAT);
}

Test(open, an_sqlite_database_of_another_program_is_refused_untouched)
{
    run_sqlite3("CREATE TABLE accounts(name TEXT, balance INTEGER)");
    check_refused_untouched(DSQ_ERR_FORMAT);
    cr_assert_null(strstr(error.message, "migrate"));
}

Test(open, a_database_of_the_predecessor_is_refused_untouched_and_names_migrate)
{
    run_sqlite3("CREATE TABLE kv_store(key TEXT PRIMARY KEY, value BLOB)");
    check_refused_untouched(DSQ_ERR_FORMAT);
    cr_assert_not_null(strstr(error.message, "migrate"));
}

Test(open, a_database_of_a_newer_format_is_refused_untouched)
{
    CHECK(dsq_close(open_mode(DSQ_MODE_DEFAULT)), DSQ_OK);
    run_sqlite3("PRAGMA user_version=99; PRAGMA wal_checkpoint(TRUNCATE)");
    check_refused_untouched(DSQ_ERR_FORMAT);
    cr_assert_not_null(strstr(error.message, "99"));
}

Test(open, an_empty_file_becomes_a_database)
{
    write_file(scratch_path, "", 0);
    dsq_db *db = open_mode(DSQ_MODE_DEFAULT);
    CHECK(put_text(db, "key", "value"), DSQ_OK);
    CHECK(dsq_close(db), DSQ_OK);
    db = open_mode(DSQ_MODE_DEFAULT);
    check_text(db, "key", "value");
    CHECK(dsq_close(db), DSQ_OK);
}

Test(open, a_second_open_of_the_file_is_refused_until_the_first_is_closed)
{
    dsq_db *db = open_mode(DSQ_MODE_DEFAULT);
    check_refused(scratch_path, (struct dsq_options){0}, DSQ_ERR_LOCKED);
    check_refused(scratch_path, (struct dsq_options){.readonly = 1}, DSQ_ERR_LOCKED);
    CHECK(put_text(db, "key", "value"), DSQ_OK);
    CHECK(dsq_close(db), DSQ_OK);
    CHECK(dsq_close(open_mode(DSQ_MODE_DEFAULT)), DSQ_OK);
}

Test(open, a_second_open_through_a_symbolic_link_is_refused)
{
    char link[sizeof scratch + 32];
    snprintf(link, sizeof link, "%s/link.db", scratch);
    dsq_db *db = open_mode(DSQ_MODE_DEFAULT);
    cr_assert_eq(symlink(scratch_path, link), 0);
    check_refused(link, (struct dsq_options){0}, DSQ_ERR_LOCKED);
    CHECK(dsq_close(db), DSQ_OK);
}

static int open_expecting_locked(void)
{
    dsq_db *db;
    return dsq_open(scratch_path, NULL, &db) == DSQ_ERR_LOCKED && db == NULL ? 0 : 1;
}

Test(open, a_second_open_from_another_process_is_refused)
{
    dsq_db *db = open_mode(DSQ_MODE_DEFAULT);
    cr_assert_eq(exit_of(open_expecting_locked), 0);
    CHECK(put_text(db, "key", "value"), DSQ_OK);
    CHECK(dsq_close(db), DSQ_OK);
}

static void open_and_leave(void)
{
    dsq_db *db;
    if (dsq_open(scratch_path, NULL, &db) != DSQ_OK || put_text(db, "key", "value") != DSQ_OK) {
        _exit(1);
    }
}

Test(open, the_lock_of_a_killed_process_dies_with_it)
{
    cr_assert(killed_after(open_and_leave));
    dsq_db *db = open_mode(DSQ_MODE_DEFAULT);
    check_text(db, "key", "value");
    CHECK(dsq_close(db), DSQ_OK);
}

Test(open, several_read_only_handles_share_a_file_and_refuse_writes)
{
    dsq_db *db = open_mode(DSQ_MODE_DEFAULT);
    CHECK(put_text(db, "key", "value"), DSQ_OK);
    CHECK(dsq_close(db), DSQ_OK);
    dsq_db *first = open_with((struct dsq_options){.readonly = 1});
    dsq_db *second = open_with((struct dsq_options){.readonly = 1});
    check_text(first, "key", "value");
    check_text(second, "key", "value");
    CHECK(put_text(first, "key", "other"), DSQ_ERR_READONLY);
    CHECK(delete_text(first, "key"), DSQ_ERR_READONLY);
    check_refused(scratch_path, (struct dsq_options){0}, DSQ_ERR_LOCKED);
    check_text(first, "key", "value");
    CHECK(dsq_close(first), DSQ_OK);
    CHECK(dsq_close(second), DSQ_OK);
    CHECK(dsq_close(open_mode(DSQ_MODE_DEFAULT)), DSQ_OK);
}

Test(open, after_close_nothing_but_a_sound_sqlite_file_is_left)
{
    dsq_db *db = open_mode(DSQ_MODE_LAZY);
    put_numbered(db, 500);
    CHECK(dsq_close(db), DSQ_OK);
    cr_assert_eq(scratch_count(), 1);
    char answer[64] = "";
    char command[sizeof scratch_path + 64];
    snprintf(command, sizeof command,
             "sqlite3 %s 'PRAGMA integrity_check; SELECT count(*) FROM kv'", scratch_path);
    FILE *output = popen(command, "r");
    cr_assert_not_null(output);
    cr_assert_eq(fread(answer, 1, sizeof answer - 1, output), strlen("ok\n500\n"));
    pclose(output);
    cr_assert_str_eq(answer, "ok\n500\n");
}

Test(open, closing_and_abandoning_nothing_is_allowed)
{
    CHECK(dsq_close(NULL), DSQ_OK);
    dsq_abandon(NULL);
}

Test(open, the_version_is_that_of_the_header)
{
    cr_assert_str_eq(dsq_version(), DSQ_VERSION_STRING);
}

Test(open, every_status_has_a_name_and_a_sentence)
{
    cr_assert_str_eq(dsq_strstatus(DSQ_ERR_LOCKED), "DSQ_ERR_LOCKED");
    cr_assert_str_eq(dsq_strerror(DSQ_ABSENT), "there is no such key");
    cr_assert_not_null(dsq_strerror(12345));
    cr_assert_not_null(dsq_strstatus(12345));
}
