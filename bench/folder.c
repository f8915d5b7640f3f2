#include "bench/folder.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#define FILES_OPEN 8

void bench_folder_make(const char *parent, const char *name, char folder[PATH_MAX])
{
    const char *temporary = getenv("TMPDIR");
    const char *chosen = parent != NULL ? parent : temporary != NULL ? temporary : "/tmp";
    if (snprintf(folder, PATH_MAX, "%s/%s-XXXXXX", chosen, name) >= PATH_MAX ||
        mkdtemp(folder) == NULL) {
        perror(chosen);
        exit(1);
    }
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

void bench_folder_remove(const char *folder)
{
    nftw(folder, remove_entry, FILES_OPEN, FTW_DEPTH | FTW_PHYS);
}
