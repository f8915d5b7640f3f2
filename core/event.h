/*
 * An event count: sleeping until "something changed", without a lock and without a lost wake-up.
 *
 * Concurrency Kit's ck_ec with futexes under it.  Use:
 *
 *     waiter                                   signaller
 *     ticket = dsq_event_ticket(event);        change the shared state (a release or stronger)
 *     if (!condition())                        dsq_event_signal(event);
 *         dsq_event_wait(event, ticket, deadline_ns);
 *     ... and look again
 *
 * If the change comes after the ticket was drawn, the signal changes the count, and the wait
 * returns at once or is woken; if it comes before, condition() sees it.  Data is ordered by the
 * atomics of the state itself, not by the event.
 *
 * dsq_event_signal is one atomic addition while nobody sleeps, a system call when somebody does.
 */
#ifndef DSQ_CORE_EVENT_H
#define DSQ_CORE_EVENT_H

#include <ck_ec.h>
#include <stdbool.h>
#include <stdint.h>

struct dsq_event {
    struct ck_ec32 count;
};

#define DSQ_NO_DEADLINE UINT64_MAX

void dsq_event_init(struct dsq_event *event);

uint32_t dsq_event_ticket(const struct dsq_event *event);

/* Wakes every thread that sleeps with an older ticket. */
void dsq_event_signal(struct dsq_event *event);

/*
 * Sleeps until the event is signalled after the ticket was drawn (true), or until deadline_ns of
 * dsq_now_ns has passed (false).  May return true early: look at the condition again.
 */
bool dsq_event_wait(struct dsq_event *event, uint32_t ticket, uint64_t deadline_ns);

#endif
