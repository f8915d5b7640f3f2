/*
 * The iterator of keys, values or items: a cursor of the library, read ahead in small chunks so
 * that the GIL is given up once a chunk and not once a record.
 */
#ifndef DSQ_PYTHON_ITERATOR_H
#define DSQ_PYTHON_ITERATOR_H

#include "bindings/python/handle.h"

enum dsq_py_view_kind { DSQ_PY_KEYS, DSQ_PY_VALUES, DSQ_PY_ITEMS };

/*
 * Opens a cursor over a range of db, all of it if that is NULL; waits as dsq_cursor_open does.  A
 * new reference, or NULL; TypeError for a descending range in memory mode.
 */
PyObject *dsq_py_iterator_new(struct dsq_py_db *db, enum dsq_py_view_kind kind,
                              const struct dsq_range *range);

/* The same over all of db, the last key first. */
PyObject *dsq_py_iterator_reversed(struct dsq_py_db *db, enum dsq_py_view_kind kind);

/* Closes the cursors of all iterators of db, which raise ClosedError from then on. */
void dsq_py_iterators_close(struct dsq_py_db *db);

extern PyType_Spec dsq_py_iterator_spec;

#endif
