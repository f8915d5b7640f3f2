/*
 * What one import of dictsqlite._core owns: its exceptions, its types, and the list of its open
 * handles.  There are no static Python objects, so each interpreter has its own.
 *
 * Threads: everything declared under bindings/python is called with the GIL held unless it says
 * otherwise, and fields are read and written under the GIL alone.
 */
#ifndef DSQ_PYTHON_MODULE_H
#define DSQ_PYTHON_MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "bindings/python/errors.h"
#include "bindings/python/safe_pickle.h"

/* Python 3.9 has no immutable heap types. */
#ifndef Py_TPFLAGS_IMMUTABLETYPE
#define Py_TPFLAGS_IMMUTABLETYPE 0
#endif
/* Nor a match statement. */
#ifndef Py_TPFLAGS_MAPPING
#define Py_TPFLAGS_MAPPING 0
#endif

struct dsq_py_db;
struct dsq_py_miss;

struct dsq_py_module {
    PyObject *exceptions[DSQ_PY_EXCEPTION_COUNT];
    PyTypeObject *db_type;
    PyTypeObject *iterator_type;
    PyTypeObject *keys_type;
    PyTypeObject *values_type;
    PyTypeObject *items_type;
    PyTypeObject *batch_type;
    PyTypeObject *notifier_type;
    struct dsq_py_safe_pickle safe_pickle;
    struct dsq_py_db *open_handles; /* borrowed: a handle leaves the list before it is freed */
    struct dsq_py_miss *misses;     /* of get_or_compute, in all handles */
};

/* The module that defined type or one of its bases; NULL with TypeError if none is ours. */
struct dsq_py_module *dsq_py_module_of(PyTypeObject *type);

/*
 * Look an attribute up by its one interned name: PyObject_CallMethod, PyObject_GetAttrString and
 * PyObject_HasAttrString make a new str each time, and the interpreter's method cache keeps many of them.
 *
 * dsq_py_get_attribute: a new reference, or NULL with an exception.
 * dsq_py_call_method: one argument, or none if it is NULL; a new reference, or NULL.
 * dsq_py_has_attribute: 1, 0, or -1 with an exception.
 */
PyObject *dsq_py_get_attribute(PyObject *object, const char *name);
PyObject *dsq_py_call_method(PyObject *object, const char *name, PyObject *argument);
int dsq_py_has_attribute(PyObject *object, const char *name);

#endif
