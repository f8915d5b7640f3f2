/* For the tests of the two tiers: one over a fake store, short calls, and calls in other threads. */
#ifndef DSQ_TESTS_PERSIST_TIER_FIXTURE_H
#define DSQ_TESTS_PERSIST_TIER_FIXTURE_H

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include <criterion/criterion.h>

#include "core/clock.h"
#include "core/table_internal.h"
#include "persist/committer_internal.h"
#include "persist/tier_internal.h"
#include "tests/persist/fake_store.h"

#define ACTORS_MAX 4
#define SHOWN_MAX 64

static struct dsq_store *store;
static struct dsq_tier *tier;
static struct dsq_error error;

static inline void make_store(void)
{
    store = fake_store_new();
}

static inline int try_open(struct dsq_tier_config config)
{
    config.committer.lazy = config.mode == DSQ_TIER_LAZY;
    config.committer.queue_bytes =
        config.committer.queue_bytes != 0 ? config.committer.queue_bytes : 1 << 20;
    return dsq_tier_open(&config, config.mode != DSQ_TIER_MEMORY ? store : NULL, &tier, &error);
}

/* In lazy mode commits start at flush only. */
static inline void open_tier(enum dsq_tier_mode mode, uint64_t hot_capacity)
{
    struct dsq_tier_config config = {.mode = mode, .hot_capacity = hot_capacity};
    cr_assert_eq(try_open(config), DSQ_OK);
}

static inline void remove_store(void)
{
    if (tier != NULL) {
        if (tier->store != NULL) {
            cr_assert_eq(fake_readers(store), 0);
            store = NULL;
        }
        dsq_tier_abandon(tier);
    }
    if (store != NULL) {
        store->ops->abandon(store);
    }
}

static inline struct dsq_bytes text(const char *string)
{
    return (struct dsq_bytes){string, strlen(string)};
}

/* What a call handed out, as text: of a record its value, else "error", "absent", ... */
static inline void show(char *shown, int status, struct dsq_record *record)
{
    if (record != NULL) {
        struct dsq_bytes value = dsq_record_value(record);
        snprintf(shown, SHOWN_MAX, "%.*s", (int)value.size, (const char *)value.data);
        dsq_record_release(tier->reclaim, record);
    } else {
        snprintf(shown, SHOWN_MAX, "%s",
                 status == DSQ_OK       ? "ok"
                 : status == DSQ_ABSENT ? "absent"
                 : status < 0           ? "error"
                                        : "blocked");
    }
}

static inline void get_into(char *shown, const char *key)
{
    struct dsq_record *record = NULL;
    int status = dsq_tier_pin(tier, text(key), &record, &error);
    cr_assert_eq(status == DSQ_OK, record != NULL);
    show(shown, status, record);
}

/* Value NULL deletes and shows what was there; else stores if absent and shows what is there. */
static inline void change_into(char *shown, const char *key, const char *value)
{
    struct dsq_record *seen = NULL;
    struct dsq_change change = {.condition = value == NULL ? dsq_if_present : dsq_if_absent,
                                .kind = value == NULL ? DSQ_RECORD_TOMBSTONE : DSQ_RECORD_VALUE,
                                .value = text(value != NULL ? value : "")};
    int status = dsq_tier_change(tier, text(key), &change, DSQ_WAITS, &seen, NULL);
    show(shown, status, seen);
}

static inline const char *get(const char *key)
{
    static char shown[SHOWN_MAX];
    get_into(shown, key);
    return shown;
}

static inline const char *pop(const char *key)
{
    static char shown[SHOWN_MAX];
    change_into(shown, key, NULL);
    return shown;
}

static inline const char *get_or_put(const char *key, const char *value)
{
    static char shown[SHOWN_MAX];
    change_into(shown, key, value);
    return shown;
}

static inline int try_put(const char *key, const char *value)
{
    return dsq_tier_put(tier, text(key), text(value), DSQ_WAITS, &error);
}

static inline void put(const char *key, const char *value)
{
    cr_assert_eq(try_put(key, value), DSQ_OK, "%s", error.message);
}

