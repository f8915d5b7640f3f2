#include "bindings/python/module.h"

#include "bindings/python/batch.h"
#include "bindings/python/dictsqlite_type.h"
#include "bindings/python/encryption.h"
#include "bindings/python/handle.h"
#include "bindings/python/iterator.h"
#include "bindings/python/notifier.h"
#include "bindings/python/recipe.h"
#include "bindings/python/views.h"

PyMODINIT_FUNC PyInit__core(void);

static struct PyModuleDef module_definition;

struct dsq_py_module *dsq_py_module_of(PyTypeObject *type)
{
    /* PyType_GetModuleByDef does this, from Python 3.11 on. */
    PyObject *bases = type->tp_mro;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(bases); i++) {
        PyTypeObject *base = (PyTypeObject *)PyTuple_GET_ITEM(bases, i);
        if (!PyType_HasFeature(base, Py_TPFLAGS_HEAPTYPE)) {
            continue;
        }
        PyObject *module = PyType_GetModule(base);
        if (module == NULL) {
            PyErr_Clear();
        } else if (PyModule_GetDef(module) == &module_definition) {
            return PyModule_GetState(module);
        }
    }
    PyErr_Format(PyExc_TypeError, "%.200s is not a type of dictsqlite", type->tp_name);
    return NULL;
}

PyObject *dsq_py_get_attribute(PyObject *object, const char *name)
{
    PyObject *interned = PyUnicode_InternFromString(name);
    PyObject *attribute = interned != NULL ? PyObject_GetAttr(object, interned) : NULL;
    Py_XDECREF(interned);
    return attribute;
}

PyObject *dsq_py_call_method(PyObject *object, const char *name, PyObject *argument)
{
    PyObject *interned = PyUnicode_InternFromString(name);
    PyObject *result =
        interned != NULL ? PyObject_CallMethodObjArgs(object, interned, argument, NULL) : NULL;
    Py_XDECREF(interned);
    return result;
}

int dsq_py_has_attribute(PyObject *object, const char *name)
{
    PyObject *interned = PyUnicode_InternFromString(name);
    int result = interned != NULL ? PyObject_HasAttr(object, interned) : -1;
    Py_XDECREF(interned);
    return result;
}

/* A type that the module makes instances of, and nobody else. */
static PyTypeObject *make_inner_type(PyObject *module, PyType_Spec *spec)
{
    PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
    if (type != NULL) {
        type->tp_new = NULL;
    }
    return type;
}

/* What the package builds on, under its own name: not among the public types. */
static bool make_notifier_type(PyObject *module, struct dsq_py_module *state)
{
    state->notifier_type =
        (PyTypeObject *)PyType_FromModuleAndSpec(module, &dsq_py_notifier_spec, NULL);
    return state->notifier_type != NULL && PyModule_AddType(module, state->notifier_type) == 0;
}

static bool make_types(PyObject *module, struct dsq_py_module *state)
{
    state->db_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &dsq_py_db_spec, NULL);
    state->iterator_type = make_inner_type(module, &dsq_py_iterator_spec);
    state->keys_type = make_inner_type(module, &dsq_py_keys_spec);
    state->values_type = make_inner_type(module, &dsq_py_values_spec);
    state->items_type = make_inner_type(module, &dsq_py_items_spec);
    state->batch_type = make_inner_type(module, &dsq_py_batch_spec);
    return state->db_type != NULL && state->iterator_type != NULL && state->keys_type != NULL &&
           state->values_type != NULL && state->items_type != NULL && state->batch_type != NULL;
}

static int module_exec(PyObject *module)
{
    struct dsq_py_module *state = PyModule_GetState(module);
    if (dsq_py_errors_init(module, state) < 0 || !make_types(module, state) ||
        !make_notifier_type(module, state) ||
        dsq_py_safe_pickle_init(&state->safe_pickle, module, state->exceptions[DSQ_PY_ERROR]) < 0) {
        return -1;
    }
    PyTypeObject *const public_types[] = {state->db_type,    state->iterator_type,
                                          state->keys_type,  state->values_type,
                                          state->items_type, state->batch_type};
    for (size_t i = 0; i < sizeof public_types / sizeof public_types[0]; i++) {
        if (PyModule_AddType(module, public_types[i]) < 0) {
            return -1;
        }
    }
    return PyModule_AddStringConstant(module, "__version__", dsq_version());
}

static PyObject *close_all(PyObject *module, PyObject *unused)
{
    (void)unused;
    dsq_py_close_all(PyModule_GetState(module));
    Py_RETURN_NONE;
}

static PyMethodDef module_functions[] = {
    {"close_all", close_all, METH_NOARGS,
     "close_all($module, /)\n--\n\nClose every open store; failures go to sys.unraisablehook."},
    {"_reopen", dsq_py_reopen, METH_VARARGS, dsq_py_reopen_doc},
    {"encrypt", (PyCFunction)(void (*)(void))dsq_py_encrypt, METH_VARARGS | METH_KEYWORDS,
     dsq_py_encrypt_doc},
    {"decrypt", (PyCFunction)(void (*)(void))dsq_py_decrypt, METH_VARARGS | METH_KEYWORDS,
     dsq_py_decrypt_doc},
    {"safe_pickle_check", (PyCFunction)(void (*)(void))dsq_py_safe_pickle_check,
     METH_VARARGS | METH_KEYWORDS, dsq_py_safe_pickle_check_doc},
    {"safe_pickle_loads", (PyCFunction)(void (*)(void))dsq_py_safe_pickle_loads,
     METH_VARARGS | METH_KEYWORDS, dsq_py_safe_pickle_loads_doc},
    {NULL, NULL, 0, NULL},
};

static int module_traverse(PyObject *module, visitproc visit, void *arg)
{
    struct dsq_py_module *state = PyModule_GetState(module);
    for (size_t i = 0; i < DSQ_PY_EXCEPTION_COUNT; i++) {
        Py_VISIT(state->exceptions[i]);
    }
    Py_VISIT(state->db_type);
    Py_VISIT(state->iterator_type);
    Py_VISIT(state->keys_type);
    Py_VISIT(state->values_type);
    Py_VISIT(state->items_type);
    Py_VISIT(state->batch_type);
    Py_VISIT(state->notifier_type);
    return dsq_py_safe_pickle_traverse(&state->safe_pickle, visit, arg);
}

static int module_clear(PyObject *module)
{
    struct dsq_py_module *state = PyModule_GetState(module);
    for (size_t i = 0; i < DSQ_PY_EXCEPTION_COUNT; i++) {
        Py_CLEAR(state->exceptions[i]);
    }
    Py_CLEAR(state->db_type);
    Py_CLEAR(state->iterator_type);
    Py_CLEAR(state->keys_type);
    Py_CLEAR(state->values_type);
    Py_CLEAR(state->items_type);
    Py_CLEAR(state->batch_type);
    Py_CLEAR(state->notifier_type);
    dsq_py_safe_pickle_clear(&state->safe_pickle);
    return 0;
}

static void module_free(void *module)
{
    module_clear(module);
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
#ifdef Py_MOD_PER_INTERPRETER_GIL_SUPPORTED
    /* Nothing of Python's is kept outside of the module's state, and the library is for threads. */
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0, NULL},
};

static struct PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "dictsqlite._core",
    .m_doc = "The C side of dictsqlite.",
    .m_size = sizeof(struct dsq_py_module),
    .m_methods = module_functions,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC PyInit__core(void)
{
    return PyModuleDef_Init(&module_definition);
}
