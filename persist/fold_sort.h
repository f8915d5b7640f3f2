/*
 * A merge sort by key that can be interrupted: the committer sorts what it folds between commits, and
 * a commit must not wait for a sort of hundreds of thousands.  Stable, so that of several records
 * of one key the last committed stays the last.
 */
#ifndef DSQ_PERSIST_FOLD_SORT_H
#define DSQ_PERSIST_FOLD_SORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/record.h"

/* A record and the first eight bytes of its key, which decide nearly every comparison. */
struct dsq_fold_entry {
    uint64_t prefix;
    struct dsq_record *record;
};

struct dsq_fold_entry dsq_fold_entry_of(struct dsq_record *record);

bool dsq_fold_same_key(const struct dsq_fold_entry *a, const struct dsq_fold_entry *b);

struct dsq_fold_sort {
    struct dsq_fold_entry *from; /* sorted in runs of `width` */
    struct dsq_fold_entry *to;   /* receives runs twice as long */
    size_t count;
    size_t width;
    size_t pair;  /* where the pair of runs being merged begins */
    size_t left;  /* next of its first run */
    size_t right; /* next of its second run */
    size_t out;   /* next place in `to` */
};

/* Both arrays have `count` places; entries holds what is to be sorted. */
void dsq_fold_sort_start(struct dsq_fold_sort *sort, struct dsq_fold_entry *entries,
                         struct dsq_fold_entry *scratch, size_t count);

/* Places up to `most` entries; whether the sort is complete: then `from` holds the result. */
bool dsq_fold_sort_step(struct dsq_fold_sort *sort, size_t most);

#endif
