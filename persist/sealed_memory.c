/* Journals of a sealed store: never on disk, since nothing has to be rolled back after a crash. */
#include <stdlib.h>
#include <string.h>

#include "persist/sealed_internal.h"

static int read_part(sqlite3_file *base, void *bytes, int size, sqlite3_int64 offset)
{
    struct memory_file *file = (struct memory_file *)base;
    int64_t there = file->size > offset ? file->size - offset : 0;
    size_t part = (size_t)(there < size ? there : size);
    if (part != 0) {
        memcpy(bytes, file->bytes + offset, part);
    }
    memset((unsigned char *)bytes + part, 0, (size_t)size - part);
    return part == (size_t)size ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static bool reserve(struct memory_file *file, int64_t end)
{
    int64_t capacity = file->capacity != 0 ? file->capacity : PAGE_BYTES;
    if (end <= file->capacity) {
        return true;
    }
    while (capacity < end) {
        capacity *= 2;
    }
    unsigned char *bytes = realloc(file->bytes, (size_t)capacity);
    if (bytes == NULL) {
        return false;
    }
    memset(bytes + file->capacity, 0, (size_t)(capacity - file->capacity));
    file->bytes = bytes;
    file->capacity = capacity;
    return true;
}

static int write_part(sqlite3_file *base, const void *bytes, int size, sqlite3_int64 offset)
{
    struct memory_file *file = (struct memory_file *)base;
    if (!reserve(file, offset + size)) {
        return SQLITE_IOERR_NOMEM;
    }
    memcpy(file->bytes + offset, bytes, (size_t)size);
    if (file->size < offset + size) {
        file->size = offset + size;
    }
    return SQLITE_OK;
}

static int truncate_to(sqlite3_file *base, sqlite3_int64 size)
{
    struct memory_file *file = (struct memory_file *)base;
    if (size < file->size) {
        memset(file->bytes + size, 0, (size_t)(file->size - size));
        file->size = size;
    }
    return SQLITE_OK;
}

static int close_file(sqlite3_file *base)
{
    struct memory_file *file = (struct memory_file *)base;
    if (file->bytes != NULL) {
        explicit_bzero(file->bytes, (size_t)file->capacity);
    }
    free(file->bytes);
    file->bytes = NULL;
    return SQLITE_OK;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *size)
{
    *size = ((struct memory_file *)base)->size;
    return SQLITE_OK;
}

static int sync_file(sqlite3_file *base, int flags)
{
    (void)base;
    (void)flags;
    return SQLITE_OK;
}

static int lock_file(sqlite3_file *base, int level)
{
    (void)base;
    (void)level;
    return SQLITE_OK;
}

static int check_reserved_lock(sqlite3_file *base, int *reserved)
{
    (void)base;
    *reserved = 0;
    return SQLITE_OK;
}

static int file_control(sqlite3_file *base, int operation, void *argument)
{
    (void)base;
    (void)operation;
    (void)argument;
    return SQLITE_NOTFOUND;
}

static int zero(sqlite3_file *base)
{
    (void)base;
    return 0;
}

const sqlite3_io_methods dsq_sealed_memory_methods = {
    .iVersion = 1,
    .xClose = close_file,
    .xRead = read_part,
    .xWrite = write_part,
    .xTruncate = truncate_to,
    .xSync = sync_file,
    .xFileSize = file_size,
    .xLock = lock_file,
    .xUnlock = lock_file,
    .xCheckReservedLock = check_reserved_lock,
    .xFileControl = file_control,
    .xSectorSize = zero,
    .xDeviceCharacteristics = zero,
};
