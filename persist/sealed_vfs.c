#include "persist/sealed_vfs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "persist/sealed_internal.h"
#include "persist/sqlite_store_internal.h"

/* ---- what all sealed files have in common ---- */

int dsq_sealed_read(struct sealed_file *file, void *bytes, int size, int64_t offset)
{
    return file->real->pMethods->xRead(file->real, bytes, size, offset);
}

int dsq_sealed_write(struct sealed_file *file, const void *bytes, int size, int64_t offset)
{
    return file->real->pMethods->xWrite(file->real, bytes, size, offset);
}

int dsq_sealed_close(sqlite3_file *base)
{
    struct sealed_file *file = sealed_file_of(base);
    int result = file->real->pMethods->xClose(file->real);
    if (file->page != NULL) {
        explicit_bzero(file->page, PAGE_BYTES);
    }
    free(file->page);
    free(file->gathered);
    return result;
}

int dsq_sealed_lock(sqlite3_file *base, int level)
{
    struct sealed_file *file = sealed_file_of(base);
    return file->real->pMethods->xLock(file->real, level);
}

int dsq_sealed_unlock(sqlite3_file *base, int level)
{
    struct sealed_file *file = sealed_file_of(base);
    return file->real->pMethods->xUnlock(file->real, level);
}

int dsq_sealed_check_reserved_lock(sqlite3_file *base, int *reserved)
{
    struct sealed_file *file = sealed_file_of(base);
    return file->real->pMethods->xCheckReservedLock(file->real, reserved);
}

/*
 * No page is written in several steps that could be one, nor is a page read in parts: what promises
 * about the size of a write there are no longer holds.  A write changes nothing beside itself, as
 * SQLite expects of every file unless it is told otherwise.
 */
