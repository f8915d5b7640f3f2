#include "core/mpsc.h"

#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>

#include <criterion/criterion.h>

#include "core/atomic.h"

TestSuite(mpsc, .timeout = 60);

#define PRODUCERS 4
#define NODES_EACH 20000

struct item {
    struct dsq_mpsc_node node;
    unsigned producer;
    unsigned number;
};

static struct dsq_mpsc queue;

static void push(struct item *item, unsigned number)
{
    item->number = number;
    dsq_mpsc_push(&queue, &item->node);
}

static unsigned number_of(const struct dsq_mpsc_node *node)
{
    return ((const struct item *)node)->number;
}

Test(mpsc, an_empty_queue_gives_nothing)
{
    dsq_mpsc_init(&queue);
    cr_assert_null(dsq_mpsc_take_all(&queue));
    cr_assert_null(dsq_mpsc_take_all(&queue));
}

Test(mpsc, gives_all_nodes_in_the_order_of_their_pushes)
{
    struct item items[5];
    unsigned expected = 0;
    dsq_mpsc_init(&queue);
    for (unsigned i = 0; i < 5; i++) {
        push(&items[i], i);
    }
    struct dsq_mpsc_node *node = dsq_mpsc_take_all(&queue);
    for (; node != NULL; node = dsq_mpsc_next(node)) {
        cr_assert_eq(number_of(node), expected++);
    }
    cr_assert_eq(expected, 5);
    cr_assert_null(dsq_mpsc_take_all(&queue));
}

Test(mpsc, a_node_that_was_taken_can_be_pushed_again)
{
    struct item item;
    dsq_mpsc_init(&queue);
    for (unsigned i = 0; i < 3; i++) {
        push(&item, i);
        struct dsq_mpsc_node *node = dsq_mpsc_take_all(&queue);
        cr_assert_eq(number_of(node), i);
        cr_assert_null(dsq_mpsc_next(node));
    }
}

Test(mpsc, a_taken_chain_can_be_relinked)
{
    struct item items[3];
    dsq_mpsc_init(&queue);
    for (unsigned i = 0; i < 3; i++) {
        push(&items[i], i);
    }
    struct dsq_mpsc_node *first = dsq_mpsc_take_all(&queue);
    dsq_mpsc_link(first, dsq_mpsc_next(dsq_mpsc_next(first)));
    cr_assert_eq(number_of(dsq_mpsc_next(first)), 2);
    dsq_mpsc_link(dsq_mpsc_next(first), NULL);
    cr_assert_null(dsq_mpsc_next(dsq_mpsc_next(first)));
}

Test(mpsc, tells_whether_anything_waits_to_be_taken)
{
    struct item item;
    dsq_mpsc_init(&queue);
    cr_assert(dsq_mpsc_is_empty(&queue));
    push(&item, 0);
    cr_assert_not(dsq_mpsc_is_empty(&queue));
    dsq_mpsc_take_all(&queue);
    cr_assert(dsq_mpsc_is_empty(&queue));
}

static void *produce(void *argument)
{
    struct item *items = argument;
    for (unsigned i = 0; i < NODES_EACH; i++) {
        push(&items[i], i);
    }
    return NULL;
}

Test(mpsc, keeps_the_order_of_each_of_many_producers_and_loses_nothing)
{
    struct item *items = calloc((size_t)PRODUCERS * NODES_EACH, sizeof *items);
    unsigned expected[PRODUCERS] = {0};
    pthread_t threads[PRODUCERS];
    size_t seen = 0;
    dsq_mpsc_init(&queue);
    for (unsigned i = 0; i < PRODUCERS; i++) {
        for (unsigned j = 0; j < NODES_EACH; j++) {
            items[i * NODES_EACH + j].producer = i;
        }
        pthread_create(&threads[i], NULL, produce, &items[(size_t)i * NODES_EACH]);
    }
    while (seen < (size_t)PRODUCERS * NODES_EACH) {
        struct dsq_mpsc_node *node = dsq_mpsc_take_all(&queue);
        for (; node != NULL; node = dsq_mpsc_next(node)) {
            const struct item *item = (const struct item *)node;
            cr_assert_eq(item->number, expected[item->producer]++);
            seen++;
        }
        sched_yield();
    }
    for (unsigned i = 0; i < PRODUCERS; i++) {
        pthread_join(threads[i], NULL);
    }
    cr_assert_null(dsq_mpsc_take_all(&queue));
    free(items);
}

/* A ticket drawn before a push orders the pushes of different threads. */
static _Atomic unsigned turn;

static void *take_turns(void *argument)
{
    struct item *items = argument;
    for (unsigned i = items[0].producer; i < 1000; i += 2) {
        while (dsq_load_acquire(&turn) != i) {
            sched_yield();
        }
        push(&items[i], i);
        dsq_store_release(&turn, i + 1);
    }
    return NULL;
}

Test(mpsc, a_push_that_began_after_another_returned_comes_after_it)
{
    struct item *items[2] = {calloc(1000, sizeof **items), calloc(1000, sizeof **items)};
    pthread_t threads[2];
    unsigned expected = 0;
    dsq_mpsc_init(&queue);
    for (unsigned i = 0; i < 2; i++) {
        items[i][0].producer = i;
        pthread_create(&threads[i], NULL, take_turns, items[i]);
    }
    while (expected < 1000) {
        struct dsq_mpsc_node *node = dsq_mpsc_take_all(&queue);
        for (; node != NULL; node = dsq_mpsc_next(node)) {
            cr_assert_eq(number_of(node), expected++);
        }
    }
    for (unsigned i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        free(items[i]);
    }
}
