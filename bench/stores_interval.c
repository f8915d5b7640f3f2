#include "bench/stores_interval.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "bench/stores_ops.h"

struct store_interval {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t stopped;
    bool stop;
    void (*sync)(void *store);
    void *store;
};

#define NS_PER_MS 1000000L
#define NS_PER_S 1000000000L

static struct timespec after(struct timespec from)
{
    from.tv_nsec += STORE_INTERVAL_MS * NS_PER_MS;
    from.tv_sec += from.tv_nsec / NS_PER_S;
    from.tv_nsec %= NS_PER_S;
    return from;
}

static void *run(void *context)
{
    struct store_interval *self = context;
    struct timespec due;
    clock_gettime(CLOCK_MONOTONIC, &due);
    pthread_mutex_lock(&self->mutex);
    while (!self->stop) {
        due = after(due);
        while (!self->stop && pthread_cond_timedwait(&self->stopped, &self->mutex, &due) == 0) {
        }
        pthread_mutex_unlock(&self->mutex);
        self->sync(self->store);
        pthread_mutex_lock(&self->mutex);
    }
    pthread_mutex_unlock(&self->mutex);
    return NULL;
}

struct store_interval *store_interval_start(void (*sync)(void *store), void *store)
{
    struct store_interval *self = calloc(1, sizeof *self);
    pthread_condattr_t attributes;
    if (self == NULL) {
        abort();
    }
    self->sync = sync;
    self->store = store;
    pthread_condattr_init(&attributes);
    if (pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) != 0 ||
        pthread_cond_init(&self->stopped, &attributes) != 0 ||
        pthread_mutex_init(&self->mutex, NULL) != 0 ||
        pthread_create(&self->thread, NULL, run, self) != 0) {
        abort();
    }
    pthread_condattr_destroy(&attributes);
    return self;
}

void store_interval_stop(struct store_interval *interval)
{
    if (interval == NULL) {
        return;
    }
    pthread_mutex_lock(&interval->mutex);
    interval->stop = true;
    pthread_cond_signal(&interval->stopped);
    pthread_mutex_unlock(&interval->mutex);
    pthread_join(interval->thread, NULL);
    pthread_cond_destroy(&interval->stopped);
    pthread_mutex_destroy(&interval->mutex);
    free(interval);
}
