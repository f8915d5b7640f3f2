/*
 * An implementation of persist/store.h in memory, for the tests of what stands on that interface:
 * it fails when told to, stops a thread at a chosen point until released, counts calls and logs
 * what each commit applied.  It aborts where its caller breaks the interface's contract.
 *
 * All functions may be called from any thread.
 */
#ifndef DSQ_TESTS_PERSIST_FAKE_STORE_H
#define DSQ_TESTS_PERSIST_FAKE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "persist/store.h"

enum fake_call {
    FAKE_BEGIN,
    FAKE_PUT,
    FAKE_DEL,
    FAKE_JOURNAL_APPEND,
    FAKE_JOURNAL_DROP,
    FAKE_COMMIT,      /* of a durable transaction */
    FAKE_FOLD_COMMIT, /* of another */
    FAKE_CHECKPOINT,
    FAKE_ACCEPT_CHANGES,
    FAKE_COMPACT,
    FAKE_READER_ACQUIRE,
    FAKE_READER_GET,
    FAKE_READER_SCAN,
    FAKE_READER_JOURNAL,
    FAKE_CLOSE,
    FAKE_CALLS,
};

/* Points at which a thread can be stopped. */
enum fake_point {
    FAKE_AT_COMMIT,     /* of a durable transaction, before it takes effect, or fails */
    FAKE_AT_FOLD,       /* the same of another */
    FAKE_AT_CHECKPOINT, /* before it ends */
    FAKE_BEFORE_READ,   /* in reader_get, before the row is looked up */
    FAKE_AFTER_READ,    /* in reader_get, with the row in hand */
    FAKE_AFTER_SCAN,    /* in reader_scan, with the rows in hand */
    FAKE_POINTS,
};

#define FAKE_FOREVER UINT64_MAX

/* An empty store, closed and freed by its ops. */
struct dsq_store *fake_store_new(void);

/* Puts a row in as if it had always been there. */
void fake_seed(struct dsq_store *store, const char *key, const char *value);

/* Whether the row is committed with that value; value NULL: whether it is not there. */
bool fake_has(struct dsq_store *store, const char *key, const char *value);

/* The next `skip` calls succeed, the `times` after them return status. */
void fake_fail(struct dsq_store *store, enum fake_call call, uint64_t skip, uint64_t times,
               int status);

/* As fake_fail for the next commit, which takes effect all the same. */
void fake_fail_after_commit(struct dsq_store *store, int status);
void fake_heal(struct dsq_store *store);

/* The next thread that comes to the point stops there; those after it pass. */
void fake_trap(struct dsq_store *store, enum fake_point point);

/* Waits until a thread stands at the point; lets all that stand there go on. */
void fake_await_trapped(struct dsq_store *store, enum fake_point point);
void fake_release(struct dsq_store *store, enum fake_point point);

/* Calls that were made, failed ones included. */
uint64_t fake_calls(struct dsq_store *store, enum fake_call call);

/* Commits that took effect, of those that are to be durable. */
uint64_t fake_commits(struct dsq_store *store);

/* Readers that are borrowed. */
uint64_t fake_readers(struct dsq_store *store);

/*
 * What each commit appended to the journal, in order: "{a=1 -b}{a=2}"; and what each applied to kv, in
 * parentheses.  Valid until the next call.
 */
const char *fake_log(struct dsq_store *store);
const char *fake_kv_log(struct dsq_store *store);

/* Rows in the journal. */
uint64_t fake_journal_rows(struct dsq_store *store);

/* What wal_bytes says from now on. */
void fake_set_wal_bytes(struct dsq_store *store, uint64_t bytes);

#endif
