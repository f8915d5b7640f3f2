#include "bindings/python/safe_pickle.h"

#include "bindings/python/convert.h"
#include "bindings/python/module.h"
#include "bindings/python/safe_pickle_machine.h"

const char dsq_py_safe_pickle_check_doc[] =
    "safe_pickle_check($module, /, data, allowed_modules=None)\n--\n\n"
    "Raise UnsafePickleError unless the pickle in data (bytes-like) would make nothing but what\n"
    "is allowed: containers, numbers, strings, bytes, dates, Decimal, Fraction, UUID, pure paths,\n"
    "IP addresses, and instances of what is listed.  Nothing of the pickle is run.\n"
    "allowed_modules: names of modules, whose classes are trusted; 'package.' for the modules of\n"
    "a package that are imported; or the full name of a class or function.\n"
    "The error has the attributes offset, opcode and global_name.";

const char dsq_py_safe_pickle_loads_doc[] =
    "safe_pickle_loads($module, /, data, allowed_modules=None)\n--\n\n"
    "Load the pickle in data, after safe_pickle_check() of the same bytes, and return its value.\n"
    "Raises UnsafePickleError, and what pickle raises of a value that is well formed but wrong:\n"
    "ValueError, TypeError, ArithmeticError, RecursionError, or what a listed class raises.";

static PyObject *make_error(PyObject *base_error, PyObject *pickle_module)
{
    PyObject *unpickling_error = dsq_py_get_attribute(pickle_module, "UnpicklingError");
    PyObject *bases =
        unpickling_error != NULL ? PyTuple_Pack(2, base_error, unpickling_error) : NULL;
    PyObject *attributes = bases != NULL ? Py_BuildValue("{s:i,s:O,s:O}", "offset", 0, "opcode",
                                                         Py_None, "global_name", Py_None)
                                         : NULL;
    PyObject *error =
        attributes != NULL
            ? PyErr_NewExceptionWithDoc("dictsqlite.UnsafePickleError",
                                        "A pickle holds what is not allowed, or is not understood.",
                                        bases, attributes)
            : NULL;
    Py_XDECREF(attributes);
    Py_XDECREF(bases);
    Py_XDECREF(unpickling_error);
    return error;
}

/* Its instances can carry a find_class of their own. */
static PyObject *make_unpickler_type(PyObject *pickle_module)
{
    PyObject *base = dsq_py_get_attribute(pickle_module, "Unpickler");
    PyObject *type = base != NULL
                         ? PyObject_CallFunction((PyObject *)&PyType_Type, "s(O){s:s}",
                                                 "SafeUnpickler", base, "__module__", "dictsqlite")
                         : NULL;
    Py_XDECREF(base);
    return type;
}

static PyObject *import_attribute(const char *module_name, const char *name)
{
    PyObject *module = PyImport_ImportModule(module_name);
    PyObject *attribute = module != NULL ? dsq_py_get_attribute(module, name) : NULL;
    Py_XDECREF(module);
    return attribute;
}

int dsq_py_safe_pickle_init(struct dsq_py_safe_pickle *state, PyObject *module,
                            PyObject *base_error)
{
    state->module = module;
    PyObject *pickle_module = PyImport_ImportModule("pickle");
    if (pickle_module == NULL) {
        return -1;
    }
    state->error = make_error(base_error, pickle_module);
    state->unpickler_type = make_unpickler_type(pickle_module);
    Py_DECREF(pickle_module);
    state->bytes_io = import_attribute("io", "BytesIO");
    state->name_mapping = import_attribute("_compat_pickle", "NAME_MAPPING");
    state->import_mapping = import_attribute("_compat_pickle", "IMPORT_MAPPING");
    if (state->error == NULL || state->unpickler_type == NULL || state->bytes_io == NULL ||
        state->name_mapping == NULL || state->import_mapping == NULL) {
        return -1;
    }
    return PyObject_SetAttrString(module, "UnsafePickleError", state->error);
}

int dsq_py_safe_pickle_traverse(struct dsq_py_safe_pickle *state, visitproc visit, void *arg)
{
    Py_VISIT(state->error);
    Py_VISIT(state->unpickler_type);
    Py_VISIT(state->bytes_io);
    Py_VISIT(state->name_mapping);
    Py_VISIT(state->import_mapping);
    return 0;
}

void dsq_py_safe_pickle_clear(struct dsq_py_safe_pickle *state)
{
    Py_CLEAR(state->error);
    Py_CLEAR(state->unpickler_type);
    Py_CLEAR(state->bytes_io);
    Py_CLEAR(state->name_mapping);
    Py_CLEAR(state->import_mapping);
}

