/* Command lines of the stress programs: one table parses them, explains them and replays them. */
#ifndef DSQ_STRESS_OPTIONS_H
#define DSQ_STRESS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum stress_option_kind {
    STRESS_NUMBER, /* uint64_t; "unbounded" is UINT64_MAX */
    STRESS_TEXT,   /* const char *; NULL: not given */
    STRESS_MODE    /* int: enum dsq_persist_mode, by name */
};

struct stress_option {
    const char *name; /* without the dashes */
    enum stress_option_kind kind;
    void *target; /* holds the default before parsing */
    const char *meaning;
};

/*
 * Reads "--name value" pairs into the targets.  On anything else prints what may be given and
 * returns false.
 */
bool stress_options_parse(int argc, char **argv, const struct stress_option *options, size_t count);

/* Prints the command that runs the same parameters again, seed included. */
void stress_options_print_replay(const char *program, const struct stress_option *options,
                                 size_t count);

/* Replaces a seed of 0 by a fresh one. */
void stress_seed_choose(uint64_t *seed);

const char *stress_mode_name(int mode);

#endif
