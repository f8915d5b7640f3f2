/*
 * Ours with what the others do without: a file, a queue to it, and a hot tier that evicts.  All options
 * have their defaults but for the mode, which is lazy.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include <dictsqlite.h>

#include "bench/folder.h"
#include "bench/map_peers.h"
#include "stress/verdict.h"

/* Maps that are there at the same time: the full one, and one of threads with keys of their own. */
#define MAPS_MAX 2

static struct map_ops lazy;
static char parent[PATH_MAX];
static struct {
    void *map;
    char folder[PATH_MAX];
} made[MAPS_MAX];

static void *create(const struct map_config *config)
{
    const struct dsq_options options = {.persist_mode = DSQ_MODE_LAZY};
    char path[PATH_MAX + sizeof "/map.db"];
    dsq_db *db;
    int at = made[0].map == NULL ? 0 : 1;
    (void)config;
    bench_folder_make(parent, "map", made[at].folder);
    snprintf(path, sizeof path, "%s/map.db", made[at].folder);
    int status = dsq_open(path, &options, &db);
    if (status != DSQ_OK) {
        stress_violation("dsq_open: %s", dsq_strerror(status));
        return NULL;
    }
    made[at].map = db;
    return db;
}

static bool destroy(void *map)
{
    bool closed = map_dictsqlite.destroy(map);
    int at = made[0].map == map ? 0 : 1;
    bench_folder_remove(made[at].folder);
    made[at].map = NULL;
    return closed;
}

/* What a process that measured memory has left: it ends without more ado. */
static void remove_parent(void)
{
    bench_folder_remove(parent);
}

const struct map_ops *map_lazy(void)
{
    if (lazy.name == NULL) {
        bench_folder_make(NULL, "maps", parent);
        atexit(remove_parent);
        lazy = map_dictsqlite;
        lazy.name = MAP_LAZY;
        lazy.create = create;
        lazy.destroy = destroy;
    }
    return &lazy;
}
