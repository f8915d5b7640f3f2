/* For the tests of eviction and of the shards: a map of one shard, and records by number. */
#ifndef DSQ_TESTS_CORE_MAP_FIXTURE_H
#define DSQ_TESTS_CORE_MAP_FIXTURE_H

#include "core/clock.h"
#include "tests/core/fixture.h"

static struct dsq_map map;

static inline void make_map(uint64_t capacity, uint64_t bytes)
{
    const struct dsq_map_config config = {
        .capacity = capacity, .bytes = bytes, .complete = true, .commits = true};
    make_reclaim();
    cr_assert_eq(dsq_map_init(&map, &config, reclaim), DSQ_OK);
    table = &map.shards[0];
}

static inline void remove_map(void)
{
    dsq_map_fini(&map);
    dsq_reclaim_destroy(reclaim);
}

static inline struct dsq_record *put_state(uint64_t number, enum dsq_record_state state)
{
    struct dsq_record *record =
        dsq_record_new(DSQ_RECORD_VALUE, state, 1, mix(number), numbered(&number), text("v"));
    cr_assert_not_null(record);
    store(record);
    return record;
}

static inline bool evict(void)
{
    dsq_read_lock();
    uint64_t bytes = dsq_clock_evict(&map, table);
    dsq_read_unlock();
    return bytes != 0;
}

static inline void trim(void)
{
    dsq_read_lock();
    dsq_map_trim(&map, table, 0);
    dsq_read_unlock();
}

static inline void set_clock(struct dsq_record *record, uint8_t clock)
{
    dsq_store_relaxed(&record->clock, clock);
}

#endif
