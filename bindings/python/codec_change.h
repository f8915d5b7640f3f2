/*
 * Changes that depend on a value, in stores with a codec: the value is decoded, and then only the very
 * bytes that it was decoded from are replaced; whoever finds others looks again.  So each is atomic, and
 * a value that cannot be decoded is left where it is.
 */
#ifndef DSQ_PYTHON_CODEC_CHANGE_H
#define DSQ_PYTHON_CODEC_CHANGE_H

#include "bindings/python/handle.h"

/* As dsq_py_pop. */
PyObject *dsq_py_codec_pop(struct dsq_py_db *self, PyObject *key);

/* As dsq_py_compare_and_swap, by == of values. */
PyObject *dsq_py_codec_compare_and_swap(struct dsq_py_db *self, PyObject *key, PyObject *old,
                                        PyObject *new);

/* As dsq_py_increment, of values that are exactly int. */
PyObject *dsq_py_codec_increment(struct dsq_py_db *self, PyObject *key, int64_t delta,
                                 int64_t fallback);

#endif
