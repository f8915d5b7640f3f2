/* Judging a history key by key, and saying what is wrong with it. */
#ifndef DSQ_STRESS_JUDGE_H
#define DSQ_STRESS_JUDGE_H

#include <stdio.h>

#include "stress/history.h"
#include "stress/linearizability.h"

/*
 * The operations of one key, which key_name calls in what is printed.  Not linearizable: prints the
 * smallest part that already is not.
 */
enum linearizability judge_key(FILE *out, const struct history *history, const char *key_name,
                               const struct history_operation *operations, size_t count,
                               bool may_vanish);

/*
 * A whole history: NOT_LINEARIZABLE if one key is not, else UNDECIDED if one key is.  Sorts the
 * operations by key.
 */
enum linearizability judge_history(FILE *out, struct history *history);

#endif
