/*
 * What stress/crash's writer process and its judge share: a page of counters that outlives the
 * killed writer, and the programme of writes, which both compute.
 *
 * Thread t performs the writes 1, 2, 3, ... in that order, on keys that only it writes.  What write
 * n does is a function of (seed, t, n): a put of n or a delete on key n modulo CRASH_RING_KEYS of
 * the thread's ring, or a batch that puts n under all CRASH_BATCH_KEYS of its batch keys.  So the
 * state after any prefix of the programme can be told, and compared with the file.
 */
#ifndef DSQ_STRESS_CRASH_PAGE_H
#define DSQ_STRESS_CRASH_PAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CRASH_THREADS_MAX 16
#define CRASH_RING_KEYS 64
#define CRASH_BATCH_KEYS 5
/* A thread's keys: its ring, then its batch keys. */
#define CRASH_THREAD_KEYS (CRASH_RING_KEYS + CRASH_BATCH_KEYS)
#define CRASH_KEY_BYTES 32

struct crash_thread {
    _Atomic uint64_t base; /* the last write of the programme that earlier rounds left in force */
    _Atomic uint64_t invoked; /* the last write begun in this round, or base */
    _Atomic uint64_t acked;   /* the last one that returned success */
    _Atomic uint64_t flushed; /* the last one acked before a flush that returned success began */
    _Atomic uint64_t read;    /* the newest write of this thread that a finished read returned */
};

struct crash_page {
    uint64_t seed;
    uint64_t threads;
    uint64_t capacity;
    int mode;
    int synchronous;
    uint64_t encrypt;    /* 1: with a password */
    int kill_stage;      /* enum dsq_stage at which the writer kills itself; negative: none */
    uint64_t kill_count; /* at which passage of it */
    _Atomic uint64_t round;
    atomic_bool opened; /* the writer's dsq_open has returned */
    atomic_bool stop;   /* the writer's threads are to end */
    atomic_bool failed; /* the writer met an error or a wrong value, and said so */
    struct crash_thread thread[CRASH_THREADS_MAX];
};

enum crash_action { CRASH_PUT, CRASH_DELETE, CRASH_BATCH };

enum crash_action crash_action(const struct crash_page *page, uint64_t thread, uint64_t number);

/* The key's bytes; returns their count.  key is below CRASH_THREAD_KEYS. */
size_t crash_key_encode(uint64_t thread, uint64_t key, char bytes[CRASH_KEY_BYTES]);

/* The other way round, of a text that ends; false if it is no such key. */
bool crash_key_decode(const char *name, uint64_t *thread, uint64_t *key);

/*
 * A value: who wrote it, as what number, in which round, and what it could know: for each thread
 * the newest write that had been acknowledged, or read by this writer, when this one began.  A
 * payload follows.
 */
struct crash_value {
    uint64_t checksum; /* of all that follows */
    uint64_t thread;
    uint64_t key;
    uint64_t number;
    uint64_t round;
    uint64_t known[CRASH_THREADS_MAX];
};

#define CRASH_VALUE_BYTES_MAX (sizeof(struct crash_value) + 600)

/* Fills value's checksum and a payload drawn from its contents; returns the size. */
size_t crash_value_encode(const struct crash_value *value,
                          unsigned char bytes[CRASH_VALUE_BYTES_MAX]);

/* False if the bytes are not a whole, unchanged value of this key. */
bool crash_value_decode(const void *bytes, size_t size, uint64_t thread, uint64_t key,
                        struct crash_value *value);

/*
 * The number that the key holds after the first `last` writes of its thread, 0 if it is absent.
 */
uint64_t crash_expected(const struct crash_page *page, uint64_t thread, uint64_t key,
                        uint64_t last);

#endif
