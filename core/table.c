#include "core/table_internal.h"

#include <stdlib.h>

#include "core/perturb.h"
#include "core/status.h"

/* Outcome of probing one generation. */
enum probed {
    PROBED_FOUND,   /* place->record */
    PROBED_VACANT,  /* place->slot is EMPTY */
    PROBED_FORWARD, /* the key's slot here is final: go on in `next` */
    PROBED_FULL,    /* no EMPTY and no `next` */
};

struct dsq_slots *dsq_slots_new(uint64_t slot_count)
{
    size_t words = slot_count * sizeof(uint64_t);
    size_t chunks = slot_count / CHUNK_SLOTS;
    size_t header = sizeof(struct dsq_slots);
    /* calloc, because its large blocks are pages that cost nothing until they are touched. */
    unsigned char *allocation = calloc(1, header + words + chunks + DSQ_CACHE_LINE_BYTES);
    uintptr_t aligned = ((uintptr_t)allocation + DSQ_CACHE_LINE_BYTES - 1) / DSQ_CACHE_LINE_BYTES *
                        DSQ_CACHE_LINE_BYTES;
    struct dsq_slots *slots = (struct dsq_slots *)aligned;

    if (allocation == NULL) {
        return NULL;
    }
    slots->allocation = allocation;
    slots->slot_count = slot_count;
    slots->home_shift = 64 - (unsigned)__builtin_ctzll(slot_count / GROUP_SLOTS);
    slots->chunk_count = chunks;
    slots->words = (_Atomic uint64_t *)(aligned + header);
    slots->done = (_Atomic uint8_t *)(aligned + header + words);
    return slots;
}

void dsq_slots_free(struct dsq_slots *slots)
{
    free(slots->allocation);
}

int dsq_table_init(struct dsq_table *table, struct dsq_reclaim *reclaim, unsigned shard_bits)
{
    struct dsq_slots *slots = dsq_slots_new(MIN_SLOTS);

    if (slots == NULL) {
        return DSQ_ERR_NOMEM;
    }
    memset(table, 0, sizeof *table);
    table->reclaim = reclaim;
    table->shard_bits = shard_bits;
    dsq_store_release(&table->root, slots);
    return DSQ_OK;
}

void dsq_table_fini(struct dsq_table *table)
{
    struct dsq_slots *slots = dsq_load_acquire(&table->root);

    while (slots != NULL) {
        struct dsq_slots *next = dsq_load_acquire(&slots->next);

        for (uint64_t i = 0; i < slots->slot_count; i++) {
            uint64_t word = dsq_load_acquire(&slots->words[i]);

            /* At rest no slot is FROZEN: every record is in one generation only. */
            if (word_record(word) != NULL) {
                dsq_record_release(table->reclaim, word_record(word));
            }
        }
        dsq_slots_free(slots);
        slots = next;
    }
}

/* The key's record, if it is in this group. */
static struct dsq_record *match_group(const _Atomic uint64_t *group, uint64_t hash,
                                      struct dsq_bytes key)
{
    unsigned matches = dsq_group_match(group, word_tag(hash));

    while (matches != 0) {
        /* Pairs with publish's compare-and-swap. */
        uint64_t word = dsq_load_acquire(&group[__builtin_ctz(matches)]);
        struct dsq_record *record = word_record(word);

        if (record != NULL && dsq_record_has_key(record, hash, key)) {
            return record;
        }
        matches &= matches - 1;
    }
    return NULL;
}

/*
 * Probes one generation for reading; *forward becomes true if the key may live in `next`, where a
 * MOVED word of the key has sent it: once there is a `next` every fruitless probe goes on there.
 */
