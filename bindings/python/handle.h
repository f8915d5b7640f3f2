/*
 * The object behind DictSQLite, and the life of its library handle.
 *
 *     NEW --__init__--> OPENING --> OPEN <--> CLOSING --> CLOSED
 *                          `--> NEW (failed)    `--> OPEN (the last commit failed)
 *
 * The GIL guards every field.  A call that can wait gives the GIL up, so close must not free the
 * handle under it: such a call stands between dsq_py_enter and dsq_py_leave, and close waits until
 * none does.
 *
 * Invariants
 *   1  db may be used under the GIL while phase is OPEN, and without it between enter and leave.
 *   2  No Python code runs between enter and leave, nor anything that can start the garbage
 *      collector: a finalizer that called close there would wait for its own thread.  Except for
 *      progress functions: their calls are on the list `reportings`, and close refuses them.
 *   3  No cursor is open unless phase is OPEN or CLOSING, and each is on the list `iterators`.
 *   4  A handle is on the module's list of open handles while its phase is OPEN or CLOSING.
 */
#ifndef DSQ_PYTHON_HANDLE_H
#define DSQ_PYTHON_HANDLE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <dictsqlite.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include "bindings/python/module.h"
#include "bindings/python/options.h"
#include "bindings/python/value_cache.h"

struct dsq_py_codec;
struct dsq_py_iterator;

/* A call under way that may run a progress function. */
struct dsq_py_reporting {
    struct dsq_py_reporting *next;
    unsigned long thread;
};

enum dsq_py_phase { DSQ_PY_NEW, DSQ_PY_OPENING, DSQ_PY_OPEN, DSQ_PY_CLOSING, DSQ_PY_CLOSED };

struct dsq_py_db {
    PyObject ob_base;
    dsq_db *db;
    enum dsq_py_phase phase;
    int mode;                     /* enum dsq_persist_mode */
    struct dsq_py_codec *codec;   /* of values; NULL: they stay bytes */
    struct dsq_py_module *module; /* lives as long as our type */
    Py_ssize_t calls;             /* between enter and leave */
    struct dsq_py_iterator *iterators;
    struct dsq_py_reporting *reportings;
    struct dsq_py_db *previous, *next; /* the module's open handles */
    struct dsq_py_value_cache value_cache;
    uint64_t queue_bytes; /* as opened with, the default filled in */
    PyObject *path;       /* as it was given */
    PyObject *recipe;     /* how to open it again; NULL if there is no way */
    char storage_mode[DSQ_VALUE_FORMAT_SIZE_MAX + 1]; /* that the file records */
    unsigned long changer;  /* the thread that opens or closes, while one does */
    pid_t owner;            /* the process that opened it */
    pthread_mutex_t lock;   /* with changed, for dsq_py_wait alone */
    pthread_cond_t changed; /* calls reached 0, phase moved on, or a miss was computed */
    PyObject *weak_references;
};

/* Initialises the fields of a zeroed object.  0, or -1 with an exception. */
int dsq_py_handle_init(struct dsq_py_db *self);
void dsq_py_handle_fini(struct dsq_py_db *self);

/*
 * Opens the file and enters the list of open handles.  0, or -1 with an exception; RuntimeError if
 * it was opened before.
 */
int dsq_py_open(struct dsq_py_db *self, struct dsq_py_options *options);

/*
 * Waits for the calls under way, closes the iterators, then the handle.  Nothing to do if it is
 * closed; waits if another thread is closing it.  0, or -1 with an exception: then the handle is
 * open as before (its iterators closed), unless the exception is ForkedError.  RuntimeError in a
 * progress function.
 */
int dsq_py_close(struct dsq_py_db *self);

/*
 * For an object that is being freed: closes the handle if it is open, and abandons it if that
 * fails or if it was inherited.  Raises nothing.
 */
void dsq_py_dispose(struct dsq_py_db *self);

/* Closes every open handle of the module; failures go to sys.unraisablehook. */
void dsq_py_close_all(struct dsq_py_module *module);

/* Whether the handle was opened by a process that this one was forked from. */
bool dsq_py_inherited(const struct dsq_py_db *self);

/* Raises ClosedError.  Returns NULL. */
PyObject *dsq_py_raise_closed(const struct dsq_py_db *self);

/* Raises an error status that the library returned, with its description.  Returns NULL. */
PyObject *dsq_py_raise_status(struct dsq_py_db *self, int status);

/* Whether the handle is open.  False with ClosedError. */
static inline bool dsq_py_ready(const struct dsq_py_db *self)
{
    if (self->phase != DSQ_PY_OPEN) {
        dsq_py_raise_closed(self);
        return false;
    }
    return true;
}

/*
 * Begins a call that can wait: gives the GIL up.  The handle is ready, or was, with the GIL held
 * ever since.  The result is for dsq_py_leave.
 */
static inline PyThreadState *dsq_py_enter(struct dsq_py_db *self)
{
    self->calls++;
    return PyEval_SaveThread();
}

/* Wakes whoever is in dsq_py_wait. */
void dsq_py_notify(struct dsq_py_db *self);

/*
 * Gives the GIL up until a notification, or for a moment, then looks at signals: for loops on a
 * condition that changes under the GIL.  0, or -1 with the exception of a signal handler.
 */
int dsq_py_wait(struct dsq_py_db *self);

/* Ends the call.  The handle is good until the GIL is next given up or Python code runs. */
static inline void dsq_py_leave(struct dsq_py_db *self, PyThreadState *thread)
{
    PyEval_RestoreThread(thread);
    if (--self->calls == 0 && self->phase == DSQ_PY_CLOSING) {
        dsq_py_notify(self);
    }
}

#endif
