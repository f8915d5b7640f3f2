/* Python objects to the bytes of keys and values. */
#ifndef DSQ_PYTHON_CONVERT_H
#define DSQ_PYTHON_CONVERT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>

/* The UTF-8 form of a key, which lives in the str object. */
struct dsq_py_key {
    const char *data;
    size_t size;
};

/* For what is not a plain ASCII str; see dsq_py_key_get. */
bool dsq_py_key_encode(PyObject *object, struct dsq_py_key *key);

/*
 * Views a key.  False with TypeError if it is no str, UnicodeEncodeError if it holds a lone
 * surrogate.
 */
static inline bool dsq_py_key_get(PyObject *object, struct dsq_py_key *key)
{
    if (__builtin_expect(PyUnicode_CheckExact(object) && PyUnicode_IS_COMPACT_ASCII(object), 1)) {
        key->data = (const char *)PyUnicode_1BYTE_DATA(object);
        key->size = (size_t)PyUnicode_GET_LENGTH(object);
        return true;
    }
    return dsq_py_key_encode(object, key);
}

/* The bytes of a value; while it is held, the object it came from cannot move them. */
struct dsq_py_value {
    const void *data;
    size_t size;
    Py_buffer buffer;
};

/* For what is not exactly bytes; see dsq_py_value_acquire. */
bool dsq_py_value_acquire_buffer(PyObject *object, struct dsq_py_value *value);

/*
 * Borrows the bytes of bytes or of any object with a C-contiguous buffer, until
 * dsq_py_value_release.  May run Python code.  False with TypeError or BufferError.
 */
static inline bool dsq_py_value_acquire(PyObject *object, struct dsq_py_value *value)
{
    if (PyBytes_CheckExact(object)) {
        value->data = PyBytes_AS_STRING(object);
        value->size = (size_t)PyBytes_GET_SIZE(object);
        value->buffer.obj = NULL;
        return true;
    }
    return dsq_py_value_acquire_buffer(object, value);
}

static inline void dsq_py_value_release(struct dsq_py_value *value)
{
    if (value->buffer.obj != NULL) {
        PyBuffer_Release(&value->buffer);
    }
}

/* A new reference to bytes: the object itself if it is exactly that, else a copy.  As above. */
PyObject *dsq_py_value_bytes(PyObject *object);

#endif
