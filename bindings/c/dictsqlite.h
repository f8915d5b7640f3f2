/*
 * dictsqlite: a persistent dictionary.  Records live in a lock-free hash table and in an SQLite
 * file; writes reach the file in groups, through one thread.
 *
 * Keys and values are any bytes.  A key has 0 to DSQ_KEY_SIZE_MAX bytes (the empty string is a
 * key), a value 0 to DSQ_VALUE_SIZE_MAX.  A pointer may be NULL where its length is 0.
 *
 * Statuses: every function that returns int returns a status of <dictsqlite/status.h>: DSQ_OK (0),
 * a positive outcome such as DSQ_ABSENT, or a negative error.  An I/O error is never reported as
 * DSQ_ABSENT.  What went wrong in words: dsq_last_error, and dsq_options.error for dsq_open.
 * Besides the errors listed with each function, all of them that take a handle may return
 * DSQ_ERR_INVALID (a NULL where none may be), DSQ_ERR_CLOSED (the close of the handle has begun)
 * and DSQ_ERR_FORKED (the handle was inherited through fork; open the file again in the child).
 *
 * Threads: a handle may be used by any number of threads at once, without locking and without
 * registration.  Cursors, batches and views belong to one thread at a time.  dsq_close and dsq_abandon
 * must be the last call on a handle: no other may be running when they are called.
 *
 * Progress: an operation on a record in the hot tier takes no lock and makes no system call.
 * What may wait is said with each function: the disk on a miss, the commit in writethrough mode,
 * room in the write queue when the disk is slower than the writers.
 *
 * Durability, by mode (dsq_options.persist_mode):
 *   writethrough  dsq_put, dsq_delete and dsq_batch_commit return after the commit that holds
 *                 them; nothing is returned to a reader that a crash could take back.
 *   lazy          they return at once; a crash loses at most what was written within the last
 *                 flush interval plus DSQ_LAZY_SLACK_MS, and what survives is a consistent cut: if
 *                 B began after A returned, B survives only with A.  dsq_flush makes durable all
 *                 that returned before it began.
 *   memory        nothing is written.  A full hot tier evicts: it is a cache, unless
 *                 hot_capacity is DSQ_UNBOUNDED.
 * On disk is what is in the file's journal; from there it is merged (folded) into its table kv, in the
 * background.  A handle that is never closed loses what lazy mode may lose, nothing else.
 *
 * Failure: a commit that fails is tried again, the whole of it, and nothing overtakes it (state
 * RETRYING): for 30 seconds while another program holds the file, for 2 after an I/O error, for want
 * of space or of memory, not at all when the file is damaged or another program has written to it.
 * Then the store has FAILED: what can be read is read, and every write, flush and close returns
 * the first error until dsq_resume.  A write that waited for the commit returns its error: the
 * outcome is not known then, since it is tried again at resume.  Nothing is dropped.
 */
#ifndef DICTSQLITE_H
#define DICTSQLITE_H

#include <stddef.h>
#include <stdint.h>

#include <dictsqlite/status.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DSQ_VERSION_MAJOR 0
#define DSQ_VERSION_MINOR 1
#define DSQ_VERSION_PATCH 0
#define DSQ_VERSION_STRING "0.1.0"

#if defined(__GNUC__)
#define DSQ_API __attribute__((visibility("default")))
#define DSQ_MUST_CHECK __attribute__((warn_unused_result))
#else
#define DSQ_API
#define DSQ_MUST_CHECK
#endif

#define DSQ_KEY_SIZE_MAX ((size_t)64 * 1024)
#define DSQ_VALUE_SIZE_MAX ((size_t)512 * 1024 * 1024)
#define DSQ_PASSWORD_SIZE_MAX ((size_t)1024)
#define DSQ_VALUE_FORMAT_SIZE_MAX ((size_t)64)
#define DSQ_UNBOUNDED UINT64_MAX

