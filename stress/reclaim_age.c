/*
 * How long what was retired waits until it is freed (core/reclaim.h), and that it waits long enough:
 * after the idea of Linux's rcutorture (McKenney), which counts in how many grace periods old the
 * oldest thing is that a reader still sees.
 *
 * Readers stand in critical sections of various lengths and say since when.  Writers replace what a
 * few shared cells point to and retire what was there.  When an object is freed, no section may be
 * open that began before its retirement; and a reader who found something in a cell must find it
 * unchanged at the end of its section.  Half of the cells hold records, which are freed by another
 * path (recycled by writers): a freed one shows in its contents, or to AddressSanitizer.
 *
 * What is retired and not yet freed has a bound, which is checked all the time, and so is the
 * promise behind it: writers wait at the cap, readers never.
 */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/perturb.h"
#include "core/platform.h"
#include "core/reclaim.h"
#include "core/record.h"
#include "stress/options.h"
#include "stress/random.h"
#include "stress/verdict.h"

#define THREADS_MAX 64
#define CELLS_MAX 4096
#define OBJECT_ALIVE UINT64_C(0x416c697665210000)
#define OBJECT_FREED UINT64_C(0x4465616421000000)
/* What an object counts as, whatever it is. */
#define OBJECT_BYTES 1024
#define RECORD_VALUE_BYTES 200
/* Ages from a microsecond up, by powers of two; the last bin holds the rest. */
#define AGE_BINS 24
#define SECTION_LONG_US 20000
#define SECTION_SHORT_US 100

struct parameters {
    uint64_t threads;
    uint64_t seconds;
    uint64_t seed;
    uint64_t capacity;
    uint64_t cap;
};

struct object {
    struct dsq_retired retired; /* first */
    uint64_t state;
    uint64_t retired_at;
};

struct reader {
    _Alignas(64) _Atomic uint64_t since; /* its section is open since then; 0: none is */
    _Atomic uint64_t sections;
};

static struct dsq_reclaim *reclaim;
static struct parameters parameters = {
    .threads = 4, .seconds = 5, .capacity = 64, .cap = UINT64_C(4) * 1024 * 1024};
static _Atomic(struct object *) objects[CELLS_MAX];
static _Atomic(struct dsq_record *) records[CELLS_MAX];
static struct reader readers[THREADS_MAX];
static _Atomic uint64_t ages[AGE_BINS];
static _Atomic uint64_t oldest_us;
static _Atomic uint64_t retired_count;
static _Atomic uint64_t high_water;
static _Atomic uint64_t waits;
static atomic_bool stop;

static void raise(_Atomic uint64_t *number, uint64_t to)
{
    uint64_t seen = atomic_load(number);
    while (seen < to && !atomic_compare_exchange_weak(number, &seen, to)) {
    }
}

static void age_count(uint64_t age_us)
{
    unsigned bin = 0;
    while (bin < AGE_BINS - 1 && age_us >> bin != 0) {
        bin++;
    }
    atomic_fetch_add(&ages[bin], 1);
    raise(&oldest_us, age_us);
}

/* A section that is open now and was before the retirement could still hold the object. */
static void object_free(struct dsq_retired *retired)
{
    struct object *object = (struct object *)retired;
    for (uint64_t i = 0; i < parameters.threads; i++) {
        uint64_t since = atomic_load(&readers[i].since);
        if (since != 0 && since < object->retired_at) {
            stress_violation("freed %" PRIu64
                             " ns after its retirement, in a section that had begun"
                             " %" PRIu64 " ns before",
                             dsq_now_ns() - object->retired_at, object->retired_at - since);
        }
    }
    age_count((dsq_now_ns() - object->retired_at) / 1000);
    object->state = OBJECT_FREED;
    free(object);
}

static struct object *object_new(void)
{
    struct object *object = calloc(1, sizeof *object);
    if (object == NULL) {
        stress_violation("out of memory");
        exit(2);
    }
    object->retired.free = object_free;
    object->state = OBJECT_ALIVE;
    return object;
}

