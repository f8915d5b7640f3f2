#include "core/thread.h"

#include <signal.h>

#include "core/atomic.h"
#include "core/platform.h"
#include "core/status.h"

int dsq_thread_start(pthread_t *thread, const char *name, void *(*body)(void *), void *argument)
{
    sigset_t all;
    sigset_t before;
    int failed;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(thread, NULL, body, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed != 0) {
        return DSQ_ERR_NOMEM;
    }
    pthread_setname_np(*thread, name);
    return DSQ_OK;
}

unsigned dsq_thread_number(void)
{
    static _Atomic unsigned threads;
    static _Thread_local unsigned number; /* plus one; 0: not drawn yet */

    if (DSQ_UNLIKELY(number == 0)) {
        number = dsq_add_relaxed(&threads, 1) + 1;
    }
    return number - 1;
}

static _Thread_local bool serves_others;

void dsq_thread_serve_others(void)
{
    serves_others = true;
}

bool dsq_thread_serves_others(void)
{
    return serves_others;
}
