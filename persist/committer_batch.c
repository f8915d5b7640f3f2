/* From the queue to a transaction and back to the writers. */
#include <stdlib.h>

#include "core/error.h"
#include "core/perturb.h"
#include "core/platform.h"
#include "core/reclaim.h"
#include "persist/committer_internal.h"
#include "persist/hooks.h"

/* Records of one transaction, unless a group is larger. */
#define BATCH_RECORDS_MAX 65536

static struct dsq_record *record_of(struct dsq_mpsc_node *node)
{
    return (struct dsq_record *)node;
}

/* The records that a node stands for: as counted when it was pushed. */
static uint64_t weight_of(const struct dsq_record *record)
{
    switch (record->kind) {
    case DSQ_ITEM_GROUP:
        return dsq_group_node(record).count;
    case DSQ_ITEM_MARKER:
        return 0;
    default:
        return 1;
    }
}

static bool is_item(const struct dsq_record *record)
{
    return record->kind == DSQ_ITEM_GROUP || record->kind == DSQ_ITEM_MARKER;
}

/* Appends all that is queued to the chain; false if there was nothing. */
static bool take_queue(struct dsq_committer *committer)
{
    struct dsq_mpsc_node *node = dsq_mpsc_take_all(&committer->queue);
    uint64_t weight = 0;

    if (node == NULL) {
        return false;
    }
    dsq_perturb();
    if (committer->chain_last != NULL) {
        dsq_mpsc_link(committer->chain_last, node);
    } else {
        committer->chain = node;
    }
    for (; node != NULL; node = dsq_mpsc_next(node)) {
        weight += weight_of(record_of(node));
        committer->groups_in_chain += record_of(node)->kind == DSQ_ITEM_GROUP;
        committer->markers_in_chain += record_of(node)->kind == DSQ_ITEM_MARKER;
        committer->chain_last = node;
    }
    dsq_add_relaxed(&committer->taken, weight);
    return true;
}

static bool is_complete(const struct dsq_group *group)
{
    return dsq_load_seq_cst(&group->complete);
}

/* Counts a node of a group that this scan has met; whether it is the first of the group. */
static bool is_first_node(const struct dsq_committer *committer, struct dsq_group *group)
{
    if (group->scan != committer->scans) {
        group->scan = committer->scans;
        group->seen = 0;
    }
    return group->seen++ == 0;
}

/*
 * The first node that may not be committed now: the batch is cut where no group is open, before
 * the first group that its writer has not ended.  NULL: all may.
 */
static struct dsq_mpsc_node *find_cut(struct dsq_committer *committer)
{
    struct dsq_mpsc_node *cut = committer->chain;
    size_t open = 0;
    size_t records = 0;

    committer->scans++;
    for (struct dsq_mpsc_node *node = committer->chain; node != NULL; node = dsq_mpsc_next(node)) {
        if (record_of(node)->kind == DSQ_ITEM_GROUP) {
            struct dsq_group *group = dsq_group_node(record_of(node)).group;

            if (!is_complete(group)) {
                return cut;
            }
            open += is_first_node(committer, group);
            open -= group->seen == group->nodes;
        }
        records += weight_of(record_of(node));
        if (open > 0 && dsq_mpsc_next(node) == NULL) {
            take_queue(committer); /* an ended group's last nodes are there */
        }
        if (open == 0) {
            cut = dsq_mpsc_next(node);
            if (records >= BATCH_RECORDS_MAX) {
                return cut;
            }
        }
    }
    return cut;
}

static bool reserve(struct batch *batch, size_t more)
{
    size_t capacity = batch->capacity != 0 ? batch->capacity : 1024;
    struct dsq_record **records;

    if (batch->count + more <= batch->capacity) {
        return true;
    }
    while (capacity < batch->count + more) {
        capacity *= 2;
    }
    records = realloc(batch->records, capacity * sizeof(struct dsq_record *));
    if (records == NULL) {
        return false;
    }
    batch->records = records;
    batch->capacity = capacity;
    return true;
}

static void append(struct dsq_committer *committer, struct dsq_record *record)
{
    committer->batch.records[committer->batch.count++] = record;
    if (!is_item(record)) {
        dsq_hook_numbered(dsq_add_relaxed(&committer->seq, 1) + 1, record);
    }
}

/* READY goes into the batch, VOID is forgotten; the batch has room. */
static void append_settled(struct dsq_committer *committer, struct dsq_record *record)
{
    if (dsq_record_state(record) == DSQ_RECORD_VOID) {
        dsq_record_release(committer->map->reclaim, record);
        dsq_add_seq_cst(&committer->durable, 1);
        dsq_add_seq_cst(&committer->done, 1);
    } else {
        append(committer, record);
    }
}

/* The records of a group's node lose their count here: the item stands for none from now on. */
static void append_group(struct dsq_committer *committer, struct dsq_record *item)
{
    struct group_node node = dsq_group_node(item);

    for (size_t i = 0; i < node.count; i++) {
        append_settled(committer, node.records[i]);
    }
    append(committer, item);
}