int dsq_sealed_device_characteristics(sqlite3_file *base)
{
    struct sealed_file *file = sealed_file_of(base);
    int kept = SQLITE_IOCAP_SEQUENTIAL | SQLITE_IOCAP_UNDELETABLE_WHEN_OPEN;
    return (file->real->pMethods->xDeviceCharacteristics(file->real) & kept) |
           SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

int dsq_sealed_sector_size(sqlite3_file *base)
{
    struct sealed_file *file = sealed_file_of(base);
    return file->real->pMethods->xSectorSize(file->real);
}

/* ---- main and temporary files: pages ---- */

static struct dsq_seal_place place_of(const struct sealed_file *file, int64_t index)
{
    return (struct dsq_seal_place){.kind = file->kind, .number = (uint64_t)index + 1};
}

/* Reads and opens a page, index counted from 0; what SQLite left free at its end reads as zeros. */
static int read_sealed(struct sealed_file *file, int64_t index, unsigned char *page)
{
    struct dsq_seal_place place = place_of(file, index);
    int result = dsq_sealed_read(file, page, PAGE_BYTES, file->first + index * PAGE_BYTES);
    if (result != SQLITE_OK) {
        return result;
    }
    if (!file->vfs->codec->open(file->vfs->codec, &place, page, CONTENT_BYTES,
                                page + CONTENT_BYTES)) {
        return dsq_sealed_fail(file, &place);
    }
    memset(page + CONTENT_BYTES, 0, DSQ_SEAL_BYTES);
    return SQLITE_OK;
}

/* read_sealed through the cache, within a transaction. */
static int read_page(struct sealed_file *file, int64_t index, unsigned char *page)
{
    bool is_main = file->kind == DSQ_SEAL_PAGE;
    if (is_main && dsq_sealed_cache_get(file->vfs->cache, index, page)) {
        return SQLITE_OK;
    }
    int result = read_sealed(file, index, page);
    if (result == SQLITE_OK && is_main) {
        dsq_sealed_cache_put(file->vfs->cache, index, page);
    }
    return result;
}

static int read_part(struct sealed_file *file, unsigned char *bytes, int size, int64_t offset)
{
    int result = SQLITE_OK;
    while (size > 0 && result == SQLITE_OK) {
        int64_t within = offset % PAGE_BYTES;
        int part = PAGE_BYTES - (int)within < size ? PAGE_BYTES - (int)within : size;
        result = read_page(file, offset / PAGE_BYTES, file->page);
        if (result == SQLITE_OK) {
            memcpy(bytes, file->page + within, (size_t)part);
            bytes += part;
            size -= part;
            offset += part;
        }
    }
    memset(bytes, 0, (size_t)size);
    return result;
}

/*
 * SQLite looks at the first 100 bytes of a file before it knows whether its page 1 lies in the log: a
 * page 1 that a loss of power tore need not open then.  All that it takes from there is what is the
 * same in all of our files.  Nor is it in a transaction then, so that the page may be overwritten
 * meanwhile: it is not one for the cache.
 */
static int read_start(struct sealed_file *file, unsigned char *bytes, int size)
{
    static const unsigned char start[] = {'S',
                                          'Q',
                                          'L',
                                          'i',
                                          't',
                                          'e',
                                          ' ',
                                          'f',
                                          'o',
                                          'r',
                                          'm',
                                          'a',
                                          't',
                                          ' ',
                                          '3',
                                          0,
                                          PAGE_BYTES >> 8,
                                          PAGE_BYTES & 0xff,
                                          2,
                                          2,
                                          DSQ_SEAL_BYTES,
                                          64,
                                          32,
                                          32};
    int result = read_sealed(file, 0, file->page);
    memset(bytes, 0, (size_t)size);
    if (result == SQLITE_OK) {
        memcpy(bytes, file->page, (size_t)size);
    } else if (result == SQLITE_IOERR_DATA) {
        memcpy(bytes, start, sizeof start);
        result = SQLITE_OK;
    }
    return result;
}

static int main_read(sqlite3_file *base, void *bytes, int size, sqlite3_int64 offset)
{
    struct sealed_file *file = sealed_file_of(base);
    if (size == PAGE_BYTES && offset % PAGE_BYTES == 0) {
        return read_page(file, offset / PAGE_BYTES, bytes);
    }
    if (offset == 0 && size == 100 && file->kind == DSQ_SEAL_PAGE) {
        return read_start(file, bytes, size);
    }
    return read_part(file, bytes, size, offset);
}

static int main_write(sqlite3_file *base, const void *bytes, int size, sqlite3_int64 offset)
{
    struct sealed_file *file = sealed_file_of(base);
    struct dsq_seal_place place = place_of(file, offset / PAGE_BYTES);
    if (size != PAGE_BYTES || offset % PAGE_BYTES != 0 ||
        !file->vfs->codec->seal(file->vfs->codec, &place, bytes, CONTENT_BYTES, file->page,
                                file->page + CONTENT_BYTES)) {
        return SQLITE_IOERR_WRITE;
    }
    int result = dsq_sealed_write(file, file->page, PAGE_BYTES, file->first + offset);
    if (file->kind == DSQ_SEAL_PAGE) {
        int64_t index = offset / PAGE_BYTES;
        dsq_sealed_cache_forget(file->vfs->cache, index, index + 1);
    }
    return result;
}

static int main_sync(sqlite3_file *base, int flags)
{
    struct sealed_file *file = sealed_file_of(base);
    return file->real->pMethods->xSync(file->real, flags);
}

static int main_size(sqlite3_file *base, sqlite3_int64 *size)
{
    struct sealed_file *file = sealed_file_of(base);
    int result = file->real->pMethods->xFileSize(file->real, size);
    *size = *size > file->first ? *size - file->first : 0;
    return result;
}

/* SQLite truncates after each whole checkpoint, mostly to the size that the file has. */
static int main_truncate(sqlite3_file *base, sqlite3_int64 size)
{
    struct sealed_file *file = sealed_file_of(base);
    sqlite3_int64 end;
    int result = main_size(base, &end);
    if (result != SQLITE_OK) {
        return result;
    }
    if (file->kind == DSQ_SEAL_PAGE) {
        dsq_sealed_cache_forget(file->vfs->cache, size / PAGE_BYTES, end / PAGE_BYTES + 1);
    }
    return file->real->pMethods->xTruncate(file->real, file->first + size);
}

/* What says how long a file is to become counts without the superblock. */
static int main_control(sqlite3_file *base, int operation, void *argument)
{
    struct sealed_file *file = sealed_file_of(base);
    if (operation == SQLITE_FCNTL_SIZE_HINT) {
        sqlite3_int64 size = *(sqlite3_int64 *)argument + file->first;
        return file->real->pMethods->xFileControl(file->real, operation, &size);
    }
    if (operation == SQLITE_FCNTL_MMAP_SIZE) {
        return SQLITE_NOTFOUND;
    }
    return file->real->pMethods->xFileControl(file->real, operation, argument);
}

static const sqlite3_io_methods main_methods = {
    .iVersion = 2,
    .xClose = dsq_sealed_close,
    .xRead = main_read,
    .xWrite = main_write,
    .xTruncate = main_truncate,
    .xSync = main_sync,
    .xFileSize = main_size,
    .xLock = dsq_sealed_lock,
    .xUnlock = dsq_sealed_unlock,
    .xCheckReservedLock = dsq_sealed_check_reserved_lock,
    .xFileControl = main_control,
    .xSectorSize = dsq_sealed_sector_size,
    .xDeviceCharacteristics = dsq_sealed_device_characteristics,
    .xShmMap = dsq_sealed_shm_map,
    .xShmLock = dsq_sealed_shm_lock,
    .xShmBarrier = dsq_sealed_shm_barrier,
    .xShmUnmap = dsq_sealed_shm_unmap,
};

/* ---- the VFS ---- */

static struct dsq_sealed_vfs *vfs_of(sqlite3_vfs *vfs)
{
    return (struct dsq_sealed_vfs *)vfs;
}

static int open_real(struct dsq_sealed_vfs *vfs, const char *name, struct sealed_file *file,
                     int flags, int *out_flags)
{
    file->vfs = vfs;
    file->real = (sqlite3_file *)(void *)(file + 1);
    file->page = malloc(PAGE_BYTES);
    if (file->page == NULL) {
        return SQLITE_NOMEM;
    }
    int result = vfs->real->xOpen(vfs->real, name, file->real, flags, out_flags);
    if (result != SQLITE_OK) {
        free(file->page);
        file->page = NULL;
    }
    return result;
}

static int open_file(sqlite3_vfs *base, const char *name, sqlite3_file *out, int flags,
                     int *out_flags)
{
    struct dsq_sealed_vfs *vfs = vfs_of(base);
    struct sealed_file *file = sealed_file_of(out);
    memset(out, 0, (size_t)base->szOsFile);
    if ((flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL | SQLITE_OPEN_TEMP_DB)) == 0) {
        out->pMethods = &dsq_sealed_memory_methods;
        return SQLITE_OK;
    }
    int result = open_real(vfs, name, file, flags, out_flags);
    if (result != SQLITE_OK) {
        return result;
    }
    if ((flags & SQLITE_OPEN_WAL) != 0) {
        out->pMethods = &dsq_sealed_wal_methods;
    } else {
        bool is_main = (flags & SQLITE_OPEN_MAIN_DB) != 0;
        out->pMethods = &main_methods;
        file->kind = is_main ? DSQ_SEAL_PAGE : DSQ_SEAL_TEMPORARY;
        file->first = is_main ? DSQ_SEALED_HEADER_BYTES : 0;
    }
    return SQLITE_OK;
}

