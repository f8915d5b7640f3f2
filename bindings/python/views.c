#include "bindings/python/views.h"

#include "bindings/python/access.h"
#include "bindings/python/stats.h"

struct view {
    PyObject ob_base;
    struct dsq_py_db *db;
};

static struct dsq_py_db *db_of(PyObject *view)
{
    return ((struct view *)view)->db;
}

static PyTypeObject *type_of(const struct dsq_py_module *module, enum dsq_py_view_kind kind)
{
    switch (kind) {
    case DSQ_PY_KEYS:
        return module->keys_type;
    case DSQ_PY_VALUES:
        return module->values_type;
    default:
        return module->items_type;
    }
}

PyObject *dsq_py_view_new(struct dsq_py_db *db, enum dsq_py_view_kind kind)
{
    struct view *self = PyObject_GC_New(struct view, type_of(db->module, kind));
    if (self != NULL) {
        Py_INCREF(db);
        self->db = db;
        PyObject_GC_Track(self);
    }
    return (PyObject *)self;
}

static int view_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(db_of(self));
    return 0;
}

static void view_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_DECREF(db_of(self));
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyObject *view_repr(PyObject *self)
{
    return PyUnicode_FromFormat("<%s of %R>", Py_TYPE(self)->tp_name, db_of(self));
}

static Py_ssize_t view_length(PyObject *self)
{
    return dsq_py_count(db_of(self));
}

static PyObject *iterate_keys(PyObject *self)
{
    return dsq_py_iterator_new(db_of(self), DSQ_PY_KEYS, NULL);
}

static PyObject *iterate_values(PyObject *self)
{
    return dsq_py_iterator_new(db_of(self), DSQ_PY_VALUES, NULL);
}

static PyObject *iterate_items(PyObject *self)
{
    return dsq_py_iterator_new(db_of(self), DSQ_PY_ITEMS, NULL);
}

static int keys_contain(PyObject *self, PyObject *key)
{
    return dsq_py_contains(db_of(self), key);
}

