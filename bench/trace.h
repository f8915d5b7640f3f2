/* Traces of requests for bench/miss_ratio.c: generated, or read from a file. */
#ifndef DSQ_BENCH_TRACE_H
#define DSQ_BENCH_TRACE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bench_trace {
    char name[64];
    uint32_t *keys; /* by number, in the order of the requests */
    size_t count;
    uint32_t distinct; /* the numbers are below it */
};

/* Requests by Zipf's law over so many keys. */
struct bench_trace bench_trace_zipf(double exponent, uint32_t keys, size_t count, uint64_t seed);

/* The same with exponent 0.99, a fifth of the requests in scans of keys that are in no other use. */
struct bench_trace bench_trace_scans(uint32_t keys, size_t count, uint64_t seed);

/* All keys in turn, again and again. */
struct bench_trace bench_trace_loop(uint32_t keys, size_t count);

/*
 * One key a line, plain or, where zlib was there at build time, compressed by gzip.  Ends the
 * program with a message if the file cannot be read or has no keys.
 */
struct bench_trace bench_trace_read(const char *path);

void bench_trace_free(struct bench_trace *trace);

/* Identifies the requests: two runs that print the same number replayed the same. */
uint64_t bench_trace_checksum(const struct bench_trace *trace);

#ifdef __cplusplus
}
#endif

#endif
