#include "stress/linearize_kill.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/platform.h"
#include "stress/cut.h"
#include "stress/linearize_life.h"
#include "stress/linearize_operation.h"
#include "stress/verdict.h"

#define LIVES 5
/* One life in so many is killed while the file is being opened. */
#define KILL_IN_OPEN_ODDS 6
#define OPEN_US 6000
#define OPEN_TIMEOUT_S 60
#define POLL_US 200

struct killer {
    const struct linearize_kill *kill;
    struct linearize_run *run;
    struct linearize_life life;
    struct stress_random random;
    struct history whole;        /* writethrough: of all lives in this round */
    struct cut_life last;        /* lazy: the last life that came to work */
    bool last_waits;             /* for what is found after it */
    struct history_value *found; /* by key, when the file was opened */
    uint64_t kills;
    uint64_t kills_before_ready;
    uint64_t left_open; /* operations under way at a death */
};

static void sleep_us(uint64_t us)
{
    struct timespec rest = {.tv_sec = (time_t)(us / 1000000),
                            .tv_nsec = (long)(us % 1000000) * 1000};
    nanosleep(&rest, NULL);
}

static void wait_until_ready(struct killer *killer)
{
    time_t deadline = time(NULL) + OPEN_TIMEOUT_S;
    while (!atomic_load(&killer->life.page->ready) && !atomic_load(&killer->life.page->failed) &&
           time(NULL) < deadline) {
        sleep_us(POLL_US);
    }
}

static pid_t life_start(struct killer *killer, bool closes)
{
    killer->life.number++;
    killer->life.closes = closes;
    linearize_life_clear(&killer->life);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        linearize_life_live(&killer->life);
    }
    if (pid < 0) {
        stress_violation("fork: %s", strerror(errno));
    }
    return pid;
}

static bool life_kill(struct killer *killer, pid_t pid)
{
    int status = 0;
    kill(pid, SIGKILL);
    if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL ||
        atomic_load(&killer->life.page->failed)) {
        stress_violation("a process ended by itself, with wait status %d", status);
        return false;
    }
    killer->kills++;
    killer->kills_before_ready += !atomic_load(&killer->life.page->ready);
    return true;
}

/* What a log holds, with what was under way as unknown. */
static void log_collect(struct killer *killer, const struct linearize_log *log,
                        struct history *history)
{
    uint64_t begun = atomic_load(&log->begun);
    uint64_t ended = atomic_load(&log->ended);
    for (uint64_t i = 0; i < begun; i++) {
        struct history_operation operation = log->operations[i];
        if (i >= ended) {
            operation.outcome = HISTORY_UNKNOWN;
            operation.back = UINT64_MAX;
            killer->left_open++;
        }
        history_append(history, &operation);
    }
}

static void key_gather(const struct history *history, uint32_t key, struct history *gathered)
{
    gathered->count = 0;
    for (size_t i = 0; i < history->count; i++) {
        if (history->operations[i].key == key) {
            history_append(gathered, &history->operations[i]);
        }
    }
}

/* Judges the last life that worked, now that is known what was found after it. */
static void last_judge(struct killer *killer)
{
    struct linearize_worker *judge = &killer->run->workers[0];
    if (!killer->last_waits) {
        return;
    }
    uint64_t horizon = cut_horizon(&killer->last, killer->found);
    for (uint32_t key = 0; key < killer->run->all_keys && !stress_failed(); key++) {
        if (cut_gather(&killer->last, key, killer->found[key], horizon, &judge->gathered)) {
            linearize_judge(judge, key);
        }
    }
    killer->last_waits = false;
}

static void whole_judge(struct killer *killer)
{
    struct linearize_worker *judge = &killer->run->workers[0];
    for (uint32_t key = 0; key < killer->run->all_keys && !stress_failed(); key++) {
        key_gather(&killer->whole, key, &judge->gathered);
        linearize_judge(judge, key);
    }
}

static void found_note(struct killer *killer)
{
    for (uint64_t i = 0; i < killer->run->all_keys; i++) {
        killer->found[i] = killer->life.reader.log->operations[i].output;
    }
}