#define DSQ_VALUE_FORMAT_BYTES "bytes"
#define DSQ_DEFAULT_HOT_CAPACITY 1000000
#define DSQ_DEFAULT_QUEUE_BYTES ((uint64_t)64 * 1024 * 1024)
#define DSQ_DEFAULT_FLUSH_INTERVAL_MS 100
#define DSQ_DEFAULT_BUFFER_SIZE 10000
/* How much longer than the flush interval a lazy write may stay unwritten before writers wait. */
#define DSQ_LAZY_SLACK_MS 1000

typedef struct dsq_db dsq_db;
typedef struct dsq_batch dsq_batch;
typedef struct dsq_cursor dsq_cursor;
typedef struct dsq_mailbox dsq_notifier;

enum dsq_persist_mode {
    DSQ_MODE_DEFAULT = 0, /* writethrough */
    DSQ_MODE_WRITETHROUGH = 1,
    DSQ_MODE_LAZY = 2,
    DSQ_MODE_MEMORY = 3
};

enum dsq_synchronous {
    DSQ_SYNCHRONOUS_DEFAULT = 0, /* full */
    DSQ_SYNCHRONOUS_FULL = 1,    /* a commit survives the loss of power */
    DSQ_SYNCHRONOUS_NORMAL = 2   /* a commit survives the death of the process */
};

/* A file keeps the cipher that it was created with. */
enum dsq_cipher {
    DSQ_CIPHER_DEFAULT = 0,          /* AES-256-GCM where the processor has it */
    DSQ_CIPHER_AES256GCM = 1,        /* opens only where the processor has it */
    DSQ_CIPHER_XCHACHA20POLY1305 = 2 /* opens everywhere */
};

/* Zero-initialise, then set what differs from the defaults. */
struct dsq_options {
    int persist_mode;           /* enum dsq_persist_mode */
    int synchronous;            /* enum dsq_synchronous */
    uint64_t hot_capacity;      /* clean records kept in memory; 0: default; DSQ_UNBOUNDED: all */
    uint64_t hot_bytes;         /* bytes of clean records kept in memory; 0: no such bound */
    uint64_t queue_bytes;       /* bytes written and not yet in kv, above which writers wait */
    uint32_t flush_interval_ms; /* lazy: a write waits at most this long for its commit to start */
    uint32_t buffer_size;       /* lazy: so many waiting writes start a commit at once */
    int manual_flush; /* lazy: no timer; commits start at flush, close and pressure only */
    int readonly;     /* several read-only openers, or one writer */
    int must_exist;   /* do not create a missing file */
    /*
     * A password of 1 to DSQ_PASSWORD_SIZE_MAX bytes: the file is encrypted with it, or was.  NULL: a
     * plain file.  Copied into locked memory, and wiped there once the keys are made from it.
     */
    const void *password;
    size_t password_size;
    /* What a guess at the password costs where one is set: passes over bytes (Argon2id); 0: default. */
    uint64_t kdf_operations; /* 2 to 64; default 3 */
    uint64_t kdf_memory;     /* 19 MiB to 1 GiB; default 64 MiB */
    int cipher;              /* enum dsq_cipher: of a file that is created */
    /*
     * The name of what the values are, for programs that encode them: 1 to DSQ_VALUE_FORMAT_SIZE_MAX
     * bytes of printable ASCII.  A file that is created records it, and keeps it; a file with another is
     * refused; one that records nothing has DSQ_VALUE_FORMAT_BYTES.  NULL: any file; a new one records
     * nothing.
     */
    const char *value_format;
    struct dsq_error *error; /* where dsq_open describes its failure; may be NULL; not kept */
};

/* The version of the library in use, e.g. "0.1.0".  Static memory. */
DSQ_API const char *dsq_version(void);

/* The sentence or the name of a status; never NULL.  Static memory. */
DSQ_API const char *dsq_strerror(int status);
DSQ_API const char *dsq_strstatus(int status);

