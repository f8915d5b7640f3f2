/*
 * Recovery: folds what a crash, or a handle that was never closed, has left in the journal.
 *
 * In portions of the journal, the oldest first, so that memory stays bounded; each is a fold of its
 * own (persist/fold.h).  A crash during the recovery leaves a shorter journal, or the same.
 */
#ifndef DSQ_PERSIST_RECOVERY_H
#define DSQ_PERSIST_RECOVERY_H

#include "persist/store.h"

/*
 * Empties the journal into kv.  The caller is the store's only user.
 *
 * DSQ_ERR_CORRUPT   a row of the journal is damaged: nothing from there on was folded or removed
 * DSQ_ERR_NOMEM, and the errors of reading and writing the store
 */
int dsq_recover(struct dsq_store *store, struct dsq_error *error);

/* DSQ_OK if the journal is empty, DSQ_EXISTS if not; the errors of reading. */
int dsq_recovery_is_needed(struct dsq_store *store, struct dsq_error *error);

#endif
