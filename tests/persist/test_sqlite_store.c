#include "persist/sqlite_store.h"

#include <dirent.h>
#include <pthread.h>
#include <time.h>

#include "tests/persist/store_fixture.h"

TestSuite(sqlite_store, .init = scratch_make, .fini = scratch_remove);

static const struct dsq_sqlite_options readonly = {.readonly = true};

Test(sqlite_store, returns_what_was_committed_now_and_after_reopening)
{
    struct dsq_store *store = open_default();
    begin(store);
    put(store, "one", "1");
    put(store, "two", "2");
    append(store, 2, "batch");
    commit(store);
    cr_assert(has_row(store, "one", "1") && has_row(store, "two", "2"));
    cr_assert(has_row(store, "three", NULL));
    must_close(store);

    store = open_default();
    cr_assert(has_row(store, "one", "1") && has_row(store, "two", "2"));
    cr_assert_eq(store->ops->seq(store), 2);
    cr_assert_eq(store->ops->count(store), 2);
    must_close(store);
}

Test(sqlite_store, keeps_the_empty_key_and_the_empty_value)
{
    struct dsq_store *store = open_default();
    const struct dsq_bytes nothing = {NULL, 0};
    begin(store);
    cr_assert_eq(store->ops->put(store, nothing, text("of the empty key"), &error), DSQ_OK);
    cr_assert_eq(store->ops->put(store, text("k"), nothing, &error), DSQ_OK);
    commit(store);
    cr_assert(has_row_bytes(store, nothing, "of the empty key"));
    cr_assert(has_row_bytes(store, text(""), "of the empty key"));
    cr_assert(has_row(store, "k", ""));
    cr_assert_str_eq(sqlite_says("db", "SELECT count(*) FROM kv WHERE typeof(key) = 'blob' AND"
                                       " typeof(value) = 'blob'"),
                     "2");
    begin(store);
    cr_assert_eq(store->ops->del(store, nothing, &error), DSQ_OK);
    commit(store);
    cr_assert(has_row_bytes(store, nothing, NULL));
    must_close(store);
}

Test(sqlite_store, tells_keys_apart_that_differ_after_a_zero_byte)
{
    struct dsq_store *store = open_default();
    const struct dsq_bytes first = {"a\0x", 3};
    const struct dsq_bytes second = {"a\0y", 3};
    begin(store);
    cr_assert_eq(store->ops->put(store, first, text("1"), &error), DSQ_OK);
    cr_assert_eq(store->ops->put(store, second, text("2"), &error), DSQ_OK);
    commit(store);
    cr_assert(has_row_bytes(store, first, "1") && has_row_bytes(store, second, "2"));
    cr_assert(has_row(store, "a", NULL));
    must_close(store);
}

Test(sqlite_store, hands_large_values_out_whole)
{
    const size_t size = (size_t)16 << 20;
    char *value = malloc(size);
    for (size_t i = 0; i < size; i++) {
        value[i] = (char)(i * 31 >> 3);
    }
    struct dsq_store *store = open_default();
    begin(store);
    cr_assert_eq(store->ops->put(store, text("big"), (struct dsq_bytes){value, size}, &error),
                 DSQ_OK);
    commit(store);
    struct dsq_reader *reader = acquire(store);
    struct dsq_bytes found;
    cr_assert_eq(store->ops->reader_get(reader, text("big"), &found, &error), DSQ_OK);
    cr_assert_eq(found.size, size);
    cr_assert_eq(memcmp(found.data, value, size), 0);
    store->ops->reader_done(reader);
    store->ops->reader_release(store, reader);
    must_close(store);
    free(value);
}

Test(sqlite_store, counts_rows_really_inserted_and_really_deleted)
{
    struct dsq_store *store = open_default();
    begin(store);
    put(store, "a", "1");
    put(store, "b", "1");
    put(store, "a", "2");
    del(store, "b");
    del(store, "b");
    del(store, "never");
    put(store, "c", "1");
    commit(store);
    cr_assert_eq(store->ops->count(store), 2);
    store_row(store, 2, "c", "2");
    cr_assert_eq(store->ops->count(store), 2);
    must_close(store);
    cr_assert_str_eq(sqlite_says("db", "SELECT count(*) FROM kv"), "2");
}

