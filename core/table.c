#include "core/table_internal.h"

#include <stdlib.h>

#include "core/perturb.h"
#include "core/status.h"

/* Looks at the census before the records are counted. */
#define REST_TRIES 64

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
    dsq_prefer_huge_pages(allocation, header + words + chunks);
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
static DSQ_IN_LINE struct dsq_record *match_group(const _Atomic uint64_t *group, uint64_t hash,
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

/* The whole of the probe, for what the home group of the root does not answer. */
static DSQ_OUT_OF_LINE struct dsq_record *find_further(struct dsq_table *table,
                                                       struct dsq_slots *root, uint64_t hash,
                                                       struct dsq_bytes key)
{
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

struct dsq_record *dsq_table_find(struct dsq_table *table, uint64_t hash, struct dsq_bytes key)
{
    struct dsq_slots *root = dsq_load_acquire(&table->root);
    uint64_t home = home_group(root, hash, table->shard_bits);
    struct dsq_record *record = match_group(&root->words[home * GROUP_SLOTS], hash, key);

    return DSQ_LIKELY(record != NULL) ? record : find_further(table, root, hash, key);
}

/* Of a key that is prefetched: as many as most are long, and what its length says comes too late. */
#define PREFETCH_KEY_BYTES 16

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
        const char *record =
            (const char *)word_record(dsq_load_relaxed(&group[__builtin_ctz(matches)]));

        __builtin_prefetch(record);
        /* The key is compared as well, and half of the time it goes on in the next line. */
        __builtin_prefetch(record + sizeof(struct dsq_record) + PREFETCH_KEY_BYTES - 1);
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

static void add_if_any(_Atomic int64_t *counter, int64_t change)
{
    if (change != 0) {
        dsq_add_relaxed(counter, change);
    }
}

/*
 * Around a compare-and-swap that changes the number of values: see core/table.h.  acq_rel, so that
 * whoever counts, and knows of a change that saw another's word, knows that the other had begun.
 */
static void change_begin(struct dsq_table *table, int64_t change)
{
    if (change != 0) {
        dsq_add_acq_rel(&table->census, 1);
    }
}

static void change_end(struct dsq_table *table, int64_t change, bool happened)
{
    if (change != 0) {
        dsq_add_acq_rel(&table->census, (happened ? change * DSQ_CENSUS_VALUE : 0) - 1);
    }
}

bool dsq_table_values_at_rest(const struct dsq_table *table, uint64_t *values)
{
    for (unsigned i = 0; i < REST_TRIES; i++) {
        int64_t census = dsq_load_acquire(&table->census);

        if (census % DSQ_CENSUS_VALUE == 0) {
            *values = (uint64_t)(census / DSQ_CENSUS_VALUE);
            return true;
        }
    }
    return false;
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
    int64_t change = value_count(record) - value_count(old);
    bool happened;

    note_use(table, record, old);
    change_begin(table, change);
    dsq_perturb();
    /* Linearization point of an insertion or a replacement. */
    happened = dsq_cas_acq_rel(place->slot, &expected, word_of(record));
    dsq_perturb();
    change_end(table, change, happened);
    if (!happened) {
        dsq_table_cancel(table, place);
        return false;
    }
    add_if_any(&table->valueless, (old == NULL) - change);
    add_if_any(&table->bytes, byte_count(record) - byte_count(old));
    return true;
}

void dsq_table_account_removal(struct dsq_table *table, const struct dsq_record *record)
{
    add_if_any(&table->valueless, value_count(record) - 1);
    dsq_sub_relaxed(&table->bytes, byte_count(record));
}

bool dsq_table_unlink(struct dsq_table *table, struct dsq_slots *slots, _Atomic uint64_t *slot,
                      uint64_t word)
{
    const struct dsq_record *record = word_record(word);
    int64_t change = -value_count(record);
    bool happened;

    change_begin(table, change);
    dsq_perturb();
    /*
     * Linearization point of a removal.  Of an eviction, releases that the hot tier is not complete, as
     * does the end of the change to whoever counts without this value.
     */
    happened = dsq_cas_acq_rel(slot, &word, (word & WORD_TAG) | WORD_REMOVED);
    dsq_perturb();
    change_end(table, change, happened);
    if (happened) {
        dsq_add_relaxed(&slots->removed, 1);
        dsq_table_account_removal(table, record);
    }
    return happened;
}

bool dsq_table_remove(struct dsq_table *table, struct dsq_place *place)
{
    return dsq_table_unlink(table, place->slots, place->slot, place->word);
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
