/* Operations on the whole map in stress/linearize.c: see stress/whole_map.h on how they are judged. */
#ifndef DSQ_STRESS_LINEARIZE_WHOLE_H
#define DSQ_STRESS_LINEARIZE_WHOLE_H

#include "stress/linearize_run.h"

/* Keys of the storm threads, which single-key histories do not contain. */
#define LINEARIZE_STORM_PREFIX "storm "
#define LINEARIZE_STORM_KEYS UINT64_C(20000)

/* Performs one of those that the map offers, unless the worker has no room for more in this round. */
void linearize_whole_perform(struct linearize_worker *worker);

/* With the operations on a key gathered: adds what all whole-map operations say of it. */
void linearize_whole_gather(struct linearize_worker *worker, uint32_t key);

/* Once every key has been gathered: whether the worker's lengths lie in their ranges. */
void linearize_lengths_check(struct linearize_worker *worker);

/* The length while nothing else runs, to be compared with what is found by looking at every key. */
void linearize_quiet_length(struct linearize_run *run);
void linearize_quiet_length_check(struct linearize_run *run);

#endif
