/*
 * The operations on one key.  What the hot tier can answer at once is done with the GIL held;
 * whatever may wait for the disk gives it up.
 *
 * Each raises TypeError or UnicodeEncodeError for what is no key or value, and the errors of the
 * library's call of the same name.
 */
#ifndef DSQ_PYTHON_ACCESS_H
#define DSQ_PYTHON_ACCESS_H

#include "bindings/python/codec.h"
#include "bindings/python/handle.h"

/* From this size on, copying takes long enough to let other threads run meanwhile. */
#define DSQ_PY_LARGE_BYTES ((size_t)64 * 1024)

/* A new reference to the bytes of the value; NULL without an exception if the key is absent. */
PyObject *dsq_py_get_bytes(struct dsq_py_db *self, PyObject *key);

/* The same of the value itself. */
static inline PyObject *dsq_py_get(struct dsq_py_db *self, PyObject *key)
{
    return dsq_py_value_decoded(self, key, dsq_py_get_bytes(self, key));
}

/* 1, 0, or -1 with an exception. */
int dsq_py_contains(struct dsq_py_db *self, PyObject *key);

/* 0, or -1 with an exception. */
int dsq_py_set(struct dsq_py_db *self, PyObject *key, PyObject *value);

/* 0, or -1 with an exception: KeyError if the key is absent. */
int dsq_py_delete(struct dsq_py_db *self, PyObject *key);

/* Removes the key.  As dsq_py_get. */
PyObject *dsq_py_pop(struct dsq_py_db *self, PyObject *key);

/* Stores value if the key is absent.  A new reference to what is there afterwards, or NULL. */
PyObject *dsq_py_setdefault(struct dsq_py_db *self, PyObject *key, PyObject *value);

#endif
