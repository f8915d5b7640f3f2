#include "stress/map_ops.h"

#include <stdio.h>
#include <string.h>

const struct map_ops *map_ops_find(const char *name)
{
    for (const struct map_ops *const *map = map_ops_all; *map != NULL; map++) {
        if (strcmp((*map)->name, name) == 0) {
            return *map;
        }
    }
    fprintf(stderr, "no map is called \"%s\"; there are:", name);
    for (const struct map_ops *const *map = map_ops_all; *map != NULL; map++) {
        fprintf(stderr, " %s", (*map)->name);
    }
    fprintf(stderr, "\n");
    return NULL;
}
