/* The package's exceptions, and the one table that turns a status of the library into them. */
#ifndef DSQ_PYTHON_ERRORS_H
#define DSQ_PYTHON_ERRORS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <dictsqlite/status.h>

struct dsq_py_module;

/* X(constant, name, built-in second base or NULL, docstring); the first is the base of the rest. */
#define DSQ_PY_EXCEPTION_LIST(X)                                                                   \
    X(DSQ_PY_ERROR, "DictSQLiteError", NULL, "Base of the errors of this package.")                \
    X(DSQ_PY_STORAGE_ERROR, "StorageError", &PyExc_OSError,                                        \
      "The disk failed, is full, or does not let the file be opened or written.")                  \
    X(DSQ_PY_LOCKED_ERROR, "LockedError", &PyExc_OSError,                                          \
      "Another handle, of this process or another one, has the file open.")                        \
    X(DSQ_PY_CORRUPT_ERROR, "CorruptError", NULL, "The file is damaged.")                          \
    X(DSQ_PY_FORMAT_ERROR, "FormatError", NULL,                                                    \
      "The file is not one of this package, or of a newer format.")                                \
    X(DSQ_PY_PASSWORD_ERROR, "PasswordError", &PyExc_PermissionError,                              \
      "The password is wrong or missing, or was given for a file that is not encrypted.")          \
    X(DSQ_PY_CLOSED_ERROR, "ClosedError", &PyExc_ValueError, "The store is not open.")             \
    X(DSQ_PY_TOO_BIG_ERROR, "TooBigError", &PyExc_ValueError,                                      \
      "A key or a value is larger than the limit.")                                                \
    X(DSQ_PY_FORKED_ERROR, "ForkedError", &PyExc_RuntimeError,                                     \
      "The store was opened before a fork; open it again in the child.")                           \
    X(DSQ_PY_TIMED_OUT_ERROR, "TimedOutError", &PyExc_TimeoutError,                                \
      "The time allowed ran out; nothing was lost, and a later call can wait on.")                 \
    X(DSQ_PY_CANCELLED_ERROR, "CancelledError", NULL,                                              \
      "A progress function asked to stop; nothing has changed.")

enum dsq_py_exception {
#define DSQ_PY_EXCEPTION_ENUM(constant, name, base, doc) constant,
    DSQ_PY_EXCEPTION_LIST(DSQ_PY_EXCEPTION_ENUM)
#undef DSQ_PY_EXCEPTION_ENUM
        DSQ_PY_EXCEPTION_COUNT
};

/* Makes the exceptions and adds them to the module.  0, or -1 with an exception. */
int dsq_py_errors_init(PyObject *module, struct dsq_py_module *state);

/* Raises what error describes, a negative status.  Returns NULL. */
PyObject *dsq_py_raise(const struct dsq_py_module *state, const struct dsq_error *error);

/* Keeps the exception that is being raised, if one is, while other code runs. */
struct dsq_py_saved_error {
#if PY_VERSION_HEX >= 0x030C0000
    PyObject *exception;
#else
    PyObject *type, *value, *traceback;
#endif
};

static inline void dsq_py_save_error(struct dsq_py_saved_error *saved)
{
#if PY_VERSION_HEX >= 0x030C0000
    saved->exception = PyErr_GetRaisedException();
#else
    PyErr_Fetch(&saved->type, &saved->value, &saved->traceback);
#endif
}

static inline void dsq_py_restore_error(struct dsq_py_saved_error *saved)
{
#if PY_VERSION_HEX >= 0x030C0000
    PyErr_SetRaisedException(saved->exception);
#else
    PyErr_Restore(saved->type, saved->value, saved->traceback);
#endif
}

#endif
