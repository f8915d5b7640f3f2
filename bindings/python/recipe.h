/*
 * What a pickle or a copy of a store holds: how to open it again, and not the records.
 *
 * A recipe is a tuple (args, kwargs) for the constructor, made of what the store was opened with;
 * its path is absolute, and it does not create a file.
 */
#ifndef DSQ_PYTHON_RECIPE_H
#define DSQ_PYTHON_RECIPE_H

#include "bindings/python/handle.h"

/* The recipe of a store opened with args and kwargs (or NULL).  A new reference, or NULL. */
PyObject *dsq_py_recipe_new(PyObject *args, PyObject *kwargs);

/*
 * __reduce__: (function, (type, args, kwargs)), and what a subclass adds.  A new reference, or NULL
 * with TypeError if the store has a password, which must not get into a pickle, or no file.
 */
PyObject *dsq_py_reduce(struct dsq_py_db *self);

/* The function of the module that follows a recipe: (type, args, kwargs). */
PyObject *dsq_py_reopen(PyObject *module, PyObject *args);
extern const char dsq_py_reopen_doc[];

#endif
