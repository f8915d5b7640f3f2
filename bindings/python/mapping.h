/* What a dict does with all of its records: clear, popitem, copy, |, |=, ==, fromkeys. */
#ifndef DSQ_PYTHON_MAPPING_H
#define DSQ_PYTHON_MAPPING_H

#include "bindings/python/handle.h"

/*
 * Deletes the records that are there, in units as those of dsq_py_update.  None, or NULL with an
 * exception.
 */
PyObject *dsq_py_clear(struct dsq_py_db *self);

/*
 * Removes the first record of an iteration, atomically.  A new (key, value) pair, or NULL with
 * KeyError if there is none or another exception.
 */
PyObject *dsq_py_popitem(struct dsq_py_db *self);

/* A new dict of the records, or NULL with an exception. */
PyObject *dsq_py_copy(struct dsq_py_db *self);

/* A new object of the class, made without arguments, with value under each of keys; or NULL. */
PyObject *dsq_py_fromkeys(PyObject *class, PyObject *keys, PyObject *value);

/* The slots of the type for |, |= and the comparisons. */
PyObject *dsq_py_or(PyObject *left, PyObject *right);
PyObject *dsq_py_inplace_or(PyObject *self, PyObject *other);
PyObject *dsq_py_compare(PyObject *self, PyObject *other, int operation);

#endif
