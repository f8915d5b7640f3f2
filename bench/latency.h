/*
 * Latencies in constant memory: a histogram whose buckets are an eighth of a power of two wide, so that
 * a quantile is at most 12.5 % above the truth (as in Tene's HdrHistogram).
 */
#ifndef DSQ_BENCH_LATENCY_H
#define DSQ_BENCH_LATENCY_H

#include <stdint.h>

#define BENCH_LATENCY_STEPS 8
#define BENCH_LATENCY_BUCKETS (64 * BENCH_LATENCY_STEPS)

struct bench_latency {
    uint64_t buckets[BENCH_LATENCY_BUCKETS];
    uint64_t samples;
    uint64_t worst_ns;
};

static inline unsigned bench_latency_bucket(uint64_t ns)
{
    unsigned power = ns < BENCH_LATENCY_STEPS ? 0 : 60 - (unsigned)__builtin_clzll(ns);
    return power * BENCH_LATENCY_STEPS + (unsigned)(ns >> power);
}

static inline void bench_latency_add(struct bench_latency *latency, uint64_t ns)
{
    latency->buckets[bench_latency_bucket(ns)]++;
    latency->samples++;
    latency->worst_ns = ns > latency->worst_ns ? ns : latency->worst_ns;
}

void bench_latency_merge(struct bench_latency *into, const struct bench_latency *from);

/* The upper end of the bucket that holds the quantile, at most the worst sample. */
uint64_t bench_latency_quantile_ns(const struct bench_latency *latency, double quantile);

/* Prints median, p99, p99.99 and worst, in nanoseconds. */
void bench_latency_print(const struct bench_latency *latency);

/* What reading the clock twice adds to every sample: the median of many. */
uint64_t bench_clock_cost_ns(void);

#endif
