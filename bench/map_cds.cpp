// libcds's split-ordered list with hazard pointers.  Over its IterableList, since that one alone replaces the value
// of a key as a whole while others read it; its FeldmanHashMap takes keys of a fixed size only.
#include "bench/map_peers.h"

#include <cstring>
#include <string>
#include <string_view>

#include <cds/container/iterable_list_hp.h>
#include <cds/container/split_list_map.h>
#include <cds/gc/hp.h>
#include <cds/init.h>
#include <cds/threading/model.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "bench/map_workload.h"

namespace
{

std::string_view view(map_bytes bytes)
{
    return {static_cast<const char *>(bytes.data), bytes.size};
}

struct text_hash {
    std::size_t operator()(std::string_view key) const
    {
        return XXH3_64bits(key.data(), key.size());
    }
};

struct text_compare {
    int operator()(std::string_view a, std::string_view b) const
    {
        return a.compare(b);
    }
};

struct split_list_traits : cds::container::split_list::traits {
    using ordered_list = cds::container::iterable_list_tag;
    using hash = text_hash;
    struct ordered_list_traits : cds::container::iterable_list::traits {
        using compare = text_compare;
    };
};

using split_list =
    cds::container::SplitListMap<cds::gc::HP, std::string, std::string, split_list_traits>;

// The number of buckets grows up to this one.
constexpr std::size_t buckets_max = std::size_t{1} << 24;

// The library's state, made with the first map; it outlives every thread.
struct library {
    struct beginning {
        beginning()
        {
            cds::Initialize();
        }
    } begun;
    cds::gc::HP collector{split_list::c_nHazardPtrCount + 1, MAP_THREADS_MAX + 1};
};

// May be said again and again; a thread that has left uses no map.
void enter(void *)
{
    cds::threading::Manager::attachThread();
}

void leave(void *)
{
    cds::threading::Manager::detachThread();
}

void *create(const map_config *)
{
    static auto *const loaded = new library;
    (void)loaded;
    enter(nullptr);
    return new split_list(buckets_max);
}

bool destroy(void *map)
{
    enter(nullptr);
    delete static_cast<split_list *>(map);
    return true;
}

map_status get(void *map, map_bytes key, map_buffer *value)
{
    auto copy = [value](split_list::value_type &found) {
        value->size = found.second.size();
        std::memcpy(value->data, found.second.data(), value->size);
    };
    return static_cast<split_list *>(map)->find(view(key), copy) ? MAP_OK : MAP_ABSENT;
}

map_status put(void *map, map_bytes key, map_bytes value)
{
    auto [stored, inserted] =
        static_cast<split_list *>(map)->upsert(std::string(view(key)), std::string(view(value)));
    return stored ? MAP_OK : MAP_ERROR;
}

map_status remove(void *map, map_bytes key)
{
    return static_cast<split_list *>(map)->erase(view(key)) ? MAP_OK : MAP_ABSENT;
}

map_ops made()
{
    map_ops ops{};
    ops.name = "libcds";
    ops.create = create;
    ops.destroy = destroy;
    ops.thread_enter = enter;
    ops.thread_exit = leave;
    ops.get = get;
    ops.put = put;
    ops.remove = remove;
    return ops;
}

} // namespace

const map_ops map_cds = made();
