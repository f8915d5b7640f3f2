#include "bindings/python/dictsqlite_type.h"

#include <stddef.h>
#include <structmember.h>

#include "bindings/python/access.h"
#include "bindings/python/flush.h"
#include "bindings/python/options.h"
#include "bindings/python/stats.h"
#include "bindings/python/update.h"
#include "bindings/python/views.h"

static struct dsq_py_db *db_of(PyObject *object)
{
    return (struct dsq_py_db *)object;
}

static PyObject *db_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)args;
    (void)kwargs;
    struct dsq_py_module *module = dsq_py_module_of(type);
    struct dsq_py_db *self = module != NULL ? (struct dsq_py_db *)type->tp_alloc(type, 0) : NULL;
    if (self == NULL) {
        return NULL;
    }
    if (dsq_py_handle_init(self) < 0) {
        type->tp_free(self);
        Py_DECREF(type);
        return NULL;
    }
    self->module = module;
    return (PyObject *)self;
}

static int db_init(PyObject *object, PyObject *args, PyObject *kwargs)
{
    struct dsq_py_db *self = db_of(object);
    struct dsq_py_options options;
    if (!dsq_py_options_parse(args, kwargs, &options)) {
        return -1;
    }
    int result = dsq_py_open(self, &options);
    dsq_py_options_release(&options);
    return result;
}

static int db_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(db_of(self)->path);
    return 0;
}

static int db_clear(PyObject *self)
{
    Py_CLEAR(db_of(self)->path);
    return 0;
}

/* Nothing refers to an open handle any more: it is closed, with a warning. */
static void db_finalize(PyObject *object)
{
    struct dsq_py_db *self = db_of(object);
    if (self->phase != DSQ_PY_OPEN || dsq_py_inherited(self)) {
        return;
    }
    struct dsq_py_saved_error saved;
    dsq_py_save_error(&saved);
    if (PyErr_ResourceWarning(object, 1, "unclosed %R", object) < 0) {
        PyErr_WriteUnraisable(object); /* the filter turns warnings into errors */
    }
    if (dsq_py_close(self) < 0) {
        PyErr_WriteUnraisable(object);
    }
    dsq_py_restore_error(&saved);
}

static void db_dealloc(PyObject *object)
{
    struct dsq_py_db *self = db_of(object);
    PyTypeObject *type = Py_TYPE(object);
    if (PyObject_CallFinalizerFromDealloc(object) < 0) {
        return;
    }
    PyObject_GC_UnTrack(object);
    if (self->weak_references != NULL) {
        PyObject_ClearWeakRefs(object);
    }
    /* Still open if closing failed, or if a subclass has a __del__ without ours. */
    dsq_py_dispose(self);
    dsq_py_handle_fini(self);
    db_clear(object);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyObject *db_repr(PyObject *self)
{
    return dsq_py_repr(db_of(self));
}

static Py_ssize_t db_length(PyObject *self)
{
    return dsq_py_count(db_of(self));
}

static int db_bool(PyObject *self)
{
    return dsq_py_any(db_of(self));
}

static PyObject *db_subscript(PyObject *self, PyObject *key)
{
    PyObject *value = dsq_py_get(db_of(self), key);
    if (value == NULL && !PyErr_Occurred()) {
        PyErr_SetObject(PyExc_KeyError, key);
    }
    return value;
}

static int db_assign(PyObject *self, PyObject *key, PyObject *value)
{
    return value != NULL ? dsq_py_set(db_of(self), key, value) : dsq_py_delete(db_of(self), key);
}

static int db_contains(PyObject *self, PyObject *key)
{
    return dsq_py_contains(db_of(self), key);
}

static PyObject *db_iterate(PyObject *self)
{
    return dsq_py_iterator_new(db_of(self), DSQ_PY_KEYS);
}

static PyObject *db_get(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    if (count < 1 || count > 2) {
        return PyErr_Format(PyExc_TypeError, "get() takes 1 or 2 arguments, not %zd", count);
    }
    PyObject *value = dsq_py_get(db_of(self), args[0]);
    if (value == NULL && !PyErr_Occurred()) {
        value = count == 2 ? args[1] : Py_None;
        Py_INCREF(value);
    }
    return value;
}

static PyObject *db_pop(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    if (count < 1 || count > 2) {
        return PyErr_Format(PyExc_TypeError, "pop() takes 1 or 2 arguments, not %zd", count);
    }
    PyObject *value = dsq_py_pop(db_of(self), args[0]);
    if (value != NULL || PyErr_Occurred()) {
        return value;
    }
    if (count == 1) {
        PyErr_SetObject(PyExc_KeyError, args[0]);
        return NULL;
    }
    Py_INCREF(args[1]);
    return args[1];
}

static PyObject *db_setdefault(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        return PyErr_Format(PyExc_TypeError, "setdefault() takes 2 arguments, not %zd", count);
    }
    return dsq_py_setdefault(db_of(self), args[0], args[1]);
}

static PyObject *db_update(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (count > 1) {
        return PyErr_Format(PyExc_TypeError,
                            "update() takes at most 1 positional argument, not %zd", count);
    }
    return dsq_py_update(db_of(self), count == 1 ? args[0] : NULL, names, args + count);
}

static PyObject *db_keys(PyObject *self, PyObject *unused)
{
    (void)unused;
    return dsq_py_view_new(db_of(self), DSQ_PY_KEYS);
}

static PyObject *db_values(PyObject *self, PyObject *unused)
{
    (void)unused;
    return dsq_py_view_new(db_of(self), DSQ_PY_VALUES);
}

