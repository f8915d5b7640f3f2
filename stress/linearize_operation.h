/* Drawing, performing and timing operations on one key: the work of stress/linearize.c's threads. */
#ifndef DSQ_STRESS_LINEARIZE_OPERATION_H
#define DSQ_STRESS_LINEARIZE_OPERATION_H

#include "stress/linearize_run.h"

#define LINEARIZE_KEY_CHARACTERS_MAX 48

/* The name of a key, and back; false if it is not the name of one. */
size_t linearize_key_encode(uint64_t key, char name[LINEARIZE_KEY_CHARACTERS_MAX]);
bool linearize_key_decode(struct map_bytes name, uint32_t *key);

/* Values are integers as map_ops.incr has them; others are violations, and decode to none. */
struct map_bytes linearize_value_encode(struct history_value value, unsigned char bytes[8]);
struct history_value linearize_value_decode(struct map_bytes value);

/* A random operation of the worker's on one of the keys of its group. */
void linearize_draw(struct linearize_worker *worker, struct history_operation *operation);

/* Performs it.  The clock is read outside the call.  After an error the outcome is unknown. */
void linearize_perform(struct linearize_worker *worker, struct history_operation *operation);

/* The same in the worker's log, which tells how far it came if the process dies. */
void linearize_perform_logged(struct linearize_worker *worker,
                              const struct history_operation *operation);

#endif
