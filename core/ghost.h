/*
 * The ghost of a shard: fingerprints of the keys that it evicted last.  A key that comes back while
 * it is remembered has shown that it is used again, and starts with the highest count of the CLOCK
 * hand instead of having to earn it.  (The idea of 2Q's A1out, Johnson and Shasha, 1994, and of
 * S3-FIFO's ghost queue, Yang et al., 2023, at four bytes a key.)
 *
 * A direct-mapped array of 32-bit fingerprints, a later victim overwriting an earlier one.  All
 * accesses are relaxed: an entry is a hint that depends on nothing and that nothing depends on; a
 * lost or a false one costs one record a longer or a shorter stay.
 */
#ifndef DSQ_CORE_GHOST_H
#define DSQ_CORE_GHOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/atomic.h"

struct dsq_ghost {
    _Atomic uint32_t *fingerprints; /* NULL: nothing is remembered */
    uint64_t mask;
};

/* Remembers about `records` evictions, at least one.  DSQ_ERR_NOMEM if memory runs out. */
int dsq_ghost_init(struct dsq_ghost *ghost, uint64_t records);
void dsq_ghost_fini(struct dsq_ghost *ghost);

/* The bits that choose the entry are the low ones; never 0, which is an entry not yet used. */
static inline uint32_t dsq_ghost_fingerprint(uint64_t hash)
{
    return (uint32_t)(hash >> 32) | 1;
}

static inline void dsq_ghost_note(struct dsq_ghost *ghost, uint64_t hash)
{
    if (ghost->fingerprints != NULL) {
        dsq_store_relaxed(&ghost->fingerprints[hash & ghost->mask], dsq_ghost_fingerprint(hash));
    }
}

static inline bool dsq_ghost_knows(const struct dsq_ghost *ghost, uint64_t hash)
{
    return ghost->fingerprints != NULL &&
           dsq_load_relaxed(&ghost->fingerprints[hash & ghost->mask]) ==
               dsq_ghost_fingerprint(hash);
}

#endif
