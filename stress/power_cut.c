/*
 * Loss of power: several threads work on a store over a file system that logs what is written and what
 * is synced.  For each point between two of these events (or a sample), what could be on disk then
 * is made, opened, and compared with what had been promised by then, and with a replay of
 * the records numbered so far.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/platform.h"
#include "persist/hooks.h"
#include "stress/crash_judge.h"
#include "stress/crash_writer.h"
#include "stress/fault_vfs.h"
#include "stress/options.h"
#include "stress/password.h"
#include "stress/power_image.h"
#include "stress/random.h"
#include "stress/stored.h"
#include "stress/verdict.h"

struct parameters {
    uint64_t rounds;
    uint64_t threads;
    uint64_t seed;
    uint64_t capacity;
    uint64_t events;
    uint64_t images;
    uint64_t normal;
    uint64_t encrypt;
    int mode;
};

/* The records in the order of their numbers, which begin at 1. */
struct trace_entry {
    uint64_t thread;
    uint64_t key;
    bool is_delete;
    size_t size;
    unsigned char *value;
};

struct trace {
    struct trace_entry *entries;
    size_t count;
    size_t capacity;
};

struct round {
    struct crash_page page;
    struct trace trace;
    struct fault_log log;
    struct power_base base;
    struct stress_random random;
    char directory[64];
    char path[128];
    char image[128];
};

static struct {
    uint64_t cuts;
    uint64_t images;
} visited;

static void trace_add(void *context, uint64_t number, const struct dsq_record *record)
{
    struct trace *trace = context;
    struct dsq_bytes key = dsq_record_key(record);
    struct dsq_bytes value = dsq_record_value(record);
    struct trace_entry entry = {.is_delete = record->kind == DSQ_RECORD_TOMBSTONE,
                                .size = value.size};
    char name[CRASH_KEY_BYTES + 1] = "";
    memcpy(name, key.data, key.size < CRASH_KEY_BYTES ? key.size : CRASH_KEY_BYTES);
    if (number != trace->count + 1 || !crash_key_decode(name, &entry.thread, &entry.key)) {
        stress_violation("record %" PRIu64 " comes after %zu others, or has a strange key", number,
                         trace->count);
        return;
    }
    if (trace->count == trace->capacity) {
        trace->capacity = trace->capacity != 0 ? 2 * trace->capacity : 4096;
        trace->entries = realloc(trace->entries, trace->capacity * sizeof *trace->entries);
    }
    entry.value = malloc(value.size + 1);
    memcpy(entry.value, value.data, value.size);
    trace->entries[trace->count++] = entry;
}

static void trace_fini(struct trace *trace)
{
    for (size_t i = 0; i < trace->count; i++) {
        free(trace->entries[i].value);
    }
    free(trace->entries);
}

/* What has been promised, and begun, by now. */
static void *witness(void *context)
{
    const struct crash_page *page = context;
    struct crash_page *copy = calloc(1, sizeof *copy);
    copy->seed = page->seed;
    copy->threads = page->threads;
    copy->capacity = page->capacity;
    copy->mode = page->mode;
    copy->encrypt = page->encrypt;
    for (uint64_t i = 0; i < page->threads; i++) {
        const struct crash_thread *from = &page->thread[i];
        struct crash_thread *to = &copy->thread[i];
        atomic_store(&to->acked, atomic_load(&from->acked));
        atomic_store(&to->flushed, atomic_load(&from->flushed));
        atomic_store(&to->read, atomic_load(&from->read));
        atomic_store(&to->invoked, atomic_load(&from->invoked));
    }
    if (page->synchronous == DSQ_SYNCHRONOUS_NORMAL) {
        /* Nothing is promised to survive a loss of power; what does is still a consistent cut. */
        copy->mode = DSQ_MODE_LAZY;
        for (uint64_t i = 0; i < page->threads; i++) {
            atomic_store(&copy->thread[i].flushed, 0);
        }
    }
    return copy;
}

