/*
 * Concurrency Kit's ck_hs: any number of readers beside a single writer, so bench/map.c has more threads than
 * one read it, and only one write.  It leaves reclamation to its user: here readers are in liburcu's critical
 * sections, and replaced entries are freed by hundreds, after a grace period.
 */
#define URCU_API_MAP
#include <stdlib.h>
#include <string.h>

#include <ck_hs.h>

#include <urcu/urcu-bp.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "bench/map_peers.h"

#define CAPACITY_MIN 64
#define RETIRED_MAX 512

struct entry {
    unsigned long hash;
    const unsigned char *key; /* in bytes, but for an entry that a look-up asks with */
    size_t key_size;
    size_t value_size;
    unsigned char bytes[]; /* key, value */
};

struct ck_map {
    ck_hs_t set;
    size_t retired_count;
    struct entry *retired[RETIRED_MAX];
};

static unsigned long hash_of(const void *entry, unsigned long seed)
{
    (void)seed;
    return ((const struct entry *)entry)->hash;
}

static bool equal(const void *left, const void *right)
{
    const struct entry *a = left;
    const struct entry *b = right;
    return a->key_size == b->key_size && memcmp(a->key, b->key, a->key_size) == 0;
}

/* A table that has been replaced; deferred where readers may still be in it. */
static void table_free(void *table, size_t size, bool deferred)
{
    (void)size;
    if (deferred) {
        urcu_bp_synchronize_rcu();
    }
    free(table);
}

static struct ck_malloc allocator = {.malloc = malloc, .free = table_free};

static void retired_free(struct ck_map *map)
{
    urcu_bp_synchronize_rcu();
    for (size_t i = 0; i < map->retired_count; i++) {
        free(map->retired[i]);
    }
    map->retired_count = 0;
}

static void retire(struct ck_map *map, struct entry *entry)
{
    if (map->retired_count == RETIRED_MAX) {
        retired_free(map);
    }
    map->retired[map->retired_count++] = entry;
}

static struct entry question(struct map_bytes key)
{
    return (struct entry){.hash = (unsigned long)XXH3_64bits(key.data, key.size),
                          .key = key.data,
                          .key_size = key.size};
}

static struct entry *entry_new(struct map_bytes key, struct map_bytes value)
{
    struct entry *entry = malloc(sizeof *entry + key.size + value.size);
    if (entry == NULL) {
        abort();
    }
    *entry = question(key);
    entry->key = entry->bytes;
    entry->value_size = value.size;
    memcpy(entry->bytes, key.data, key.size);
    memcpy(entry->bytes + key.size, value.data, value.size);
    return entry;
}

static void *create(const struct map_config *config)
{
    (void)config;
    struct ck_map *map = calloc(1, sizeof *map);
    if (map != NULL && !ck_hs_init(&map->set, CK_HS_MODE_SPMC | CK_HS_MODE_OBJECT, hash_of, equal,
                                   &allocator, CAPACITY_MIN, 0)) {
        free(map);
        map = NULL;
    }
    return map;
}

static bool destroy(void *handle)
{
    struct ck_map *map = handle;
    ck_hs_iterator_t iterator = CK_HS_ITERATOR_INITIALIZER;
    void *entry;
    while (ck_hs_next(&map->set, &iterator, &entry)) {
        free(entry);
    }
    retired_free(map);
    ck_hs_destroy(&map->set);
    free(map);
    return true;
}

static void nothing(void *map)
{
    (void)map;
}

static enum map_status get(void *handle, struct map_bytes key, struct map_buffer *value)
{
    struct ck_map *map = handle;
    struct entry asked = question(key);
    urcu_bp_read_lock();
    const struct entry *found = ck_hs_get(&map->set, asked.hash, &asked);
    if (found != NULL) {
        value->size = found->value_size;
        memcpy(value->data, found->bytes + found->key_size, found->value_size);
    }
    urcu_bp_read_unlock();
    return found != NULL ? MAP_OK : MAP_ABSENT;
}

static enum map_status put(void *handle, struct map_bytes key, struct map_bytes value)
{
    struct ck_map *map = handle;
    struct entry *entry = entry_new(key, value);
    void *before = NULL;
    if (!ck_hs_set(&map->set, entry->hash, entry, &before)) {
        free(entry);
        return MAP_ERROR;
    }
    if (before != NULL) {
        retire(map, before);
    }
    return MAP_OK;
}

static enum map_status remove_key(void *handle, struct map_bytes key)
{
    struct ck_map *map = handle;
    struct entry asked = question(key);
    struct entry *removed = ck_hs_remove(&map->set, asked.hash, &asked);
    if (removed == NULL) {
        return MAP_ABSENT;
    }
    retire(map, removed);
    return MAP_OK;
}

const struct map_ops map_ck = {
    .name = "ck_hs",
    .create = create,
    .destroy = destroy,
    .thread_enter = nothing,
    .thread_exit = nothing,
    .get = get,
    .put = put,
    .remove = remove_key,
};
