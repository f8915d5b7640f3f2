/*
 * The hot tier: shards, each a table with its own counters and budget, chosen by the high bits of
 * the hash.
 *
 * Budget: `capacity` records and, if set, `bytes` bound what is kept.  Insertions do not wait for
 * room: they insert, then evict what is over (dsq_map_trim).  What is not CLEAN cannot be evicted
 * and is bounded elsewhere (the write queue's bytes); when it becomes CLEAN the committer trims.
 *
 * `complete`: the hot tier holds every record there is, so that what it does not know is absent.
 * True from the start if the store is empty or is not there; the evictor clears it before its
 * first eviction, and a reader looks at it after its probe missed: if the probe missed because of
 * an eviction, the reader has acquired the evicted slot, and sees the flag cleared.
 */
#ifndef DSQ_CORE_SHARD_MAP_H
#define DSQ_CORE_SHARD_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "core/reclaim.h"
#include "core/status.h"
#include "core/table.h"

struct dsq_map {
    struct dsq_table *shards;
    uint64_t shard_count;
    unsigned shard_bits;
    struct dsq_reclaim *reclaim;
    int64_t shard_capacity;
    int64_t shard_bytes;
    bool commits; /* records become CLEAN by folds, which advance clean_epoch */
    DSQ_CACHE_ALIGNED _Atomic bool complete;
    _Atomic uint64_t clean_epoch; /* counts the slices of folds after which records became CLEAN */
};

struct dsq_map_config {
    uint64_t capacity; /* records; UINT64_MAX: no bound */
    uint64_t bytes;    /* 0: no bound */
    bool complete;
    bool commits; /* false: every record is CLEAN from the start */
};

/* DSQ_ERR_NOMEM if memory runs out. */
int dsq_map_init(struct dsq_map *map, const struct dsq_map_config *config,
                 struct dsq_reclaim *reclaim);

/* Releases all records.  No other thread may use the map any more. */
void dsq_map_fini(struct dsq_map *map);

static inline struct dsq_table *dsq_map_shard(const struct dsq_map *map, uint64_t hash)
{
    return &map->shards[map->shard_bits != 0 ? hash >> (64 - map->shard_bits) : 0];
}

/* Whether what the hot tier does not know is absent: to be asked after the probe. */
static inline bool dsq_map_is_complete(const struct dsq_map *map)
{
    return dsq_load_acquire(&map->complete);
}

/*
 * After an insertion or a commit of a record of incoming_bytes: evicts while the shard is over its
 * budget and victims are found, at most a few more than make up for that record.  Lock-free, inside
 * a critical section.
 */
void dsq_map_trim(struct dsq_map *map, struct dsq_table *shard, uint64_t incoming_bytes);

/* Evicts the records that are CLEAN now.  Outside critical sections. */
void dsq_map_evict_clean(struct dsq_map *map);

/*
 * Whether one more record can be expected to find its place: false while the shard is full of what
 * cannot be evicted.
 */
bool dsq_map_has_room(const struct dsq_map *map, const struct dsq_table *shard);

/* To be called by the committer after records became CLEAN and before it trims. */
void dsq_map_advance_clean_epoch(struct dsq_map *map);

/*
 * The number of values: counts every change that returned before the call and none that begins after
 * its return.  Lock-free: while changes are under way it looks at the records.  Outside critical
 * sections.  DSQ_ERR_NOMEM.
 */
int dsq_map_count(const struct dsq_map *map, uint64_t *count);

/* Sums over the shards: each exact when nothing is concurrent. */
uint64_t dsq_map_values(const struct dsq_map *map);
uint64_t dsq_map_records(const struct dsq_map *map);
uint64_t dsq_map_bytes(const struct dsq_map *map);
uint64_t dsq_map_evictions(const struct dsq_map *map);
uint64_t dsq_map_resizes(const struct dsq_map *map);
uint64_t dsq_map_slots(const struct dsq_map *map); /* inside a critical section */

#endif
