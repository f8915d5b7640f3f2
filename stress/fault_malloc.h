/*
 * Memory that runs out: the allocations of everything that this program is linked from (by the linker's
 * --wrap) and those of SQLite are calls of the kind FAULT_ALLOCATION.  liburcu and the C library
 * allocate as ever.
 */
#ifndef DSQ_STRESS_FAULT_MALLOC_H
#define DSQ_STRESS_FAULT_MALLOC_H

#include <stdbool.h>

/* Before SQLite is used; false if it refuses. */
bool fault_malloc_install(void);

#endif
