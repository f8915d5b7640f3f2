#include "core/ghost.h"

#include <stdlib.h>

#include "core/platform.h"
#include "core/status.h"

/* 16 MiB: beyond this the shard is larger than what comes back within a ghost's memory. */
#define ENTRIES_MAX (UINT64_C(1) << 22)

int dsq_ghost_init(struct dsq_ghost *ghost, uint64_t records)
{
    uint64_t entries = dsq_next_power_of_two(records < ENTRIES_MAX ? records : ENTRIES_MAX);

    /* calloc: pages that cost nothing until the first evictions touch them. */
    ghost->fingerprints = calloc(entries, sizeof *ghost->fingerprints);
    ghost->mask = entries - 1;
    return ghost->fingerprints != NULL ? DSQ_OK : DSQ_ERR_NOMEM;
}

void dsq_ghost_fini(struct dsq_ghost *ghost)
{
    free(ghost->fingerprints);
}
