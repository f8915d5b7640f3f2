#include "bench/map_peers.h"

#include <string.h>

/* Whether a list with commas between its names has this one. */
static bool is_listed(const char *names, const char *name)
{
    while (*names != '\0') {
        size_t length = strcspn(names, ",");
        if (length == strlen(name) && strncmp(names, name, length) == 0) {
            return true;
        }
        names += length + (names[length] == ',');
    }
    return false;
}

size_t map_peers_choose(const char *names, bool with_lazy, struct map_peer chosen[MAP_PEERS_MAX])
{
    struct map_peer all[MAP_PEERS_MAX] = {{&map_dictsqlite, MAP_BY_ALL}};
    size_t known = 1;
    size_t count = 0;
    if (names != NULL ? is_listed(names, MAP_LAZY) : with_lazy) {
        all[known++] = (struct map_peer){map_lazy(), MAP_BY_ALL};
    }
    all[known++] = (struct map_peer){&map_rculfhash, MAP_BY_ALL};
    for (size_t i = 0; map_peers[i].ops != NULL && known < MAP_PEERS_MAX; i++) {
        all[known++] = map_peers[i];
    }
    for (size_t i = 0; i < known; i++) {
        if (names == NULL || is_listed(names, all[i].ops->name)) {
            chosen[count++] = all[i];
        }
    }
    return count;
}
