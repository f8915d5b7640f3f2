/*
 * Groups: many records, several queue nodes, one transaction.
 *
 * A node is a GROUP item: a record whose key is the array of the node's records and whose value is
 * the address of the group.  It is READY from the start; what the committer waits for is the
 * group's `complete`, stored after the last push, so that whoever sees it finds all nodes in
 * the queue.
 *
 * Lifetime: the group is freed by the last of its writer and its nodes.
 */
#include <stdlib.h>

#include "core/reclaim.h"
#include "persist/committer_internal.h"

struct dsq_group *dsq_group_begin(void)
{
    struct dsq_group *group = calloc(1, sizeof *group);

    if (group != NULL) {
        atomic_init(&group->refs, 1);
    }
    return group;
}

struct group_node dsq_group_node(const struct dsq_record *item)
{
    struct dsq_bytes key = dsq_record_key(item);
    struct group_node node = {.count = key.size / sizeof(void *)};

    /* The value is the group, the key its records: one allocation, freed like any record. */
    memcpy(&node.group, dsq_record_value(item).data, sizeof node.group);
    node.records = key.data;
    return node;
}

void dsq_group_drop(struct dsq_committer *committer, struct dsq_group *group)
{
    if (dsq_sub_acq_rel(&group->refs, 1) == 1) {
        if (group->last != NULL) {
            dsq_record_release(committer->map->reclaim, group->last);
        }
        free(group);
    }
}

int dsq_group_push(struct dsq_committer *committer, struct dsq_group *group,
                   struct dsq_record *const *records, size_t count)
{
    struct dsq_bytes key = {records, count * sizeof *records};
    struct dsq_bytes value = {&group, sizeof group};
    struct dsq_record *item = dsq_record_new(DSQ_ITEM_GROUP, DSQ_RECORD_READY, 2, 0, key, value);

    if (item == NULL) {
        return DSQ_ERR_NOMEM;
    }
    if (group->last != NULL) {
        dsq_record_release(committer->map->reclaim, group->last);
    }
    group->last = item;
    group->nodes++;
    dsq_add_relaxed(&group->refs, 1);
    /* The thread is not woken for what it could not commit: dsq_group_end does that. */
    dsq_mpsc_push(&committer->queue, &item->node);
    dsq_add_seq_cst(&committer->pushed, count);
    return DSQ_OK;
}

void dsq_group_end(struct dsq_committer *committer, struct dsq_group *group)
{
    dsq_store_seq_cst(&group->complete, true);
    dsq_committer_notice_group(committer);
}

int dsq_group_wait(struct dsq_committer *committer, const struct dsq_group *group,
                   uint64_t deadline_ns, struct dsq_error *error)
{
    if (group->last == NULL) {
        return DSQ_OK;
    }
    return dsq_committer_wait(committer, group->last, deadline_ns, error);
}

void dsq_group_release(struct dsq_committer *committer, struct dsq_group *group)
{
    dsq_group_drop(committer, group);
}
