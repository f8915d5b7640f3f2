#include "bindings/python/notifier.h"

/* Completions taken at a time; each has room for a message. */
#define TAKEN_AT_ONCE 8

struct notifier {
    PyObject ob_base;
    dsq_notifier *native; /* NULL: closed */
    struct dsq_py_module *module;
};

static struct notifier *notifier_of(PyObject *object)
{
    return (struct notifier *)object;
}

static PyObject *notifier_make(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)args;
    (void)kwargs;
    struct dsq_py_module *module = dsq_py_module_of(type);
    struct notifier *self = module != NULL ? (struct notifier *)type->tp_alloc(type, 0) : NULL;
    if (self == NULL) {
        return NULL;
    }
    self->module = module;
    if (dsq_notifier_new(&self->native) != DSQ_OK) {
        Py_DECREF(self);
        PyErr_SetString(PyExc_OSError, "no descriptor for a notifier");
        return NULL;
    }
    return (PyObject *)self;
}

static void notifier_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    dsq_notifier_destroy(notifier_of(object)->native);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyObject *notifier_fileno(PyObject *object, PyObject *unused)
{
    (void)unused;
    return PyLong_FromLong(dsq_notifier_descriptor(notifier_of(object)->native));
}

/* (token, None), or (token, exception). */
static PyObject *make_completion(const struct notifier *self,
                                 const struct dsq_completion *completion)
{
    if (completion->error.status == DSQ_OK) {
        return Py_BuildValue("(KO)", (unsigned long long)completion->token, Py_None);
    }
    PyObject *type, *value, *traceback;
    dsq_py_raise(self->module, &completion->error);
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return Py_BuildValue("(KN)", (unsigned long long)completion->token, value);
}

static bool append_completion(struct notifier *self, PyObject *list,
                              const struct dsq_completion *completion)
{
    PyObject *entry = make_completion(self, completion);
    int failed = entry == NULL || PyList_Append(list, entry) < 0;
    Py_XDECREF(entry);
    return failed == 0;
}

static PyObject *notifier_take(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct notifier *self = notifier_of(object);
    struct dsq_completion completions[TAKEN_AT_ONCE];
    size_t count = TAKEN_AT_ONCE;
    PyObject *list = PyList_New(0);
    while (list != NULL && count == TAKEN_AT_ONCE) {
        count = dsq_notifier_take(self->native, completions, TAKEN_AT_ONCE);
        for (size_t i = 0; i < count; i++) {
            if (!append_completion(self, list, &completions[i])) {
                Py_DECREF(list);
                return NULL;
            }
        }
    }
    return list;
}

static PyObject *notifier_close(PyObject *object, PyObject *unused)
{
    (void)unused;
    dsq_notifier *native = notifier_of(object)->native;
    notifier_of(object)->native = NULL;
    dsq_notifier_destroy(native);
    Py_RETURN_NONE;
}

static PyMethodDef notifier_methods[] = {
    {"fileno", notifier_fileno, METH_NOARGS,
     "fileno($self, /)\n--\n\nReadable when there is something to take; -1: closed."},
    {"take", notifier_take, METH_NOARGS,
     "take($self, /)\n--\n\nWhat has ended: a list of (token, None or an exception)."},
    {"close", notifier_close, METH_NOARGS, "close($self, /)\n--\n\nBe told of nothing more."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot notifier_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t) "The ends of flushes, for an event loop."},
    {Py_tp_new, notifier_make},
    {Py_tp_dealloc, notifier_dealloc},
    {Py_tp_methods, notifier_methods},
    {0, NULL},
};

PyType_Spec dsq_py_notifier_spec = {
    .name = "dictsqlite._core._Notifier",
    .basicsize = sizeof(struct notifier),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = notifier_slots,
};

PyObject *dsq_py_flush_notify(struct dsq_py_db *self, PyObject *notifier, PyObject *token_object)
{
    if (!PyObject_TypeCheck(notifier, self->module->notifier_type)) {
        return PyErr_Format(PyExc_TypeError, "a notifier is needed, not %.200s",
                            Py_TYPE(notifier)->tp_name);
    }
    unsigned long long token = PyLong_AsUnsignedLongLong(token_object);
    if ((token == (unsigned long long)-1 && PyErr_Occurred()) || !dsq_py_ready(self)) {
        return NULL;
    }
    int status = dsq_flush_notify(self->db, notifier_of(notifier)->native, token);
    return status < 0 ? dsq_py_raise_status(self, status) : PyBool_FromLong(status == DSQ_OK);
}

PyObject *dsq_py_watch(struct dsq_py_db *self)
{
    if (!dsq_py_ready(self)) {
        return NULL;
    }
    int status = dsq_watch(self->db);
    if (status != DSQ_OK) {
        return dsq_py_raise_status(self, status);
    }
    Py_RETURN_NONE;
}
