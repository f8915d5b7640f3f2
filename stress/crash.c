/*
 * kill -9 in a loop: a writer process (this program again) works on a file with several threads and
 * notes on a shared page what it began and what was acknowledged; this process kills it after some
 * milliseconds of work, or while it opens the file, or it kills itself at a named stage of a commit,
 * a fold or a recovery (persist/hooks.h); sometimes another one is killed during the recovery.  Then
 * this process opens the file itself and compares it with the page.  The next round goes on with the
 * same file.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "persist/hooks.h"
#include "stress/crash_judge.h"
#include "stress/crash_writer.h"
#include "stress/options.h"
#include "stress/password.h"
#include "stress/random.h"
#include "stress/stored.h"
#include "stress/verdict.h"

#define WRITER_ARGUMENT "--as-writer"
#define WORK_US 20000
#define OPEN_US 6000
/* One round in so many kills while the file is being opened, and so many in the recovery too. */
#define KILL_IN_OPEN_ODDS 6
#define KILL_IN_RECOVERY_ODDS 4
/* Every second round the writer kills itself, at one of so many passages of a stage. */
#define KILL_COUNT_MAX 8
#define KILL_TIMEOUT_US 300000
#define OPEN_TIMEOUT_S 60

struct parameters {
    uint64_t rounds;
    uint64_t threads;
    uint64_t seed;
    uint64_t capacity;
    uint64_t encrypt;
    int mode;
    const char *path;
};

struct harness {
    struct crash_page *page;
    int page_fd;
    const char *path;
    struct stress_random random;
    uint64_t kills;
    uint64_t kills_before_open; /* of writers whose dsq_open had not returned */
    uint64_t kills_at[DSQ_STAGES];
};

static void sleep_us(uint64_t us)
{
    struct timespec pause = {.tv_sec = (time_t)(us / 1000000),
                             .tv_nsec = (long)(us % 1000000) * 1000};
    nanosleep(&pause, NULL);
}

static struct crash_page *page_map(int fd)
{
    void *page = mmap(NULL, sizeof(struct crash_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return page == MAP_FAILED ? NULL : page;
}

static struct crash_page *page_new(const struct parameters *parameters, int *fd)
{
    *fd = memfd_create("crash page", 0);
    if (*fd < 0 || ftruncate(*fd, sizeof(struct crash_page)) != 0) {
        return NULL;
    }
    struct crash_page *page = page_map(*fd);
    if (page != NULL) {
        page->seed = parameters->seed;
        page->threads = parameters->threads;
        page->capacity = parameters->capacity;
        page->mode = parameters->mode;
        page->encrypt = parameters->encrypt;
        page->kill_stage = -1;
    }
    return page;
}

static void kill_at_stage(void *context, enum dsq_stage stage)
{
    struct crash_page *page = context;
    if ((int)stage == page->kill_stage && --page->kill_count == 0) {
        kill(getpid(), SIGKILL);
    }
}

/* The other side of writer_start. */
static int writer_main(char **arguments)
{
    struct crash_page *page = page_map((int)strtol(arguments[0], NULL, 10));
    bool open_only = strcmp(arguments[1], "open") == 0;
    if (page != NULL && page->kill_stage >= 0) {
        dsq_hooks = (struct dsq_hooks){.stage = kill_at_stage, .context = page};
    }
    return page != NULL ? crash_writer_run(page, arguments[2], open_only) : 1;
}

static pid_t writer_start(struct harness *harness, bool open_only)
{
    char fd[16];
    snprintf(fd, sizeof fd, "%d", harness->page_fd);
    pid_t pid = fork();
    if (pid == 0) {
        execl("/proc/self/exe", "crash", WRITER_ARGUMENT, fd, open_only ? "open" : "work",
              harness->path, (char *)NULL);
        _exit(127);
    }
    return pid;
}

/* False if the writer had ended by itself, which it does only after an error. */
static bool writer_kill(struct harness *harness, pid_t pid)
{
    int status = 0;
    kill(pid, SIGKILL);
    if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL ||
        atomic_load(&harness->page->failed)) {
        stress_violation("the writer process ended by itself, with wait status %d", status);
        return false;
    }
    harness->kills++;
    return true;
}

static void wait_until_open(struct harness *harness)
{
    time_t deadline = time(NULL) + OPEN_TIMEOUT_S;
    while (!atomic_load(&harness->page->opened) && !atomic_load(&harness->page->failed) &&
           time(NULL) < deadline) {
        sleep_us(200);
    }
}

/* Whether it has killed itself within the time it is given. */
static bool writer_killed_itself(pid_t pid)
{
    for (uint64_t us = 0; us < KILL_TIMEOUT_US; us += 200) {
        siginfo_t info = {.si_pid = 0};
        if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0) {
            return true;
        }
        sleep_us(200);
    }
    return false;
}

/* A writer that kills itself at a stage, or is killed where it does not come by there. */
static bool kill_at_a_stage(struct harness *harness)
{
    struct crash_page *page = harness->page;
    page->kill_stage = (int)stress_random_below(&harness->random, DSQ_STAGE_RECOVERING);
    page->kill_count = 1 + stress_random_below(&harness->random, KILL_COUNT_MAX);
    pid_t pid = writer_start(harness, false);
    if (pid < 0) {
        stress_violation("fork: %s", strerror(errno));
        return false;
    }
    if (writer_killed_itself(pid)) {
        harness->kills_at[page->kill_stage]++;
    }
    bool killed = writer_kill(harness, pid);
    harness->kills_before_open += !atomic_load(&page->opened);
    page->kill_stage = -1;
    return killed;
}