static struct dsq_record *record_new(uint64_t number)
{
    unsigned char value[RECORD_VALUE_BYTES];
    memset(value, (int)(number % 251), sizeof value);
    size_t capacity = dsq_record_capacity(sizeof number, sizeof value);
    struct dsq_record *record = dsq_record_new_in(
        dsq_reclaim_recycle(reclaim, capacity), DSQ_RECORD_VALUE, DSQ_RECORD_CLEAN, 1, number,
        (struct dsq_bytes){&number, sizeof number}, (struct dsq_bytes){value, sizeof value});
    if (record == NULL) {
        stress_violation("out of memory");
        exit(2);
    }
    return record;
}

static bool record_is_whole(const struct dsq_record *record, uint64_t number)
{
    const unsigned char *value = (const unsigned char *)dsq_record_value(record).data;
    bool whole = record->hash == number;
    for (size_t i = 0; i < RECORD_VALUE_BYTES; i++) {
        whole &= value[i] == number % 251;
    }
    return whole;
}

/* Mostly short, now and then as long as a slow reader's. */
static void stand(struct stress_random *random)
{
    uint64_t draw = stress_random_below(random, 100);
    uint64_t us = draw < 80 ? 0 : draw < 99 ? SECTION_SHORT_US : SECTION_LONG_US;
    struct timespec rest = {.tv_nsec =
                                (long)(us != 0 ? stress_random_below(random, us) : 0) * 1000};
    if (us != 0) {
        nanosleep(&rest, NULL);
    }
}

static void read_once(struct reader *reader, struct stress_random *random)
{
    uint64_t cell = stress_random_below(random, parameters.capacity);
    dsq_read_lock();
    atomic_store(&reader->since, dsq_now_ns());
    const struct object *object = atomic_load(&objects[cell]);
    const struct dsq_record *record = atomic_load(&records[cell]);
    uint64_t number = record->hash;
    stand(random);
    if (object->state != OBJECT_ALIVE) {
        stress_violation("an object was freed under a reader");
    }
    if (!record_is_whole(record, number)) {
        stress_violation("a record was freed under a reader");
    }
    atomic_store(&reader->since, 0);
    dsq_read_unlock();
    atomic_fetch_add(&reader->sections, 1);
}

/* Twice what the cap and each thread's last write let through; ripe records were among that before. */
static uint64_t bound(void)
{
    uint64_t write = OBJECT_BYTES + dsq_record_footprint(sizeof(uint64_t), RECORD_VALUE_BYTES);
    uint64_t waiting = 2 * (parameters.cap + DSQ_RECLAIM_SLACK_BYTES + parameters.threads * write);
    uint64_t most = DSQ_RECLAIM_RIPE_BYTES_MAX(parameters.cap);
    uint64_t ripe = waiting < most ? waiting : most;
    return waiting + ripe;
}

static void bound_check(void)
{
    uint64_t bytes = dsq_reclaim_bytes(reclaim);
    raise(&high_water, bytes);
    if (bytes > bound()) {
        stress_violation("%" PRIu64 " bytes are retired and not freed, with a bound of %" PRIu64,
                         bytes, bound());
    }
}

static void write_once(struct stress_random *random)
{
    uint64_t cell = stress_random_below(random, parameters.capacity);
    if (dsq_reclaim_is_full(reclaim)) {
        atomic_fetch_add(&waits, 1);
        dsq_reclaim_wait(reclaim);
    }
    struct object *object = atomic_exchange(&objects[cell], object_new());
    struct dsq_record *record =
        atomic_exchange(&records[cell], record_new(stress_random_next(random)));
    dsq_perturb();
    object->retired_at = dsq_now_ns();
    dsq_reclaim_retire(reclaim, &object->retired, OBJECT_BYTES);
    dsq_record_release(reclaim, record);
    atomic_fetch_add(&retired_count, 1);
    bound_check();
}

static void *reader_main(void *argument)
{
    struct reader *reader = argument;
    struct stress_random random = {stress_mix3(parameters.seed, (uint64_t)(reader - readers), 1)};
    while (!atomic_load(&stop) && !stress_failed()) {
        read_once(reader, &random);
    }
    return NULL;
}

