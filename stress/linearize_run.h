/* One run of stress/linearize.c and its threads. */
#ifndef DSQ_STRESS_LINEARIZE_RUN_H
#define DSQ_STRESS_LINEARIZE_RUN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "stress/history.h"
#include "stress/map_ops.h"
#include "stress/random.h"
#include "stress/whole_map.h"

/* As many threads as a search over one key's operations can bear. */
#define LINEARIZE_SHARERS_MAX 8
#define LINEARIZE_THREADS_MAX 256
/* Whole-map operations of a thread in a round. */
#define LINEARIZE_WHOLES_MAX 16

struct linearize_run {
    const struct map_ops *ops;
    void *map;
    uint64_t threads;
    uint64_t keys;       /* that up to LINEARIZE_SHARERS_MAX threads share; others have their own */
    uint64_t all_keys;   /* of all groups of threads */
    uint64_t operations; /* of each thread in a round */
    uint64_t whole_odds; /* one in so many operations is on the whole map; 0: none */
    uint64_t storms;
    uint64_t seed;
    bool may_vanish;  /* a cache that evicts */
    const char *file; /* that the map keeps, or NULL */
    FILE *history;    /* where every round is written, or NULL */
    const char *violation_path;

    pthread_barrier_t barrier;
    atomic_bool stop;
    bool over; /* decided by thread 0 between two barriers */
    uint64_t round;
    uint64_t quiet_length;    /* at the end of the round */
    _Atomic uint64_t present; /* keys found to be there then */
    struct linearize_worker *workers;
    pthread_mutex_t history_lock;
    _Atomic uint64_t checked; /* operations */
    _Atomic uint64_t undecided;
    _Atomic uint64_t counts[HISTORY_OP_COUNT];
    _Atomic uint64_t effective[HISTORY_OP_COUNT]; /* that found, stored or removed something */
    _Atomic uint64_t whole_counts[WHOLE_KIND_COUNT];
};

/* In shared memory: it outlives the process that wrote it. */
struct linearize_log {
    _Atomic uint64_t begun; /* operations; the call of each is recorded */
    _Atomic uint64_t ended; /* those whose return is recorded too */
    struct history_operation operations[];
};

struct linearize_worker {
    struct linearize_run *run;
    uint64_t index;
    uint32_t process; /* a new number after every unknown outcome */
    uint64_t values;  /* drawn so far: every value is used once */
    struct stress_random random;
    struct history_value last_seen;
    struct linearize_log *log;
    struct whole_operation wholes[LINEARIZE_WHOLES_MAX];
    size_t whole_count;
    struct history gathered; /* the operations of a key that this thread judges */
};

/* A log in shared memory; NULL if there is none. */
struct linearize_log *linearize_log_new(uint64_t operations);
void linearize_log_clear(struct linearize_log *log);
void linearize_log_free(struct linearize_log *log, uint64_t operations);

/* Performs random operations until the worker's log is full or something has failed. */
void linearize_play(struct linearize_worker *worker);

/* Judges the operations of a key that the worker has gathered, and counts them. */
void linearize_judge(struct linearize_worker *worker, uint32_t key);

/* The argument is a worker, which takes part in rounds until the run is over. */
void *linearize_worker_main(void *argument);

/* The argument is a run, whose tables it keeps growing and being rebuilt, with keys of its own. */
void *linearize_storm_main(void *argument);

#endif
