/*
 * The write queue under few and many producers: pushes a second, and how long a push took.  A push must
 * not wait for a producer that has lost its core, so neither may collapse when there are many more
 * producers than cores.  Beside it a list behind a mutex, and Concurrency Kit's ring, whose producers
 * wait for each other.
 *
 * The queues take turns within each round; the rates are medians over the rounds, the latencies of all of them.
 * Nothing is random: each producer has a few items and pushes them in turn as the consumer frees them; the consumer checks
 * that each producer's items come in order and none is missing.
 */
#include <ck_ring.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/harness.h"
#include "bench/latency.h"
#include "bench/report.h"
#include "core/mpsc.h"
#include "stress/options.h"

#define ROUNDS_MAX 64
#define PRODUCERS_MAX 32
#define ITEMS 1024 /* of a producer; with PRODUCERS_MAX a power of two */

struct item {
    struct dsq_mpsc_node node; /* also the link of the list */
    uint64_t number;
    unsigned producer;
    atomic_bool queued;
};

struct queue {
    struct dsq_mpsc mpsc;
    pthread_mutex_t mutex;
    struct item *newest; /* of the list */
    ck_ring_t ring;
    ck_ring_buffer_t *slots;
};

struct run;

struct queue_ops {
    const char *name;
    void (*push)(struct queue *queue, struct item *item);
    /* Visits all there is; how many. */
    uint64_t (*take)(struct queue *queue, struct run *run);
};

struct run {
    const struct queue_ops *ops;
    struct queue queue;
    uint64_t duration_ns;
    unsigned producers;
    atomic_uint pushing;              /* producers that have not ended */
    uint64_t expected[PRODUCERS_MAX]; /* the next number of each, kept by the consumer */
    bool in_order;
};

/* What a thread does: the consumer has no items. */
struct role {
    struct run *run;
    unsigned producer;
    struct item *items;
    struct bench_latency latency;
};

static void visit(struct run *run, struct item *item)
{
    run->in_order = run->in_order && item->number == run->expected[item->producer];
    run->expected[item->producer]++;
    atomic_store(&item->queued, false);
}

static void push_mpsc(struct queue *queue, struct item *item)
{
    dsq_mpsc_push(&queue->mpsc, &item->node);
}

static uint64_t visit_chain(struct run *run, struct dsq_mpsc_node *node)
{
    uint64_t count = 0;
    for (; node != NULL; count++) {
        struct dsq_mpsc_node *next = dsq_mpsc_next(node);
        visit(run, (struct item *)node);
        node = next;
    }
    return count;
}

static uint64_t take_mpsc(struct queue *queue, struct run *run)
{
    return visit_chain(run, dsq_mpsc_take_all(&queue->mpsc));
}

static void push_list(struct queue *queue, struct item *item)
{
    pthread_mutex_lock(&queue->mutex);
    dsq_mpsc_link(&item->node, queue->newest != NULL ? &queue->newest->node : NULL);
    queue->newest = item;
    pthread_mutex_unlock(&queue->mutex);
}

static uint64_t take_list(struct queue *queue, struct run *run)
{
    struct dsq_mpsc_node *oldest = NULL;
    pthread_mutex_lock(&queue->mutex);
    struct dsq_mpsc_node *node = queue->newest != NULL ? &queue->newest->node : NULL;
    queue->newest = NULL;
    pthread_mutex_unlock(&queue->mutex);
    while (node != NULL) {
        struct dsq_mpsc_node *older = dsq_mpsc_next(node);
        dsq_mpsc_link(node, oldest);
        oldest = node;
        node = older;
    }
    return visit_chain(run, oldest);
}

static void push_ring(struct queue *queue, struct item *item)
{
    while (!ck_ring_enqueue_mpsc(&queue->ring, queue->slots, item)) {
        sched_yield();
    }
}

static uint64_t take_ring(struct queue *queue, struct run *run)
{
    uint64_t count = 0;
    void *item;
    for (; ck_ring_dequeue_mpsc(&queue->ring, queue->slots, &item); count++) {
        visit(run, item);
    }
    return count;
}

#define QUEUES 3

static const struct queue_ops queues[QUEUES] = {
    {"dictsqlite", push_mpsc, take_mpsc},
    {"mutex", push_list, take_list},
    {"ck_ring", push_ring, take_ring},
};

static void consume(struct run *run)
{
    while (atomic_load(&run->pushing) > 0) {
        if (run->ops->take(&run->queue, run) == 0) {
            sched_yield();
        }
    }
    run->ops->take(&run->queue, run);
}

static void produce(struct role *role)
{
    struct run *run = role->run;
    uint64_t now = dsq_now_ns();
    uint64_t deadline = now + run->duration_ns;
    for (uint64_t number = 0; now < deadline; number++) {
        struct item *item = &role->items[number % ITEMS];
        while (atomic_load(&item->queued)) {
            sched_yield();
        }
        atomic_store(&item->queued, true);
        item->producer = role->producer;
        item->number = number;
        uint64_t before = dsq_now_ns();
        run->ops->push(&run->queue, item);
        now = dsq_now_ns();
        bench_latency_add(&role->latency, now - before);
    }
    atomic_fetch_sub(&run->pushing, 1);
}

