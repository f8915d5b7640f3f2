/* What a stress program found wrong, printed once, and its exit status. */
#ifndef DSQ_STRESS_VERDICT_H
#define DSQ_STRESS_VERDICT_H

#include <stdbool.h>

#include <dictsqlite.h>

/* Prints the first violations in full, counts the rest.  Any thread. */
void stress_violation(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * Whether status is one that the caller expected; otherwise a violation that names the call, the
 * status and the handle's last error.  db may be NULL.
 */
bool stress_expect(dsq_db *db, const char *call, int status, bool expected);

bool stress_failed(void);

/* Prints the verdict and returns the exit status: 0 or 1. */
int stress_verdict(void);

#endif
