/* The peers that bench/map.c measures beside those of stress/map_ops.h. */
#ifndef DSQ_BENCH_MAP_PEERS_H
#define DSQ_BENCH_MAP_PEERS_H

#include "stress/map_ops.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Who may use a map at the same time. */
enum map_sharing {
    MAP_BY_ALL,
    MAP_BY_ONE_WRITER, /* any number of readers beside it */
    MAP_BY_ONE_THREAD
};

struct map_peer {
    const struct map_ops *ops;
    enum map_sharing sharing;
};

/* Ends with one whose ops are NULL. */
extern const struct map_peer map_peers[];

/* Concurrency Kit's ck_hs and libcds's split-ordered list; bench/map_peers.cpp lists those that are built. */
extern const struct map_ops map_ck;
extern const struct map_ops map_cds;

#ifdef __cplusplus
}
#endif

#endif
