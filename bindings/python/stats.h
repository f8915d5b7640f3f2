/* What a handle says about itself: stats(), repr() and the number of records. */
#ifndef DSQ_PYTHON_STATS_H
#define DSQ_PYTHON_STATS_H

#include "bindings/python/handle.h"

/* A new dict, or NULL with an exception. */
PyObject *dsq_py_stats(struct dsq_py_db *self);

/* A new str that shows path, mode and state, whatever the state. */
PyObject *dsq_py_repr(struct dsq_py_db *self);

/* The number of records, or -1 with an exception.  Flushes where it is not known. */
Py_ssize_t dsq_py_count(struct dsq_py_db *self);

/* 1 if there is a record, 0 if not, -1 with an exception.  Looks for a first record, no further. */
int dsq_py_any(struct dsq_py_db *self);

#endif
