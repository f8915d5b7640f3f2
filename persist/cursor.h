/*
 * Iteration over the dictionary, lazily and in bounded memory.
 *
 * In the persistent modes the cursor walks the kv table by key in chunks, each one short read
 * transaction (a long one would keep the WAL from being reused for as long as it lives), and takes
 * the newer value from the hot tier where there is one.  All that was acknowledged before the
 * cursor was opened is in kv by then (folded), and every chunk begins after the last key of the one
 * before, on its other side if the cursor descends: a key that is there throughout appears exactly once.  In memory mode it walks the
 * tables in windows of the hash space (dsq_table_walk), with the same rule.
 */
#ifndef DSQ_PERSIST_CURSOR_H
#define DSQ_PERSIST_CURSOR_H

#include "persist/tier.h"

struct dsq_tier_cursor;

/*
 * Keys from start on (inclusive) and before stop (if has_stop), the last one first if descending; the
 * bytes are copied.
 */
struct dsq_cursor_range {
    struct dsq_bytes start;
    bool has_stop;
    struct dsq_bytes stop;
    bool descending;
};

/*
 * Whether there is no record at all, without a flush in lazy mode.  The errors of dsq_tier_flush
 * (writethrough mode) and of reading the disk.
 */
int dsq_tier_is_empty(struct dsq_tier *tier, bool *empty, struct dsq_error *error);

/*
 * Folds first.  The errors of dsq_tier_fold; DSQ_ERR_NOMEM; DSQ_ERR_UNSUPPORTED for descending in memory
 * mode, which has no order.
 */
int dsq_tier_cursor_open(struct dsq_tier *tier, const struct dsq_cursor_range *range,
                         struct dsq_tier_cursor **cursor, struct dsq_error *error);

/*
 * The next record, valid until the next call; DSQ_ABSENT at the end.  After an error the position
 * is as before: the call may be repeated.
 */
int dsq_tier_cursor_next(struct dsq_tier_cursor *cursor, struct dsq_bytes *key,
                         struct dsq_bytes *value, struct dsq_error *error);

void dsq_tier_cursor_close(struct dsq_tier_cursor *cursor);

#endif
