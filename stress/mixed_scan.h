/* Scans of stress/mixed: what a cursor shows, checked against the model. */
#ifndef DSQ_STRESS_MIXED_SCAN_H
#define DSQ_STRESS_MIXED_SCAN_H

#include <stdint.h>

#include "stress/mixed_worker.h"

/*
 * Visits the keys that share a prefix with this one, and demands each of them at most once, in
 * order, with a value that it held meanwhile, and those that were there throughout.  Any thread.
 */
void mixed_scan(struct mixed_run *run, uint64_t near);

#endif
