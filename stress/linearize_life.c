#include "stress/linearize_life.h"

#include <unistd.h>

#include "core/platform.h"
#include "stress/linearize_operation.h"
#include "stress/verdict.h"

#define FLUSH_ODDS 64

struct life_thread {
    struct linearize_life *life;
    struct linearize_worker *worker;
};

void linearize_life_clear(struct linearize_life *life)
{
    atomic_store(&life->page->ready, false);
    atomic_store(&life->page->failed, false);
    atomic_store(&life->page->flushed, 0);
    linearize_log_clear(life->reader.log);
    for (uint64_t i = 0; i < life->run->threads; i++) {
        linearize_log_clear(life->run->workers[i].log);
    }
}

static void raise(_Atomic uint64_t *number, uint64_t to)
{
    uint64_t seen = atomic_load(number);
    while (seen < to && !atomic_compare_exchange_weak(number, &seen, to)) {
    }
}

static void flush(struct linearize_life *life)
{
    uint64_t call = dsq_now_ns();
    if (life->run->ops->flush(life->run->map, -1) == MAP_OK) {
        raise(&life->page->flushed, call);
    }
}

static void *thread_main(void *argument)
{
    struct life_thread *thread = argument;
    struct linearize_worker *worker = thread->worker;
    struct linearize_run *run = worker->run;
    run->ops->thread_enter(run->map);
    for (uint64_t i = 0; i < run->operations && !stress_failed(); i++) {
        struct history_operation operation;
        if (thread->life->flushes && stress_random_below(&worker->random, FLUSH_ODDS) == 0) {
            flush(thread->life);
        }
        linearize_draw(worker, &operation);
        linearize_perform_logged(worker, &operation);
    }
    run->ops->thread_exit(run->map);
    return NULL;
}

/* Seeds and values must differ from those of the lives before. */
static void worker_prepare(struct linearize_life *life, struct linearize_worker *worker)
{
    struct linearize_run *run = life->run;
    worker->random.state = stress_mix3(run->seed, life->number, worker->index);
    worker->values = life->number * run->operations;
    worker->process = (uint32_t)(life->number * run->threads + worker->index);
}

static void work(struct linearize_life *life)
{
    struct life_thread threads[LINEARIZE_THREADS_MAX];
    pthread_t ids[LINEARIZE_THREADS_MAX];
    for (uint64_t i = 0; i < life->run->threads; i++) {
        threads[i] = (struct life_thread){life, &life->run->workers[i]};
        worker_prepare(life, threads[i].worker);
        if (pthread_create(&ids[i], NULL, thread_main, &threads[i]) != 0) {
            stress_violation("cannot start a thread");
            return;
        }
    }
    for (uint64_t i = 0; i < life->run->threads; i++) {
        pthread_join(ids[i], NULL);
    }
}

static void perform_all(struct linearize_life *life, enum history_op op)
{
    for (uint64_t key = 0; key < life->run->all_keys; key++) {
        struct history_operation operation = {.op = op, .key = (uint32_t)key};
        if (op == HISTORY_GET) {
            linearize_perform_logged(&life->reader, &operation);
        } else {
            linearize_perform(&life->reader, &operation);
        }
    }
}

void linearize_life_live(struct linearize_life *life)
{
    struct linearize_run *run = life->run;
    worker_prepare(life, &life->reader);
    run->map = run->ops->create(&life->config);
    if (run->map != NULL) {
        perform_all(life, HISTORY_GET);
        atomic_store(&life->page->ready, true);
        if (life->closes) {
            perform_all(life, HISTORY_DELETE);
            run->ops->destroy(run->map);
            _exit(stress_failed());
        }
        work(life);
    }
    while (run->map != NULL && !stress_failed()) {
        pause();
    }
    atomic_store(&life->page->failed, true);
    _exit(1);
}
