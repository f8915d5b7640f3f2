#include "bindings/python/encryption.h"

#include "bindings/python/errors.h"
#include "bindings/python/password.h"
#include "bindings/python/progress.h"

const char dsq_py_encrypt_doc[] =
    "encrypt($module, /, db_path, password, progress=None)\n--\n\n"
    "Encrypt the plain file at db_path with a password (str or bytes, 1 to 1024 bytes), in place.\n"
    "The file is written anew beside itself and then takes its own place: after an error or a\n"
    "crash it is what it was.  Nobody may have it open.  What it was may stay readable in the\n"
    "free space of the disk.\n"
    "progress: None, or called as progress(done, total) in pages; a false answer but None, or an\n"
    "exception, cancels.\n"
    "Raises PasswordError if it is encrypted, LockedError, FormatError, CorruptError,\n"
    "CancelledError or StorageError.";

const char dsq_py_decrypt_doc[] =
    "decrypt($module, /, db_path, password, progress=None)\n--\n\n"
    "Turn the encrypted file at db_path into a plain one, in place, as encrypt() does.\n"
    "Raises PasswordError if the password is wrong or the file is not encrypted, and what\n"
    "encrypt() raises.";

static int rekey_native(struct dsq_py_db *self, const struct dsq_py_password *password)
{
    PyThreadState *thread = dsq_py_enter(self);
    int status = dsq_rekey(self->db, password->bytes, password->size);
    dsq_py_leave(self, thread);
    return status;
}

PyObject *dsq_py_rekey(struct dsq_py_db *self, PyObject *password)
{
    struct dsq_py_password taken;
    if (!dsq_py_password_take(&taken, "password", password)) {
        return NULL;
    }
    /* Taking a buffer may have run Python code. */
    if (!dsq_py_ready(self)) {
        dsq_py_password_release(&taken);
        return NULL;
    }
    int status = rekey_native(self, &taken);
    dsq_py_password_release(&taken);
    if (status != DSQ_OK) {
        return dsq_py_raise_status(self, status);
    }
    Py_RETURN_NONE;
}

/* A conversion under way, in the thread that asked for it. */
struct conversion {
    PyObject *progress;
    PyThreadState *thread; /* that has given the GIL up */
};

static int report(void *context, uint64_t done, uint64_t total)
{
    struct conversion *conversion = context;
    PyEval_RestoreThread(conversion->thread);
    bool goes_on = PyErr_CheckSignals() == 0;
    goes_on = goes_on && dsq_py_progress_call(conversion->progress, done, total);
    conversion->thread = PyEval_SaveThread();
    return !goes_on;
}

typedef int (*converter)(const char *path, const struct dsq_options *options, dsq_progress progress,
                         void *context);

static PyObject *convert(PyObject *module, converter run, PyObject *encoded,
                         const struct dsq_py_password *password, PyObject *progress)
{
    struct dsq_error error = {.status = DSQ_OK};
    const struct dsq_options options = {
        .password = password->bytes, .password_size = password->size, .error = &error};
    struct conversion conversion = {.progress = progress, .thread = PyEval_SaveThread()};
    int status = run(PyBytes_AS_STRING(encoded), &options, report, &conversion);
    PyEval_RestoreThread(conversion.thread);
    if (PyErr_Occurred()) {
        return NULL;
    }
    if (status != DSQ_OK) {
        return dsq_py_raise(PyModule_GetState(module), &error);
    }
    Py_RETURN_NONE;
}

static PyObject *parse_and_convert(PyObject *module, PyObject *args, PyObject *kwargs,
                                   const char *format, converter run)
{
    static const char *const names[] = {"db_path", "password", "progress", NULL};
    PyObject *encoded = NULL;
    PyObject *password;
    PyObject *progress = Py_None;
    struct dsq_py_password taken;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, format, (char **)(uintptr_t)names,
                                     PyUnicode_FSConverter, &encoded, &password, &progress)) {
        return NULL;
    }
    PyObject *result = NULL;
    if (dsq_py_progress_check(progress) && dsq_py_password_take(&taken, "password", password)) {
        result = convert(module, run, encoded, &taken, progress);
        dsq_py_password_release(&taken);
    }
    Py_DECREF(encoded);
    return result;
}

PyObject *dsq_py_encrypt(PyObject *module, PyObject *args, PyObject *kwargs)
{
    return parse_and_convert(module, args, kwargs, "O&O|O:encrypt", dsq_encrypt);
}

PyObject *dsq_py_decrypt(PyObject *module, PyObject *args, PyObject *kwargs)
{
    return parse_and_convert(module, args, kwargs, "O&O|O:decrypt", dsq_decrypt);
}
