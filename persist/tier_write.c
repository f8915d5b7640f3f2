/* One write: room, record, publication, durability. */
#include "core/error.h"
#include "core/perturb.h"
#include "persist/tier_internal.h"

/* References of a new record: the table's, the queue's, and the waiting writer's. */
static uint32_t references_for(const struct dsq_tier *tier, bool durable)
{
    if (tier->committer == NULL) {
        return 1;
    }
    return durable ? 3 : 2;
}

static int wait_for_room(struct dsq_tier *tier, uint64_t bytes, bool nowait,
                         struct dsq_error *error)
{
    if (dsq_reclaim_is_full(tier->reclaim)) {
        if (nowait) {
            return DSQ_WOULD_BLOCK;
        }
        dsq_reclaim_wait(tier->reclaim);
    }
    if (tier->committer == NULL) {
        return DSQ_OK;
    }
    return dsq_committer_admit(tier->committer, bytes, nowait, error);
}

static void refund(struct dsq_tier *tier, uint64_t bytes)
{
    if (tier->committer != NULL) {
        dsq_committer_refund(tier->committer, bytes);
    }
}

int dsq_write_begin(struct dsq_tier *tier, enum dsq_record_kind kind, uint64_t hash,
                    struct dsq_bytes key, struct dsq_bytes value, enum dsq_patience patience,
                    struct dsq_write *write, struct dsq_error *error)
{
    uint64_t bytes = dsq_record_footprint(key.size, value.size);
    enum dsq_record_state state = tier->committer != NULL ? DSQ_RECORD_PENDING : DSQ_RECORD_CLEAN;
    int status;

    write->durable = tier->mode == DSQ_TIER_WRITETHROUGH && patience != DSQ_SUBMITS;
    write->quiet = tier->mode == DSQ_TIER_WRITETHROUGH && patience == DSQ_SUBMITS;
    if (tier->readonly) {
        return dsq_error_set(error, DSQ_ERR_READONLY, "the store was opened read-only");
    }
    if (patience == DSQ_NOWAIT && write->durable) {
        return DSQ_WOULD_BLOCK;
    }
    status = wait_for_room(tier, bytes, patience != DSQ_WAITS, error);
    if (status != DSQ_OK) {
        return status;
    }
    write->record =
        tier_record_new(tier, kind, state, references_for(tier, write->durable), hash, key, value);
    if (write->record == NULL) {
        refund(tier, bytes);
        return dsq_error_set(error, DSQ_ERR_NOMEM, "out of memory for a record of %zu bytes",
                             (size_t)bytes);
    }
    return DSQ_OK;
}

void dsq_write_cancel(struct dsq_tier *tier, struct dsq_write *write)
{
    if (write->record != NULL) {
        refund(tier, dsq_record_bytes(write->record));
        dsq_record_free(write->record);
        write->record = NULL;
    }
}

/* Step 4 after a failed publication: the record is VOID, a fresh one goes on in its place. */
static int renew(struct dsq_tier *tier, struct dsq_write *write)
{
    struct dsq_record *failed = write->record;

    write->record = dsq_record_renew(failed, references_for(tier, write->durable));
    if (write->record == NULL) {
        refund(tier, dsq_record_bytes(failed));
    }
    tier_release(tier, failed); /* the reference meant for the table */
    if (write->durable) {
        tier_release(tier, failed);
    }
    return write->record != NULL ? DSQ_EXISTS : DSQ_ERR_NOMEM;
}

static void push(struct dsq_tier *tier, const struct dsq_write *write)
{
    if (write->quiet) {
        dsq_committer_push_quietly(tier->committer, write->record);
    } else {
        dsq_committer_push(tier->committer, write->record);
    }
}

int dsq_write_try(struct dsq_tier *tier, struct dsq_table *shard, struct dsq_place *place,
                  struct dsq_write *write)
{
    struct dsq_record *replaced = place->record;

    tier_settle(tier, replaced);
    dsq_perturb();
    if (tier->committer != NULL) {
        push(tier, write);
        dsq_perturb();
    }
    if (!dsq_table_publish(shard, place, write->record)) {
        return tier->committer != NULL ? renew(tier, write) : DSQ_EXISTS;
    }
    dsq_perturb();
    tier_settle(tier, write->record);
    if (replaced != NULL) {
        tier_release(tier, replaced);
    }
    dsq_map_trim(&tier->map, shard, dsq_record_bytes(write->record));
    return DSQ_OK;
}

int dsq_write_end(struct dsq_tier *tier, struct dsq_write *write, struct dsq_error *error)
{
    int status = DSQ_OK;

    if (write->durable) {
        status = tier_wait(tier, write->record, error);
        tier_release(tier, write->record);
    }
    return status;
}

int dsq_tier_put(struct dsq_tier *tier, struct dsq_bytes key, struct dsq_bytes value,
                 enum dsq_patience patience, struct dsq_error *error)
{
    uint64_t hash = dsq_hash(&tier->secret, key);
    struct dsq_table *shard = tier_shard(tier, hash);
    struct dsq_write write;
    int status = dsq_write_begin(tier, DSQ_RECORD_VALUE, hash, key, value, patience, &write, error);

    if (status != DSQ_OK) {
        return status;
    }
    dsq_read_lock();
    do {
        struct dsq_place place;

        status = dsq_table_locate(shard, hash, key, &place);
        if (status == DSQ_OK) {
            status = dsq_write_try(tier, shard, &place, &write);
        }
    } while (status == DSQ_EXISTS);
    dsq_read_unlock();
    if (status != DSQ_OK) {
        dsq_write_cancel(tier, &write);
        return dsq_error_set(error, status, "out of memory for the hash table");
    }
    return dsq_write_end(tier, &write, error);
}
