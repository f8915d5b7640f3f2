/*
 * A slow disk for a program that knows nothing of it: with this library in LD_PRELOAD, every fsync
 * and fdatasync of the process sleeps for SLOW_SYNC_MS milliseconds before it does its work.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

#include "core/atomic.h"

static _Atomic unsigned long calls;

/* How many syncs have been slowed down: a benchmark checks that its disk was slow. */
unsigned long slow_sync_calls(void);
unsigned long slow_sync_calls(void)
{
    return dsq_load_relaxed(&calls); /* counts only: orders nothing */
}

static void wait_for_the_disk(void)
{
    const char *text = getenv("SLOW_SYNC_MS");
    long milliseconds = text == NULL ? 0 : strtol(text, NULL, 10);
    struct timespec left = {.tv_sec = milliseconds / 1000,
                            .tv_nsec = milliseconds % 1000 * 1000000};
    while (nanosleep(&left, &left) != 0) {
    }
    dsq_add_relaxed(&calls, 1);
}

static int sync_slowly(const char *name, int fd)
{
    int (*next)(int) = NULL;
    /* The way that POSIX gives from an object pointer to a function. */
    *(void **)&next = dlsym(RTLD_NEXT, name);
    wait_for_the_disk();
    return next(fd);
}

/* As <unistd.h> has them. */
int fsync(int fd);
int fdatasync(int fd);

int fsync(int fd)
{
    return sync_slowly("fsync", fd);
}

int fdatasync(int fd)
{
    return sync_slowly("fdatasync", fd);
}
