/* liburcu's lock-free resizable hash table (split-ordered lists), in memory only. */
#define URCU_API_MAP
#include <stdlib.h>
#include <string.h>

#include <urcu/urcu-bp.h>

#include <urcu/rculfhash.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "stress/map_ops.h"
#include "stress/verdict.h"

#define BUCKETS_MIN 64

struct node {
    struct cds_lfht_node link;
    struct rcu_head head;
    size_t key_size;
    size_t value_size;
    unsigned char bytes[]; /* key, value */
};

static struct node *node_of(struct cds_lfht_node *link)
{
    return caa_container_of(link, struct node, link);
}

static unsigned long hash_of(struct map_bytes key)
{
    return (unsigned long)XXH3_64bits(key.data, key.size);
}

static int matches(struct cds_lfht_node *link, const void *argument)
{
    const struct map_bytes *key = argument;
    const struct node *node = node_of(link);
    return node->key_size == key->size && memcmp(node->bytes, key->data, key->size) == 0;
}

static struct node *node_new(struct map_bytes key, struct map_bytes value)
{
    struct node *node = malloc(sizeof *node + key.size + value.size);
    if (node == NULL) {
        stress_violation("out of memory");
        abort();
    }
    cds_lfht_node_init(&node->link);
    node->key_size = key.size;
    node->value_size = value.size;
    memcpy(node->bytes, key.data, key.size);
    memcpy(node->bytes + key.size, value.data, value.size);
    return node;
}

static void node_free(struct rcu_head *head)
{
    free(caa_container_of(head, struct node, head));
}

static void node_retire(struct cds_lfht_node *link)
{
    urcu_bp_call_rcu(&node_of(link)->head, node_free);
}

static void *create(const struct map_config *config)
{
    (void)config;
    return cds_lfht_new_flavor(BUCKETS_MIN, BUCKETS_MIN, 0,
                               CDS_LFHT_AUTO_RESIZE | CDS_LFHT_ACCOUNTING, &urcu_bp_flavor, NULL);
}

static bool destroy(void *map)
{
    struct cds_lfht_iter iter;
    struct cds_lfht_node *link;
    urcu_bp_read_lock();
    cds_lfht_first(map, &iter);
    while ((link = cds_lfht_iter_get_node(&iter)) != NULL) {
        cds_lfht_next(map, &iter);
        if (cds_lfht_del(map, link) == 0) {
            node_retire(link);
        }
    }
    urcu_bp_read_unlock();
    urcu_bp_barrier();
    return cds_lfht_destroy(map, NULL) == 0;
}

static void nothing(void *map)
{
    (void)map;
}

static struct cds_lfht_node *find(void *map, struct map_bytes key, struct cds_lfht_iter *iter)
{
    cds_lfht_lookup(map, hash_of(key), matches, &key, iter);
    return cds_lfht_iter_get_node(iter);
}

static void copy_value(const struct cds_lfht_node *link, struct map_buffer *value)
{
    const struct node *node = node_of((struct cds_lfht_node *)link);
    value->size = node->value_size;
    memcpy(value->data, node->bytes + node->key_size, node->value_size);
}

static enum map_status get(void *map, struct map_bytes key, struct map_buffer *value)
{
    struct cds_lfht_iter iter;
    urcu_bp_read_lock();
    struct cds_lfht_node *link = find(map, key, &iter);
    if (link != NULL) {
        copy_value(link, value);
    }
    urcu_bp_read_unlock();
    return link != NULL ? MAP_OK : MAP_ABSENT;
}

static enum map_status put(void *map, struct map_bytes key, struct map_bytes value)
{
    struct node *node = node_new(key, value);
    urcu_bp_read_lock();
    struct cds_lfht_node *old = cds_lfht_add_replace(map, hash_of(key), matches, &key, &node->link);
    urcu_bp_read_unlock();
    if (old != NULL) {
        node_retire(old);
    }
    return MAP_OK;
}

static enum map_status pop(void *map, struct map_bytes key, struct map_buffer *value)
{
    struct cds_lfht_iter iter;
    enum map_status status = MAP_ABSENT;
    urcu_bp_read_lock();
    struct cds_lfht_node *link = find(map, key, &iter);
    /* A lost race: the node was removed or replaced meanwhile, so look again. */
    while (link != NULL && cds_lfht_del(map, link) != 0) {
        link = find(map, key, &iter);
    }
    if (link != NULL) {
        copy_value(link, value);
        node_retire(link);
        status = MAP_OK;
    }
    urcu_bp_read_unlock();
    return status;
}

static enum map_status remove_key(void *map, struct map_bytes key)
{
    struct map_buffer ignored;
    return pop(map, key, &ignored);
}

static enum map_status add(void *map, struct map_bytes key, struct map_bytes value)
{
    struct node *node = node_new(key, value);
    urcu_bp_read_lock();
    struct cds_lfht_node *there =
        cds_lfht_add_unique(map, hash_of(key), matches, &key, &node->link);
    urcu_bp_read_unlock();
    if (there != &node->link) {
        free(node);
        return MAP_EXISTS;
    }
    return MAP_OK;
}

static enum map_status cas(void *map, struct map_bytes key, struct map_bytes expected,
                           struct map_bytes desired)
{
    struct node *node = node_new(key, desired);
    struct cds_lfht_iter iter;
    struct cds_lfht_node *link;
    enum map_status status = MAP_ABSENT;
    urcu_bp_read_lock();
    while ((link = find(map, key, &iter)) != NULL) {
        const struct node *there = node_of(link);
        status = MAP_MISMATCH;
        if (there->value_size != expected.size ||
            memcmp(there->bytes + key.size, expected.data, expected.size) != 0) {
            break;
        }
        status = MAP_ABSENT;
        if (cds_lfht_replace(map, &iter, hash_of(key), matches, &key, &node->link) == 0) {
            node_retire(link);
            status = MAP_OK;
            break;
        }
    }
    urcu_bp_read_unlock();
    if (status != MAP_OK) {
        free(node);
    }
    return status;
}

const struct map_ops map_rculfhash = {
    .name = "rculfhash",
    .symbol = "cds_lfht_lookup",
    .create = create,
    .destroy = destroy,
    .thread_enter = nothing,
    .thread_exit = nothing,
    .get = get,
    .put = put,
    .remove = remove_key,
    .pop = pop,
    .add = add,
    .cas = cas,
};