Test(sqlite_store, publishes_count_and_seq_at_the_commit)
{
    struct dsq_store *store = open_default();
    store_row(store, 10, "a", "1");
    begin(store);
    put(store, "b", "1");
    append(store, 11, "batch");
    cr_assert_eq(store->ops->count(store), 1);
    cr_assert_eq(store->ops->seq(store), 10);
    commit(store);
    cr_assert_eq(store->ops->count(store), 2);
    cr_assert_eq(store->ops->seq(store), 11);
    must_close(store);
}

Test(sqlite_store, writes_count_and_seq_as_integers_that_any_sqlite_reads)
{
    struct dsq_store *store = open_default();
    store_row(store, 41, "a", "1");
    store_row(store, 42, "b", "1");
    begin(store);
    cr_assert_eq(store->ops->journal_drop(store, 42, &error), DSQ_OK);
    cr_assert_eq(store->ops->journal_drop(store, 42, &error), DSQ_OK);
    commit(store);
    const char *sql = "SELECT group_concat(name || '=' || value || ' ' || typeof(value), ', ')"
                      " FROM (SELECT * FROM meta ORDER BY name)";
    cr_assert_str_eq(sqlite_says("db", sql), "count=2 integer, seq=42 integer");
    must_close(store);
}

Test(sqlite_store, forgets_a_transaction_that_is_rolled_back)
{
    struct dsq_store *store = open_default();
    store_row(store, 1, "a", "1");
    begin(store);
    put(store, "a", "2");
    put(store, "b", "2");
    store->ops->rollback(store);
    store->ops->rollback(store);
    cr_assert(has_row(store, "a", "1") && has_row(store, "b", NULL));
    store_row(store, 2, "c", "3");
    cr_assert_eq(store->ops->count(store), 2);
    must_close(store);
}

Test(sqlite_store, refuses_to_write_outside_a_transaction)
{
    struct dsq_store *store = open_default();
    cr_assert_lt(store->ops->put(store, text("a"), text("1"), &error), 0);
    cr_assert_lt(store->ops->del(store, text("a"), &error), 0);
    cr_assert_lt(store->ops->commit(store, &error), 0);
    cr_assert(has_row(store, "a", NULL));
    cr_assert_eq(store->ops->seq(store), 0);
    must_close(store);
}

Test(sqlite_store, deletes_rows_of_other_programs_without_a_count_below_zero)
{
    must_close(open_default());
    sqlite_says("db", "INSERT INTO kv VALUES(x'61', x'62')");
    struct dsq_store *store = open_default();
    begin(store);
    del(store, "a");
    commit(store);
    cr_assert_eq(store->ops->count(store), 0);
    must_close(store);
}

Test(sqlite_store, reads_the_last_commit_each_time_anew)
{
    struct dsq_store *store = open_default();
    store_row(store, 1, "a", "old");
    struct dsq_reader *reader = acquire(store);
    struct dsq_bytes value;
    begin(store);
    put(store, "a", "new");
    cr_assert_eq(store->ops->reader_get(reader, text("a"), &value, &error), DSQ_OK);
    cr_assert(is_text(value, "old"), "not committed yet");
    store->ops->reader_done(reader);
    commit(store);
    cr_assert_eq(store->ops->reader_get(reader, text("a"), &value, &error), DSQ_OK);
    cr_assert(is_text(value, "new"));
    store->ops->reader_done(reader);
    store->ops->reader_release(store, reader);
    must_close(store);
}

struct visited {
    char keys[64];
    int left; /* to visit before the visitor ends the scan */
};

