// The orderings that the core relies on, each in a small program of its own, under Relacy (Vyukov,
// Debian's relacy-dev): it runs them under many schedules and with every value that C++11 lets a load
// return, so that what an x86 never shows is shown all the same.
//
// Each access stands for one of the core, named beside it, with the order that core/atomic.h gives it.  Each test is
// run as it is, and again with each of its orders in turn made relaxed: as it is it must pass, weakened
// it must fail.  Left out: probing, sizes, reference counts beyond the last; a grace period is the
// end of the readers' section, seen by an acquire.
#include <relacy/relacy.hpp>

#include <cstdio>
#include <cstdlib>
#include <ostream>
#include <streambuf>

namespace
{

// The access whose order is taken away; 0: none.
int weakened = 0;

rl::memory_order order(int access, rl::memory_order intact)
{
    return access == weakened ? rl::mo_relaxed : intact;
}

const unsigned EMPTY = 0;
const unsigned RECORD = 1;
const unsigned FROZEN = 2;
const unsigned MOVED = 3;
const unsigned REMOVED = 4;

// dsq_table_publish beside match_group: who finds a record sees its contents.
struct publish_and_find : rl::test_suite<publish_and_find, 2> {
    static constexpr int accesses = 2;
    rl::atomic<unsigned> slot;
    rl::var<unsigned> contents;

    void before()
    {
        slot($) = EMPTY;
    }
    void thread(unsigned index)
    {
        if (index == 0) {
            contents($) = 7;
            unsigned expected = EMPTY;
            slot($).compare_exchange_strong(expected, RECORD, order(1, rl::mo_acq_rel),
                                            rl::mo_relaxed);           // publish
        } else if (slot($).load(order(2, rl::mo_acquire)) == RECORD) { // match_group
            RL_ASSERT(contents($) == 7);
        }
    }
};

// dsq_migration_start, dsq_migration_move beside probe_read: who sees a frozen or closed slot sees `next`.
struct next_before_frozen : rl::test_suite<next_before_frozen, 3> {
    static constexpr int accesses = 2;
    rl::atomic<unsigned> next;
    rl::atomic<unsigned> slot;
    rl::var<unsigned> next_contents;

    void before()
    {
        next($) = 0;
        slot($) = RECORD;
    }
    void thread(unsigned index)
    {
        if (index == 0) {
            next_contents($) = 7;
            unsigned none = 0;
            next($).compare_exchange_strong(none, 1, order(1, rl::mo_acq_rel),
                                            rl::mo_relaxed); // dsq_migration_start
        } else if (index == 1) {
            if (next($).load(rl::mo_acquire) != 0) { // locate_once, before it moves
                unsigned expected = RECORD;
                slot($).compare_exchange_strong(expected, FROZEN, order(2, rl::mo_acq_rel),
                                                rl::mo_relaxed); // dsq_migration_move
            }
        } else if (slot($).load(rl::mo_acquire) == FROZEN) { // probe_read
            RL_ASSERT(next($).load(rl::mo_acquire) != 0);
            RL_ASSERT(next_contents($) == 7);
        }
    }
};

// copy and dsq_migration_move beside dsq_table_find: who sees MOVED sees the copy in `next`.
struct copied_before_moved : rl::test_suite<copied_before_moved, 2> {
    static constexpr int accesses = 2;
    rl::atomic<unsigned> old_slot;
    rl::atomic<unsigned> new_slot;

    void before()
    {
        old_slot($) = FROZEN;
        new_slot($) = EMPTY;
    }
    void thread(unsigned index)
    {
        if (index == 0) {
            unsigned expected = EMPTY;
            new_slot($).compare_exchange_strong(expected, RECORD, rl::mo_acq_rel,
                                                rl::mo_relaxed); // copy
            expected = FROZEN;
            old_slot($).compare_exchange_strong(expected, MOVED, order(1, rl::mo_acq_rel),
                                                rl::mo_relaxed);          // dsq_migration_move
        } else if (old_slot($).load(order(2, rl::mo_acquire)) == MOVED) { // probe_read
            RL_ASSERT(new_slot($).load(rl::mo_acquire) == RECORD);
        }
    }
};

// S4: who meets a slot removed in `next` sees that its own old slot was final before.
struct late_copier : rl::test_suite<late_copier, 3> {
    static constexpr int accesses = 2;
    rl::atomic<unsigned> old_slot;
    rl::atomic<unsigned> new_slot;