/*
 * Opens or creates the file at path (":memory:" means memory mode, which uses no file; then, and
 * in memory mode, path may be NULL) and makes this process its owner until dsq_close.  options may
 * be NULL.  *db is set to NULL on failure.  Reads the disk; starts the library's threads.
 *
 * DSQ_ERR_INVALID   an option out of range; the message names it
 * DSQ_ERR_LOCKED    another handle, of this or another process, has the file open
 * DSQ_ERR_CANTOPEN  it is missing (must_exist), a directory, or may not be opened
 * DSQ_ERR_READONLY  it, or its directory, cannot be written and readonly was not asked for
 * DSQ_ERR_FORMAT    it is no database, not of this library, or of a newer format; not touched.  Or its
 *                   value_format is another; nothing of what it holds changes
 * DSQ_ERR_PASSWORD  it is encrypted and the password wrong or missing; or it is plain and there is a
 *                   password; not touched
 * DSQ_ERR_CORRUPT, DSQ_ERR_IO, DSQ_ERR_FULL, DSQ_ERR_NOMEM; DSQ_ERR_UNSUPPORTED
 */
DSQ_API DSQ_MUST_CHECK int dsq_open(const char *path, const struct dsq_options *options,
                                    dsq_db **db);

/*
 * The value_format that the file records, DSQ_VALUE_FORMAT_BYTES if none; in memory mode the option's.
 * Lives as long as the handle.  NULL if db is.
 */
DSQ_API const char *dsq_value_format(const dsq_db *db);

/*
 * Commits all that was written, leaves a file that any SQLite program reads, and frees the handle.
 * db may be NULL.  On any status but DSQ_OK the handle stays open and nothing is lost:
 *
 * DSQ_ERR_BUSY    views or cursors are still open
 * otherwise       the last commit failed: the first error of it; or the write-ahead log could not
 *                 be moved into the main file.  Cure the cause and close again (after a failed
 *                 commit: dsq_resume first), or give the handle up with dsq_abandon: only what was
 *                 not committed is lost, and the log stays beside the file for the next open.
 */
DSQ_API int dsq_close(dsq_db *db);

/*
 * Frees the handle without a last commit; lazy writes not yet committed are lost.  The only way to
 * give up a handle whose close fails, and the way to let go of one inherited through fork (where it
 * touches no file, and the memory of the tables stays allocated).  No view or cursor may be used
 * afterwards.  db may be NULL.
 */
DSQ_API void dsq_abandon(dsq_db *db);

/* Copies the description of the handle's most recent error (status DSQ_OK: none yet). */
DSQ_API void dsq_last_error(dsq_db *db, struct dsq_error *error);

/*
 * Stores a copy of value under a copy of key, replacing what was there.  Waits for the commit in
 * writethrough mode, and for room in the write queue in both persistent modes.
 *
 * DSQ_ERR_TOO_BIG, DSQ_ERR_NOMEM, DSQ_ERR_READONLY: nothing was stored.
 * DSQ_ERR_IO, DSQ_ERR_FULL and other errors of the disk: the store has failed.  In writethrough
 * mode the outcome of a write that was under way is unknown until the commit is tried again.
 */
DSQ_API int dsq_put(dsq_db *db, const void *key, size_t key_size, const void *value,
                    size_t value_size);

/*
 * As dsq_put in lazy and memory mode, but where that would wait, returns DSQ_WOULD_BLOCK and stores
 * nothing; always DSQ_WOULD_BLOCK in writethrough mode.
 */
DSQ_API int dsq_put_nowait(dsq_db *db, const void *key, size_t key_size, const void *value,
                           size_t value_size);

/*
 * As dsq_put_nowait, but in writethrough mode, too: it is done, visible and in its place among the
 * writes, when this returns DSQ_OK, and on disk once a dsq_flush has returned that began after it.
 * For programs that wait for many writes at a time (event loops).  In writethrough mode it does not
 * wake the library's thread: what flushes or closes, writes otherwise, or reads the value does, and waits
 * for its commit, as always.
 */
DSQ_API int dsq_submit_put(dsq_db *db, const void *key, size_t key_size, const void *value,
                           size_t value_size);

/*
 * Removes a key.  DSQ_ABSENT if it was not there.  Reads the disk if the hot tier does not know.
 * Waits and fails as dsq_put does; a failed read is returned as its error.
 */
DSQ_API int dsq_delete(dsq_db *db, const void *key, size_t key_size);

