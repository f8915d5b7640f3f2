/*
 * Whether the operations on one key can be ordered so that each takes effect between its call and
 * its return and gets what the key then holds.
 *
 * Sources.  Herlihy and Wing, "Linearizability" (TOPLAS 1990), which also shows that keys can be
 * judged one by one; Wing and Gong, "Testing and verifying concurrent objects" (JPDC 1993): the
 * search; Lowe, "Testing for linearizability" (2017): remembering which sets of ordered operations
 * were seen with which state; Horn and Kroening (arXiv 1504.00204).
 *
 * The remembered sets are kept as sums of 128 random bits an operation: two that differ are taken
 * for one with a probability of about n^2 / 2^128.
 */
#ifndef DSQ_STRESS_LINEARIZABILITY_H
#define DSQ_STRESS_LINEARIZABILITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "stress/history.h"

enum linearizability { LINEARIZABLE, NOT_LINEARIZABLE, UNDECIDED };

/* The sets that a search may remember, at some 40 bytes each, before it gives up: UNDECIDED. */
#define LINEARIZABILITY_BUDGET ((size_t)8 * 1024 * 1024)

/* How hard to look, and at what. */
struct linearizability_search {
    size_t budget;   /* sets */
    bool may_vanish; /* of a cache: the key may become absent by itself at any time */
};

/* Operations of one key, which starts absent.  UNDECIDED also if memory runs out. */
enum linearizability linearizability_check(const struct history_operation *operations, size_t count,
                                           const struct linearizability_search *how);

/* The parts of a history that an explanation leaves over, in the order of their calls. */
struct linearizability_window {
    struct history_operation *operations;
    size_t count;
    size_t
        unconstrained; /* writes left out: whenever they took effect, or if never, it is no help */
};

/*
 * Of operations that are not linearizable, a part that already is not, and from which no single
 * operation can be left out.  Operations that change nothing are left out altogether; a write is left
 * out by letting it take effect at any time or never, so that what remains is a violation with it
 * and without it.  False if memory runs out or the search gives up.
 */
bool linearizability_explain(const struct history_operation *operations, size_t count,
                             const struct linearizability_search *search,
                             struct linearizability_window *window);

#endif