static void unlink_node(struct dsq_committer *committer, struct dsq_mpsc_node *previous,
                        struct dsq_mpsc_node *node)
{
    struct dsq_mpsc_node *next = dsq_mpsc_next(node);

    if (previous != NULL) {
        dsq_mpsc_link(previous, next);
    } else {
        committer->chain = next;
    }
    if (next == NULL) {
        committer->chain_last = previous;
    }
    committer->groups_in_chain -= record_of(node)->kind == DSQ_ITEM_GROUP;
    committer->markers_in_chain -= record_of(node)->kind == DSQ_ITEM_MARKER;
}

/* Moves what may be committed before the cut into the batch, which has room for `most` entries. */
static struct dsq_mpsc_node *fill(struct dsq_committer *committer, struct dsq_mpsc_node *cut,
                                  size_t most)
{
    struct dsq_mpsc_node *previous = NULL;
    struct dsq_mpsc_node *node = committer->chain;

    while (node != cut && committer->batch.count + weight_of(record_of(node)) < most) {
        struct dsq_mpsc_node *next = dsq_mpsc_next(node);
        struct dsq_record *record = record_of(node);

        if (record->kind == DSQ_ITEM_GROUP) {
            unlink_node(committer, previous, node);
            append_group(committer, record);
        } else if (dsq_record_state(record) != DSQ_RECORD_PENDING) {
            unlink_node(committer, previous, node);
            append_settled(committer, record);
        } else {
            previous = node; /* stepped over */
        }
        node = next;
    }
    return node;
}

/* Entries that the nodes before the cut need at most. */
static size_t entries_before(const struct dsq_committer *committer, const struct dsq_mpsc_node *cut)
{
    size_t entries = 1;

    for (struct dsq_mpsc_node *node = committer->chain; node != cut; node = dsq_mpsc_next(node)) {
        entries += weight_of(record_of(node)) + 1;
    }
    return entries;
}

int dsq_batch_collect(struct dsq_committer *committer, struct dsq_error *error)
{
    struct dsq_mpsc_node *cut = NULL;
    size_t most = BATCH_RECORDS_MAX;
    bool has_groups;

    committer->taken_at_ns = dsq_now_ns();
    take_queue(committer);
    has_groups = committer->groups_in_chain > 0;
    if (has_groups) {
        cut = find_cut(committer);
    }
    if (has_groups || committer->batch.capacity < BATCH_RECORDS_MAX) {
        most = entries_before(committer, cut);
        most = has_groups || most < BATCH_RECORDS_MAX ? most : BATCH_RECORDS_MAX;
    }
    if (!reserve(&committer->batch, most)) {
        if (has_groups || committer->batch.capacity == 0) {
            most = 0; /* nothing is cut where a group is open: try again later */
        } else {
            most = committer->batch.capacity;
        }
    }
    committer->cut_short = fill(committer, cut, most) != cut;
    committer->batch.last_seq = dsq_load_relaxed(&committer->seq);
    dsq_store_seq_cst(&committer->carrying, committer->chain != NULL);
    return most != 0 ? DSQ_OK : dsq_error_set(error, DSQ_ERR_NOMEM, "out of memory for a commit");
}

bool dsq_batch_carry_is_ready(struct dsq_committer *committer)
{
    struct dsq_mpsc_node *cut = committer->groups_in_chain > 0 ? find_cut(committer) : NULL;

    for (struct dsq_mpsc_node *node = committer->chain; node != cut; node = dsq_mpsc_next(node)) {
        if (dsq_record_state(record_of(node)) != DSQ_RECORD_PENDING) {
            return true;
        }
    }
    return false;
}

/* Bytes of a journal row, unless a record is larger. */
#define ROW_BYTES ((size_t)1 << 20)

static int end_row(struct dsq_committer *committer, uint64_t number, struct dsq_error *error)
{
    struct dsq_store *store = committer->store;
    int status = store->ops->journal_append(store, number,
                                            dsq_journal_row_seal(&committer->row, number), error);

    dsq_journal_row_clear(&committer->row);
    return status;
}

/* Appends the batch's records to the journal, as few rows. */
static int write_rows(struct dsq_committer *committer, size_t count, struct dsq_error *error)
{
    const struct batch *batch = &committer->batch;
    uint64_t number = batch->last_seq - count;

    dsq_journal_row_clear(&committer->row);
    for (size_t i = 0; i < batch->count; i++) {
        int status = DSQ_OK;

        if (is_item(batch->records[i])) {
            continue;
        }
        if (!dsq_journal_row_add(&committer->row, batch->records[i])) {
            return dsq_error_set(error, DSQ_ERR_NOMEM, "out of memory for a commit");
        }
        number++;
        if (committer->row.size >= ROW_BYTES || number == batch->last_seq) {
            status = end_row(committer, number, error);
        }
        if (status != DSQ_OK) {
            return status;
        }
    }
    return DSQ_OK;
}