/* What an UnsafePickleError says. */
struct refusal {
    const char *reason;
    const char *opcode; /* NULL: none */
    size_t offset;
    PyObject *global_name; /* borrowed; NULL: none */
};

static PyObject *refusal_message(const struct refusal *refusal)
{
    PyObject *where =
        refusal->opcode != NULL
            ? PyUnicode_FromFormat("%s at offset %zu", refusal->opcode, refusal->offset)
            : PyUnicode_FromFormat("offset %zu", refusal->offset);
    PyObject *message = NULL;
    if (where != NULL) {
        message =
            refusal->global_name != NULL
                ? PyUnicode_FromFormat("%U: %s (%U)", refusal->global_name, refusal->reason, where)
                : PyUnicode_FromFormat("%s (%U)", refusal->reason, where);
        Py_DECREF(where);
    }
    return message;
}

static bool set_attribute(PyObject *object, const char *name, PyObject *value)
{
    bool set = value != NULL && PyObject_SetAttrString(object, name, value) == 0;
    Py_XDECREF(value);
    return set;
}

static PyObject *or_none(PyObject *object)
{
    PyObject *result = object != NULL ? object : Py_None;
    Py_INCREF(result);
    return result;
}

static void raise_refusal(const struct dsq_py_safe_pickle *state, const struct refusal *refusal)
{
    PyObject *message = refusal_message(refusal);
    PyObject *error =
        message != NULL ? PyObject_CallFunctionObjArgs(state->error, message, NULL) : NULL;
    Py_XDECREF(message);
    if (error == NULL) {
        return;
    }
    PyObject *opcode =
        refusal->opcode != NULL ? PyUnicode_FromString(refusal->opcode) : or_none(NULL);
    bool set = set_attribute(error, "opcode", opcode) &&
               set_attribute(error, "offset", PyLong_FromSize_t(refusal->offset)) &&
               set_attribute(error, "global_name", or_none(refusal->global_name));
    if (set) {
        PyErr_SetObject(state->error, error);
    }
    Py_DECREF(error);
}

static void fini_machine(struct dsq_pickle_machine *machine)
{
    for (size_t i = 0; i < machine->global_count; i++) {
        Py_XDECREF(machine->globals[i].object);
    }
    PyMem_Free(machine->globals);
    PyMem_Free(machine->stack);
    PyMem_Free(machine->marks);
    PyMem_Free(machine->memo);
    dsq_pickle_graph_fini(&machine->graph);
    Py_XDECREF(machine->global_name);
}

static int verify(const struct dsq_py_safe_pickle *state, PyObject *pickle, PyObject *policy,
                  unsigned *protocol)
{
    struct dsq_pickle_machine machine = {
        .reader = {.data = (const uint8_t *)PyBytes_AS_STRING(pickle),
                   .size = (size_t)PyBytes_GET_SIZE(pickle)},
        .state = state,
        .policy = policy,
    };
    dsq_pickle_graph_init(&machine.graph, machine.reader.size);
    bool allowed = dsq_pickle_run(&machine);
    if (!allowed && machine.reason != NULL) {
        const struct dsq_pickle_reader *reader = &machine.reader;
        raise_refusal(state,
                      &(struct refusal){
                          .reason = machine.reason,
                          .opcode = reader->offset < reader->size
                                        ? dsq_pickle_opcode_name(reader->data[reader->offset])
                                        : NULL,
                          .offset = reader->offset,
                          .global_name = machine.global_name,
                      });
    }
    *protocol = machine.reader.protocol;
    fini_machine(&machine);
    return allowed ? 0 : -1;
}

int dsq_py_safe_pickle_verify(const struct dsq_py_safe_pickle *state, PyObject *pickle,
                              PyObject *policy)
{
    unsigned protocol;
    return verify(state, pickle, policy, &protocol);
}

