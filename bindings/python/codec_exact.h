/* Whether a value holds what a MessagePack library would silently store as something else. */
#ifndef DSQ_PYTHON_CODEC_EXACT_H
#define DSQ_PYTHON_CODEC_EXACT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>

/* Levels of containers that a value may have. */
#define DSQ_PY_CODEC_DEPTH_MAX 200

/*
 * Looks through containers of exactly the built-in types.  False with TypeError for an object of one of
 * the refused types (a tuple of them), or ValueError for a value that is too deep or holds itself.
 */
bool dsq_py_codec_is_exact(PyObject *value, PyObject *refused);

#endif
