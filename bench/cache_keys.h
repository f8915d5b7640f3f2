/* How many keys a cache has to be asked for, so that it hits as often as wanted. */
#ifndef DSQ_BENCH_CACHE_KEYS_H
#define DSQ_BENCH_CACHE_KEYS_H

#include <stdint.h>

/*
 * The share of look-ups that an LRU cache of `capacity` entries answers, of keys 0 .. keys-1 by Zipf's
 * law: Che's approximation (Che, Tung and Wang, "Hierarchical Web caching systems", 2002).
 */
double cache_keys_hit_rate(uint64_t capacity, uint64_t keys, double exponent);

/* The number of keys at which that share is hit_rate; at least one more than the capacity. */
uint64_t cache_keys_for(uint64_t capacity, double exponent, double hit_rate);

#endif