static void life_collect(struct killer *killer, uint64_t killed)
{
    bool lazy = killer->life.flushes;
    struct history *history = lazy ? &killer->last.history : &killer->whole;
    if (!lazy) {
        log_collect(killer, killer->life.reader.log, history);
    }
    if (!atomic_load(&killer->life.page->ready)) {
        return;
    }
    if (lazy) {
        found_note(killer);
        last_judge(killer);
        history->count = 0;
        memcpy(killer->last.before, killer->found, killer->run->all_keys * sizeof *killer->found);
        killer->last.flushed = atomic_load(&killer->life.page->flushed);
        killer->last.killed = killed;
        killer->last_waits = !killer->life.closes;
    }
    for (uint64_t i = 0; i < killer->run->threads; i++) {
        log_collect(killer, killer->run->workers[i].log, history);
    }
}

/* A process that is killed while it opens the file, or at work. */
static bool life_run(struct killer *killer)
{
    pid_t pid = life_start(killer, false);
    if (pid < 0) {
        return false;
    }
    if (stress_random_below(&killer->random, KILL_IN_OPEN_ODDS) == 0) {
        sleep_us(stress_random_below(&killer->random, OPEN_US));
    } else {
        wait_until_ready(killer);
        sleep_us(stress_random_below(&killer->random, killer->kill->work_us));
    }
    if (!life_kill(killer, pid)) {
        return false;
    }
    life_collect(killer, dsq_now_ns());
    return true;
}

/* The last process of a round looks at every key and removes it. */
static bool round_close(struct killer *killer)
{
    int status = 0;
    pid_t pid = life_start(killer, true);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        stress_violation("the process that closes a round ended with wait status %d", status);
        return false;
    }
    life_collect(killer, dsq_now_ns());
    return true;
}

static void round_run(struct killer *killer)
{
    killer->run->round++;
    killer->whole.count = 0;
    for (int i = 0; i < LIVES && !stress_failed(); i++) {
        if (!life_run(killer)) {
            return;
        }
    }
    if (!stress_failed() && round_close(killer) && !killer->life.flushes) {
        whole_judge(killer);
    }
}

static void killer_free(struct killer *killer)
{
    history_free(&killer->whole);
    history_free(&killer->last.history);
    free(killer->last.before);
    free(killer->found);
    linearize_log_free(killer->life.reader.log, killer->run->all_keys);
    if (killer->life.page != MAP_FAILED) {
        munmap(killer->life.page, sizeof *killer->life.page);
    }
}

static bool killer_make(struct killer *killer)
{
    struct linearize_run *run = killer->run;
    killer->random.state = stress_mix3(run->seed, 0, 13);
    killer->life.page = mmap(NULL, sizeof *killer->life.page, PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    killer->life.reader =
        (struct linearize_worker){.run = run, .log = linearize_log_new(run->all_keys)};
    killer->last.keys = run->all_keys;
    killer->last.before = calloc(run->all_keys, sizeof *killer->last.before);
    killer->found = calloc(run->all_keys, sizeof *killer->found);
    return killer->life.page != MAP_FAILED && killer->life.reader.log != NULL &&
           killer->last.before != NULL && killer->found != NULL;
}

bool linearize_kill_run(const struct linearize_kill *kill)
{
    struct killer killer = {
        .kill = kill,
        .run = kill->run,
        .life = {.run = kill->run,
                 .config = kill->config,
                 .flushes = kill->config.mode == DSQ_MODE_LAZY},
    };
    time_t end = time(NULL) + (time_t)kill->seconds;
    bool made = killer_make(&killer);
    while (made && time(NULL) < end && !stress_failed()) {
        round_run(&killer);
    }
    printf("%" PRIu64 " kills in %" PRIu64 " rounds, %" PRIu64
           " of them before the file was open; %" PRIu64 " operations were under way\n",
           killer.kills, kill->run->round, killer.kills_before_ready, killer.left_open);
    killer_free(&killer);
    return made;
}