static inline int peek(const char *key)
{
    struct dsq_record *record;
    dsq_read_lock();
    int status = dsq_tier_peek(tier, text(key), &record);
    dsq_read_unlock();
    return status;
}

static inline int flush(void)
{
    return dsq_tier_flush(tier, DSQ_NO_DEADLINE, &error);
}

static inline int fold(void)
{
    return dsq_tier_fold(tier, &error);
}

/* Waits until the committer has finished all that was pushed, evictions included. */
static inline void settle_down(void)
{
    cr_assert_eq(fold(), DSQ_OK);
    while (dsq_committer_done(tier->committer) != dsq_committer_pushed(tier->committer)) {
        sched_yield();
    }
}

/* The tables' invariants, with nobody else about. */
static inline void check_tables(void)
{
    dsq_read_lock();
    for (uint64_t i = 0; i < tier->map.shard_count; i++) {
        const char *broken = dsq_table_check(&tier->map.shards[i]);
        cr_assert_null(broken, "%s", broken);
    }
    dsq_read_unlock();
}

static inline void close_tier(void)
{
    if (tier->committer != NULL) {
        settle_down();
    }
    check_tables();
    bool owns_store = tier->store != NULL;
    cr_assert_eq(dsq_tier_close(tier, &error), DSQ_OK, "%s", error.message);
    tier = NULL;
    store = owns_store ? NULL : store;
}

static inline const struct dsq_record *hot_record(const char *key)
{
    uint64_t hash = dsq_hash(&tier->secret, text(key));
    const struct dsq_record *record;
    dsq_read_lock();
    record = dsq_table_find(dsq_map_shard(&tier->map, hash), hash, text(key));
    dsq_read_unlock();
    return record; /* to be compared only: it may be gone */
}

/* Evicts until the key, which is CLEAN, has gone. */
static inline void evict(const char *key)
{
    struct dsq_table *shard = dsq_map_shard(&tier->map, dsq_hash(&tier->secret, text(key)));
    while (hot_record(key) != NULL) {
        dsq_read_lock();
        cr_assert(dsq_clock_evict(&tier->map, shard));
        dsq_read_unlock();
    }
}

static inline uint64_t reads(void)
{
    return fake_calls(store, FAKE_READER_GET);
}

/* A call made by another thread. */
struct actor {
    pthread_t thread;
    void (*call)(struct actor *actor);
    const char *key;
    const char *value;
    char shown[SHOWN_MAX];
    uint64_t commits; /* that had taken effect when the call returned */
};

static inline void act_get(struct actor *actor)
{
    get_into(actor->shown, actor->key);
}

static inline void act_change(struct actor *actor)
{
    change_into(actor->shown, actor->key, actor->value);
}

static inline void act_put(struct actor *actor)
{
    int status = dsq_tier_put(tier, text(actor->key), text(actor->value), DSQ_WAITS, NULL);
    show(actor->shown, status, NULL);
}

static inline void *act(void *argument)
{
    struct actor *actor = argument;
    actor->call(actor);
    actor->commits = store != NULL ? fake_commits(store) : 0;
    return NULL;
}

static inline struct actor *start(void (*call)(struct actor *), const char *key, const char *value)
{
    struct actor *actor = calloc(1, sizeof *actor);
    actor->call = call;
    actor->key = key;
    actor->value = value;
    cr_assert_eq(pthread_create(&actor->thread, NULL, act, actor), 0);
    return actor;
}

/* As start, and waits until it stands at the point. */
static inline struct actor *start_trapped(enum fake_point point, void (*call)(struct actor *),
                                          const char *key, const char *value)
{
    struct actor *actor;
    fake_trap(store, point);
    actor = start(call, key, value);
    fake_await_trapped(store, point);
    return actor;
}

/* Waits for the end of the call and returns what it showed; *commits as in the actor. */
static inline const char *finish_at(struct actor *actor, uint64_t *commits)
{
    static char shown[SHOWN_MAX];
    pthread_join(actor->thread, NULL);
    memcpy(shown, actor->shown, sizeof shown);
    *commits = actor->commits;
    free(actor);
    return shown;
}

static inline const char *finish(struct actor *actor)
{
    uint64_t ignored;
    return finish_at(actor, &ignored);
}

#endif
