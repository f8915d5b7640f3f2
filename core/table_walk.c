/*
 * Walking a table in the order of the hash, so that the position means the same in every
 * generation: the home group comes from the high bits of the hash, so a window of the hash space is
 * a run of home groups, whatever the size of the slot array.
 *
 * A window is collected within one critical section of the caller.  All records whose home group is
 * at or before group g lie before the first EMPTY or CLOSED slot at or after g, because their
 * probe would have ended there.  The generations are scanned root first: a key that is moved
 * meanwhile is seen in the root, in `next` or in both, never in neither; seen twice, it is kept
 * once.
 */
#include <stdlib.h>

#include "core/status.h"
#include "core/table_internal.h"

#define WINDOW_GROUPS 16

/* Hashes [first, last] without the bits that chose the shard. */
struct window {
    uint64_t first;
    uint64_t last;
};

static bool list_push(struct dsq_record_list *list, struct dsq_record *record)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity != 0 ? 2 * list->capacity : 64;
        struct dsq_record **records =
            realloc(list->records, capacity * sizeof(struct dsq_record *));

        if (records == NULL) {
            return false;
        }
        list->records = records;
        list->capacity = capacity;
    }
    list->records[list->count++] = record;
    return true;
}

static bool list_has(const struct dsq_record_list *list, const struct dsq_record *record)
{
    for (size_t i = 0; i < list->count; i++) {
        if (dsq_record_has_key(list->records[i], record->hash, dsq_record_key(record))) {
            return true;
        }
    }
    return false;
}

/* Takes a reference of the key's present record; NULL if the key is not a value any more. */
static struct dsq_record *pin_present(struct dsq_table *table, struct dsq_record *record)
{
    struct dsq_record *present = record;

    while (present != NULL && present->kind == DSQ_RECORD_VALUE) {
        if (dsq_record_try_acquire(present)) {
            return present;
        }
        present = dsq_table_find(table, record->hash, dsq_record_key(record));
    }
    return NULL;
}

static bool collect(struct dsq_table *table, struct dsq_record *record,
                    struct dsq_record_list *list)
{
    struct dsq_record *pinned;

    if (list_has(list, record)) {
        return true;
    }
    pinned = pin_present(table, record);
    if (pinned != NULL && !list_push(list, pinned)) {
        dsq_record_release(table->reclaim, pinned);
        return false;
    }
    return true;
}

static bool in_window(const struct dsq_table *table, const struct window *window,
                      const struct dsq_record *record)
{
    uint64_t hash = record->hash << table->shard_bits;

    return hash >= window->first && hash <= window->last;
}

/* Collects from one group; *ended if an EMPTY or CLOSED slot was met. */
static bool scan_group(struct dsq_table *table, const struct dsq_slots *slots, uint64_t group,
                       const struct window *window, struct dsq_record_list *list, bool *ended)
{
    for (unsigned i = 0; i < GROUP_SLOTS; i++) {
        uint64_t word = dsq_load_acquire(&slots->words[group * GROUP_SLOTS + i]);
        struct dsq_record *record = word_record(word);

        *ended |= word == WORD_EMPTY || word == WORD_CLOSED;
        if (record != NULL && in_window(table, window, record) && !collect(table, record, list)) {
            return false;
        }
    }
    return true;
}

static bool scan_generation(struct dsq_table *table, const struct dsq_slots *slots,
                            const struct window *window, struct dsq_record_list *list)
{
    uint64_t first = window->first >> slots->home_shift;
    uint64_t last = window->last >> slots->home_shift;
    uint64_t groups = slots->slot_count / GROUP_SLOTS;

    for (uint64_t i = 0; i < groups; i++) {
        bool ended = false;

        if (!scan_group(table, slots, (first + i) & group_mask(slots), window, list, &ended)) {
            return false;
        }
        if (ended && first + i >= last) {
            break;
        }
    }
    return true;
}

int dsq_table_walk(struct dsq_table *table, uint64_t *position, struct dsq_record_list *list)
{
    const struct dsq_slots *slots = dsq_load_acquire(&table->root);
    uint64_t groups = slots->slot_count / GROUP_SLOTS;
    uint64_t step = groups > WINDOW_GROUPS ? (uint64_t)WINDOW_GROUPS << slots->home_shift : 0;
    struct window window = {.first = *position, .last = *position + step - 1};

    if (step == 0 || window.last < window.first) {
        window.last = UINT64_MAX;
    }
    for (; slots != NULL; slots = dsq_load_acquire(&slots->next)) {
        if (!scan_generation(table, slots, &window, list)) {
            dsq_record_list_clear(list, table->reclaim);
            return DSQ_ERR_NOMEM;
        }
    }
    *position = window.last + 1;
    return DSQ_OK;
}

void dsq_record_list_clear(struct dsq_record_list *list, struct dsq_reclaim *reclaim)
{
    for (size_t i = 0; i < list->count; i++) {
        dsq_record_release(reclaim, list->records[i]);
    }
    free(list->records);
    *list = (struct dsq_record_list){0};
}
