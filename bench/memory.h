/* What a body of work leaves in memory, measured in a process of its own. */
#ifndef DSQ_BENCH_MEMORY_H
#define DSQ_BENCH_MEMORY_H

#include <stdint.h>

/*
 * Runs body(context) in a fork of this process, before which it must not have used what body uses, and
 * returns how much more memory is occupied when body returns: no memory that others freed is in the way.
 */
uint64_t bench_memory_bytes(void (*body)(void *context), void *context);

#endif
