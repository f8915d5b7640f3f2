/* A password given as a str or as bytes, looked at where it lies: no copy of it is made here. */
#ifndef DSQ_PYTHON_PASSWORD_H
#define DSQ_PYTHON_PASSWORD_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>

struct dsq_py_password {
    const void *bytes; /* NULL: none */
    size_t size;
    PyObject *text;   /* owned, if it is a str */
    Py_buffer buffer; /* if it is not */
};

/* Takes an object; false with TypeError, which names the argument, or UnicodeEncodeError. */
bool dsq_py_password_take(struct dsq_py_password *password, const char *name, PyObject *object);

/* Also of a zeroed one. */
void dsq_py_password_release(struct dsq_py_password *password);

#endif
