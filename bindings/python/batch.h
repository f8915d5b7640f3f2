/* The Python type Batch: what a with block gathers and stores as one durable unit. */
#ifndef DSQ_PYTHON_BATCH_H
#define DSQ_PYTHON_BATCH_H

#include "bindings/python/handle.h"

/* A new reference to a batch of db, not yet entered; NULL with an exception. */
PyObject *dsq_py_batch_new(struct dsq_py_db *db);

extern PyType_Spec dsq_py_batch_spec;

#endif
