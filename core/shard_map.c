#include "core/shard_map.h"

#include <stdlib.h>

#include "core/clock.h"

/* Shards for each core: enough that two writers seldom meet. */
#define SHARDS_PER_CORE 4
#define SHARD_BITS_MAX 10
/* A shard smaller than this would evict by the chance of the hash rather than by use. */
#define SHARD_CAPACITY_MIN 256
/* A header with a short key and a short value. */
#define SMALL_RECORD_BYTES 64
/* Evictions that one insertion may have to do for those who could not, beyond its own size. */
#define TRIM_MAX 8

static unsigned choose_shard_bits(uint64_t capacity)
{
    uint64_t shards = dsq_next_power_of_two(dsq_core_count() * SHARDS_PER_CORE);
    unsigned bits = (unsigned)__builtin_ctzll(shards);

    bits = bits < SHARD_BITS_MAX ? bits : SHARD_BITS_MAX;
    while (bits > 0 && (capacity >> bits) < SHARD_CAPACITY_MIN) {
        bits--;
    }
    return bits;
}

static int64_t share(uint64_t total, unsigned shard_bits)
{
    uint64_t each = total >> shard_bits;

    /* A share of "no bound" is no bound. */
    return total == UINT64_MAX || each > INT64_MAX ? INT64_MAX : (int64_t)each;
}

static bool is_bounded(const struct dsq_map *map)
{
    return map->shard_capacity != INT64_MAX || map->shard_bytes != INT64_MAX;
}

/* About how many records a shard can hold at most. */
static uint64_t records_within(const struct dsq_map *map)
{
    uint64_t by_bytes = (uint64_t)map->shard_bytes / SMALL_RECORD_BYTES;
    uint64_t by_count = (uint64_t)map->shard_capacity;
    uint64_t records = by_bytes < by_count ? by_bytes : by_count;

    return records > 0 ? records : 1;
}

int dsq_map_init(struct dsq_map *map, const struct dsq_map_config *config,
                 struct dsq_reclaim *reclaim)
{
    memset(map, 0, sizeof *map);
    map->reclaim = reclaim;
    map->shard_bits = choose_shard_bits(config->capacity);
    map->shard_capacity = share(config->capacity, map->shard_bits);
    map->commits = config->commits;
    map->shard_bytes = config->bytes != 0 ? share(config->bytes, map->shard_bits) : INT64_MAX;
    map->shards = aligned_alloc(DSQ_CACHE_LINE_BYTES,
                                sizeof(struct dsq_table) * (UINT64_C(1) << map->shard_bits));
    if (map->shards == NULL) {
        return DSQ_ERR_NOMEM;
    }
    while (map->shard_count < UINT64_C(1) << map->shard_bits) {
        struct dsq_table *shard = &map->shards[map->shard_count];

        if (dsq_table_init(shard, reclaim, map->shard_bits) != DSQ_OK) {
            dsq_map_fini(map);
            return DSQ_ERR_NOMEM;
        }
        map->shard_count++;
        if (is_bounded(map) && dsq_ghost_init(&shard->ghost, records_within(map)) != DSQ_OK) {
            dsq_map_fini(map);
            return DSQ_ERR_NOMEM;
        }
    }
    dsq_store_release(&map->complete, config->complete);
    /* Ahead of every shard's pinned_epoch, which starts at 0. */
    dsq_store_release(&map->clean_epoch, 1);
    return DSQ_OK;
}

void dsq_map_fini(struct dsq_map *map)
{
    for (uint64_t i = 0; i < map->shard_count; i++) {
        dsq_table_fini(&map->shards[i]);
        dsq_ghost_fini(&map->shards[i].ghost);
    }
    free(map->shards);
}

static bool is_over_budget(const struct dsq_map *map, const struct dsq_table *shard)
{
    return dsq_table_live(shard) > map->shard_capacity ||
           dsq_load_relaxed(&shard->bytes) > map->shard_bytes;
}

