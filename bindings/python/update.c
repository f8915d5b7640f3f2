#include "bindings/python/update.h"

#include "bindings/python/gather.h"

static bool add_pair(struct dsq_py_gathering *g, PyObject *item)
{
    PyObject *pair = PySequence_Fast(item, "records are a mapping or an iterable of pairs");
    if (pair == NULL) {
        return false;
    }
    bool added = false;
    Py_ssize_t length = PySequence_Fast_GET_SIZE(pair);
    if (length == 2) {
        added = dsq_py_gather_put(g, PySequence_Fast_GET_ITEM(pair, 0),
                                  PySequence_Fast_GET_ITEM(pair, 1));
    } else {
        PyErr_Format(PyExc_ValueError, "records are pairs, not sequences of length %zd", length);
    }
    Py_DECREF(pair);
    return added;
}

static bool add_key_of(struct dsq_py_gathering *g, PyObject *mapping, PyObject *key)
{
    PyObject *value = PyObject_GetItem(mapping, key);
    bool added = value != NULL && dsq_py_gather_put(g, key, value);
    Py_XDECREF(value);
    return added;
}

/* Adds all of iterable: keys of mapping, or pairs if mapping is NULL. */
static bool add_all(struct dsq_py_gathering *g, PyObject *iterable, PyObject *mapping)
{
    PyObject *iterator = PyObject_GetIter(iterable);
    if (iterator == NULL) {
        return false;
    }
    bool added = true;
    PyObject *item;
    while (added && (item = PyIter_Next(iterator)) != NULL) {
        added = mapping != NULL ? add_key_of(g, mapping, item) : add_pair(g, item);
        Py_DECREF(item);
    }
    Py_DECREF(iterator);
    return added && !PyErr_Occurred();
}

static bool add_method_result(struct dsq_py_gathering *g, PyObject *other, const char *method,
                              PyObject *mapping)
{
    PyObject *iterable = dsq_py_call_method(other, method, NULL);
    bool added = iterable != NULL && add_all(g, iterable, mapping);
    Py_XDECREF(iterable);
    return added;
}

/* As iterating over items() does, without a tuple for each. */
static bool add_dict(struct dsq_py_gathering *g, PyObject *dict)
{
    Py_ssize_t size = PyDict_GET_SIZE(dict);
    Py_ssize_t position = 0;
    PyObject *key;
    PyObject *value;
    bool added = true;
    while (added && PyDict_Next(dict, &position, &key, &value)) {
        /* A value's encoding, and a thread that runs while a part is stored, may change the dict. */
        Py_INCREF(key);
        Py_INCREF(value);
        added = dsq_py_gather_put(g, key, value);
        Py_DECREF(value);
        Py_DECREF(key);
        if (added && PyDict_GET_SIZE(dict) != size) {
            PyErr_SetString(PyExc_RuntimeError, "dictionary changed size during iteration");
            added = false;
        }
    }
    return added;
}

static bool add_other(struct dsq_py_gathering *g, PyObject *other)
{
    /* Exactly these, since a subclass may define __getitem__ alone. */
    if (PyDict_CheckExact(other)) {
        return add_dict(g, other);
    }
    if (Py_TYPE(other) == g->db->module->db_type) {
        return add_method_result(g, other, "items", NULL);
    }
    int is_mapping = dsq_py_has_attribute(other, "keys");
    if (is_mapping < 0) {
        return false;
    }
    return is_mapping ? add_method_result(g, other, "keys", other) : add_all(g, other, NULL);
}

static bool add_keywords(struct dsq_py_gathering *g, PyObject *names, PyObject *const *values)
{
    Py_ssize_t count = names != NULL ? PyTuple_GET_SIZE(names) : 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        if (!dsq_py_gather_put(g, PyTuple_GET_ITEM(names, i), values[i])) {
            return false;
        }
    }
    return true;
}

PyObject *dsq_py_update(struct dsq_py_db *self, PyObject *other, PyObject *names,
                        PyObject *const *values)
{
    struct dsq_py_gathering g = {.db = self, .limit = dsq_py_unit_bytes(self)};
    bool stored = dsq_py_ready(self) && (other == NULL || add_other(&g, other)) &&
                  add_keywords(&g, names, values) && dsq_py_gather_flush(&g);
    dsq_py_gather_fini(&g);
    if (!stored) {
        return NULL;
    }
    Py_RETURN_NONE;
}
