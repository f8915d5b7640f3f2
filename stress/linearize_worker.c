#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "stress/judge.h"
#include "stress/linearize_operation.h"
#include "stress/linearize_run.h"
#include "stress/linearize_whole.h"
#include "stress/verdict.h"

struct linearize_log *linearize_log_new(uint64_t operations)
{
    size_t size = sizeof(struct linearize_log) + operations * sizeof(struct history_operation);
    void *log = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return log != MAP_FAILED ? log : NULL;
}

void linearize_log_free(struct linearize_log *log, uint64_t operations)
{
    if (log != NULL) {
        munmap(log, sizeof *log + operations * sizeof log->operations[0]);
    }
}

void linearize_log_clear(struct linearize_log *log)
{
    atomic_store(&log->begun, 0);
    atomic_store(&log->ended, 0);
}

void linearize_play(struct linearize_worker *worker)
{
    struct linearize_run *run = worker->run;
    struct history_operation operation;
    for (uint64_t i = 0; i < run->operations && !stress_failed(); i++) {
        if (run->whole_odds != 0 && stress_random_below(&worker->random, run->whole_odds) == 0) {
            linearize_whole_perform(worker);
        }
        linearize_draw(worker, &operation);
        linearize_perform_logged(worker, &operation);
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
        const struct linearize_log *log = run->workers[i].log;
        for (size_t j = 0; j < log->begun; j++) {
            if (log->operations[j].key == key) {
                history_append(gathered, &log->operations[j]);
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

void linearize_judge(struct linearize_worker *worker, uint32_t key)
{
    struct linearize_run *run = worker->run;
    struct history *gathered = &worker->gathered;
    char name[LINEARIZE_KEY_CHARACTERS_MAX];
    linearize_key_encode(key, name);
    if (run->history != NULL) {
        gathered_write(worker, run->history, key);
    }
    switch (
        judge_key(stdout, gathered, name, gathered->operations, gathered->count, run->may_vanish)) {
    case LINEARIZABLE:
        break;
    case UNDECIDED:
        run->undecided++;
        break;
    case NOT_LINEARIZABLE:
        violation_write(worker, key);
        break;
    }
    run->checked += gathered->count;
    for (size_t i = 0; i < gathered->count; i++) {
        run->counts[gathered->operations[i].op]++;
        run->effective[gathered->operations[i].op] += had_effect(&gathered->operations[i]);
    }
}

/* Between two barriers: the others wait. */
static void round_begin(struct linearize_run *run)
{
    linearize_quiet_length_check(run);
    run->over = atomic_load(&run->stop) || stress_failed();
    run->round += !run->over;
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
        worker->whole_count = 0;
        linearize_log_clear(worker->log);
        linearize_play(worker);
        pthread_barrier_wait(&run->barrier);
        if (worker->index == 0) {
            linearize_quiet_length(run);
        }
        pthread_barrier_wait(&run->barrier);
        for (uint64_t key = worker->index; key < run->all_keys; key += run->threads) {
            gather(worker, (uint32_t)key);
            linearize_judge(worker, (uint32_t)key);
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