bool dsq_map_has_room(const struct dsq_map *map, const struct dsq_table *shard)
{
    return (dsq_table_live(shard) < map->shard_capacity &&
            dsq_load_relaxed(&shard->bytes) < map->shard_bytes) ||
           dsq_load_relaxed(&shard->pinned_epoch) != dsq_load_relaxed(&map->clean_epoch);
}

void dsq_map_trim(struct dsq_map *map, struct dsq_table *shard, uint64_t incoming_bytes)
{
    uint64_t epoch = dsq_load_acquire(&map->clean_epoch);
    uint64_t freed = 0;

    for (unsigned i = 0; i < TRIM_MAX || freed < incoming_bytes; i++) {
        uint64_t bytes;

        /* Relaxed: levels and a hint; what is missed now the next insertion sees. */
        if (!is_over_budget(map, shard) || dsq_load_relaxed(&shard->pinned_epoch) == epoch) {
            return;
        }
        bytes = dsq_clock_evict(map, shard);
        if (bytes == 0) {
            return;
        }
        freed += bytes;
    }
}

void dsq_map_advance_clean_epoch(struct dsq_map *map)
{
    dsq_add_acq_rel(&map->clean_epoch, 1);
}

static uint64_t non_negative(int64_t sum)
{
    return sum > 0 ? (uint64_t)sum : 0;
}

/* One window of the walk. */
static int count_window(struct dsq_table *shard, uint64_t *position, uint64_t *count)
{
    struct dsq_record_list list = {0};
    int status;

    dsq_read_lock();
    status = dsq_table_walk(shard, position, &list);
    dsq_read_unlock();
    *count += list.count;
    dsq_record_list_clear(&list, shard->reclaim);
    return status;
}

static int count_shard(struct dsq_table *shard, uint64_t *count)
{
    uint64_t position = 0;
    uint64_t values;
    int status;

    if (dsq_table_values_at_rest(shard, &values)) {
        *count += values;
        return DSQ_OK;
    }
    do {
        status = count_window(shard, &position, count);
    } while (status == DSQ_OK && position != 0);
    return status;
}

int dsq_map_count(const struct dsq_map *map, uint64_t *count)
{
    int status = DSQ_OK;

    *count = 0;
    for (uint64_t i = 0; i < map->shard_count && status == DSQ_OK; i++) {
        status = count_shard(&map->shards[i], count);
    }
    return status;
}

uint64_t dsq_map_values(const struct dsq_map *map)
{
    int64_t sum = 0;

    for (uint64_t i = 0; i < map->shard_count; i++) {
        sum += dsq_table_values(&map->shards[i]);
    }
    return non_negative(sum);
}

uint64_t dsq_map_records(const struct dsq_map *map)
{
    int64_t sum = 0;

    for (uint64_t i = 0; i < map->shard_count; i++) {
        sum += dsq_table_live(&map->shards[i]);
    }
    return non_negative(sum);
}

uint64_t dsq_map_bytes(const struct dsq_map *map)
{
    int64_t sum = 0;

    for (uint64_t i = 0; i < map->shard_count; i++) {
        sum += dsq_load_relaxed(&map->shards[i].bytes);
    }
    return non_negative(sum);
}

uint64_t dsq_map_evictions(const struct dsq_map *map)
{
    uint64_t sum = 0;

    for (uint64_t i = 0; i < map->shard_count; i++) {
        sum += dsq_load_relaxed(&map->shards[i].evictions);
    }
    return sum;
}

uint64_t dsq_map_resizes(const struct dsq_map *map)
{
    uint64_t sum = 0;

    for (uint64_t i = 0; i < map->shard_count; i++) {
        sum += dsq_load_relaxed(&map->shards[i].resizes);
    }
    return sum;
}

uint64_t dsq_map_slots(const struct dsq_map *map)
{
    uint64_t sum = 0;

    for (uint64_t i = 0; i < map->shard_count; i++) {
        sum += dsq_table_slot_count(&map->shards[i]);
    }
    return sum;
}

void dsq_map_evict_clean(struct dsq_map *map)
{
    for (uint64_t i = 0; i < map->shard_count; i++) {
        dsq_clock_evict_all(map, &map->shards[i]);
    }
}
