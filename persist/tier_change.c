/* Changes that depend on what is there: see persist/tier.h. */
#include "core/error.h"
#include "persist/tier_internal.h"

/* What became of one attempt. */
enum verdict {
    VERDICT_HAPPENED,
    VERDICT_REFUSED, /* `seen` says what was there, if it was a record */
    VERDICT_AGAIN,   /* the key has changed meanwhile */
    VERDICT_MISS,    /* the hot tier does not know: a lease is needed */
    VERDICT_FAILED,  /* out of memory */
};

struct attempt {
    struct dsq_tier *tier;
    struct dsq_table *shard;
    uint64_t hash;
    struct dsq_bytes key;
    const struct dsq_change *change;
    enum dsq_patience patience;
    struct dsq_write write;
    struct dsq_record *seen; /* what the outcome derives from, with a reference */
    int refusal;             /* what the condition said */
};

int dsq_if_present(const struct dsq_change *change, const struct dsq_bytes *present,
                   unsigned char *fresh)
{
    (void)change;
    (void)fresh;
    return present != NULL ? DSQ_OK : DSQ_ABSENT;
}

int dsq_if_absent(const struct dsq_change *change, const struct dsq_bytes *present,
                  unsigned char *fresh)
{
    (void)change;
    (void)fresh;
    return present == NULL ? DSQ_OK : DSQ_EXISTS;
}

int dsq_if_equal(const struct dsq_change *change, const struct dsq_bytes *present,
                 unsigned char *fresh)
{
    (void)fresh;
    if (present == NULL) {
        return DSQ_ABSENT;
    }
    return dsq_bytes_compare(*present, change->expected) == 0 ? DSQ_OK : DSQ_MISMATCH;
}

int dsq_if_countable(const struct dsq_change *change, const struct dsq_bytes *present,
                     unsigned char *fresh)
{
    int64_t sum = 0;

    if (present != NULL && !dsq_integer_decode(*present, &sum)) {
        return DSQ_MISMATCH;
    }
    if (__builtin_add_overflow(sum, change->delta, &sum)) {
        return DSQ_ERR_INVALID;
    }
    dsq_integer_encode(sum, fresh);
    return DSQ_OK;
}

static bool is_present(const struct dsq_record *record)
{
    return record != NULL && record->kind == DSQ_RECORD_VALUE;
}

static void forget_seen(struct attempt *attempt)
{
    if (attempt->seen != NULL) {
        tier_release(attempt->tier, attempt->seen);
        attempt->seen = NULL;
    }
}

/* Memory mode has no tombstones: a delete takes the record out. */
static enum verdict remove_or_write(struct attempt *attempt, struct dsq_place *place)
{
    int status;

    if (!tier_persists(attempt->tier) && attempt->change->kind == DSQ_RECORD_TOMBSTONE) {
        struct dsq_record *removed = place->record;

        if (!dsq_table_remove(attempt->shard, place)) {
            return VERDICT_AGAIN;
        }
        tier_release(attempt->tier, removed);
        return VERDICT_HAPPENED;
    }
    status = dsq_write_try(attempt->tier, attempt->shard, place, &attempt->write);
    if (status == DSQ_OK) {
        return VERDICT_HAPPENED;
    }
    return status == DSQ_EXISTS ? VERDICT_AGAIN : VERDICT_FAILED;
}

/* Asks the condition about what is there. */
static int judge(struct attempt *attempt, const struct dsq_record *present)
{
    struct dsq_bytes value = {0};
    struct dsq_record *fresh = attempt->write.record;

    if (is_present(present)) {
        value = dsq_record_value(present);
    }
    return attempt->change->condition(attempt->change, is_present(present) ? &value : NULL,
                                      fresh != NULL ? dsq_record_unshared_value(fresh) : NULL);
}

/*
 * Decides on what is there and acts.  present: the record that says so, in the place itself or
 * of a lease on it; NULL: absent.  Uses up the place.
 */
static enum verdict decide(struct attempt *attempt, struct dsq_place *place,
                           struct dsq_record *present, struct dsq_lease *lease)
{
    enum verdict verdict;

    if (present != NULL && !dsq_record_try_acquire(present)) {
        dsq_table_cancel(attempt->shard, place);
        return VERDICT_AGAIN;
    }
    attempt->seen = present;
    attempt->refusal = judge(attempt, present);
    if (attempt->refusal == DSQ_OK) {
        verdict = remove_or_write(attempt, place);
    } else {
        verdict = VERDICT_REFUSED;
        tier_settle(attempt->tier, present);
        if (lease == NULL) {
            dsq_table_cancel(attempt->shard, place);
        } else if (!dsq_lease_promote(attempt->tier, attempt->shard, place, lease)) {
            verdict = VERDICT_AGAIN;
        }
    }
    if (verdict != VERDICT_HAPPENED && verdict != VERDICT_REFUSED) {
        forget_seen(attempt);
    }
    return verdict;
}

static enum verdict attempt_hot(struct attempt *attempt)
{
    enum verdict verdict = VERDICT_FAILED;
    struct dsq_place place;

