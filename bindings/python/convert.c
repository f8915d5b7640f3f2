#include "bindings/python/convert.h"

bool dsq_py_key_encode(PyObject *object, struct dsq_py_key *key)
{
    if (!PyUnicode_Check(object)) {
        PyErr_Format(PyExc_TypeError, "keys must be str, not %.200s", Py_TYPE(object)->tp_name);
        return false;
    }
    Py_ssize_t size;
    key->data = PyUnicode_AsUTF8AndSize(object, &size);
    key->size = (size_t)size;
    return key->data != NULL;
}

bool dsq_py_value_acquire_buffer(PyObject *object, struct dsq_py_value *value)
{
    if (!PyObject_CheckBuffer(object)) {
        PyErr_Format(PyExc_TypeError, "values must be bytes-like, not %.200s",
                     Py_TYPE(object)->tp_name);
        return false;
    }
    if (PyObject_GetBuffer(object, &value->buffer, PyBUF_SIMPLE) < 0) {
        return false;
    }
    value->data = value->buffer.buf;
    value->size = (size_t)value->buffer.len;
    return true;
}

PyObject *dsq_py_value_bytes(PyObject *object)
{
    if (PyBytes_CheckExact(object)) {
        Py_INCREF(object);
        return object;
    }
    struct dsq_py_value value;
    if (!dsq_py_value_acquire(object, &value)) {
        return NULL;
    }
    PyObject *bytes = PyBytes_FromStringAndSize(value.data, (Py_ssize_t)value.size);
    dsq_py_value_release(&value);
    return bytes;
}
