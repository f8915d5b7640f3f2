/* The invariants of core/table_internal.h as code, for a table at rest. */
#include "core/table_internal.h"

struct census {
    int64_t live;
    int64_t values;
    int64_t bytes;
};

/* One LIVE slot: its tag, and that the key's probe leads to it. */
static const char *check_record(struct dsq_table *table, uint64_t word, struct census *census)
{
    struct dsq_record *record = word_record(word);

    census->live++;
    census->values += record->kind == DSQ_RECORD_VALUE;
    census->bytes += (int64_t)dsq_record_bytes(record);
    if ((word & WORD_TAG) != word_tag(record->hash)) {
        return "a slot's tag is not its record's";
    }
    if (dsq_load_relaxed(&record->refs) == 0) {
        return "a published record has no reference left";
    }
    if (dsq_table_find(table, record->hash, dsq_record_key(record)) != record) {
        return "a key's probe does not lead to its record (S1)";
    }
    return NULL;
}

static const char *check_group(struct dsq_table *table, const _Atomic uint64_t *group,
                               struct census *census)
{
    bool ended = false;

    for (unsigned i = 0; i < GROUP_SLOTS; i++) {
        uint64_t word = dsq_load_acquire(&group[i]);
        const char *broken = NULL;

        if (ended && word != WORD_EMPTY) {
            return "a slot is used behind an EMPTY one of its group (S7)";
        }
        ended = word == WORD_EMPTY;
        if ((word & WORD_FROZEN) != 0) {
            return "a slot is frozen though nobody moves it";
        }
        if (word_record(word) != NULL) {
            broken = check_record(table, word, census);
        }
        if (broken != NULL) {
            return broken;
        }
    }
    return NULL;
}

static const char *check_generation(struct dsq_table *table, const struct dsq_slots *slots,
                                    struct census *census)
{
    for (uint64_t i = 0; i < slots->slot_count; i += GROUP_SLOTS) {
        const char *broken = check_group(table, &slots->words[i], census);

        if (broken != NULL) {
            return broken;
        }
    }
    return NULL;
}

const char *dsq_table_check(struct dsq_table *table)
{
    struct dsq_slots *root = dsq_load_acquire(&table->root);
    struct census census = {0};

    /* Looking keys up below would move slots behind our back. */
    if (dsq_load_acquire(&root->next) != NULL) {
        dsq_migration_finish(table, root);
    }
    for (struct dsq_slots *slots = dsq_load_acquire(&table->root); slots != NULL;
         slots = dsq_load_acquire(&slots->next)) {
        const char *broken = check_generation(table, slots, &census);

        if (broken != NULL) {
            return broken;
        }
    }
    if (census.live != dsq_table_live(table) ||
        census.values * DSQ_CENSUS_VALUE != dsq_load_acquire(&table->census) ||
        census.bytes != dsq_load_relaxed(&table->bytes)) {
        return "a counter does not agree with the slots";
    }
    return NULL;
}
