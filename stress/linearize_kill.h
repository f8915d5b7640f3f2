/*
 * stress/linearize.c with a process that is killed: it works on the file with several threads, and
 * its logs, in shared memory, survive it.  The next one opens the file, reads every key and goes on.
 *
 * writethrough: what all lives did to a key is one history, with the operations under way at a death
 * as unknown, and it has to be linearizable as if nobody had died (durable linearizability).
 * lazy: each life by itself, and what was found after it: see stress/cut.h.
 */
#ifndef DSQ_STRESS_LINEARIZE_KILL_H
#define DSQ_STRESS_LINEARIZE_KILL_H

#include "stress/linearize_run.h"

struct linearize_kill {
    struct linearize_run *run;
    struct map_config config;
    uint64_t seconds;
    uint64_t work_us; /* a process is killed within so much time */
};

/* Rounds of several lives until the time is up.  False: it cannot start. */
bool linearize_kill_run(const struct linearize_kill *kill);

#endif
