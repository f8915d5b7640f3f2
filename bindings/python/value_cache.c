#include "bindings/python/value_cache.h"

#include <stdbool.h>

/* A note has 16 bits; 0 is none, and the last one is a record's that was asked for once. */
#define LANE_ENTRIES_MAX 65534
#define NOTE_SEEN 65535
#define LANE_ENTRIES_FIRST 64
/* Of the values that come to a full cache, those that enter. */
#define ADMIT_EVERY 64
/* A value that would take more than this share of the cache does not enter. */
#define SHARE_MAX 64
/* Entries that one value may push out. */
#define EVICT_MAX 64

static uint64_t cost_of(PyObject *bytes)
{
    return (uint64_t)Py_TYPE(bytes)->tp_basicsize + (uint64_t)PyBytes_GET_SIZE(bytes) +
           sizeof(struct dsq_py_value_entry);
}

static void empty_entry(struct dsq_py_value_cache *cache, struct dsq_py_value_entry *entry)
{
    if (entry->bytes != NULL) {
        cache->bytes -= cost_of(entry->bytes);
        entry->record = NULL;
        Py_CLEAR(entry->bytes);
    }
}

void dsq_py_value_cache_clear(struct dsq_py_value_cache *cache)
{
    for (size_t i = 0; i < DSQ_PY_VALUE_LANES; i++) {
        struct dsq_py_value_lane *lane = &cache->lanes[i];
        for (uint32_t n = 0; n < lane->used; n++) {
            empty_entry(cache, &lane->entries[n]);
        }
        PyMem_Free(lane->entries);
        *lane = (struct dsq_py_value_lane){0};
    }
}

/* Room for one more entry at the lane's end. */
static bool grow(struct dsq_py_value_lane *lane)
{
    if (lane->used < lane->room) {
        return true;
    }
    uint32_t room = lane->room == 0 ? LANE_ENTRIES_FIRST : lane->room * 2;
    room = room < LANE_ENTRIES_MAX ? room : LANE_ENTRIES_MAX;
    if (room == lane->room) {
        return false;
    }
    struct dsq_py_value_entry *entries =
        PyMem_Realloc(lane->entries, room * sizeof(struct dsq_py_value_entry));
    if (entries == NULL) {
        return false;
    }
    lane->entries = entries;
    lane->room = room;
    return true;
}

/* Whether the cache can have a value of that cost, with others pushed out or not. */
static bool admits(struct dsq_py_value_cache *cache, uint64_t cost, bool full)
{
    if (cost > cache->bytes_max / SHARE_MAX) {
        return false;
    }
    if (full && ++cache->passed_over < ADMIT_EVERY) {
        return false;
    }
    cache->passed_over = 0;
    return true;
}

/* Empties entries of the lane, those that have been there for longest, until there is room; the last one. */
static uint32_t push_out(struct dsq_py_value_cache *cache, struct dsq_py_value_lane *lane,
                         uint64_t cost)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < EVICT_MAX; i++) {
        at = lane->hand < lane->used ? lane->hand : 0;
        lane->hand = at + 1;
        empty_entry(cache, &lane->entries[at]);
        if (cache->bytes + cost <= cache->bytes_max) {
            break;
        }
    }
    return at;
}

static bool is_gil_there(void)
{
#ifdef Py_GIL_DISABLED
    return false;
#else
    return true;
#endif
}

uint16_t dsq_py_value_cache_offer(struct dsq_py_value_cache *cache, const struct dsq_peeked *peeked,
                                  PyObject *bytes)
{
    struct dsq_py_value_lane *lane = &cache->lanes[peeked->spread % DSQ_PY_VALUE_LANES];
    uint64_t cost = cost_of(bytes);
    if (peeked->note == 0 && is_gil_there()) {
        return NOTE_SEEN;
    }
    bool full = cache->bytes + cost > cache->bytes_max || !grow(lane);
    if (!is_gil_there() || !admits(cache, cost, full) || (full && lane->used == 0)) {
        return peeked->note;
    }
    uint32_t at = full ? push_out(cache, lane, cost) : lane->used++;
    if (cache->bytes + cost > cache->bytes_max) {
        return peeked->note;
    }
    Py_INCREF(bytes);
    lane->entries[at] = (struct dsq_py_value_entry){peeked->record, bytes};
    cache->bytes += cost;
    return (uint16_t)(at + 1);
}