static size_t count_records(const struct batch *batch)
{
    size_t count = 0;

    for (size_t i = 0; i < batch->count; i++) {
        count += !is_item(batch->records[i]);
    }
    return count;
}

int dsq_batch_write(struct dsq_committer *committer, struct dsq_error *error)
{
    struct dsq_store *store = committer->store;
    size_t count = count_records(&committer->batch);
    int status;

    if (count == 0) {
        return DSQ_OK;
    }
    if (!dsq_fold_reserve(&committer->fold, count)) {
        return dsq_error_set(error, DSQ_ERR_NOMEM, "out of memory for a commit");
    }
    status = store->ops->begin(store, DSQ_COMMIT_DURABLE, error);
    if (status != DSQ_OK) {
        return status;
    }
    status = write_rows(committer, count, error);
    if (status != DSQ_OK) {
        store->ops->rollback(store);
        return status;
    }
    dsq_hook_stage(DSQ_STAGE_BEFORE_COMMIT);
    status = store->ops->commit(store, error);
    dsq_add_relaxed(&committer->commits, status == DSQ_OK);
    return status;
}

/* What a batch holds besides records has done its work with the commit. */
static void finish_item(struct dsq_committer *committer, struct dsq_record *item)
{
    if (item->kind == DSQ_ITEM_GROUP) {
        dsq_group_drop(committer, dsq_group_node(item).group);
    }
    dsq_record_release(committer->map->reclaim, item);
}

static void send_notices(const struct batch *batch, const struct dsq_error *error)
{
    for (size_t i = batch->handed; i < batch->count; i++) {
        if (batch->records[i]->kind == DSQ_ITEM_MARKER) {
            dsq_marker_send(batch->records[i], error);
        }
    }
}

static void announce(struct dsq_committer *committer)
{
    struct batch *batch = &committer->batch;

    /* First, so that whoever waited for one of them finds the number and the count known. */
    dsq_store_seq_cst(&committer->durable_seq, batch->last_seq);
    dsq_add_seq_cst(&committer->durable, count_records(batch));
    for (size_t i = 0; i < batch->count; i++) {
        dsq_record_move(batch->records[i], DSQ_RECORD_READY, DSQ_RECORD_DURABLE);
    }
    dsq_perturb();
    batch->announced = true;
    dsq_event_signal(&committer->progress);
    send_notices(batch, NULL);
}

void dsq_batch_finish(struct dsq_committer *committer)
{
    struct batch *batch = &committer->batch;

    dsq_hook_stage(DSQ_STAGE_COMMITTED);
    if (!batch->announced) {
        announce(committer);
    }
    dsq_hook_stage(DSQ_STAGE_ACKNOWLEDGED);
    while (batch->handed < batch->count) {
        struct dsq_record *record = batch->records[batch->handed++];

        if (is_item(record)) {
            finish_item(committer, record);
        } else {
            dsq_fold_add(&committer->fold, record, batch->last_seq);
        }
    }
    batch->count = 0;
    batch->handed = 0;
    batch->announced = false;
}

/* A record that could be committed by now, or is PENDING, must wake the thread as one in the queue does. */
void dsq_batch_fail_notices(struct dsq_committer *committer, const struct dsq_error *error)
{
    send_notices(&committer->batch, error);
    if (take_queue(committer)) {
        committer->cut_short = true;
        dsq_store_seq_cst(&committer->carrying, true);
    }
    for (struct dsq_mpsc_node *node = committer->chain; node != NULL; node = dsq_mpsc_next(node)) {
        if (record_of(node)->kind == DSQ_ITEM_MARKER) {
            dsq_marker_send(record_of(node), error);
        }
    }
}

static void discard(struct dsq_committer *committer, struct dsq_record *record)
{
    if (record->kind == DSQ_ITEM_GROUP) {
        struct group_node node = dsq_group_node(record);

        for (size_t i = 0; i < node.count; i++) {
            dsq_record_release(committer->map->reclaim, node.records[i]);
        }
        dsq_group_drop(committer, node.group);
    }
    dsq_record_release(committer->map->reclaim, record);
}

static void release(void *context, struct dsq_record *record)
{
    struct dsq_committer *committer = context;

    dsq_record_release(committer->map->reclaim, record);
}

void dsq_batch_discard(struct dsq_committer *committer)
{
    struct batch *batch = &committer->batch;
    struct dsq_error closed;

    dsq_error_set(&closed, DSQ_ERR_CLOSED, "the store was given up before it was on disk");
    dsq_batch_fail_notices(committer, &closed);
    dsq_fold_fini(&committer->fold, release, committer);
    while (committer->chain != NULL) {
        struct dsq_mpsc_node *node = committer->chain;

        committer->chain = dsq_mpsc_next(node);
        discard(committer, record_of(node));
    }
    for (size_t i = batch->handed; i < batch->count; i++) {
        struct dsq_record *record = batch->records[i];

        if (record->kind == DSQ_ITEM_GROUP) {
            dsq_group_drop(committer, dsq_group_node(record).group);
        }
        dsq_record_release(committer->map->reclaim, record);
    }
    batch->count = 0;
}
