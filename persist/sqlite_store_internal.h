/*
 * Shared by the parts of the SQLite store: sqlite_store.c (writing), sqlite_store_open.c,
 * sqlite_store_read.c (the pool of readers), sqlite_store_probe.c (whose file is it?) and
 * sqlite_store_connection.c (connections, statements and errors).
 */
#ifndef DSQ_PERSIST_SQLITE_STORE_INTERNAL_H
#define DSQ_PERSIST_SQLITE_STORE_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/bytes.h"
#include "core/status.h"
#include "persist/owner_lock.h"
#include "persist/sealed_vfs.h"
#include "persist/sqlite_store.h"
#include "persist/store.h"

struct sqlite3;
struct sqlite3_stmt;

/* Connections that read at one time; one more reader waits. */
#define DSQ_SQLITE_READERS_MAX 16
/* How long opening and reading wait for a lock that another program holds on the file. */
#define DSQ_SQLITE_BUSY_MS 2000

/* Statements of the writing connection, prepared at open. */
enum dsq_sqlite_write {
    DSQ_SQLITE_BEGIN,
    DSQ_SQLITE_VERSION,
    DSQ_SQLITE_READ,
    DSQ_SQLITE_FIND,
    DSQ_SQLITE_UPDATE,
    DSQ_SQLITE_INSERT,
    DSQ_SQLITE_DELETE,
    DSQ_SQLITE_SET_META,
    DSQ_SQLITE_JOURNAL_APPEND,
    DSQ_SQLITE_JOURNAL_OLDEST,
    DSQ_SQLITE_JOURNAL_DROP,
    DSQ_SQLITE_COMMIT,
    DSQ_SQLITE_ROLLBACK,
    DSQ_SQLITE_WRITES /* how many there are */
};

/* Which file it is that a path names. */
struct dsq_file_identity {
    uint64_t device;
    uint64_t inode; /* 0: not known */
};

/*
 * Readers are opened on demand, kept, and lent to one thread at a time.  `mutex` guards all but
 * `generation` and source and flags, which do not change after open.
 */
struct dsq_sqlite_readers {
    pthread_mutex_t mutex;
    pthread_cond_t released;
    struct dsq_reader *idle; /* a list */
    unsigned opened;         /* idle, lent and being opened */
    bool paused;             /* none of them may keep a transaction */
    /* Moves with each commit: what is kept from before is old.  Pairs in sqlite_store_read.c (R1). */
    _Atomic uint64_t generation;
    char *source; /* what sqlite3_open_v2 is given */
    int flags;
};

struct dsq_sqlite_store {
    struct dsq_store base;
    struct dsq_owner_lock *lock;
    const char *path; /* the lock's */
    bool readonly;
    bool synchronous_normal;
    bool remove_if_empty;    /* made by an open that has not succeeded yet */
    struct dsq_vault *vault; /* NULL: a plain file */
    struct dsq_sealed_vfs *vfs;
    const char *wanted_format; /* while it is opened */
    char value_format[DSQ_SQLITE_VALUE_FORMAT_BYTES_MAX + 1];
    bool is_created_sealed; /* by this open, whose superblock does not say so yet */
    int newest_superblock;  /* which of its copies */

    /* Writes, for one thread at a time.  A readonly store uses its own while opening only. */
    struct sqlite3 *db;
    struct sqlite3_stmt *writes[DSQ_SQLITE_WRITES];
    struct dsq_file_identity file;
    struct dsq_file_identity wal; /* known once it has been written to */
    uint64_t version;             /* data_version: changes with every commit that is not ours */
    bool in_transaction;          /* begun, and not ended by us: SQLite may have ended it */
    bool version_unknown;         /* an error may have changed it */
    bool recounted;               /* meta.count has to be written though it has not moved */
    bool syncs;                   /* commits wait for the disk: what the connection is set to */
    uint64_t rows;                /* in kv, as the open transaction sees it */
    uint64_t last_seq;            /* seq, as the open transaction sees it */
    uint64_t folded_seq;          /* above meta.seq if the open transaction has dropped rows */
    uint64_t wal_frame_bytes;
    uint64_t wal_room;      /* length of the WAL's file, as far as known */
    uint64_t wal_committed; /* wal_bytes before the last commit */