/*
 * As dsq_delete, and hands out the value removed: *value is to be freed with dsq_free, and is NULL
 * on any status but DSQ_OK.  Atomic: of concurrent pops of one value a single one gets it.
 * DSQ_ERR_NOMEM while copying it out: the key has been removed nevertheless.
 */
DSQ_API DSQ_MUST_CHECK int dsq_pop(dsq_db *db, const void *key, size_t key_size, void **value,
                                   size_t *value_size);

/*
 * Stores the value if the key is absent (DSQ_OK, *existing NULL); otherwise leaves it and hands out
 * a copy of what is there (DSQ_EXISTS), to be freed with dsq_free.  Atomic.  Waits and fails as
 * dsq_delete does.
 */
DSQ_API DSQ_MUST_CHECK int dsq_get_or_put(dsq_db *db, const void *key, size_t key_size,
                                          const void *value, size_t value_size, void **existing,
                                          size_t *existing_size);

/* The same without handing out what is there: DSQ_OK if stored, DSQ_EXISTS if not. */
DSQ_API DSQ_MUST_CHECK int dsq_put_if_absent(dsq_db *db, const void *key, size_t key_size,
                                             const void *value, size_t value_size);

/* Stores the value if the key is there, whatever its value; DSQ_ABSENT if not.  As dsq_delete. */
DSQ_API DSQ_MUST_CHECK int dsq_replace(dsq_db *db, const void *key, size_t key_size,
                                       const void *value, size_t value_size);

/*
 * Stores desired, or deletes the key, if its value equals expected, byte for byte; else changes
 * nothing and returns DSQ_MISMATCH, or DSQ_ABSENT if there is no such key.  Atomic.  Waits and fails
 * as dsq_delete does, also where nothing was changed: the outcome tells what was there.
 */
DSQ_API DSQ_MUST_CHECK int dsq_compare_and_swap(dsq_db *db, const void *key, size_t key_size,
                                                const void *expected, size_t expected_size,
                                                const void *desired, size_t desired_size);
DSQ_API DSQ_MUST_CHECK int dsq_compare_and_delete(dsq_db *db, const void *key, size_t key_size,
                                                  const void *expected, size_t expected_size);

/*
 * Adds delta to an integer value and hands out what it was before (previous may be NULL).  An
 * integer is DSQ_INTEGER_SIZE bytes, two's complement, least significant byte first, on every
 * machine; an absent key counts as 0.  Atomic.  Waits and fails as dsq_delete does.
 * DSQ_MISMATCH: the value is of another size.  DSQ_ERR_INVALID: the sum does not fit.  Nothing was
 * changed then.
 */
#define DSQ_INTEGER_SIZE ((size_t)8)
DSQ_API DSQ_MUST_CHECK int dsq_fetch_add(dsq_db *db, const void *key, size_t key_size,
                                         int64_t delta, int64_t *previous);

/* As dsq_delete, with DSQ_WOULD_BLOCK as in dsq_put_nowait. */
DSQ_API int dsq_delete_nowait(dsq_db *db, const void *key, size_t key_size);

/*
 * As dsq_submit_put, of dsq_delete.  DSQ_ABSENT may rest on a deletion that is not on disk yet, but is once
 * a dsq_flush that began afterwards has returned.
 */
DSQ_API int dsq_submit_delete(dsq_db *db, const void *key, size_t key_size);

/*
 * Looks a key up and hands out a copy of its value: *value is to be freed with dsq_free, and is
 * never NULL on DSQ_OK.  DSQ_ABSENT, with *value NULL, if there is no such key.  Reads the disk on
 * a miss; in writethrough mode waits for the commit of what it returns.
 */
DSQ_API DSQ_MUST_CHECK int dsq_get(dsq_db *db, const void *key, size_t key_size, void **value,
                                   size_t *value_size);
DSQ_API void dsq_free(void *value);

/* DSQ_OK if the key is there, DSQ_ABSENT if not.  Otherwise as dsq_get. */
DSQ_API DSQ_MUST_CHECK int dsq_contains(dsq_db *db, const void *key, size_t key_size);

/*
 * The value without a copy, in memory that stays valid and unchanged, whatever happens to the key,
 * until dsq_view_release.  A zeroed view is a valid argument of dsq_view_release.
 */
