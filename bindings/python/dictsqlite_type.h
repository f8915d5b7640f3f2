/* The Python type DictSQLite: arguments in, results out; the work is done in the files beside. */
#ifndef DSQ_PYTHON_DICTSQLITE_TYPE_H
#define DSQ_PYTHON_DICTSQLITE_TYPE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

extern PyType_Spec dsq_py_db_spec;

#endif
