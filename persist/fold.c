#include "persist/fold.h"

#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/platform.h"
#include "persist/hooks.h"

#define CAPACITY_MIN 1024
/* Entries sorted, rows applied and rows dropped between two questions whether it is enough. */
#define SORT_STRIDE 512
#define APPLY_STRIDE 8
#define DROP_STRIDE 4

void dsq_fold_init(struct dsq_fold *fold, uint64_t folded_seq)
{
    *fold = (struct dsq_fold){.folded_seq = folded_seq};
}

bool dsq_fold_reserve(struct dsq_fold *fold, size_t more)
{
    struct dsq_fold_set *set = &fold->open;
    struct dsq_fold_entry *entries;
    size_t capacity = CAPACITY_MIN;

    if (set->count + more <= set->capacity) {
        return true;
    }
    if (set->count + more > capacity) {
        capacity = dsq_next_power_of_two(set->count + more);
    }
    entries = realloc(set->entries, capacity * sizeof *entries);
    if (entries == NULL) {
        return false;
    }
    set->entries = entries;
    set->capacity = capacity;
    return true;
}

void dsq_fold_add(struct dsq_fold *fold, struct dsq_record *record, uint64_t seq)
{
    struct dsq_fold_set *set = &fold->open;

    set->entries[set->count++] = dsq_fold_entry_of(record);
    set->last_seq = seq;
    fold->open_bytes += dsq_record_bytes(record);
}

int dsq_fold_start(struct dsq_fold *fold, struct dsq_error *error)
{
    if (fold->stage != DSQ_FOLD_GATHERING || fold->open.count == 0) {
        return DSQ_OK;
    }
    fold->scratch = malloc(fold->open.count * sizeof *fold->scratch);
    if (fold->scratch == NULL) {
        return dsq_error_set(error, DSQ_ERR_NOMEM, "out of memory for a fold of %zu records",
                             fold->open.count);
    }
    fold->closed = fold->open;
    fold->open = (struct dsq_fold_set){0};
    fold->open_bytes = 0;
    fold->applied = 0;
    dsq_fold_sort_start(&fold->sort, fold->closed.entries, fold->scratch, fold->closed.count);
    fold->stage = DSQ_FOLD_SORTING;
    return DSQ_OK;
}

static int sort_some(struct dsq_fold *fold, const struct dsq_fold_step *step)
{
    do {
        if (dsq_fold_sort_step(&fold->sort, SORT_STRIDE)) {
            fold->stage = DSQ_FOLD_APPLYING;
            break;
        }
    } while (!step->enough(step->context));
    return DSQ_OK;
}

static int apply(struct dsq_store *store, const struct dsq_record *record, struct dsq_error *error)
{
    struct dsq_bytes key = dsq_record_key(record);

    if (record->kind == DSQ_RECORD_TOMBSTONE) {
        return store->ops->del(store, key, error);
    }
    return store->ops->put(store, key, dsq_record_value(record), error);
}

/* Writes entries from *end on, the last record of each key; *end: what comes after the slice. */
static int write_slice(const struct dsq_fold *fold, struct dsq_store *store,
                       const struct dsq_fold_step *step, size_t *end, struct dsq_error *error)
{
    const struct dsq_fold_entry *entries = fold->sort.from;
    int status = DSQ_OK;

    while (status == DSQ_OK && *end < fold->closed.count) {
        const struct dsq_fold_entry *entry = &entries[(*end)++];

        if (*end == fold->closed.count || !dsq_fold_same_key(entry, entry + 1)) {
            status = apply(store, entry->record, error);
        }
        if (*end % APPLY_STRIDE == 0 && step->enough(step->context)) {
            break;
        }
    }
    return status;
}

/* Commits, unless something before has failed; then rolls back. */
static int end_transaction(struct dsq_store *store, int status, enum dsq_stage stage,
                           struct dsq_error *error)
{
    if (status != DSQ_OK) {
        store->ops->rollback(store);
        return status;
    }
    dsq_hook_stage(stage);
    return store->ops->commit(store, error);
}

static int apply_some(struct dsq_fold *fold, struct dsq_store *store,
                      const struct dsq_fold_step *step, struct dsq_error *error)
{
    size_t end = fold->applied;
    int status = store->ops->begin(store, DSQ_COMMIT_SOON, error);

    if (status != DSQ_OK) {
        return status;
    }
    status = write_slice(fold, store, step, &end, error);
    status = end_transaction(store, status, DSQ_STAGE_FOLDING, error);
    if (status != DSQ_OK) {
        return status;
    }
    dsq_hook_stage(DSQ_STAGE_SLICED);
    step->applied(step->context, &fold->sort.from[fold->applied], end - fold->applied);
    fold->applied = end;
    if (end == fold->closed.count) {
        fold->stage = DSQ_FOLD_DROPPING;
    }
    return DSQ_OK;
}

static void end_fold(struct dsq_fold *fold)
{
    fold->folded_seq = fold->closed.last_seq;
    fold->folds++;
    free(fold->closed.entries);
    free(fold->scratch);
    fold->closed = (struct dsq_fold_set){0};
    fold->applied = 0;
    fold->scratch = NULL;
    fold->stage = DSQ_FOLD_GATHERING;
    dsq_hook_stage(DSQ_STAGE_FOLDED);
}

