#include "core/event.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "core/atomic.h"
#include "core/platform.h"

TestSuite(event, .timeout = 60);

#define ROUNDS 10000

static struct dsq_event events[2];
static _Atomic unsigned ball; /* whose turn it is: even the first's, odd the second's */

Test(event, a_signal_after_the_ticket_ends_the_wait_at_once)
{
    dsq_event_init(&events[0]);
    uint32_t ticket = dsq_event_ticket(&events[0]);
    dsq_event_signal(&events[0]);
    cr_assert_neq(dsq_event_ticket(&events[0]), ticket);
    cr_assert(dsq_event_wait(&events[0], ticket, DSQ_NO_DEADLINE));
}

Test(event, a_wait_that_nobody_ends_ends_at_its_deadline)
{
    dsq_event_init(&events[0]);
    uint64_t deadline_ns = dsq_now_ns() + 20 * DSQ_NS_PER_MS;
    cr_assert_not(dsq_event_wait(&events[0], dsq_event_ticket(&events[0]), deadline_ns));
    cr_assert_geq(dsq_now_ns(), deadline_ns);
}

/* Concurrency Kit waits in steps that grow up to a second. */
Test(event, a_long_wait_does_not_outlast_its_deadline)
{
    dsq_event_init(&events[0]);
    uint64_t deadline_ns = dsq_now_ns() + 250 * DSQ_NS_PER_MS;
    cr_assert_not(dsq_event_wait(&events[0], dsq_event_ticket(&events[0]), deadline_ns));
    cr_assert_geq(dsq_now_ns(), deadline_ns);
    cr_assert_lt(dsq_now_ns(), deadline_ns + 500 * DSQ_NS_PER_MS);
}

Test(event, a_deadline_that_has_passed_ends_the_wait_at_once)
{
    dsq_event_init(&events[0]);
    cr_assert_not(dsq_event_wait(&events[0], dsq_event_ticket(&events[0]), dsq_now_ns()));
    cr_assert_not(dsq_event_wait(&events[0], dsq_event_ticket(&events[0]), 0));
}

static void await_turn(unsigned turn)
{
    struct dsq_event *event = &events[turn % 2];
    for (;;) {
        uint32_t ticket = dsq_event_ticket(event);
        if (dsq_load_acquire(&ball) == turn) {
            return;
        }
        dsq_event_wait(event, ticket, DSQ_NO_DEADLINE);
    }
}

static void *play(void *argument)
{
    for (unsigned turn = *(unsigned *)argument; turn < 2 * ROUNDS; turn += 2) {
        await_turn(turn);
        dsq_store_release(&ball, turn + 1);
        dsq_event_signal(&events[(turn + 1) % 2]);
    }
    return NULL;
}

Test(event, no_wake_up_is_lost_in_ten_thousand_rounds)
{
    pthread_t threads[2];
    unsigned first[2] = {0, 1};
    for (int i = 0; i < 2; i++) {
        dsq_event_init(&events[i]);
    }
    for (int i = 0; i < 2; i++) {
        pthread_create(&threads[i], NULL, play, &first[i]);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    cr_assert_eq(dsq_load_acquire(&ball), 2 * ROUNDS);
}

#define SLEEPERS 4

static _Atomic int sleepers[SLEEPERS]; /* their thread ids */

static void *wait_for_signal(void *argument)
{
    uint32_t ticket = dsq_event_ticket(&events[0]);
    dsq_store_release((_Atomic int *)argument, (int)syscall(SYS_gettid));
    dsq_event_wait(&events[0], ticket, DSQ_NO_DEADLINE);
    return NULL;
}

static bool is_asleep(int thread)
{
    char path[64];
    char state = '?';
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", thread);
    FILE *file = fopen(path, "r");
    if (file != NULL) {
        /* The name in parentheses is a test's: without a blank. */
        cr_assert_eq(fscanf(file, "%*d %*s %c", &state), 1);
        fclose(file);
    }
    return state == 'S';
}

Test(event, one_signal_wakes_all_who_sleep)
{
    pthread_t threads[SLEEPERS];
    dsq_event_init(&events[0]);
    for (int i = 0; i < SLEEPERS; i++) {
        pthread_create(&threads[i], NULL, wait_for_signal, &sleepers[i]);
    }
    for (int i = 0; i < SLEEPERS; i++) {
        while (dsq_load_acquire(&sleepers[i]) == 0 || !is_asleep(sleepers[i])) {
            sched_yield();
        }
    }
    dsq_event_signal(&events[0]);
    for (int i = 0; i < SLEEPERS; i++) {
        pthread_join(threads[i], NULL);
    }
}
