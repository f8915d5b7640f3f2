/* The handle behind dsq_db, and what every entry point of the API does first and last. */
#ifndef DSQ_BINDINGS_C_HANDLE_H
#define DSQ_BINDINGS_C_HANDLE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "bindings/c/dictsqlite.h"
#include "core/atomic.h"
#include "core/bytes.h"
#include "core/codec.h"
#include "persist/tier.h"

struct dsq_db {
    struct dsq_tier *tier;
    struct dsq_vault *vault; /* NULL: not encrypted */
    char value_format[DSQ_VALUE_FORMAT_SIZE_MAX + 1];
    uint64_t fork_generation; /* of the process that opened it */
    _Atomic bool closing;
    _Atomic int64_t pins; /* views and cursors that are open */
    pthread_mutex_t error_lock;
    struct dsq_error last_error;
    dsq_db *next_left; /* in a forked child that has given it up */
};

/* DSQ_OK if the handle may be used: else DSQ_ERR_INVALID, DSQ_ERR_FORKED or DSQ_ERR_CLOSED. */
int dsq_handle_enter(dsq_db *db);

/* The same with a key: also DSQ_ERR_TOO_BIG.  Sets *error for dsq_handle_leave. */
int dsq_handle_enter_with_key(dsq_db *db, struct dsq_bytes key, struct dsq_error *error);

/*
 * Hands out a copy of a pinned record's value, to be freed with dsq_free, and unpins it; returns
 * status, or DSQ_ERR_NOMEM.
 */
int dsq_handle_copy_out(dsq_db *db, struct dsq_record *record, int status, void **value,
                        size_t *value_size);

/* Keeps *error, completed if it does not describe the status, as the last error; returns status. */
int dsq_handle_fail(dsq_db *db, int status, struct dsq_error *error);

static inline int dsq_handle_leave(dsq_db *db, int status, struct dsq_error *error)
{
    return status < 0 ? dsq_handle_fail(db, status, error) : status;
}

/* The vault that options ask for; NULL if they have no password. */
int dsq_make_vault(const struct dsq_options *options, struct dsq_vault **vault,
                   struct dsq_error *error);

/* DSQ_ERR_INVALID for NULL with a size, DSQ_ERR_TOO_BIG above the limit; the message names `what`. */
int dsq_check_bytes(struct dsq_bytes bytes, size_t limit, const char *what,
                    struct dsq_error *error);

#endif
