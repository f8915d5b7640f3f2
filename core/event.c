#include "core/event.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/platform.h"

static int gettime(const struct ck_ec_ops *ops, struct timespec *out)
{
    (void)ops;
    return clock_gettime(CLOCK_MONOTONIC, out);
}

/* The deadlines of ck_ec are absolute times of gettime's clock, as FUTEX_WAIT_BITSET takes them. */
static void wait32(const struct ck_ec_wait_state *state, const uint32_t *address, uint32_t expected,
                   const struct timespec *deadline)
{
    (void)state;
    syscall(SYS_futex, address, FUTEX_WAIT_BITSET_PRIVATE, expected, deadline, NULL,
            FUTEX_BITSET_MATCH_ANY);
}

static void wake32(const struct ck_ec_ops *ops, const uint32_t *address)
{
    (void)ops;
    syscall(SYS_futex, address, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

static const struct ck_ec_ops ec_ops = {.gettime = gettime, .wait32 = wait32, .wake32 = wake32};
static const struct ck_ec_mode ec_mode = {.ops = &ec_ops, .single_producer = false};

void dsq_event_init(struct dsq_event *event)
{
    ck_ec32_init(&event->count, 0);
}

uint32_t dsq_event_ticket(const struct dsq_event *event)
{
    return ck_ec32_value(&event->count);
}

void dsq_event_signal(struct dsq_event *event)
{
    ck_ec32_inc(&event->count, &ec_mode);
}

static bool is_later(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

/* ck_ec waits in steps that grow up to a second, and does not end the last one with the deadline. */
static int end_in_time(const struct ck_ec_wait_state *state, struct timespec *step)
{
    const struct timespec *deadline = state->data;

    if (is_later(step, deadline)) {
        *step = *deadline;
    }
    return 0;
}

bool dsq_event_wait(struct dsq_event *event, uint32_t ticket, uint64_t deadline_ns)
{
    struct timespec deadline = {
        .tv_sec = (time_t)(deadline_ns / DSQ_NS_PER_S),
        .tv_nsec = (long)(deadline_ns % DSQ_NS_PER_S),
    };

    if (deadline_ns == DSQ_NO_DEADLINE) {
        return ck_ec32_wait(&event->count, &ec_mode, ticket, NULL) == 0;
    }
    return ck_ec32_wait_pred(&event->count, &ec_mode, ticket, end_in_time, &deadline, &deadline) ==
           0;
}
