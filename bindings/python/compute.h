/* DictSQLite.get_or_compute: of the threads that miss one key, one computes it and the rest wait. */
#ifndef DSQ_PYTHON_COMPUTE_H
#define DSQ_PYTHON_COMPUTE_H

#include "bindings/python/handle.h"

/*
 * A new reference to the value of key; if there is none, of what function, called without
 * arguments, returns and what is stored then.  NULL with an exception: of function, or RuntimeError
 * where waiting for another thread would be waiting for oneself.
 */
PyObject *dsq_py_get_or_compute(struct dsq_py_db *self, PyObject *key, PyObject *function);

#endif