    /* As of the last commit.  Single values, read by any thread for themselves: relaxed. */
    _Atomic uint64_t count;
    _Atomic uint64_t seq;
    _Atomic uint64_t wal_bytes;

    struct dsq_sqlite_readers readers;
};

static inline struct dsq_sqlite_store *dsq_sqlite_store_of(struct dsq_store *store)
{
    return (struct dsq_sqlite_store *)store;
}

/* ---- sqlite_store_connection.c ---- */

/*
 * Describes the failure of `operation` with SQLite result `result` on the file at path, in the
 * words of db (which may be NULL), and returns its status.
 */
int dsq_sqlite_error(struct sqlite3 *db, int result, const char *operation, const char *path,
                     struct dsq_error *error);

/*
 * Opens a connection with the settings that all of ours share.  source is a path or a URI, flags
 * are SQLite's; vfs NULL: a plain file.  A read-only connection never checkpoints.  *db is NULL on
 * failure.
 */
int dsq_sqlite_connect(const char *source, int flags, const struct dsq_sealed_vfs *vfs,
                       struct sqlite3 **db, struct dsq_error *error);

int dsq_sqlite_prepare(struct sqlite3 *db, const char *sql, const char *path,
                       struct sqlite3_stmt **statement, struct dsq_error *error);

/* The first cell of the only row of a query; DSQ_ERR_CORRUPT if it is not an integer >= 0. */
int dsq_sqlite_query_number(struct sqlite3 *db, const char *sql, const char *path, uint64_t *number,
                            struct dsq_error *error);

/* Binds bytes as a BLOB without copying; the empty ones too, never as NULL.  SQLite's result. */
int dsq_sqlite_bind(struct sqlite3_stmt *statement, int index, struct dsq_bytes bytes);

/* A URI that names path, with parameters and their last value behind it; NULL: out of memory. */
char *dsq_sqlite_uri(const char *path, const char *parameters, const char *value);

/* A URI that opens path as a file that nobody can change, or NULL when out of memory. */
char *dsq_sqlite_immutable_uri(const char *path);

/* The size of path with suffix appended; 0 if there is no such file or it cannot be looked at. */
uint64_t dsq_sqlite_file_size(const char *path, const char *suffix);

/* Which file path, with suffix appended, names; inode 0 if none. */
struct dsq_file_identity dsq_sqlite_identify(const char *path, const char *suffix);

/* ---- sqlite_store_open.c ---- */

/* Writes the superblock that the vault has next; `newest` is the copy that counts now. */
int dsq_sqlite_write_superblock(const char *path, struct dsq_vault *vault, bool complete,
                                int *newest, struct dsq_error *error);

/* Makes the tables in an empty file, and has them say what values are unless that is NULL. */
int dsq_sqlite_create_tables(struct sqlite3 *db, bool sealed, const char *value_format,
                             const char *path, struct dsq_error *error);

/* ---- sqlite_store_probe.c ---- */

enum dsq_sqlite_kind {
    DSQ_SQLITE_MISSING, /* there is no file */
    DSQ_SQLITE_EMPTY,   /* of size 0: new, or its creator was killed */
    DSQ_SQLITE_FILLED
};

/* Refuses what is no regular file, or may not be opened, without opening it.  Any path. */
int dsq_sqlite_probe_path(const char *path, bool readonly, enum dsq_sqlite_kind *kind,
                          struct dsq_error *error);

/*
 * Finds out whose a filled, plain file is without changing it or leaving anything beside it.  The caller
 * owns it (persist/owner_lock.h).  DSQ_OK: ours, or a creation that SQLite has yet to roll back.
 *
 * DSQ_ERR_FORMAT    no database, not ours, or of a newer format
 */
