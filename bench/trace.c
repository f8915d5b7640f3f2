#include "bench/trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/harness.h"
#include "stress/random.h"

#define SCAN_LENGTH 1000
/* The keys that scans go through, as a multiple of the others. */
#define SCANNED_FACTOR 10
#define ZIPF_OF_SCANS 0.99

static struct bench_trace allocate(uint32_t distinct, size_t count)
{
    struct bench_trace trace = {.count = count, .distinct = distinct};
    trace.keys = malloc(count * sizeof *trace.keys);
    if (trace.keys == NULL) {
        fprintf(stderr, "out of memory for a trace of %zu requests\n", count);
        exit(2);
    }
    return trace;
}

struct bench_trace bench_trace_zipf(double exponent, uint32_t keys, size_t count, uint64_t seed)
{
    struct bench_trace trace = allocate(keys, count);
    struct stress_random random = {seed};
    struct bench_zipf zipf;
    bench_zipf_init(&zipf, keys, exponent);
    for (size_t i = 0; i < count; i++) {
        trace.keys[i] = (uint32_t)bench_zipf_next(&zipf, &random);
    }
    snprintf(trace.name, sizeof trace.name, "zipf %.2f", exponent);
    return trace;
}

struct bench_trace bench_trace_scans(uint32_t keys, size_t count, uint64_t seed)
{
    struct bench_trace trace = allocate(keys * (1 + SCANNED_FACTOR), count);
    struct stress_random random = {seed};
    struct bench_zipf zipf;
    uint32_t scanned = keys * SCANNED_FACTOR;
    bench_zipf_init(&zipf, keys, ZIPF_OF_SCANS);
    for (size_t i = 0; i < count;) {
        /* One scan for every four times its length of other requests. */
        if (stress_random_below(&random, UINT64_C(4) * SCAN_LENGTH + 1) != 0) {
            trace.keys[i++] = (uint32_t)bench_zipf_next(&zipf, &random);
            continue;
        }
        uint64_t from = stress_random_below(&random, scanned);
        for (uint64_t step = 0; step < SCAN_LENGTH && i < count; step++) {
            trace.keys[i++] = keys + (uint32_t)((from + step) % scanned);
        }
    }
    snprintf(trace.name, sizeof trace.name, "zipf %.2f + scans", ZIPF_OF_SCANS);
    return trace;
}

struct bench_trace bench_trace_loop(uint32_t keys, size_t count)
{
    struct bench_trace trace = allocate(keys, count);
    for (size_t i = 0; i < count; i++) {
        trace.keys[i] = (uint32_t)(i % keys);
    }
    snprintf(trace.name, sizeof trace.name, "loop");
    return trace;
}

void bench_trace_free(struct bench_trace *trace)
{
    free(trace->keys);
}

uint64_t bench_trace_checksum(const struct bench_trace *trace)
{
    return stress_checksum(trace->keys, trace->count * sizeof *trace->keys);
}
