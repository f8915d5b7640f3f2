/* Opening, closing, and what concerns the dictionary as a whole. */
#include "persist/tier.h"

#include <stdlib.h>

#include "core/error.h"
#include "core/thread.h"
#include "persist/recovery.h"
#include "persist/tier_internal.h"

struct dsq_tier_stripe *dsq_tier_stripe(struct dsq_tier *tier)
{
    return &tier->stripes[dsq_thread_number() % DSQ_TIER_STRIPES];
}

static bool starts_complete(const struct dsq_tier_config *config, struct dsq_store *store)
{
    return store == NULL || (!config->readonly && store->ops->count(store) == 0);
}

static int open_hot(struct dsq_tier *tier, const struct dsq_tier_config *config,
                    struct dsq_store *store, struct dsq_error *error)
{
    struct dsq_map_config map = {
        .capacity = config->hot_capacity,
        .bytes = config->hot_bytes,
        .complete = starts_complete(config, store),
        .commits = store != NULL && !config->readonly,
    };
    int status = dsq_hash_secret_init(&tier->secret, error);

    if (status != DSQ_OK) {
        return status;
    }
    status = dsq_reclaim_new(dsq_tier_retired_cap_bytes(), &tier->reclaim, error);
    if (status != DSQ_OK) {
        return status;
    }
    if (dsq_map_init(&tier->map, &map, tier->reclaim) != DSQ_OK) {
        dsq_reclaim_destroy(tier->reclaim);
        return dsq_error_set(error, DSQ_ERR_NOMEM, "out of memory for the hash tables");
    }
    return DSQ_OK;
}

static void close_hot(struct dsq_tier *tier)
{
    dsq_map_fini(&tier->map);
    dsq_reclaim_destroy(tier->reclaim);
}

/* What a crash has left in the journal is folded, or, where nothing may be written, refused. */
static int recover(const struct dsq_tier_config *config, struct dsq_store *store,
                   struct dsq_error *error)
{
    int status;

    if (store == NULL) {
        return DSQ_OK;
    }
    if (!config->readonly) {
        return dsq_recover(store, error);
    }
    status = dsq_recovery_is_needed(store, error);
    if (status == DSQ_EXISTS) {
        status = dsq_error_set(error, DSQ_ERR_READONLY,
                               "a crash has left writes in the journal: open the file for writing "
                               "once, which recovers them");
    }
    return status;
}

int dsq_tier_open(const struct dsq_tier_config *config, struct dsq_store *store,
                  struct dsq_tier **tier, struct dsq_error *error)
{
    struct dsq_tier *made;
    int status = recover(config, store, error);

    if (status != DSQ_OK) {
        return status;
    }
    made = aligned_alloc(DSQ_CACHE_LINE_BYTES, sizeof *made);
    if (made == NULL) {
        return dsq_error_set(error, DSQ_ERR_NOMEM, "out of memory for the handle");
    }
    memset(made, 0, sizeof *made);
    made->mode = config->mode;
    made->readonly = config->readonly;
    made->cache_absence = config->hot_capacity != UINT64_MAX;
    made->store = store;
    status = open_hot(made, config, store, error);
    if (status == DSQ_OK && tier_persists(made) && !made->readonly) {
        status = dsq_committer_new(&config->committer, store, &made->map, &made->committer, error);
        if (status != DSQ_OK) {
            close_hot(made);
        }
    }
    if (status != DSQ_OK) {
        free(made);
        return status;
    }
    *tier = made;
    return DSQ_OK;
}

/* The whole WAL into the main file. */
static int checkpoint(struct dsq_store *store, void *context, struct dsq_error *error)
{
    (void)context;
    return store->ops->checkpoint(store, true, error);
}

int dsq_tier_close(struct dsq_tier *tier, struct dsq_error *error)
{
    int status = tier->committer != NULL ? dsq_committer_revive(tier->committer, error) : DSQ_OK;

    if (status == DSQ_OK) {
        status = dsq_tier_fold(tier, error);
    }
    if (status == DSQ_OK && tier->committer != NULL) {
        status = dsq_committer_do(tier->committer, checkpoint, NULL, error);
    }
    if (status == DSQ_OK) {
        dsq_tier_abandon(tier);
    }
    return status;
}

