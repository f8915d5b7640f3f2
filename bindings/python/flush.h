/* DictSQLite.flush: a wait that Ctrl-C can end. */
#ifndef DSQ_PYTHON_FLUSH_H
#define DSQ_PYTHON_FLUSH_H

#include "bindings/python/handle.h"

/*
 * Waits until all that was acknowledged is on disk, for up to timeout seconds (None: for ever).
 * None, or NULL with TimedOutError, TypeError, ValueError, the exception of a signal handler, or
 * the error of a failed commit.
 */
PyObject *dsq_py_flush(struct dsq_py_db *self, PyObject *timeout);

#endif