static bool ends_with(const char *name, const char *suffix)
{
    size_t length = strlen(name);
    return length >= strlen(suffix) && strcmp(name + length - strlen(suffix), suffix) == 0;
}

static int delete_file(sqlite3_vfs *base, const char *name, int sync_directory)
{
    sqlite3_vfs *real = vfs_of(base)->real;
    return ends_with(name, "-journal") ? SQLITE_OK : real->xDelete(real, name, sync_directory);
}

/* A rollback journal beside a sealed file is not ours: it would be played back into it. */
static int access_file(sqlite3_vfs *base, const char *name, int flags, int *result)
{
    sqlite3_vfs *real = vfs_of(base)->real;
    if (ends_with(name, "-journal")) {
        *result = 0;
        return SQLITE_OK;
    }
    return real->xAccess(real, name, flags, result);
}

static int full_pathname(sqlite3_vfs *base, const char *name, int size, char *out)
{
    sqlite3_vfs *real = vfs_of(base)->real;
    return real->xFullPathname(real, name, size, out);
}

static int randomness(sqlite3_vfs *base, int size, char *out)
{
    sqlite3_vfs *real = vfs_of(base)->real;
    return real->xRandomness(real, size, out);
}

static int sleep_for(sqlite3_vfs *base, int microseconds)
{
    sqlite3_vfs *real = vfs_of(base)->real;
    return real->xSleep(real, microseconds);
}

static int current_time(sqlite3_vfs *base, double *now)
{
    sqlite3_vfs *real = vfs_of(base)->real;
    return real->xCurrentTime(real, now);
}

