/*
 * What a killed process may leave behind in lazy mode: a consistent cut of what it did (buffered
 * durable linearizability; Izraelevitz, Mendes and Scott, DISC 2016).
 *
 * The cut holds some of the operations: with each also all that had returned before it began, and
 * all that had returned before the last finished flush began.  So there is a time, the horizon, such
 * that the cut holds whatever had returned by then: the latest call of a write that was found again,
 * or of that flush.  For one key, what is found afterwards is what the key held at some moment
 * since the horizon: a get from there to the death of the process, which the search judges together
 * with the operations of that life.
 */
#ifndef DSQ_STRESS_CUT_H
#define DSQ_STRESS_CUT_H

#include "stress/history.h"

struct cut_life {
    struct history history; /* of all keys; what was under way at the end is of unknown outcome */
    struct history_value *before; /* by key, what was there at first */
    uint64_t keys;
    uint64_t flushed; /* when the last flush that returned began; 0: none */
    uint64_t killed;
};

/* after: by key, what was found. */
uint64_t cut_horizon(const struct cut_life *life, const struct history_value *after);

/* The history of one key in that life and what was found after it; false if memory runs out. */
bool cut_gather(const struct cut_life *life, uint32_t key, struct history_value after,
                uint64_t horizon, struct history *gathered);

#endif
