/* DictSQLite.get_many and delete_many: many keys in few calls of the library. */
#ifndef DSQ_PYTHON_MANY_H
#define DSQ_PYTHON_MANY_H

#include "bindings/python/handle.h"

/*
 * A new list with the value of each of keys, an iterable, in its order; fallback where there is
 * none.  NULL with an exception.
 */
PyObject *dsq_py_get_many(struct dsq_py_db *self, PyObject *keys, PyObject *fallback);

/*
 * Deletes what is there of keys, an iterable, in units as those of dsq_py_update.  How many distinct
 * ones were there when it looked, as an int; NULL with an exception.
 */
PyObject *dsq_py_delete_many(struct dsq_py_db *self, PyObject *keys);

#endif
