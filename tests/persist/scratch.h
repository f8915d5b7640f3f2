/*
 * For the tests of files: a directory of its own for each test, and children to do in another
 * process what this one cannot do.
 */
#ifndef DSQ_TESTS_PERSIST_SCRATCH_H
#define DSQ_TESTS_PERSIST_SCRATCH_H

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

#define NOBODY 65534

static char scratch[PATH_MAX];

/* Open to everybody, so that a child that has given up root's rights can work in it. */
static inline void scratch_make(void)
{
    const char *root = getenv("TMPDIR");
    snprintf(scratch, sizeof scratch, "%s/dsq-test-XXXXXX", root != NULL ? root : "/tmp");
    cr_assert_not_null(mkdtemp(scratch));
    char *resolved = realpath(scratch, NULL);
    cr_assert_not_null(resolved);
    snprintf(scratch, sizeof scratch, "%s", resolved);
    free(resolved);
    cr_assert_eq(chmod(scratch, 0777), 0);
}

static inline int scratch_remove_one(const char *path, const struct stat *found, int type,
                                     struct FTW *place)
{
    (void)found;
    (void)type;
    (void)place;
    return remove(path);
}

static inline void scratch_remove(void)
{
    nftw(scratch, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* The path of a name in the scratch directory; valid for some more calls. */
static inline const char *scratch_path(const char *name)
{
    static char paths[8][PATH_MAX + NAME_MAX + 2];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", scratch, name);
    return path;
}

static inline bool scratch_has(const char *name)
{
    struct stat found;
    return lstat(scratch_path(name), &found) == 0;
}

static inline void scratch_write(const char *name, const void *data, size_t size)
{
    FILE *file = fopen(scratch_path(name), "w");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(data, 1, size, file), size);
    cr_assert_eq(fclose(file), 0);
}

/* The whole of a file, to be freed. */
static inline char *scratch_read(const char *name, size_t *size)
{
    FILE *file = fopen(scratch_path(name), "r");
    cr_assert_not_null(file, "%s", name);
    struct stat found;
    cr_assert_eq(fstat(fileno(file), &found), 0);
    *size = (size_t)found.st_size;
    char *data = malloc(*size + 1);
    cr_assert_eq(fread(data, 1, *size, file), *size);
    fclose(file);
    return data;
}

/* What body returns in a process of its own: 0 to 255, or minus the signal that ended it. */
static inline int in_child(int (*body)(void))
{
    fflush(NULL);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        _exit(body());
    }
    int status;
    while (waitpid(child, &status, 0) < 0) {
        cr_assert_eq(errno, EINTR);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* In a child: modes of files mean nothing to root. */
static inline void become_nobody(void)
{
    if (geteuid() == 0 && setuid(NOBODY) != 0) {
        _exit(255);
    }
}

#endif
