/*
 * _core._Notifier: the descriptor that an event loop watches, and what has ended since it last looked
 * (dsq_notifier).  What dictsqlite/_async.py builds on.
 */
#ifndef DSQ_PYTHON_NOTIFIER_H
#define DSQ_PYTHON_NOTIFIER_H

#include "bindings/python/handle.h"

extern PyType_Spec dsq_py_notifier_spec;

/*
 * Begins a flush that the notifier, a _core._Notifier, will tell of under the token, an int of 64 bits.
 * True: all is on disk already, and nothing will be told.  False: it will.  NULL with an exception, and
 * nothing will be told.
 */
PyObject *dsq_py_flush_notify(struct dsq_py_db *self, PyObject *notifier, PyObject *token);

/* None, or NULL with the exception of a store that has failed; notices if its thread has died. */
PyObject *dsq_py_watch(struct dsq_py_db *self);

#endif
