/* What bench/stores has measured, as a table and as JSON. */
#ifndef DSQ_BENCH_STORES_REPORT_H
#define DSQ_BENCH_STORES_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/harness.h"
#include "bench/latency.h"
#include "bench/report.h"
#include "bench/stores_ops.h"

#define STORES_MAX 8
#define STORE_ROUNDS_MAX 32
#define STORE_ROWS_MAX 64

struct store_cell {
    double samples[STORE_ROUNDS_MAX];
    struct bench_latency latency; /* of all rounds */
};

struct store_row {
    const char *workload;
    const char *what;
    const char *keys;
    unsigned threads;
    struct store_cell cells[STORES_MAX];
    bool measured[STORES_MAX];
};

struct store_report {
    const char *names[STORES_MAX];
    unsigned count;
    unsigned rows;
    struct store_row *row; /* STORE_ROWS_MAX of them */
    uint64_t rounds;
    uint64_t operations;
    struct store_config config;
};

void store_report_print(struct store_report *report);
/* Every cell as a figure, and the parameters that are no options. */
void store_report_fill(struct store_report *table, struct bench_report *report);

#endif
