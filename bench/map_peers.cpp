// Maps of other libraries as stress/map_ops.h sees them: one template over what each offers, which is get,
// put and remove here.  All hash with XXH3, but those of Rust, which bring a hash of their own; look-ups
// make no copy of the key.
#include "bench/map_peers.h"

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#define XXH_INLINE_ALL
#include <xxhash.h>

#ifdef BENCH_HAVE_ABSL
#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>
#endif
#ifdef BENCH_HAVE_TBB
#include <tbb/concurrent_hash_map.h>
#endif
#ifdef BENCH_HAVE_LIBCUCKOO
#include <libcuckoo/cuckoohash_map.hh>
#endif

namespace
{

std::string_view view(map_bytes bytes)
{
    return {static_cast<const char *>(bytes.data), bytes.size};
}

std::string text(map_bytes bytes)
{
    return std::string(view(bytes));
}

void copy(const std::string &from, map_buffer *to)
{
    to->size = from.size();
    std::memcpy(to->data, from.data(), from.size());
}

// For strings and views of them alike.
struct text_hash {
    using is_transparent = void;

    std::size_t operator()(std::string_view key) const
    {
        return XXH3_64bits(key.data(), key.size());
    }
};

struct text_equal {
    using is_transparent = void;

    bool operator()(std::string_view a, std::string_view b) const
    {
        return a == b;
    }
};

// A map for one thread, behind a mutex.
template <typename Records> struct locked_map {
    std::mutex mutex;
    Records records;

    bool get(map_bytes key, map_buffer *value)
    {
        std::lock_guard<std::mutex> guard(mutex);
        auto found = records.find(view(key));
        if (found == records.end()) {
            return false;
        }
        copy(found->second, value);
        return true;
    }

    void put(map_bytes key, map_bytes value)
    {
        std::lock_guard<std::mutex> guard(mutex);
        auto found = records.find(view(key));
        if (found != records.end()) {
            found->second.assign(view(value));
        } else {
            records.emplace(text(key), text(value));
        }
    }

    bool remove(map_bytes key)
    {
        std::lock_guard<std::mutex> guard(mutex);
        auto found = records.find(view(key));
        if (found == records.end()) {
            return false;
        }
        records.erase(found);
        return true;
    }
};

using locked_std = locked_map<std::unordered_map<std::string, std::string, text_hash, text_equal>>;

#ifdef BENCH_HAVE_ABSL
using locked_absl =
    locked_map<absl::flat_hash_map<std::string, std::string, text_hash, text_equal>>;

// What a table without any synchronization can do that has the shape of ours: pointers to records that lie
// outside of it, key and value in one piece of memory, replaced as a whole.
class record_set
{
    struct record {
        std::size_t key_size;
        std::size_t value_size;
        char bytes[];

        std::string_view key() const
        {
            return {bytes, key_size};
        }
    };

    struct record_hash : text_hash {
        using text_hash::operator();
        std::size_t operator()(const record *one) const
        {
            return text_hash::operator()(one->key());
        }
    };

    struct record_equal {
        using is_transparent = void;
        static std::string_view key_of(std::string_view key)
        {
            return key;
        }
        static std::string_view key_of(const record *one)
        {
            return one->key();
        }
        template <typename A, typename B> bool operator()(const A &a, const B &b) const
        {
            return key_of(a) == key_of(b);
        }
    };

    absl::flat_hash_set<record *, record_hash, record_equal> records;

    static record *make(map_bytes key, map_bytes value)
    {
        auto *made = static_cast<record *>(std::malloc(sizeof(record) + key.size + value.size));
        if (made == nullptr) {
            std::abort();
        }
        made->key_size = key.size;
        made->value_size = value.size;
        std::memcpy(made->bytes, key.data, key.size);
        std::memcpy(made->bytes + key.size, value.data, value.size);
        return made;
    }

  public:
    record_set() = default;
    record_set(const record_set &) = delete;
    record_set &operator=(const record_set &) = delete;
    ~record_set()
    {
        for (record *one : records) {
            std::free(one);
        }
    }

    bool get(map_bytes key, map_buffer *value)
    {
        auto found = records.find(view(key));
        if (found == records.end()) {
            return false;
        }
        value->size = (*found)->value_size;
        std::memcpy(value->data, (*found)->bytes + (*found)->key_size, value->size);
        return true;
    }

    void put(map_bytes key, map_bytes value)
    {
        record *made = make(key, value);
        auto [place, inserted] = records.insert(made);
        if (!inserted) {
            // Equal keys: the set need not know that it is another record now.
            std::free(std::exchange(const_cast<record *&>(*place), made));
        }
    }

    bool remove(map_bytes key)
    {
        auto found = records.find(view(key));
        if (found == records.end()) {
            return false;
        }
        record *gone = *found;
        records.erase(found);
        std::free(gone);
        return true;
    }
};
#endif

#ifdef BENCH_HAVE_TBB
struct tbb_compare {
    using is_transparent = void;

    static std::size_t hash(std::string_view key)
    {
        return text_hash{}(key);
    }

