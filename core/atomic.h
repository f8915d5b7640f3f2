/*
 * Atomic operations whose names say their memory order.
 *
 * This is the only file that names memory orders.  Everything shared between threads is a C11
 * atomic accessed through these macros; there are no fences (ThreadSanitizer knows none), so
 * every ordering is a property of one access and of the access that it pairs with.  The pairings
 * are listed at the head of each file that uses them.
 *
 *   relaxed   atomicity only: counters, hints
 *   acquire   what the writer did before its release is seen after this load
 *   release   what this thread did before is seen by whoever acquires the value
 *   acq_rel   both, for read-modify-writes
 *   seq_cst   additionally in one order with every other seq_cst access: for the two-variable
 *             handshakes ("I set mine, then I look at yours") that acquire and release cannot do
 */
#ifndef DSQ_CORE_ATOMIC_H
#define DSQ_CORE_ATOMIC_H

#include <stdatomic.h>
#include <stdbool.h>

#define dsq_load_relaxed(object) atomic_load_explicit((object), memory_order_relaxed)
#define dsq_load_acquire(object) atomic_load_explicit((object), memory_order_acquire)
#define dsq_load_seq_cst(object) atomic_load_explicit((object), memory_order_seq_cst)

#define dsq_store_relaxed(object, value)                                                           \
    atomic_store_explicit((object), (value), memory_order_relaxed)
#define dsq_store_release(object, value)                                                           \
    atomic_store_explicit((object), (value), memory_order_release)
#define dsq_store_seq_cst(object, value)                                                           \
    atomic_store_explicit((object), (value), memory_order_seq_cst)

/* Read-modify-writes return the value before. */
#define dsq_add_relaxed(object, value)                                                             \
    atomic_fetch_add_explicit((object), (value), memory_order_relaxed)
#define dsq_add_acq_rel(object, value)                                                             \
    atomic_fetch_add_explicit((object), (value), memory_order_acq_rel)
#define dsq_add_seq_cst(object, value)                                                             \
    atomic_fetch_add_explicit((object), (value), memory_order_seq_cst)
#define dsq_sub_relaxed(object, value)                                                             \
    atomic_fetch_sub_explicit((object), (value), memory_order_relaxed)
#define dsq_sub_acq_rel(object, value)                                                             \
    atomic_fetch_sub_explicit((object), (value), memory_order_acq_rel)
#define dsq_sub_seq_cst(object, value)                                                             \
    atomic_fetch_sub_explicit((object), (value), memory_order_seq_cst)
#define dsq_exchange_acq_rel(object, value)                                                        \
    atomic_exchange_explicit((object), (value), memory_order_acq_rel)
#define dsq_or_acq_rel(object, value)                                                              \
    atomic_fetch_or_explicit((object), (value), memory_order_acq_rel)
#define dsq_or_relaxed(object, value)                                                              \
    atomic_fetch_or_explicit((object), (value), memory_order_relaxed)
#define dsq_or_seq_cst(object, value)                                                              \
    atomic_fetch_or_explicit((object), (value), memory_order_seq_cst)
#define dsq_and_seq_cst(object, value)                                                             \
    atomic_fetch_and_explicit((object), (value), memory_order_seq_cst)

/*
 * Compare-and-swap, never spuriously failing.  On failure *expected becomes the value found: the
 * witness, which the caller must use instead of reading again.
 */
#define dsq_cas_acq_rel(object, expected, desired)                                                 \
    atomic_compare_exchange_strong_explicit((object), (expected), (desired), memory_order_acq_rel, \
                                            memory_order_acquire)
#define dsq_cas_seq_cst(object, expected, desired)                                                 \
    atomic_compare_exchange_strong_explicit((object), (expected), (desired), memory_order_seq_cst, \
                                            memory_order_seq_cst)
#define dsq_cas_relaxed(object, expected, desired)                                                 \
    atomic_compare_exchange_strong_explicit((object), (expected), (desired), memory_order_relaxed, \
                                            memory_order_relaxed)

/*
 * Orderings made by code that ThreadSanitizer cannot see (the inline assembly of liburcu and
 * Concurrency Kit), told to it where our wrappers call that code.  Nothing in other builds.
 */
#if defined(__SANITIZE_THREAD__)
#define DSQ_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define DSQ_THREAD_SANITIZER 1
#endif
#endif

#ifdef DSQ_TSAN_ANNOTATE
#define DSQ_THREAD_SANITIZER 1
#endif

#ifdef DSQ_THREAD_SANITIZER
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#define dsq_annotate_acquire(address) __tsan_acquire((void *)(address))
#define dsq_annotate_release(address) __tsan_release((void *)(address))
#else
#define dsq_annotate_acquire(address) ((void)(address))
#define dsq_annotate_release(address) ((void)(address))
#endif

#endif
