/*
 * Ours with what the others do without: a file, a queue to it, and a hot tier that evicts.  All options
 * have their defaults but for the mode, which is lazy.
 */
#include <stdio.h>
#include <stdlib.h>

#include <dictsqlite.h>

#include "bench/folder.h"
#include "bench/map_peers.h"
#include "stress/verdict.h"

static struct map_ops lazy;
static char folder[PATH_MAX];

static void *create(const struct map_config *config)
{
    static unsigned made;
    const struct dsq_options options = {.persist_mode = DSQ_MODE_LAZY};
    char path[PATH_MAX + 32];
    dsq_db *db;
    (void)config;
    snprintf(path, sizeof path, "%s/%u.db", folder, made++);
    int status = dsq_open(path, &options, &db);
    if (status != DSQ_OK) {
        stress_violation("dsq_open: %s", dsq_strerror(status));
    }
    return db;
}

static void remove_folder(void)
{
    bench_folder_remove(folder);
}

const struct map_ops *map_lazy(void)
{
    if (lazy.name == NULL) {
        bench_folder_make(NULL, "map", folder);
        atexit(remove_folder);
        lazy = map_dictsqlite;
        lazy.name = "lazy";
        lazy.create = create;
    }
    return &lazy;
}