static PyObject *db_items(PyObject *self, PyObject *unused)
{
    (void)unused;
    return dsq_py_view_new(db_of(self), DSQ_PY_ITEMS);
}

static PyObject *db_flush(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"timeout", NULL};
    PyObject *timeout = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:flush", (char **)(uintptr_t)names,
                                     &timeout)) {
        return NULL;
    }
    return dsq_py_flush(db_of(self), timeout);
}

static PyObject *db_resume(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct dsq_py_db *self = db_of(object);
    if (!dsq_py_ready(self)) {
        return NULL;
    }
    PyThreadState *thread = dsq_py_enter(self);
    int status = dsq_resume(self->db);
    dsq_py_leave(self, thread);
    if (status != DSQ_OK) {
        return dsq_py_raise_status(self, status);
    }
    Py_RETURN_NONE;
}

static PyObject *db_stats(PyObject *self, PyObject *unused)
{
    (void)unused;
    return dsq_py_stats(db_of(self));
}

static PyObject *db_close(PyObject *self, PyObject *unused)
{
    (void)unused;
    if (dsq_py_close(db_of(self)) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *db_enter(PyObject *self, PyObject *unused)
{
    (void)unused;
    if (!dsq_py_ready(db_of(self))) {
        return NULL;
    }
    Py_INCREF(self);
    return self;
}

static PyObject *db_exit(PyObject *self, PyObject *args)
{
    (void)args;
    return db_close(self, NULL);
}

static PyObject *db_get_closed(PyObject *self, void *closure)
{
    (void)closure;
    return PyBool_FromLong(db_of(self)->phase != DSQ_PY_OPEN);
}

/* METH_FASTCALL and METH_KEYWORDS functions have types of their own. */
#define METHOD(function) ((PyCFunction)(void (*)(void))(function))

static PyMethodDef db_methods[] = {
    {"get", METHOD(db_get), METH_FASTCALL,
     "get($self, key, default=None, /)\n--\n\n"
     "The value of key, or default if there is none."},
    {"pop", METHOD(db_pop), METH_FASTCALL,
     "pop($self, key, default=..., /)\n--\n\n"
     "Remove key and return its value, or default if there is none; without a default KeyError.\n"
     "Atomic: of several threads that pop one value, a single one gets it."},
    {"setdefault", METHOD(db_setdefault), METH_FASTCALL,
     "setdefault($self, key, default, /)\n--\n\n"
     "The value of key; if there is none, default is stored and returned.  Atomic."},
    {"update", METHOD(db_update), METH_FASTCALL | METH_KEYWORDS,
     "update($self, other=(), /, **kwargs)\n--\n\n"
     "Store the records of other, a mapping or an iterable of pairs, and the keyword arguments.\n"
     "\n"
     "After a crash, all of one call's records are there or none, as long as they fit half of\n"
     "queue_bytes (a record counts 128 bytes more than its key and value); a larger call is\n"
     "stored in parts of that size, in order.  A part that meets an error is not stored."},
    {"keys", db_keys, METH_NOARGS, "keys($self, /)\n--\n\nA live view of the keys."},
    {"values", db_values, METH_NOARGS, "values($self, /)\n--\n\nA live view of the values."},
    {"items", db_items, METH_NOARGS,
     "items($self, /)\n--\n\nA live view of the (key, value) pairs."},
    {"flush", METHOD(db_flush), METH_VARARGS | METH_KEYWORDS,
     "flush($self, /, timeout=None)\n--\n\n"
     "Wait until everything written before the call is on disk, for up to timeout seconds.\n"
     "TimedOutError if that is not enough; then nothing is lost, and a later call can wait on."},
    {"resume", db_resume, METH_NOARGS,
     "resume($self, /)\n--\n\n"
     "After a failed commit whose cause is cured: commit what it held, and accept writes again."},
    {"stats", db_stats, METH_NOARGS,
     "stats($self, /)\n--\n\nA dict of counters since open, levels, and the state."},
    {"close", db_close, METH_NOARGS,
     "close($self, /)\n--\n\n"
     "Commit everything and close the file; nothing to do if it is closed.  Waits for calls of\n"
     "other threads.  If the last commit fails, its error is raised and the store stays open."},
    {"__enter__", db_enter, METH_NOARGS, "__enter__($self, /)\n--\n\nThe store itself."},
    {"__exit__", db_exit, METH_VARARGS, "__exit__($self, /, *args)\n--\n\nClose the store."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef db_properties[] = {
    {"closed", db_get_closed, NULL, "Whether the store is not open.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef db_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(struct dsq_py_db, weak_references), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot db_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)dsq_py_options_doc},
    {Py_tp_new, db_new},
    {Py_tp_init, db_init},
    {Py_tp_traverse, db_traverse},
    {Py_tp_clear, db_clear},
    {Py_tp_finalize, db_finalize},
    {Py_tp_dealloc, db_dealloc},
    {Py_tp_repr, db_repr},
    {Py_tp_iter, db_iterate},
    {Py_tp_methods, db_methods},
    {Py_tp_getset, db_properties},
    {Py_tp_members, db_members},
    {Py_nb_bool, db_bool},
    {Py_mp_length, db_length},
    {Py_mp_subscript, db_subscript},
    {Py_mp_ass_subscript, db_assign},
    {Py_sq_contains, db_contains},
    {0, NULL},
};

PyType_Spec dsq_py_db_spec = {
    .name = "dictsqlite.DictSQLite",
    .basicsize = sizeof(struct dsq_py_db),
    .flags =
        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = db_slots,
};
