/*
 * What bench/map.c has maps do.  All that is random is drawn before the clock runs, and what each
 * operation has to find is known: a map that answers otherwise is a violation.
 */
#ifndef DSQ_BENCH_MAP_WORKLOAD_H
#define DSQ_BENCH_MAP_WORKLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/latency.h"
#include "stress/map_ops.h"

enum map_keys {
    MAP_KEYS_NEW,    /* each key once, in their order, into an empty map */
    MAP_KEYS_ONCE,   /* each key once in a shuffled order, then again; the map holds them all */
    MAP_KEYS_ABSENT, /* the same of keys that the map does not hold */
    MAP_KEYS_ZIPF,   /* of those that it holds, by Zipf's law */
    MAP_KEYS_OWN     /* in a fresh map, a part of the keys for each thread */
};

/*
 * Inserts, removals and updates are percentages, look-ups the rest.  With MAP_KEYS_OWN a thread inserts
 * its keys in their order, removes those that it inserted first, and looks up any: those that
 * are not there as well.
 */
struct map_workload {
    const char *name;
    enum map_keys keys;
    unsigned inserts, removes, updates;
    unsigned prefilled; /* percent of a thread's own keys that are there at the beginning */
    bool scales;        /* also by more threads than one */
};

/* Whether it changes no map. */
bool map_workload_only_reads(const struct map_workload *workload);

/* NULL if none has that name. */
const struct map_workload *map_workload_find(const char *name);

extern const struct map_workload map_workloads[];
extern const unsigned map_workload_count;

/* The first workload fills an empty map; the others want it full. */
#define MAP_WORKLOAD_FILL 0

struct map_parameters {
    uint64_t keys;       /* in the map */
    uint64_t operations; /* of each thread, if its keys suffice */
    uint64_t key_bytes;
    uint64_t value_bytes;
    uint64_t threads; /* at most so many */
    uint64_t seed;
};

#define MAP_KEY_BYTES_MAX 64
#define MAP_KEYS_MAX (UINT64_C(1) << 28)
#define MAP_THREADS_MAX 256

/* Keys and orders, the same for every map. */
struct map_inputs {
    const struct map_parameters *parameters;
    unsigned char *keys; /* those in the map, then as many that are not, key_bytes each */
    uint32_t *
        in_order; /* as a map is filled: not as keys are looked up, or records would lie in that order */
    uint32_t *once;
    uint32_t **zipf; /* by thread */
};

/* False if there is not enough memory; map_inputs_free in any case. */
bool map_inputs_make(struct map_inputs *inputs, const struct map_parameters *parameters);
void map_inputs_free(struct map_inputs *inputs);

/*
 * Operations a second of `threads` threads with a full map (an empty one, for the first workload; with
 * MAP_KEYS_OWN it makes one).  *work becomes a hash of it and what was done.
 */
double map_workload_run(const struct map_inputs *inputs, const struct map_workload *workload,
                        const struct map_ops *ops, void *map, unsigned threads, uint64_t *work);

/* Adds the latency of each operation of a single thread, on a full map; reading the clock is in it. */
void map_workload_time(const struct map_inputs *inputs, const struct map_workload *workload,
                       const struct map_ops *ops, void *map, struct bench_latency *latency);

/* Memory that a map of all keys occupies, a record; before any map is used.  Keys and values are in it. */
double map_bytes_per_record(const struct map_inputs *inputs, const struct map_ops *ops);

/* A map of that kind, in memory and unbounded. */
void *map_create(const struct map_ops *ops);

#endif