void dsq_tier_abandon(struct dsq_tier *tier)
{
    if (tier->committer != NULL) {
        dsq_committer_destroy(tier->committer);
    }
    close_hot(tier);
    if (tier->store != NULL) {
        /* What was committed is in the main file or in the WAL, which the next open reads. */
        (void)tier->store->ops->close(tier->store, NULL);
    }
    free(tier);
}

void dsq_tier_leave_to_parent(struct dsq_tier *tier)
{
    if (tier->store != NULL) {
        tier->store->ops->abandon(tier->store);
        tier->store = NULL;
    }
}

int dsq_tier_flush(struct dsq_tier *tier, uint64_t deadline_ns, struct dsq_error *error)
{
    if (tier->committer == NULL) {
        return DSQ_OK;
    }
    return dsq_committer_flush(tier->committer, deadline_ns, error);
}

int dsq_tier_notify(struct dsq_tier *tier, struct dsq_notice *notice, struct dsq_error *error)
{
    return tier->committer != NULL ? dsq_committer_notify(tier->committer, notice, error) : DSQ_OK;
}

int dsq_tier_watch(struct dsq_tier *tier, struct dsq_error *error)
{
    return tier->committer != NULL ? dsq_committer_watch(tier->committer, error) : DSQ_OK;
}

int dsq_tier_fold(struct dsq_tier *tier, struct dsq_error *error)
{
    int status = dsq_tier_flush(tier, DSQ_NO_DEADLINE, error);

    if (status == DSQ_OK && tier->committer != NULL) {
        status = dsq_committer_fold(tier->committer, error);
    }
    return status;
}

int dsq_tier_resume(struct dsq_tier *tier, struct dsq_error *error)
{
    if (tier->committer == NULL) {
        return DSQ_OK;
    }
    return dsq_committer_resume(tier->committer, error);
}

/*
 * The hot tier's own count, if it holds everything, else DSQ_WOULD_BLOCK: asked again after counting,
 * since an eviction says so before it changes the count.
 */
static int count_hot(const struct dsq_tier *tier, uint64_t *count)
{
    int status = DSQ_WOULD_BLOCK;

    if (tier_knows_absence(tier)) {
        status = dsq_map_count(&tier->map, count);
    }
    return status == DSQ_OK && !tier_knows_absence(tier) ? DSQ_WOULD_BLOCK : status;
}

bool dsq_tier_count_if_known(struct dsq_tier *tier, uint64_t *count)
{
    if (count_hot(tier, count) == DSQ_OK &&
        (tier->mode != DSQ_TIER_WRITETHROUGH || dsq_committer_is_idle(tier->committer))) {
        return true;
    }
    if (tier->store == NULL) {
        return false;
    }
    if (tier->committer == NULL || dsq_committer_is_folded(tier->committer)) {
        *count = tier->store->ops->count(tier->store);
        return true;
    }
    return false;
}

int dsq_tier_count(struct dsq_tier *tier, uint64_t *count, struct dsq_error *error)
{
    int status;

    if (dsq_tier_count_if_known(tier, count)) {
        return DSQ_OK;
    }
    if (tier->store == NULL) {
        return dsq_error_set(error, DSQ_ERR_NOMEM, "out of memory for counting");
    }
    /* In writethrough mode what was counted may not be taken back by a crash. */
    if (count_hot(tier, count) == DSQ_OK) {
        return dsq_tier_flush(tier, DSQ_NO_DEADLINE, error);
    }
    status = dsq_tier_flush(tier, DSQ_NO_DEADLINE, error);
    if (status == DSQ_OK) {
        status = dsq_committer_count(tier->committer, count, error);
    }
    if (status == DSQ_WOULD_BLOCK) {
        status = dsq_tier_fold(tier, error);
        *count = tier->store->ops->count(tier->store);
    }
    return status;
}

uint64_t dsq_tier_hits(const struct dsq_tier *tier)
{
    uint64_t sum = 0;

    for (int i = 0; i < DSQ_TIER_STRIPES; i++) {
        sum += dsq_load_relaxed(&tier->stripes[i].hits);
    }
    return sum;
}

uint64_t dsq_tier_misses(const struct dsq_tier *tier)
{
    uint64_t sum = 0;

    for (int i = 0; i < DSQ_TIER_STRIPES; i++) {
        sum += dsq_load_relaxed(&tier->stripes[i].misses);
    }
    return sum;
}
