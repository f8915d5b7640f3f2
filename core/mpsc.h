/*
 * An unbounded queue of intrusive nodes: many producers, one consumer that takes everything.
 *
 * It is Concurrency Kit's stack (ck_stack_push_upmc, ck_stack_batch_pop_upmc; after Treiber, 1986)
 * with one consumer that only ever takes the whole of it and reverses it.  Taking everything at
 * once is what group commit wants, and it removes the stack's ABA problem: no thread ever
 * pops a single node.
 *
 *   push       lock-free.  A producer frozen anywhere leaves the queue whole.
 *              Linearization point: the compare-and-swap of the head.
 *   take_all   wait-free but for the reversal, which is linear in what was taken.
 *              Linearization point: the exchange of the head.
 *
 * Ordering: everything before a push is visible after the take_all that returns the node (release
 * in push, acquire in take_all; told to ThreadSanitizer per node).  Nodes come back in the order
 * of their pushes.
 *
 * A node belongs to the queue from push until take_all returns it, then to the consumer.
 */
#ifndef DSQ_CORE_MPSC_H
#define DSQ_CORE_MPSC_H

#include <ck_stack.h>
#include <stdbool.h>

struct dsq_mpsc_node {
    ck_stack_entry_t entry;
};

struct dsq_mpsc {
    ck_stack_t stack;
};

void dsq_mpsc_init(struct dsq_mpsc *queue);

void dsq_mpsc_push(struct dsq_mpsc *queue, struct dsq_mpsc_node *node);

/* Whether no node waits to be taken.  For the consumer. */
bool dsq_mpsc_is_empty(const struct dsq_mpsc *queue);

/* Takes all nodes, oldest first, linked by dsq_mpsc_next; NULL if there are none.  One consumer. */
struct dsq_mpsc_node *dsq_mpsc_take_all(struct dsq_mpsc *queue);

/* The same without turning the order round: newest first, and wait-free. */
struct dsq_mpsc_node *dsq_mpsc_take_newest_first(struct dsq_mpsc *queue);

/* The next node of a chain returned by take_all, or NULL. */
static inline struct dsq_mpsc_node *dsq_mpsc_next(const struct dsq_mpsc_node *node)
{
    return (struct dsq_mpsc_node *)node->entry.next;
}

/* Links a node of the consumer's own in front of another, which may be NULL. */
static inline void dsq_mpsc_link(struct dsq_mpsc_node *node, struct dsq_mpsc_node *next)
{
    node->entry.next = next != NULL ? &next->entry : NULL;
}

#endif
