/*
 * What the committer and the read-through path need of a storage engine.
 *
 * Nothing above this interface knows SQL.  SQLite (persist/sqlite_store.c) is the first
 * implementation.
 *
 * Two places for what is written: `kv`, the rows; and `journal`, batches of records in the order of
 * their commits, which are merged into kv later (persist/fold.h).
 *
 * Threads: begin, put, del, journal_append, journal_drop, commit, rollback, find and checkpoint belong to
 * one thread at a time, the writer; count, seq and wal_bytes are for any thread.  Readers are acquired and used by any thread;
 * one reader serves one thread at a time.  Nobody may hold a reader while waiting for anything but the storage itself.
 *
 * Every function that can fail returns a status of core/status.h and describes the failure in
 * *error, which may be NULL.  "Not there" is DSQ_ABSENT and never stands for a failure.
 */
#ifndef DSQ_PERSIST_STORE_H
#define DSQ_PERSIST_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/bytes.h"
#include "core/status.h"

struct dsq_store;
struct dsq_reader;

/*
 * A scan asks for rows with start <= key (or start < key), and key < stop, in key order or, descending, in
 * the opposite one.
 */
struct dsq_scan_range {
    struct dsq_bytes start;
    bool after_start; /* leave the row whose key equals start out */
    bool has_stop;
    struct dsq_bytes stop;
    bool descending;
};

/*
 * Called for each row of a scan; the bytes are valid during the call only.  Returning false ends
 * the scan.
 */
typedef bool (*dsq_row_visitor)(void *context, struct dsq_bytes key, struct dsq_bytes value);

/* Called for each row of the journal, as dsq_row_visitor. */
typedef bool (*dsq_journal_row_visitor)(void *context, uint64_t number, struct dsq_bytes batch);

/* When a transaction is on disk. */
enum dsq_commit_kind {
    DSQ_COMMIT_DURABLE, /* when commit returns, as `synchronous` promises */
    DSQ_COMMIT_SOON,    /* with the next durable one or checkpoint at the latest */
};

/*
 * Called now and then during something long, with how much of it is done; total 0: not known.  Not
 * zero: stop, which is DSQ_ERR_CANCELLED.
 */
struct dsq_store_progress {
    int (*report)(void *context, uint64_t done, uint64_t total); /* NULL: none */
    void *context;
};

/* What the rows of kv and of the journal hold at most. */
#define DSQ_STORED_KEY_BYTES_MAX ((size_t)65536)
#define DSQ_STORED_VALUE_BYTES_MAX ((size_t)536870912)

struct dsq_store_ops {
    /*
     * Starts the one write transaction.  DSQ_ERR_LOCKED if another program holds the file;
     * DSQ_ERR_CHANGED if one has written to it since, or it is no longer what its path names.
     */
    int (*begin)(struct dsq_store *store, enum dsq_commit_kind kind, struct dsq_error *error);

    /* Inserts the row or replaces its value.  Inside a transaction. */
    int (*put)(struct dsq_store *store, struct dsq_bytes key, struct dsq_bytes value,
               struct dsq_error *error);

    /* Removes the row if it is there.  Inside a transaction.  DSQ_OK either way. */
    int (*del)(struct dsq_store *store, struct dsq_bytes key, struct dsq_error *error);

    /* Adds a row to the journal, whose last record has the number `number`.  Inside a transaction. */
    int (*journal_append)(struct dsq_store *store, uint64_t number, struct dsq_bytes batch,
                          struct dsq_error *error);

    /*
     * Removes the journal's oldest row if its number is at most `number`, else DSQ_ABSENT.  Inside a
     * transaction.
     */
    int (*journal_drop)(struct dsq_store *store, uint64_t number, struct dsq_error *error);

    /*
     * Commits, together with the count of the rows in kv and what seq needs.  Transactions become
     * durable in their order.  On error the outcome is unknown: the transaction may be found after a
     * crash, and the caller executes it again, the whole of it; the store has rolled back what
     * it could and is ready for begin.
     */
    int (*commit)(struct dsq_store *store, struct dsq_error *error);

    /* Abandons the transaction, if one is open. */
    void (*rollback)(struct dsq_store *store);

