/* What the code needs to know of the machine: cache lines, pages, cores, the monotonic clock. */
#ifndef DSQ_CORE_PLATFORM_H
#define DSQ_CORE_PLATFORM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define DSQ_CACHE_LINE_BYTES 64
#define DSQ_CACHE_ALIGNED __attribute__((aligned(DSQ_CACHE_LINE_BYTES)))
#define DSQ_LIKELY(condition) __builtin_expect(!!(condition), 1)
#define DSQ_UNLIKELY(condition) __builtin_expect(!!(condition), 0)
/* For the two halves of a function whose first half is nearly always the whole of it. */
#define DSQ_IN_LINE inline __attribute__((always_inline))
#define DSQ_OUT_OF_LINE __attribute__((noinline))

#define DSQ_NS_PER_MS UINT64_C(1000000)
#define DSQ_NS_PER_S UINT64_C(1000000000)

/* Nanoseconds of the monotonic clock: only differences mean anything. */
static inline uint64_t dsq_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * DSQ_NS_PER_S + (uint64_t)now.tv_nsec;
}

/* The same clock as of the last timer tick: coarse to some milliseconds, several times cheaper. */
static inline uint64_t dsq_now_coarse_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * DSQ_NS_PER_S + (uint64_t)now.tv_nsec;
}

#define DSQ_HUGE_PAGE_BYTES ((uintptr_t)2 << 20)

/*
 * Asks for huge pages where memory that is used at random fills some: a miss of the address
 * translation costs as much as one of the caches.  Advice: nothing depends on it.
 */
static inline void dsq_prefer_huge_pages(void *memory, size_t size)
{
    uintptr_t begin = ((uintptr_t)memory + DSQ_HUGE_PAGE_BYTES - 1) & ~(DSQ_HUGE_PAGE_BYTES - 1);
    uintptr_t end = ((uintptr_t)memory + size) & ~(DSQ_HUGE_PAGE_BYTES - 1);

    if (begin < end) {
        (void)madvise((unsigned char *)memory + (begin - (uintptr_t)memory), end - begin,
                      MADV_HUGEPAGE);
    }
}

/* Cores that are there; at least 1. */
static inline uint64_t dsq_core_count(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores > 0 ? (uint64_t)cores : 1;
}

/* The smallest power of two that is at least value; value is at most 2^62. */
static inline uint64_t dsq_next_power_of_two(uint64_t value)
{
    return value <= 1 ? 1 : UINT64_C(1) << (64 - __builtin_clzll(value - 1));
}

#endif
