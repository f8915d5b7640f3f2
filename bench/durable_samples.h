/* Latencies of operations that are slow enough to keep every one: exact quantiles. */
#ifndef DSQ_BENCH_DURABLE_SAMPLES_H
#define DSQ_BENCH_DURABLE_SAMPLES_H

#include <stddef.h>
#include <stdint.h>

#include "bench/report.h"

/* Zero-initialise. */
struct durable_samples {
    double *ns;
    size_t count;
    size_t capacity;
};

void durable_samples_add(struct durable_samples *samples, uint64_t ns);
void durable_samples_merge(struct durable_samples *into, const struct durable_samples *from);

/* Sorts the samples; quantile 1 is the worst.  0 if there is none. */
double durable_samples_quantile_ns(struct durable_samples *samples, double quantile);

/* The columns that durable_samples_print fills, and their line. */
#define DURABLE_SAMPLES_COLUMNS "   samples     p50 us     p99 us   worst us"
void durable_samples_print(const char *name, struct durable_samples *samples);

/*
 * Adds to the figure just begun: operations a second, in the median and quartiles of runs of `turn` samples in
 * the order in which they came, and the latencies.  Nothing if there are no samples; before they are sorted.
 */
void durable_samples_report(const struct durable_samples *samples, size_t turn,
                            struct bench_report *report);
void durable_samples_free(struct durable_samples *samples);

#endif