static int drop_some(struct dsq_fold *fold, struct dsq_store *store,
                     const struct dsq_fold_step *step, struct dsq_error *error)
{
    int dropped = DSQ_OK;
    int status = store->ops->begin(store, DSQ_COMMIT_SOON, error);

    if (status != DSQ_OK) {
        return status;
    }
    for (size_t i = 1; dropped == DSQ_OK; i++) {
        dropped = store->ops->journal_drop(store, fold->closed.last_seq, error);
        if (i % DROP_STRIDE == 0 && step->enough(step->context)) {
            break;
        }
    }
    status = end_transaction(store, dropped < 0 ? dropped : DSQ_OK, DSQ_STAGE_FOLDING, error);
    if (status == DSQ_OK && dropped == DSQ_ABSENT) {
        end_fold(fold);
    }
    return status;
}

int dsq_fold_advance(struct dsq_fold *fold, struct dsq_store *store,
                     const struct dsq_fold_step *step, struct dsq_error *error)
{
    switch (fold->stage) {
    case DSQ_FOLD_SORTING:
        return sort_some(fold, step);
    case DSQ_FOLD_APPLYING:
        return apply_some(fold, store, step, error);
    case DSQ_FOLD_DROPPING:
        return drop_some(fold, store, step, error);
    case DSQ_FOLD_GATHERING:
        break;
    }
    return DSQ_OK;
}

/* What is not in kv yet, in the order of the commits as far as records of one key go; how many. */
static size_t gather(const struct dsq_fold *fold, struct dsq_fold_entry *entries)
{
    size_t closed = fold->closed.count - fold->applied;

    if (closed != 0) {
        memcpy(entries, fold->sort.from + fold->applied, closed * sizeof *entries);
    }
    if (fold->open.count != 0) {
        memcpy(entries + closed, fold->open.entries, fold->open.count * sizeof *entries);
    }
    return closed + fold->open.count;
}

/* Moves the last entry of each key to the front; how many there are. */
static size_t keep_last(struct dsq_fold_entry *entries, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        if (i + 1 == count || !dsq_fold_same_key(&entries[i], &entries[i + 1])) {
            entries[kept++] = entries[i];
        }
    }
    return kept;
}

/* Room for a count: entries twice over, for sorting, and what is asked of the store. */
struct counting {
    struct dsq_fold_entry *entries;
    struct dsq_fold_entry *scratch;
    struct dsq_bytes *keys;
    bool *found;
};

static bool counting_init(struct counting *counting, size_t count)
{
    counting->entries = malloc(count * sizeof *counting->entries);
    counting->scratch = malloc(count * sizeof *counting->scratch);
    counting->keys = malloc(count * sizeof *counting->keys);
    counting->found = malloc(count * sizeof *counting->found);
    return counting->entries != NULL && counting->scratch != NULL && counting->keys != NULL &&
           counting->found != NULL;
}

static void counting_fini(struct counting *counting)
{
    free(counting->entries);
    free(counting->scratch);
    free(counting->keys);
    free(counting->found);
}

static int count_changes(const struct dsq_fold *fold, struct counting *counting,
                         struct dsq_store *store, uint64_t *count, struct dsq_error *error)
{
    struct dsq_fold_sort sort;
    size_t kept = gather(fold, counting->entries);
    int status;

    dsq_fold_sort_start(&sort, counting->entries, counting->scratch, kept);
    while (!dsq_fold_sort_step(&sort, SIZE_MAX)) {
    }
    kept = keep_last(sort.from, kept);
    for (size_t i = 0; i < kept; i++) {
        counting->keys[i] = dsq_record_key(sort.from[i].record);
    }
    status = store->ops->find(store, counting->keys, counting->found, kept, error);
    *count = store->ops->count(store);
    for (size_t i = 0; status == DSQ_OK && i < kept; i++) {
        bool stays = sort.from[i].record->kind != DSQ_RECORD_TOMBSTONE;

        *count += (uint64_t)stays - (uint64_t)counting->found[i];
    }
    return status;
}

int dsq_fold_count(const struct dsq_fold *fold, struct dsq_store *store, size_t most,
                   uint64_t *count, struct dsq_error *error)
{
    size_t unfolded = fold->closed.count - fold->applied + fold->open.count;
    struct counting counting;
    int status = DSQ_WOULD_BLOCK; /* also for want of memory: the fold itself needs less */

    if (unfolded == 0) {
        *count = store->ops->count(store);
        return DSQ_OK;
    }
    if (unfolded > most) {
        return DSQ_WOULD_BLOCK;
    }
    if (counting_init(&counting, unfolded)) {
        status = count_changes(fold, &counting, store, count, error);
    }
    counting_fini(&counting);
    return status;
}

void dsq_fold_fini(struct dsq_fold *fold, void (*release)(void *context, struct dsq_record *record),
                   void *context)
{
    /* A sort copies from `from`: that holds every entry at any time. */
    for (size_t i = fold->applied; i < fold->closed.count; i++) {
        release(context, fold->sort.from[i].record);
    }
    for (size_t i = 0; i < fold->open.count; i++) {
        release(context, fold->open.entries[i].record);
    }
    free(fold->closed.entries);
    free(fold->scratch);
    free(fold->open.entries);
    *fold = (struct dsq_fold){0};
}
