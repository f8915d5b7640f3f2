/*
 * Flushes that are waited for by descriptors: threads, each with a notifier of its own as an event loop
 * has, submit numbered writes, ask to be told, and poll.  Meanwhile the disk fails and heals, notifiers
 * are given up with flushes under way, and at the end of each life the store is closed or
 * abandoned under the last of them.
 *
 * Every flush under way must complete: once, in the order of asking, and within PATIENCE_MS; and what
 * one said to be on disk must be there when the store is opened again.
 */
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/platform.h"
#include "persist/hooks.h"
#include "stress/fault_vfs.h"
#include "stress/options.h"
#include "stress/random.h"
#include "stress/verdict.h"

#define THREADS_MAX 16
/* Longer than any failure of the disk and its retries, on a loaded machine. */
#define PATIENCE_MS 20000
#define RETRIES_MS 5
#define UNDER_WAY_MAX 32
#define STEPS_OF_A_LIFE 400
#define SQLITE_FULL_CODE 13

struct parameters {
    uint64_t threads;
    uint64_t seconds;
    uint64_t seed;
    const char *path;
};

/* A flush that was asked for: what had been written before. */
struct asked {
    uint64_t token;
    uint64_t written;
};

struct loop {
    struct life *life;
    uint64_t index;
    struct stress_random random;
    dsq_notifier *notifier;
    uint64_t token;
    uint64_t written; /* the last number that was submitted */
    uint64_t durable; /* the last that is said to be on disk */
    struct asked under_way[UNDER_WAY_MAX];
    uint64_t first; /* of those under way, and how many there are */
    uint64_t count;
    uint64_t completed;
    uint64_t failed;
};

struct life {
    dsq_db *db;
    struct loop loops[THREADS_MAX];
    uint64_t threads;
    _Atomic uint64_t parked; /* threads that call the store no more */
    atomic_bool over;        /* the store is closed */
};

static size_t key_of(const struct loop *loop, char *key, size_t size)
{
    return (size_t)snprintf(key, size, "loop %" PRIu64, loop->index);
}

/* Whether an error is one that a failing disk may lead to. */
static bool is_disk_error(int status)
{
    return status == DSQ_ERR_FULL || status == DSQ_ERR_IO;
}

static void submit(struct loop *loop)
{
    char key[32];
    uint64_t number = loop->written + 1;
    int status =
        dsq_submit_put(loop->life->db, key, key_of(loop, key, sizeof key), &number, sizeof number);
    if (status == DSQ_OK) {
        loop->written = number;
    } else {
        stress_expect(loop->life->db, "dsq_submit_put", status,
                      status == DSQ_WOULD_BLOCK || is_disk_error(status));
    }
}

static void ask(struct loop *loop)
{
    if (loop->count == UNDER_WAY_MAX) {
        return;
    }
    int status = dsq_flush_notify(loop->life->db, loop->notifier, ++loop->token);
    if (status == DSQ_OK) {
        loop->durable = loop->written;
    } else if (status == DSQ_WOULD_BLOCK) {
        loop->under_way[(loop->first + loop->count++) % UNDER_WAY_MAX] =
            (struct asked){loop->token, loop->written};
    } else {
        stress_expect(loop->life->db, "dsq_flush_notify", status, is_disk_error(status));
    }
}

static void complete(struct loop *loop, const struct dsq_completion *completion)
{
    const struct asked *expected = &loop->under_way[loop->first % UNDER_WAY_MAX];
    int status = completion->error.status;
    if (loop->count == 0 || expected->token != completion->token) {
        stress_violation("loop %" PRIu64 ": token %" PRIu64 " completed, expected was %" PRIu64,
                         loop->index, completion->token, loop->count == 0 ? 0 : expected->token);
        return;
    }
    if (status == DSQ_OK) {
        loop->durable = expected->written;
    } else if (!is_disk_error(status) && status != DSQ_ERR_CLOSED) {
        stress_violation("loop %" PRIu64 ": a flush ended with %s", loop->index,
                         completion->error.message);
    }
    loop->failed += status != DSQ_OK;
    loop->completed++;
    loop->first++;
    loop->count--;
}

