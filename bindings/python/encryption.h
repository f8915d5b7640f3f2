/* Passwords of stores and files: db.rekey, dictsqlite.encrypt and dictsqlite.decrypt. */
#ifndef DSQ_PYTHON_ENCRYPTION_H
#define DSQ_PYTHON_ENCRYPTION_H

#include "bindings/python/handle.h"

PyObject *dsq_py_rekey(struct dsq_py_db *self, PyObject *password);

/* Functions of the module, with their docstrings below. */
PyObject *dsq_py_encrypt(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *dsq_py_decrypt(PyObject *module, PyObject *args, PyObject *kwargs);
extern const char dsq_py_encrypt_doc[];
extern const char dsq_py_decrypt_doc[];

#endif