    static bool equal(std::string_view a, std::string_view b)
    {
        return a == b;
    }
};

struct tbb_map {
    tbb::concurrent_hash_map<std::string, std::string, tbb_compare> records;

    bool get(map_bytes key, map_buffer *value)
    {
        decltype(records)::const_accessor found;
        if (!records.find(found, view(key))) {
            return false;
        }
        copy(found->second, value);
        return true;
    }

    void put(map_bytes key, map_bytes value)
    {
        decltype(records)::accessor place;
        records.insert(place, view(key));
        place->second.assign(view(value));
    }

    bool remove(map_bytes key)
    {
        return records.erase(view(key));
    }
};
#endif

#ifdef BENCH_HAVE_LIBCUCKOO
struct cuckoo_map {
    libcuckoo::cuckoohash_map<std::string, std::string, text_hash, text_equal> records;

    bool get(map_bytes key, map_buffer *value)
    {
        return records.find_fn(view(key), [&](const std::string &found) { copy(found, value); });
    }

    void put(map_bytes key, map_bytes value)
    {
        records.upsert(
            view(key), [&](std::string &found) { found.assign(view(value)); }, view(value));
    }

    bool remove(map_bytes key)
    {
        return records.erase(view(key));
    }
};
#endif

#ifdef BENCH_HAVE_RUST
// bench/rust_maps/src/lib.rs
extern "C" {
#define RUST_MAP(name)                                                                             \
    void *name##_new(void);                                                                        \
    void name##_free(void *map);                                                                   \
    std::ptrdiff_t name##_get(const void *map, const void *key, std::size_t key_size,              \
                              void *value);                                                        \
    void name##_put(const void *map, const void *key, std::size_t key_size, const void *value,     \
                    std::size_t value_size);                                                       \
    bool name##_remove(const void *map, const void *key, std::size_t key_size)
RUST_MAP(papaya);
RUST_MAP(dashmap);
RUST_MAP(scc);
#undef RUST_MAP
}

template <auto New, auto Free, auto Get, auto Put, auto Remove> struct rust_map {
    void *records = New();

    rust_map() = default;
    rust_map(const rust_map &) = delete;
    rust_map &operator=(const rust_map &) = delete;
    ~rust_map()
    {
        Free(records);
    }

    bool get(map_bytes key, map_buffer *value)
    {
        std::ptrdiff_t size = Get(records, key.data, key.size, value->data);
        value->size = size < 0 ? 0 : static_cast<std::size_t>(size);
        return size >= 0;
    }

    void put(map_bytes key, map_bytes value)
    {
        Put(records, key.data, key.size, value.data, value.size);
    }

    bool remove(map_bytes key)
    {
        return Remove(records, key.data, key.size);
    }
};

using papaya_map = rust_map<papaya_new, papaya_free, papaya_get, papaya_put, papaya_remove>;
using dash_map = rust_map<dashmap_new, dashmap_free, dashmap_get, dashmap_put, dashmap_remove>;
using scc_map = rust_map<scc_new, scc_free, scc_get, scc_put, scc_remove>;
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

    static map_status remove(void *map, map_bytes key)
    {
        return static_cast<Map *>(map)->remove(key) ? MAP_OK : MAP_ABSENT;
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
        ops.remove = remove;
        return ops;
    }
};

const map_ops std_ops = peer<locked_std>::named("mutex+std");
#ifdef BENCH_HAVE_ABSL
const map_ops absl_ops = peer<locked_absl>::named("mutex+absl");
const map_ops limit_ops = peer<record_set>::named("no threads");
#endif
#ifdef BENCH_HAVE_TBB
const map_ops tbb_ops = peer<tbb_map>::named("tbb");
#endif
#ifdef BENCH_HAVE_LIBCUCKOO
const map_ops cuckoo_ops = peer<cuckoo_map>::named("libcuckoo");
#endif
#ifdef BENCH_HAVE_RUST
const map_ops papaya_ops = peer<papaya_map>::named("papaya");
const map_ops dash_ops = peer<dash_map>::named("dashmap");
const map_ops scc_ops = peer<scc_map>::named("scc");
#endif

} // namespace

const map_peer map_peers[] = {
#ifdef BENCH_HAVE_TBB
    {&tbb_ops, MAP_BY_ALL},
#endif
#ifdef BENCH_HAVE_LIBCUCKOO
    {&cuckoo_ops, MAP_BY_ALL},
#endif
#ifdef BENCH_HAVE_RUST
    {&papaya_ops, MAP_BY_ALL},       {&dash_ops, MAP_BY_ALL}, {&scc_ops, MAP_BY_ALL},
#endif
#ifdef BENCH_HAVE_CDS
    {&map_cds, MAP_BY_ALL},
#endif
    {&std_ops, MAP_BY_ALL},
#ifdef BENCH_HAVE_ABSL
    {&absl_ops, MAP_BY_ALL},
#endif
    {&map_ck, MAP_BY_ONE_WRITER},
#ifdef BENCH_HAVE_ABSL
    {&limit_ops, MAP_BY_ONE_THREAD},
#endif
    {nullptr, MAP_BY_ALL},
};
