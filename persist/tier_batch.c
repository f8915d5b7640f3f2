/*
 * A call with many keys: the writer's steps of persist/tier.h for a run of keys at a time, each run
 * one node of a group that the committer does not cut (persist/committer.h).
 */
#include <stdlib.h>

#include "core/error.h"
#include "core/platform.h"
#include "persist/tier_internal.h"

/* Keys that are located, queued and published within one critical section. */
#define RUN_MAX 128

/*
 * The operations that count, the last of each key, in their order: how many, with their places and
 * the hashes of their keys.
 */
struct distinct {
    size_t count;
    uint64_t bytes; /* that their records will occupy */
    size_t *places;
    uint64_t *hashes;
    uint32_t *index; /* while they are looked for: open addressing; 0: empty, else place + 1 */
    size_t index_mask;
};

static void distinct_fini(struct distinct *distinct)
{
    free(distinct->places);
    free(distinct->hashes);
    free(distinct->index);
}

static bool distinct_init(struct distinct *distinct, size_t count)
{
    size_t slots = dsq_next_power_of_two(2 * count);

    *distinct = (struct distinct){
        .places = malloc(count * sizeof *distinct->places),
        .hashes = malloc(count * sizeof *distinct->hashes),
        .index = calloc(slots, sizeof *distinct->index),
        .index_mask = slots - 1,
    };
    if (distinct->places == NULL || distinct->hashes == NULL || distinct->index == NULL) {
        distinct_fini(distinct);
        return false;
    }
    return true;
}

/* Puts an operation into the index unless one on its key is there. */
static bool is_first_seen(struct distinct *distinct, const struct dsq_operation *operations,
                          size_t place)
{
    uint64_t hash = distinct->hashes[place];
    size_t slot = hash & distinct->index_mask;

    for (; distinct->index[slot] != 0; slot = (slot + 1) & distinct->index_mask) {
        size_t other = distinct->index[slot] - 1;

        if (distinct->hashes[other] == hash &&
            dsq_bytes_compare(operations[other].key, operations[place].key) == 0) {
            return false;
        }
    }
    distinct->index[slot] = (uint32_t)place + 1;
    return true;
}

/* From the last to the first: the first that is seen of a key is the one that counts. */
static void find_distinct(struct dsq_tier *tier, const struct dsq_operation *operations,
                          size_t count, struct distinct *distinct)
{
    for (size_t i = count; i-- > 0;) {
        distinct->hashes[i] = dsq_hash(&tier->secret, operations[i].key);
        if (is_first_seen(distinct, operations, i)) {
            distinct->places[distinct->count++] = i;
            distinct->bytes +=
                dsq_record_footprint(operations[i].key.size, operations[i].value.size);
        }
    }
    for (size_t i = 0; i < distinct->count / 2; i++) {
        size_t other = distinct->places[i];

        distinct->places[i] = distinct->places[distinct->count - 1 - i];
        distinct->places[distinct->count - 1 - i] = other;
    }
}

static struct dsq_record *new_record(struct dsq_tier *tier, const struct dsq_operation *operation,
                                     uint64_t hash)
{
    enum dsq_record_kind kind = operation->is_delete ? DSQ_RECORD_TOMBSTONE : DSQ_RECORD_VALUE;

    return tier_record_new(tier, kind, DSQ_RECORD_PENDING, 2, hash, operation->key,
                           operation->value);
}

/* All records before the first is published, so that running out of memory finds nothing done. */
static struct dsq_record **new_records(struct dsq_tier *tier,
                                       const struct dsq_operation *operations,
                                       const struct distinct *distinct)
{
    struct dsq_record **records = calloc(distinct->count + 1, sizeof(struct dsq_record *));

    for (size_t i = 0; records != NULL && i < distinct->count; i++) {
        size_t place = distinct->places[i];

        records[i] = new_record(tier, &operations[place], distinct->hashes[place]);
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
    uint64_t hashes[RUN_MAX];

    for (size_t i = 0; i < count; i++) {
        hashes[i] = records[i]->hash;
    }
    tier_prefetch(tier, hashes, count);
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

/* The distinct operations as one group. */
static int apply_group(struct dsq_tier *tier, const struct dsq_operation *operations,
                       const struct distinct *distinct, struct dsq_error *error)
{
    struct dsq_record **records;
    struct dsq_group *group;
    int status = dsq_committer_admit(tier->committer, distinct->bytes, false, error);

    if (status != DSQ_OK) {
        return status;
    }
    records = new_records(tier, operations, distinct);
    group = records != NULL ? dsq_group_begin() : NULL;
    if (group == NULL) {
        for (size_t i = 0; records != NULL && i < distinct->count; i++) {
            dsq_record_free(records[i]);
        }
        free(records);
        dsq_committer_refund(tier->committer, distinct->bytes);
        return dsq_error_set(error, DSQ_ERR_NOMEM, "out of memory for a batch");
    }
    status = apply_records(tier, group, records, distinct->count, error);
    dsq_group_release(tier->committer, group);
    free(records);
    return status;
}

static int apply_persistent(struct dsq_tier *tier, const struct dsq_operation *operations,
                            size_t count, struct dsq_error *error)
{
    struct distinct distinct;
    int status;

    if (!distinct_init(&distinct, count)) {
        return dsq_error_set(error, DSQ_ERR_NOMEM, "out of memory for a batch");
    }
    find_distinct(tier, operations, count, &distinct);
    if (distinct.bytes > dsq_committer_queue_bytes(tier->committer)) {
        status = dsq_error_set(error, DSQ_ERR_TOO_BIG,
                               "a batch of %zu records and %llu bytes does not fit queue_bytes",
                               distinct.count, (unsigned long long)distinct.bytes);
    } else {
        if (dsq_reclaim_is_full(tier->reclaim)) {
            dsq_reclaim_wait(tier->reclaim);
        }
        status = apply_group(tier, operations, &distinct, error);
    }
    distinct_fini(&distinct);
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
                     ? dsq_tier_change(tier, operation->key, &delete, DSQ_WAITS, NULL, error)
                     : dsq_tier_put(tier, operation->key, operation->value, DSQ_WAITS, error);
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
    if (count >= UINT32_MAX) {
        return dsq_error_set(error, DSQ_ERR_TOO_BIG, "a batch of %zu operations is too long",
                             count);
    }
    return apply_persistent(tier, operations, count, error);
}