static bool visit(void *context, struct dsq_bytes key, struct dsq_bytes value)
{
    struct visited *visited = context;
    cr_assert(is_text(value, "value of it"));
    strncat(visited->keys, key.size != 0 ? key.data : "0", key.size != 0 ? key.size : 1);
    return --visited->left != 0;
}

static const char *scan(struct dsq_store *store, struct dsq_scan_range range, int limit)
{
    static struct visited visited;
    visited = (struct visited){.left = limit};
    struct dsq_reader *reader = acquire(store);
    cr_assert_eq(store->ops->reader_scan(reader, &range, visit, &visited, &error), DSQ_OK, "%s",
                 error.message);
    store->ops->reader_release(store, reader);
    return visited.keys;
}

Test(sqlite_store, scans_ranges_in_the_order_of_their_bytes)
{
    struct dsq_store *store = open_default();
    begin(store);
    for (const char *key = "dbca"; *key != '\0'; key++) {
        cr_assert_eq(
            store->ops->put(store, (struct dsq_bytes){key, 1}, text("value of it"), &error),
            DSQ_OK);
    }
    put(store, "", "value of it");
    commit(store);
    const struct dsq_bytes b = text("b");
    const struct dsq_bytes d = text("d");
    cr_assert_str_eq(scan(store, (struct dsq_scan_range){0}, -1), "0abcd");
    cr_assert_str_eq(scan(store, (struct dsq_scan_range){.after_start = true}, -1), "abcd");
    cr_assert_str_eq(scan(store, (struct dsq_scan_range){.start = b}, -1), "bcd");
    cr_assert_str_eq(scan(store, (struct dsq_scan_range){.start = b, .after_start = true}, -1),
                     "cd");
    cr_assert_str_eq(scan(store, (struct dsq_scan_range){.has_stop = true, .stop = d}, -1), "0abc");
    cr_assert_str_eq(
        scan(store,
             (struct dsq_scan_range){.start = b, .after_start = true, .has_stop = true, .stop = d},
             -1),
        "c");
    cr_assert_str_eq(scan(store, (struct dsq_scan_range){.has_stop = true}, -1), "");
    cr_assert_str_eq(scan(store, (struct dsq_scan_range){0}, 2), "0a");
    cr_assert_str_eq(scan(store, (struct dsq_scan_range){.descending = true}, -1), "dcba0");
    cr_assert_str_eq(
        scan(store, (struct dsq_scan_range){.after_start = true, .descending = true}, 2), "dc");
    cr_assert_str_eq(
        scan(store,
             (struct dsq_scan_range){.start = b, .has_stop = true, .stop = d, .descending = true},
             -1),
        "cb");
    cr_assert_str_eq(
        scan(store,
             (struct dsq_scan_range){
                 .start = b, .after_start = true, .has_stop = true, .stop = d, .descending = true},
             -1),
        "c");
    must_close(store);
}

Test(sqlite_store, has_nothing_for_a_scan_of_an_empty_file)
{
    struct dsq_store *store = open_default();
    cr_assert_str_eq(scan(store, (struct dsq_scan_range){0}, -1), "");
    must_close(store);
}

/* Descriptors of this process that are the database file. */
static unsigned connections(void)
{
    unsigned found = 0;
    DIR *directory = opendir("/proc/self/fd");
    cr_assert_not_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char link[PATH_MAX];
        char target[PATH_MAX];
        snprintf(link, sizeof link, "/proc/self/fd/%s", entry->d_name);
        ssize_t length = readlink(link, target, sizeof target - 1);
        if (length > 0) {
            target[length] = '\0';
            found += strcmp(target, scratch_path("db")) == 0;
        }
    }
    closedir(directory);
    return found;
}

/* What persist/sqlite_store_internal.h says, plus the writer. */
#define CONNECTIONS_MAX 17
#define THREADS 40
#define READS 50

static void *read_often(void *context)
{
    struct dsq_store *store = context;
    for (int i = 0; i < READS; i++) {
        cr_assert(has_row(store, "a", "1"));
    }
    return NULL;
}

