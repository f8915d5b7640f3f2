/*
 * CLOCK eviction (Corbató, 1968), with a 2-bit counter a record: a close approximation of LRU whose
 * hits write nothing shared once a record is hot.
 *
 * The hand walks the slots of a shard in table order, one group for each step taken by an atomic
 * addition, so that several evictors sweep different groups.  A CLEAN record at 0 is the victim;
 * above 0 it is counted down: a second chance.  A lost race for a victim means that it was just
 * used or changed: skip it.  The sweep is capped: after DSQ_CLOCK_SWEEP_MAX occupied slots the record
 * with the lowest count seen goes.  Without a cap one insertion walks the whole table when all
 * counters are up; and when nothing is CLEAN it would walk for ever.
 *
 * Once the hand has gone round the whole table without meeting a CLEAN record, nobody sweeps before
 * the next commit (pinned_epoch): with a slow disk every insertion would pay for it in vain.  Not so
 * if it may have found nothing because the table is sparse or being moved.
 *
 * A key that was evicted lately starts with the highest count when it comes back (core/ghost.h).
 *
 * While the table migrates, the hand goes through the part of the root not yet moved and through
 * what the rest has become in `next`, where a victim's old slot is made final first (S3 of
 * core/table_internal.h); the root that follows takes over the hand's position.  Were only the
 * unmoved part swept, or every generation from its beginning, position would decide more than use.
 * A sparse table is replaced by a smaller one.
 */
#ifndef DSQ_CORE_CLOCK_H
#define DSQ_CORE_CLOCK_H

#include <stdint.h>

#include "core/shard_map.h"

/* Records that one sweep inspects at most. */
#define DSQ_CLOCK_SWEEP_MAX 32

/*
 * Evicts one CLEAN record of the shard and returns its size in bytes; 0 if none was found, or if the
 * race for each was lost.
 * Lock-free, inside a critical section.  Linearization point of the eviction: the compare-and-swap
 * of the slot.
 */
uint64_t dsq_clock_evict(struct dsq_map *map, struct dsq_table *shard);

/* Evicts what is CLEAN now, all of it.  Outside critical sections. */
void dsq_clock_evict_all(struct dsq_map *map, struct dsq_table *shard);

#endif
