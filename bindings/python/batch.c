#include "bindings/python/batch.h"

#include "bindings/python/gather.h"

struct batch {
    PyObject ob_base;
    bool active; /* its block runs */
    struct dsq_py_gathering gathered;
};

static struct batch *batch_of(PyObject *object)
{
    return (struct batch *)object;
}

PyObject *dsq_py_batch_new(struct dsq_py_db *db)
{
    if (!dsq_py_ready(db)) {
        return NULL;
    }
    struct batch *self = PyObject_GC_New(struct batch, db->module->batch_type);
    if (self != NULL) {
        Py_INCREF(db);
        self->active = false;
        self->gathered = (struct dsq_py_gathering){.db = db, .limit = DSQ_PY_ONE_UNIT};
        PyObject_GC_Track(self);
    }
    return (PyObject *)self;
}

/* A str is visited since it may be of a subclass, with attributes; bytes are exactly that. */
static int batch_traverse(PyObject *object, visitproc visit, void *arg)
{
    const struct dsq_py_gathering *gathered = &batch_of(object)->gathered;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(gathered->db);
    for (size_t i = 0; i < gathered->count; i++) {
        Py_VISIT(gathered->owners[i].key);
    }
    return 0;
}

static int batch_clear(PyObject *object)
{
    dsq_py_gather_drop(&batch_of(object)->gathered);
    Py_CLEAR(batch_of(object)->gathered.db);
    return 0;
}

static void batch_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    batch_clear(object);
    dsq_py_gather_fini(&batch_of(object)->gathered);
    PyObject_GC_Del(object);
    Py_DECREF(type);
}

static bool check_active(const struct batch *self)
{
    if (!self->active) {
        PyErr_SetString(PyExc_RuntimeError, "the batch is not inside its with block");
    }
    return self->active;
}

static int batch_assign(PyObject *object, PyObject *key, PyObject *value)
{
    struct batch *self = batch_of(object);
    bool added = check_active(self) && dsq_py_ready(self->gathered.db) &&
                 (value != NULL ? dsq_py_gather_put(&self->gathered, key, value)
                                : dsq_py_gather_delete(&self->gathered, key));
    return added ? 0 : -1;
}

static Py_ssize_t batch_length(PyObject *self)
{
    return (Py_ssize_t)batch_of(self)->gathered.count;
}

static PyObject *batch_put(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        return PyErr_Format(PyExc_TypeError, "put() takes 2 arguments, not %zd", count);
    }
    if (batch_assign(self, args[0], args[1]) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *batch_delete(PyObject *self, PyObject *key)
{
    if (batch_assign(self, key, NULL) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *batch_enter(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct batch *self = batch_of(object);
    if (self->active) {
        PyErr_SetString(PyExc_RuntimeError, "the batch is inside its with block already");
        return NULL;
    }
    if (!dsq_py_ready(self->gathered.db)) {
        return NULL;
    }
    self->active = true;
    Py_INCREF(object);
    return object;
}

/* What was gathered leaves the batch first: other threads may use that while this one waits. */
static PyObject *batch_exit(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    struct batch *self = batch_of(object);
    if (!check_active(self)) {
        return NULL;
    }
    struct dsq_py_gathering gathered = self->gathered;
    self->gathered = (struct dsq_py_gathering){.db = gathered.db, .limit = DSQ_PY_ONE_UNIT};
    self->active = false;
    bool raised = count > 0 && args[0] != Py_None;
    bool stored = raised || (dsq_py_ready(gathered.db) && dsq_py_gather_flush(&gathered));
    dsq_py_gather_fini(&gathered);
    if (!stored) {
        return NULL;
    }
    Py_RETURN_FALSE;
}

#define METHOD(function) ((PyCFunction)(void (*)(void))(function))

static PyMethodDef batch_methods[] = {
    {"put", METHOD(batch_put), METH_FASTCALL,
     "put($self, key, value, /)\n--\n\nHave value stored under key, as batch[key] = value does."},
    {"delete", batch_delete, METH_O,
     "delete($self, key, /)\n--\n\n"
     "Have key deleted, as del batch[key] does.  No error if it will not be there."},
    {"__enter__", batch_enter, METH_NOARGS, "__enter__($self, /)\n--\n\nThe batch itself."},
    {"__exit__", METHOD(batch_exit), METH_FASTCALL,
     "__exit__($self, /, *args)\n--\n\nStore what was gathered; nothing if the block raised."},
    {NULL, NULL, 0, NULL},
};

static char batch_doc[] =
    "Puts and deletes that a with block gathers and stores as one durable unit at its end.";

static PyType_Slot batch_slots[] = {
    {Py_tp_doc, batch_doc},
    {Py_tp_traverse, batch_traverse},
    {Py_tp_clear, batch_clear},
    {Py_tp_dealloc, batch_dealloc},
    {Py_tp_methods, batch_methods},
    {Py_mp_length, batch_length},
    {Py_mp_ass_subscript, batch_assign},
    {0, NULL},
};

PyType_Spec dsq_py_batch_spec = {
    .name = "dictsqlite._core.Batch",
    .basicsize = sizeof(struct batch),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = batch_slots,
};