Test(sqlite_store, serves_more_threads_than_it_opens_connections)
{
    struct dsq_store *store = open_default();
    store_row(store, 1, "a", "1");
    struct dsq_reader *readers[CONNECTIONS_MAX - 1];
    for (int i = 0; i < CONNECTIONS_MAX - 1; i++) {
        readers[i] = acquire(store);
    }
    cr_assert_eq(connections(), CONNECTIONS_MAX);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, read_often, store), 0);
    }
    for (int i = 0; i < CONNECTIONS_MAX - 1; i++) {
        store->ops->reader_release(store, readers[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    cr_assert_eq(connections(), CONNECTIONS_MAX, "those that are open are used again");
    must_close(store);
    cr_assert_eq(connections(), 0);
}

static uint64_t wal_file_size(void)
{
    struct stat found;
    return stat(scratch_path("db-wal"), &found) == 0 ? (uint64_t)found.st_size : 0;
}

Test(sqlite_store, knows_the_size_of_its_wal)
{
    struct dsq_store *store = open_default();
    store_row(store, 1, "a", "1");
    uint64_t once = store->ops->wal_bytes(store);
    cr_assert_eq(once, wal_file_size());
    store_row(store, 2, "b", "2");
    cr_assert_gt(store->ops->wal_bytes(store), once);
    cr_assert_eq(store->ops->wal_bytes(store), wal_file_size());
    must_close(store);
}

Test(sqlite_store, never_checkpoints_unasked)
{
    struct dsq_store *store = open_default();
    size_t before;
    char *bytes = scratch_read("db", &before);
    for (uint64_t i = 1; i <= 1500; i++) { /* by default SQLite would at 1000 pages */
        store_row(store, i, "a", "1");
    }
    size_t after;
    char *again = scratch_read("db", &after);
    cr_assert(before == after && memcmp(bytes, again, after) == 0);
    free(bytes);
    free(again);
    must_close(store);
}

Test(sqlite_store, empties_the_wal_when_told_to)
{
    struct dsq_store *store = open_default();
    store_row(store, 1, "a", "1");
    cr_assert_eq(store->ops->checkpoint(store, false, &error), DSQ_OK);
    cr_assert_neq(wal_file_size(), 0);
    cr_assert_eq(store->ops->checkpoint(store, true, &error), DSQ_OK);
    cr_assert_eq(wal_file_size(), 0);
    cr_assert_eq(store->ops->wal_bytes(store), 0);
    cr_assert(has_row(store, "a", "1"));
    must_close(store);
}

Test(sqlite_store, takes_a_reader_in_the_way_of_a_checkpoint_for_no_error)
{
    struct dsq_store *store = open_default();
    store_row(store, 1, "a", "1");
    struct dsq_reader *reader = acquire(store);
    struct dsq_bytes value;
    cr_assert_eq(store->ops->reader_get(reader, text("a"), &value, &error), DSQ_OK);
    store_row(store, 2, "a", "2");
    cr_assert_eq(store->ops->checkpoint(store, true, &error), DSQ_OK);
    cr_assert_neq(wal_file_size(), 0, "the reader needs it");
    cr_assert(is_text(value, "1"));
    store->ops->reader_done(reader);
    cr_assert_eq(store->ops->checkpoint(store, true, &error), DSQ_OK);
    cr_assert_eq(wal_file_size(), 0);
    store->ops->reader_release(store, reader);
    must_close(store);
}

Test(sqlite_store, is_not_kept_from_a_checkpoint_by_readers_that_are_idle)
{
    struct dsq_store *store = open_default();
    store_row(store, 1, "a", "1");
    cr_assert(has_row(store, "a", "1"));
    cr_assert_eq(store->ops->checkpoint(store, true, &error), DSQ_OK);
    cr_assert_eq(wal_file_size(), 0);
    cr_assert(has_row(store, "a", "1"));
    must_close(store);
}

Test(sqlite_store, begins_the_wal_anew_though_a_reader_was_busy_during_the_checkpoint)
{
    struct dsq_store *store = open_default();
    store_row(store, 1, "a", "1");
    struct dsq_reader *reader = acquire(store);
    struct dsq_bytes value;
    cr_assert_eq(store->ops->reader_get(reader, text("a"), &value, &error), DSQ_OK);
    cr_assert_eq(store->ops->checkpoint(store, false, &error), DSQ_OK);
    store->ops->reader_done(reader);
    store->ops->reader_release(store, reader);
    uint64_t before = store->ops->wal_bytes(store);
    store_row(store, 2, "a", "2");
    cr_assert_leq(store->ops->wal_bytes(store), before);
    cr_assert(has_row(store, "a", "2"));
    must_close(store);
}

Test(sqlite_store, leaves_one_sound_file_behind)
{
    struct dsq_store *store = open_default();
    store_row(store, 1, "a", "1");
    cr_assert(has_row(store, "a", "1"));
    must_close(store);
    cr_assert(is_alone("db"));
    cr_assert_str_eq(sqlite_says("db", "PRAGMA integrity_check"), "ok");
    cr_assert_str_eq(sqlite_says("db", "SELECT hex(key) || ' ' || hex(value) FROM kv"), "61 31");
}

static long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

Test(sqlite_store, says_that_another_program_has_the_file_and_goes_on_after_it)
{
    struct dsq_store *store = open_default();
    sqlite3 *other;
    cr_assert_eq(sqlite3_open(scratch_path("db"), &other), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    long before = now_ms();
    cr_assert_eq(store->ops->begin(store, DSQ_COMMIT_DURABLE, &error), DSQ_ERR_LOCKED);
    cr_assert_lt(now_ms() - before, 1900, "it is for the caller to wait");
    cr_assert_not_null(strstr(error.message, scratch_path("db")), "%s", error.message);
    cr_assert(has_row(store, "a", NULL));
    cr_assert_eq(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    store_row(store, 1, "a", "1");
    sqlite3_close(other);
    must_close(store);
}

Test(sqlite_store, is_read_but_not_written_when_read_only)
{
    struct dsq_store *store = open_default();
    store_row(store, 5, "a", "1");
    must_close(store);
    size_t before;
    char *bytes = scratch_read("db", &before);

    store = must_open("db", readonly);
    struct dsq_store *second = must_open("db", readonly);
    cr_assert_eq(store->ops->begin(store, DSQ_COMMIT_DURABLE, &error), DSQ_ERR_READONLY);
    cr_assert_eq(store->ops->put(store, text("a"), text("2"), &error), DSQ_ERR_READONLY);
    cr_assert_eq(store->ops->del(store, text("a"), &error), DSQ_ERR_READONLY);
    cr_assert_eq(store->ops->commit(store, &error), DSQ_ERR_READONLY);
    store->ops->rollback(store);
    cr_assert_eq(store->ops->checkpoint(store, true, &error), DSQ_OK);
    cr_assert(has_row(store, "a", "1") && has_row(second, "a", "1"));
    cr_assert_eq(store->ops->seq(store), 5);
    cr_assert_eq(store->ops->count(store), 1);
    must_close(store);
    cr_assert(has_row(second, "a", "1"));
    must_close(second);

    size_t after;
    char *again = scratch_read("db", &after);
    cr_assert(before == after && memcmp(bytes, again, after) == 0);
    cr_assert(is_alone("db"));
    free(bytes);
    free(again);
}

static struct dsq_store *inherited;

static int abandon_inherited(void)
{
    inherited->ops->abandon(inherited);
    return 0;
}

Test(sqlite_store, goes_on_in_the_parent_after_a_child_has_abandoned_it)
{
    inherited = open_default();
    store_row(inherited, 1, "a", "1");
    cr_assert(has_row(inherited, "a", "1"), "so that there is an idle reader to abandon");
    begin(inherited);
    put(inherited, "b", "2");
    cr_assert_eq(in_child(abandon_inherited), 0);
    commit(inherited);
    struct dsq_store *second;
    cr_assert_eq(try_open("db", readonly, &second), DSQ_ERR_LOCKED);
    cr_assert(has_row(inherited, "b", "2"));
    must_close(inherited);
    cr_assert(is_alone("db"));
    cr_assert_str_eq(sqlite_says("db", "PRAGMA integrity_check"), "ok");
}

Test(sqlite_store, closes_with_a_transaction_open_by_forgetting_it)
{
    struct dsq_store *store = open_default();
    store_row(store, 1, "a", "1");
    begin(store);
    put(store, "b", "2");
    must_close(store);
    cr_assert(is_alone("db"));
    store = open_default();
    cr_assert(has_row(store, "a", "1") && has_row(store, "b", NULL));
    must_close(store);
}

static bool show_row(void *context, uint64_t number, struct dsq_bytes batch)
{
    char *shown = context;
    size_t used = strlen(shown);
    snprintf(shown + used, 256 - used, "%llu=%.*s ", (unsigned long long)number, (int)batch.size,
             (const char *)batch.data);
    return number != 5;
}

/* The journal above a number, up to row 5, as text. */
static const char *journal_of(struct dsq_store *store, uint64_t after)
{
    static char shown[256];
    struct dsq_reader *reader = acquire(store);
    shown[0] = '\0';
    cr_assert_eq(store->ops->reader_journal(reader, after, show_row, shown, &error), DSQ_OK);
    store->ops->reader_release(store, reader);
    return shown;
}

Test(sqlite_store, keeps_the_journal_in_the_order_of_its_numbers)
{
    struct dsq_store *store = open_default();
    begin(store);
    append(store, 2, "two");
    append(store, 3, "");
    commit(store);
    begin(store);
    append(store, 5, "five");
    append(store, 8, "eight");
    commit(store);
    cr_assert_str_eq(journal_of(store, 0), "2=two 3= 5=five ");
    cr_assert_str_eq(journal_of(store, 3), "5=five ");
    cr_assert_str_eq(journal_of(store, 8), "");
    cr_assert_eq(store->ops->seq(store), 8);
    must_close(store);
}

Test(sqlite_store, drops_the_oldest_rows_of_the_journal_and_remembers_their_numbers)
{
    struct dsq_store *store = open_default();
    store_row(store, 2, "a", "1");
    store_row(store, 4, "b", "2");
    begin(store);
    cr_assert_eq(store->ops->journal_drop(store, 1, &error), DSQ_ABSENT);
    cr_assert_eq(store->ops->journal_drop(store, 3, &error), DSQ_OK);
    cr_assert_eq(store->ops->journal_drop(store, 3, &error), DSQ_ABSENT);
    commit(store);
    cr_assert_str_eq(journal_of(store, 0), "4=2 ");
    cr_assert_str_eq(sqlite_says("db", "SELECT value FROM meta WHERE name = 'seq'"), "2");
    begin(store);
    cr_assert_eq(store->ops->journal_drop(store, 9, &error), DSQ_OK);
    cr_assert_eq(store->ops->journal_drop(store, 9, &error), DSQ_ABSENT);
    commit(store);
    must_close(store);
    store = open_default();
    cr_assert_eq(store->ops->seq(store), 4);
    must_close(store);
}

Test(sqlite_store, finds_its_number_again_in_the_journal)
{
    struct dsq_store *store = open_default();
    store_row(store, 7, "a", "1");
    must_close(store);
    store = open_default();
    cr_assert_eq(store->ops->seq(store), 7);
    must_close(store);
}

Test(sqlite_store, a_rolled_back_append_leaves_no_row_and_no_number)
{
    struct dsq_store *store = open_default();
    begin(store);
    append(store, 3, "three");
    store->ops->rollback(store);
    cr_assert_str_eq(journal_of(store, 0), "");
    cr_assert_eq(store->ops->seq(store), 0);
    must_close(store);
}
