/* DictSQLite.scan: a range of the keys. */
#ifndef DSQ_PYTHON_SCAN_H
#define DSQ_PYTHON_SCAN_H

#include "bindings/python/handle.h"

/*
 * A new iterator of the items whose keys begin with prefix, or are not less than start and less
 * than stop, each a str or None, the last one first if reverse; NULL with an exception.
 */
PyObject *dsq_py_scan(struct dsq_py_db *self, PyObject *prefix, PyObject *start, PyObject *stop,
                      int reverse);

#endif
