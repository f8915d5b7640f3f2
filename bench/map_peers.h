/* The maps that bench/map.c and bench/sizes.c measure beside each other. */
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

#define MAP_PEERS_MAX 16

/* Those that are neither ours nor rculfhash; ends with one whose ops are NULL. */
extern const struct map_peer map_peers[];

/*
 * Ours, rculfhash and the peers, or those of them whose names are in a list with commas between, in our
 * order: how many there are.  names NULL: all, MAP_LAZY if it is wanted.
 */
size_t map_peers_choose(const char *names, bool with_lazy, struct map_peer chosen[MAP_PEERS_MAX]);

#define MAP_LAZY "dictsqlite lazy"

/* Ours in lazy mode: with files, which are removed when the program ends. */
const struct map_ops *map_lazy(void);

/* Concurrency Kit's ck_hs and libcds's split-ordered list; bench/map_peers.cpp lists those that are built. */
extern const struct map_ops map_ck;
extern const struct map_ops map_cds;

#ifdef __cplusplus
}
#endif

#endif
