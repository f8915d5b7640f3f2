#include "stress/stored.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include "stress/password.h"
#include "stress/verdict.h"

#define BUSY_TIMEOUT_MS 10000

/*
 * The rows of kv, over which the journal's batches are applied in their order, all within one read
 * transaction.  A reader of its own of persist/journal.h's format: what the library has on disk is
 * judged without the library.
 */
static const char gather_sql[] = "PRAGMA temp_store=MEMORY;"
                                 "BEGIN;"
                                 "CREATE TEMP TABLE state(key BLOB PRIMARY KEY, value BLOB);"
                                 "INSERT INTO state SELECT key, value FROM kv";

enum statement { JOURNAL, PUT, DELETE, WALK, STATEMENTS };

static const char *const statement_sql[STATEMENTS] = {
    [JOURNAL] = "SELECT batch FROM journal ORDER BY id",
    [PUT] = "INSERT OR REPLACE INTO state VALUES(?1, ?2)",
    [DELETE] = "DELETE FROM state WHERE key = ?1",
    [WALK] = "SELECT key, value FROM state",
};

#define ROW_HEADER_BYTES 16
#define RECORD_HEADER_BYTES 8
#define DELETE_BIT (UINT32_C(1) << 31)

struct stored {
    sqlite3 *connection;
    sqlite3_stmt *statements[STATEMENTS];
};

