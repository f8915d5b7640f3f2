/*
 * The index of the WAL in the memory of the process that owns the file, with the locks that its
 * connections take on it.
 *
 * SQLite's own lies in a file beside the database, where other processes find it, and where it would
 * show which pages were written and a checksum of what was.
 */
#include <stdlib.h>
#include <string.h>

#include "persist/sealed_internal.h"

int dsq_sealed_shm_init(struct sealed_shm *shm)
{
    return pthread_mutex_init(&shm->mutex, NULL) == 0 ? DSQ_OK : DSQ_ERR_NOMEM;
}

static void free_regions(struct sealed_shm *shm)
{
    for (int i = 0; i < SHM_REGIONS_MAX && shm->regions[i] != NULL; i++) {
        free(shm->regions[i]);
        shm->regions[i] = NULL;
    }
}

void dsq_sealed_shm_fini(struct sealed_shm *shm)
{
    free_regions(shm);
    pthread_mutex_destroy(&shm->mutex);
}

bool dsq_sealed_shm_recovers(struct sealed_shm *shm)
{
    pthread_mutex_lock(&shm->mutex);
    bool recovers = shm->exclusive[SHM_LOCK_RECOVER];
    pthread_mutex_unlock(&shm->mutex);
    return recovers;
}

/* Makes the regions up to this one; SQLite asks for them in their order. */
static int make_regions(struct sealed_shm *shm, int region)
{
    for (int i = 0; i <= region; i++) {
        if (shm->regions[i] == NULL) {
            shm->regions[i] = calloc(1, SHM_REGION_BYTES);
            if (shm->regions[i] == NULL) {
                return SQLITE_IOERR_NOMEM;
            }
        }
    }
    return SQLITE_OK;
}

int dsq_sealed_shm_map(sqlite3_file *base, int region, int size, int extend, void volatile **memory)
{
    struct sealed_file *file = sealed_file_of(base);
    struct sealed_shm *shm = &file->vfs->shm;
    int result = SQLITE_OK;
    *memory = NULL;
    if (region >= SHM_REGIONS_MAX || size != SHM_REGION_BYTES) {
        return SQLITE_IOERR_SHMSIZE;
    }
    pthread_mutex_lock(&shm->mutex);
    if (!file->maps_shm) {
        file->maps_shm = true;
        shm->users++;
    }
    if (extend) {
        result = make_regions(shm, region);
    }
    *memory = shm->regions[region];
    pthread_mutex_unlock(&shm->mutex);
    return result;
}

static int lock_shared(struct sealed_shm *shm, struct sealed_file *file, int offset)
{
    unsigned bit = 1U << offset;
    if ((file->shm_shared & bit) != 0) {
        return SQLITE_OK;
    }
    if (shm->exclusive[offset]) {
        return SQLITE_BUSY;
    }
    shm->shared[offset]++;
    file->shm_shared |= bit;
    return SQLITE_OK;
}

static int lock_exclusive(struct sealed_shm *shm, struct sealed_file *file, int offset, int count)
{
    for (int i = offset; i < offset + count; i++) {
        int mine = (file->shm_shared & (1U << i)) != 0;
        if (shm->exclusive[i] || shm->shared[i] > mine) {
            return SQLITE_BUSY;
        }
    }
    for (int i = offset; i < offset + count; i++) {
        shm->exclusive[i] = true;
        file->shm_exclusive |= 1U << i;
    }
    return SQLITE_OK;
}

static void unlock(struct sealed_shm *shm, struct sealed_file *file, int offset, int count)
{
    for (int i = offset; i < offset + count; i++) {
        unsigned bit = 1U << i;
        if ((file->shm_exclusive & bit) != 0) {
            shm->exclusive[i] = false;
        }
        if ((file->shm_shared & bit) != 0) {
            shm->shared[i]--;
        }
        file->shm_exclusive &= ~bit;
        file->shm_shared &= ~bit;
    }
}

int dsq_sealed_shm_lock(sqlite3_file *base, int offset, int count, int flags)
{
    struct sealed_file *file = sealed_file_of(base);
    struct sealed_shm *shm = &file->vfs->shm;
    int result = SQLITE_OK;
    pthread_mutex_lock(&shm->mutex);
    if ((flags & SQLITE_SHM_UNLOCK) != 0) {
        unlock(shm, file, offset, count);
    } else if ((flags & SQLITE_SHM_SHARED) != 0) {
        result = lock_shared(shm, file, offset);
    } else {
        result = lock_exclusive(shm, file, offset, count);
    }
    pthread_mutex_unlock(&shm->mutex);
    return result;
}

void dsq_sealed_shm_barrier(sqlite3_file *base)
{
    struct sealed_shm *shm = &sealed_file_of(base)->vfs->shm;
    /* A lock and its release order what comes before and after, for the sanitizers, too. */
    pthread_mutex_lock(&shm->mutex);
    pthread_mutex_unlock(&shm->mutex);
}

int dsq_sealed_shm_unmap(sqlite3_file *base, int delete)
{
    struct sealed_file *file = sealed_file_of(base);
    struct sealed_shm *shm = &file->vfs->shm;
    (void)delete;
    pthread_mutex_lock(&shm->mutex);
    unlock(shm, file, 0, SQLITE_SHM_NLOCK);
    if (file->maps_shm) {
        file->maps_shm = false;
        /* As with a file: the last to go takes it along, and the next one recovers the log. */
        if (--shm->users == 0) {
            free_regions(shm);
        }
    }
    pthread_mutex_unlock(&shm->mutex);
    return SQLITE_OK;
}
