/* The eviction policies that bench/miss_ratio.c compares with: each replays a trace exactly. */
#ifndef DSQ_BENCH_POLICIES_H
#define DSQ_BENCH_POLICIES_H

#include <stdint.h>

#include "bench/trace.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The misses of a cache of so many records, which starts empty. */
uint64_t bench_misses_lru(const struct bench_trace *trace, uint64_t capacity);
uint64_t bench_misses_fifo(const struct bench_trace *trace, uint64_t capacity);

/*
 * The least that any policy can do: what is needed again last goes (Belady, "A study of replacement
 * algorithms for a virtual-storage computer", 1966), be it what has just come in.
 */
uint64_t bench_misses_optimal(const struct bench_trace *trace, uint64_t capacity);

#ifdef __cplusplus
}
#endif

#endif
