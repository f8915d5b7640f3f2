/* Look-ups: hits, misses, and the lease on a row that is being read. */
#include "core/error.h"
#include "persist/tier_internal.h"

int dsq_tier_peek(struct dsq_tier *tier, struct dsq_bytes key, struct dsq_record **record)
{
    int status = tier_glance(tier, dsq_hash(&tier->secret, key), key, record);

    if (status != DSQ_WOULD_BLOCK) {
        tier_count_hits(tier, 1);
    }
    return status;
}

struct dsq_record *dsq_tier_pin_found(struct dsq_tier *tier, uint64_t hash, struct dsq_bytes key,
                                      bool *absent)
{
    struct dsq_table *shard = tier_shard(tier, hash);

    *absent = false;
    for (;;) {
        struct dsq_record *found = dsq_table_find(shard, hash, key);

        if (found == NULL || found->kind == DSQ_RECORD_LOADING) {
            *absent = found == NULL && tier_knows_absence(tier);
            return NULL;
        }
        /* Refused only if the record has been replaced or evicted since: look again. */
        if (dsq_record_try_acquire(found)) {
            dsq_record_touch(found);
            tier_settle(tier, found);
            return found;
        }
    }
}

static struct dsq_record *pin_once(struct dsq_tier *tier, uint64_t hash, struct dsq_bytes key,
                                   bool *absent)
{
    struct dsq_record *record;

    dsq_read_lock();
    record = dsq_tier_pin_found(tier, hash, key, absent);
    dsq_read_unlock();
    return record;
}

int dsq_tier_pin_hot(struct dsq_tier *tier, struct dsq_bytes key, struct dsq_record **record,
                     struct dsq_error *error)
{
    bool absent;
    int status;

    *record = pin_once(tier, dsq_hash(&tier->secret, key), key, &absent);
    if (*record == NULL) {
        return DSQ_OK;
    }
    status = tier_wait(tier, *record, error);
    if (status != DSQ_OK) {
        tier_release(tier, *record);
        *record = NULL;
    }
    return status;
}

int dsq_tier_outcome(struct dsq_tier *tier, struct dsq_record **record, struct dsq_error *error)
{
    int status = tier_wait(tier, *record, error);

    if (status == DSQ_OK && (*record)->kind != DSQ_RECORD_VALUE) {
        status = DSQ_ABSENT;
    }
    if (status != DSQ_OK) {
        tier_release(tier, *record);
        *record = NULL;
    }
    return status;
}

/*
 * Publishes the row over the placeholder of the lease, if that still stands; false if not.  What is
 * not worth a place (an absence in an unbounded hot tier) just takes the placeholder out.
 */
static bool promote(struct dsq_tier *tier, uint64_t hash, struct dsq_bytes key,
                    struct dsq_lease *lease)
{
    struct dsq_table *shard = tier_shard(tier, hash);
    struct dsq_place place;
    bool promoted = false;

    dsq_read_lock();
    if (dsq_table_locate(shard, hash, key, &place) != DSQ_OK) {
        dsq_read_unlock();
        return false;
    }
    if (place.record != lease->placeholder) {
        dsq_table_cancel(shard, &place);
    } else if (lease->row->kind == DSQ_RECORD_VALUE || tier->cache_absence) {
        promoted = dsq_lease_promote(tier, shard, &place, lease);
    } else if (dsq_table_remove(shard, &place)) {
        promoted = true;
        lease->own = false;
        tier_release(tier, lease->placeholder);
    }
    dsq_read_unlock();
    return promoted;
}

/* One attempt at a miss; *retry if the key got a record meanwhile. */
static int load(struct dsq_tier *tier, uint64_t hash, struct dsq_bytes key,
                struct dsq_record **record, bool *retry, struct dsq_error *error)
{
    struct dsq_lease lease;
    int status = dsq_lease_begin(tier, hash, key, false, &lease, retry, error);

    if (status != DSQ_OK || *retry) {
        return status;
    }
    *retry = lease.placeholder != NULL && !promote(tier, hash, key, &lease);
    if (*retry) {
        dsq_lease_end(tier, &lease);
        return DSQ_OK;
    }
    *record = lease.row;
    lease.row = NULL;
    dsq_lease_end(tier, &lease);
    return dsq_tier_outcome(tier, record, error);
}

int dsq_tier_pin(struct dsq_tier *tier, struct dsq_bytes key, struct dsq_record **record,
                 struct dsq_error *error)
{
    uint64_t hash = dsq_hash(&tier->secret, key);
    bool retry = true;
    int status = DSQ_OK;

    while (retry) {
        bool absent;

        *record = pin_once(tier, hash, key, &absent);
        if (*record != NULL || absent) {
            tier_count_hits(tier, 1);
            return absent ? DSQ_ABSENT : dsq_tier_outcome(tier, record, error);
        }
        retry = false;
        status = load(tier, hash, key, record, &retry, error);
    }
    tier_count_miss(tier);
    return status;
}
