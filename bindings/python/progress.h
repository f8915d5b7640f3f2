/* Progress functions of Python programs. */
#ifndef DSQ_PYTHON_PROGRESS_H
#define DSQ_PYTHON_PROGRESS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>

/* Whether it is callable or None.  False with TypeError. */
bool dsq_py_progress_check(PyObject *progress);

/* Whether the function wants to go on, as None does.  False also with its exception. */
bool dsq_py_progress_call(PyObject *progress, uint64_t done, uint64_t total);

#endif
