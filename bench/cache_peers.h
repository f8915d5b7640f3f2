/* The caches that bench/cache.c measures ours beside; ends with a NULL. */
#ifndef DSQ_BENCH_CACHE_PEERS_H
#define DSQ_BENCH_CACHE_PEERS_H

#include "stress/map_ops.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Their config->shard_bits counts.  Keys have 16 bytes, since one of them takes no others; the value of a
 * key that comes twice is replaced.
 */
extern const struct map_ops *const cache_peers[];

#ifdef __cplusplus
}
#endif

#endif