static struct dsq_record *probe_read(const struct dsq_table *table, const struct dsq_slots *slots,
                                     uint64_t hash, struct dsq_bytes key, bool *forward)
{
    uint64_t mask = group_mask(slots);
    uint64_t home = home_group(slots, hash, table->shard_bits);

    for (uint64_t i = 0; i <= mask; i++) {
        const _Atomic uint64_t *group = &slots->words[((home + i) & mask) * GROUP_SLOTS];
        struct dsq_record *record = match_group(group, hash, key);
        uint64_t last;

        if (record != NULL) {
            return record;
        }
        /* Groups fill in order: if any slot of this one is EMPTY, the last one is. */
        last = dsq_load_acquire(&group[GROUP_SLOTS - 1]);
        if (last == WORD_EMPTY) {
            /* A word seen MOVED, or the first EMPTY CLOSED since: only after `next` was set (S2). */
            *forward = dsq_load_acquire(&slots->next) != NULL;
            return NULL;
        }
        if (last == WORD_CLOSED) {
            break;
        }
    }
    *forward = true;
    return NULL;
}

struct dsq_record *dsq_table_find(struct dsq_table *table, uint64_t hash, struct dsq_bytes key)
{
    struct dsq_slots *root = dsq_load_acquire(&table->root);
    struct dsq_slots *slots = root;
    struct dsq_record *record = NULL;

    while (slots != NULL) {
        bool forward = false;

        /* Linearization point: the load inside of the word that decides. */
        record = probe_read(table, slots, hash, key, &forward);
        if (record != NULL || !forward) {
            break;
        }
        dsq_perturb();
        slots = dsq_load_acquire(&slots->next);
    }
    if (DSQ_UNLIKELY(slots != root && slots != NULL)) {
        /* Else a table that is only read would be probed twice for ever. */
        dsq_migration_help(table, root);
    }
    return record;
}

static const _Atomic uint64_t *home_slots(struct dsq_table *table, uint64_t hash)
{
    const struct dsq_slots *root = dsq_load_acquire(&table->root);

    return &root->words[home_group(root, hash, table->shard_bits) * GROUP_SLOTS];
}

void dsq_table_prefetch_slots(struct dsq_table *table, uint64_t hash)
{
    __builtin_prefetch((const void *)home_slots(table, hash));
}

void dsq_table_prefetch_record(struct dsq_table *table, uint64_t hash)
{
    const _Atomic uint64_t *group = home_slots(table, hash);
    unsigned matches = dsq_group_match(group, word_tag(hash));

    if (matches != 0) {
        /* Relaxed: an address to prefetch, which may be stale or none at all. */
        __builtin_prefetch(word_record(dsq_load_relaxed(&group[__builtin_ctz(matches)])));
    }
}

/*
 * An EMPTY slot ends the sequence: without a `next` it is the vacancy; with one it is closed, so
 * that nobody inserts the key here any more (S3), and the key is looked for in `next`.
 * Returns whether the slot was EMPTY until then; *word is the witness if not.
 */
static bool probe_empty(struct dsq_slots *slots, _Atomic uint64_t *slot, uint64_t *word,
                        enum probed *outcome)
{
    if (dsq_load_acquire(&slots->next) == NULL) {
        *outcome = PROBED_VACANT;
        return true;
    }
    *outcome = PROBED_FORWARD;
    dsq_perturb();
    return dsq_cas_acq_rel(slot, word, WORD_CLOSED);
}

/* Probes one generation for a change. */
static enum probed probe_write(struct dsq_table *table, struct dsq_slots *slots,
                               struct dsq_bytes key, struct dsq_place *place)
{
    struct probe probe = probe_start(table, slots, place->hash);
    uint64_t tag = word_tag(place->hash);
    _Atomic uint64_t *slot;
    enum probed outcome;

    place->slots = slots;
    while ((slot = probe_next(&probe)) != NULL) {
        uint64_t word = dsq_load_acquire(slot);
        struct dsq_record *record;

        place->slot = slot;
        place->word = word;
        if (word == WORD_EMPTY && probe_empty(slots, slot, &word, &outcome)) {
            place->record = NULL;
            return outcome;
        }
        if (word == WORD_CLOSED) {
            return PROBED_FORWARD;
        }
        record = word_record(word);
        if ((word & WORD_TAG) != tag || record == NULL ||
            !dsq_record_has_key(record, place->hash, key)) {
            continue;
        }
        dsq_perturb();
        if (dsq_load_acquire(&slots->next) != NULL) {
            dsq_migration_move(table, slots, slot);
            if ((dsq_load_acquire(slot) & WORD_MOVED) != 0) {
                return PROBED_FORWARD;
            }
            continue; /* REMOVED since: whoever removed it may be followed by an insertion further on */
        }
        place->record = record;
        return PROBED_FOUND;
    }
    return dsq_load_acquire(&slots->next) != NULL ? PROBED_FORWARD : PROBED_FULL;
}

