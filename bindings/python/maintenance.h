/* DictSQLite.backup, verify and compact: long calls that report, and can be stopped. */
#ifndef DSQ_PYTHON_MAINTENANCE_H
#define DSQ_PYTHON_MAINTENANCE_H

#include "bindings/python/handle.h"

/*
 * progress: None, or called as progress(done, total), in the calling thread; if it returns a false
 * value other than None, or raises, the call stops.  None, or NULL with CancelledError or another
 * exception.
 */
PyObject *dsq_py_backup(struct dsq_py_db *self, PyObject *path, PyObject *progress, int overwrite);
PyObject *dsq_py_verify(struct dsq_py_db *self, PyObject *progress);
PyObject *dsq_py_compact(struct dsq_py_db *self, PyObject *progress);

#endif
