/*
 * The SQLite implementation of persist/store.h.
 *
 * File format (application_id and user_version say whose and which):
 *
 *     kv(key BLOB PRIMARY KEY, value BLOB NOT NULL)      the records
 *     journal(id INTEGER PRIMARY KEY, batch BLOB)        reserved: batches not yet in kv
 *     meta(name TEXT PRIMARY KEY, value)                 'seq', 'count'; perhaps 'value_format'
 *
 * One connection writes and checkpoints, no other ever does; readers are read-only connections
 * from a pool and never checkpoint, not even on close.  (The last read-only store to close has a
 * writing connection remove the empty WAL files that reading has made.)
 */
#ifndef DSQ_PERSIST_SQLITE_STORE_H
#define DSQ_PERSIST_SQLITE_STORE_H

#include <stdbool.h>

#include "core/codec.h"
#include "persist/store.h"

/* "dsq1" in the header of the main file. */
#define DSQ_APPLICATION_ID 0x64737131
/* The newest format this build reads and writes; stored as user_version. */
#define DSQ_FORMAT_VERSION 1

/* The name of what values are: 1 to so many bytes of printable ASCII; and of what says nothing. */
#define DSQ_SQLITE_VALUE_FORMAT_BYTES_MAX ((size_t)64)
#define DSQ_SQLITE_VALUE_FORMAT_DEFAULT "bytes"

struct dsq_sqlite_options {
    bool readonly;   /* share the file with other read-only openers; nothing is ever written */
    bool must_exist; /* do not create a missing file */
    bool synchronous_normal; /* synchronous=NORMAL instead of FULL */
    /* For a file that is sealed, or to be created so; outlives the store.  NULL: a plain one. */
    struct dsq_vault *vault;
    /* What the values of the file must be, and what one that is created records.  NULL: anything; nothing. */
    const char *value_format;
};

bool dsq_sqlite_is_value_format(const char *name);

/*
 * Opens or creates the file at path and takes ownership of it (persist/owner_lock.h).
 *
 * DSQ_ERR_LOCKED    another handle, in this process or another, owns the file; the message names
 *                   the owner's process id where known.  Or a program that does not ask who owns
 *                   it keeps it locked for longer than opening waits
 * DSQ_ERR_CANTOPEN  no such file (must_exist), no such directory, a directory, no permission
 * DSQ_ERR_READONLY  writing was asked for and the file or its directory cannot be written
 * DSQ_ERR_FORMAT    not a database, an SQLite database that is not ours (one of DictSQLite's: the
 *                   message names `migrate`), or a newer format; the file is left byte for byte
 *                   as it was.  Or its values are of another format than was asked for; nothing of
 *                   what it holds is changed
 * DSQ_ERR_PASSWORD  the file is sealed and the vault missing or not its own; or there is a vault,
 *                   and the file is plain; it is left byte for byte as it was
 * DSQ_ERR_UNSUPPORTED  the file system cannot hold a write-ahead log; or a cipher is missing
 * DSQ_ERR_CORRUPT, DSQ_ERR_IO, DSQ_ERR_FULL, DSQ_ERR_NOMEM  as their sentences say
 */
int dsq_sqlite_store_open(const char *path, const struct dsq_sqlite_options *options,
                          struct dsq_store **store, struct dsq_error *error);

/* What the file records of its values, the default if nothing.  Lives as long as the store. */
const char *dsq_sqlite_store_value_format(const struct dsq_store *store);

/*
 * Writes the store at path, which nobody has open, anew and puts it into its own place at once: from
 * the vault `from` to `to`, either of which may be NULL for a plain file.  On an error, and when the
 * process or the machine dies, the file is the old one.  The errors of opening and of backups.
 */
int dsq_sqlite_convert(const char *path, struct dsq_vault *from, struct dsq_vault *to,
                       const struct dsq_store_progress *progress, struct dsq_error *error);

#endif
