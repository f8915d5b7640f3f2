/*
 * A call with many keys: the writer's steps of persist/tier.h for a run of keys at a time, each run
 * one node of a group that the committer does not cut (persist/committer.h).
 */
#include <stdlib.h>

#include "core/error.h"
#include "persist/tier_internal.h"

/* Keys that are located, queued and published within one critical section. */
#define RUN_MAX 128

static struct dsq_record *new_record(struct dsq_tier *tier, const struct dsq_operation *operation)
{
    enum dsq_record_kind kind = operation->is_delete ? DSQ_RECORD_TOMBSTONE : DSQ_RECORD_VALUE;

    return tier_record_new(tier, kind, DSQ_RECORD_PENDING, 2,
                           dsq_hash(&tier->secret, operation->key), operation->key,
                           operation->value);
}

static uint64_t footprint(const struct dsq_operation *operations, size_t count)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < count; i++) {
        bytes += dsq_record_footprint(operations[i].key.size, operations[i].value.size);
    }
    return bytes;
}

/* All records before the first is published, so that running out of memory finds nothing done. */
static struct dsq_record **new_records(struct dsq_tier *tier,
                                       const struct dsq_operation *operations, size_t count)
{
    struct dsq_record **records = calloc(count, sizeof(struct dsq_record *));

    for (size_t i = 0; records != NULL && i < count; i++) {
        records[i] = new_record(tier, &operations[i]);
        if (records[i] == NULL) {
            while (i > 0) {
                dsq_record_free(records[--i]);
            }
            free(records);
            records = NULL;
        }
    }
    return records;
}

/* Step 1 for a run: how many could be located. */
static size_t locate_run(struct dsq_tier *tier, struct dsq_record *const *records, size_t count,
                         struct dsq_place *places)
{
    for (size_t i = 0; i < count; i++) {
        const struct dsq_record *record = records[i];

        if (dsq_table_locate(tier_shard(tier, record->hash), record->hash, dsq_record_key(record),
                             &places[i]) != DSQ_OK) {
            return i;
        }
        tier_settle(tier, places[i].record);
    }
    return count;
}

/*
 * Steps 3 and 4 for a run: what could not be published is renewed and moved to the front of the
 * run.  Returns how many those are.
 */
static size_t publish_run(struct dsq_tier *tier, struct dsq_record **records, size_t count,
                          struct dsq_place *places, bool *out_of_memory)
{
    size_t failed = 0;

    for (size_t i = 0; i < count; i++) {
        struct dsq_record *record = records[i];
        struct dsq_table *shard = tier_shard(tier, record->hash);

        if (dsq_table_publish(shard, &places[i], record)) {
            tier_settle(tier, record);
            if (places[i].record != NULL) {
                tier_release(tier, places[i].record);
            }
            dsq_map_trim(&tier->map, shard, dsq_record_bytes(record));
            continue;
        }
        records[failed] = dsq_record_renew(record, 2);
        if (records[failed] != NULL) {
            failed++;
        } else {
            *out_of_memory = true;
            dsq_committer_refund(tier->committer, dsq_record_bytes(record));
        }
        tier_release(tier, record);
    }
    return failed;
}

/* Gives up records that were not queued. */
static void give_up(struct dsq_tier *tier, struct dsq_record **records, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        dsq_committer_refund(tier->committer, dsq_record_bytes(records[i]));
        dsq_record_free(records[i]);
    }
}

/* Publishes one run within one critical section; DSQ_ERR_NOMEM if a part could not be. */
static int apply_run(struct dsq_tier *tier, struct dsq_group *group, struct dsq_record **records,
                     size_t count)
{
    struct dsq_place places[RUN_MAX];
    bool out_of_memory = false;

    dsq_read_lock();
    while (count > 0) {
        size_t located = locate_run(tier, records, count, places);

        if (located < count || dsq_group_push(tier->committer, group, records, count) != DSQ_OK) {
            for (size_t i = 0; i < located; i++) {
                dsq_table_cancel(tier_shard(tier, records[i]->hash), &places[i]);
            }
            give_up(tier, records, count);
            out_of_memory = true;
            break;
        }
        count = publish_run(tier, records, count, places, &out_of_memory);
    }
    dsq_read_unlock();
    return out_of_memory ? DSQ_ERR_NOMEM : DSQ_OK;
}

static int apply_records(struct dsq_tier *tier, struct dsq_group *group,
                         struct dsq_record **records, size_t count, struct dsq_error *error)
{
    int status = DSQ_OK;

    for (size_t i = 0; i < count; i += RUN_MAX) {
        size_t run = count - i < RUN_MAX ? count - i : RUN_MAX;

        if (status == DSQ_OK) {
            status = apply_run(tier, group, records + i, run);
        } else {
            give_up(tier, records + i, run);
        }
    }
    dsq_group_end(tier->committer, group);
    if (status != DSQ_OK) {
        return dsq_error_set(error, status, "out of memory: a part of the batch was applied");
    }
    if (tier->mode == DSQ_TIER_WRITETHROUGH) {
        status = dsq_group_wait(tier->committer, group, DSQ_NO_DEADLINE, error);
    }
    return status;
}

static int apply_persistent(struct dsq_tier *tier, const struct dsq_operation *operations,
                            size_t count, struct dsq_error *error)
{
    uint64_t bytes = footprint(operations, count);
    struct dsq_record **records;
    struct dsq_group *group;
    int status;

    if (dsq_reclaim_is_full(tier->reclaim)) {
        dsq_reclaim_wait(tier->reclaim);
    }
    status = dsq_committer_admit(tier->committer, bytes, false, error);
    if (status != DSQ_OK) {
        return status;
    }
    records = new_records(tier, operations, count);
    group = records != NULL ? dsq_group_begin() : NULL;
    if (group == NULL) {
        for (size_t i = 0; records != NULL && i < count; i++) {
            dsq_record_free(records[i]);
        }
        free(records);
        dsq_committer_refund(tier->committer, bytes);
        return dsq_error_set(error, DSQ_ERR_NOMEM, "out of memory for a batch");
    }
    status = apply_records(tier, group, records, count, error);
    dsq_group_release(tier->committer, group);
    free(records);
    return status;
}

static int apply_in_memory(struct dsq_tier *tier, const struct dsq_operation *operations,
                           size_t count, struct dsq_error *error)
{
    static const struct dsq_change delete = {
        .condition = dsq_if_present,
        .kind = DSQ_RECORD_TOMBSTONE,
    };
    int status = DSQ_OK;

    for (size_t i = 0; i < count && status >= 0; i++) {
        const struct dsq_operation *operation = &operations[i];

        status = operation->is_delete
                     ? dsq_tier_change(tier, operation->key, &delete, false, NULL, error)
                     : dsq_tier_put(tier, operation->key, operation->value, false, error);
    }
    return status < 0 ? status : DSQ_OK;
}

int dsq_tier_apply(struct dsq_tier *tier, const struct dsq_operation *operations, size_t count,
                   struct dsq_error *error)
{
    if (tier->readonly) {
        return dsq_error_set(error, DSQ_ERR_READONLY, "the store was opened read-only");
    }
    if (count == 0) {
        return DSQ_OK;
    }
    if (tier->committer == NULL) {
        return apply_in_memory(tier, operations, count, error);
    }
    if (footprint(operations, count) > dsq_committer_queue_bytes(tier->committer)) {
        return dsq_error_set(error, DSQ_ERR_TOO_BIG,
                             "a batch of %zu operations and %llu bytes does not fit queue_bytes",
                             count, (unsigned long long)footprint(operations, count));
    }
    return apply_persistent(tier, operations, count, error);
}
