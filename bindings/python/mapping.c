#include "bindings/python/mapping.h"

#include "bindings/python/access.h"
#include "bindings/python/gather.h"
#include "bindings/python/iterator.h"
#include "bindings/python/stats.h"
#include "bindings/python/update.h"

/* Keys between two looks at pending signals. */
#define SIGNAL_CHECK_KEYS 1024

/* ---- clear and popitem ---- */

static bool gather_deletes(struct dsq_py_gathering *g, PyObject *keys)
{
    PyObject *key;
    bool gathered = true;
    for (size_t i = 1; gathered && (key = PyIter_Next(keys)) != NULL; i++) {
        gathered = dsq_py_gather_delete(g, key) &&
                   (i % SIGNAL_CHECK_KEYS != 0 || PyErr_CheckSignals() == 0);
        Py_DECREF(key);
    }
    return gathered && !PyErr_Occurred();
}

PyObject *dsq_py_clear(struct dsq_py_db *self)
{
    struct dsq_py_gathering g = {.db = self, .limit = dsq_py_unit_bytes(self)};
    PyObject *keys = dsq_py_iterator_new(self, DSQ_PY_KEYS, NULL);
    bool cleared = keys != NULL && gather_deletes(&g, keys) && dsq_py_gather_flush(&g);
    dsq_py_gather_fini(&g);
    Py_XDECREF(keys);
    if (!cleared) {
        return NULL;
    }
    dsq_py_value_cache_clear(&self->value_cache);
    Py_RETURN_NONE;
}

/* The first key that is there; NULL without an exception if there is none. */
static PyObject *first_key(struct dsq_py_db *self)
{
    PyObject *keys = dsq_py_iterator_new(self, DSQ_PY_KEYS, NULL);
    PyObject *key = keys != NULL ? PyIter_Next(keys) : NULL;
    Py_XDECREF(keys);
    return key;
}

PyObject *dsq_py_popitem(struct dsq_py_db *self)
{
    PyObject *key;
    while ((key = first_key(self)) != NULL) {
        PyObject *value = dsq_py_pop(self, key);
        if (value != NULL) {
            return Py_BuildValue("(NN)", key, value);
        }
        Py_DECREF(key); /* if there is no exception, another thread was faster */
        if (PyErr_Occurred() || PyErr_CheckSignals() < 0) {
            return NULL;
        }
    }
    if (!PyErr_Occurred()) {
        PyErr_SetString(PyExc_KeyError, "popitem(): the store is empty");
    }
    return NULL;
}

/* ---- as a dict ---- */

static bool is_store(PyObject *object)
{
    const struct dsq_py_module *module = dsq_py_module_of(Py_TYPE(object));
    if (module == NULL) {
        PyErr_Clear();
        return false;
    }
    return PyObject_TypeCheck(object, module->db_type);
}

/* Adds the records of a dict or a store to a dict. */
static bool merge(PyObject *dict, PyObject *other)
{
    if (PyDict_Check(other)) {
        return PyDict_Update(dict, other) == 0;
    }
    PyObject *items = dsq_py_iterator_new((struct dsq_py_db *)other, DSQ_PY_ITEMS, NULL);
    bool merged = items != NULL && PyDict_MergeFromSeq2(dict, items, 1) == 0;
    Py_XDECREF(items);
    return merged;
}

PyObject *dsq_py_copy(struct dsq_py_db *self)
{
    PyObject *dict = PyDict_New();
    if (dict != NULL && !merge(dict, (PyObject *)self)) {
        Py_CLEAR(dict);
    }
    return dict;
}

PyObject *dsq_py_or(PyObject *left, PyObject *right)
{
    if (!(PyDict_Check(left) || is_store(left)) || !(PyDict_Check(right) || is_store(right))) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    PyObject *dict = PyDict_New();
    if (dict != NULL && !(merge(dict, left) && merge(dict, right))) {
        Py_CLEAR(dict);
    }
    return dict;
}

PyObject *dsq_py_inplace_or(PyObject *self, PyObject *other)
{
    PyObject *updated = dsq_py_update((struct dsq_py_db *)self, other, NULL, NULL);
    if (updated == NULL) {
        return NULL;
    }
    Py_DECREF(updated);
    Py_INCREF(self);
    return self;
}

static PyObject *dict_from_keys(PyObject *keys, PyObject *value)
{
    PyObject *iterator = PyObject_GetIter(keys);
    PyObject *dict = iterator != NULL ? PyDict_New() : NULL;
    PyObject *key;
    bool added = dict != NULL;
    while (added && (key = PyIter_Next(iterator)) != NULL) {
        added = PyDict_SetItem(dict, key, value) == 0;
        Py_DECREF(key);
    }
    Py_XDECREF(iterator);
    if (!added || PyErr_Occurred()) {
        Py_CLEAR(dict);
    }
    return dict;
}

PyObject *dsq_py_fromkeys(PyObject *class, PyObject *keys, PyObject *value)
{
    PyObject *made = PyObject_CallObject(class, NULL);
    PyObject *dict = made != NULL ? dict_from_keys(keys, value) : NULL;
    PyObject *updated = dict != NULL ? dsq_py_call_method(made, "update", dict) : NULL;
    Py_XDECREF(dict);
    Py_XDECREF(updated);
    if (updated == NULL) {
        Py_CLEAR(made);
    }
    return made;
}

/* ---- == ---- */

/* A new reference to the value of key; NULL without an exception if there is none. */
static PyObject *value_in(PyObject *mapping, PyObject *key)
{
    if (!PyDict_Check(mapping)) {
        return dsq_py_get((struct dsq_py_db *)mapping, key);
    }
    PyObject *value = PyDict_GetItemWithError(mapping, key);
    Py_XINCREF(value);
    return value;
}

/* Whether the mapping has the item, a pair.  -1 with an exception. */
static int has_item(PyObject *mapping, PyObject *item)
{
    PyObject *value = value_in(mapping, PyTuple_GET_ITEM(item, 0));
    if (value == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    int equal = PyObject_RichCompareBool(PyTuple_GET_ITEM(item, 1), value, Py_EQ);
    Py_DECREF(value);
    return equal;
}

static int has_all_items(struct dsq_py_db *self, PyObject *other)
{
    PyObject *items = dsq_py_iterator_new(self, DSQ_PY_ITEMS, NULL);
    PyObject *item;
    int equal = items != NULL ? 1 : -1;
    while (equal == 1 && (item = PyIter_Next(items)) != NULL) {
        equal = has_item(other, item);
        Py_DECREF(item);
    }
    Py_XDECREF(items);
    return PyErr_Occurred() ? -1 : equal;
}

static int equals(struct dsq_py_db *self, PyObject *other)
{
    Py_ssize_t size = dsq_py_count(self);
    Py_ssize_t other_size = size >= 0 ? PyObject_Size(other) : -1;
    if (other_size < 0) {
        return -1;
    }
    return size == other_size ? has_all_items(self, other) : 0;
}

PyObject *dsq_py_compare(PyObject *self, PyObject *other, int operation)
{
    if ((operation != Py_EQ && operation != Py_NE) || !(PyDict_Check(other) || is_store(other))) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    int equal = self == other ? 1 : equals((struct dsq_py_db *)self, other);
    return equal >= 0 ? PyBool_FromLong(equal == (operation == Py_EQ)) : NULL;
}
