/* Backup, verification and compaction. */
#include <dirent.h>
#include <pthread.h>

#include "tests/bindings/fixture.h"

TestSuite(maintenance, .init = scratch_make, .fini = scratch_remove, .timeout = 60);

static const char *in_scratch(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", scratch, name);
    return path;
}

static void put_many(dsq_db *db, int first, int end)
{
    for (int i = first; i < end; i++) {
        char key[16];
        snprintf(key, sizeof key, "%06d", i);
        CHECK(put_text(db, key, "value"), DSQ_OK);
    }
}

static uint64_t count_of(dsq_db *db)
{
    uint64_t count = 0;
    CHECK(dsq_count(db, &count), DSQ_OK);
    return count;
}

static dsq_db *open_copy(const char *name)
{
    dsq_db *db = NULL;
    struct dsq_error error = {0};
    struct dsq_options options = {.must_exist = 1, .error = &error};
    int status = dsq_open(in_scratch(name), &options, &db);
    cr_assert_eq(status, DSQ_OK, "%s", error.message);
    return db;
}

static int files_in_scratch(void)
{
    int count = 0;
    DIR *directory = opendir(scratch);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        count += entry->d_name[0] != '.';
    }
    closedir(directory);
    return count;
}

static uint64_t last_done;
static uint64_t last_total;
static uint64_t reports;
static uint64_t patience = UINT64_MAX; /* reports until it cancels */

static int note_progress(void *context, uint64_t done, uint64_t total)
{
    (void)context;
    last_done = done;
    last_total = total;
    return ++reports > patience;
}

Test(maintenance, a_backup_holds_all_that_was_acknowledged_before)
{
    static const int modes[] = {DSQ_MODE_WRITETHROUGH, DSQ_MODE_LAZY};
    for (size_t i = 0; i < 2; i++) {
        dsq_db *db = open_mode(modes[i]);
        int first = (int)i * 10000;
        char deleted[16];
        char last[16];
        snprintf(deleted, sizeof deleted, "%06d", first + 7);
        snprintf(last, sizeof last, "%06d", first + 2999);
        put_many(db, first, first + 3000);
        CHECK(delete_text(db, deleted), DSQ_OK);
        CHECK(dsq_backup(db, in_scratch("copy.db"), i == 1, note_progress, NULL), DSQ_OK);
        cr_assert_eq(last_done, last_total);
        cr_assert_gt(last_total, 0);
        put_many(db, first + 5000, first + 5001);
        dsq_db *copy = open_copy("copy.db");
        cr_assert_eq(count_of(copy), 2999 + 3000 * i);
        CHECK(contains_text(copy, deleted), DSQ_ABSENT);
        CHECK(contains_text(copy, last), DSQ_OK);
        CHECK(dsq_verify(copy, NULL, NULL), DSQ_OK);
        CHECK(dsq_close(copy), DSQ_OK);
        CHECK(dsq_close(db), DSQ_OK);
        cr_assert_eq(files_in_scratch(), 2, "the store and its copy, and nothing else");
    }
}

