/*
 * Pickles from whoever may write the file: checked by a symbolic pass over the very bytes that are
 * then loaded, against an exact list of globals (safe_pickle_policy.h), which the unpickler asks a
 * second time.  What is allowed, and what a listed module means: docs/safe-pickle.md.
 *
 *   opcodes, text -> graph -> machine, globals, calls, run -> this
 */
#ifndef DSQ_PYTHON_SAFE_PICKLE_H
#define DSQ_PYTHON_SAFE_PICKLE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

struct dsq_py_safe_pickle {
    PyObject *module;         /* borrowed: the one that this is part of */
    PyObject *error;          /* UnsafePickleError */
    PyObject *unpickler_type; /* a subclass of pickle.Unpickler */
    PyObject *bytes_io;       /* io.BytesIO */
    PyObject *name_mapping;   /* _compat_pickle.NAME_MAPPING and IMPORT_MAPPING */
    PyObject *import_mapping;
};

/* Adds UnsafePickleError, under base_error, to the module.  0, or -1 with an exception. */
int dsq_py_safe_pickle_init(struct dsq_py_safe_pickle *state, PyObject *module,
                            PyObject *base_error);
int dsq_py_safe_pickle_traverse(struct dsq_py_safe_pickle *state, visitproc visit, void *arg);
void dsq_py_safe_pickle_clear(struct dsq_py_safe_pickle *state);

/*
 * For storing and for loading: pickle is a bytes object, policy what dsq_pickle_policy made.  Both
 * may import a listed module.  verify returns 0, or -1 with UnsafePickleError, with MemoryError, or
 * with what the import of a listed module raised, other than ImportError.  load verifies, loads and
 * returns a new reference, or NULL with one of these or with what loading raised.
 */
int dsq_py_safe_pickle_verify(const struct dsq_py_safe_pickle *state, PyObject *pickle,
                              PyObject *policy);
PyObject *dsq_py_safe_pickle_load(const struct dsq_py_safe_pickle *state, PyObject *pickle,
                                  PyObject *policy);

/* Functions of the module, with their docstrings below. */
PyObject *dsq_py_safe_pickle_check(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *dsq_py_safe_pickle_loads(PyObject *module, PyObject *args, PyObject *kwargs);
extern const char dsq_py_safe_pickle_check_doc[];
extern const char dsq_py_safe_pickle_loads_doc[];

#endif
