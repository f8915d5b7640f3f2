#include "stress/register_model.h"

#include <stdlib.h>

#include "stress/random.h"

/* One version in so many is a delete. */
#define DELETE_ODDS 4

bool register_model_init(struct register_model *model, uint64_t keys, uint64_t seed,
                         bool may_vanish)
{
    *model = (struct register_model){.count = keys, .seed = seed, .may_vanish = may_vanish};
    model->keys = calloc(keys, sizeof *model->keys);
    return model->keys != NULL;
}

void register_model_fini(struct register_model *model)
{
    free(model->keys);
    model->keys = NULL;
}

bool register_is_delete(const struct register_model *model, uint64_t key, uint64_t version)
{
    return version == 0 || stress_mix3(model->seed, key, version) % DELETE_ODDS == 0;
}

uint64_t register_write_begin(struct register_model *model, uint64_t key)
{
    uint64_t version = atomic_load(&model->keys[key].floor) + 1;
    atomic_store(&model->keys[key].started, version);
    return version;
}

static void floor_raise(struct register_model *model, uint64_t key, uint64_t version)
{
    _Atomic uint64_t *floor = &model->keys[key].floor;
    uint64_t seen = atomic_load(floor);
    while (seen < version && !atomic_compare_exchange_weak(floor, &seen, version)) {
    }
}

void register_write_end(struct register_model *model, uint64_t key, uint64_t version)
{
    floor_raise(model, key, version);
}

uint64_t register_floor(struct register_model *model, uint64_t key)
{
    return atomic_load(&model->keys[key].floor);
}

const char *register_saw_version(struct register_model *model, uint64_t key, uint64_t floor,
                                 uint64_t version)
{
    if (version < floor) {
        return "the value is older than one acknowledged or read before this call began";
    }
    if (version > atomic_load(&model->keys[key].started)) {
        return "the value has a version that nobody had begun to write";
    }
    if (register_is_delete(model, key, version)) {
        return "the value has a version that is a delete";
    }
    floor_raise(model, key, version);
    return NULL;
}

/* The oldest version from floor on that is (not) a delete and whose write has begun, or none. */
static bool version_find(struct register_model *model, uint64_t key, uint64_t floor, bool deleted,
                         uint64_t *version)
{
    uint64_t started = atomic_load(&model->keys[key].started);
    for (*version = floor; *version <= started; (*version)++) {
        if (register_is_delete(model, key, *version) == deleted) {
            return true;
        }
    }
    return false;
}

const char *register_saw_absent(struct register_model *model, uint64_t key, uint64_t floor)
{
    uint64_t version;
    if (model->may_vanish) {
        return NULL;
    }
    if (!version_find(model, key, floor, true, &version)) {
        return "the key is absent though no delete had begun since the newest acknowledged put";
    }
    /* Of several deletes that it may have seen only the oldest is certain. */
    floor_raise(model, key, version);
    return NULL;
}

const char *register_saw_present(struct register_model *model, uint64_t key, uint64_t floor)
{
    uint64_t version;
    if (!version_find(model, key, floor, false, &version)) {
        return "the key is there though no put had begun since the newest acknowledged delete";
    }
    floor_raise(model, key, version);
    return NULL;
}
