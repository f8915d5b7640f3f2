/*
 * A plain file whose tables hold cells of any type and size, journals of any records, and whose bytes
 * may be changed: opening, reading, writing and verifying it gives a status.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <dictsqlite.h>
#include <sqlite3.h>

#include "core/error.h"
#include "persist/journal.h"
#include "persist/sqlite_store.h"
#include "stress/fuzz/directory.h"
#include "stress/fuzz/input.h"

#define IMAGE_BYTES_MAX ((size_t)256 * 1024)
#define CHANGES_MAX 12
#define ROW_RECORDS_MAX 8

static unsigned char image[IMAGE_BYTES_MAX];
static size_t image_bytes;
static char path[96];

static void remove_beside(void)
{
    static const char *const suffixes[] = {"-wal", "-shm", "-journal"};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char name[112];
        snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        unlink(name);
    }
}

static void start(void)
{
    const struct dsq_sqlite_options options = {.value_format = "json"};
    struct dsq_store *store;
    fuzz_directory_make();
    fuzz_name(path, sizeof path, "meta.db", "");
    must(dsq_sqlite_store_open(path, &options, &store, NULL) == DSQ_OK);
    must(store->ops->begin(store, DSQ_COMMIT_DURABLE, NULL) == DSQ_OK);
    for (int i = 0; i < 20; i++) {
        char key[16];
        int size = snprintf(key, sizeof key, "%d", i);
        must(store->ops->put(store, (struct dsq_bytes){key, (size_t)size},
                             (struct dsq_bytes){"value", 5}, NULL) == DSQ_OK);
    }
    must(store->ops->commit(store, NULL) == DSQ_OK && store->ops->close(store, NULL) == DSQ_OK);
    FILE *file = fopen(path, "r");
    must(file != NULL);
    image_bytes = fread(image, 1, sizeof image, file);
    fclose(file);
}

static void write_file(void)
{
    remove_beside();
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    must(fd >= 0 && write(fd, image, image_bytes) == (ssize_t)image_bytes);
    close(fd);
}

/* Binds a cell of any type. */
static void bind(sqlite3_stmt *statement, int index, struct fuzz_input *input)
{
    char bytes[64];
    switch (fuzz_take(input, 1) % 6) {
    case 0:
        sqlite3_bind_null(statement, index);
        break;
    case 1:
        sqlite3_bind_int64(statement, index, (sqlite3_int64)fuzz_take(input, 8));
        break;
    case 2:
        sqlite3_bind_double(statement, index, (double)(int64_t)fuzz_take(input, 8) / 3);
        break;
    case 3:
        fuzz_take_bytes(input, bytes, sizeof bytes);
        sqlite3_bind_text(statement, index, bytes, (int)(fuzz_take(input, 1) % sizeof bytes),
                          SQLITE_TRANSIENT);
        break;
    case 4:
        sqlite3_bind_zeroblob(statement, index, (int)fuzz_take(input, 2) * 2);
        break;
    default:
        fuzz_take_bytes(input, bytes, sizeof bytes);
        sqlite3_bind_blob(statement, index, bytes, (int)(fuzz_take(input, 1) % sizeof bytes),
                          SQLITE_TRANSIENT);
    }
}

/* Binds a row of the journal, whole and under its number, of records of any kind. */
static void bind_row(sqlite3_stmt *statement, struct fuzz_input *input)
{
    struct dsq_journal_row row = {0};
    uint64_t number = fuzz_take(input, 2);
    uint64_t records = 1 + fuzz_take(input, 1) % ROW_RECORDS_MAX;
    for (uint64_t i = 0; i < records; i++) {
        char key[16];
        uint64_t which = fuzz_take(input, 1);
        struct dsq_bytes value = {"another", which % 7};
        int size = snprintf(key, sizeof key, "%d", (int)(which / 2 % 32));
        struct dsq_record *record =
            dsq_record_new(which % 2 != 0 ? DSQ_RECORD_TOMBSTONE : DSQ_RECORD_VALUE,
                           DSQ_RECORD_DURABLE, 1, 0, (struct dsq_bytes){key, (size_t)size},
                           which % 2 != 0 ? (struct dsq_bytes){NULL, 0} : value);
        must(record != NULL && dsq_journal_row_add(&row, record));
        dsq_record_free(record);
    }
    struct dsq_bytes sealed = dsq_journal_row_seal(&row, number);
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)number);
    sqlite3_bind_blob(statement, 2, sealed.data, (int)sealed.size, SQLITE_TRANSIENT);
    dsq_journal_row_fini(&row);
}

