/*
 * An online check that each key behaves as an atomic register, in constant time per operation.
 *
 * Each key has one writer at a time (its owner), so its writes have a certain order and are
 * numbered in it: version 0 is the absence at the start, and each put and each delete is the next
 * version.  Whether a version is a put or a delete is a function of seed, key and version, so that
 * every thread knows it without a history.
 *
 * The condition (Lamport's, for atomic registers): a read returns a version that is not older than
 * the newest one acknowledged, or returned by a read that ended, before the read began; and not
 * newer than the newest write that had begun when the read ended.
 *
 * A cache may forget: with may_vanish a read may find nothing at any time, but what it finds still
 * obeys the condition.
 */
#ifndef DSQ_STRESS_REGISTER_MODEL_H
#define DSQ_STRESS_REGISTER_MODEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct register_key {
    _Atomic uint64_t started; /* the newest version whose write has begun */
    _Atomic uint64_t floor;   /* the newest version acknowledged or returned by a finished read */
};

struct register_model {
    struct register_key *keys;
    uint64_t count;
    uint64_t seed;
    bool may_vanish;
};

bool register_model_init(struct register_model *model, uint64_t keys, uint64_t seed,
                         bool may_vanish);
void register_model_fini(struct register_model *model);

bool register_is_delete(const struct register_model *model, uint64_t key, uint64_t version);

/* The owner's side: announce the next version before the call, acknowledge it after. */
uint64_t register_write_begin(struct register_model *model, uint64_t key);
void register_write_end(struct register_model *model, uint64_t key, uint64_t version);

/* The newest version acknowledged; for the owner, and when nothing is concurrent, the current. */
uint64_t register_floor(struct register_model *model, uint64_t key);

/*
 * A reader's side: take register_floor before the call and hand it in with the outcome.  Each
 * returns NULL if the outcome is allowed, else why not, in words.
 */
const char *register_saw_version(struct register_model *model, uint64_t key, uint64_t floor,
                                 uint64_t version);
const char *register_saw_absent(struct register_model *model, uint64_t key, uint64_t floor);
const char *register_saw_present(struct register_model *model, uint64_t key, uint64_t floor);

#endif
