/* DictSQLite.update and set_many: many records in few durable units. */
#ifndef DSQ_PYTHON_UPDATE_H
#define DSQ_PYTHON_UPDATE_H

#include "bindings/python/handle.h"

/*
 * Stores the records of other (a mapping, or an iterable of pairs; NULL: none) and then those of
 * the keyword arguments (names, a tuple, and as many values).  Records are stored in batches, each
 * of them as large as fits; an error in a batch, or before it is full, leaves all of it unstored.
 * None, or NULL with an exception.
 */
PyObject *dsq_py_update(struct dsq_py_db *self, PyObject *other, PyObject *names,
                        PyObject *const *values);

#endif