static void play(void *context)
{
    struct role *role = context;
    if (role->items != NULL) {
        produce(role);
    } else {
        consume(role->run);
    }
}

/* Runs them; the sum of the producers' latencies.  Returns nanoseconds. */
static uint64_t run_roles(struct run *run, struct bench_latency *latency)
{
    struct role *roles = calloc(run->producers + 1, sizeof *roles);
    struct item *items = calloc((size_t)run->producers * ITEMS, sizeof *items);
    if (roles == NULL || items == NULL) {
        abort();
    }
    for (unsigned i = 0; i <= run->producers; i++) {
        roles[i].run = run;
        roles[i].producer = i;
        roles[i].items = i < run->producers ? items + (size_t)i * ITEMS : NULL;
    }
    uint64_t elapsed_ns = bench_run_threads(run->producers + 1, play, roles, sizeof roles[0]);
    for (unsigned i = 0; i < run->producers; i++) {
        bench_latency_merge(latency, &roles[i].latency);
    }
    free(roles);
    free(items);
    return elapsed_ns;
}

/* What a queue did in all rounds with one number of producers. */
struct cell {
    double per_second[ROUNDS_MAX];
    struct bench_latency latency;
};

/* False if a push was lost or came out of order. */
static bool measure(const struct queue_ops *ops, unsigned producers, uint64_t milliseconds,
                    struct cell *cell, uint64_t round)
{
    static const unsigned slots = PRODUCERS_MAX * ITEMS;
    struct run run = {.ops = ops,
                      .duration_ns = milliseconds * 1000000,
                      .producers = producers,
                      .pushing = producers,
                      .in_order = true};
    struct bench_latency latency = {.samples = 0};
    uint64_t taken = 0;
    dsq_mpsc_init(&run.queue.mpsc);
    pthread_mutex_init(&run.queue.mutex, NULL);
    run.queue.slots = calloc(slots, sizeof *run.queue.slots);
    if (run.queue.slots == NULL) {
        abort();
    }
    ck_ring_init(&run.queue.ring, slots);
    uint64_t elapsed_ns = run_roles(&run, &latency);
    free(run.queue.slots);
    for (unsigned i = 0; i < producers; i++) {
        taken += run.expected[i];
    }
    cell->per_second[round] = (double)latency.samples * (double)DSQ_NS_PER_S / (double)elapsed_ns;
    bench_latency_merge(&cell->latency, &latency);
    if (!run.in_order || taken != latency.samples) {
        printf("%s lost items or their order\n", ops->name);
    }
    return run.in_order && taken == latency.samples;
}

struct parameters {
    uint64_t milliseconds;
    uint64_t rounds;
    const char *json;
};

static bool measure_all(unsigned producers, const struct parameters *parameters,
                        struct bench_report *report)
{
    static struct cell cells[QUEUES];
    bool passed = true;
    memset(cells, 0, sizeof cells);
    for (uint64_t round = 0; round < parameters->rounds; round++) {
        for (size_t i = 0; i < QUEUES; i++) {
            passed = measure(&queues[i], producers, parameters->milliseconds, &cells[i], round) &&
                     passed;
        }
    }
    for (size_t i = 0; i < QUEUES; i++) {
        bench_report_figure(report, queues[i].name, "push", producers);
        bench_report_rates(report, cells[i].per_second, parameters->rounds);
        bench_report_latency(report, &cells[i].latency);
        printf("%-10s %9u %9.2f ", queues[i].name, producers,
               bench_median(cells[i].per_second, parameters->rounds) / 1e6);
        bench_latency_print(&cells[i].latency);
        printf("\n");
    }
    return passed;
}

int main(int argc, char **argv)
{
    static const unsigned producers[] = {1, 2, 4, 8, 32};
    struct parameters parameters = {.milliseconds = 200, .rounds = 5};
    bool passed = true;
    const struct stress_option options[] = {
        {"milliseconds", STRESS_NUMBER, &parameters.milliseconds, "of each queue in a round"},
        {"rounds", STRESS_NUMBER, &parameters.rounds, "of which the medians are taken"},
        {"json", STRESS_TEXT, &parameters.json, "a file for the figures"},
    };
    const size_t option_count = sizeof options / sizeof options[0];
    if (!stress_options_parse(argc, argv, options, option_count) || parameters.rounds == 0 ||
        parameters.rounds > ROUNDS_MAX) {
        return 2;
    }
    struct bench_report *report = bench_report_begin(argv[0], options, option_count);
    printf("reading the clock takes %" PRIu64 " ns of each latency\n", bench_clock_cost_ns());
    printf("%-10s %9s %9s %8s %8s %9s %11s\n", "push, ns", "producers", "M/s", "median", "p99",
           "p99.99", "worst");
    for (size_t i = 0; i < sizeof producers / sizeof producers[0]; i++) {
        passed = measure_all(producers[i], &parameters, report) && passed;
    }
    return bench_report_write(report, parameters.json) && passed ? 0 : 1;
}