static int get_last_error(sqlite3_vfs *base, int size, char *out)
{
    sqlite3_vfs *real = vfs_of(base)->real;
    return real->xGetLastError(real, size, out);
}

static sqlite3_vfs describe(const struct dsq_sealed_vfs *vfs)
{
    return (sqlite3_vfs){
        .iVersion = 1,
        .szOsFile = (int)sizeof(struct sealed_file) + vfs->real->szOsFile,
        .mxPathname = vfs->real->mxPathname,
        .zName = vfs->name,
        .xOpen = open_file,
        .xDelete = delete_file,
        .xAccess = access_file,
        .xFullPathname = full_pathname,
        .xRandomness = randomness,
        .xSleep = sleep_for,
        .xCurrentTime = current_time,
        .xGetLastError = get_last_error,
    };
}

int dsq_sealed_vfs_new(struct dsq_codec *codec, struct dsq_sealed_vfs **vfs,
                       struct dsq_error *error)
{
    static _Atomic uint64_t made_before;
    struct dsq_sealed_vfs *made = calloc(1, sizeof *made);
    struct dsq_sealed_cache *cache = dsq_sealed_cache_new();
    if (made == NULL || cache == NULL || dsq_sealed_shm_init(&made->shm) != DSQ_OK) {
        dsq_sealed_cache_free(cache);
        free(made);
        return dsq_error_set(error, DSQ_ERR_NOMEM, "out of memory for a file system");
    }
    made->codec = codec;
    made->cache = cache;
    made->real = sqlite3_vfs_find(NULL);
    snprintf(made->name, sizeof made->name, "dsq-sealed-%llu",
             (unsigned long long)dsq_add_relaxed(&made_before, 1));
    made->base = describe(made);
    if (made->real == NULL || sqlite3_vfs_register(&made->base, 0) != SQLITE_OK) {
        dsq_sealed_cache_free(cache);
        dsq_sealed_shm_fini(&made->shm);
        free(made);
        return dsq_error_set(error, DSQ_ERR_NOMEM, "SQLite takes no further file system");
    }
    *vfs = made;
    return DSQ_OK;
}

void dsq_sealed_vfs_free(struct dsq_sealed_vfs *vfs)
{
    if (vfs != NULL) {
        sqlite3_vfs_unregister(&vfs->base);
        dsq_sealed_cache_free(vfs->cache);
        dsq_sealed_shm_fini(&vfs->shm);
        free(vfs);
    }
}

const char *dsq_sealed_vfs_name(const struct dsq_sealed_vfs *vfs)
{
    return vfs != NULL ? vfs->name : NULL;
}

int dsq_sealed_failure(struct sqlite3 *db, const char *path, struct dsq_error *error)
{
    static const char *const kinds[] = {
        [DSQ_SEAL_PAGE] = "page",
        [DSQ_SEAL_WAL_HEADER] = "the header of the write-ahead log",
        [DSQ_SEAL_FRAME_HEADER] = "the write-ahead log's frame",
        [DSQ_SEAL_FRAME_PAGE] = "the page in the write-ahead log's frame",
        [DSQ_SEAL_TEMPORARY] = "a temporary file's page",
    };
    sqlite3_vfs *base = NULL;
    if (db == NULL ||
        sqlite3_file_control(db, "main", SQLITE_FCNTL_VFS_POINTER, (void *)&base) != SQLITE_OK ||
        base->xOpen != open_file) {
        return dsq_error_set(error, DSQ_ERR_CORRUPT, "a page is damaged: %s", path);
    }
    const struct dsq_sealed_vfs *vfs = vfs_of(base);
    uint64_t kind = dsq_load_relaxed(&vfs->failed_kind);
    if (kind == 0 || kind >= sizeof kinds / sizeof kinds[0]) {
        kind = DSQ_SEAL_PAGE;
    }
    return dsq_error_set(
        error, DSQ_ERR_CORRUPT, "%s %llu does not open: damaged, changed or of another file: %s",
        kinds[kind], (unsigned long long)dsq_load_relaxed(&vfs->failed_number), path);
}

/* What is read while a checkpoint writes may be neither the old page nor the new one: look again. */
#define LOOKS 5