static bool kill_in_work(struct harness *harness)
{
    pid_t pid = writer_start(harness, false);
    if (pid < 0) {
        stress_violation("fork: %s", strerror(errno));
        return false;
    }
    if (stress_random_below(&harness->random, KILL_IN_OPEN_ODDS) == 0) {
        sleep_us(stress_random_below(&harness->random, OPEN_US));
    } else {
        wait_until_open(harness);
        sleep_us(stress_random_below(&harness->random, WORK_US));
    }
    bool killed = writer_kill(harness, pid);
    harness->kills_before_open += !atomic_load(&harness->page->opened);
    return killed;
}

static bool kill_in_recovery(struct harness *harness)
{
    if (stress_random_below(&harness->random, KILL_IN_RECOVERY_ODDS) != 0) {
        return true;
    }
    struct crash_page *page = harness->page;
    bool at_stage = stress_random_below(&harness->random, 2) == 0;
    page->kill_stage = at_stage ? DSQ_STAGE_RECOVERING : -1;
    page->kill_count = 1 + stress_random_below(&harness->random, 3);
    pid_t pid = writer_start(harness, true);
    if (at_stage && writer_killed_itself(pid)) {
        harness->kills_at[DSQ_STAGE_RECOVERING]++;
    }
    sleep_us(at_stage ? 0 : stress_random_below(&harness->random, OPEN_US));
    page->kill_stage = -1;
    return pid > 0 && writer_kill(harness, pid);
}

static void rounds_run(struct harness *harness, struct crash_judge *judge, uint64_t rounds)
{
    struct timespec start, end;
    uint64_t round = 0;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (; round < rounds; round++) {
        crash_judge_begin_round(judge, round);
        bool at_stage = round % 2 == 1;
        if (!(at_stage ? kill_at_a_stage(harness) : kill_in_work(harness)) ||
            !kill_in_recovery(harness) || !crash_judge_verify(judge)) {
            fprintf(stderr, "in round %" PRIu64 "; the file is %s\n", round, harness->path);
            break;
        }
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    double seconds =
        (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
    printf("%" PRIu64 " rounds, %" PRIu64 " kills (%" PRIu64
           " before open had returned), %.1f kills a second\n",
           round, harness->kills, harness->kills_before_open, (double)harness->kills / seconds);
    printf("of them by itself after drain %" PRIu64 ", before COMMIT %" PRIu64 ", after it %" PRIu64
           ", after waking %" PRIu64 ", in a slice %" PRIu64 ", after one %" PRIu64
           ", after a fold %" PRIu64 ", at a checkpoint %" PRIu64 ", in recovery %" PRIu64 "\n",
           harness->kills_at[DSQ_STAGE_DRAINED], harness->kills_at[DSQ_STAGE_BEFORE_COMMIT],
           harness->kills_at[DSQ_STAGE_COMMITTED], harness->kills_at[DSQ_STAGE_ACKNOWLEDGED],
           harness->kills_at[DSQ_STAGE_FOLDING], harness->kills_at[DSQ_STAGE_SLICED],
           harness->kills_at[DSQ_STAGE_FOLDED], harness->kills_at[DSQ_STAGE_CHECKPOINT],
           harness->kills_at[DSQ_STAGE_RECOVERING]);
    printf("%" PRIu64 " promised writes, all in force after their kill; %" PRIu64
           " more in force though not yet promised\n",
           judge->survived, judge->unacknowledged);
}

static int harness_run(struct parameters *parameters)
{
    char directory[] = "/tmp/dictsqlite-crash-XXXXXX";
    char path[sizeof directory + sizeof "/crash.db"] = "";
    struct harness harness = {.path = parameters->path};
    struct crash_judge judge;
    if (harness.path == NULL) {
        if (mkdtemp(directory) == NULL) {
            perror("mkdtemp");
            return 2;
        }
        snprintf(path, sizeof path, "%s/crash.db", directory);
        harness.path = path;
    }
    harness.random.state = parameters->seed;
    harness.page = page_new(parameters, &harness.page_fd);
    if (harness.page == NULL ||
        !crash_judge_init(&judge, harness.page, harness.path, parameters->rounds)) {
        perror("the shared page");
        return 2;
    }
    rounds_run(&harness, &judge, parameters->rounds);
    if (!stress_failed() && stored_integrity(harness.path) && parameters->path == NULL) {
        stored_remove(path);
        rmdir(directory);
    }
    crash_judge_fini(&judge);
    return stress_verdict();
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], WRITER_ARGUMENT) == 0) {
        return writer_main(argv + 2);
    }
    struct parameters parameters = {
        .rounds = 20, .threads = 4, .capacity = 32, .mode = DSQ_MODE_WRITETHROUGH};
    const struct stress_option options[] = {
        {"rounds", STRESS_NUMBER, &parameters.rounds, "kills of a writer at work"},
        {"threads", STRESS_NUMBER, &parameters.threads, "threads of the writer"},
        {"seed", STRESS_NUMBER, &parameters.seed, "of all random choices; 0: a fresh one"},
        {"capacity", STRESS_NUMBER, &parameters.capacity, "hot records, or unbounded"},
        {"encrypt", STRESS_NUMBER, &parameters.encrypt, STRESS_ENCRYPT_MEANING},
        {"mode", STRESS_MODE, &parameters.mode, "writethrough or lazy"},
        {"path", STRESS_TEXT, &parameters.path, "a file that does not exist"},
    };
    size_t option_count = sizeof options / sizeof options[0];
    if (!stress_options_parse(argc, argv, options, option_count) || parameters.threads == 0 ||
        parameters.threads > CRASH_THREADS_MAX || parameters.rounds == 0 ||
        parameters.mode == DSQ_MODE_MEMORY) {
        return 2;
    }
    stress_seed_choose(&parameters.seed);
    stress_options_print_replay(argv[0], options, option_count);
    return harness_run(&parameters);
}