struct dsq_view {
    const void *data;
    size_t size;
    void *pin; /* the library's */
};

/* As dsq_get, but pins the record instead of copying it. */
DSQ_API DSQ_MUST_CHECK int dsq_view(dsq_db *db, const void *key, size_t key_size,
                                    struct dsq_view *view);
DSQ_API void dsq_view_release(dsq_db *db, struct dsq_view *view);

/* A key of dsq_multi_get. */
struct dsq_key {
    const void *data;
    size_t size;
};

/*
 * Looks up count keys, each by itself as dsq_view does: statuses[i] is DSQ_OK with a view in
 * views[i], to be released, or DSQ_ABSENT or an error, with views[i] zeroed.  Returns DSQ_OK if no
 * look-up failed, else the first error; a key that is invalid or too long refuses the whole call.
 * Faster than a loop where the hot tier is larger than the processor's caches, since the memory that
 * the look-ups need is fetched for many of them at a time.
 */
DSQ_API DSQ_MUST_CHECK int dsq_multi_get(dsq_db *db, const struct dsq_key *keys, size_t count,
                                         struct dsq_view *views, int *statuses);

/*
 * Calls visitor(context, value, value_size) with the value if the hot tier can answer without
 * waiting, and returns DSQ_OK; DSQ_ABSENT if it knows that there is no such key; DSQ_WOULD_BLOCK if
 * the disk would have to be read or a commit awaited.  Neither takes a lock nor makes a
 * system call.  The visitor runs inside a read-side critical section: it must be short and must
 * not wait, nor call this library.  visitor may be NULL.
 */
typedef void (*dsq_visitor)(void *context, const void *value, size_t value_size);
DSQ_API int dsq_peek(dsq_db *db, const void *key, size_t key_size, dsq_visitor visitor,
                     void *context);

/* What a noting visitor sees. */
struct dsq_peeked {
    const void *data;
    size_t size;
    const void *record; /* whose value it is: not to be followed, only compared */
    uint32_t spread;    /* bits of the key's hash */
    uint16_t note;      /* that was left with the record; 0: none */
};

/*
 * dsq_peek for those who keep something of their own for values that are asked for again and again, the objects
 * of an interpreter for instance: the visitor, which must be given, returns the note that is
 * to stay with the record, peeked->note for no change.  Records that exist at the same time differ in
 * `record`; one that takes the address of an earlier one has no note.  So a note, say the index of an
 * entry that has the record and the object, is true if the entry has that record.
 * Notes are the caller's to order: no two threads may be in such a call with one handle, unless no visitor
 * changes a note.
 */
typedef uint16_t (*dsq_noting_visitor)(void *context, const struct dsq_peeked *peeked);
DSQ_API int dsq_peek_noted(dsq_db *db, const void *key, size_t key_size, dsq_noting_visitor visitor,
                           void *context);

/*
 * dsq_peek_noted for many keys, with the memory fetched as by dsq_multi_get: statuses[i] is what dsq_peek
 * would return for keys[i], and the visitor is told i.  Returns DSQ_OK; a key that is invalid or too
 * long refuses the whole call.
 */
typedef uint16_t (*dsq_multi_visitor)(void *context, size_t i, const struct dsq_peeked *peeked);
DSQ_API DSQ_MUST_CHECK int dsq_multi_peek(dsq_db *db, const struct dsq_key *keys, size_t count,
                                          dsq_multi_visitor visitor, void *context, int *statuses);

/*
 * A batch: puts and deletes that reach the disk as one unit, all or none after a crash.  For
 * concurrent readers they become visible one by one.  Of several operations on one key the last
 * counts.  Batches hold copies of keys and values and can be committed again.
 *
 * dsq_batch_put, dsq_batch_delete: DSQ_ERR_TOO_BIG if a key or value is over its limit,
 * DSQ_ERR_NOMEM.  A delete of an absent key is no error.
 * dsq_batch_commit: waits as dsq_put does.  DSQ_ERR_TOO_BIG if the batch exceeds queue_bytes.
 */