static void take(struct loop *loop)
{
    struct dsq_completion completions[4];
    size_t count = 4;
    while (count == 4) {
        count = dsq_notifier_take(loop->notifier, completions, 4);
        for (size_t i = 0; i < count; i++) {
            complete(loop, &completions[i]);
        }
    }
}

/* Polls until fewer than `most` are under way. */
static void await_fewer_than(struct loop *loop, uint64_t most)
{
    while (loop->count >= most && !stress_failed()) {
        struct pollfd polled = {.fd = dsq_notifier_descriptor(loop->notifier), .events = POLLIN};
        if (poll(&polled, 1, PATIENCE_MS) != 1) {
            stress_violation("loop %" PRIu64 ": %" PRIu64 " flushes have not completed in %d ms",
                             loop->index, loop->count, PATIENCE_MS);
            return;
        }
        take(loop);
    }
}

/* As a loop that is closed: nobody is told of what is under way. */
static void renew_notifier(struct loop *loop)
{
    dsq_notifier_destroy(loop->notifier);
    loop->count = 0;
    if (dsq_notifier_new(&loop->notifier) != DSQ_OK) {
        fprintf(stderr, "no notifier\n");
        exit(2);
    }
}

/* What is seen in writethrough mode is on disk: a read waits for what nobody has flushed. */
static void look(struct loop *loop)
{
    char key[32];
    void *value = NULL;
    size_t size = 0;
    int status = dsq_get(loop->life->db, key, key_of(loop, key, sizeof key), &value, &size);
    stress_expect(loop->life->db, "dsq_get", status,
                  status == DSQ_OK || status == DSQ_ABSENT || is_disk_error(status));
    dsq_free(value);
}

static void step(struct loop *loop)
{
    uint64_t chance = stress_random_below(&loop->random, 100);
    uint64_t writes = 1 + stress_random_below(&loop->random, 8);
    for (uint64_t i = 0; i < writes; i++) {
        submit(loop);
    }
    if (chance < 90) {
        ask(loop);
    }
    if (chance < 50) {
        await_fewer_than(loop, 1 + stress_random_below(&loop->random, 4));
    } else if (chance < 55) {
        look(loop);
    } else if (chance < 57) {
        renew_notifier(loop);
    } else if (chance < 65) {
        sched_yield();
    }
}

static void *loop_main(void *argument)
{
    struct loop *loop = argument;
    struct life *life = loop->life;
    for (int i = 0; i < STEPS_OF_A_LIFE && !stress_failed(); i++) {
        step(loop);
    }
    atomic_fetch_add(&life->parked, 1);
    while (!atomic_load(&life->over)) {
        sched_yield();
    }
    await_fewer_than(loop, 1);
    dsq_notifier_destroy(loop->notifier);
    return NULL;
}

static void start(struct life *life, pthread_t *threads, const struct parameters *parameters,
                  uint64_t number)
{
    life->threads = parameters->threads;
    for (uint64_t i = 0; i < life->threads; i++) {
        struct loop *loop = &life->loops[i];
        *loop = (struct loop){.life = life, .index = i};
        loop->random.state = stress_mix3(parameters->seed, number, i);
        renew_notifier(loop);
        if (pthread_create(&threads[i], NULL, loop_main, loop) != 0) {
            fprintf(stderr, "cannot start loop %" PRIu64 "\n", i);
            exit(2);
        }
    }
}

/* Lets the disk fail for a while and heal, until every thread is parked. */
static void disturb(struct life *life, struct stress_random *random)
{
    static const enum fault_call calls[] = {FAULT_SYNC, FAULT_WRITE};
    while (atomic_load(&life->parked) < life->threads) {
        uint64_t until_ns =
            dsq_now_ns() + stress_random_below(random, 2 * RETRIES_MS + 5) * DSQ_NS_PER_MS;
        fault_vfs_plan(&(struct fault_plan){.call = calls[stress_random_below(random, 2)],
                                            .nth = 1 + stress_random_below(random, 20),
                                            .for_ever = stress_random_below(random, 2) == 0,
                                            .code = SQLITE_FULL_CODE});
        while (dsq_now_ns() < until_ns) {
            sched_yield();
        }
        fault_vfs_heal();
        int status = dsq_resume(life->db);
        stress_expect(life->db, "dsq_resume", status, status == DSQ_OK || is_disk_error(status));
    }
}