/* The file's content against the first `seq` records of the trace. */
static bool replay_matches(const struct round *round, dsq_db *db, uint64_t seq)
{
    static const struct trace_entry *last[CRASH_THREADS_MAX][CRASH_THREAD_KEYS];
    memset(last, 0, sizeof last);
    if (seq > round->trace.count) {
        stress_violation("the file says that it holds %" PRIu64 " records, %zu were numbered", seq,
                         round->trace.count);
        return false;
    }
    for (uint64_t i = 0; i < seq; i++) {
        const struct trace_entry *entry = &round->trace.entries[i];
        last[entry->thread][entry->key] = entry->is_delete ? NULL : entry;
    }
    for (uint64_t i = 0; i < round->page.threads * CRASH_THREAD_KEYS; i++) {
        uint64_t thread = i / CRASH_THREAD_KEYS;
        uint64_t key = i % CRASH_THREAD_KEYS;
        const struct trace_entry *entry = last[thread][key];
        char name[CRASH_KEY_BYTES];
        void *bytes = NULL;
        size_t size = 0;
        int status = dsq_get(db, name, crash_key_encode(thread, key, name), &bytes, &size);
        bool good = entry == NULL ? status == DSQ_ABSENT
                                  : status == DSQ_OK && size == entry->size &&
                                        memcmp(bytes, entry->value, size) == 0;
        dsq_free(bytes);
        if (!good) {
            stress_violation("thread %" PRIu64 " key %" PRIu64 " is not what the first %" PRIu64
                             " records leave",
                             thread, key, seq);
            return false;
        }
    }
    return true;
}

static bool replay_holds(const struct round *round)
{
    struct dsq_stats stats;
    dsq_db *db;
    if (crash_database_open(&round->page, round->image, &db) != DSQ_OK) {
        return false;
    }
    dsq_stats(db, &stats);
    bool good = replay_matches(round, db, stats.seq);
    int status = dsq_close(db);
    return stress_expect(db, "dsq_close", status, status == DSQ_OK) && good;
}

static bool image_judge(struct round *round, size_t cut, enum power_subset subset)
{
    struct crash_judge judge;
    struct crash_page *page = round->log.events[cut].witness;
    if (!power_image_write(&round->base, &round->log, cut, subset, &round->random, round->image) ||
        !crash_judge_init(&judge, page, round->image, 1)) {
        return false;
    }
    visited.images++;
    bool good = replay_holds(round) && stored_integrity(round->image) && crash_judge_verify(&judge);
    crash_judge_fini(&judge);
    if (!good) {
        static const char *const names[] = {"nothing", "all", "some"};
        fprintf(stderr, "cut before event %zu of %zu, with %s of what was not synced\n", cut,
                round->log.count, names[subset]);
    }
    return good;
}

/* Where there are images enough each cut, with nothing, with all, and with some of what was not synced. */
static void images_judge(struct round *round, uint64_t images)
{
    size_t count = round->log.count;
    bool each = images >= count;
    for (uint64_t i = 0; i < images && !stress_failed(); i++) {
        size_t cut = each ? (size_t)(i % count) : stress_random_below(&round->random, count);
        uint64_t turn = each ? i / count : stress_random_below(&round->random, 4);
        image_judge(round, cut, turn == 0 ? POWER_NONE : turn == 1 ? POWER_ALL : POWER_SOME);
    }
    visited.cuts += each ? count : images;
}

struct stopper {
    struct crash_page *page;
    uint64_t events;
};

static void *stop_after_events(void *argument)
{
    struct stopper *stopper = argument;
    while (fault_log_count() < stopper->events && !stress_failed()) {
        usleep(500);
    }
    atomic_store(&stopper->page->stop, true);
    return NULL;
}

/* The threads' work, logged; ends with a close or without. */
static bool work(struct round *round, uint64_t events)
{
    struct stopper stopper = {&round->page, events};
    pthread_t thread;
    dsq_db *db;
    dsq_hooks = (struct dsq_hooks){.numbered = trace_add, .context = &round->trace};
    fault_log_start(round->path, witness, &round->page);
    if (crash_database_open(&round->page, round->path, &db) != DSQ_OK) {
        return false;
    }
    pthread_create(&thread, NULL, stop_after_events, &stopper);
    crash_writers_run(&round->page, db);
    pthread_join(thread, NULL);
    bool good = true;
    if (stress_random_below(&round->random, 2) == 0) {
        int status = dsq_close(db);
        good = stress_expect(db, "dsq_close", status, status == DSQ_OK);
    } else {
        dsq_abandon(db);
    }
    fault_log_stop(&round->log);
    dsq_hooks = (struct dsq_hooks){.stage = NULL};
    return good;
}