DSQ_API DSQ_MUST_CHECK int dsq_batch_new(dsq_db *db, dsq_batch **batch);
DSQ_API int dsq_batch_put(dsq_batch *batch, const void *key, size_t key_size, const void *value,
                          size_t value_size);
DSQ_API int dsq_batch_delete(dsq_batch *batch, const void *key, size_t key_size);
DSQ_API size_t dsq_batch_count(const dsq_batch *batch);
DSQ_API void dsq_batch_clear(dsq_batch *batch);
DSQ_API int dsq_batch_commit(dsq_batch *batch);
DSQ_API void dsq_batch_destroy(dsq_batch *batch); /* before dsq_close; batch may be NULL */

/* A put or a delete of dsq_multi_write. */
struct dsq_entry {
    const void *key;
    size_t key_size;
    const void *value; /* of a put */
    size_t value_size;
    int is_delete;
};

/*
 * Does what dsq_batch_commit does for a batch of these operations, without a copy of them in between.
 * DSQ_ERR_TOO_BIG also if a key or value is over its limit; then nothing is done.
 */
DSQ_API DSQ_MUST_CHECK int dsq_multi_write(dsq_db *db, const struct dsq_entry *entries,
                                           size_t count);

/* Which keys a cursor visits; zeroed: all.  Copied by dsq_cursor_open. */
struct dsq_range {
    const void *prefix; /* keys that begin with these bytes; excludes start and stop */
    size_t prefix_size;
    const void *start; /* keys >= start, in the order of memcmp */
    size_t start_size;
    const void *stop; /* keys < stop; NULL: to the end */
    size_t stop_size;
    int descending; /* the last key first; not in memory mode: DSQ_ERR_UNSUPPORTED */
};

/*
 * A cursor visits each key that is there throughout exactly once, with a value that it held during
 * the iteration; what is added or removed meanwhile may or may not appear.  In the persistent
 * modes keys come in the order of memcmp, and opening the cursor first waits until kv holds all that
 * was written before (with the errors of dsq_flush); in memory mode their order is arbitrary.  A cursor uses a bounded
 * amount of memory and holds no transaction, lock or read-side section between calls.
 *
 * dsq_cursor_next: DSQ_OK with the next record, DSQ_ABSENT at the end (and from then on), or an
 * error of reading the disk, after which it may be called again.  The bytes are valid until the
 * next call on the cursor.  range and value may be NULL.
 */
DSQ_API DSQ_MUST_CHECK int dsq_cursor_open(dsq_db *db, const struct dsq_range *range,
                                           dsq_cursor **cursor);
DSQ_API DSQ_MUST_CHECK int dsq_cursor_next(dsq_cursor *cursor, const void **key, size_t *key_size,
                                           const void **value, size_t *value_size);
DSQ_API void dsq_cursor_close(dsq_cursor *cursor); /* cursor may be NULL */

/*
 * The number of records: counts every write that returned before the call and none that begins
 * after it returns (one that is under way may be counted or not); exact when nothing is concurrent.
 * Known at once while everything is in memory, otherwise once kv holds all that was written before,
 * with the errors of dsq_flush.
 */
DSQ_API DSQ_MUST_CHECK int dsq_count(dsq_db *db, uint64_t *count);

/*
 * Sets *empty to 1 if there is no record, else to 0.  Never flushes in lazy mode; may read the disk.  While
 * others write it looks again, some dozens of times at most, before it says 1.
 */
DSQ_API DSQ_MUST_CHECK int dsq_is_empty(dsq_db *db, int *empty);

/*
 * A barrier: on DSQ_OK all that was acknowledged before the call is on disk.  Waits up to
 * timeout_ms milliseconds, for ever if negative.
 *
 * DSQ_ERR_TIMEOUT  not yet; the data keeps its place and a later flush can wait for it
 * otherwise        the first error of the failed commit, for every caller until dsq_resume
 */
DSQ_API DSQ_MUST_CHECK int dsq_flush(dsq_db *db, int64_t timeout_ms);

