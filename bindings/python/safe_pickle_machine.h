/*
 * A pickle machine that makes nothing: it runs the opcodes over the nodes of a graph, with the stack,
 * marks and memo of an unpickler, and stops at whatever it does not understand.
 *
 * Memory: for each opcode at most a node (24 bytes), an edge (8) and a place (4 each) on the stack,
 * among the marks and in the memo; arrays grow by half.  So at most 66 bytes for each opcode, and the
 * old array beside the new one while one grows; MAX_OPCODES bounds them all.  Time: linear in the
 * bytes of the pickle, save for globals, each of which is looked for among those before it, of which
 * there are up to MAX_GLOBALS.
 */
#ifndef DSQ_PYTHON_SAFE_PICKLE_MACHINE_H
#define DSQ_PYTHON_SAFE_PICKLE_MACHINE_H

#include "bindings/python/safe_pickle_graph.h"
#include "bindings/python/safe_pickle_policy.h"

#define DSQ_PICKLE_MAX_BYTES (512ULL << 20)
#define DSQ_PICKLE_MAX_OPCODES (1U << 24)
/* Different globals in one pickle. */
#define DSQ_PICKLE_MAX_GLOBALS 1024

struct dsq_pickle_machine {
    struct dsq_pickle_reader reader;
    struct dsq_pickle_graph graph;
    uint32_t *stack, *marks, *memo;
    size_t stack_size, stack_capacity;
    size_t mark_count, mark_capacity; /* a mark is the size of the stack below it */
    size_t memo_size, memo_capacity;
    struct dsq_pickle_global *globals;
    size_t global_count, global_capacity;
    const struct dsq_py_safe_pickle *state;
    PyObject *policy;      /* borrowed */
    const char *reason;    /* why the pickle is refused; NULL: an exception is set */
    PyObject *global_name; /* owned: of what global, if of any */
};

/* What a node that is a global, or an instance of one, names. */
static inline struct dsq_pickle_global *dsq_pickle_global_of(
    const struct dsq_pickle_machine *machine, uint32_t node)
{
    return &machine->globals[machine->graph.nodes[node].what];
}

/* A view of the text of a str or of bytes. */
static inline struct dsq_pickle_span dsq_pickle_text_of(const struct dsq_pickle_machine *machine,
                                                        uint32_t node)
{
    const struct dsq_pickle_node *text = &machine->graph.nodes[node];
    return (struct dsq_pickle_span){machine->reader.data + text->first, text->last};
}

/* Refuses the pickle; false.  The second adds the global that node is, or is an instance of. */
bool dsq_pickle_refuse(struct dsq_pickle_machine *machine, const char *reason);
bool dsq_pickle_refuse_global(struct dsq_pickle_machine *machine, uint32_t node,
                              const char *reason);

/* The functions below are false with a reason, or without one and with an exception. */

/* What came of a call on the graph. */
bool dsq_pickle_graph_passed(struct dsq_pickle_machine *machine, bool success);

bool dsq_pickle_push(struct dsq_pickle_machine *machine, uint32_t node);
/* None, a bool, a small int, a float: one node stands for all of a kind, at the kind's number. */
bool dsq_pickle_add_atoms(struct dsq_pickle_machine *machine);
bool dsq_pickle_push_atom(struct dsq_pickle_machine *machine, enum dsq_pickle_kind kind);
bool dsq_pickle_push_new(struct dsq_pickle_machine *machine, enum dsq_pickle_kind kind);
bool dsq_pickle_pop(struct dsq_pickle_machine *machine, uint32_t *node);
/* The last node, which stays. */
bool dsq_pickle_top(struct dsq_pickle_machine *machine, uint32_t *node);

bool dsq_pickle_mark(struct dsq_pickle_machine *machine);
/* Takes the last mark away: items are those that were above it, borrowed until the next push. */
bool dsq_pickle_pop_mark(struct dsq_pickle_machine *machine, const uint32_t **items, size_t *count);

/* Puts a value into a holder, or a key and a value; functions are no values. */
bool dsq_pickle_put(struct dsq_pickle_machine *machine, uint32_t holder, uint32_t value);
bool dsq_pickle_put_item(struct dsq_pickle_machine *machine, uint32_t holder, uint32_t key,
                         uint32_t value);
bool dsq_pickle_put_member(struct dsq_pickle_machine *machine, uint32_t set, uint32_t member);
/* Whether node may stand in a value. */
bool dsq_pickle_check_value(struct dsq_pickle_machine *machine, uint32_t node);

/* What REDUCE, NEWOBJ, NEWOBJ_EX and BUILD do; see safe_pickle_calls.c. */
bool dsq_pickle_reduce(struct dsq_pickle_machine *machine);
bool dsq_pickle_new_object(struct dsq_pickle_machine *machine, bool keywords);
bool dsq_pickle_build(struct dsq_pickle_machine *machine);

/* What GLOBAL and STACK_GLOBAL do; see safe_pickle_globals.c. */
bool dsq_pickle_push_global(struct dsq_pickle_machine *machine, struct dsq_pickle_span module,
                            struct dsq_pickle_span name);
bool dsq_pickle_stack_global(struct dsq_pickle_machine *machine);

/* Runs the whole pickle; see safe_pickle_run.c. */
bool dsq_pickle_run(struct dsq_pickle_machine *machine);

#endif
