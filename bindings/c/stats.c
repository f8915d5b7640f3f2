/* Statistics of the C API, gathered from the layers. */
#include <string.h>

#include "bindings/c/handle.h"
#include "core/reclaim.h"

static int public_mode(enum dsq_tier_mode mode)
{
    switch (mode) {
    case DSQ_TIER_WRITETHROUGH:
        return DSQ_MODE_WRITETHROUGH;
    case DSQ_TIER_LAZY:
        return DSQ_MODE_LAZY;
    default:
        return DSQ_MODE_MEMORY;
    }
}

static void hot_stats(dsq_db *db, struct dsq_stats *stats)
{
    const struct dsq_map *map = &db->tier->map;

    stats->hot_records = dsq_map_records(map);
    stats->hot_bytes = dsq_map_bytes(map);
    stats->hits = dsq_tier_hits(db->tier);
    stats->misses = dsq_tier_misses(db->tier);
    stats->evictions = dsq_map_evictions(map);
    stats->retired_bytes = dsq_reclaim_bytes(db->tier->reclaim);
    stats->resizes = dsq_map_resizes(map);
    dsq_read_lock();
    stats->table_slots = dsq_map_slots(map);
    dsq_read_unlock();
}

static void commit_stats(struct dsq_committer *committer, struct dsq_stats *stats)
{
    struct dsq_committer_stats commit = {0};

    dsq_committer_stats(committer, &commit);
    stats->state = (int)commit.state;
    stats->last_error = commit.last_error;
    stats->queued_bytes = commit.queued_bytes;
    stats->commits = commit.commits;
    stats->commit_errors = commit.commit_errors;
    stats->folds = commit.folds;
    stats->seq = commit.seq;
    stats->durable_seq = commit.durable_seq;
    stats->wal_bytes = commit.wal_bytes;
}

void dsq_stats(dsq_db *db, struct dsq_stats *stats)
{
    struct dsq_committer *committer;
    uint64_t done = 0;

    if (stats == NULL) {
        return;
    }
    memset(stats, 0, sizeof *stats);
    if (dsq_handle_enter(db) != DSQ_OK) {
        return;
    }
    committer = db->tier->committer;
    stats->mode = public_mode(db->tier->mode);
    stats->records_known = dsq_tier_count_if_known(db->tier, &stats->records);
    if (committer != NULL) {
        done = dsq_committer_done(committer);
    }
    hot_stats(db, stats);
    if (committer != NULL) {
        /* Never less than when hot_records was read, which it bounds. */
        stats->unfolded = dsq_committer_pushed(committer) - done;
        commit_stats(committer, stats);
    }
}