    /*
     * After DSQ_ERR_CHANGED: takes what another program has written for the truth, and counts the
     * rows anew.  DSQ_ERR_CHANGED again if the file is not there.  Outside a transaction.
     */
    int (*accept_changes)(struct dsq_store *store, struct dsq_error *error);

    /*
     * Which of the keys kv has, all of them as of one state.  The writer's thread, outside a
     * transaction.
     */
    int (*find)(struct dsq_store *store, const struct dsq_bytes *keys, bool *found, size_t count,
                struct dsq_error *error);

    /* Rows of kv, and the last number in the journal ever, as of the last commit (or open). */
    uint64_t (*count)(const struct dsq_store *store);
    uint64_t (*seq)(const struct dsq_store *store);

    /*
     * Moves the WAL into the main file as far as readers allow; with truncate also empties the
     * WAL file.  Not being able to finish because of readers is not an error.
     */
    int (*checkpoint)(struct dsq_store *store, bool truncate, struct dsq_error *error);

    /*
     * Makes room for commits to come, if it is scarce: to overwrite is half the work of a commit that
     * has to make its file longer.  For moments when nobody waits; a failure shows in commits only.
     */
    void (*make_room)(struct dsq_store *store);

    /* Size in bytes of the WAL as of the last commit. */
    uint64_t (*wal_bytes)(const struct dsq_store *store);

    /* Borrows a reader, waiting while all are busy.  Any thread. */
    int (*reader_acquire)(struct dsq_store *store, struct dsq_reader **reader,
                          struct dsq_error *error);
    void (*reader_release)(struct dsq_store *store, struct dsq_reader *reader);

    /*
     * Reads one row as of a state that holds every transaction whose commit returned before this call
     * began.  On DSQ_OK *value is valid until reader_done, which must follow every reader_get.  What
     * other programs write may be seen late, with a commit or checkpoint at the latest.
     */
    int (*reader_get)(struct dsq_reader *reader, struct dsq_bytes key, struct dsq_bytes *value,
                      struct dsq_error *error);
    void (*reader_done)(struct dsq_reader *reader);

    /* Visits the rows of a range within one short transaction that begins during this call. */
    int (*reader_scan)(struct dsq_reader *reader, const struct dsq_scan_range *range,
                       dsq_row_visitor visitor, void *context, struct dsq_error *error);

    /* Visits the rows of the journal above `after`, the oldest first, as reader_scan. */
    int (*reader_journal)(struct dsq_reader *reader, uint64_t after,
                          dsq_journal_row_visitor visitor, void *context, struct dsq_error *error);

    /*
     * Writes one state of the whole store, as of some moment after the call began, to a new file at
     * path.  Complete or not at all; it is on disk when this returns.  An existing file is
     * DSQ_ERR_CANTOPEN unless it is to be overwritten.  Any thread.
     */
    int (*backup)(struct dsq_store *store, const char *path, bool overwrite,
                  const struct dsq_store_progress *progress, struct dsq_error *error);

    /* Looks at every page, row and journal row of one state: DSQ_ERR_CORRUPT.  Any thread. */
    int (*verify)(struct dsq_store *store, const struct dsq_store_progress *progress,
                  struct dsq_error *error);

    /* Gives what is free in the file back to the file system.  The writer's thread. */
    int (*compact)(struct dsq_store *store, const struct dsq_store_progress *progress,
                   struct dsq_error *error);

    /*
     * Writes the superblock that the store's vault has next: keys wrapped anew count from then on, and
     * after an error perhaps.  DSQ_ERR_UNSUPPORTED for a plain file.  The writer's thread.
     */
    int (*reseal)(struct dsq_store *store, struct dsq_error *error);

    /*
     * Closes every connection and frees the store.  All readers must have been released, no
     * transaction be open.  Checkpoints and truncates the WAL if it can; an error there is reported
     * and the data stays in the WAL, which the next open reads.
     */
    int (*close)(struct dsq_store *store, struct dsq_error *error);

    /*
     * For a child of fork: frees what is plain memory and touches no file, no lock and no
     * connection.
     */
    void (*abandon)(struct dsq_store *store);
};

/* First member of every implementation. */
struct dsq_store {
    const struct dsq_store_ops *ops;
};

#endif
