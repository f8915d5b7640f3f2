/*
 * What a loss of power leaves of a database: everything up to the last sync of each file, and of what
 * was written after it any part, each write whole, torn at a sector, or not at all.
 *
 * The model: a file's sync covers all that was written to it before, lengths included; between two
 * syncs writes reach the disk in any order.  A sector of 512 bytes is written whole or not at all.
 * The shared-memory file does not survive.
 */
#ifndef DSQ_STRESS_POWER_IMAGE_H
#define DSQ_STRESS_POWER_IMAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "stress/fault_vfs.h"
#include "stress/random.h"

enum power_subset { POWER_NONE, POWER_ALL, POWER_SOME };

/* What the files held when the log began. */
struct power_base {
    unsigned char *bytes[FAULT_FILES];
    size_t size[FAULT_FILES];
};

bool power_base_read(struct power_base *base, const char *path);
void power_base_fini(struct power_base *base);

/* Writes the image of a cut before event number `cut` to path.  False: it has said why. */
bool power_image_write(const struct power_base *base, const struct fault_log *log, size_t cut,
                       enum power_subset subset, struct stress_random *random, const char *path);

#endif