/*
 * A notifier says by a descriptor that flushes have ended, for programs that wait with poll, epoll or
 * an event loop: one a loop serves any number of flushes, threads and stores.  dsq_notifier_take
 * and dsq_notifier_destroy are for one thread at a time, the one whose loop it is.
 *
 * dsq_notifier_new: DSQ_ERR_NOMEM, out of memory or of descriptors.
 * dsq_notifier_descriptor: an eventfd, readable when there is something to take; the notifier's: not to
 * be read, written or closed.
 * dsq_notifier_take: hands out up to capacity completions, the oldest first, and returns how many.  If it
 * fills the array, call it again: the descriptor announces only what comes later.
 * dsq_notifier_destroy: nobody will be told any more; flushes under way go on.  notifier may be NULL.
 * In a forked child an inherited notifier has nothing to take, and is destroyed as in the parent.
 */
struct dsq_completion {
    uint64_t token;
    struct dsq_error error; /* status DSQ_OK, or why not all of it is known to be on disk */
};
DSQ_API DSQ_MUST_CHECK int dsq_notifier_new(dsq_notifier **notifier);
DSQ_API int dsq_notifier_descriptor(const dsq_notifier *notifier);
DSQ_API size_t dsq_notifier_take(dsq_notifier *notifier, struct dsq_completion *completions,
                                 size_t capacity);
DSQ_API void dsq_notifier_destroy(dsq_notifier *notifier);

/*
 * As dsq_flush, without waiting.
 *
 * DSQ_OK           all that was acknowledged before is on disk: no completion follows
 * DSQ_WOULD_BLOCK  one completion with this token follows: with DSQ_OK once it is on disk; with the
 *                  first error if the store fails before (the outcome of what was under way is
 *                  unknown until dsq_resume); with DSQ_ERR_CLOSED if dsq_abandon comes before
 * DSQ_ERR_NOMEM, and the errors of a store that has failed: none follows
 *
 * It cannot be called off; who has lost interest forgets the token.  dsq_close completes what is under
 * way; completions can be taken after it.  The library's thread only puts a completion on a
 * lock-free list, and writes the descriptor if that was empty.
 */
DSQ_API DSQ_MUST_CHECK int dsq_flush_notify(dsq_db *db, dsq_notifier *notifier, uint64_t token);

/*
 * Looks whether the library's thread is alive, as waiting calls do four times a second: if it has died,
 * the store fails and completions say so.  For programs that wait by notifiers alone, now and then.
 * DSQ_OK, or the error with which the store has failed.
 */
DSQ_API int dsq_watch(dsq_db *db);

/*
 * After a failure: accepts writes again and tries the failed commit once more, keeping what it
 * held, in order.  DSQ_OK once that commit is on disk (or if nothing had failed), else its error.
 * After DSQ_ERR_CHANGED: takes what another program has written for the truth, and forgets what it
 * knew of records that had reached the kv table.
 */
DSQ_API int dsq_resume(dsq_db *db);

/*
 * Called now and then by the calls below, with how much is done and of how much; total 0: not known.  If
 * it returns anything but 0, the call ends with DSQ_ERR_CANCELLED and nothing has changed.
 * dsq_compact calls it in a thread of the library's.  It must not use the store.  May be NULL.
 */
typedef int (*dsq_progress)(void *context, uint64_t done, uint64_t total);

/*
 * Writes a copy of the store to a new file at path, while others read and write: one state of it, with
 * all that was acknowledged before the call (it flushes first).  The file is there, whole and
 * on disk, or not at all; dsq_open takes it.  Until it ends, the write-ahead log grows.
 *
 * DSQ_ERR_CANTOPEN      path exists (and overwrite is 0), or cannot be created
 * DSQ_ERR_INVALID       path is the store itself
 * DSQ_ERR_LOCKED        what is to be overwritten is in use, or was not closed
 * DSQ_ERR_UNSUPPORTED   memory mode
 * DSQ_ERR_CANCELLED, and the errors of dsq_flush and of writing
 */
DSQ_API DSQ_MUST_CHECK int dsq_backup(dsq_db *db, const char *path, int overwrite,
                                      dsq_progress progress, void *context);

