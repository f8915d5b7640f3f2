#include "stress/linearize_whole.h"

#include <inttypes.h>
#include <string.h>

#include "core/platform.h"
#include "stress/linearize_operation.h"
#include "stress/verdict.h"

/* Where the keys that a walk visits are noted. */
struct sighting {
    struct whole_operation *whole;
    uint64_t keys;
};

static void visit(void *context, struct map_bytes name, struct map_bytes value)
{
    struct sighting *sighting = context;
    size_t prefix = sizeof LINEARIZE_STORM_PREFIX - 1;
    const char *what = whole_kind_name(sighting->whole->kind);
    uint32_t key;
    if (name.size > prefix && memcmp(name.data, LINEARIZE_STORM_PREFIX, prefix) == 0) {
        return;
    }
    if (!linearize_key_decode(name, &key) || key >= sighting->keys) {
        stress_violation("a %s met a key that nobody wrote", what);
    } else if (!whole_note(sighting->whole, key, linearize_value_decode(value))) {
        stress_violation("a %s met key %" PRIu32 " twice", what, key);
    }
}

static bool is_offered(const struct linearize_run *run, enum whole_kind kind)
{
    switch (kind) {
    case WHOLE_LENGTH:
        return run->ops->length != NULL;
    case WHOLE_WALK:
        return run->ops->walk != NULL;
    case WHOLE_FLUSH:
        return run->file != NULL && run->ops->flush != NULL && run->ops->walk_stored != NULL;
    case WHOLE_KIND_COUNT:
        break;
    }
    return false;
}

static enum map_status call(struct linearize_run *run, struct whole_operation *whole)
{
    struct sighting sighting = {whole, run->all_keys};
    enum map_status status = MAP_ERROR;
    switch (whole->kind) {
    case WHOLE_LENGTH:
        return run->ops->length(run->map, &whole->length);
    case WHOLE_WALK:
        return run->ops->walk(run->map, visit, &sighting);
    case WHOLE_FLUSH:
        status = run->ops->flush(run->map, -1);
        return status == MAP_OK ? run->ops->walk_stored(run->file, visit, &sighting) : status;
    case WHOLE_KIND_COUNT:
        break;
    }
    return status;
}

void linearize_whole_perform(struct linearize_worker *worker)
{
    struct linearize_run *run = worker->run;
    enum whole_kind kind = (enum whole_kind)stress_random_below(&worker->random, WHOLE_KIND_COUNT);
    if (!is_offered(run, kind) || worker->whole_count == LINEARIZE_WHOLES_MAX) {
        return;
    }
    struct whole_operation *whole = &worker->wholes[worker->whole_count];
    memset(whole->seen, 0, run->all_keys * sizeof *whole->seen);
    atomic_store(&whole->low, 0);
    atomic_store(&whole->high, 0);
    whole->kind = kind;
    whole->process = worker->process;
    whole->call = dsq_now_ns();
    enum map_status status = call(run, whole);
    whole->back = dsq_now_ns();
    worker->whole_count += status == MAP_OK;
}

void linearize_whole_gather(struct linearize_worker *worker, uint32_t key)
{
    const struct linearize_run *run = worker->run;
    struct history *gathered = &worker->gathered;
    size_t count = gathered->count;
    for (uint64_t i = 0; i < run->threads; i++) {
        for (size_t j = 0; j < run->workers[i].whole_count; j++) {
            struct whole_operation *whole = &run->workers[i].wholes[j];
            if (whole->kind == WHOLE_LENGTH) {
                whole_range_add(whole, gathered->operations, count);
            } else {
                struct history_operation get = whole_as_get(whole, key);
                history_append(gathered, &get);
            }
        }
    }
}

void linearize_lengths_check(struct linearize_worker *worker)
{
    struct linearize_run *run = worker->run;
    uint64_t strangers = run->storms != 0 ? LINEARIZE_STORM_KEYS : 0;
    for (size_t i = 0; i < worker->whole_count; i++) {
        struct whole_operation *whole = &worker->wholes[i];
        uint64_t low = run->may_vanish ? 0 : atomic_load(&whole->low);
        uint64_t high = atomic_load(&whole->high) + strangers;
        run->whole_counts[whole->kind]++;
        if (whole->kind == WHOLE_LENGTH && (whole->length < low || whole->length > high)) {
            stress_violation("a length was %" PRIu64 ", but between its call at %" PRIu64
                             " ns and its return at %" PRIu64 " ns it was %" PRIu64 " to %" PRIu64
                             " (round %" PRIu64 ")",
                             whole->length, whole->call, whole->back, low, high, run->round);
        }
    }
}

static bool is_quiet_length_known(const struct linearize_run *run)
{
    return run->whole_odds != 0 && run->ops->length != NULL && run->storms == 0 && !run->may_vanish;
}

void linearize_quiet_length(struct linearize_run *run)
{
    run->quiet_length = 0;
    if (is_quiet_length_known(run)) {
        run->ops->length(run->map, &run->quiet_length);
    }
}

void linearize_quiet_length_check(struct linearize_run *run)
{
    uint64_t present = atomic_load(&run->present);
    if (is_quiet_length_known(run) && run->quiet_length != present && !stress_failed()) {
        stress_violation("with nothing else going on a length was %" PRIu64 " of %" PRIu64
                         " keys (round %" PRIu64 ")",
                         run->quiet_length, present, run->round);
    }
}