static void change_cells(struct fuzz_input *input, uint64_t changes)
{
    static const char *const sql[] = {
        "INSERT OR REPLACE INTO journal(id, batch) VALUES(?1, ?2)", /* of a whole row */
        "UPDATE meta SET value = ?1 WHERE name = 'seq'",
        "UPDATE meta SET value = ?1 WHERE name = 'count'",
        "DELETE FROM meta WHERE ?1 NOTNULL OR ?2 NOTNULL",
        "INSERT OR REPLACE INTO meta VALUES('value_format', ?1)",
        "INSERT INTO meta VALUES(?1, ?2)",
        "INSERT OR REPLACE INTO kv(key, value) VALUES(?1, ?2)",
        "INSERT OR REPLACE INTO journal VALUES(?1, ?2)",
        "INSERT OR REPLACE INTO journal VALUES(1, ?1)",
        "ALTER TABLE kv ADD COLUMN more",
        "DROP TABLE journal",
        "CREATE INDEX more ON kv(value)",
        "PRAGMA user_version=2",
        "PRAGMA application_id=1",
    };
    sqlite3 *db;
    must(sqlite3_open(path, &db) == SQLITE_OK);
    for (uint64_t i = 0; i < changes; i++) {
        sqlite3_stmt *statement = NULL;
        uint64_t which = fuzz_take(input, 1) % (sizeof sql / sizeof sql[0]);
        if (sqlite3_prepare_v2(db, sql[which], -1, &statement, NULL) == SQLITE_OK) {
            if (which == 0) {
                bind_row(statement, input);
            } else {
                bind(statement, 1, input);
                bind(statement, 2, input);
            }
            sqlite3_step(statement);
        }
        sqlite3_finalize(statement);
    }
    sqlite3_close(db);
}

static void change_bytes(struct fuzz_input *input, uint64_t changes)
{
    int fd = open(path, O_RDWR);
    must(fd >= 0);
    for (uint64_t i = 0; i < changes; i++) {
        off_t at = (off_t)(fuzz_take(input, 3) % image_bytes);
        unsigned char byte = (unsigned char)fuzz_take(input, 1);
        must(pwrite(fd, &byte, 1, at) == 1);
    }
    close(fd);
}

static bool visit_row(void *context, struct dsq_bytes key, struct dsq_bytes value)
{
    *(size_t *)context += key.size + value.size;
    return true;
}

static bool visit_journal(void *context, uint64_t number, struct dsq_bytes batch)
{
    *(size_t *)context += number + batch.size;
    return true;
}

static void use(struct dsq_store *store)
{
    static const struct dsq_store_progress silent;
    const struct dsq_scan_range all = {0};
    struct dsq_error error;
    struct dsq_reader *reader;
    struct dsq_bytes value;
    size_t seen = 0;
    must(dsq_sqlite_is_value_format(dsq_sqlite_store_value_format(store)));
    (void)store->ops->count(store);
    (void)store->ops->seq(store);
    if (store->ops->reader_acquire(store, &reader, &error) == DSQ_OK) {
        (void)store->ops->reader_get(reader, (struct dsq_bytes){"7", 1}, &value, &error);
        store->ops->reader_done(reader);
        (void)store->ops->reader_scan(reader, &all, visit_row, &seen, &error);
        (void)store->ops->reader_journal(reader, 0, visit_journal, &seen, &error);
        store->ops->reader_release(store, reader);
    }
    (void)store->ops->verify(store, &silent, &error);
    if (store->ops->begin(store, DSQ_COMMIT_DURABLE, &error) == DSQ_OK) {
        (void)store->ops->put(store, (struct dsq_bytes){"7", 1}, (struct dsq_bytes){"v", 1},
                              &error);
        (void)store->ops->commit(store, &error);
        store->ops->rollback(store);
    }
}

static void use_store(void)
{
    const struct dsq_sqlite_options options = {.must_exist = true};
    struct dsq_store *store;
    struct dsq_error error;
    if (dsq_sqlite_store_open(path, &options, &store, &error) == DSQ_OK) {
        use(store);
        (void)store->ops->close(store, &error);
    }
}

static void walk(dsq_db *db)
{
    dsq_cursor *cursor;
    const void *key;
    const void *value;
    size_t key_size;
    size_t value_size;
    if (dsq_cursor_open(db, NULL, &cursor) == DSQ_OK) {
        while (dsq_cursor_next(cursor, &key, &key_size, &value, &value_size) == DSQ_OK) {
        }
        dsq_cursor_close(cursor);
    }
}

/* The same file as a program sees it, which first recovers what is in the journal. */
static void use_dict(void)
{
    const struct dsq_options options = {.must_exist = 1, .hot_capacity = 64};
    dsq_db *db;
    uint64_t count;
    if (dsq_open(path, &options, &db) != DSQ_OK) {
        return;
    }
    must(dsq_sqlite_is_value_format(dsq_value_format(db)));
    (void)dsq_count(db, &count);
    (void)dsq_contains(db, "7", 1);
    walk(db);
    (void)dsq_put(db, "7", 1, "v", 1);
    (void)dsq_delete(db, "8", 1);
    (void)dsq_verify(db, NULL, NULL);
    if (dsq_close(db) != DSQ_OK) {
        dsq_abandon(db);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct fuzz_input input = {bytes, size};
    if (image_bytes == 0) {
        start();
    }
    write_file();
    bool as_dict = fuzz_take(&input, 1) % 2 != 0;
    uint64_t kinds = fuzz_take(&input, 1);
    change_cells(&input, kinds % CHANGES_MAX);
    change_bytes(&input, kinds / CHANGES_MAX % CHANGES_MAX);
    if (as_dict) {
        use_dict();
    } else {
        use_store();
    }
    return 0;
}
