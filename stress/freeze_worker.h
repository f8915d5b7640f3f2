/*
 * The threads of stress/freeze: each runs random operations on a few hot records, and can be parked
 * by a signal at whatever instruction it is at.
 */
#ifndef DSQ_STRESS_FREEZE_WORKER_H
#define DSQ_STRESS_FREEZE_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "stress/map_ops.h"
#include "stress/random.h"

enum operation { GET, PUT, REMOVE, POP, ADD, CAS, INCR, OPERATION_COUNT };

extern const char *const operation_names[OPERATION_COUNT];

struct worker {
    pthread_t thread;
    const struct map_ops *ops;
    void *map;
    struct stress_random random;
    atomic_bool stop;
    _Atomic uint64_t completed;
    _Atomic uint64_t limit; /* pauses when completed reaches it */
    _Atomic int operation;  /* the one it is in */
    atomic_bool ready;      /* may be parked */
    atomic_bool parked;
    _Atomic uintptr_t stopped_at;
    int release[2]; /* a pipe: a byte releases the parked thread */
};

/* Installs the signal's handler.  Once, before the first worker. */
bool worker_prepare(void);

/* Starts the thread; returns once it may be parked. */
bool worker_start(struct worker *worker, const struct map_ops *ops, void *map, uint64_t seed);

/* Stops it wherever it is; returns once it stands still, at stopped_at. */
bool worker_park(struct worker *worker);

/* Lets it go on; returns once it does. */
bool worker_release(struct worker *worker);

void worker_join(struct worker *worker);

/* For polling. */
void worker_pause(void);

#endif
