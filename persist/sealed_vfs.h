/*
 * Files that are sealed below SQLite: a VFS of each store, between SQLite and the one that the system
 * has as its default.
 *
 *   main file   two copies of the superblock, then the pages, each sealed at its number; nonce and tag
 *               lie in the 40 bytes that SQLite leaves free at a page's end
 *   WAL         header, frame headers and pages sealed one by one, each at its place in this generation
 *               of the log; SQLite's checksums, which come from what is written, are sealed with the
 *               rest
 *   -shm        none: the index of the WAL lies in the memory of this process, which owns the file
 *   temporary   sealed as the main file is; journals of every kind stay in memory
 *
 * A page that does not open at its place is SQLITE_IOERR_DATA, which dsq_sealed_failure puts into
 * words.  While SQLite recovers a log, a frame that does not open reads as zeros instead: what was
 * cut off by a crash ends the log there, as in a plain file.
 *
 * The WAL's frames are gathered and written in one go: a commit of many pages is a few writes, not two
 * for each page.  They are on their way before SQLite learns that the frame that ends a transaction is
 * written.
 *
 * What is not hidden: the sizes of the files, when and where pages are written, and what the superblock
 * says.  What cannot be noticed: an older copy of all files, an older copy of a page at its own place
 * (unless it contradicts the others), and a log that was cut off behind a transaction.
 */
#ifndef DSQ_PERSIST_SEALED_VFS_H
#define DSQ_PERSIST_SEALED_VFS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/codec.h"
#include "core/status.h"

struct sqlite3;
struct sqlite3_file;
struct dsq_sealed_vfs;

/* Makes and registers a VFS.  The codec outlives it.  DSQ_ERR_NOMEM. */
int dsq_sealed_vfs_new(struct dsq_codec *codec, struct dsq_sealed_vfs **vfs,
                       struct dsq_error *error);

/* Once all of its files are closed.  NULL is allowed. */
void dsq_sealed_vfs_free(struct dsq_sealed_vfs *vfs);

/* What sqlite3_open_v2 is given; NULL, the default VFS, for NULL. */
const char *dsq_sealed_vfs_name(const struct dsq_sealed_vfs *vfs);

/*
 * Describes the last piece that did not open of a connection's files: DSQ_ERR_CORRUPT.  db may be NULL
 * or be one to plain files.
 */
int dsq_sealed_failure(struct sqlite3 *db, const char *path, struct dsq_error *error);

/*
 * Whether a page of a connection's main file opens, index counted from 0; one that was never written
 * (all zeros) need not.  SQLITE_DONE behind the last, else SQLite's result.
 */
int dsq_sealed_check_page(struct sqlite3 *db, int64_t index);

/*
 * From a connection's WAL and a size of it as SQLite knows it to the real file and the size that this
 * is there.  Nothing is gathered any more.  SQLite's result.
 */
int dsq_sealed_wal_beneath(struct sqlite3_file **wal, int64_t *size);

/*
 * Reads what a file begins with; what a short one lacks reads as zeros.  Through SQLite's default VFS,
 * since closing a descriptor of our own would drop the locks of others in this process.
 */
int dsq_sealed_header_read(const char *path, unsigned char *header, struct dsq_error *error);

/*
 * Writes both copies of a superblock, one after the other; first the one that is not *newest, which
 * says after an error, too, which of them counts.
 */
int dsq_sealed_header_write(const char *path, const unsigned char *superblock, int *newest,
                            struct dsq_error *error);

/* Cuts a file back to its superblock. */
int dsq_sealed_discard(const char *path, struct dsq_error *error);

#endif
