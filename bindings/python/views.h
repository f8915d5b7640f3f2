/* Live views of a DictSQLite: keys(), values() and items(). */
#ifndef DSQ_PYTHON_VIEWS_H
#define DSQ_PYTHON_VIEWS_H

#include "bindings/python/iterator.h"

/* A new reference, or NULL with an exception. */
PyObject *dsq_py_view_new(struct dsq_py_db *db, enum dsq_py_view_kind kind);

extern PyType_Spec dsq_py_keys_spec;
extern PyType_Spec dsq_py_values_spec;
extern PyType_Spec dsq_py_items_spec;

#endif