static uint32_t u32_at(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

static int apply(struct stored *stored, const unsigned char *record, uint32_t key_size,
                 uint32_t value_size, bool is_delete)
{
    sqlite3_stmt *change = stored->statements[is_delete ? DELETE : PUT];
    const unsigned char *key = record + RECORD_HEADER_BYTES;
    sqlite3_bind_blob(change, 1, key, (int)key_size, SQLITE_STATIC);
    if (!is_delete) {
        sqlite3_bind_blob(change, 2, key + key_size, (int)value_size, SQLITE_STATIC);
    }
    int result = sqlite3_step(change);
    sqlite3_reset(change);
    return result == SQLITE_DONE ? SQLITE_ROW : result;
}

static int batch_apply(struct stored *stored, const unsigned char *batch, size_t size)
{
    size_t at = ROW_HEADER_BYTES;
    int result = SQLITE_ROW;
    while (result == SQLITE_ROW && at + RECORD_HEADER_BYTES <= size) {
        uint32_t key_size = u32_at(batch + at) & ~DELETE_BIT;
        uint32_t value_size = u32_at(batch + at + 4);
        bool is_delete = (u32_at(batch + at) & DELETE_BIT) != 0;
        result = apply(stored, batch + at, key_size, value_size, is_delete);
        at += RECORD_HEADER_BYTES + (size_t)key_size + value_size;
    }
    return result == SQLITE_ROW && at != size ? SQLITE_CORRUPT : result;
}

static int journal_apply(struct stored *stored)
{
    sqlite3_stmt *journal = stored->statements[JOURNAL];
    int result;
    while ((result = sqlite3_step(journal)) == SQLITE_ROW) {
        result = batch_apply(stored, sqlite3_column_blob(journal, 0),
                             (size_t)sqlite3_column_bytes(journal, 0));
        if (result != SQLITE_ROW) {
            break;
        }
    }
    return result;
}

static int rows_visit(sqlite3_stmt *rows, map_visitor visit, void *context)
{
    int result;
    while ((result = sqlite3_step(rows)) == SQLITE_ROW) {
        struct map_bytes key = {sqlite3_column_blob(rows, 0),
                                (size_t)sqlite3_column_bytes(rows, 0)};
        struct map_bytes value = {sqlite3_column_blob(rows, 1),
                                  (size_t)sqlite3_column_bytes(rows, 1)};
        visit(context, key, value);
    }
    return result;
}

static int stored_open(struct stored *stored, const char *path)
{
    int result = sqlite3_open_v2(path, &stored->connection, SQLITE_OPEN_READONLY, NULL);
    if (result == SQLITE_OK) {
        sqlite3_busy_timeout(stored->connection, BUSY_TIMEOUT_MS);
        /* The library's writer is the only one that moves the log into the file. */
        sqlite3_db_config(stored->connection, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        result = sqlite3_exec(stored->connection, gather_sql, NULL, NULL, NULL);
    }
    for (int i = 0; result == SQLITE_OK && i < STATEMENTS; i++) {
        result = sqlite3_prepare_v2(stored->connection, statement_sql[i], -1,
                                    &stored->statements[i], NULL);
    }
    return result;
}

static void stored_close(struct stored *stored)
{
    for (int i = 0; i < STATEMENTS; i++) {
        sqlite3_finalize(stored->statements[i]);
    }
    sqlite3_close(stored->connection);
}

enum map_status stored_walk(const char *path, map_visitor visit, void *context)
{
    struct stored stored = {NULL};
    int result = stored_open(&stored, path);
    if (result == SQLITE_OK) {
        result = journal_apply(&stored);
    }
    if (result == SQLITE_DONE) {
        result = rows_visit(stored.statements[WALK], visit, context);
    }
    if (result != SQLITE_DONE) {
        stress_violation("%s, read by SQLite alone: %s", path, sqlite3_errstr(result));
    }
    stored_close(&stored);
    return result == SQLITE_DONE ? MAP_OK : MAP_ERROR;
}

static bool file_copy(const char *from, const char *to)
{
    unsigned char bytes[65536];
    FILE *in = fopen(from, "r");
    FILE *out = in != NULL ? fopen(to, "w") : NULL;
    size_t size = 0;
    bool copied = out != NULL;
    while (copied && (size = fread(bytes, 1, sizeof bytes, in)) > 0) {
        copied = fwrite(bytes, 1, size, out) == size;
    }
    if (in != NULL) {
        fclose(in);
    }
    return out != NULL && fclose(out) == 0 && copied;
}

static bool is_encrypted(const char *path)
{
    char magic[15] = "";
    FILE *file = fopen(path, "r");
    if (file != NULL) {
        (void)!fread(magic, 1, sizeof magic, file);
        fclose(file);
    }
    return memcmp(magic, "dictsqlite seal", sizeof magic) == 0;
}

/* Makes a plain copy of an encrypted file and its log. */
static bool decrypt_copy(const char *path, const char *copy)
{
    struct dsq_error error = {0};
    struct dsq_options options = {.error = &error};
    char log[610];
    char log_copy[610];
    snprintf(log, sizeof log, "%s-wal", path);
    snprintf(log_copy, sizeof log_copy, "%s-wal", copy);
    stress_encrypt(&options, 1);
    stored_remove(copy);
    if (!file_copy(path, copy) || (access(log, F_OK) == 0 && !file_copy(log, log_copy))) {
        stress_violation("%s cannot be copied", path);
        return false;
    }
    int status = dsq_decrypt(copy, &options, NULL, NULL);
    return stress_expect(NULL, error.message, status, status == DSQ_OK);
}

static bool plain_integrity(const char *path)
{
    sqlite3 *connection = NULL;
    sqlite3_stmt *check = NULL;
    char answer[256] = "no answer";
    if (sqlite3_open(path, &connection) == SQLITE_OK &&
        sqlite3_prepare_v2(connection, "PRAGMA integrity_check", -1, &check, NULL) == SQLITE_OK &&
        sqlite3_step(check) == SQLITE_ROW) {
        snprintf(answer, sizeof answer, "%s", (const char *)sqlite3_column_text(check, 0));
    }
    sqlite3_finalize(check);
    sqlite3_close(connection);
    bool good = strcmp(answer, "ok") == 0;
    if (!good) {
        stress_violation("PRAGMA integrity_check of %s: %s", path, answer);
    }
    return good;
}

bool stored_integrity(const char *path)
{
    char copy[600];
    if (!is_encrypted(path)) {
        return plain_integrity(path);
    }
    snprintf(copy, sizeof copy, "%s.plain", path);
    bool good = decrypt_copy(path, copy) && plain_integrity(copy);
    stored_remove(copy);
    return good;
}

void stored_remove(const char *path)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal", "-lock"};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char name[600];
        snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        unlink(name);
    }
}
