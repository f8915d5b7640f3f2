/*
 * The order of the write queue (core/mpsc.h): producers push numbered items, the one consumer takes
 * everything again and again.  Each producer's items must come in the order of their numbers, none
 * twice and none lost, and no item before another whose push had returned when its own began: an
 * item carries what its producer knew of the others' pushes.
 */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/mpsc.h"
#include "core/perturb.h"
#include "core/platform.h"
#include "stress/options.h"
#include "stress/random.h"
#include "stress/verdict.h"

#define PRODUCERS_MAX 8
/* Of so many steps a thread lets others go first. */
#define YIELD_ONE_IN 64
#define CACHE_LINE_BYTES 64

struct parameters {
    uint64_t threads;
    uint64_t seconds;
    uint64_t seed;
    uint64_t capacity;
};

struct item {
    struct dsq_mpsc_node node; /* first */
    uint64_t producer;
    uint64_t number;
    uint64_t known[PRODUCERS_MAX]; /* of each producer, the pushes that had returned */
};

struct producer {
    _Alignas(CACHE_LINE_BYTES) _Atomic uint64_t pushed; /* pushes that have returned */
    _Alignas(CACHE_LINE_BYTES) _Atomic uint64_t taken;  /* items that may be used again */
    _Alignas(CACHE_LINE_BYTES) struct run *run;
    struct item *items;
    struct stress_random random;
    uint64_t index;
};

struct run {
    struct dsq_mpsc queue;
    struct producer producers[PRODUCERS_MAX];
    uint64_t producer_count;
    uint64_t capacity;
    atomic_bool stop;
    _Atomic uint64_t running;
    uint64_t taken;
    uint64_t takes;
    uint64_t longest; /* chain of one take */
};

static void produce_one(struct producer *producer, uint64_t number)
{
    struct run *run = producer->run;
    struct item *item = &producer->items[number % run->capacity];
    item->producer = producer->index;
    item->number = number;
    for (uint64_t i = 0; i < run->producer_count; i++) {
        item->known[i] = atomic_load(&run->producers[i].pushed);
    }
    dsq_perturb();
    dsq_mpsc_push(&run->queue, &item->node);
    atomic_store(&producer->pushed, number + 1);
}

static void *producer_main(void *argument)
{
    struct producer *producer = argument;
    struct run *run = producer->run;
    uint64_t number = 0;
    while (!atomic_load(&run->stop) && !stress_failed()) {
        bool full = number - atomic_load(&producer->taken) == run->capacity;
        if (full || stress_random_below(&producer->random, YIELD_ONE_IN) == 0) {
            sched_yield();
        }
        if (!full) {
            produce_one(producer, number++);
        }
    }
    atomic_fetch_sub(&run->running, 1);
    return NULL;
}

static void item_check(const struct run *run, const struct item *item)
{
    const struct producer *producer = &run->producers[item->producer];
    uint64_t expected = atomic_load(&producer->taken);
    if (item->number != expected) {
        stress_violation("of producer %" PRIu64 " number %" PRIu64 " was taken instead of %" PRIu64,
                         item->producer, item->number, expected);
    }
    for (uint64_t i = 0; i < run->producer_count; i++) {
        if (item->known[i] > atomic_load(&run->producers[i].taken)) {
            stress_violation("number %" PRIu64 " of producer %" PRIu64
                             " was taken before number %" PRIu64 " of producer %" PRIu64
                             ", whose push had returned before its own began",
                             item->number, item->producer, item->known[i] - 1, i);
        }
    }
}

/* Takes everything once. */
static void consume(struct run *run)
{
    struct dsq_mpsc_node *node = dsq_mpsc_take_all(&run->queue);
    uint64_t length = 0;
    while (node != NULL && !stress_failed()) {
        struct item *item = (struct item *)node;
        node = dsq_mpsc_next(node);
        item_check(run, item);
        /* From here on it is the producer's again. */
        atomic_fetch_add(&run->producers[item->producer].taken, 1);
        length++;
    }
    run->takes += length != 0;
    run->taken += length;
    run->longest = length > run->longest ? length : run->longest;
}

static void producers_start(struct run *run, pthread_t *threads, uint64_t seed)
{
    atomic_store(&run->running, run->producer_count);
    for (uint64_t i = 0; i < run->producer_count; i++) {
        struct producer *producer = &run->producers[i];
        producer->run = run;
        producer->index = i;
        producer->random.state = stress_mix3(seed, run->producer_count, i);
        producer->items = calloc(run->capacity, sizeof *producer->items);
        if (producer->items == NULL ||
            pthread_create(&threads[i], NULL, producer_main, producer) != 0) {
            fprintf(stderr, "cannot start producer %" PRIu64 "\n", i);
            exit(2);
        }
    }
}

static void lost_check(const struct run *run)
{
    for (uint64_t i = 0; i < run->producer_count && !stress_failed(); i++) {
        uint64_t pushed = atomic_load(&run->producers[i].pushed);
        uint64_t taken = atomic_load(&run->producers[i].taken);
        if (pushed != taken) {
            stress_violation("producer %" PRIu64 " pushed %" PRIu64 " items, %" PRIu64
                             " were taken",
                             i, pushed, taken);
        }
    }
}

static void run_producers(const struct parameters *parameters, uint64_t producer_count)
{
    static struct run run;
    pthread_t threads[PRODUCERS_MAX];
    struct stress_random random = {.state = stress_mix3(parameters->seed, producer_count, 99)};
    uint64_t end = dsq_now_ns() + parameters->seconds * DSQ_NS_PER_S / parameters->threads;
    run = (struct run){.producer_count = producer_count, .capacity = parameters->capacity};
    dsq_mpsc_init(&run.queue);
    producers_start(&run, threads, parameters->seed);
    while (atomic_load(&run.running) > 0) {
        if (dsq_now_ns() > end) {
            atomic_store(&run.stop, true);
        }
        if (stress_random_below(&random, YIELD_ONE_IN) == 0) {
            sched_yield();
        }
        consume(&run);
    }
    for (uint64_t i = 0; i < producer_count; i++) {
        pthread_join(threads[i], NULL);
    }
    consume(&run);
    lost_check(&run);
    for (uint64_t i = 0; i < producer_count; i++) {
        free(run.producers[i].items);
    }
    printf("%" PRIu64 " producers: %" PRIu64 " items in %" PRIu64 " takes, at most %" PRIu64
           " at once\n",
           producer_count, run.taken, run.takes, run.longest);
}

int main(int argc, char **argv)
{
    struct parameters parameters = {.threads = 4, .seconds = 5, .capacity = 1024};
    const struct stress_option options[] = {
        {"threads", STRESS_NUMBER, &parameters.threads, "producers: one, two, ... up to so many"},
        {"seconds", STRESS_NUMBER, &parameters.seconds, "how long, all of them together"},
        {"seed", STRESS_NUMBER, &parameters.seed, "of all random choices; 0: a fresh one"},
        {"capacity", STRESS_NUMBER, &parameters.capacity, "items of each producer"},
    };
    size_t option_count = sizeof options / sizeof options[0];
    if (!stress_options_parse(argc, argv, options, option_count) || parameters.threads == 0 ||
        parameters.threads > PRODUCERS_MAX || parameters.capacity == 0) {
        return 2;
    }
    stress_seed_choose(&parameters.seed);
    stress_options_print_replay(argv[0], options, option_count);
    for (uint64_t i = 1; i <= parameters.threads && !stress_failed(); i++) {
        run_producers(&parameters, i);
    }
    return stress_verdict();
}
