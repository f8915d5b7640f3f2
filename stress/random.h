/*
 * Pseudo-random numbers and checksums of the stress programs: splitmix64 (Steele, Lea and Flood,
 * "Fast splittable pseudorandom number generators", 2014), chosen because any seed is a good seed
 * and a state is one word.  Not for secrets.
 */
#ifndef DSQ_STRESS_RANDOM_H
#define DSQ_STRESS_RANDOM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct stress_random {
    uint64_t state;
};

/* A bijection in which every output bit depends on every input bit. */
static inline uint64_t stress_mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static inline uint64_t stress_mix3(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t step = UINT64_C(0x9e3779b97f4a7c15);
    return stress_mix(stress_mix(stress_mix(a + step) + b + step) + c + step);
}

static inline uint64_t stress_random_next(struct stress_random *random)
{
    random->state += UINT64_C(0x9e3779b97f4a7c15);
    return stress_mix(random->state);
}

/* A number in [0, bound); bound is not 0.  Its slight bias does not matter here. */
static inline uint64_t stress_random_below(struct stress_random *random, uint64_t bound)
{
    return stress_random_next(random) % bound;
}

static inline uint64_t stress_checksum(const void *data, size_t size)
{
    const unsigned char *bytes = data;
    uint64_t sum = stress_mix(size);
    for (; size >= sizeof(uint64_t); size -= sizeof(uint64_t), bytes += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, bytes, sizeof word);
        sum = stress_mix(sum + word);
    }
    for (; size > 0; size--, bytes++) {
        sum = stress_mix(sum + *bytes);
    }
    return sum;
}

#endif