Test(maintenance, a_backup_can_be_read_by_its_owner_only)
{
    struct stat found;
    dsq_db *db = open_mode(DSQ_MODE_WRITETHROUGH);
    umask(0);
    CHECK(dsq_backup(db, in_scratch("copy.db"), 0, NULL, NULL), DSQ_OK);
    cr_assert_eq(stat(in_scratch("copy.db"), &found), 0);
    cr_assert_eq(found.st_mode & 0777, 0600);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(maintenance, a_backup_that_cannot_be_says_why_and_leaves_nothing_behind)
{
    dsq_db *db = open_mode(DSQ_MODE_WRITETHROUGH);
    struct dsq_error error;
    put_many(db, 0, 100);
    CHECK(dsq_backup(db, "/no/such/directory/copy.db", 0, NULL, NULL), DSQ_ERR_CANTOPEN);
    CHECK(dsq_backup(db, scratch_path, 1, NULL, NULL), DSQ_ERR_INVALID);
    CHECK(dsq_backup(db, scratch_path, 0, NULL, NULL), DSQ_ERR_INVALID);
    CHECK(dsq_backup(db, NULL, 0, NULL, NULL), DSQ_ERR_INVALID);
    CHECK(dsq_backup(db, "", 0, NULL, NULL), DSQ_ERR_INVALID);
    int before = files_in_scratch();
    CHECK(dsq_backup(db, in_scratch("copy.db"), 0, NULL, NULL), DSQ_OK);
    CHECK(dsq_backup(db, in_scratch("copy.db"), 0, NULL, NULL), DSQ_ERR_CANTOPEN);
    dsq_last_error(db, &error);
    cr_assert_not_null(strstr(error.message, "copy.db is there already"), "%s", error.message);
    CHECK(dsq_backup(db, in_scratch("copy.db"), 1, NULL, NULL), DSQ_OK);
    /* The first life folds the journal that came along; the second has written nothing. */
    dsq_db *copy = open_copy("copy.db");
    CHECK(dsq_close(copy), DSQ_OK);
    copy = open_copy("copy.db");
    CHECK(dsq_backup(db, in_scratch("copy.db"), 1, NULL, NULL), DSQ_ERR_LOCKED);
    put_many(copy, 100, 101);
    CHECK(dsq_backup(db, in_scratch("copy.db"), 1, NULL, NULL), DSQ_ERR_LOCKED);
    CHECK(dsq_close(copy), DSQ_OK);
    /* Nobody has it open, but a crash has left its log. */
    FILE *log = fopen(in_scratch("copy.db-wal"), "w");
    fputs("log", log);
    fclose(log);
    CHECK(dsq_backup(db, in_scratch("copy.db"), 1, NULL, NULL), DSQ_ERR_LOCKED);
    unlink(in_scratch("copy.db-wal"));
    patience = 0;
    CHECK(dsq_backup(db, in_scratch("other.db"), 0, note_progress, NULL), DSQ_ERR_CANCELLED);
    cr_assert_eq(files_in_scratch(), before + 1);
    CHECK(dsq_close(db), DSQ_OK);
    db = open_mode(DSQ_MODE_MEMORY);
    CHECK(dsq_backup(db, in_scratch("memory.db"), 0, NULL, NULL), DSQ_ERR_UNSUPPORTED);
    CHECK(dsq_close(db), DSQ_OK);
}

struct writer {
    dsq_db *db;
    _Atomic int written;
    _Atomic bool stop;
};

static void *write_on(void *argument)
{
    struct writer *writer = argument;
    for (int i = 0; !writer->stop; i++) {
        char key[32];
        snprintf(key, sizeof key, "w%08d", i);
        CHECK(put_text(writer->db, key, "value"), DSQ_OK);
        writer->written = i + 1;
    }
    return NULL;
}

Test(maintenance, a_backup_beside_writers_is_one_state_of_the_store)
{
    struct writer writer = {.db = open_mode(DSQ_MODE_WRITETHROUGH)};
    pthread_t thread;
    put_many(writer.db, 0, 2000);
    pthread_create(&thread, NULL, write_on, &writer);
    for (int round = 0; round < 5; round++) {
        int before;
        while ((before = writer.written) < 20 * (round + 1)) {
            usleep(100);
        }
        CHECK(dsq_backup(writer.db, in_scratch("copy.db"), 1, NULL, NULL), DSQ_OK);
        CHECK(dsq_verify(writer.db, NULL, NULL), DSQ_OK);
        int after = writer.written + 1;
        dsq_db *copy = open_copy("copy.db");
        int written = (int)count_of(copy) - 2000;
        cr_assert(before <= written && written <= after, "%d, %d, %d", before, written, after);
        char key[32];
        snprintf(key, sizeof key, "w%08d", written - 1);
        CHECK(contains_text(copy, key), DSQ_OK);
        CHECK(dsq_close(copy), DSQ_OK);
    }
    writer.stop = true;
    pthread_join(thread, NULL);
    CHECK(dsq_close(writer.db), DSQ_OK);
}

/* What dsq_verify says of the store once SQL has been at it. */
static void verify_after(const char *sql, const char *expected)
{
    struct dsq_error error;
    dsq_db *db = open_mode(DSQ_MODE_WRITETHROUGH);
    put_many(db, 0, 2000);
    CHECK(dsq_verify(db, NULL, NULL), DSQ_OK);
    CHECK(dsq_close(db), DSQ_OK);
    run_sqlite3(sql);
    db = open_with((struct dsq_options){.readonly = 1});
    CHECK(dsq_verify(db, note_progress, NULL), DSQ_ERR_CORRUPT);
    dsq_last_error(db, &error);
    cr_assert_not_null(strstr(error.message, expected), "%s", error.message);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(maintenance, verify_notices_a_wrong_count)
{
    verify_after("DELETE FROM kv WHERE rowid = 77", "as many rows as are counted (2000)");
}

Test(maintenance, verify_notices_a_key_that_is_text)
{
    verify_after("UPDATE kv SET key = 'text' WHERE rowid = 77", "no BLOB (77)");
}

Test(maintenance, verify_notices_a_value_that_is_a_number)
{
    verify_after("UPDATE kv SET value = 5 WHERE rowid = 78", "no BLOB (78)");
}

Test(maintenance, verify_notices_a_damaged_page)
{
    struct dsq_error error;
    dsq_db *db = open_mode(DSQ_MODE_WRITETHROUGH);
    put_many(db, 0, 3000);
    CHECK(dsq_close(db), DSQ_OK);
    FILE *file = fopen(scratch_path, "r+b");
    for (long page = 10; page < 60; page++) {
        cr_assert_eq(fseek(file, page * 4096L, SEEK_SET), 0);
        fputc(0xff, file); /* no kind of page */
    }
    fclose(file);
    db = open_with((struct dsq_options){.readonly = 1});
    CHECK(dsq_verify(db, NULL, NULL), DSQ_ERR_CORRUPT);
    dsq_last_error(db, &error);
    cr_assert_neq(error.message[0], '\0');
    CHECK(dsq_close(db), DSQ_OK);
}

/* The rows are sound, and a look at them alone would not notice. */
Test(maintenance, verify_notices_a_damaged_index)
{
    char command[256];
    long root = 0;
    dsq_db *db = open_mode(DSQ_MODE_WRITETHROUGH);
    put_many(db, 0, 3000);
    CHECK(dsq_close(db), DSQ_OK);
    snprintf(command, sizeof command,
             "sqlite3 %s \"SELECT rootpage FROM sqlite_schema WHERE name LIKE '%%autoindex_kv%%'\"",
             scratch_path);
    FILE *answer = popen(command, "r");
    cr_assert_eq(fscanf(answer, "%ld", &root), 1);
    pclose(answer);
    FILE *file = fopen(scratch_path, "r+b");
    cr_assert_eq(fseek(file, (root - 1) * 4096L, SEEK_SET), 0);
    fputc(0xff, file);
    fclose(file);
    db = open_with((struct dsq_options){.readonly = 1});
    CHECK(dsq_verify(db, NULL, NULL), DSQ_ERR_CORRUPT);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(maintenance, verify_notices_a_damaged_row_of_the_journal)
{
    dsq_db *db = open_mode(DSQ_MODE_WRITETHROUGH);
    put_many(db, 0, 10);
    /* As if the disk had changed it behind our back. */
    run_sqlite3(
        "UPDATE journal SET batch = zeroblob(100) WHERE id = (SELECT max(id) FROM journal)");
    CHECK(dsq_verify(db, NULL, NULL), DSQ_ERR_CORRUPT);
    dsq_abandon(db);
}

Test(maintenance, verify_can_be_cancelled_and_has_nothing_to_do_in_memory_mode)
{
    dsq_db *db = open_mode(DSQ_MODE_WRITETHROUGH);
    put_many(db, 0, 3000);
    patience = 0;
    CHECK(dsq_verify(db, note_progress, NULL), DSQ_ERR_CANCELLED);
    CHECK(dsq_close(db), DSQ_OK);
    db = open_mode(DSQ_MODE_MEMORY);
    CHECK(dsq_verify(db, NULL, NULL), DSQ_OK);
    CHECK(dsq_compact(db, NULL, NULL), DSQ_OK);
    CHECK(dsq_close(db), DSQ_OK);
}

static off_t file_size(void)
{
    struct stat found;
    cr_assert_eq(stat(scratch_path, &found), 0);
    return found.st_size;
}

Test(maintenance, compact_gives_free_space_back_and_loses_nothing)
{
    dsq_db *db = open_mode(DSQ_MODE_LAZY);
    put_many(db, 0, 30000);
    CHECK(dsq_compact(db, NULL, NULL), DSQ_OK);
    off_t full = file_size();
    for (int i = 0; i < 30000; i++) {
        char key[16];
        snprintf(key, sizeof key, "%06d", i);
        CHECK(i % 10 == 0 ? DSQ_OK : delete_text(db, key), DSQ_OK);
    }
    CHECK(dsq_compact(db, note_progress, NULL), DSQ_OK);
    cr_assert_lt(file_size(), full / 4);
    put_many(db, 50000, 50001);
    cr_assert_eq(count_of(db), 3001);
    CHECK(dsq_verify(db, NULL, NULL), DSQ_OK);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(maintenance, compact_can_be_cancelled_and_is_refused_where_nothing_may_be_written)
{
    dsq_db *db = open_mode(DSQ_MODE_LAZY);
    put_many(db, 0, 30000);
    patience = 0;
    CHECK(dsq_compact(db, note_progress, NULL), DSQ_ERR_CANCELLED);
    put_many(db, 30000, 30001);
    CHECK(dsq_flush(db, -1), DSQ_OK);
    cr_assert_eq(count_of(db), 30001);
    CHECK(dsq_close(db), DSQ_OK);
    db = open_with((struct dsq_options){.readonly = 1});
    CHECK(dsq_compact(db, NULL, NULL), DSQ_ERR_READONLY);
    CHECK(dsq_verify(db, NULL, NULL), DSQ_OK);
    CHECK(dsq_backup(db, in_scratch("copy.db"), 0, NULL, NULL), DSQ_OK);
    CHECK(dsq_close(db), DSQ_OK);
}
