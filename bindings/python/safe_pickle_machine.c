#include "bindings/python/safe_pickle_machine.h"

#include "bindings/python/module.h"

bool dsq_pickle_refuse(struct dsq_pickle_machine *machine, const char *reason)
{
    machine->reason = reason;
    return false;
}

bool dsq_pickle_refuse_global(struct dsq_pickle_machine *machine, uint32_t node, const char *reason)
{
    const struct dsq_pickle_global *global = dsq_pickle_global_of(machine, node);
    if (global->builtin != NULL) {
        machine->global_name =
            PyUnicode_FromFormat("%s.%s", global->builtin->module, global->builtin->name);
    } else {
        PyObject *module = dsq_py_get_attribute(global->object, "__module__");
        PyObject *name = dsq_py_get_attribute(global->object, "__qualname__");
        machine->global_name =
            module != NULL && name != NULL ? PyUnicode_FromFormat("%S.%S", module, name) : NULL;
        Py_XDECREF(module);
        Py_XDECREF(name);
    }
    return dsq_pickle_refuse(machine, machine->global_name != NULL ? reason : NULL);
}

static bool no_memory(struct dsq_pickle_machine *machine)
{
    PyErr_NoMemory();
    return dsq_pickle_refuse(machine, NULL);
}

bool dsq_pickle_graph_passed(struct dsq_pickle_machine *machine, bool success)
{
    if (success) {
        return true;
    }
    return machine->graph.reason != NULL ? dsq_pickle_refuse(machine, machine->graph.reason)
                                         : no_memory(machine);
}

static size_t fence(const struct dsq_pickle_machine *machine)
{
    return machine->mark_count != 0 ? machine->marks[machine->mark_count - 1] : 0;
}

bool dsq_pickle_push(struct dsq_pickle_machine *machine, uint32_t node)
{
    if (!dsq_pickle_grow(&machine->stack, &machine->stack_capacity, machine->stack_size,
                         sizeof *machine->stack)) {
        return no_memory(machine);
    }
    machine->stack[machine->stack_size++] = node;
    return true;
}

bool dsq_pickle_push_new(struct dsq_pickle_machine *machine, enum dsq_pickle_kind kind)
{
    uint32_t node;
    return dsq_pickle_graph_passed(machine, dsq_pickle_graph_add(&machine->graph, kind, &node)) &&
           dsq_pickle_push(machine, node);
}

bool dsq_pickle_add_atoms(struct dsq_pickle_machine *machine)
{
    for (uint32_t kind = DSQ_PICKLE_IS_NONE; kind <= DSQ_PICKLE_IS_FLOAT; kind++) {
        uint32_t node;
        if (!dsq_pickle_graph_passed(
                machine,
                dsq_pickle_graph_add(&machine->graph, (enum dsq_pickle_kind)kind, &node))) {
            return false;
        }
    }
    return true;
}

bool dsq_pickle_push_atom(struct dsq_pickle_machine *machine, enum dsq_pickle_kind kind)
{
    return dsq_pickle_push(machine, (uint32_t)kind);
}

bool dsq_pickle_pop(struct dsq_pickle_machine *machine, uint32_t *node)
{
    if (!dsq_pickle_top(machine, node)) {
        return false;
    }
    machine->stack_size--;
    return true;
}

bool dsq_pickle_top(struct dsq_pickle_machine *machine, uint32_t *node)
{
    if (machine->stack_size <= fence(machine)) {
        return dsq_pickle_refuse(machine, "there are too few values on the stack");
    }
    *node = machine->stack[machine->stack_size - 1];
    return true;
}

bool dsq_pickle_mark(struct dsq_pickle_machine *machine)
{
    if (!dsq_pickle_grow(&machine->marks, &machine->mark_capacity, machine->mark_count,
                         sizeof *machine->marks)) {
        return no_memory(machine);
    }
    machine->marks[machine->mark_count++] = (uint32_t)machine->stack_size;
    return true;
}

bool dsq_pickle_pop_mark(struct dsq_pickle_machine *machine, const uint32_t **items, size_t *count)
{
    if (machine->mark_count == 0) {
        return dsq_pickle_refuse(machine, "there is no mark on the stack");
    }
    size_t bottom = machine->marks[--machine->mark_count];
    *items = machine->stack + bottom;
    *count = machine->stack_size - bottom;
    machine->stack_size = bottom;
    return true;
}

bool dsq_pickle_check_value(struct dsq_pickle_machine *machine, uint32_t node)
{
    const struct dsq_pickle_node *value = &machine->graph.nodes[node];
    if (value->kind == DSQ_PICKLE_IS_GLOBAL && (value->flags & DSQ_PICKLE_NO_VALUE)) {
        return dsq_pickle_refuse_global(machine, node, "it may be called, but is no value");
    }
    return true;
}

bool dsq_pickle_put(struct dsq_pickle_machine *machine, uint32_t holder, uint32_t value)
{
    return dsq_pickle_check_value(machine, value) &&
           dsq_pickle_graph_passed(machine,
                                   dsq_pickle_graph_attach(&machine->graph, holder, value));
}

/* Whether an int is as small as one of 128 bits, with its sign. */
static bool is_short_int(const struct dsq_pickle_node *node)
{
    enum { SHORT_INT_BYTES = 17 };
    return node->kind == DSQ_PICKLE_IS_INT && node->last <= SHORT_INT_BYTES;
}

bool dsq_pickle_put_item(struct dsq_pickle_machine *machine, uint32_t holder, uint32_t key,
                         uint32_t value)
{
    struct dsq_pickle_node *nodes = machine->graph.nodes;
    if (nodes[holder].kind == DSQ_PICKLE_IS_DICT) {
        if (nodes[key].kind != DSQ_PICKLE_IS_STR) {
            nodes[holder].flags |= DSQ_PICKLE_ODD_KEY;
        } else if (dsq_pickle_is_dunder(dsq_pickle_text_of(machine, key))) {
            nodes[holder].flags |= DSQ_PICKLE_DUNDER_KEY;
        }
        if (!is_short_int(&nodes[value])) {
            nodes[holder].flags |= DSQ_PICKLE_ODD_VALUE;
        }
    }
    return dsq_pickle_put_member(machine, holder, key) && dsq_pickle_put(machine, holder, value);
}

bool dsq_pickle_put_member(struct dsq_pickle_machine *machine, uint32_t set, uint32_t member)
{
    return dsq_pickle_graph_passed(machine, dsq_pickle_graph_hash(&machine->graph, member)) &&
           dsq_pickle_put(machine, set, member);
}
