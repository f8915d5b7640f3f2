/* Filling a struct dsq_error: the internal side of core/status.h. */
#ifndef DSQ_CORE_ERROR_H
#define DSQ_CORE_ERROR_H

#include "core/status.h"

/* The name of a status ("DSQ_ERR_IO"), or NULL if there is no such status.  Static memory. */
const char *dsq_status_name(int status);

/* The sentence of a status, without a full stop; never NULL.  Static memory. */
const char *dsq_status_sentence(int status);

/*
 * Writes status and a formatted message (cut at DSQ_ERROR_MESSAGE_BYTES) into error, if error is
 * not NULL, and returns status, so that a failing path reads `return dsq_error_set(...)`.
 */
int dsq_error_set(struct dsq_error *error, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
