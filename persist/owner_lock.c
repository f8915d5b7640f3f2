#include "persist/owner_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"

#define PID_TEXT_BYTES 24

struct dsq_owner_lock {
    char *path;      /* of the file owned, canonical */
    char *lock_path; /* of the file that is locked */
    int fd;          /* -1: a reader that goes without */
    bool shared;
};

static bool is_permission(int code)
{
    return code == EACCES || code == EPERM || code == EROFS;
}

static int status_of_errno(int code)
{
    switch (code) {
    case ENOMEM:
        return DSQ_ERR_NOMEM;
    case ENOSPC:
    case EDQUOT:
        return DSQ_ERR_FULL;
    case EIO:
        return DSQ_ERR_IO;
    default:
        return DSQ_ERR_CANTOPEN;
    }
}

static int out_of_memory(struct dsq_error *error, const char *path)
{
    return dsq_error_set(error, DSQ_ERR_NOMEM, "out of memory while opening %s", path);
}

/* The canonical path of a file that does not exist yet: only its directory can be resolved. */
static int resolve_missing(const char *path, char **resolved, struct dsq_error *error)
{
    struct stat link;
    if (lstat(path, &link) == 0) {
        return dsq_error_set(error, DSQ_ERR_CANTOPEN, "%s is a symbolic link to nothing", path);
    }
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    if (*name == '\0') {
        return dsq_error_set(error, DSQ_ERR_CANTOPEN, "\"%s\" does not name a file", path);
    }
    char *directory = slash != NULL ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    if (directory == NULL) {
        return out_of_memory(error, path);
    }
    char *parent = realpath(directory, NULL);
    int status = DSQ_OK;
    if (parent == NULL) {
        status = dsq_error_set(error, status_of_errno(errno), "cannot open %s: directory %s: %m",
                               path, directory);
    } else if (asprintf(resolved, "%s/%s", parent, name) < 0) {
        *resolved = NULL;
        status = out_of_memory(error, path);
    }
    free(parent);
    free(directory);
    return status;
}

static int resolve(const char *path, char **resolved, struct dsq_error *error)
{
    *resolved = realpath(path, NULL);
    if (*resolved != NULL) {
        return DSQ_OK;
    }
    if (errno == ENOENT) {
        return resolve_missing(path, resolved, error);
    }
    return dsq_error_set(error, status_of_errno(errno), "cannot open %s: %m", path);
}

static int open_lock_file(struct dsq_owner_lock *lock, struct dsq_error *error)
{
    const int flags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    lock->fd = open(lock->lock_path, O_RDWR | O_CREAT | flags, 0600);
    if (lock->fd >= 0) {
        return DSQ_OK;
    }
    if (is_permission(errno) && !lock->shared) {
        return dsq_error_set(error, DSQ_ERR_READONLY, "%s cannot be written: lock file %s: %m",
                             lock->path, lock->lock_path);
    }
    if (is_permission(errno)) {
        lock->fd = open(lock->lock_path, O_RDONLY | flags);
        if (lock->fd >= 0 || errno == ENOENT) {
            return DSQ_OK;
        }
    }
    return dsq_error_set(error, status_of_errno(errno), "cannot open the lock file %s: %m",
                         lock->lock_path);
}

static long read_owner(int fd)
{
    char text[PID_TEXT_BYTES] = "";
    if (pread(fd, text, sizeof text - 1, 0) <= 0) {
        return 0;
    }
    return strtol(text, NULL, 10);
}

static int refuse(const struct dsq_owner_lock *lock, struct dsq_error *error)
{
    long owner = read_owner(lock->fd);
    if (owner == (long)getpid()) {
        return dsq_error_set(error, DSQ_ERR_LOCKED, "%s is already open in this process (%ld)",
                             lock->path, owner);
    }
    if (owner > 0) {
        return dsq_error_set(error, DSQ_ERR_LOCKED, "%s is in use by process %ld", lock->path,
                             owner);
    }
    return dsq_error_set(error, DSQ_ERR_LOCKED, "%s is in use by another handle or process",
                         lock->path);
}

static int try_flock(const struct dsq_owner_lock *lock, struct dsq_error *error)
{
    int operation = (lock->shared ? LOCK_SH : LOCK_EX) | LOCK_NB;
    int result;
    do {
        result = flock(lock->fd, operation);
    } while (result != 0 && errno == EINTR);
    if (result == 0) {
        return DSQ_OK;
    }
    if (errno == EWOULDBLOCK) {
        return refuse(lock, error);
    }
    return dsq_error_set(error, DSQ_ERR_IO, "cannot lock %s: %m", lock->lock_path);
}

/* Whether the path still names the file that is locked, or its last owner has removed it. */
static bool is_current(const struct dsq_owner_lock *lock)
{
    struct stat by_fd;
    struct stat by_path;
    return fstat(lock->fd, &by_fd) == 0 && lstat(lock->lock_path, &by_path) == 0 &&
           by_fd.st_dev == by_path.st_dev && by_fd.st_ino == by_path.st_ino;
}

static void close_fd(struct dsq_owner_lock *lock)
{
    if (lock->fd >= 0) {
        close(lock->fd);
        lock->fd = -1;
    }
}

static int take(struct dsq_owner_lock *lock, struct dsq_error *error)
{
    for (;;) {
        int status = open_lock_file(lock, error);
        if (status != DSQ_OK || lock->fd < 0) {
            return status;
        }
        status = try_flock(lock, error);
        if (status != DSQ_OK || is_current(lock)) {
            return status;
        }
        close_fd(lock);
    }
}

/* A reader empties the file: what a killed writer left there would be named in its stead. */
static void write_owner(const struct dsq_owner_lock *lock)
{
    char text[PID_TEXT_BYTES];
    int length = lock->shared ? 0 : snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(lock->fd, 0) != 0 || pwrite(lock->fd, text, (size_t)length, 0) != length) {
        return; /* only a message suffers */
    }
}

int dsq_owner_lock_acquire(const char *path, bool shared, struct dsq_owner_lock **lock,
                           struct dsq_error *error)
{
    *lock = NULL;
    struct dsq_owner_lock *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return out_of_memory(error, path);
    }
    made->fd = -1;
    made->shared = shared;
    int status = resolve(path, &made->path, error);
    if (status == DSQ_OK && asprintf(&made->lock_path, "%s-lock", made->path) < 0) {
        made->lock_path = NULL;
        status = out_of_memory(error, path);
    }
    if (status == DSQ_OK) {
        status = take(made, error);
    }
    if (status != DSQ_OK) {
        dsq_owner_lock_abandon(made);
        return status;
    }
    if (made->fd >= 0) {
        write_owner(made);
    }
    *lock = made;
    return DSQ_OK;
}

const char *dsq_owner_lock_path(const struct dsq_owner_lock *lock)
{
    return lock->path;
}

void dsq_owner_lock_release(struct dsq_owner_lock *lock)
{
    /* A reader that can become the only owner is the last one and removes the file. */
    if (lock != NULL && lock->fd >= 0 && flock(lock->fd, LOCK_EX | LOCK_NB) == 0) {
        if (is_current(lock)) {
            unlink(lock->lock_path);
        }
        /* Not left to close: a child of fork may share the open file. */
        flock(lock->fd, LOCK_UN);
    }
    dsq_owner_lock_abandon(lock);
}

void dsq_owner_lock_abandon(struct dsq_owner_lock *lock)
{
    if (lock == NULL) {
        return;
    }
    close_fd(lock);
    free(lock->lock_path);
    free(lock->path);
    free(lock);
}
