/* The C API's long-running calls on the file as a whole. */
#include "bindings/c/handle.h"
#include "core/error.h"

_Static_assert(DSQ_STORED_KEY_BYTES_MAX == DSQ_KEY_SIZE_MAX &&
                   DSQ_STORED_VALUE_BYTES_MAX == DSQ_VALUE_SIZE_MAX,
               "what is verified is what is allowed");

int dsq_backup(dsq_db *db, const char *path, int overwrite, dsq_progress progress, void *context)
{
    const struct dsq_store_progress store_progress = {progress, context};
    struct dsq_error error = {0};
    int status = dsq_handle_enter(db);

    if (status == DSQ_OK && (path == NULL || path[0] == '\0')) {
        status = dsq_error_set(&error, DSQ_ERR_INVALID, "a backup needs a path");
    }
    if (status == DSQ_OK) {
        status = dsq_tier_backup(db->tier, path, overwrite != 0, &store_progress, &error);
    }
    return dsq_handle_leave(db, status, &error);
}

int dsq_verify(dsq_db *db, dsq_progress progress, void *context)
{
    const struct dsq_store_progress store_progress = {progress, context};
    struct dsq_error error = {0};
    int status = dsq_handle_enter(db);

    if (status == DSQ_OK) {
        status = dsq_tier_verify(db->tier, &store_progress, &error);
    }
    return dsq_handle_leave(db, status, &error);
}

int dsq_compact(dsq_db *db, dsq_progress progress, void *context)
{
    const struct dsq_store_progress store_progress = {progress, context};
    struct dsq_error error = {0};
    int status = dsq_handle_enter(db);

    if (status == DSQ_OK) {
        status = dsq_tier_compact(db->tier, &store_progress, &error);
    }
    return dsq_handle_leave(db, status, &error);
}
