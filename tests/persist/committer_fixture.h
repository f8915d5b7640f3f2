/* For the tests of the committer: one over a fake store, and records to feed it with. */
#ifndef DSQ_TESTS_PERSIST_COMMITTER_FIXTURE_H
#define DSQ_TESTS_PERSIST_COMMITTER_FIXTURE_H

#include <sched.h>
#include <stdlib.h>

#include <criterion/criterion.h>

#include "core/platform.h"
#include "core/reclaim.h"
#include "persist/committer_internal.h"
#include "tests/persist/fake_store.h"

#define HELD_MAX 64

static struct dsq_store *store;
static struct dsq_reclaim *reclaim;
static struct dsq_map map;
static struct dsq_committer *committer;
static struct dsq_error error;

/* The test's references. */
static struct dsq_record *held[HELD_MAX];
static size_t held_count;

static const struct dsq_committer_config eager = {.queue_bytes = 1 << 20};
static const struct dsq_committer_config manual = {.lazy = true, .queue_bytes = 1 << 20};

static inline void make_store(void)
{
    const struct dsq_map_config config = {.capacity = 1000, .complete = true, .commits = true};
    store = fake_store_new();
    cr_assert_eq(dsq_reclaim_new(1 << 20, &reclaim, &error), DSQ_OK);
    cr_assert_eq(dsq_map_init(&map, &config, reclaim), DSQ_OK);
}

static inline void start(const struct dsq_committer_config *config)
{
    cr_assert_eq(dsq_committer_new(config, store, &map, &committer, &error), DSQ_OK);
}

static inline void drop_held(void)
{
    while (held_count > 0) {
        dsq_record_release(reclaim, held[--held_count]);
    }
}

static inline void remove_store(void)
{
    if (committer != NULL) {
        dsq_committer_destroy(committer);
    }
    drop_held();
    dsq_map_fini(&map);
    dsq_reclaim_destroy(reclaim);
    cr_assert_eq(store->ops->close(store, &error), DSQ_OK);
}

static inline struct dsq_bytes text(const char *string)
{
    return (struct dsq_bytes){string, strlen(string)};
}

/* A PENDING record with a reference for the test and one for the queue; value NULL: a delete. */
static inline struct dsq_record *make(const char *key, const char *value)
{
    enum dsq_record_kind kind = value != NULL ? DSQ_RECORD_VALUE : DSQ_RECORD_TOMBSTONE;
    struct dsq_record *record =
        dsq_record_new(kind, DSQ_RECORD_PENDING, 2, 0, text(key), text(value != NULL ? value : ""));
    cr_assert_not_null(record);
    cr_assert_lt(held_count, HELD_MAX);
    held[held_count++] = record;
    return record;
}

/* Admits and queues a record, and leaves it PENDING. */
static inline struct dsq_record *push_pending(const char *key, const char *value)
{
    struct dsq_record *record = make(key, value);
    cr_assert_eq(dsq_committer_admit(committer, dsq_record_bytes(record), false, &error), DSQ_OK);
    dsq_committer_push(committer, record);
    return record;
}

static inline struct dsq_record *push(const char *key, const char *value)
{
    struct dsq_record *record = push_pending(key, value);
    dsq_committer_settle(committer, record);
    return record;
}

/* Queues two records as one node of a group. */
static inline void push_node(struct dsq_group *group, struct dsq_record *first,
                             struct dsq_record *second)
{
    struct dsq_record *records[] = {first, second};
    for (size_t i = 0; i < 2; i++) {
        uint64_t bytes = dsq_record_bytes(records[i]);
        cr_assert_eq(dsq_committer_admit(committer, bytes, false, &error), DSQ_OK);
    }
    cr_assert_eq(dsq_group_push(committer, group, records, 2), DSQ_OK);
    dsq_committer_settle(committer, first);
    dsq_committer_settle(committer, second);
}

static inline int wait_for(const struct dsq_record *record)
{
    return dsq_committer_wait(committer, record, DSQ_NO_DEADLINE, &error);
}

static inline int flush(void)
{
    return dsq_committer_flush(committer, DSQ_NO_DEADLINE, &error);
}

static inline int checkpoint_store(struct dsq_store *of, void *context, struct dsq_error *result)
{
    (void)context;
    return of->ops->checkpoint(of, true, result);
}

static inline int checkpoint(void)
{
    return dsq_committer_do(committer, checkpoint_store, NULL, &error);
}

static inline int fold(void)
{
    int status = flush();
    return status == DSQ_OK ? dsq_committer_fold(committer, &error) : status;
}

static inline struct dsq_committer_stats stats(void)
{
    struct dsq_committer_stats now;
    dsq_committer_stats(committer, &now);
    return now;
}

/* Waits until the thread has looked at all that was pushed and has gone to sleep over it. */
static inline void await_asleep(void)
{
    for (;;) {
        uint64_t pushed = dsq_committer_pushed(committer);
        if (dsq_load_seq_cst(&committer->sleep) == SLEEP_IDLE &&
            dsq_load_relaxed(&committer->taken) == pushed) {
            return;
        }
        sched_yield();
    }
}

static inline bool demands_commit(void)
{
    return (dsq_load_seq_cst(&committer->demand) & DEMAND_COMMIT) != 0;
}

#endif