static void *writer_main(void *argument)
{
    struct stress_random random = {stress_mix3(parameters.seed, (uint64_t)(uintptr_t)argument, 2)};
    while (!atomic_load(&stop) && !stress_failed()) {
        write_once(&random);
    }
    return NULL;
}

static void thread_start(pthread_t *thread, void *(*body)(void *), void *argument)
{
    if (pthread_create(thread, NULL, body, argument) != 0) {
        fprintf(stderr, "cannot start a thread\n");
        exit(2);
    }
}

/* As many writers as readers. */
static void threads_run(void)
{
    pthread_t threads[2 * THREADS_MAX];
    struct timespec rest = {.tv_nsec = 10000000};
    uint64_t end = dsq_now_ns() + parameters.seconds * 1000000000;
    for (uint64_t i = 0; i < parameters.threads; i++) {
        thread_start(&threads[2 * i], reader_main, &readers[i]);
        thread_start(&threads[2 * i + 1], writer_main, (void *)(uintptr_t)i);
    }
    while (dsq_now_ns() < end && !stress_failed()) {
        nanosleep(&rest, NULL);
    }
    atomic_store(&stop, true);
    for (uint64_t i = 0; i < 2 * parameters.threads; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void cells_fill(void)
{
    for (uint64_t i = 0; i < parameters.capacity; i++) {
        atomic_store(&objects[i], object_new());
        atomic_store(&records[i], record_new(i));
    }
}

static void cells_clear(void)
{
    for (uint64_t i = 0; i < parameters.capacity; i++) {
        free(atomic_load(&objects[i]));
        dsq_record_free(atomic_load(&records[i]));
    }
}

static void figures_print(void)
{
    uint64_t freed = 0;
    uint64_t sections = 0;
    printf("from the retirement of an object until it is freed:\n");
    for (unsigned i = 0; i < AGE_BINS; i++) {
        uint64_t count = atomic_load(&ages[i]);
        freed += count;
        if (count != 0) {
            printf("  under %8" PRIu64 " us: %" PRIu64 "\n", UINT64_C(1) << i, count);
        }
    }
    for (uint64_t i = 0; i < parameters.threads; i++) {
        sections += atomic_load(&readers[i].sections);
    }
    printf("%" PRIu64 " of %" PRIu64 " freed, the oldest after %" PRIu64 " us; %" PRIu64
           " sections\n",
           freed, atomic_load(&retired_count), atomic_load(&oldest_us), sections);
    printf("retired and not freed: at most %" PRIu64 " bytes, with a cap of %" PRIu64
           " and a bound of %" PRIu64 "; writers waited %" PRIu64 " times\n",
           atomic_load(&high_water), parameters.cap, bound(), atomic_load(&waits));
    if (freed != atomic_load(&retired_count) && !stress_failed()) {
        stress_violation("not everything that was retired has been freed");
    }
}

int main(int argc, char **argv)
{
    const struct stress_option options[] = {
        {"threads", STRESS_NUMBER, &parameters.threads, "readers, and as many writers"},
        {"seconds", STRESS_NUMBER, &parameters.seconds, "how long"},
        {"seed", STRESS_NUMBER, &parameters.seed, "of all random choices; 0: a fresh one"},
        {"capacity", STRESS_NUMBER, &parameters.capacity, "cells that readers and writers share"},
        {"cap", STRESS_NUMBER, &parameters.cap, "bytes retired at which writers wait"},
    };
    size_t option_count = sizeof options / sizeof options[0];
    if (!stress_options_parse(argc, argv, options, option_count) || parameters.threads == 0 ||
        parameters.threads > THREADS_MAX || parameters.capacity == 0 ||
        parameters.capacity > CELLS_MAX || parameters.cap == 0) {
        return 2;
    }
    stress_seed_choose(&parameters.seed);
    stress_options_print_replay(argv[0], options, option_count);
    if (dsq_reclaim_new(parameters.cap, &reclaim, NULL) != DSQ_OK) {
        return 2;
    }
    cells_fill();
    threads_run();
    dsq_reclaim_destroy(reclaim);
    cells_clear();
    figures_print();
    return stress_verdict();
}