    void before()
    {
        old_slot($) = FROZEN;
        new_slot($) = RECORD;
    }
    void thread(unsigned index)
    {
        if (index == 0) {
            unsigned expected = FROZEN;
            old_slot($).compare_exchange_strong(expected, MOVED, rl::mo_acq_rel,
                                                rl::mo_relaxed); // dsq_migration_move
        } else if (index == 1) {
            if (old_slot($).load(rl::mo_acquire) == MOVED) { // probe_write
                unsigned expected = RECORD;
                new_slot($).compare_exchange_strong(expected, REMOVED, order(1, rl::mo_acq_rel),
                                                    rl::mo_relaxed); // dsq_table_remove
            }
        } else if (new_slot($).load(order(2, rl::mo_acquire)) == REMOVED) { // copy
            RL_ASSERT(old_slot($).load(rl::mo_acquire) == MOVED);
        }
    }
};

// evict_slot beside dsq_map_is_complete: who misses an evicted record does not call the tier complete.
struct complete_before_evicted : rl::test_suite<complete_before_evicted, 2> {
    static constexpr int accesses = 2;
    rl::atomic<unsigned> slot;
    rl::atomic<unsigned> complete;

    void before()
    {
        slot($) = RECORD;
        complete($) = 1;
    }
    void thread(unsigned index)
    {
        if (index == 0) {
            complete($).store(0, rl::mo_release); // evict_slot
            unsigned expected = RECORD;
            slot($).compare_exchange_strong(expected, REMOVED, order(1, rl::mo_acq_rel),
                                            rl::mo_relaxed);            // evict_slot
        } else if (slot($).load(order(2, rl::mo_acquire)) == REMOVED) { // probe_read
            RL_ASSERT(complete($).load(rl::mo_acquire) == 0);           // tier_knows_absence
        }
    }
};

// dsq_mpsc_push by two, dsq_mpsc_take_all: what is taken is whole, and nothing is lost.
struct queue : rl::test_suite<queue, 3> {
    static constexpr int accesses = 2;
    struct node {
        rl::var<unsigned> contents;
        rl::var<node *> older;
    };
    node nodes[2];
    rl::atomic<node *> head;
    rl::var<unsigned> taken;

    void before()
    {
        head($) = nullptr;
        taken($) = 0;
    }
    void push(node *node)
    {
        struct node *newest = head($).load(rl::mo_relaxed); // ck_stack_push_upmc
        do {
            node->older($) = newest;
        } while (
            !head($).compare_exchange_weak(newest, node, order(1, rl::mo_release), rl::mo_relaxed));
    }
    void take()
    {
        node *taken_node =
            head($).exchange(nullptr, order(2, rl::mo_acquire)); // ck_stack_batch_pop_upmc
        while (taken_node != nullptr) {
            RL_ASSERT(taken_node->contents($) == 7);
            taken($) = taken($) + 1;
            taken_node = taken_node->older($);
        }
    }
    void thread(unsigned index)
    {
        if (index < 2) {
            nodes[index].contents($) = 7;
            push(&nodes[index]);
        } else {
            take();
        }
    }
    void after()
    {
        take();
        RL_ASSERT(taken($) == 2);
    }
};

// dsq_record_drop by two: the last one sees every use of the record before it is freed.
struct last_reference : rl::test_suite<last_reference, 2> {
    static constexpr int accesses = 1;
    rl::atomic<unsigned> references;
    rl::var<unsigned> contents;

    void before()
    {
        references($) = 2;
        contents($) = 7;
    }
    void thread(unsigned)
    {
        RL_ASSERT(contents($) == 7);
        if (references($).fetch_sub(1, order(1, rl::mo_acq_rel)) == 1) { // dsq_record_drop
            contents($) = 0;                                             // freed
        }
    }
};

// ripen beside pick_ripe: who frees a ripe record comes after the grace period that ripened it.
struct ripe : rl::test_suite<ripe, 2> {
    static constexpr int accesses = 2;
    rl::atomic<unsigned> list;
    rl::var<unsigned> contents;

