/* The process that stress/linearize_kill.c kills. */
#ifndef DSQ_STRESS_LINEARIZE_LIFE_H
#define DSQ_STRESS_LINEARIZE_LIFE_H

#include "stress/linearize_run.h"

/* In shared memory, beside the logs of the threads. */
struct linearize_life_page {
    atomic_bool ready;        /* the file is open, and `reader` has read every key */
    atomic_bool failed;       /* it has said why */
    _Atomic uint64_t flushed; /* when the last flush that returned began */
};

struct linearize_life {
    struct linearize_run *run;
    struct map_config config;
    struct linearize_life_page *page;
    struct linearize_worker reader; /* its log holds a get of every key, in their order */
    uint64_t number;
    bool flushes;
    bool closes; /* instead of working: removes every key, closes the file and ends */
};

/* Clears what an earlier life left in shared memory. */
void linearize_life_clear(struct linearize_life *life);

/* Works until it is killed; with `closes`, ends the process with the verdict. */
_Noreturn void linearize_life_live(struct linearize_life *life);

#endif
