/* The peers that bench/map.c measures beside those of stress/map_ops.h; ends with a NULL. */
#ifndef DSQ_BENCH_MAP_PEERS_H
#define DSQ_BENCH_MAP_PEERS_H

#include "stress/map_ops.h"

/* The name of the one that a single thread may use: it has no synchronization at all. */
#define MAP_PEER_LIMIT "no threads"

#ifdef __cplusplus
extern "C" {
#endif

extern const struct map_ops *const map_peers[];

#ifdef __cplusplus
}
#endif

#endif
