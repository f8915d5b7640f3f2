/*
 * What the tests hang on to: the stages that a record's way to the disk goes through, and the number
 * that each record gets.  A test sets dsq_hooks before it opens its first store and leaves it
 * alone after; both functions are called by the thread that does the work and may not return (a
 * process that kills itself).  Unset, they cost a look.
 */
#ifndef DSQ_PERSIST_HOOKS_H
#define DSQ_PERSIST_HOOKS_H

#include <stdint.h>

#include "core/record.h"

enum dsq_stage {
    DSQ_STAGE_DRAINED,       /* a batch has been taken from the queue */
    DSQ_STAGE_BEFORE_COMMIT, /* its transaction is complete but for COMMIT */
    DSQ_STAGE_COMMITTED,     /* COMMIT has returned; nobody knows yet */
    DSQ_STAGE_ACKNOWLEDGED,  /* who waited has been woken */
    DSQ_STAGE_FOLDING,       /* a slice of a fold has been written, not committed */
    DSQ_STAGE_SLICED,        /* a slice has been committed; its records are not CLEAN yet */
    DSQ_STAGE_FOLDED,        /* the journal rows of the fold are gone */
    DSQ_STAGE_CHECKPOINT,    /* before a checkpoint */
    DSQ_STAGE_RECOVERING,    /* a slice of the recovery at open has been written, not committed */
    DSQ_STAGES,
};

struct dsq_hooks {
    void (*stage)(void *context, enum dsq_stage stage);
    /* The record is the number-th ever committed, if its commit succeeds.  In ascending order. */
    void (*numbered)(void *context, uint64_t number, const struct dsq_record *record);
    void *context;
    uint64_t patience_ms; /* not 0: how long what fails is tried again, instead of the rule */
};

extern struct dsq_hooks dsq_hooks;

static inline void dsq_hook_stage(enum dsq_stage stage)
{
    if (dsq_hooks.stage != NULL) {
        dsq_hooks.stage(dsq_hooks.context, stage);
    }
}

static inline void dsq_hook_numbered(uint64_t number, const struct dsq_record *record)
{
    if (dsq_hooks.numbered != NULL) {
        dsq_hooks.numbered(dsq_hooks.context, number, record);
    }
}

#endif