/* Gives the store up under the flushes that are under way. */
static void end(struct life *life, bool close)
{
    if (close) {
        int status = dsq_close(life->db);
        stress_expect(life->db, "dsq_close", status, status == DSQ_OK);
    } else {
        dsq_abandon(life->db);
    }
    atomic_store(&life->over, true);
}

static void check(const struct life *life, const char *path)
{
    dsq_db *db = NULL;
    if (!stress_expect(NULL, "dsq_open", dsq_open(path, NULL, &db), true) || db == NULL) {
        stress_violation("the store cannot be opened again");
        return;
    }
    for (uint64_t i = 0; i < life->threads; i++) {
        const struct loop *loop = &life->loops[i];
        char key[32];
        uint64_t *number = NULL;
        size_t size = 0;
        int status = dsq_get(db, key, key_of(loop, key, sizeof key), (void **)&number, &size);
        uint64_t stored = status == DSQ_OK ? *number : 0;
        dsq_free(number);
        if (stored < loop->durable || stored > loop->written) {
            stress_violation("loop %" PRIu64 ": %" PRIu64 " is stored, %" PRIu64
                             " was said to be on disk, %" PRIu64 " was written",
                             i, stored, loop->durable, loop->written);
        }
    }
    dsq_close(db);
}

static void live(const struct parameters *parameters, uint64_t number, uint64_t *completed,
                 uint64_t *failed)
{
    static struct life life;
    pthread_t threads[THREADS_MAX];
    struct stress_random random = {.state = stress_mix3(parameters->seed, number, 99)};
    struct dsq_options options = {
        .persist_mode =
            stress_random_below(&random, 3) == 0 ? DSQ_MODE_LAZY : DSQ_MODE_WRITETHROUGH,
        .hot_capacity = 1000,
    };
    char command[600];
    snprintf(command, sizeof command, "rm -f '%s' '%s-wal' '%s-shm'", parameters->path,
             parameters->path, parameters->path);
    if (system(command) != 0) {
        exit(2);
    }
    life = (struct life){0};
    if (dsq_open(parameters->path, &options, &life.db) != DSQ_OK) {
        stress_violation("the store cannot be opened");
        return;
    }
    start(&life, threads, parameters, number);
    disturb(&life, &random);
    end(&life, stress_random_below(&random, 2) == 0);
    for (uint64_t i = 0; i < life.threads; i++) {
        pthread_join(threads[i], NULL);
        *completed += life.loops[i].completed;
        *failed += life.loops[i].failed;
    }
    if (!stress_failed()) {
        check(&life, parameters->path);
    }
}

int main(int argc, char **argv)
{
    char scratch[] = "/tmp/dictsqlite-notify-XXXXXX";
    char path[sizeof scratch + 16];
    struct parameters parameters = {.threads = 4, .seconds = 5};
    const struct stress_option options[] = {
        {"threads", STRESS_NUMBER, &parameters.threads, "loops"},
        {"seconds", STRESS_NUMBER, &parameters.seconds, "how long"},
        {"seed", STRESS_NUMBER, &parameters.seed, "of all random choices; 0: a fresh one"},
    };
    size_t option_count = sizeof options / sizeof options[0];
    uint64_t completed = 0, failed = 0, lives = 0;
    if (!stress_options_parse(argc, argv, options, option_count) || parameters.threads == 0 ||
        parameters.threads > THREADS_MAX) {
        return 2;
    }
    stress_seed_choose(&parameters.seed);
    stress_options_print_replay(argv[0], options, option_count);
    if (mkdtemp(scratch) == NULL || !fault_vfs_install()) {
        return 2;
    }
    snprintf(path, sizeof path, "%s/notify.db", scratch);
    parameters.path = path;
    dsq_hooks.patience_ms = RETRIES_MS;
    uint64_t end_ns = dsq_now_ns() + parameters.seconds * DSQ_NS_PER_S;
    while (dsq_now_ns() < end_ns && !stress_failed()) {
        live(&parameters, lives++, &completed, &failed);
    }
    printf("%" PRIu64 " lives, %" PRIu64 " flushes completed, %" PRIu64 " of them with an error\n",
           lives, completed, failed);
    char command[sizeof scratch + 16];
    snprintf(command, sizeof command, "rm -rf %s", scratch);
    return system(command) == 0 ? stress_verdict() : 2;
}
