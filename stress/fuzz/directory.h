/* A directory in memory for the files of a fuzz target; gone when the target ends by itself. */
#ifndef DSQ_STRESS_FUZZ_DIRECTORY_H
#define DSQ_STRESS_FUZZ_DIRECTORY_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "stress/fuzz/input.h"

static char fuzz_directory[64];

/* The path of a file in there. */
static inline void fuzz_name(char *path, size_t size, const char *name, const char *suffix)
{
    must(snprintf(path, size, "%s/%s%s", fuzz_directory, name, suffix) < (int)size);
}

static inline void fuzz_directory_remove(void)
{
    DIR *directory = opendir(fuzz_directory);
    const struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        char path[sizeof fuzz_directory + sizeof entry->d_name + 1];
        snprintf(path, sizeof path, "%s/%s", fuzz_directory, entry->d_name);
        unlink(path);
    }
    if (directory != NULL) {
        closedir(directory);
    }
    rmdir(fuzz_directory);
}

static inline void fuzz_directory_make(void)
{
    snprintf(fuzz_directory, sizeof fuzz_directory, "/dev/shm/dictsqlite-fuzz-XXXXXX");
    must(mkdtemp(fuzz_directory) != NULL && atexit(fuzz_directory_remove) == 0);
}

#endif
