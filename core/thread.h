/* Starting a thread of the library's own. */
#ifndef DSQ_CORE_THREAD_H
#define DSQ_CORE_THREAD_H

#include <pthread.h>
#include <stdbool.h>

/*
 * Starts a joinable thread with every signal blocked, so that the program's handlers run in the
 * program's threads, and with a name of at most 15 characters.  DSQ_ERR_NOMEM if it cannot be
 * started.
 */
int dsq_thread_start(pthread_t *thread, const char *name, void *(*body)(void *), void *argument);

/* A number that the calling thread keeps: threads count from 0 in the order of their first call. */
unsigned dsq_thread_number(void);

/*
 * Says that the calling thread works for all others: what it retires is theirs to allocate from
 * (core/reclaim.h).  For the rest of the thread's life.
 */
void dsq_thread_serve_others(void);
bool dsq_thread_serves_others(void);

#endif
