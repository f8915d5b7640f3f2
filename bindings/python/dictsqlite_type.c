#include "bindings/python/dictsqlite_type.h"

#include <stddef.h>
#include <structmember.h>

#include "bindings/python/access.h"
#include "bindings/python/codec.h"
#include "bindings/python/handle.h"
#include "bindings/python/iterator.h"
#include "bindings/python/mapping.h"
#include "bindings/python/methods.h"
#include "bindings/python/options.h"
#include "bindings/python/recipe.h"
#include "bindings/python/stats.h"

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
    bool reopens =
        options.native.password == NULL && options.native.persist_mode != DSQ_MODE_MEMORY;
    PyObject *recipe = reopens ? dsq_py_recipe_new(args, kwargs) : NULL;
    bool is_ready = (!reopens || recipe != NULL) &&
                    (dsq_py_codec_follows_file(&options.values) ||
                     dsq_py_codec_new(self->module, &options.values, NULL, &options.codec));
    int result = is_ready ? dsq_py_open(self, &options) : -1;
    dsq_py_codec_free(options.codec);
    dsq_py_options_release(&options);
    if (result == 0) {
        self->recipe = recipe;
    } else {
        Py_XDECREF(recipe);
    }
    return result;
}

static int db_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(db_of(self)->path);
    Py_VISIT(db_of(self)->recipe);
    return dsq_py_codec_traverse(db_of(self)->codec, visit, arg);
}

static int db_clear(PyObject *self)
{
    Py_CLEAR(db_of(self)->path);
    Py_CLEAR(db_of(self)->recipe);
    dsq_py_codec_clear(db_of(self)->codec);
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
    dsq_py_codec_free(self->codec);
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
    return dsq_py_iterator_new(db_of(self), DSQ_PY_KEYS, NULL);
}

static PyObject *db_get_closed(PyObject *self, void *closure)
{
    (void)closure;
    return PyBool_FromLong(db_of(self)->phase != DSQ_PY_OPEN);
}

static PyObject *db_get_storage_mode(PyObject *self, void *closure)
{
    (void)closure;
    const char *name = db_of(self)->storage_mode;
    return name[0] != '\0' ? PyUnicode_FromString(name) : dsq_py_raise_closed(db_of(self));
}

static PyGetSetDef db_properties[] = {
    {"closed", db_get_closed, NULL, "Whether the store is not open.", NULL},
    {"storage_mode", db_get_storage_mode, NULL, "What the file says that its values are.", NULL},
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
    {Py_tp_richcompare, dsq_py_compare},
    {Py_tp_methods, dsq_py_db_methods},
    {Py_tp_getset, db_properties},
    {Py_tp_members, db_members},
    {Py_nb_bool, db_bool},
    {Py_nb_or, dsq_py_or},
    {Py_nb_inplace_or, dsq_py_inplace_or},
    {Py_mp_length, db_length},
    {Py_mp_subscript, db_subscript},
    {Py_mp_ass_subscript, db_assign},
    {Py_sq_contains, db_contains},
    {0, NULL},
};

PyType_Spec dsq_py_db_spec = {
    .name = "dictsqlite.DictSQLite",
    .basicsize = sizeof(struct dsq_py_db),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_MAPPING,
    .slots = db_slots,
};
