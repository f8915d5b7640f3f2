/*
 * Compiled without ThreadSanitizer's instrumentation in every build: Concurrency Kit moves the
 * links with plain accesses ordered by inline assembly, which it cannot follow.  The annotations
 * tell it what push and take_all order.
 */
#include "core/mpsc.h"

#include "core/atomic.h"

_Static_assert(offsetof(struct dsq_mpsc_node, entry) == 0, "a node is its entry");

void dsq_mpsc_init(struct dsq_mpsc *queue)
{
    ck_stack_init(&queue->stack);
}

void dsq_mpsc_push(struct dsq_mpsc *queue, struct dsq_mpsc_node *node)
{
    dsq_annotate_release(node);
    ck_stack_push_upmc(&queue->stack, &node->entry);
}

bool dsq_mpsc_is_empty(const struct dsq_mpsc *queue)
{
    return ck_pr_load_ptr(&queue->stack.head) == NULL;
}

struct dsq_mpsc_node *dsq_mpsc_take_all(struct dsq_mpsc *queue)
{
    ck_stack_entry_t *entry = ck_stack_batch_pop_upmc(&queue->stack);
    ck_stack_entry_t *oldest = NULL;

    while (entry != NULL) {
        ck_stack_entry_t *older = entry->next;

        dsq_annotate_acquire(entry);
        entry->next = oldest;
        oldest = entry;
        entry = older;
    }
    return (struct dsq_mpsc_node *)oldest;
}

struct dsq_mpsc_node *dsq_mpsc_take_newest_first(struct dsq_mpsc *queue)
{
    ck_stack_entry_t *newest = ck_stack_batch_pop_upmc(&queue->stack);

#ifdef DSQ_TSAN_ANNOTATE
    for (const ck_stack_entry_t *entry = newest; entry != NULL; entry = entry->next) {
        dsq_annotate_acquire(entry);
    }
#endif
    return (struct dsq_mpsc_node *)newest;
}
