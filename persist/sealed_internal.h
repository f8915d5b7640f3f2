/*
 * Shared by the parts of the sealed VFS: sealed_vfs.c, sealed_wal.c, sealed_shm.c, sealed_cache.c,
 * sealed_memory.c.
 */
#ifndef DSQ_PERSIST_SEALED_INTERNAL_H
#define DSQ_PERSIST_SEALED_INTERNAL_H

#include <pthread.h>

#include <sqlite3.h>

#include "core/atomic.h"
#include "core/bytes.h"
#include "persist/sealed_vfs.h"

#define PAGE_BYTES DSQ_SEALED_PAGE_BYTES
#define CONTENT_BYTES (PAGE_BYTES - DSQ_SEAL_BYTES)

/* The wal-index: as SQLite asks for it, and its locks. */
#define SHM_REGION_BYTES 32768
#define SHM_REGIONS_MAX 1024
#define SHM_LOCK_RECOVER 2

struct sealed_shm {
    pthread_mutex_t mutex; /* guards all but the regions' contents, which SQLite's locks guard */
    unsigned char *regions[SHM_REGIONS_MAX];
    int shared[SQLITE_SHM_NLOCK];
    bool exclusive[SQLITE_SHM_NLOCK];
    unsigned users; /* files that have a region mapped */
};

struct dsq_sealed_cache;

struct dsq_sealed_vfs {
    sqlite3_vfs base;
    sqlite3_vfs *real;
    struct dsq_codec *codec;
    struct sealed_shm shm;
    struct dsq_sealed_cache *cache; /* of the main file */
    /* The salts of the log's header.  Set before any frame of that generation is touched: relaxed. */
    _Atomic uint64_t wal_generation;
    /* The last piece that did not open: two words for an error's message, relaxed. */
    _Atomic uint64_t failed_kind;
    _Atomic uint64_t failed_number;
    char name[48];
};

/* Frames that are gathered before they are written: SQLite's own VFS takes less than 128 KiB. */
#define WAL_GATHER_BYTES 128960

struct sealed_file {
    sqlite3_file base;
    struct dsq_sealed_vfs *vfs;
    sqlite3_file *real;  /* behind this struct, in the same allocation */
    unsigned char *page; /* PAGE_BYTES, for what is not read or written in place */
    int64_t first;       /* where page 1 begins in the real file */
    enum dsq_seal_kind kind;
    /* Main file: its locks on the wal-index, as bits. */
    bool maps_shm;
    unsigned shm_shared;
    unsigned shm_exclusive;
    /* WAL: what is gathered, and what the frame that is being written is. */
    unsigned char *gathered;
    int64_t gathered_at; /* in the real file */
    int gathered_bytes;
    bool ends_transaction;
};

static inline struct sealed_file *sealed_file_of(sqlite3_file *file)
{
    return (struct sealed_file *)file;
}

/* Notes which piece did not open.  SQLITE_IOERR_DATA. */
static inline int dsq_sealed_fail(struct sealed_file *file, const struct dsq_seal_place *place)
{
    dsq_store_relaxed(&file->vfs->failed_kind, (uint64_t)place->kind);
    dsq_store_relaxed(&file->vfs->failed_number, place->number);
    return SQLITE_IOERR_DATA;
}

/* Reads a part of the real file; what is missing is zeros, and SQLITE_IOERR_SHORT_READ. */
int dsq_sealed_read(struct sealed_file *file, void *bytes, int size, int64_t offset);
int dsq_sealed_write(struct sealed_file *file, const void *bytes, int size, int64_t offset);

/* What all sealed files have in common. */
int dsq_sealed_close(sqlite3_file *base);
int dsq_sealed_lock(sqlite3_file *base, int level);
int dsq_sealed_unlock(sqlite3_file *base, int level);
int dsq_sealed_check_reserved_lock(sqlite3_file *base, int *reserved);
int dsq_sealed_device_characteristics(sqlite3_file *base);
int dsq_sealed_sector_size(sqlite3_file *base);

/* ---- sealed_wal.c ---- */
extern const sqlite3_io_methods dsq_sealed_wal_methods;

/* ---- sealed_shm.c ---- */
int dsq_sealed_shm_init(struct sealed_shm *shm);
void dsq_sealed_shm_fini(struct sealed_shm *shm);
/* Whether a connection is recovering the log. */
bool dsq_sealed_shm_recovers(struct sealed_shm *shm);
int dsq_sealed_shm_map(sqlite3_file *base, int region, int size, int extend,
                       void volatile **memory);
int dsq_sealed_shm_lock(sqlite3_file *base, int offset, int count, int flags);
void dsq_sealed_shm_barrier(sqlite3_file *base);
int dsq_sealed_shm_unmap(sqlite3_file *base, int delete);

/* ---- sealed_cache.c ---- */

/* Pages of the main file that are kept opened: 64 MiB. */
#define DSQ_SEALED_CACHE_PAGES 16384

struct dsq_sealed_cache *dsq_sealed_cache_new(void);

/* Wipes what is in it.  NULL is allowed. */
void dsq_sealed_cache_free(struct dsq_sealed_cache *cache);

/* Of the page at index, counted from 0.  Any thread. */
bool dsq_sealed_cache_get(struct dsq_sealed_cache *cache, int64_t index, unsigned char *bytes);
void dsq_sealed_cache_put(struct dsq_sealed_cache *cache, int64_t index,
                          const unsigned char *bytes);
/* Of the pages from first to before end, which may lie before first: none of them then. */
void dsq_sealed_cache_forget(struct dsq_sealed_cache *cache, int64_t first, int64_t end);

/* ---- sealed_memory.c ---- */

/* A file that lies in memory. */
struct memory_file {
    sqlite3_file base;
    unsigned char *bytes;
    int64_t size;
    int64_t capacity;
};

extern const sqlite3_io_methods dsq_sealed_memory_methods;

#endif