    dsq_read_lock();
    if (dsq_table_locate(attempt->shard, attempt->hash, attempt->key, &place) == DSQ_OK) {
        bool unknown = place.record == NULL ? !tier_knows_absence(attempt->tier)
                                            : place.record->kind == DSQ_RECORD_LOADING;
        if (unknown) {
            dsq_table_cancel(attempt->shard, &place);
            verdict = VERDICT_MISS;
        } else {
            verdict = decide(attempt, &place, place.record, NULL);
        }
    }
    dsq_read_unlock();
    return verdict;
}

/* With a lease: what the row says is true while the placeholder stands. */
static enum verdict attempt_leased(struct attempt *attempt, struct dsq_lease *lease)
{
    enum verdict verdict = VERDICT_FAILED;
    struct dsq_place place;

    dsq_read_lock();
    if (dsq_table_locate(attempt->shard, attempt->hash, attempt->key, &place) == DSQ_OK) {
        if (place.record == NULL || place.record != lease->placeholder) {
            dsq_table_cancel(attempt->shard, &place);
            verdict = VERDICT_AGAIN;
        } else {
            verdict = decide(attempt, &place, lease->row, lease);
        }
    }
    dsq_read_unlock();
    if (verdict == VERDICT_HAPPENED) {
        lease->own = false; /* published over */
    }
    return verdict;
}

static enum verdict attempt_miss(struct attempt *attempt, int *status, struct dsq_error *error)
{
    struct dsq_lease lease;
    enum verdict verdict;
    bool retry;

    *status =
        dsq_lease_begin(attempt->tier, attempt->hash, attempt->key, true, &lease, &retry, error);
    if (*status != DSQ_OK) {
        return VERDICT_FAILED;
    }
    if (retry) {
        return VERDICT_AGAIN;
    }
    verdict = attempt_leased(attempt, &lease);
    dsq_lease_end(attempt->tier, &lease);
    return verdict;
}

static enum verdict run(struct attempt *attempt, int *status, struct dsq_error *error)
{
    enum verdict verdict = VERDICT_AGAIN;
    bool missed = false;

    *status = DSQ_OK;
    while (verdict == VERDICT_AGAIN) {
        verdict = attempt_hot(attempt);
        if (verdict != VERDICT_MISS) {
            continue;
        }
        missed = true;
        if (attempt->patience != DSQ_WAITS) {
            *status = DSQ_WOULD_BLOCK;
            return VERDICT_FAILED;
        }
        verdict = attempt_miss(attempt, status, error);
    }
    if (missed) {
        tier_count_miss(attempt->tier);
    } else {
        tier_count_hits(attempt->tier, 1);
    }
    if (verdict == VERDICT_FAILED && *status == DSQ_OK) {
        *status = dsq_error_set(error, DSQ_ERR_NOMEM, "out of memory for a change");
    }
    return verdict;
}

/* The outcome of a decided attempt, once it may be spoken of. */
static int conclude(struct attempt *attempt, enum verdict verdict, struct dsq_record **seen,
                    struct dsq_error *error)
{
    struct dsq_tier *tier = attempt->tier;
    int status = DSQ_OK;

    if (verdict == VERDICT_HAPPENED) {
        if (attempt->write.record != NULL) {
            status = dsq_write_end(tier, &attempt->write, error);
        }
    } else {
        dsq_write_cancel(tier, &attempt->write);
        if (attempt->seen != NULL && attempt->patience != DSQ_SUBMITS) {
            status = tier_wait(tier, attempt->seen, error);
        }
        if (status == DSQ_OK) {
            status = attempt->refusal;
        }
        if (status == DSQ_ERR_INVALID) {
            dsq_error_set(error, status, "the sum does not fit an integer of %d bytes",
                          DSQ_INTEGER_BYTES);
        }
    }
    if (status >= 0 && seen != NULL && is_present(attempt->seen)) {
        *seen = attempt->seen;
        attempt->seen = NULL;
    }
    forget_seen(attempt);
    return status;
}

int dsq_tier_change(struct dsq_tier *tier, struct dsq_bytes key, const struct dsq_change *change,
                    enum dsq_patience patience, struct dsq_record **seen, struct dsq_error *error)
{
    uint64_t hash = dsq_hash(&tier->secret, key);
    struct attempt attempt = {
        .tier = tier,
        .shard = tier_shard(tier, hash),
        .hash = hash,
        .key = key,
        .change = change,
        .patience = patience,
    };
    enum verdict verdict;
    int status = DSQ_OK;

    if (seen != NULL) {
        *seen = NULL;
    }
    if (tier_persists(tier) || change->kind != DSQ_RECORD_TOMBSTONE) {
        status = dsq_write_begin(tier, change->kind, hash, key, change->value, patience,
                                 &attempt.write, error);
    }
    if (status != DSQ_OK) {
        return status;
    }
    verdict = run(&attempt, &status, error);
    if (verdict == VERDICT_FAILED) {
        dsq_write_cancel(tier, &attempt.write);
        return status;
    }
    return conclude(&attempt, verdict, seen, error);
}
