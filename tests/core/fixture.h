/* For the tests of the hot tier: a table, records, and hashes that put them where a test wants. */
#ifndef DSQ_TESTS_CORE_FIXTURE_H
#define DSQ_TESTS_CORE_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>

#include <criterion/criterion.h>

#include "core/reclaim.h"
#include "core/table_internal.h"

static struct dsq_reclaim *reclaim;
static struct dsq_table *table;

static inline void make_reclaim(void)
{
    cr_assert_eq(dsq_reclaim_new(1 << 20, &reclaim, NULL), DSQ_OK);
}

static inline void make_table(void)
{
    make_reclaim();
    table = aligned_alloc(DSQ_CACHE_LINE_BYTES, sizeof *table);
    cr_assert_eq(dsq_table_init(table, reclaim, 0), DSQ_OK);
}

static inline void remove_table(void)
{
    dsq_table_fini(table);
    free(table);
    dsq_reclaim_destroy(reclaim);
}

static inline struct dsq_bytes text(const char *string)
{
    return (struct dsq_bytes){string, strlen(string)};
}

/* A key of eight bytes, and a hash that spreads such keys well (the finisher of MurmurHash3). */
static inline struct dsq_bytes numbered(const uint64_t *number)
{
    return (struct dsq_bytes){number, sizeof *number};
}

static inline uint64_t mix(uint64_t number)
{
    number = (number ^ (number >> 33)) * UINT64_C(0xff51afd7ed558ccd);
    number = (number ^ (number >> 33)) * UINT64_C(0xc4ceb9fe1a85ec53);
    return number ^ (number >> 33);
}

static inline struct dsq_record *make(enum dsq_record_kind kind, uint64_t hash,
                                      struct dsq_bytes key, const char *value)
{
    struct dsq_record *record = dsq_record_new(kind, DSQ_RECORD_CLEAN, 1, hash, key, text(value));
    cr_assert_not_null(record);
    return record;
}

static inline struct dsq_record *find(uint64_t hash, struct dsq_bytes key)
{
    struct dsq_record *record;
    dsq_read_lock();
    record = dsq_table_find(table, hash, key);
    dsq_read_unlock();
    return record;
}

static inline void locate(uint64_t hash, struct dsq_bytes key, struct dsq_place *place)
{
    cr_assert_eq(dsq_table_locate(table, hash, key, place), DSQ_OK);
}

/* Stores a record under its own key. */
static inline void store(struct dsq_record *record)
{
    struct dsq_place place;
    dsq_read_lock();
    locate(record->hash, dsq_record_key(record), &place);
    cr_assert(dsq_table_publish(table, &place, record));
    if (place.record != NULL) {
        dsq_record_release(reclaim, place.record);
    }
    dsq_read_unlock();
}

static inline struct dsq_record *put(uint64_t hash, const char *key, const char *value)
{
    struct dsq_record *record = make(DSQ_RECORD_VALUE, hash, text(key), value);
    store(record);
    return record;
}

static inline void put_number(uint64_t number)
{
    store(make(DSQ_RECORD_VALUE, mix(number), numbered(&number), "v"));
}

static inline bool has_number(uint64_t number)
{
    return find(mix(number), numbered(&number)) != NULL;
}

/* Whether the key was there to be removed. */
static inline bool take(uint64_t hash, struct dsq_bytes key)
{
    struct dsq_place place;
    dsq_read_lock();
    locate(hash, key, &place);
    bool was_there = place.record != NULL;
    if (was_there) {
        cr_assert(dsq_table_remove(table, &place));
        dsq_record_release(reclaim, place.record);
    } else {
        dsq_table_cancel(table, &place);
    }
    dsq_read_unlock();
    return was_there;
}

static inline struct dsq_slots *root(void)
{
    return dsq_load_acquire(&table->root);
}

/* Generations in use. */
static inline int generations(void)
{
    int count = 0;
    for (struct dsq_slots *slots = root(); slots != NULL; slots = dsq_load_acquire(&slots->next)) {
        count++;
    }
    return count;
}

/* The slot of a generation whose word points to the record, or NULL. */
static inline _Atomic uint64_t *slot_of(const struct dsq_slots *slots,
                                        const struct dsq_record *record)
{
    for (uint64_t i = 0; i < slots->slot_count; i++) {
        if (word_record(dsq_load_acquire(&slots->words[i])) == record) {
            return &slots->words[i];
        }
    }
    return NULL;
}

#endif
