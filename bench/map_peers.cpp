// Maps of C++ libraries as stress/map_ops.h sees them: one template over what each offers, which is get
// and put here.
#include "bench/map_peers.h"

#include <cstddef>
#include <cstring>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#ifdef BENCH_HAVE_TBB
#include <tbb/concurrent_hash_map.h>
#endif
#ifdef BENCH_HAVE_LIBCUCKOO
#include <libcuckoo/cuckoohash_map.hh>
#endif

namespace
{

std::string text(map_bytes bytes)
{
    return {static_cast<const char *>(bytes.data), bytes.size};
}

void copy(const std::string &from, map_buffer *to)
{
    to->size = from.size();
    std::memcpy(to->data, from.data(), from.size());
}

// What most C++ programs would use.
struct locked_map {
    std::mutex mutex;
    std::unordered_map<std::string, std::string> records;

    bool get(map_bytes key, map_buffer *value)
    {
        std::lock_guard<std::mutex> guard(mutex);
        auto found = records.find(text(key));
        if (found == records.end()) {
            return false;
        }
        copy(found->second, value);
        return true;
    }

    void put(map_bytes key, map_bytes value)
    {
        std::lock_guard<std::mutex> guard(mutex);
        records[text(key)] = text(value);
    }
};

#ifdef BENCH_HAVE_TBB
struct tbb_map {
    tbb::concurrent_hash_map<std::string, std::string> records;

    bool get(map_bytes key, map_buffer *value)
    {
        decltype(records)::const_accessor found;
        if (!records.find(found, text(key))) {
            return false;
        }
        copy(found->second, value);
        return true;
    }

    void put(map_bytes key, map_bytes value)
    {
        decltype(records)::accessor place;
        records.insert(place, text(key));
        place->second = text(value);
    }
};
#endif

#ifdef BENCH_HAVE_LIBCUCKOO
struct cuckoo_map {
    libcuckoo::cuckoohash_map<std::string, std::string> records;

    bool get(map_bytes key, map_buffer *value)
    {
        return records.find_fn(text(key), [&](const std::string &found) { copy(found, value); });
    }

    void put(map_bytes key, map_bytes value)
    {
        records.insert_or_assign(text(key), text(value));
    }
};
#endif

#ifdef BENCH_HAVE_PAPAYA
// bench/papaya/src/lib.rs
extern "C" {
void *papaya_peer_new(void);
void papaya_peer_free(void *map);
std::ptrdiff_t papaya_peer_get(const void *map, const void *key, std::size_t key_size, void *value);
void papaya_peer_put(const void *map, const void *key, std::size_t key_size, const void *value,
                     std::size_t value_size);
}

struct papaya_map {
    void *records = papaya_peer_new();

    papaya_map() = default;
    papaya_map(const papaya_map &) = delete;
    papaya_map &operator=(const papaya_map &) = delete;
    ~papaya_map()
    {
        papaya_peer_free(records);
    }

    bool get(map_bytes key, map_buffer *value)
    {
        std::ptrdiff_t size = papaya_peer_get(records, key.data, key.size, value->data);
        value->size = size < 0 ? 0 : static_cast<std::size_t>(size);
        return size >= 0;
    }

    void put(map_bytes key, map_bytes value)
    {
        papaya_peer_put(records, key.data, key.size, value.data, value.size);
    }
};
#endif

template <typename Map> struct peer {
    static void *create(const map_config *)
    {
        return new Map;
    }

    static bool destroy(void *map)
    {
        delete static_cast<Map *>(map);
        return true;
    }

    static void nothing(void *)
    {
    }

    static map_status get(void *map, map_bytes key, map_buffer *value)
    {
        return static_cast<Map *>(map)->get(key, value) ? MAP_OK : MAP_ABSENT;
    }

    static map_status put(void *map, map_bytes key, map_bytes value)
    {
        static_cast<Map *>(map)->put(key, value);
        return MAP_OK;
    }

    static map_ops named(const char *name)
    {
        map_ops ops{};
        ops.name = name;
        ops.create = create;
        ops.destroy = destroy;
        ops.thread_enter = nothing;
        ops.thread_exit = nothing;
        ops.get = get;
        ops.put = put;
        return ops;
    }
};

const map_ops locked = peer<locked_map>::named("mutex and std::unordered_map");
#ifdef BENCH_HAVE_TBB
const map_ops tbb_ops = peer<tbb_map>::named("tbb::concurrent_hash_map");
#endif
#ifdef BENCH_HAVE_LIBCUCKOO
const map_ops cuckoo = peer<cuckoo_map>::named("libcuckoo");
#endif
#ifdef BENCH_HAVE_PAPAYA
const map_ops papaya = peer<papaya_map>::named("papaya");
#endif

} // namespace

const map_ops *const map_peers[] = {
    &locked,
#ifdef BENCH_HAVE_TBB
    &tbb_ops,
#endif
#ifdef BENCH_HAVE_LIBCUCKOO
    &cuckoo,
#endif
#ifdef BENCH_HAVE_PAPAYA
    &papaya,
#endif
    nullptr,
};
