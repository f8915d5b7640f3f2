/*
 * The fold: what the journal holds on its way into the kv table.
 *
 * Records that were committed gather in the open set.  When the fold starts, the set is closed and
 * a new one opened; the closed one goes through these stages, a step at a time:
 *
 *     SORTING   by key, stably
 *     APPLYING  slices of it, each one transaction, the last record of each key only
 *     DROPPING  its rows leave the journal, the oldest first
 *
 * None of these transactions waits for the disk: until the rows are dropped the journal has it all,
 * and they are dropped, in the file's own order of transactions, after the slices.  A crash
 * anywhere leaves a journal whose rows a recovery applies again, all of what is left in
 * its order, over a kv table that may have seen them already: the last record of each key wins
 * both times.  Dropping the oldest first keeps that true half-way: what is left is the end of the
 * set, and a key whose last record was dropped with its row has been applied.
 */
#ifndef DSQ_PERSIST_FOLD_H
#define DSQ_PERSIST_FOLD_H

#include "persist/fold_sort.h"
#include "persist/store.h"

enum dsq_fold_stage {
    DSQ_FOLD_GATHERING, /* nothing is closed */
    DSQ_FOLD_SORTING,
    DSQ_FOLD_APPLYING,
    DSQ_FOLD_DROPPING,
};

struct dsq_fold_set {
    struct dsq_fold_entry *entries;
    size_t count;
    size_t capacity;
    uint64_t last_seq; /* of its last record */
};

struct dsq_fold {
    struct dsq_fold_set open;
    struct dsq_fold_set closed;
    struct dsq_fold_sort sort;
    struct dsq_fold_entry *scratch;
    enum dsq_fold_stage stage;
    size_t applied;      /* entries of the sorted set that are in kv */
    uint64_t open_bytes; /* of the records of the open set */
    uint64_t folded_seq; /* kv has every record up to this number */
    uint64_t folds;      /* that have come to their end */
};

/* How a step is told to stop, and to whom it hands what it has applied. */
struct dsq_fold_step {
    bool (*enough)(void *context); /* asked every few rows; the step does a little in any case */
    /* Entries that kv has now, and whose references are the callee's. */
    void (*applied)(void *context, const struct dsq_fold_entry *entries, size_t count);
    void *context;
};

void dsq_fold_init(struct dsq_fold *fold, uint64_t folded_seq);

/* Makes room for `more` records in the open set; false when out of memory. */
bool dsq_fold_reserve(struct dsq_fold *fold, size_t more);

/* Takes over a reference of a committed record with the number seq; there is room. */
void dsq_fold_add(struct dsq_fold *fold, struct dsq_record *record, uint64_t seq);

/* Closes the open set if there is something in it and nothing is closed.  DSQ_ERR_NOMEM. */
int dsq_fold_start(struct dsq_fold *fold, struct dsq_error *error);

static inline bool dsq_fold_is_under_way(const struct dsq_fold *fold)
{
    return fold->stage != DSQ_FOLD_GATHERING;
}

/*
 * One step of a fold that is under way, at most one transaction of the store, by its writing thread.
 * On an error the step has not happened and can be repeated.
 */
int dsq_fold_advance(struct dsq_fold *fold, struct dsq_store *store,
                     const struct dsq_fold_step *step, struct dsq_error *error);

/*
 * How many rows kv will have once everything is folded, looked up key by key: DSQ_WOULD_BLOCK if that
 * would be for more than `most` records.  By the store's writing thread, between steps.
 */
int dsq_fold_count(const struct dsq_fold *fold, struct dsq_store *store, size_t most,
                   uint64_t *count, struct dsq_error *error);

/* Hands every record that is left to `release`, and frees. */
void dsq_fold_fini(struct dsq_fold *fold, void (*release)(void *context, struct dsq_record *record),
                   void *context);

#endif
