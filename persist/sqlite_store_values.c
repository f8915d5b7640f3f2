/* The record in meta of what the values of a file are. */
#include <string.h>

#include <sqlite3.h>

#include "core/error.h"
#include "persist/sqlite_store_internal.h"

static bool is_name(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (text[i] < ' ' || text[i] > '~') {
            return false;
        }
    }
    return size != 0 && size <= DSQ_SQLITE_VALUE_FORMAT_BYTES_MAX;
}

bool dsq_sqlite_is_value_format(const char *name)
{
    return is_name(name, strlen(name));
}

/* Takes the name from the statement's row. */
static int take_name(struct sqlite3_stmt *statement, const char *path, char *name,
                     struct dsq_error *error)
{
    /* Asked for first: reading as text turns a BLOB into text. */
    bool is_text = sqlite3_column_type(statement, 0) == SQLITE_TEXT;
    const char *text = (const char *)sqlite3_column_text(statement, 0);
    size_t size = (size_t)sqlite3_column_bytes(statement, 0);
    if (is_text && text == NULL) {
        return dsq_error_set(error, DSQ_ERR_NOMEM, "out of memory while opening %s", path);
    }
    if (!is_text || !is_name(text, size)) {
        return dsq_error_set(error, DSQ_ERR_CORRUPT, "what %s says of its values is no name", path);
    }
    memcpy(name, text, size + 1);
    return DSQ_OK;
}

int dsq_sqlite_read_value_format(struct sqlite3 *db, const char *path,
                                 char name[DSQ_SQLITE_VALUE_FORMAT_BYTES_MAX + 1],
                                 struct dsq_error *error)
{
    struct sqlite3_stmt *statement;
    int status = dsq_sqlite_prepare(db, "SELECT value FROM meta WHERE name = 'value_format'", path,
                                    &statement, error);
    if (status != DSQ_OK) {
        return status;
    }
    int result = sqlite3_step(statement);
    if (result == SQLITE_ROW) {
        status = take_name(statement, path, name, error);
    } else if (result == SQLITE_DONE) {
        strcpy(name, DSQ_SQLITE_VALUE_FORMAT_DEFAULT);
    } else {
        status = dsq_sqlite_error(db, result, "read the settings", path, error);
    }
    sqlite3_finalize(statement);
    return status;
}

const char *dsq_sqlite_store_value_format(const struct dsq_store *store)
{
    return ((const struct dsq_sqlite_store *)store)->value_format;
}
