#include "bindings/python/recipe.h"

const char dsq_py_reopen_doc[] = "_reopen($module, type, args, kwargs, /)\n--\n\n"
                                 "Make a store of a type, without its own constructor, and open it:"
                                 " for pickles.";

/* The path as it is meant now: the process that opens it again may be elsewhere. */
static PyObject *absolute(PyObject *path)
{
    PyObject *functions = PyImport_ImportModule("os.path");
    PyObject *result = functions != NULL ? dsq_py_call_method(functions, "abspath", path) : NULL;
    Py_XDECREF(functions);
    return result;
}

static PyObject *without_first(PyObject *path, PyObject *args)
{
    PyObject *rest = PyTuple_GetSlice(args, 1, PyTuple_GET_SIZE(args));
    PyObject *first = rest != NULL ? PyTuple_Pack(1, path) : NULL;
    PyObject *result = first != NULL ? PySequence_Concat(first, rest) : NULL;
    Py_XDECREF(first);
    Py_XDECREF(rest);
    return result;
}

static PyObject *make_args(PyObject *args)
{
    if (PyTuple_GET_SIZE(args) == 0) {
        return PyTuple_New(0);
    }
    PyObject *path = absolute(PyTuple_GET_ITEM(args, 0));
    PyObject *result = path != NULL ? without_first(path, args) : NULL;
    Py_XDECREF(path);
    return result;
}

static bool make_path_absolute(PyObject *kwargs)
{
    PyObject *given = PyDict_GetItemString(kwargs, "db_path");
    if (given == NULL) {
        return true;
    }
    PyObject *path = absolute(given);
    bool made = path != NULL && PyDict_SetItemString(kwargs, "db_path", path) == 0;
    Py_XDECREF(path);
    return made;
}

static PyObject *make_kwargs(PyObject *kwargs)
{
    PyObject *result = kwargs != NULL ? PyDict_Copy(kwargs) : PyDict_New();
    if (result == NULL || PyDict_SetItemString(result, "create", Py_False) < 0 ||
        !make_path_absolute(result)) {
        Py_CLEAR(result);
    }
    return result;
}

PyObject *dsq_py_recipe_new(PyObject *args, PyObject *kwargs)
{
    PyObject *own_args = make_args(args);
    PyObject *own_kwargs = own_args != NULL ? make_kwargs(kwargs) : NULL;
    PyObject *recipe = own_kwargs != NULL ? PyTuple_Pack(2, own_args, own_kwargs) : NULL;
    Py_XDECREF(own_args);
    Py_XDECREF(own_kwargs);
    return recipe;
}

/* What an instance of a subclass has besides, as object.__reduce__ would have it. */
static PyObject *state_of(PyObject *self)
{
    const char *const names[] = {"__getstate__", "__dict__"}; /* the former since Python 3.11 */
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int has = dsq_py_has_attribute(self, names[i]);
        if (has < 0) {
            return NULL;
        }
        if (has != 0) {
            return i == 0 ? dsq_py_call_method(self, names[i], NULL)
                          : dsq_py_get_attribute(self, names[i]);
        }
    }
    Py_RETURN_NONE;
}

static PyObject *reopen_function(struct dsq_py_db *self)
{
    PyObject *module = PyType_GetModule(self->module->db_type);
    return module != NULL ? dsq_py_get_attribute(module, "_reopen") : NULL;
}

static const char *refusal(const struct dsq_py_db *self)
{
    if (self->recipe != NULL) {
        return NULL;
    }
    if (self->phase == DSQ_PY_NEW || self->phase == DSQ_PY_OPENING) {
        return "cannot pickle a store that was not opened";
    }
    return self->mode == DSQ_MODE_MEMORY ? "cannot pickle or copy a store without a file"
                                         : "cannot pickle or copy a store with a password";
}

PyObject *dsq_py_reduce(struct dsq_py_db *self)
{
    const char *reason = refusal(self);
    if (reason != NULL) {
        PyErr_SetString(PyExc_TypeError, reason);
        return NULL;
    }
    PyObject *function = reopen_function(self);
    PyObject *state = function != NULL ? state_of(&self->ob_base) : NULL;
    PyObject *result = NULL;
    if (state != NULL) {
        result =
            Py_BuildValue("O(OOO)O", function, Py_TYPE(self), PyTuple_GET_ITEM(self->recipe, 0),
                          PyTuple_GET_ITEM(self->recipe, 1), state);
    }
    Py_XDECREF(function);
    Py_XDECREF(state);
    return result;
}

PyObject *dsq_py_reopen(PyObject *module, PyObject *args)
{
    struct dsq_py_module *state = PyModule_GetState(module);
    PyObject *type, *own_args, *kwargs;
    if (!PyArg_ParseTuple(args, "O!O!O!:_reopen", &PyType_Type, &type, &PyTuple_Type, &own_args,
                          &PyDict_Type, &kwargs)) {
        return NULL;
    }
    if (!PyType_IsSubtype((PyTypeObject *)type, state->db_type)) {
        return PyErr_Format(PyExc_TypeError, "%R is no DictSQLite", type);
    }
    PyObject *db = dsq_py_call_method(type, "__new__", type);
    if (db != NULL && (!PyObject_TypeCheck(db, state->db_type) ||
                       state->db_type->tp_init(db, own_args, kwargs) < 0)) {
        if (!PyErr_Occurred()) {
            PyErr_Format(PyExc_TypeError, "%R makes no DictSQLite", type);
        }
        Py_CLEAR(db);
    }
    return db;
}