    void before()
    {
        list($) = 0;
        contents($) = 7;
    }
    void thread(unsigned index)
    {
        if (index == 0) {
            RL_ASSERT(contents($) == 7); // by a reader, whose end the reclaimer has seen
            list($).exchange(1, order(1, rl::mo_acq_rel));               // ripen
        } else if (list($).exchange(0, order(2, rl::mo_acq_rel)) != 0) { // pick_ripe
            contents($) = 0;                                             // free_record
        }
    }
};

// dsq_committer_settle beside a committer that is going to sleep: one of the two sees the other.
struct settle_or_carry : rl::test_suite<settle_or_carry, 2> {
    static constexpr int accesses = 2;
    rl::atomic<unsigned> state;
    rl::atomic<unsigned> carries;
    rl::var<unsigned> seen[2];

    void before()
    {
        state($) = 0;
        carries($) = 0;
    }
    void thread(unsigned index)
    {
        if (index == 0) {
            unsigned pending = 0;
            state($).compare_exchange_strong(pending, 1, order(1, rl::mo_seq_cst),
                                             rl::mo_relaxed); // dsq_record_move
            seen[0]($) = carries($).load(rl::mo_seq_cst);     // dsq_committer_settle
        } else {
            carries($).store(1, order(2, rl::mo_seq_cst)); // the committer
            seen[1]($) = state($).load(rl::mo_seq_cst);    // dsq_record_state
        }
    }
    void after()
    {
        RL_ASSERT(seen[0]($) != 0 || seen[1]($) != 0);
    }
};

// dsq_reclaim_retire beside sleep_until_work: the same between bytes and `asleep`.
struct retire_or_sleep : rl::test_suite<retire_or_sleep, 2> {
    static constexpr int accesses = 2;
    rl::atomic<unsigned> bytes;
    rl::atomic<unsigned> asleep;
    rl::var<unsigned> seen[2];

    void before()
    {
        bytes($) = 0;
        asleep($) = 0;
    }
    void thread(unsigned index)
    {
        if (index == 0) {
            bytes($).fetch_add(1, order(1, rl::mo_seq_cst)); // retire
            seen[0]($) = asleep($).load(rl::mo_seq_cst);     // note_retired
        } else {
            asleep($).store(1, order(2, rl::mo_seq_cst)); // sleep_until_work
            seen[1]($) = bytes($).load(rl::mo_seq_cst);   // stacked_bytes
        }
    }
    void after()
    {
        RL_ASSERT(seen[0]($) != 0 || seen[1]($) != 0);
    }
};

unsigned passed = 0;
unsigned failed = 0;

// Relacy replaces operator new within a test: its output must not allocate there.
struct no_output : std::streambuf {
    int overflow(int character) override
    {
        return character;
    }
};

template <typename test> bool holds(unsigned long iterations)
{
    static no_output nowhere;
    static std::ostream ignored(&nowhere);
    rl::test_params parameters;
    parameters.iteration_count = iterations;
    parameters.output_stream = &ignored;
    parameters.progress_stream = &ignored;
    parameters.search_type = rl::random_scheduler_type;
    return rl::simulate<test>(parameters);
}

void report(const char *name, const char *what, bool right, const char *verdict)
{
    std::printf("%-24s %-22s %s\n", name, what, verdict);
    (right ? passed : failed)++;
}

template <typename test> void try_all(const char *name, unsigned long iterations)
{
    weakened = 0;
    bool intact = holds<test>(iterations);
    report(name, "as it is", intact, intact ? "holds" : "DOES NOT HOLD");
    for (weakened = 1; weakened <= test::accesses; weakened++) {
        char what[32];
        std::snprintf(what, sizeof what, "access %d relaxed", weakened);
        bool caught = !holds<test>(iterations);
        report(name, what, caught, caught ? "caught" : "NOT CAUGHT");
    }
}

} // namespace

int main(int argc, char **argv)
{
    unsigned long iterations = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 100000;

    if (iterations == 0) {
        std::fprintf(stderr, "usage: %s [ITERATIONS]\n", argv[0]);
        return 2;
    }
    try_all<publish_and_find>("publish and find", iterations);
    try_all<next_before_frozen>("next before frozen", iterations);
    try_all<copied_before_moved>("copied before moved", iterations);
    try_all<late_copier>("late copier", iterations);
    try_all<complete_before_evicted>("complete before evicted", iterations);
    try_all<queue>("queue", iterations);
    try_all<last_reference>("last reference", iterations);
    try_all<ripe>("ripe", iterations);
    try_all<settle_or_carry>("settle or carry", iterations);
    try_all<retire_or_sleep>("retire or sleep", iterations);
    std::printf("%u passed, %u failed; %lu schedules each\n", passed, failed, iterations);
    return failed == 0 ? 0 : 1;
}