void dsq_migration_move_key(struct dsq_table *table, struct dsq_slots *slots,
                            const struct dsq_record *record)
{
    struct dsq_place place = {.hash = record->hash};

    (void)probe_write(table, slots, dsq_record_key(record), &place);
}

/* Reserves the vacancy of a place in the root (S6); false if the root is due for replacement. */
static bool reserve_in_root(struct dsq_place *place)
{
    if (dsq_add_relaxed(&place->slots->used, 1) >= used_limit(place->slots)) {
        dsq_sub_relaxed(&place->slots->used, 1);
        return false;
    }
    place->fresh = false;
    return true;
}

/*
 * The same in a generation that is still being filled from the one before it.  A slow thread may
 * come here after it has become the root, and even been sealed.
 */
static bool reserve_fresh(struct dsq_place *place)
{
    bool admitted =
        dsq_add_relaxed(&place->slots->fresh, 1) < place->slots->slot_count / FRESH_SHARE;
    uint64_t used = dsq_add_relaxed(&place->slots->used, 1);

    if (!admitted || (used & USED_SEALED) != 0) {
        dsq_sub_relaxed(&place->slots->used, 1);
        dsq_sub_relaxed(&place->slots->fresh, 1);
        return false;
    }
    place->fresh = true;
    return true;
}

/* One attempt of locate; *retry if the tables have to be looked at again from the root. */
static int locate_once(struct dsq_table *table, struct dsq_bytes key, struct dsq_place *place,
                       bool *retry)
{
    struct dsq_slots *root = dsq_load_acquire(&table->root);
    struct dsq_slots *slots = root;
    struct dsq_slots *before = NULL;
    enum probed outcome;

    if (dsq_load_acquire(&root->next) != NULL) {
        dsq_migration_help(table, root);
    }
    while ((outcome = probe_write(table, slots, key, place)) == PROBED_FORWARD) {
        before = slots;
        dsq_perturb();
        slots = dsq_load_acquire(&slots->next);
    }
    *retry = false;
    if (outcome == PROBED_FOUND) {
        return DSQ_OK;
    }
    if (outcome == PROBED_VACANT &&
        (before == NULL ? reserve_in_root(place) : reserve_fresh(place))) {
        return DSQ_OK;
    }
    *retry = true;
    if (before != NULL) {
        dsq_migration_finish(table, before);
        return DSQ_OK;
    }
    return dsq_migration_start(slots);
}

int dsq_table_locate(struct dsq_table *table, uint64_t hash, struct dsq_bytes key,
                     struct dsq_place *place)
{
    bool retry = true;
    int status = DSQ_OK;

    place->hash = hash;
    while (retry && status == DSQ_OK) {
        status = locate_once(table, key, place, &retry);
    }
    return status;
}

void dsq_table_cancel(struct dsq_table *table, struct dsq_place *place)
{
    (void)table;
    if (place->record == NULL) {
        dsq_sub_relaxed(&place->slots->used, 1);
        if (place->fresh) {
            dsq_sub_relaxed(&place->slots->fresh, 1);
        }
    }
}

static int64_t value_count(const struct dsq_record *record)
{
    return record != NULL && record->kind == DSQ_RECORD_VALUE ? 1 : 0;
}

static int64_t byte_count(const struct dsq_record *record)
{
    return record != NULL ? (int64_t)dsq_record_bytes(record) : 0;
}

/* Before publishing: notes how the number of values will change; whoever comes first counts it. */
static void note_change(struct dsq_record *record, const struct dsq_record *old)
{
    int64_t change = value_count(record) - value_count(old);

    record->flags &= (uint8_t) ~(DSQ_RECORD_ADDS_VALUE | DSQ_RECORD_REMOVES_VALUE);
    if (change != 0) {
        record->flags |= change > 0 ? DSQ_RECORD_ADDS_VALUE : DSQ_RECORD_REMOVES_VALUE;
        dsq_or_relaxed(&record->refs, DSQ_RECORD_UNCOUNTED); /* not shared yet */
    }
}

