/* The methods of DictSQLite: their arguments, signatures and documentation. */
#ifndef DSQ_PYTHON_METHODS_H
#define DSQ_PYTHON_METHODS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

extern PyMethodDef dsq_py_db_methods[];

#endif
