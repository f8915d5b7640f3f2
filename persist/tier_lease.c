/* The lease on a row: LOADING goes in, the row is read, LOADING comes out (persist/tier.h). */
#include "core/error.h"
#include "core/perturb.h"
#include "persist/tier_internal.h"

/* Where the key has no record: puts LOADING in, unless there is no room for it. */
static int place_own(struct dsq_tier *tier, struct dsq_table *shard, struct dsq_place *place,
                     struct dsq_bytes key, bool promote_always, struct dsq_lease *lease,
                     bool *retry)
{
    struct dsq_bytes none = {0};

    if (!promote_always &&
        (!dsq_map_has_room(&tier->map, shard) || dsq_reclaim_is_full(tier->reclaim))) {
        dsq_table_cancel(shard, place);
        return DSQ_OK;
    }
    /* READY: not to be settled, not to be evicted.  One reference for the table, one for us. */
    lease->placeholder =
        tier_record_new(tier, DSQ_RECORD_LOADING, DSQ_RECORD_READY, 2, place->hash, key, none);
    if (lease->placeholder == NULL) {
        dsq_table_cancel(shard, place);
        return DSQ_ERR_NOMEM;
    }
    if (!dsq_table_publish(shard, place, lease->placeholder)) {
        dsq_record_free(lease->placeholder);
        lease->placeholder = NULL;
        *retry = true;
        return DSQ_OK;
    }
    lease->own = true;
    return DSQ_OK;
}

/* Finds or makes the placeholder, or decides to read without one. */
static int place_lease(struct dsq_tier *tier, uint64_t hash, struct dsq_bytes key,
                       bool promote_always, struct dsq_lease *lease, bool *retry)
{
    struct dsq_table *shard = tier_shard(tier, hash);
    struct dsq_place place;
    int status;

    dsq_read_lock();
    status = dsq_table_locate(shard, hash, key, &place);
    if (status != DSQ_OK) {
        dsq_read_unlock();
        return status;
    }
    if (place.record == NULL) {
        status = place_own(tier, shard, &place, key, promote_always, lease, retry);
    } else {
        dsq_table_cancel(shard, &place);
        if (place.record->kind != DSQ_RECORD_LOADING) {
            *retry = true;
        } else if (promote_always) {
            /* Join it: the reference keeps its address from coming back as something else. */
            *retry = !dsq_record_try_acquire(place.record);
            lease->placeholder = *retry ? NULL : place.record;
        }
    }
    dsq_read_unlock();
    return status;
}

static int read_row(struct dsq_tier *tier, struct dsq_reader *reader, uint64_t hash,
                    struct dsq_bytes key, struct dsq_lease *lease, struct dsq_error *error)
{
    const struct dsq_store_ops *ops = tier->store->ops;
    struct dsq_bytes value = {0};
    int status = ops->reader_get(reader, key, &value, error);

    if (status == DSQ_OK || status == DSQ_ABSENT) {
        lease->row =
            tier_record_new(tier, status == DSQ_OK ? DSQ_RECORD_VALUE : DSQ_RECORD_TOMBSTONE,
                            DSQ_RECORD_CLEAN, 1, hash, key, value);
        status = lease->row != NULL
                     ? DSQ_OK
                     : dsq_error_set(error, DSQ_ERR_NOMEM, "out of memory for a value");
    }
    ops->reader_done(reader);
    dsq_perturb_read();
    return status;
}

int dsq_lease_begin(struct dsq_tier *tier, uint64_t hash, struct dsq_bytes key, bool promote_always,
                    struct dsq_lease *lease, bool *retry, struct dsq_error *error)
{
    const struct dsq_store_ops *ops = tier->store->ops;
    struct dsq_reader *reader;
    int status = ops->reader_acquire(tier->store, &reader, error);

    *lease = (struct dsq_lease){0};
    *retry = false;
    if (status != DSQ_OK) {
        return status;
    }
    status = place_lease(tier, hash, key, promote_always, lease, retry);
    if (status != DSQ_OK) {
        dsq_error_set(error, status, "out of memory for a read");
    } else if (!*retry) {
        dsq_perturb();
        status = read_row(tier, reader, hash, key, lease, error);
    }
    ops->reader_release(tier->store, reader);
    if (status != DSQ_OK || *retry) {
        dsq_lease_end(tier, lease);
    }
    return status;
}

bool dsq_lease_promote(struct dsq_tier *tier, struct dsq_table *shard, struct dsq_place *place,
                       struct dsq_lease *lease)
{
    bool promoted;

    dsq_record_try_acquire(lease->row); /* the table's; ours keeps it from failing */
    promoted = dsq_table_publish(shard, place, lease->row);
    if (promoted) {
        lease->own = false;
        tier_release(tier, lease->placeholder);
        dsq_map_trim(&tier->map, shard, dsq_record_bytes(lease->row));
    } else {
        tier_release(tier, lease->row);
    }
    return promoted;
}

/* An own placeholder that still stands must not stay: nobody else would take it out. */
static void take_out(struct dsq_tier *tier, struct dsq_record *placeholder)
{
    struct dsq_table *shard = tier_shard(tier, placeholder->hash);
    struct dsq_place place;
    bool done = false;

    dsq_read_lock();
    while (!done) {
        if (dsq_table_find(shard, placeholder->hash, dsq_record_key(placeholder)) != placeholder ||
            dsq_table_locate(shard, placeholder->hash, dsq_record_key(placeholder), &place) !=
                DSQ_OK) {
            break;
        }
        if (place.record != placeholder) {
            dsq_table_cancel(shard, &place);
            done = true;
        } else if (dsq_table_remove(shard, &place)) {
            tier_release(tier, placeholder);
            done = true;
        }
    }
    dsq_read_unlock();
}

void dsq_lease_end(struct dsq_tier *tier, struct dsq_lease *lease)
{
    if (lease->placeholder != NULL) {
        if (lease->own) {
            take_out(tier, lease->placeholder);
        }
        tier_release(tier, lease->placeholder);
    }
    if (lease->row != NULL) {
        tier_release(tier, lease->row);
    }
    *lease = (struct dsq_lease){0};
}
