#include "bench/cache_keys.h"

#include <math.h>
#include <stddef.h>

/* Neighbouring ranks are about as frequent: they are summed in blocks, each longer than all before / this. */
#define BLOCK_DIVISOR 128
#define BISECTIONS 60
#define KEYS_MAX 1e15

struct block {
    uint64_t first, last;
    double weight; /* of one rank */
};

static struct block block_after(uint64_t rank, uint64_t keys, double exponent)
{
    uint64_t first = rank + 1;
    uint64_t last = rank + 1 + rank / BLOCK_DIVISOR;
    last = last > keys ? keys : last;
    return (struct block){first, last, pow((double)first / 2 + (double)last / 2, -exponent)};
}

/* What is there on average, and how often it is asked for, if an entry stays for `time` of such weights. */
struct expected {
    double entries, hits, weights;
};

static struct expected expect(uint64_t keys, double exponent, double time)
{
    struct expected sum = {0};
    for (uint64_t rank = 0; rank < keys;) {
        struct block block = block_after(rank, keys, exponent);
        double count = (double)(block.last - block.first + 1);
        double there = -expm1(-block.weight * time);
        sum.entries += count * there;
        sum.hits += count * block.weight * there;
        sum.weights += count * block.weight;
        rank = block.last;
    }
    return sum;
}

double cache_keys_hit_rate(uint64_t capacity, uint64_t keys, double exponent)
{
    double shortest = 1;
    double longest = KEYS_MAX * KEYS_MAX;
    for (int i = 0; i < BISECTIONS; i++) {
        double middle = sqrt(shortest * longest);
        *(expect(keys, exponent, middle).entries < (double)capacity ? &shortest : &longest) =
            middle;
    }
    struct expected sum = expect(keys, exponent, shortest);
    return sum.hits / sum.weights;
}

uint64_t cache_keys_for(uint64_t capacity, double exponent, double hit_rate)
{
    double fewest = (double)capacity + 1;
    double most = KEYS_MAX;
    for (int i = 0; i < BISECTIONS; i++) {
        double middle = sqrt(fewest * most);
        *(cache_keys_hit_rate(capacity, (uint64_t)middle, exponent) > hit_rate ? &fewest : &most) =
            middle;
    }
    return (uint64_t)fewest;
}