/* A look first: a bit that is gone does not come back while the record is published. */
static bool claim_change(struct dsq_record *record)
{
    return (dsq_load_relaxed(&record->refs) & DSQ_RECORD_UNCOUNTED) != 0 &&
           (dsq_and_acq_rel(&record->refs, ~DSQ_RECORD_UNCOUNTED) & DSQ_RECORD_UNCOUNTED) != 0;
}

/*
 * `counting` goes up before the claim: whoever finds the change claimed (acquire) and returns is
 * counted already, or dsq_map_values sees that a count is under way.
 */
static void count_change(struct dsq_table *table, struct dsq_record *record)
{
    if (record == NULL || (dsq_load_acquire(&record->refs) & DSQ_RECORD_UNCOUNTED) == 0) {
        return;
    }
    dsq_add_seq_cst(&table->counting, 1);
    dsq_perturb();
    if (claim_change(record)) {
        dsq_perturb();
        dsq_add_seq_cst(&table->values, (record->flags & DSQ_RECORD_ADDS_VALUE) != 0 ? 1 : -1);
    }
    dsq_sub_seq_cst(&table->counting, 1);
}

/*
 * Before publishing: a replacement is a use of what it replaces, and a row takes the place of its
 * placeholder; a key that was evicted lately has earned its place.
 */
static void note_use(const struct dsq_table *table, struct dsq_record *record,
                     const struct dsq_record *old)
{
    uint8_t clock = DSQ_CLOCK_INITIAL;

    if (old != NULL) {
        clock = dsq_load_relaxed(&old->clock);
        if (old->kind != DSQ_RECORD_LOADING && clock < DSQ_CLOCK_MAX) {
            clock++;
        }
    } else if (dsq_load_relaxed(&table->evictions) != 0 &&
               dsq_ghost_knows(&table->ghost, record->hash)) {
        clock = DSQ_CLOCK_MAX;
    }
    dsq_store_relaxed(&record->clock, clock);
}

bool dsq_table_publish(struct dsq_table *table, struct dsq_place *place, struct dsq_record *record)
{
    uint64_t expected = place->word;
    struct dsq_record *old = place->record;

    count_change(table, old);
    note_change(record, old);
    note_use(table, record, old);
    dsq_perturb();
    /* Linearization point of an insertion or a replacement. */
    if (!dsq_cas_acq_rel(place->slot, &expected, word_of(record))) {
        (void)claim_change(record); /* there was none */
        dsq_table_cancel(table, place);
        return false;
    }
    dsq_perturb();
    count_change(table, record);
    if (old == NULL) {
        dsq_add_relaxed(&table->live, 1);
    }
    dsq_add_relaxed(&table->bytes, byte_count(record) - byte_count(old));
    return true;
}

void dsq_table_count_record(struct dsq_table *table, struct dsq_record *record)
{
    count_change(table, record);
}

void dsq_table_account_removal(struct dsq_table *table, struct dsq_record *record)
{
    dsq_sub_relaxed(&table->live, 1);
    if (value_count(record) != 0) {
        /* Whoever counts without this value also sees that the hot tier is not complete. */
        dsq_sub_acq_rel(&table->values, 1);
    }
    dsq_sub_relaxed(&table->bytes, byte_count(record));
}

bool dsq_table_remove(struct dsq_table *table, struct dsq_place *place)
{
    uint64_t expected = place->word;

    count_change(table, place->record);
    dsq_perturb();
    /* Linearization point of a removal. */
    if (!dsq_cas_acq_rel(place->slot, &expected, (expected & WORD_TAG) | WORD_REMOVED)) {
        return false;
    }
    dsq_add_relaxed(&place->slots->removed, 1);
    dsq_table_account_removal(table, place->record);
    return true;
}

uint64_t dsq_table_slot_count(const struct dsq_table *table)
{
    const struct dsq_slots *slots = dsq_load_acquire(&table->root);
    uint64_t count = 0;

    while (slots != NULL) {
        count += slots->slot_count;
        slots = dsq_load_acquire(&slots->next);
    }
    return count;
}
