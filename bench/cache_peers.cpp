// RocksDB's caches as stress/map_ops.h sees them, used as RocksDB uses them: a value is an object on the heap,
// which the cache frees through a deleter, and who has looked it up holds a handle while it is copied.
#include "bench/cache_peers.h"

#ifdef BENCH_HAVE_ROCKSDB

#include <cstdlib>
#include <cstring>
#include <memory>

#include <rocksdb/cache.h>

namespace
{

struct object {
    std::size_t size;
    char bytes[];
};

void free_object(const rocksdb::Slice &, void *value)
{
    std::free(value);
}

rocksdb::Slice slice(map_bytes key)
{
    return {static_cast<const char *>(key.data), key.size};
}

struct held {
    std::shared_ptr<rocksdb::Cache> cache;
};

// Every entry is charged 1, so that the capacity is a number of entries, as ours is.  Not strict, which is how
// RocksDB uses them: an insertion that finds nothing to evict at once goes ahead, instead of being refused.
constexpr std::size_t entry_charge = 1;

void *create_lru(const map_config *config)
{
    rocksdb::LRUCacheOptions options;
    options.capacity = config->capacity;
    options.num_shard_bits = static_cast<int>(config->shard_bits);
    options.metadata_charge_policy = rocksdb::kDontChargeCacheMetadata;
    return new held{rocksdb::NewLRUCache(options)};
}

void *create_hyper_clock(const map_config *config)
{
    rocksdb::HyperClockCacheOptions options(config->capacity, entry_charge,
                                            static_cast<int>(config->shard_bits), false, nullptr,
                                            rocksdb::kDontChargeCacheMetadata);
    return new held{options.MakeSharedCache()};
}

bool destroy(void *map)
{
    delete static_cast<held *>(map);
    return true;
}

void nothing(void *)
{
}

map_status get(void *map, map_bytes key, map_buffer *value)
{
    rocksdb::Cache &cache = *static_cast<held *>(map)->cache;
    rocksdb::Cache::Handle *handle = cache.Lookup(slice(key));
    if (handle == nullptr) {
        return MAP_ABSENT;
    }
    const auto *found = static_cast<const object *>(cache.Value(handle));
    value->size = found->size;
    std::memcpy(value->data, found->bytes, found->size);
    cache.Release(handle);
    return MAP_OK;
}

map_status put(void *map, map_bytes key, map_bytes value)
{
    rocksdb::Cache &cache = *static_cast<held *>(map)->cache;
    auto *made = static_cast<object *>(std::malloc(sizeof(object) + value.size));
    if (made == nullptr) {
        std::abort();
    }
    made->size = value.size;
    std::memcpy(made->bytes, value.data, value.size);
    return cache.Insert(slice(key), made, entry_charge, free_object).ok() ? MAP_OK : MAP_ERROR;
}

map_status length(void *map, std::uint64_t *records)
{
    *records = static_cast<held *>(map)->cache->GetUsage() / entry_charge;
    return MAP_OK;
}

map_ops named(const char *name, void *(*create)(const map_config *))
{
    map_ops ops{};
    ops.name = name;
    ops.create = create;
    ops.destroy = destroy;
    ops.thread_enter = nothing;
    ops.thread_exit = nothing;
    ops.get = get;
    ops.put = put;
    ops.length = length;
    return ops;
}

const map_ops hyper_clock_ops = named("HyperClock", create_hyper_clock);
const map_ops lru_ops = named("LRUCache", create_lru);

} // namespace

#endif

const map_ops *const cache_peers[] = {
#ifdef BENCH_HAVE_ROCKSDB
    &hyper_clock_ops,
    &lru_ops,
#endif
    nullptr,
};