static int items_contain(PyObject *self, PyObject *item)
{
    if (!PyTuple_Check(item) || PyTuple_GET_SIZE(item) != 2) {
        return 0;
    }
    PyObject *value = dsq_py_get(db_of(self), PyTuple_GET_ITEM(item, 0));
    if (value == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    int equal = PyObject_RichCompareBool(value, PyTuple_GET_ITEM(item, 1), Py_EQ);
    Py_DECREF(value);
    return equal;
}

/* The set of left's elements, changed by one of set's methods with right as its argument. */
static PyObject *combine(PyObject *left, const char *method, PyObject *right)
{
    PyObject *set = PySet_New(left);
    if (set == NULL) {
        return NULL;
    }
    PyObject *done = dsq_py_call_method(set, method, right);
    Py_XDECREF(done);
    if (done == NULL) {
        Py_CLEAR(set);
    }
    return set;
}

static bool is_set_view(PyObject *object)
{
    return Py_TYPE(object)->tp_iter == iterate_keys || Py_TYPE(object)->tp_iter == iterate_items;
}

static PyObject *intersect(PyObject *left, PyObject *right)
{
    /* The one that becomes a set is held in memory: not the view, if there is a choice. */
    return is_set_view(left) ? combine(right, "intersection_update", left)
                             : combine(left, "intersection_update", right);
}

static PyObject *unite(PyObject *left, PyObject *right)
{
    return combine(left, "update", right);
}

static PyObject *subtract(PyObject *left, PyObject *right)
{
    return combine(left, "difference_update", right);
}

static PyObject *symmetric_difference(PyObject *left, PyObject *right)
{
    return combine(left, "symmetric_difference_update", right);
}

static PyObject *is_disjoint(PyObject *self, PyObject *other)
{
    PyObject *set = PySet_New(other);
    PyObject *result = set != NULL ? dsq_py_call_method(set, "isdisjoint", self) : NULL;
    Py_XDECREF(set);
    return result;
}

static bool is_items(PyObject *object)
{
    return Py_TYPE(object)->tp_iter == iterate_items || PyDictItems_Check(object);
}

/* Whether two views of items are equal, whose values need not be hashable.  -1 with an exception. */
static int are_equal_items(PyObject *self, PyObject *other)
{
    Py_ssize_t size = PyObject_Size(self);
    Py_ssize_t other_size = size >= 0 ? PyObject_Size(other) : -1;
    PyObject *iterator = other_size >= 0 ? PyObject_GetIter(self) : NULL;
    PyObject *item;
    int equal = iterator == NULL ? -1 : size == other_size;
    while (equal == 1 && (item = PyIter_Next(iterator)) != NULL) {
        equal = PySequence_Contains(other, item);
        Py_DECREF(item);
    }
    Py_XDECREF(iterator);
    return PyErr_Occurred() ? -1 : equal;
}

static PyObject *compare(PyObject *self, PyObject *other, int operation)
{
    if (!PyAnySet_Check(other) && !PyDictKeys_Check(other) && !PyDictItems_Check(other) &&
        !is_set_view(other)) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    if ((operation == Py_EQ || operation == Py_NE) && is_items(self) && is_items(other)) {
        int equal = are_equal_items(self, other);
        return equal >= 0 ? PyBool_FromLong(equal == (operation == Py_EQ)) : NULL;
    }
    PyObject *left = PySet_New(self);
    PyObject *right = left != NULL ? PySet_New(other) : NULL;
    PyObject *result = right != NULL ? PyObject_RichCompare(left, right, operation) : NULL;
    Py_XDECREF(left);
    Py_XDECREF(right);
    return result;
}

static PyObject *reverse_keys(PyObject *self, PyObject *unused)
{
    (void)unused;
    return dsq_py_iterator_reversed(db_of(self), DSQ_PY_KEYS);
}

static PyObject *reverse_values(PyObject *self, PyObject *unused)
{
    (void)unused;
    return dsq_py_iterator_reversed(db_of(self), DSQ_PY_VALUES);
}

static PyObject *reverse_items(PyObject *self, PyObject *unused)
{
    (void)unused;
    return dsq_py_iterator_reversed(db_of(self), DSQ_PY_ITEMS);
}

/* clang-format off */
#define REVERSED(reverse)                                                                          \
    {"__reversed__", reverse, METH_NOARGS,                                                         \
     "__reversed__($self, /)\n--\n\nIterate, the last key first; not with persist_mode='memory'."}
#define IS_DISJOINT                                                                                \
    {"isdisjoint", is_disjoint, METH_O,                                                            \
     "isdisjoint($self, other, /)\n--\n\nWhether the view and the iterable have nothing in common."}
/* clang-format on */

static PyMethodDef keys_methods[] = {
    REVERSED(reverse_keys),
    IS_DISJOINT,
    {NULL, NULL, 0, NULL},
};

static PyMethodDef values_methods[] = {
    REVERSED(reverse_values),
    {NULL, NULL, 0, NULL},
};

static PyMethodDef items_methods[] = {
    REVERSED(reverse_items),
    IS_DISJOINT,
    {NULL, NULL, 0, NULL},
};

/* clang-format off */
#define VIEW_SLOTS(doc, iterate, methods)                                                          \
    {Py_tp_doc, doc},                                                                              \
    {Py_tp_methods, methods},                                                                      \
    {Py_tp_traverse, view_traverse},                                                               \
    {Py_tp_dealloc, view_dealloc},                                                                 \
    {Py_tp_repr, view_repr},                                                                       \
    {Py_tp_iter, iterate},                                                                         \
    {Py_sq_length, view_length}

#define SET_SLOTS(contain)                                                                         \
    {Py_sq_contains, contain},                                                                     \
    {Py_tp_richcompare, compare},                                                                  \
    {Py_nb_and, intersect},                                                                        \
    {Py_nb_or, unite},                                                                             \
    {Py_nb_subtract, subtract},                                                                    \
    {Py_nb_xor, symmetric_difference}
/* clang-format on */

static char keys_doc[] = "Live view of the keys of a DictSQLite.";
static char values_doc[] = "Live view of the values of a DictSQLite.";
static char items_doc[] = "Live view of the (key, value) pairs of a DictSQLite.";

static PyType_Slot keys_slots[] = {
    VIEW_SLOTS(keys_doc, iterate_keys, keys_methods),
    SET_SLOTS(keys_contain),
    {0, NULL},
};

static PyType_Slot values_slots[] = {
    VIEW_SLOTS(values_doc, iterate_values, values_methods),
    {0, NULL},
};

static PyType_Slot items_slots[] = {
    VIEW_SLOTS(items_doc, iterate_items, items_methods),
    SET_SLOTS(items_contain),
    {0, NULL},
};

#define VIEW_SPEC(class_name, class_slots)                                                         \
    {                                                                                              \
        .name = "dictsqlite._core." class_name, .basicsize = sizeof(struct view),                  \
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,               \
        .slots = (class_slots)                                                                     \
    }

PyType_Spec dsq_py_keys_spec = VIEW_SPEC("KeysView", keys_slots);
PyType_Spec dsq_py_values_spec = VIEW_SPEC("ValuesView", values_slots);
PyType_Spec dsq_py_items_spec = VIEW_SPEC("ItemsView", items_slots);
