#include "core/perturb.h"

#include <sched.h>
#include <stdint.h>
#include <time.h>

#include "core/atomic.h"

/* Of so many marks one yields, and one in the second number pauses. */
#define YIELD_ONE_IN 32
#define PAUSE_ONE_IN 2048
#define READ_PAUSE_ONE_IN 8
/* From the shortest pause up by powers of two: long enough for a whole commit to go by. */
#define PAUSE_NS_MIN 4096
#define PAUSE_DOUBLINGS 11

/* xorshift64 (Marsaglia, 2003), a stream for each thread. */
static uint64_t draw(void)
{
    static _Atomic uint64_t threads;
    static _Thread_local uint64_t state;

    if (state == 0) {
        state = (dsq_add_relaxed(&threads, 1) + 1) * UINT64_C(0x9E3779B97F4A7C15);
    }
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void disturb(uint64_t random, uint64_t pause_one_in)
{
    if (random % pause_one_in == 0) {
        struct timespec pause = {.tv_nsec = PAUSE_NS_MIN << (random >> 32) % PAUSE_DOUBLINGS};

        nanosleep(&pause, NULL);
    } else if (random % YIELD_ONE_IN == 0) {
        sched_yield();
    }
}

void dsq_perturb(void)
{
    disturb(draw(), PAUSE_ONE_IN);
}

void dsq_perturb_read(void)
{
    disturb(draw(), READ_PAUSE_ONE_IN);
}
