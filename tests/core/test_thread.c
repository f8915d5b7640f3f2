#include "core/thread.h"

#include <signal.h>

#include <criterion/criterion.h>

#include "core/status.h"

struct seen {
    char name[16];
    sigset_t blocked;
};

static void *look(void *argument)
{
    struct seen *seen = argument;
    pthread_getname_np(pthread_self(), seen->name, sizeof seen->name);
    pthread_sigmask(SIG_SETMASK, NULL, &seen->blocked);
    return argument;
}

Test(thread, runs_its_body_with_every_signal_blocked)
{
    struct seen seen;
    pthread_t thread;
    void *returned;
    cr_assert_eq(dsq_thread_start(&thread, "dsq-test", look, &seen), DSQ_OK);
    cr_assert_eq(pthread_join(thread, &returned), 0);
    cr_assert_eq(returned, &seen);
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGALRM, SIGUSR1};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        cr_assert_eq(sigismember(&seen.blocked, signals[i]), 1);
    }
}

Test(thread, leaves_the_callers_signals_as_they_were)
{
    struct seen seen;
    sigset_t before;
    sigset_t after;
    pthread_t thread;
    sigemptyset(&before);
    sigaddset(&before, SIGUSR2);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    cr_assert_eq(dsq_thread_start(&thread, "dsq-test", look, &seen), DSQ_OK);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    pthread_join(thread, NULL);
    cr_assert_eq(sigismember(&after, SIGUSR2), 1);
    cr_assert_eq(sigismember(&after, SIGINT), 0);
}

static void *wait_for_name(void *argument)
{
    pthread_mutex_lock(argument);
    pthread_mutex_unlock(argument);
    return NULL;
}

Test(thread, carries_its_name)
{
    static pthread_mutex_t hold = PTHREAD_MUTEX_INITIALIZER;
    char name[16];
    pthread_t thread;
    pthread_mutex_lock(&hold);
    cr_assert_eq(dsq_thread_start(&thread, "dsq-named-here!", wait_for_name, &hold), DSQ_OK);
    cr_assert_eq(pthread_getname_np(thread, name, sizeof name), 0);
    cr_assert_str_eq(name, "dsq-named-here!");
    pthread_mutex_unlock(&hold);
    pthread_join(thread, NULL);
}
