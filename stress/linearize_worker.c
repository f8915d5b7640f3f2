#include <inttypes.h>
#include <string.h>

#include "stress/judge.h"
#include "stress/linearize_operation.h"
#include "stress/linearize_run.h"
#include "stress/linearize_whole.h"
#include "stress/verdict.h"

static void play(struct linearize_worker *worker)
{
    struct linearize_run *run = worker->run;
    worker->logged = 0;
    worker->whole_count = 0;
    while (worker->logged < run->operations && !stress_failed()) {
        if (run->whole_odds != 0 && stress_random_below(&worker->random, run->whole_odds) == 0) {
            linearize_whole_perform(worker);
        }
        struct history_operation *operation = &worker->log[worker->logged];
        linearize_draw(worker, operation);
        worker->logged++;
        linearize_perform(worker, operation);
    }
}

static bool had_effect(const struct history_operation *operation)
{
    switch (operation->op) {
    case HISTORY_GET:
    case HISTORY_POP:
        return operation->output.kind != HISTORY_NONE;
    case HISTORY_DELETE:
    case HISTORY_ADD:
    case HISTORY_CAS:
        return operation->done;
    default:
        return true;
    }
}

/* Collects what all threads did to a key, and ends it: a last get, and a delete for the next round. */
static void gather(struct linearize_worker *worker, uint32_t key)
{
    struct linearize_run *run = worker->run;
    struct history *gathered = &worker->gathered;
    gathered->count = 0;
    for (uint64_t i = 0; i < run->threads; i++) {
        for (size_t j = 0; j < run->workers[i].logged; j++) {
            const struct history_operation *operation = &run->workers[i].log[j];
            if (operation->key == key) {
                history_append(gathered, operation);
                run->counts[operation->op]++;
                run->effective[operation->op] += had_effect(operation);
            }
        }
    }
    linearize_whole_gather(worker, key);
    for (int i = 0; i < 2; i++) {
        struct history_operation last = {.op = i == 0 ? HISTORY_GET : HISTORY_DELETE, .key = key};
        linearize_perform(worker, &last);
        history_append(gathered, &last);
        atomic_fetch_add(&run->present, last.output.kind != HISTORY_NONE);
    }
}

static void gathered_write(struct linearize_worker *worker, FILE *file, uint32_t key)
{
    struct linearize_run *run = worker->run;
    char name[LINEARIZE_KEY_CHARACTERS_MAX];
    snprintf(name, sizeof name, "round %" PRIu64 " key %" PRIu32, run->round, key);
    pthread_mutex_lock(&run->history_lock);
    for (size_t i = 0; i < worker->gathered.count; i++) {
        history_write(file, &worker->gathered, &worker->gathered.operations[i], name);
    }
    fflush(file);
    pthread_mutex_unlock(&run->history_lock);
}

static void violation_write(struct linearize_worker *worker, uint32_t key)
{
    FILE *file = fopen(worker->run->violation_path, "a");
    if (file != NULL) {
        gathered_write(worker, file, key);
        fclose(file);
    }
    stress_violation("the history is not linearizable; it is in %s",
                     file != NULL ? worker->run->violation_path : "no file: it cannot be written");
}

static void judge(struct linearize_worker *worker, uint32_t key)
{
    struct linearize_run *run = worker->run;
    char name[LINEARIZE_KEY_CHARACTERS_MAX];
    linearize_key_encode(key, name);
    gather(worker, key);
    if (run->history != NULL) {
        gathered_write(worker, run->history, key);
    }
    switch (judge_key(stdout, &worker->gathered, name, worker->gathered.operations,
                      worker->gathered.count, run->may_vanish)) {
    case LINEARIZABLE:
        break;
    case UNDECIDED:
        run->undecided++;
        break;
    case NOT_LINEARIZABLE:
        violation_write(worker, key);
        break;
    }
    run->checked += worker->gathered.count;
}

/* Between two barriers: the others wait. */
static void round_begin(struct linearize_run *run)
{
    linearize_quiet_length_check(run);
    run->round++;
    run->over = atomic_load(&run->stop) || stress_failed();
    atomic_store(&run->present, 0);
}

void *linearize_worker_main(void *argument)
{
    struct linearize_worker *worker = argument;
    struct linearize_run *run = worker->run;
    run->ops->thread_enter(run->map);
    for (;;) {
        pthread_barrier_wait(&run->barrier);
        linearize_lengths_check(worker);
        if (worker->index == 0) {
            round_begin(run);
        }
        pthread_barrier_wait(&run->barrier);
        if (run->over) {
            break;
        }
        play(worker);
        pthread_barrier_wait(&run->barrier);
        if (worker->index == 0) {
            linearize_quiet_length(run);
        }
        pthread_barrier_wait(&run->barrier);
        for (uint64_t key = worker->index; key < run->all_keys; key += run->threads) {
            judge(worker, (uint32_t)key);
        }
    }
    run->ops->thread_exit(run->map);
    return NULL;
}

void *linearize_storm_main(void *argument)
{
    struct linearize_run *run = argument;
    unsigned char bytes[8];
    struct map_bytes value = linearize_value_encode(history_integer(1), bytes);
    run->ops->thread_enter(run->map);
    while (!atomic_load(&run->stop)) {
        for (uint64_t i = 0; i < 2 * LINEARIZE_STORM_KEYS && !atomic_load(&run->stop); i++) {
            char name[LINEARIZE_KEY_CHARACTERS_MAX];
            int size = snprintf(name, sizeof name, LINEARIZE_STORM_PREFIX "%" PRIu64,
                                i % LINEARIZE_STORM_KEYS);
            struct map_bytes key = {name, (size_t)size};
            if (i < LINEARIZE_STORM_KEYS) {
                run->ops->put(run->map, key, value);
            } else {
                run->ops->remove(run->map, key);
            }
        }
    }
    run->ops->thread_exit(run->map);
    return NULL;
}
