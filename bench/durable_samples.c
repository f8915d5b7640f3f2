#include "bench/durable_samples.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/harness.h"

#define NS_PER_US 1e3

static void reserve(struct durable_samples *samples, size_t count)
{
    if (count <= samples->capacity) {
        return;
    }
    size_t capacity = (size_t)dsq_next_power_of_two(count);
    double *grown = realloc(samples->ns, capacity * sizeof *grown);
    if (grown == NULL) {
        abort();
    }
    samples->ns = grown;
    samples->capacity = capacity;
}

void durable_samples_add(struct durable_samples *samples, uint64_t ns)
{
    reserve(samples, samples->count + 1);
    samples->ns[samples->count++] = (double)ns;
}

void durable_samples_merge(struct durable_samples *into, const struct durable_samples *from)
{
    if (from->count > 0) {
        reserve(into, into->count + from->count);
        memcpy(into->ns + into->count, from->ns, from->count * sizeof *from->ns);
        into->count += from->count;
    }
}

double durable_samples_quantile_ns(struct durable_samples *samples, double quantile)
{
    if (samples->count == 0) {
        return 0;
    }
    (void)bench_median(samples->ns, samples->count); /* sorts them */
    size_t rank = (size_t)(quantile * (double)samples->count);
    return samples->ns[rank < samples->count ? rank : samples->count - 1];
}

void durable_samples_print(const char *name, struct durable_samples *samples)
{
    printf("%-40s %10zu %10.1f %10.1f %10.1f\n", name, samples->count,
           durable_samples_quantile_ns(samples, 0.5) / NS_PER_US,
           durable_samples_quantile_ns(samples, 0.99) / NS_PER_US,
           durable_samples_quantile_ns(samples, 1) / NS_PER_US);
    fflush(stdout);
}

void durable_samples_report(const struct durable_samples *samples, size_t turn,
                            struct bench_report *report)
{
    struct bench_latency latency = {.samples = 0};
    size_t turns = (samples->count + turn - 1) / turn;
    double *per_second = calloc(turns + 1, sizeof *per_second);
    if (per_second == NULL) {
        abort();
    }
    for (size_t i = 0; i < turns; i++) {
        size_t end = samples->count < (i + 1) * turn ? samples->count : (i + 1) * turn;
        double sum_ns = 0;
        for (size_t j = i * turn; j < end; j++) {
            sum_ns += samples->ns[j];
            bench_latency_add(&latency, (uint64_t)samples->ns[j]);
        }
        per_second[i] = (double)(end - i * turn) * (double)DSQ_NS_PER_S / sum_ns;
    }
    if (turns > 0) {
        bench_report_rates(report, per_second, turns);
        bench_report_latency(report, &latency);
    }
    free(per_second);
}

void durable_samples_free(struct durable_samples *samples)
{
    free(samples->ns);
    *samples = (struct durable_samples){.ns = NULL};
}