int dsq_sqlite_probe_file(const char *path, struct dsq_error *error);

/* Refuses, with DSQ_ERR_FORMAT, what the two numbers of a header say is not for this build. */
int dsq_sqlite_check_format(const char *path, uint64_t application_id, uint64_t user_version,
                            struct dsq_error *error);

/* ---- sqlite_store_values.c ---- */

/* Reads what meta records of the values, or the default.  DSQ_ERR_CORRUPT if it is no such name. */
int dsq_sqlite_read_value_format(struct sqlite3 *db, const char *path,
                                 char name[DSQ_SQLITE_VALUE_FORMAT_BYTES_MAX + 1],
                                 struct dsq_error *error);

/* ---- sqlite_store_read.c ---- */

/* Sets the pool up, all but source and flags.  DSQ_ERR_NOMEM. */
int dsq_sqlite_readers_init(struct dsq_sqlite_readers *readers);

/* Tells the readers of a commit: after it, before anyone else is told. */
void dsq_sqlite_readers_advance(struct dsq_sqlite_readers *readers);

/* Around a checkpoint: readers that are idle keep no transaction. */
void dsq_sqlite_readers_pause(struct dsq_sqlite_readers *readers);
void dsq_sqlite_readers_resume(struct dsq_sqlite_readers *readers);

/* Closes all readers, which must be idle. */
void dsq_sqlite_readers_close(struct dsq_sqlite_readers *readers);

/* The same, and frees the pool's memory. */
void dsq_sqlite_readers_fini(struct dsq_sqlite_readers *readers);

/* In a child of fork: frees memory only. */
void dsq_sqlite_readers_abandon(struct dsq_sqlite_readers *readers);

int dsq_sqlite_reader_acquire(struct dsq_store *store, struct dsq_reader **reader,
                              struct dsq_error *error);
void dsq_sqlite_reader_release(struct dsq_store *store, struct dsq_reader *reader);
int dsq_sqlite_reader_get(struct dsq_reader *reader, struct dsq_bytes key, struct dsq_bytes *value,
                          struct dsq_error *error);
void dsq_sqlite_reader_done(struct dsq_reader *reader);
int dsq_sqlite_reader_scan(struct dsq_reader *reader, const struct dsq_scan_range *range,
                           dsq_row_visitor visitor, void *context, struct dsq_error *error);

int dsq_sqlite_reader_journal(struct dsq_reader *reader, uint64_t after,
                              dsq_journal_row_visitor visitor, void *context,
                              struct dsq_error *error);

/* ---- sqlite_store_copy.c ---- */

int dsq_sqlite_backup(struct dsq_store *store, const char *path, bool overwrite,
                      const struct dsq_store_progress *progress, struct dsq_error *error);

/* Opens a connection that reads one snapshot until it is closed. */
int dsq_sqlite_open_snapshot(struct dsq_sqlite_store *self, struct sqlite3 **db,
                             struct dsq_error *error);

/* Whether the caller wants to go on; the error if not. */
bool dsq_sqlite_report(const struct dsq_store_progress *progress, uint64_t done, uint64_t total);
int dsq_sqlite_cancelled(const char *what, const char *path, struct dsq_error *error);

/* ---- sqlite_store_maintenance.c ---- */

int dsq_sqlite_verify(struct dsq_store *store, const struct dsq_store_progress *progress,
                      struct dsq_error *error);
int dsq_sqlite_compact(struct dsq_store *store, const struct dsq_store_progress *progress,
                       struct dsq_error *error);

/* ---- sqlite_store.c ---- */

extern const struct dsq_store_ops dsq_sqlite_store_ops;

/* Closes what is open of a store, which may be half made, and frees it. */
void dsq_sqlite_store_destroy(struct dsq_sqlite_store *self);

#endif
