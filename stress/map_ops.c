#include "stress/map_ops.h"

#include <stdio.h>
#include <string.h>

static const struct map_ops *const all[] = {&map_dictsqlite, &map_rculfhash, &map_table};

const struct map_ops *map_ops_find(const char *name)
{
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (strcmp(all[i]->name, name) == 0) {
            return all[i];
        }
    }
    fprintf(stderr, "no map is called \"%s\"; there are:", name);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        fprintf(stderr, " %s", all[i]->name);
    }
    fprintf(stderr, "\n");
    return NULL;
}