int dsq_sealed_check_page(struct sqlite3 *db, int64_t index)
{
    struct sealed_file *file = NULL;
    int result = sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, (void *)&file);
    for (int look = 0; look < LOOKS && result == SQLITE_OK; look++) {
        struct dsq_seal_place place = place_of(file, index);
        unsigned char page[PAGE_BYTES];
        result = dsq_sealed_read(file, page, PAGE_BYTES, file->first + index * PAGE_BYTES);
        if (result == SQLITE_OK && !dsq_bytes_are_zeros(page, PAGE_BYTES) &&
            !file->vfs->codec->open(file->vfs->codec, &place, page, CONTENT_BYTES,
                                    page + CONTENT_BYTES)) {
            if (look == LOOKS - 1) {
                return dsq_sealed_fail(file, &place);
            }
            continue;
        }
        explicit_bzero(page, sizeof page);
        break;
    }
    return result == SQLITE_IOERR_SHORT_READ ? SQLITE_DONE : result;
}

/* ---- the superblock's copies ---- */

struct plain_file {
    sqlite3_file *file;
    void *name; /* of char or of const char, as the version of SQLite has it */
};

static void close_plainly(struct plain_file *plain)
{
    if (plain->file != NULL && plain->file->pMethods != NULL) {
        plain->file->pMethods->xClose(plain->file);
    }
    free(plain->file);
    sqlite3_free_filename(plain->name);
}

static int open_plainly(const char *path, int flags, struct plain_file *plain)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    plain->name = (void *)(uintptr_t)sqlite3_create_filename(path, "", "", 0, NULL);
    plain->file = calloc(1, (size_t)vfs->szOsFile);
    if (plain->name == NULL || plain->file == NULL) {
        return SQLITE_NOMEM;
    }
    return vfs->xOpen(vfs, plain->name, plain->file, flags | SQLITE_OPEN_MAIN_DB, NULL);
}

int dsq_sealed_header_read(const char *path, unsigned char *header, struct dsq_error *error)
{
    struct plain_file plain;
    int result = open_plainly(path, SQLITE_OPEN_READONLY, &plain);
    if (result == SQLITE_OK) {
        result = plain.file->pMethods->xRead(plain.file, header, DSQ_SEALED_HEADER_BYTES, 0);
        result = result == SQLITE_IOERR_SHORT_READ ? SQLITE_OK : result;
    }
    close_plainly(&plain);
    return result == SQLITE_OK ? DSQ_OK
                               : dsq_sqlite_error(NULL, result, "read the superblock", path, error);
}

static int write_copy(sqlite3_file *file, const unsigned char *superblock, int which)
{
    /* The first time, the rest of the header has to be there, too. */
    sqlite3_int64 size = 0;
    int result = file->pMethods->xFileSize(file, &size);
    if (result == SQLITE_OK && size < DSQ_SEALED_HEADER_BYTES) {
        static const unsigned char zeros[DSQ_SEALED_HEADER_BYTES];
        result = file->pMethods->xWrite(file, zeros, DSQ_SEALED_HEADER_BYTES - (int)size, size);
    }
    if (result == SQLITE_OK) {
        result = file->pMethods->xWrite(file, superblock, DSQ_SUPERBLOCK_BYTES,
                                        (sqlite3_int64)which * DSQ_SUPERBLOCK_STRIDE);
    }
    return result == SQLITE_OK ? file->pMethods->xSync(file, SQLITE_SYNC_NORMAL) : result;
}

int dsq_sealed_header_write(const char *path, const unsigned char *superblock, int *newest,
                            struct dsq_error *error)
{
    struct plain_file plain;
    int result = open_plainly(path, SQLITE_OPEN_READWRITE, &plain);
    for (int i = 0; i < DSQ_SUPERBLOCK_COPIES && result == SQLITE_OK; i++) {
        result = write_copy(plain.file, superblock, 1 - *newest);
        *newest = result == SQLITE_OK ? 1 - *newest : *newest;
    }
    close_plainly(&plain);
    return result == SQLITE_OK
               ? DSQ_OK
               : dsq_sqlite_error(NULL, result, "write the superblock", path, error);
}

int dsq_sealed_discard(const char *path, struct dsq_error *error)
{
    struct plain_file plain;
    int result = open_plainly(path, SQLITE_OPEN_READWRITE, &plain);
    if (result == SQLITE_OK) {
        result = plain.file->pMethods->xTruncate(plain.file, DSQ_SEALED_HEADER_BYTES);
    }
    close_plainly(&plain);
    return result == SQLITE_OK ? DSQ_OK
                               : dsq_sqlite_error(NULL, result, "create anew", path, error);
}
