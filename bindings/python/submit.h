/*
 * What dictsqlite/_async.py builds on: calls that never wait.  Each returns NotImplemented, with nothing
 * done, where it would have to.
 */
#ifndef DSQ_PYTHON_SUBMIT_H
#define DSQ_PYTHON_SUBMIT_H

#include "bindings/python/handle.h"

/* The value, or fallback if the key is absent. */
PyObject *dsq_py_try_get(struct dsq_py_db *self, PyObject *key, PyObject *fallback);

/* True or False. */
PyObject *dsq_py_try_contains(struct dsq_py_db *self, PyObject *key);

/* True once the write is visible; in writethrough mode a flush that begins then makes it durable. */
PyObject *dsq_py_submit_set(struct dsq_py_db *self, PyObject *key, PyObject *value);

/* As dsq_py_submit_set; False if there was no such key. */
PyObject *dsq_py_submit_delete(struct dsq_py_db *self, PyObject *key);

#endif
