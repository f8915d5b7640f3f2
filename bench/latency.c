#include "bench/latency.h"

#include <inttypes.h>
#include <stdio.h>

#include "bench/harness.h"

#define CLOCK_SAMPLES 100000

void bench_latency_merge(struct bench_latency *into, const struct bench_latency *from)
{
    for (unsigned i = 0; i < BENCH_LATENCY_BUCKETS; i++) {
        into->buckets[i] += from->buckets[i];
    }
    into->samples += from->samples;
    into->worst_ns = from->worst_ns > into->worst_ns ? from->worst_ns : into->worst_ns;
}

/* The largest value that falls into a bucket. */
static uint64_t bucket_end(unsigned bucket)
{
    unsigned octave = bucket / BENCH_LATENCY_STEPS;
    unsigned step = bucket % BENCH_LATENCY_STEPS;
    if (octave == 0) {
        return bucket;
    }
    return ((uint64_t)(BENCH_LATENCY_STEPS + step + 1) << (octave - 1)) - 1;
}

uint64_t bench_latency_quantile_ns(const struct bench_latency *latency, double quantile)
{
    uint64_t below = 0;
    uint64_t wanted = (uint64_t)(quantile * (double)latency->samples);
    for (unsigned i = 0; i < BENCH_LATENCY_BUCKETS; i++) {
        below += latency->buckets[i];
        if (below > wanted) {
            uint64_t end = bucket_end(i);
            return end < latency->worst_ns ? end : latency->worst_ns;
        }
    }
    return latency->worst_ns;
}

void bench_latency_print(const struct bench_latency *latency)
{
    printf("%8" PRIu64 " %8" PRIu64 " %9" PRIu64 " %11" PRIu64,
           bench_latency_quantile_ns(latency, 0.5), bench_latency_quantile_ns(latency, 0.99),
           bench_latency_quantile_ns(latency, 0.9999), latency->worst_ns);
}

uint64_t bench_clock_cost_ns(void)
{
    struct bench_latency latency = {.samples = 0};
    for (unsigned i = 0; i < CLOCK_SAMPLES; i++) {
        uint64_t before = dsq_now_ns();
        bench_latency_add(&latency, dsq_now_ns() - before);
    }
    return bench_latency_quantile_ns(&latency, 0.5);
}
