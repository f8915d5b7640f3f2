#include "bindings/python/password.h"

bool dsq_py_password_take(struct dsq_py_password *password, const char *name, PyObject *object)
{
    *password = (struct dsq_py_password){NULL};
    if (PyUnicode_Check(object)) {
        Py_ssize_t size;
        password->bytes = PyUnicode_AsUTF8AndSize(object, &size);
        if (password->bytes == NULL) {
            return false;
        }
        password->size = (size_t)size;
        Py_INCREF(object);
        password->text = object;
        return true;
    }
    if (!PyObject_CheckBuffer(object)) {
        PyErr_Format(PyExc_TypeError, "%s must be a str or bytes, not %.200s", name,
                     Py_TYPE(object)->tp_name);
        return false;
    }
    if (PyObject_GetBuffer(object, &password->buffer, PyBUF_SIMPLE) < 0) {
        return false;
    }
    /* A buffer without bytes may have no address, which would mean that there is no password. */
    password->bytes = password->buffer.len != 0 ? password->buffer.buf : "";
    password->size = (size_t)password->buffer.len;
    return true;
}

void dsq_py_password_release(struct dsq_py_password *password)
{
    Py_CLEAR(password->text);
    if (password->buffer.obj != NULL) {
        PyBuffer_Release(&password->buffer);
    }
    password->bytes = NULL;
}
