/*
 * What bench/stores has stores do: the core workloads of YCSB (Cooper and others, "Benchmarking cloud
 * serving systems with YCSB", 2010).  All that is random is drawn before the clock runs, and each answer is
 * checked: the right record, whole; scans in order and complete.
 */
#ifndef DSQ_BENCH_STORES_WORKLOAD_H
#define DSQ_BENCH_STORES_WORKLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/latency.h"
#include "bench/stores_ops.h"
#include "bench/stores_records.h"

enum store_choice {
    STORE_ZIPF, /* exponent 0.99, of the 10^10 ranks of which YCSB scatters the records by FNV-1a */
    STORE_UNIFORM,
    STORE_LATEST /* Zipf, the most frequent is the record that the thread has inserted last */
};

/* Percentages; reads are the rest. */
struct store_workload {
    const char *name;
    const char *what;
    enum store_choice choice;
    unsigned updates, inserts, scans, modifies;
};

extern const struct store_workload store_workloads[];
extern const unsigned store_workload_count;
const char *store_choice_name(enum store_choice choice);

/* A scan hands out so many records on average; so many times fewer of them are measured. */
#define STORE_SCAN_MEAN (STORE_SCAN_MAX / 2)

struct store_step {
    char key[STORE_KEY_BYTES];
    uint64_t number;
    unsigned char kind;
    unsigned char scanned; /* records wanted */
};

/* The steps of one thread; the same for every store. */
struct store_plan {
    struct store_step *steps;
    uint64_t count;
};

/*
 * Draws the steps of each thread.  *next is the number of the next record to be inserted, and moves on.
 * Ends the program when out of memory.
 */
void store_plans_draw(struct store_plan *plans, unsigned threads,
                      const struct store_records *records, const struct store_workload *workload,
                      uint64_t operations, uint64_t seed, uint64_t *next);
void store_plans_free(struct store_plan *plans, unsigned threads);

/* A plan that gets these records, each once. */
void store_plan_gets(struct store_plan *plan, const struct store_records *records,
                     const uint64_t *numbers, uint64_t count);

/* An open store, with a session for each thread. */
#define STORE_THREADS_MAX 64
struct store_instance {
    const struct store_ops *ops;
    void *store;
    void *sessions[STORE_THREADS_MAX];
};

/*
 * Operations a second, until the last is acknowledged and, where that comes later, as durable as it gets.
 * *work becomes a hash of it and what was done and found.
 */
double store_plans_run(const struct store_plan *plans, unsigned threads,
                       const struct store_records *records, const struct store_instance *instance,
                       struct bench_latency *latency, uint64_t *work);

#endif
