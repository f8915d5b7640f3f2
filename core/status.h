/*
 * Outcomes and errors of every function in the library.
 *
 * One list makes the enum, the names and the sentences, so that a new status
 * cannot be half added.  Zero is success; a positive status is an outcome that
 * the caller asked about and is not a failure; a negative status is an error.
 */
#ifndef DICTSQLITE_STATUS_H
#define DICTSQLITE_STATUS_H

/* X(name, value, sentence) */
#define DSQ_STATUS_LIST(X)                                                                         \
    X(DSQ_OK, 0, "success")                                                                        \
    X(DSQ_ABSENT, 1, "there is no such key")                                                       \
    X(DSQ_EXISTS, 2, "the key is already there")                                                   \
    X(DSQ_MISMATCH, 3, "the stored value is not the expected one")                                 \
    X(DSQ_WOULD_BLOCK, 4, "the call would have had to wait or to read the disk")                   \
    X(DSQ_ERR_INVALID, -1, "an argument is not valid")                                             \
    X(DSQ_ERR_TOO_BIG, -2, "a key, a value or a batch is larger than the limit")                   \
    X(DSQ_ERR_NOMEM, -3, "out of memory")                                                          \
    X(DSQ_ERR_IO, -4, "the disk reported an error")                                                \
    X(DSQ_ERR_FULL, -5, "the disk is full")                                                        \
    X(DSQ_ERR_CORRUPT, -6, "the file is damaged")                                                  \
    X(DSQ_ERR_FORMAT, -7, "the file is not one of this library, or of a newer format")             \
    X(DSQ_ERR_LOCKED, -8, "the file is in use by another owner")                                   \
    X(DSQ_ERR_READONLY, -9, "the store or the file is read-only")                                  \
    X(DSQ_ERR_CANTOPEN, -10, "the file cannot be opened or created")                               \
    X(DSQ_ERR_CLOSED, -11, "the store is closed")                                                  \
    X(DSQ_ERR_FORKED, -12, "the handle was inherited through fork and cannot be used here")        \
    X(DSQ_ERR_TIMEOUT, -13, "the time allowed ran out")                                            \
    X(DSQ_ERR_BUSY, -14, "views or cursors of the store are still open")                           \
    X(DSQ_ERR_UNSUPPORTED, -15, "not supported by this build or in this mode")                     \
    X(DSQ_ERR_INTERNAL, -16, "an internal invariant was found broken")                             \
    X(DSQ_ERR_CHANGED, -17, "another program has written to the file, or replaced it")             \
    X(DSQ_ERR_CANCELLED, -18, "the caller's progress function has asked to stop")                  \
    X(DSQ_ERR_PASSWORD, -19, "the password is wrong, missing, or given for a plain file")

enum dsq_status {
#define DSQ_STATUS_ENUM(name, value, sentence) name = (value),
    DSQ_STATUS_LIST(DSQ_STATUS_ENUM)
#undef DSQ_STATUS_ENUM
};

/* Capacity of an error's message in bytes, the final zero included. */
#define DSQ_ERROR_MESSAGE_BYTES 512

/*
 * What went wrong, in words: a status and a message that names the argument, the file or the
 * operation.  Owned by the caller, plain memory, freely copied.
 */
struct dsq_error {
    int status; /* DSQ_OK when nothing went wrong */
    char message[DSQ_ERROR_MESSAGE_BYTES];
};

#endif
