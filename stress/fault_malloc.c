#include "stress/fault_malloc.h"

#include <stddef.h>

#include <sqlite3.h>

#include "stress/fault_vfs.h"

/* What the linker calls the functions themselves, and what it puts in their place. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

void *__wrap_malloc(size_t size)
{
    return fault_vfs_fails(FAULT_ALLOCATION) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fault_vfs_fails(FAULT_ALLOCATION) ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fault_vfs_fails(FAULT_ALLOCATION) ? NULL : __real_realloc(old, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fault_vfs_fails(FAULT_ALLOCATION) ? NULL : __real_aligned_alloc(alignment, size);
}

static sqlite3_mem_methods real_methods;

static void *sqlite_malloc(int size)
{
    return fault_vfs_fails(FAULT_ALLOCATION) ? NULL : real_methods.xMalloc(size);
}

static void *sqlite_realloc(void *old, int size)
{
    return fault_vfs_fails(FAULT_ALLOCATION) ? NULL : real_methods.xRealloc(old, size);
}

bool fault_malloc_install(void)
{
    sqlite3_mem_methods methods;
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_methods) != SQLITE_OK) {
        return false;
    }
    methods = real_methods;
    methods.xMalloc = sqlite_malloc;
    methods.xRealloc = sqlite_realloc;
    return sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) == SQLITE_OK;
}