/* find_class of an unpickler: context is (module, policy, protocol). */
static PyObject *find_class(PyObject *context, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2 || !PyUnicode_Check(args[0]) || !PyUnicode_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "find_class() takes the names of a module and a global");
        return NULL;
    }
    if (PySys_Audit("pickle.find_class", "OO", args[0], args[1]) < 0) {
        return NULL;
    }
    struct dsq_py_module *module = PyModule_GetState(PyTuple_GET_ITEM(context, 0));
    const struct dsq_py_safe_pickle *state = &module->safe_pickle;
    unsigned protocol = (unsigned)PyLong_AsUnsignedLong(PyTuple_GET_ITEM(context, 2));
    struct dsq_pickle_global global;
    const char *reason;
    int found = dsq_pickle_lookup(state, PyTuple_GET_ITEM(context, 1), protocol, args[0], args[1],
                                  &global, &reason);
    if (found == 0) {
        PyObject *name = PyUnicode_FromFormat("%U.%U", args[0], args[1]);
        if (name != NULL) {
            raise_refusal(state, &(struct refusal){.reason = reason, .global_name = name});
            Py_DECREF(name);
        }
    }
    if (found <= 0) {
        return NULL;
    }
    PyObject *object = dsq_pickle_global_object(&global);
    Py_XDECREF(global.object);
    return object;
}

static PyMethodDef find_class_definition = {
    "find_class", (PyCFunction)(void (*)(void))find_class, METH_FASTCALL,
    "find_class(module, name, /)\n--\n\nLook up what the policy allows."};

static PyObject *make_find_class(const struct dsq_py_safe_pickle *state, PyObject *policy,
                                 unsigned protocol)
{
    PyObject *context = Py_BuildValue("(OOI)", state->module, policy, protocol);
    PyObject *function = context != NULL ? PyCFunction_New(&find_class_definition, context) : NULL;
    Py_XDECREF(context);
    return function;
}

static PyObject *make_unpickler(const struct dsq_py_safe_pickle *state, PyObject *pickle)
{
    PyObject *file = PyObject_CallFunctionObjArgs(state->bytes_io, pickle, NULL);
    PyObject *unpickler =
        file != NULL ? PyObject_CallFunctionObjArgs(state->unpickler_type, file, NULL) : NULL;
    Py_XDECREF(file);
    return unpickler;
}

PyObject *dsq_py_safe_pickle_load(const struct dsq_py_safe_pickle *state, PyObject *pickle,
                                  PyObject *policy)
{
    unsigned protocol;
    if (verify(state, pickle, policy, &protocol) < 0) {
        return NULL;
    }
    PyObject *unpickler = make_unpickler(state, pickle);
    PyObject *value = NULL;
    if (unpickler != NULL &&
        set_attribute(unpickler, "find_class", make_find_class(state, policy, protocol))) {
        value = dsq_py_call_method(unpickler, "load", NULL);
    }
    Py_XDECREF(unpickler);
    return value;
}

/* Takes the arguments of both functions: new references, or false with an exception. */
static bool parse_arguments(PyObject *args, PyObject *kwargs, const char *format, PyObject **pickle,
                            PyObject **policy)
{
    static const char *const names[] = {"data", "allowed_modules", NULL};
    PyObject *data;
    PyObject *allowed_modules = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, format, (char **)(uintptr_t)names, &data,
                                     &allowed_modules)) {
        return false;
    }
    if (!PyObject_CheckBuffer(data)) {
        PyErr_Format(PyExc_TypeError, "data must be bytes-like, not %.200s",
                     Py_TYPE(data)->tp_name);
        return false;
    }
    *policy = dsq_pickle_policy(allowed_modules);
    *pickle = *policy != NULL ? dsq_py_value_bytes(data) : NULL;
    if (*pickle == NULL) {
        Py_XDECREF(*policy);
        return false;
    }
    return true;
}

PyObject *dsq_py_safe_pickle_check(PyObject *module, PyObject *args, PyObject *kwargs)
{
    struct dsq_py_module *state = PyModule_GetState(module);
    PyObject *pickle;
    PyObject *policy;
    if (!parse_arguments(args, kwargs, "O|O:safe_pickle_check", &pickle, &policy)) {
        return NULL;
    }
    int status = dsq_py_safe_pickle_verify(&state->safe_pickle, pickle, policy);
    Py_DECREF(pickle);
    Py_DECREF(policy);
    return status < 0 ? NULL : or_none(NULL);
}

PyObject *dsq_py_safe_pickle_loads(PyObject *module, PyObject *args, PyObject *kwargs)
{
    struct dsq_py_module *state = PyModule_GetState(module);
    PyObject *pickle;
    PyObject *policy;
    if (!parse_arguments(args, kwargs, "O|O:safe_pickle_loads", &pickle, &policy)) {
        return NULL;
    }
    PyObject *value = dsq_py_safe_pickle_load(&state->safe_pickle, pickle, policy);
    Py_DECREF(pickle);
    Py_DECREF(policy);
    return value;
}
