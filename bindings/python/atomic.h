/* Changes of one key that depend on what is there: add, compare_and_swap, increment. */
#ifndef DSQ_PYTHON_ATOMIC_H
#define DSQ_PYTHON_ATOMIC_H

#include "bindings/python/handle.h"

/* Stores value if the key is absent.  True, False if it is there, or NULL with an exception. */
PyObject *dsq_py_add(struct dsq_py_db *self, PyObject *key, PyObject *value);

/*
 * Replaces the value that equals old by new; None stands for the absence of the key in either.
 * Whether it did, or NULL with an exception.
 */
PyObject *dsq_py_compare_and_swap(struct dsq_py_db *self, PyObject *key, PyObject *old,
                                  PyObject *new);

/*
 * Adds delta (NULL: 1) to a decimal number; an absent key counts as fallback (NULL: 0).  The sum, or NULL with
 * OverflowError (delta, fallback, what is there or the sum does not fit 64 bits), ValueError (no
 * number is there) or another exception; then nothing has changed.
 */
PyObject *dsq_py_increment(struct dsq_py_db *self, PyObject *key, PyObject *delta,
                           PyObject *fallback);

#endif
