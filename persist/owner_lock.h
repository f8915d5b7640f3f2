/*
 * One owner per file: a lock that dies with the process.
 *
 * The lock is flock(2) on a file of its own, `<path>-lock`: exclusive for a writer, shared among
 * readers.  flock belongs to the open file, not to the process, so a second opener is refused
 * alike whether it is in this process or in another.  The database file itself is never locked
 * nor opened here: closing any descriptor of it would drop SQLite's own locks on it (POSIX record
 * locks belong to the process).
 *
 * The lock file holds the process id of an exclusive owner, for the message, and is removed on
 * release.  Removal does not race: it happens while the lock is held exclusively, and whoever gets
 * the lock then looks whether the path still names the file that it locked, and if not tries
 * again.
 *
 * Limits: two hard links of one file are two paths, hence two locks.  A child of fork shares its
 * parent's lock until it calls abandon or ends: if the parent is killed meanwhile, the file stays
 * locked until then.
 */
#ifndef DSQ_PERSIST_OWNER_LOCK_H
#define DSQ_PERSIST_OWNER_LOCK_H

#include <stdbool.h>

#include "core/status.h"

struct dsq_owner_lock;

/*
 * Makes the caller the owner, or with shared one of the readers, of the file at path, which need
 * not exist; its directory must.  Symbolic links are followed, so that every spelling of a path
 * means the same lock.  Never waits for another owner.  *lock is NULL on failure.
 *
 * Where a shared owner may not write the directory and there is no lock file, it goes without:
 * DSQ_OK, and later writers are not kept out.
 *
 * DSQ_ERR_LOCKED    in use; the message names the owner's process where known
 * DSQ_ERR_CANTOPEN  no such directory, no permission to look into it, a link to nothing
 * DSQ_ERR_READONLY  an exclusive owner may not create the lock file
 * DSQ_ERR_FULL, DSQ_ERR_IO, DSQ_ERR_NOMEM
 */
int dsq_owner_lock_acquire(const char *path, bool shared, struct dsq_owner_lock **lock,
                           struct dsq_error *error);

/* The absolute path without symbolic links of the file owned; valid until release or abandon. */
const char *dsq_owner_lock_path(const struct dsq_owner_lock *lock);

/* Ends the ownership and frees the lock.  lock may be NULL. */
void dsq_owner_lock_release(struct dsq_owner_lock *lock);

/* For a child of fork: frees the lock and leaves the parent's ownership alone.  May be NULL. */
void dsq_owner_lock_abandon(struct dsq_owner_lock *lock);

#endif
