/*
 * Look-ups of many keys at once.  A look-up waits for two cache lines, the group of slots and the
 * record, one after the other; those of different keys do not depend on each other.  So each step is
 * taken for a whole run of keys before the next: hash and ask for the slots, ask for the records,
 * look.
 */
#include "core/error.h"
#include "persist/tier_internal.h"

static void hash_keys(struct dsq_tier *tier, const struct dsq_bytes *keys, size_t count,
                      uint64_t *hashes)
{
    for (size_t i = 0; i < count; i++) {
        hashes[i] = dsq_hash(&tier->secret, keys[i]);
    }
}

void dsq_tier_peek_many(struct dsq_tier *tier, const struct dsq_bytes *keys, size_t count,
                        struct dsq_record **records, int *statuses)
{
    uint64_t hashes[DSQ_TIER_RUN_KEYS];
    size_t answered = 0;

    hash_keys(tier, keys, count, hashes);
    tier_prefetch(tier, hashes, count);
    for (size_t i = 0; i < count; i++) {
        statuses[i] = tier_glance(tier, hashes[i], keys[i], &records[i]);
        answered += statuses[i] != DSQ_WOULD_BLOCK;
    }
    tier_count_hits(tier, answered);
}

struct run {
    struct dsq_tier *tier;
    const struct dsq_bytes *keys;
    size_t count;
    struct dsq_record **records;
    int *statuses;
};

/* Those that the hot tier answers; DSQ_WOULD_BLOCK for the others. */
static void pin_hot(const struct run *run)
{
    struct dsq_tier *tier = run->tier;
    uint64_t hashes[DSQ_TIER_RUN_KEYS];

    dsq_read_lock();
    hash_keys(tier, run->keys, run->count, hashes);
    tier_prefetch(tier, hashes, run->count);
    for (size_t i = 0; i < run->count; i++) {
        bool absent;

        run->records[i] = dsq_tier_pin_found(tier, hashes[i], run->keys[i], &absent);
        run->statuses[i] = absent ? DSQ_ABSENT : run->records[i] != NULL ? DSQ_OK : DSQ_WOULD_BLOCK;
    }
    dsq_read_unlock();
}

/* Outside the critical section: reads rows, waits for commits.  The first error. */
static int settle_outcomes(const struct run *run, struct dsq_error *error)
{
    int first = DSQ_OK;

    for (size_t i = 0; i < run->count; i++) {
        struct dsq_error later;
        struct dsq_error *where = first == DSQ_OK ? error : &later;

        if (run->statuses[i] == DSQ_WOULD_BLOCK) {
            run->statuses[i] = dsq_tier_pin(run->tier, run->keys[i], &run->records[i], where);
        } else {
            tier_count_hits(run->tier, 1);
            if (run->records[i] != NULL) {
                run->statuses[i] = dsq_tier_outcome(run->tier, &run->records[i], where);
            }
        }
        if (run->statuses[i] < 0 && first == DSQ_OK) {
            first = run->statuses[i];
        }
    }
    return first;
}

int dsq_tier_pin_many(struct dsq_tier *tier, const struct dsq_bytes *keys, size_t count,
                      struct dsq_record **records, int *statuses, struct dsq_error *error)
{
    int first = DSQ_OK;

    for (size_t i = 0; i < count; i += DSQ_TIER_RUN_KEYS) {
        struct run run = {
            .tier = tier,
            .keys = keys + i,
            .count = count - i < DSQ_TIER_RUN_KEYS ? count - i : DSQ_TIER_RUN_KEYS,
            .records = records + i,
            .statuses = statuses + i,
        };
        struct dsq_error later;
        int status;

        pin_hot(&run);
        status = settle_outcomes(&run, first == DSQ_OK ? error : &later);
        first = first == DSQ_OK ? status : first;
    }
    return first;
}
