#include "bindings/python/safe_pickle_machine.h"

/* A name as both unpicklers read it: UTF-8. */
static PyObject *decode_name(struct dsq_pickle_machine *machine, struct dsq_pickle_span text)
{
    PyObject *name = PyUnicode_DecodeUTF8((const char *)text.at, (Py_ssize_t)text.size, "strict");
    if (name == NULL && PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) {
        PyErr_Clear();
        dsq_pickle_refuse(machine, "the name of a global is not UTF-8");
    }
    return name;
}

/* The number of a global among those of this pickle; takes over the reference it holds. */
static bool intern_global(struct dsq_pickle_machine *machine,
                          const struct dsq_pickle_global *global, uint32_t *index)
{
    for (size_t i = 0; i < machine->global_count; i++) {
        const struct dsq_pickle_global *known = &machine->globals[i];
        if (known->builtin == global->builtin && known->object == global->object) {
            Py_XDECREF(global->object);
            *index = (uint32_t)i;
            return true;
        }
    }
    bool many = machine->global_count == DSQ_PICKLE_MAX_GLOBALS;
    if (many || !dsq_pickle_grow(&machine->globals, &machine->global_capacity,
                                 machine->global_count, sizeof *machine->globals)) {
        Py_XDECREF(global->object);
        if (!many) {
            PyErr_NoMemory();
        }
        return dsq_pickle_refuse(machine, many ? "it names too many globals" : NULL);
    }
    machine->globals[machine->global_count] = *global;
    *index = (uint32_t)machine->global_count++;
    return true;
}

static bool push_named(struct dsq_pickle_machine *machine, PyObject *module, PyObject *name)
{
    struct dsq_pickle_global global;
    const char *reason;
    int found = dsq_pickle_lookup(machine->state, machine->policy, machine->reader.protocol, module,
                                  name, &global, &reason);
    if (found <= 0) {
        machine->global_name = found == 0 ? PyUnicode_FromFormat("%U.%U", module, name) : NULL;
        return dsq_pickle_refuse(machine, machine->global_name != NULL ? reason : NULL);
    }
    uint32_t index = 0;
    if (!intern_global(machine, &global, &index) ||
        !dsq_pickle_push_new(machine, DSQ_PICKLE_IS_GLOBAL)) {
        return false;
    }
    struct dsq_pickle_node *node = &machine->graph.nodes[machine->graph.node_count - 1];
    node->what = index;
    if ((global.traits & (DSQ_PICKLE_CLASS | DSQ_PICKLE_FUNCTION)) == 0) {
        node->flags = DSQ_PICKLE_NO_VALUE;
    }
    return true;
}

bool dsq_pickle_push_global(struct dsq_pickle_machine *machine, struct dsq_pickle_span module,
                            struct dsq_pickle_span name)
{
    PyObject *module_name = decode_name(machine, module);
    PyObject *global_name = module_name != NULL ? decode_name(machine, name) : NULL;
    bool pushed = global_name != NULL && push_named(machine, module_name, global_name);
    Py_XDECREF(module_name);
    Py_XDECREF(global_name);
    return pushed;
}

static bool is_name(const struct dsq_pickle_machine *machine, uint32_t node)
{
    const struct dsq_pickle_node *text = &machine->graph.nodes[node];
    return text->kind == DSQ_PICKLE_IS_STR && (text->flags & DSQ_PICKLE_SPELLED_UTF8);
}

bool dsq_pickle_stack_global(struct dsq_pickle_machine *machine)
{
    uint32_t module;
    uint32_t name;
    if (!dsq_pickle_pop(machine, &name) || !dsq_pickle_pop(machine, &module)) {
        return false;
    }
    if (!is_name(machine, module) || !is_name(machine, name)) {
        return dsq_pickle_refuse(machine, "a global is named by what is no binary string");
    }
    return dsq_pickle_push_global(machine, dsq_pickle_text_of(machine, module),
                                  dsq_pickle_text_of(machine, name));
}
