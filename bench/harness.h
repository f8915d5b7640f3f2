/* What the C benchmarks share: who measured, on what, the clock, medians, keys and Zipf's law. */
#ifndef DSQ_BENCH_HARNESS_H
#define DSQ_BENCH_HARNESS_H

#include <stddef.h>
#include <stdint.h>

#include "core/platform.h"
#include "stress/random.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Processor, cores, load and compiler, in a line; printed. */
#define BENCH_MACHINE_BYTES 512
void bench_describe_machine(char text[BENCH_MACHINE_BYTES]);
void bench_print_machine(void);

/* Sorts the samples. */
double bench_median(double *samples, size_t count);

/*
 * Runs body on each of `count` contexts, `size` bytes apart, in a thread of its own, on a core of its own
 * if there are so many; all begin at once.  Each works on a copy that shares no cache line with the
 * others', which is copied back at the end: what a thread adds up does not slow its neighbours.
 * Returns the nanoseconds from the first one's beginning to the last one's end, by their own clocks.
 */
uint64_t bench_run_threads(unsigned count, void (*body)(void *context), void *contexts,
                           size_t size);

/* Bytes of memory that the process occupies. */
uint64_t bench_resident_bytes(void);

#define BENCH_KEY_BYTES 16

/* The number-th key: its digits, 16 bytes, no final zero. */
void bench_key(uint64_t number, char key[BENCH_KEY_BYTES]);

/*
 * Numbers 0 .. count-1 by Zipf's law, number 0 the most frequent: rejection-inversion (Hörmann and
 * Derflinger, "Rejection-inversion to generate variates from monotone discrete distributions", 1996),
 * constant time and memory for any count.
 */
struct bench_zipf {
    double exponent;
    double count;
    double integral_of_first;
    double integral_of_last;
    double shortcut;
};
void bench_zipf_init(struct bench_zipf *zipf, uint64_t count, double exponent);
uint64_t bench_zipf_next(const struct bench_zipf *zipf, struct stress_random *random);

#ifdef __cplusplus
}
#endif

#endif
