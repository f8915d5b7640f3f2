#include "stress/fault_vfs.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

struct fault_handle {
    sqlite3_file base;
    bool logged;
    enum fault_file which;
    sqlite3_file *real; /* behind this struct, in the same allocation */
};

static sqlite3_vfs *real_vfs;
static sqlite3_vfs fault_vfs;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct fault_plan plan;
static bool planned;
static uint64_t failures;
static uint64_t seen[FAULT_CALLS];

static struct {
    atomic_bool active;
    char path[512];
    void *(*witness)(void *context);
    void *context;
    struct fault_log log;
} logging;

const char *fault_call_name(enum fault_call call)
{
    static const char *const names[FAULT_CALLS] = {
        [FAULT_OPEN] = "open",         [FAULT_READ] = "read",
        [FAULT_WRITE] = "write",       [FAULT_TRUNCATE] = "truncate",
        [FAULT_SYNC] = "sync",         [FAULT_SIZE] = "file size",
        [FAULT_LOCK] = "lock",         [FAULT_DELETE] = "delete",
        [FAULT_ACCESS] = "access",     [FAULT_SHM_MAP] = "shm map",
        [FAULT_SHM_LOCK] = "shm lock", [FAULT_ALLOCATION] = "allocation"};
    return names[call];
}

void fault_vfs_plan(const struct fault_plan *next)
{
    pthread_mutex_lock(&lock);
    plan = *next;
    planned = true;
    failures = 0;
    memset(seen, 0, sizeof seen);
    pthread_mutex_unlock(&lock);
}

uint64_t fault_vfs_heal(void)
{
    pthread_mutex_lock(&lock);
    planned = false;
    uint64_t count = failures;
    pthread_mutex_unlock(&lock);
    return count;
}

uint64_t fault_vfs_seen(enum fault_call call)
{
    pthread_mutex_lock(&lock);
    uint64_t count = seen[call];
    pthread_mutex_unlock(&lock);
    return count;
}

/* Counts a call; the code with which it has to fail, or SQLITE_OK.  *torn as planned. */
static int enter(enum fault_call call, bool *torn)
{
    int code = SQLITE_OK;
    pthread_mutex_lock(&lock);
    uint64_t number = ++seen[call];
    if (planned && plan.call == call && (plan.for_ever ? number >= plan.nth : number == plan.nth)) {
        code = plan.code;
        failures++;
        *torn = plan.torn;
    }
    pthread_mutex_unlock(&lock);
    return code;
}

static int enter_plainly(enum fault_call call)
{
    bool torn;
    return enter(call, &torn);
}

bool fault_vfs_fails(enum fault_call call)
{
    return enter_plainly(call) != SQLITE_OK;
}

void fault_log_start(const char *path, void *(*witness)(void *context), void *context)
{
    strncpy(logging.path, path, sizeof logging.path - 1);
    logging.witness = witness;
    logging.context = context;
    logging.log = (struct fault_log){NULL, 0, 0};
    atomic_store(&logging.active, true);
}

size_t fault_log_count(void)
{
    pthread_mutex_lock(&lock);
    size_t count = logging.log.count;
    pthread_mutex_unlock(&lock);
    return count;
}

void fault_log_stop(struct fault_log *log)
{
    atomic_store(&logging.active, false);
    pthread_mutex_lock(&lock);
    *log = logging.log;
    logging.log = (struct fault_log){NULL, 0, 0};
    pthread_mutex_unlock(&lock);
}

void fault_log_fini(struct fault_log *log)
{
    for (size_t i = 0; i < log->count; i++) {
        free(log->events[i].data);
        free(log->events[i].witness);
    }
    free(log->events);
}

static void note(const struct fault_handle *handle, struct fault_event event, const void *data)
{
    if (!handle->logged || !atomic_load(&logging.active)) {
        return;
    }
    event.file = handle->which;
    event.witness = logging.witness != NULL ? logging.witness(logging.context) : NULL;
    if (data != NULL) {
        event.data = malloc(event.size);
        memcpy(event.data, data, event.size);
    }
    pthread_mutex_lock(&lock);
    if (logging.log.count == logging.log.capacity) {
        logging.log.capacity = logging.log.capacity != 0 ? 2 * logging.log.capacity : 1024;
        logging.log.events =
            realloc(logging.log.events, logging.log.capacity * sizeof *logging.log.events);
    }
    logging.log.events[logging.log.count++] = event;
    pthread_mutex_unlock(&lock);
}

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct fault_handle *)file)->real;
}

static int f_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int f_read(sqlite3_file *file, void *data, int size, sqlite3_int64 offset)
{
    int code = enter_plainly(FAULT_READ);
    return code != SQLITE_OK ? code
                             : real_of(file)->pMethods->xRead(real_of(file), data, size, offset);
}

static int f_write(sqlite3_file *file, const void *data, int size, sqlite3_int64 offset)
{
    bool torn = false;
    int code = enter(FAULT_WRITE, &torn);
    int written = code == SQLITE_OK ? size : torn ? size / 2 : 0;
    if (written > 0) {
        struct fault_event event = {
            .kind = FAULT_EVENT_WRITE, .offset = (uint64_t)offset, .size = (size_t)written};
        note((struct fault_handle *)file, event, data);
        int result = real_of(file)->pMethods->xWrite(real_of(file), data, written, offset);
        code = code == SQLITE_OK ? result : code;
    }
    return code;
}