/*
 * Looks at every page, every row and every journal row of one state of the file, while others read and
 * write: SQLite's integrity_check, the types and sizes of all keys and values, their number, the
 * checksums.  DSQ_ERR_CORRUPT says what is wrong first; DSQ_ERR_CANCELLED.
 */
DSQ_API DSQ_MUST_CHECK int dsq_verify(dsq_db *db, dsq_progress progress, void *context);

/*
 * Makes the file as small as what it holds, which needs as much disk space again and holds commits up
 * while it lasts.  DSQ_ERR_READONLY, DSQ_ERR_CANCELLED, the errors of dsq_flush and of writing;
 * on an error nothing is lost.
 */
DSQ_API DSQ_MUST_CHECK int dsq_compact(dsq_db *db, dsq_progress progress, void *context);

/*
 * Gives an encrypted store another password; no page is written anew.  Whoever has the old password and
 * a copy of the file as it was can read that, and with the keys in it what the file holds later: to
 * shut them out, decrypt and encrypt again.  When the process or the machine dies meanwhile, and on an
 * error of writing, it is the old or the new password that opens the file.
 *
 * DSQ_ERR_UNSUPPORTED  it is not encrypted
 * DSQ_ERR_INVALID      the password is empty or too long
 * DSQ_ERR_READONLY, and the errors of writing
 */
DSQ_API DSQ_MUST_CHECK int dsq_rekey(dsq_db *db, const void *password, size_t password_size);

/*
 * Encrypts the plain file at path, or decrypts the encrypted one, with the password, the limits and the
 * error of options (which says nothing else here): writes it anew beside itself and puts it into its
 * place at once.  Nobody may have it open.  On an error, and when the process or the machine
 * dies, the file is what it was.  What it was before may stay readable in the free space of the disk.
 *
 * DSQ_ERR_PASSWORD  wrong; or the file is encrypted already, or is not
 * DSQ_ERR_CANCELLED, and the errors of dsq_open and dsq_backup
 */
DSQ_API DSQ_MUST_CHECK int dsq_encrypt(const char *path, const struct dsq_options *options,
                                       dsq_progress progress, void *context);
DSQ_API DSQ_MUST_CHECK int dsq_decrypt(const char *path, const struct dsq_options *options,
                                       dsq_progress progress, void *context);

enum dsq_store_state {
    DSQ_STATE_OPEN = 0,
    DSQ_STATE_RETRYING = 1, /* a commit failed and is being tried again */
    DSQ_STATE_FAILED = 2    /* it failed for good; reads are served; see dsq_resume */
};

/* Counters since open, and levels.  Read without stopping anyone: each is exact by itself only. */
struct dsq_stats {
    int mode;               /* enum dsq_persist_mode */
    int state;              /* enum dsq_store_state */
    int last_error;         /* status of the commit error in force, DSQ_OK if none */
    int records_known;      /* whether records is known without a flush */
    uint64_t records;       /* as dsq_count, if known */
    uint64_t hot_records;   /* entries of the hot tier, entries that say "deleted" included */
    uint64_t hot_bytes;     /* their size in bytes, headers included */
    uint64_t hits;          /* look-ups answered by the hot tier */
    uint64_t misses;        /* look-ups that read the disk */
    uint64_t evictions;     /* entries dropped from the hot tier to make room */
    uint64_t queued_bytes;  /* bytes written and not yet in the kv table; queue_bytes bounds it */
    uint64_t unfolded;      /* records written and not yet in the kv table */
    uint64_t commits;       /* transactions committed */
    uint64_t commit_errors; /* transactions that failed */
    uint64_t folds;         /* merges of the journal into the kv table */
    uint64_t seq;           /* records numbered so far by the persistence thread */
    uint64_t durable_seq;   /* the last of them on disk */
    uint64_t retired_bytes; /* bytes unlinked and waiting for a grace period */
    uint64_t wal_bytes;     /* size of the write-ahead log */
    uint64_t table_slots;   /* slots of the hash tables */
    uint64_t resizes;       /* hash tables replaced by larger or cleaner ones */
};
DSQ_API void dsq_stats(dsq_db *db, struct dsq_stats *stats);

#ifdef __cplusplus
}
#endif

#endif
