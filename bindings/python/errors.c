#include "bindings/python/errors.h"

#include <errno.h>

#include "bindings/python/module.h"

static const struct {
    const char *name;
    const char *doc;
    PyObject **base;
} exceptions[DSQ_PY_EXCEPTION_COUNT] = {
#define EXCEPTION_ROW(constant, name, base, doc) {"dictsqlite." name, doc, base},
    DSQ_PY_EXCEPTION_LIST(EXCEPTION_ROW)
#undef EXCEPTION_ROW
};

/* A status that is not listed raises DictSQLiteError. */
static const struct status_row {
    int status;
    enum dsq_py_exception exception;
    int error_number; /* OSError.errno, 0 where the message alone tells */
} status_table[] = {
    {DSQ_ERR_TOO_BIG, DSQ_PY_TOO_BIG_ERROR, 0},
    {DSQ_ERR_IO, DSQ_PY_STORAGE_ERROR, EIO},
    {DSQ_ERR_FULL, DSQ_PY_STORAGE_ERROR, ENOSPC},
    {DSQ_ERR_CHANGED, DSQ_PY_STORAGE_ERROR, ESTALE},
    {DSQ_ERR_READONLY, DSQ_PY_STORAGE_ERROR, EROFS},
    {DSQ_ERR_CANTOPEN, DSQ_PY_STORAGE_ERROR, 0},
    {DSQ_ERR_CORRUPT, DSQ_PY_CORRUPT_ERROR, 0},
    {DSQ_ERR_FORMAT, DSQ_PY_FORMAT_ERROR, 0},
    {DSQ_ERR_LOCKED, DSQ_PY_LOCKED_ERROR, EAGAIN},
    {DSQ_ERR_PASSWORD, DSQ_PY_PASSWORD_ERROR, EACCES},
    {DSQ_ERR_CLOSED, DSQ_PY_CLOSED_ERROR, 0},
    {DSQ_ERR_FORKED, DSQ_PY_FORKED_ERROR, 0},
    {DSQ_ERR_CANCELLED, DSQ_PY_CANCELLED_ERROR, 0},
    {DSQ_ERR_TIMEOUT, DSQ_PY_TIMED_OUT_ERROR, ETIMEDOUT},
};

static PyObject *make_exception(const struct dsq_py_module *state, size_t index)
{
    if (index == DSQ_PY_ERROR) {
        return PyErr_NewExceptionWithDoc(exceptions[index].name, exceptions[index].doc, NULL, NULL);
    }
    PyObject *base = state->exceptions[DSQ_PY_ERROR];
    PyObject *bases = exceptions[index].base != NULL
                          ? PyTuple_Pack(2, base, *exceptions[index].base)
                          : PyTuple_Pack(1, base);
    if (bases == NULL) {
        return NULL;
    }
    PyObject *made =
        PyErr_NewExceptionWithDoc(exceptions[index].name, exceptions[index].doc, bases, NULL);
    Py_DECREF(bases);
    return made;
}

int dsq_py_errors_init(PyObject *module, struct dsq_py_module *state)
{
    for (size_t i = 0; i < DSQ_PY_EXCEPTION_COUNT; i++) {
        state->exceptions[i] = make_exception(state, i);
        if (state->exceptions[i] == NULL) {
            return -1;
        }
        const char *name = strchr(exceptions[i].name, '.') + 1;
        if (PyObject_SetAttrString(module, name, state->exceptions[i]) < 0) {
            return -1;
        }
    }
    return 0;
}

static const struct status_row *find_row(int status)
{
    static const struct status_row other = {0, DSQ_PY_ERROR, 0};
    for (size_t i = 0; i < sizeof status_table / sizeof status_table[0]; i++) {
        if (status_table[i].status == status) {
            return &status_table[i];
        }
    }
    return &other;
}

PyObject *dsq_py_raise(const struct dsq_py_module *state, const struct dsq_error *error)
{
    if (error->status == DSQ_ERR_NOMEM) {
        return PyErr_NoMemory();
    }
    if (error->status == DSQ_ERR_INVALID) {
        PyErr_SetString(PyExc_ValueError, error->message);
        return NULL;
    }
    const struct status_row *row = find_row(error->status);
    PyObject *exception = state->exceptions[row->exception];
    /* The message may quote a path, which is not always UTF-8. */
    PyObject *message = PyUnicode_DecodeFSDefault(error->message);
    if (message == NULL) {
        return NULL;
    }
    PyObject *arguments = row->error_number != 0 ? Py_BuildValue("(iN)", row->error_number, message)
                                                 : Py_BuildValue("(N)", message);
    if (arguments != NULL) {
        PyErr_SetObject(exception, arguments);
        Py_DECREF(arguments);
    }
    return NULL;
}
