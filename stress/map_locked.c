/*
 * A map behind one lock: what stress/freeze must not let pass.  In a shared object of its own, as
 * the other maps are, so that freeze sees where its code is.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "stress/map_ops.h"

#define BUCKETS 64
#define KEY_SIZE_MAX 32

struct node {
    struct node *next;
    size_t key_size;
    unsigned char key[KEY_SIZE_MAX];
    struct map_buffer value;
};

struct locked_map {
    pthread_mutex_t lock;
    struct node *buckets[BUCKETS];
};

static void *create(const struct map_config *config)
{
    (void)config;
    struct locked_map *map = calloc(1, sizeof *map);
    if (map != NULL) {
        pthread_mutex_init(&map->lock, NULL);
    }
    return map;
}

static bool destroy(void *handle)
{
    struct locked_map *map = handle;
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct node *node = map->buckets[i]; node != NULL;) {
            struct node *next = node->next;
            free(node);
            node = next;
        }
    }
    free(map);
    return true;
}

static void nothing(void *map)
{
    (void)map;
}

/* The link to the key's node, or to NULL at the end of its chain. */
static struct node **find(struct locked_map *map, struct map_bytes key)
{
    const unsigned char *bytes = key.data;
    size_t sum = 0;
    for (size_t i = 0; i < key.size; i++) {
        sum = 31 * sum + bytes[i];
    }
    struct node **link = &map->buckets[sum % BUCKETS];
    while (*link != NULL &&
           ((*link)->key_size != key.size || memcmp((*link)->key, key.data, key.size) != 0)) {
        link = &(*link)->next;
    }
    return link;
}

static enum map_status get(void *handle, struct map_bytes key, struct map_buffer *value)
{
    struct locked_map *map = handle;
    pthread_mutex_lock(&map->lock);
    const struct node *node = *find(map, key);
    if (node != NULL) {
        value->size = node->value.size;
        memcpy(value->data, node->value.data, node->value.size);
    }
    pthread_mutex_unlock(&map->lock);
    return node != NULL ? MAP_OK : MAP_ABSENT;
}

static enum map_status put(void *handle, struct map_bytes key, struct map_bytes value)
{
    struct locked_map *map = handle;
    struct node *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL || key.size > KEY_SIZE_MAX || value.size > MAP_VALUE_SIZE_MAX) {
        free(fresh);
        return MAP_ERROR;
    }
    memcpy(fresh->key, key.data, key.size);
    fresh->key_size = key.size;
    pthread_mutex_lock(&map->lock);
    struct node **link = find(map, key);
    if (*link == NULL) {
        *link = fresh;
        fresh = NULL;
    }
    (*link)->value.size = value.size;
    memcpy((*link)->value.data, value.data, value.size);
    pthread_mutex_unlock(&map->lock);
    free(fresh);
    return MAP_OK;
}

static enum map_status remove_key(void *handle, struct map_bytes key)
{
    struct locked_map *map = handle;
    pthread_mutex_lock(&map->lock);
    struct node **link = find(map, key);
    struct node *node = *link;
    if (node != NULL) {
        *link = node->next;
    }
    pthread_mutex_unlock(&map->lock);
    free(node);
    return node != NULL ? MAP_OK : MAP_ABSENT;
}

const struct map_ops map_locked = {
    .name = "locked",
    .symbol = "map_locked",
    .create = create,
    .destroy = destroy,
    .thread_enter = nothing,
    .thread_exit = nothing,
    .get = get,
    .put = put,
    .remove = remove_key,
};
