/* What the constructor is told of values. */
#ifndef DSQ_PYTHON_CODEC_CHOICE_H
#define DSQ_PYTHON_CODEC_CHOICE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <dictsqlite.h>
#include <stdbool.h>

struct dsq_py_codec;

/* The arguments as they were given: borrowed, and NULL for what was not. */
struct dsq_py_codec_choice {
    PyObject *storage_mode, *enable_safe_pickle, *safe_pickle_allowed_modules;
};

/*
 * What a file records of a mode, or an empty name for a mode that takes any file.  False with ValueError
 * for a str that is no mode and for an object whose name cannot be recorded.
 */
bool dsq_py_codec_name(PyObject *storage_mode, char name[DSQ_VALUE_FORMAT_SIZE_MAX + 1]);

#endif
