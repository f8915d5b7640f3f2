/* One thread of stress/mixed: random operations, each checked against the model as it returns. */
#ifndef DSQ_STRESS_MIXED_WORKER_H
#define DSQ_STRESS_MIXED_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <dictsqlite.h>

#include "stress/random.h"
#include "stress/register_model.h"

#define MIXED_PINNED_VIEWS 4
#define MIXED_BATCH_KEYS_MAX 6

/* What all threads share. */
struct mixed_run {
    dsq_db *db;
    struct register_model model;
    uint64_t threads;
    int mode;
    uint64_t capacity;
    atomic_bool stop;
};

struct mixed_worker {
    struct mixed_run *run;
    uint64_t index; /* owns the keys whose number leaves this rest on division by threads */
    struct stress_random random;
    dsq_batch *batch;
    struct dsq_view views[MIXED_PINNED_VIEWS]; /* kept across later writes and evictions */
    uint64_t operations;                       /* out: completed */
};

/* Runs until run->stop or a violation.  For pthread_create. */
void *mixed_worker_main(void *argument);

/*
 * Whether an outcome of a read of key that began at floor is allowed; value is read on DSQ_OK.
 * Reports a violation if not.  Any thread.
 */
bool mixed_check_read(struct mixed_run *run, const char *call, uint64_t key, uint64_t floor,
                      int status, const void *value, size_t size);

/* Whether the hot tier is within its bound; a violation if not.  Any thread. */
bool mixed_check_memory(struct mixed_run *run);

#endif
