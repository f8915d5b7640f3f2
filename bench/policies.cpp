#include "bench/policies.h"

#include <cstdint>
#include <list>
#include <queue>
#include <utility>
#include <vector>

namespace
{

// LRU and FIFO are one queue; LRU moves what is used to its end.
std::uint64_t misses_of_queue(const bench_trace &trace, std::uint64_t capacity, bool move_used)
{
    std::list<std::uint32_t> queue;
    std::vector<std::list<std::uint32_t>::iterator> places(trace.distinct, queue.end());
    std::uint64_t misses = 0;

    for (std::size_t i = 0; i < trace.count; i++) {
        std::uint32_t key = trace.keys[i];
        if (places[key] != queue.end()) {
            if (move_used) {
                queue.splice(queue.end(), queue, places[key]);
            }
            continue;
        }
        misses++;
        if (queue.size() == capacity) {
            places[queue.front()] = queue.end();
            queue.pop_front();
        }
        places[key] = queue.insert(queue.end(), key);
    }
    return misses;
}

// When each request's key is requested again; the length of the trace if never.
std::vector<std::size_t> next_uses(const bench_trace &trace)
{
    std::vector<std::size_t> next(trace.count);
    std::vector<std::size_t> seen(trace.distinct, trace.count);

    for (std::size_t i = trace.count; i-- > 0;) {
        next[i] = seen[trace.keys[i]];
        seen[trace.keys[i]] = i;
    }
    return next;
}

} // namespace

std::uint64_t bench_misses_lru(const bench_trace *trace, std::uint64_t capacity)
{
    return misses_of_queue(*trace, capacity, true);
}

std::uint64_t bench_misses_fifo(const bench_trace *trace, std::uint64_t capacity)
{
    return misses_of_queue(*trace, capacity, false);
}

std::uint64_t bench_misses_optimal(const bench_trace *trace, std::uint64_t capacity)
{
    std::vector<std::size_t> next = next_uses(*trace);
    // What each cached key waits for; 0: not cached.  The heap also keeps what a use has outdated.
    std::vector<std::size_t> waits_for(trace->distinct, 0);
    std::priority_queue<std::pair<std::size_t, std::uint32_t>> latest;
    std::uint64_t cached = 0;
    std::uint64_t misses = 0;

    for (std::size_t i = 0; i < trace->count; i++) {
        std::uint32_t key = trace->keys[i];
        if (waits_for[key] == 0) {
            misses++;
            cached++;
        }
        waits_for[key] = next[i];
        latest.emplace(next[i], key);
        while (cached > capacity) {
            auto [when, victim] = latest.top();
            latest.pop();
            if (waits_for[victim] == when) {
                waits_for[victim] = 0;
                cached--;
            }
        }
    }
    return misses;
}