static int f_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    int code = enter_plainly(FAULT_TRUNCATE);
    if (code == SQLITE_OK) {
        struct fault_event event = {.kind = FAULT_EVENT_TRUNCATE, .offset = (uint64_t)size};
        note((struct fault_handle *)file, event, NULL);
        code = real_of(file)->pMethods->xTruncate(real_of(file), size);
    }
    return code;
}

static int f_sync(sqlite3_file *file, int flags)
{
    int code = enter_plainly(FAULT_SYNC);
    if (code == SQLITE_OK) {
        code = real_of(file)->pMethods->xSync(real_of(file), flags);
    }
    if (code == SQLITE_OK) {
        note((struct fault_handle *)file, (struct fault_event){.kind = FAULT_EVENT_SYNC}, NULL);
    }
    return code;
}

static int f_size(sqlite3_file *file, sqlite3_int64 *size)
{
    int code = enter_plainly(FAULT_SIZE);
    return code != SQLITE_OK ? code : real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int f_lock(sqlite3_file *file, int level)
{
    int code = enter_plainly(FAULT_LOCK);
    return code != SQLITE_OK ? code : real_of(file)->pMethods->xLock(real_of(file), level);
}

static int f_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int f_check_reserved_lock(sqlite3_file *file, int *held)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), held);
}

static int f_file_control(sqlite3_file *file, int operation, void *argument)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), operation, argument);
}

static int f_sector_size(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int f_device_characteristics(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int f_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **map)
{
    int code = enter_plainly(FAULT_SHM_MAP);
    return code != SQLITE_OK
               ? code
               : real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, map);
}

static int f_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    /* A lock cannot fail to be given back. */
    int code = (flags & SQLITE_SHM_UNLOCK) != 0 ? SQLITE_OK : enter_plainly(FAULT_SHM_LOCK);
    return code != SQLITE_OK
               ? code
               : real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
}

static void f_shm_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int f_shm_unmap(sqlite3_file *file, int delete)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), delete);
}

static const sqlite3_io_methods fault_methods = {
    .iVersion = 2,
    .xClose = f_close,
    .xRead = f_read,
    .xWrite = f_write,
    .xTruncate = f_truncate,
    .xSync = f_sync,
    .xFileSize = f_size,
    .xLock = f_lock,
    .xUnlock = f_unlock,
    .xCheckReservedLock = f_check_reserved_lock,
    .xFileControl = f_file_control,
    .xSectorSize = f_sector_size,
    .xDeviceCharacteristics = f_device_characteristics,
    .xShmMap = f_shm_map,
    .xShmLock = f_shm_lock,
    .xShmBarrier = f_shm_barrier,
    .xShmUnmap = f_shm_unmap,
};

/* Whether a path is of the database that is logged, and as what. */
static bool is_logged(const char *name, enum fault_file *which)
{
    size_t length = strlen(logging.path);
    if (name == NULL || !atomic_load(&logging.active) || strncmp(name, logging.path, length) != 0) {
        return false;
    }
    *which = strcmp(name + length, "-wal") == 0 ? FAULT_WAL : FAULT_MAIN;
    return name[length] == '\0' || *which == FAULT_WAL;
}

static int f_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                  int *flags_given)
{
    struct fault_handle *handle = (struct fault_handle *)file;
    (void)vfs;
    *handle = (struct fault_handle){.real = (sqlite3_file *)(handle + 1)};
    int code = enter_plainly(FAULT_OPEN);
    if (code == SQLITE_OK) {
        code = real_vfs->xOpen(real_vfs, name, handle->real, flags, flags_given);
    }
    if (code == SQLITE_OK) {
        handle->logged = is_logged(name, &handle->which);
        handle->base.pMethods = &fault_methods;
    }
    return code;
}

static int f_delete(sqlite3_vfs *vfs, const char *name, int sync_directory)
{
    (void)vfs;
    int code = enter_plainly(FAULT_DELETE);
    if (code == SQLITE_OK) {
        struct fault_handle gone = {.logged = false};
        gone.logged = is_logged(name, &gone.which);
        /* As good as emptied: an absent WAL says what an empty one says. */
        note(&gone, (struct fault_event){.kind = FAULT_EVENT_TRUNCATE}, NULL);
        code = real_vfs->xDelete(real_vfs, name, sync_directory);
    }
    return code;
}

static int f_access(sqlite3_vfs *vfs, const char *name, int flags, int *answer)
{
    (void)vfs;
    int code = enter_plainly(FAULT_ACCESS);
    return code != SQLITE_OK ? code : real_vfs->xAccess(real_vfs, name, flags, answer);
}

bool fault_vfs_install(void)
{
    real_vfs = sqlite3_vfs_find(NULL);
    if (real_vfs == NULL) {
        return false;
    }
    fault_vfs = *real_vfs;
    fault_vfs.pNext = NULL;
    fault_vfs.zName = "fault";
    fault_vfs.szOsFile = (int)sizeof(struct fault_handle) + real_vfs->szOsFile;
    fault_vfs.xOpen = f_open;
    fault_vfs.xDelete = f_delete;
    fault_vfs.xAccess = f_access;
    return sqlite3_vfs_register(&fault_vfs, 1) == SQLITE_OK;
}
