/* When to fold, for how long at a time, and what becomes of the records that kv has. */
#include "core/perturb.h"
#include "core/platform.h"
#include "core/reclaim.h"
#include "persist/committer_internal.h"

/* Records finished in one critical section. */
#define FINISH_STRIDE 64
/* A step lasts as long as the last commit did, but within these; the upper one if nobody waits. */
#define STEP_NS_MIN (UINT64_C(100) * 1000)
#define STEP_NS_MAX (UINT64_C(10) * 1000 * 1000)

bool dsq_committer_wants_fold(const struct dsq_committer *committer)
{
    const struct dsq_committer_config *config = &committer->config;
    const struct dsq_fold *fold = &committer->fold;

    if (dsq_fold_is_under_way(fold)) {
        return true;
    }
    if (fold->open.count == 0) {
        return false;
    }
    return (config->fold_bytes != 0 && fold->open_bytes >= config->fold_bytes) ||
           (config->fold_records != 0 && fold->open.count >= config->fold_records) ||
           dsq_load_seq_cst(&committer->room_waiters) > 0 ||
           dsq_load_seq_cst(&committer->fold_target) > fold->folded_seq ||
           dsq_now_ns() >= dsq_committer_fold_deadline(committer);
}

uint64_t dsq_committer_fold_deadline(const struct dsq_committer *committer)
{
    const struct dsq_committer_config *config = &committer->config;

    if (committer->fold.open.count == 0 || config->fold_idle_ms == 0) {
        return DSQ_NO_DEADLINE;
    }
    return committer->committed_at_ns + config->fold_idle_ms * DSQ_NS_PER_MS;
}

/* How a step is paced, and what it has applied. */
struct pace {
    struct dsq_committer *committer;
    uint64_t start_ns;
    uint64_t share_ns; /* for how long it may keep a commit waiting */
    uint64_t bytes;    /* of the records applied */
};

static bool is_enough(void *context)
{
    const struct pace *pace = context;
    uint64_t passed_ns = dsq_now_ns() - pace->start_ns;

    return passed_ns >= STEP_NS_MAX ||
           (passed_ns >= pace->share_ns && dsq_committer_is_due(pace->committer));
}

/*
 * Unlinks a tombstone that is CLEAN: absent is what kv says as well.  Needed where CLOCK does not
 * come by: in a hot tier without bound, and in a complete one, which need not remember absences.
 */
static void unlink_tombstone(struct dsq_map *map, struct dsq_record *record)
{
    struct dsq_table *shard = dsq_map_shard(map, record->hash);
    struct dsq_place place;

    if (map->shard_capacity != INT64_MAX && !dsq_map_is_complete(map)) {
        return;
    }
    if (dsq_table_find(shard, record->hash, dsq_record_key(record)) != record ||
        dsq_table_locate(shard, record->hash, dsq_record_key(record), &place) != DSQ_OK) {
        return;
    }
    if (place.record != record) {
        dsq_table_cancel(shard, &place);
    } else if (dsq_table_remove(shard, &place)) {
        dsq_record_release(map->reclaim, record);
    }
}

/* Gives back what the queue held of one record; returns the bytes to refund. */
static uint64_t finish_record(struct dsq_map *map, struct dsq_record *record)
{
    uint64_t bytes = dsq_record_bytes(record);

    if (record->kind == DSQ_RECORD_TOMBSTONE) {
        unlink_tombstone(map, record);
    }
    dsq_map_trim(map, dsq_map_shard(map, record->hash), bytes);
    dsq_record_release(map->reclaim, record);
    return bytes;
}

/*
 * Records count as unfolded until the hot tier has been trimmed for them, so that what is not
 * counted as unfolded never exceeds the hot tier's capacity.
 */
static void finish_stride(struct pace *pace, const struct dsq_fold_entry *entries, size_t count)
{
    struct dsq_committer *committer = pace->committer;

    dsq_read_lock();
    for (size_t i = 0; i < count; i++) {
        pace->bytes += finish_record(committer->map, entries[i].record);
    }
    dsq_read_unlock();
    dsq_add_seq_cst(&committer->done, count);
}

static void applied(void *context, const struct dsq_fold_entry *entries, size_t count)
{
    struct pace *pace = context;

    for (size_t i = 0; i < count; i++) {
        dsq_record_move(entries[i].record, DSQ_RECORD_DURABLE, DSQ_RECORD_CLEAN);
    }
    dsq_perturb();
    dsq_map_advance_clean_epoch(pace->committer->map);
    for (size_t i = 0; i < count; i += FINISH_STRIDE) {
        size_t more = count - i < FINISH_STRIDE ? count - i : FINISH_STRIDE;

        finish_stride(pace, entries + i, more);
    }
}

static uint64_t share_of(uint64_t commit_ns)
{
    if (commit_ns < STEP_NS_MIN) {
        return STEP_NS_MIN;
    }
    return commit_ns < STEP_NS_MAX ? commit_ns : STEP_NS_MAX;
}

int dsq_committer_fold_step(struct dsq_committer *committer, struct dsq_error *error)
{
    struct dsq_fold *fold = &committer->fold;
    struct pace pace = {.committer = committer,
                        .start_ns = dsq_now_ns(),
                        .share_ns = share_of(dsq_load_relaxed(&committer->commit_ns))};
    const struct dsq_fold_step step = {is_enough, applied, &pace};
    int status = dsq_fold_start(fold, error);

    if (status == DSQ_OK) {
        status = dsq_fold_advance(fold, committer->store, &step, error);
    }
    if (pace.bytes != 0) {
        dsq_committer_refund(committer, pace.bytes);
    }
    return status;
}

/* Look-ups for a count, as many as take a few milliseconds. */
#define COUNT_MOST 4096

struct counting {
    struct dsq_committer *committer;
    uint64_t count;
};

/*
 * Once between two folds: whoever goes on counting while he writes would look the same keys up again and
 * again.
 */
static int count_rows(struct dsq_store *store, void *context, struct dsq_error *error)
{
    struct counting *counting = context;
    struct dsq_committer *committer = counting->committer;

    if (committer->counted && committer->fold.open.count != 0) {
        return DSQ_WOULD_BLOCK;
    }
    committer->counted = true;
    return dsq_fold_count(&committer->fold, store, COUNT_MOST, &counting->count, error);
}

int dsq_committer_count(struct dsq_committer *committer, uint64_t *count, struct dsq_error *error)
{
    struct counting counting = {.committer = committer};
    int status = dsq_committer_do(committer, count_rows, &counting, error);

    *count = counting.count;
    return status;
}

void dsq_committer_note_folded(struct dsq_committer *committer)
{
    const struct dsq_fold *fold = &committer->fold;

    if (fold->folds != dsq_load_relaxed(&committer->folds)) {
        committer->counted = false;
        dsq_store_relaxed(&committer->folds, fold->folds);
        dsq_store_seq_cst(&committer->folded_seq, fold->folded_seq);
        dsq_event_signal(&committer->progress);
    }
}
