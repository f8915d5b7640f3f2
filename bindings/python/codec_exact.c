#include "bindings/python/codec_exact.h"

static bool look_at(PyObject *object, PyObject *refused, int depth);

static bool look_at_array(PyObject *const *items, Py_ssize_t count, PyObject *refused, int depth)
{
    for (Py_ssize_t i = 0; i < count; i++) {
        if (!look_at(items[i], refused, depth)) {
            return false;
        }
    }
    return true;
}

static bool look_at_dict(PyObject *dict, PyObject *refused, int depth)
{
    PyObject *key;
    PyObject *value;
    Py_ssize_t position = 0;
    while (PyDict_Next(dict, &position, &key, &value)) {
        if (!look_at(key, refused, depth) || !look_at(value, refused, depth)) {
            return false;
        }
    }
    return true;
}

static bool look_at_set(PyObject *set, PyObject *refused, int depth)
{
    PyObject *iterator = PyObject_GetIter(set);
    PyObject *item;
    bool is_exact = iterator != NULL;
    while (is_exact && (item = PyIter_Next(iterator)) != NULL) {
        is_exact = look_at(item, refused, depth);
        Py_DECREF(item);
    }
    Py_XDECREF(iterator);
    return is_exact && !PyErr_Occurred();
}

static bool look_at_leaf(PyObject *object, PyObject *refused)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(refused); i++) {
        if ((PyObject *)Py_TYPE(object) == PyTuple_GET_ITEM(refused, i)) {
            PyErr_Format(PyExc_TypeError, "msgpack cannot store a value of type %.200s",
                         Py_TYPE(object)->tp_name);
            return false;
        }
    }
    return true;
}

/* No Python code runs in here, so that what is walked through stays as it is. */
static bool look_at(PyObject *object, PyObject *refused, int depth)
{
    if (PyUnicode_CheckExact(object) || PyLong_CheckExact(object) || PyBytes_CheckExact(object)) {
        return true;
    }
    bool is_set = PyAnySet_CheckExact(object);
    if (!is_set && !PyList_CheckExact(object) && !PyTuple_CheckExact(object) &&
        !PyDict_CheckExact(object)) {
        return look_at_leaf(object, refused);
    }
    if (depth == DSQ_PY_CODEC_DEPTH_MAX) {
        PyErr_Format(
            PyExc_ValueError,
            "msgpack cannot store a value of more than %d levels, or one that holds itself",
            DSQ_PY_CODEC_DEPTH_MAX);
        return false;
    }
    if (PyList_CheckExact(object) || PyTuple_CheckExact(object)) {
        return look_at_array(PySequence_Fast_ITEMS(object), PySequence_Fast_GET_SIZE(object),
                             refused, depth + 1);
    }
    return is_set ? look_at_set(object, refused, depth + 1)
                  : look_at_dict(object, refused, depth + 1);
}

bool dsq_py_codec_is_exact(PyObject *value, PyObject *refused)
{
    return look_at(value, refused, 0);
}
