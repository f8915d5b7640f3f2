#include "bench/stores_ops.h"

#include <stdio.h>
#include <stdlib.h>

const struct store_ops *const stores[] = {
    &store_dictsqlite,
#ifdef BENCH_HAVE_ROCKSDB
    &store_rocksdb,
#endif
#ifdef BENCH_HAVE_LMDB
    &store_lmdb,
#endif
    &store_sqlite,     NULL,
};

const char *store_durability_name(enum store_durability durability)
{
    static const char *const names[STORE_DURABILITIES] = {
        [STORE_INTERVAL] = "interval", [STORE_PROCESS] = "process", [STORE_POWER] = "power"};
    return names[durability];
}

void store_fail(const char *store, const char *call, const char *message)
{
    fprintf(stderr, "%s: %s: %s\n", store, call, message);
    exit(1);
}

void store_path(const char *folder, const char *name, char path[STORE_PATH_BYTES])
{
    if (snprintf(path, STORE_PATH_BYTES, "%s/%s", folder, name) >= STORE_PATH_BYTES) {
        store_fail(folder, name, "the path is too long");
    }
}
