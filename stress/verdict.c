#include "stress/verdict.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

/* The first violation is the cause; the rest are mostly its echoes. */
#define PRINTED_VIOLATIONS 5

static atomic_uint violations;

void stress_violation(const char *format, ...)
{
    if (atomic_fetch_add(&violations, 1) >= PRINTED_VIOLATIONS) {
        return;
    }
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fprintf(stderr, "VIOLATION: %s\n", text);
}

bool stress_expect(dsq_db *db, const char *call, int status, bool expected)
{
    if (expected) {
        return true;
    }
    struct dsq_error error = {.status = DSQ_OK};
    if (db != NULL && status < 0) {
        dsq_last_error(db, &error);
    }
    stress_violation("%s returned %s (%s); last error: %s", call, dsq_strstatus(status),
                     dsq_strerror(status), error.status != DSQ_OK ? error.message : "none");
    return false;
}

bool stress_failed(void)
{
    return atomic_load(&violations) != 0;
}

int stress_verdict(void)
{
    unsigned count = atomic_load(&violations);
    if (count == 0) {
        printf("no violation\n");
        return 0;
    }
    printf("FAILED: %u violations\n", count);
    return 1;
}