/* An empty store to begin with: its creation is not what is looked at. */
static bool create(struct round *round)
{
    dsq_db *db;
    if (crash_database_open(&round->page, round->path, &db) != DSQ_OK) {
        return false;
    }
    int status = dsq_close(db);
    return stress_expect(db, "dsq_close", status, status == DSQ_OK) &&
           power_base_read(&round->base, round->path);
}

static void round_run(const struct parameters *parameters, uint64_t number)
{
    struct round *round = calloc(1, sizeof *round);
    round->random.state = stress_mix3(parameters->seed, number, 0);
    round->page.seed = stress_random_next(&round->random);
    round->page.threads = parameters->threads;
    round->page.capacity = parameters->capacity;
    round->page.mode = parameters->mode;
    round->page.encrypt = parameters->encrypt;
    round->page.synchronous =
        parameters->normal != 0 ? DSQ_SYNCHRONOUS_NORMAL : DSQ_SYNCHRONOUS_FULL;
    snprintf(round->directory, sizeof round->directory, "/tmp/dictsqlite-power-XXXXXX");
    if (mkdtemp(round->directory) == NULL) {
        stress_violation("mkdtemp failed");
        free(round);
        return;
    }
    snprintf(round->path, sizeof round->path, "%s/power.db", round->directory);
    snprintf(round->image, sizeof round->image, "%s/image.db", round->directory);
    if (create(round) && work(round, parameters->events)) {
        images_judge(round, parameters->images);
    }
    if (stress_failed()) {
        fprintf(stderr, "in round %" PRIu64 "; the image is %s\n", number, round->image);
    } else {
        stored_remove(round->path);
        stored_remove(round->image);
        rmdir(round->directory);
    }
    fault_log_fini(&round->log);
    power_base_fini(&round->base);
    trace_fini(&round->trace);
    free(round);
}

int main(int argc, char **argv)
{
    struct parameters parameters = {.rounds = 4,
                                    .threads = 3,
                                    .capacity = 32,
                                    .events = 400,
                                    .images = 300,
                                    .mode = DSQ_MODE_WRITETHROUGH};
    const struct stress_option options[] = {
        {"rounds", STRESS_NUMBER, &parameters.rounds, "lives of a store"},
        {"threads", STRESS_NUMBER, &parameters.threads, "that write in each"},
        {"seed", STRESS_NUMBER, &parameters.seed, "of all random choices; 0: a fresh one"},
        {"capacity", STRESS_NUMBER, &parameters.capacity, "hot records, or unbounded"},
        {"events", STRESS_NUMBER, &parameters.events, "writes, truncations and syncs in a life"},
        {"images", STRESS_NUMBER, &parameters.images, "of the disk, looked at for each life"},
        {"normal", STRESS_NUMBER, &parameters.normal, "1: synchronous=normal"},
        {"encrypt", STRESS_NUMBER, &parameters.encrypt, STRESS_ENCRYPT_MEANING},
        {"mode", STRESS_MODE, &parameters.mode, "writethrough or lazy"},
    };
    size_t option_count = sizeof options / sizeof options[0];
    if (!stress_options_parse(argc, argv, options, option_count) || parameters.threads == 0 ||
        parameters.threads > CRASH_THREADS_MAX || parameters.mode == DSQ_MODE_MEMORY) {
        return 2;
    }
    stress_seed_choose(&parameters.seed);
    stress_options_print_replay(argv[0], options, option_count);
    if (!fault_vfs_install()) {
        fprintf(stderr, "SQLite does not take the file system\n");
        return 2;
    }
    for (uint64_t i = 0; i < parameters.rounds && !stress_failed(); i++) {
        round_run(&parameters, i);
    }
    printf("%" PRIu64 " cuts looked at, as %" PRIu64 " images of the disk\n", visited.cuts,
           visited.images);
    return stress_verdict();
}
