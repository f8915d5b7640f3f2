#include "bindings/python/handle.h"

#include <time.h>
#include <unistd.h>

#include "bindings/python/codec.h"
#include "bindings/python/iterator.h"

/* How long a waiting thread sleeps between two looks at pending signals. */
#define SIGNAL_CHECK_MS 100

int dsq_py_handle_init(struct dsq_py_db *self)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    int failed = pthread_cond_init(&self->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    if (failed == 0 && pthread_mutex_init(&self->lock, NULL) != 0) {
        pthread_cond_destroy(&self->changed);
        failed = 1;
    }
    if (failed != 0) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

void dsq_py_handle_fini(struct dsq_py_db *self)
{
    pthread_mutex_destroy(&self->lock);
    pthread_cond_destroy(&self->changed);
}

bool dsq_py_inherited(const struct dsq_py_db *self)
{
    return self->owner != getpid();
}

PyObject *dsq_py_raise_closed(const struct dsq_py_db *self)
{
    PyObject *exception = self->module->exceptions[DSQ_PY_CLOSED_ERROR];
    switch (self->phase) {
    case DSQ_PY_NEW:
    case DSQ_PY_OPENING:
        PyErr_SetString(exception, "the store was not opened");
        break;
    case DSQ_PY_CLOSING:
        PyErr_SetString(exception, "the store is being closed");
        break;
    default:
        PyErr_SetString(exception, "the store is closed");
    }
    return NULL;
}

PyObject *dsq_py_raise_status(struct dsq_py_db *self, int status)
{
    struct dsq_error error = {.status = DSQ_OK};
    /* Of a handle that is closing or was inherited nothing more may be asked. */
    if (status != DSQ_ERR_FORKED && status != DSQ_ERR_CLOSED) {
        dsq_last_error(self->db, &error);
    }
    if (error.status != status) { /* another thread's error came after ours */
        error.status = status;
        PyOS_snprintf(error.message, sizeof error.message, "%s", dsq_strerror(status));
    }
    return dsq_py_raise(self->module, &error);
}

static void link_handle(struct dsq_py_db *self)
{
    self->previous = NULL;
    self->next = self->module->open_handles;
    if (self->next != NULL) {
        self->next->previous = self;
    }
    self->module->open_handles = self;
}

static void unlink_handle(struct dsq_py_db *self)
{
    if (self->previous != NULL) {
        self->previous->next = self->next;
    } else {
        self->module->open_handles = self->next;
    }
    if (self->next != NULL) {
        self->next->previous = self->previous;
    }
    self->previous = self->next = NULL;
}

/*
 * No wake-up is lost: the waiter takes the lock before it gives the GIL up, and phase and calls
 * change under the GIL, so a notifier comes before the waiter's look at them or finds it waiting.
 */
void dsq_py_notify(struct dsq_py_db *self)
{
    pthread_mutex_lock(&self->lock);
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->lock);
}

int dsq_py_wait(struct dsq_py_db *self)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += SIGNAL_CHECK_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&self->lock);
    PyThreadState *thread = PyEval_SaveThread();
    pthread_cond_timedwait(&self->changed, &self->lock, &until);
    pthread_mutex_unlock(&self->lock);
    PyEval_RestoreThread(thread);
    return PyErr_CheckSignals();
}

static void begin_change(struct dsq_py_db *self, enum dsq_py_phase phase)
{
    self->phase = phase;
    self->changer = PyThread_get_thread_ident();
}

static void end_change(struct dsq_py_db *self, enum dsq_py_phase phase)
{
    self->phase = phase;
    self->changer = 0;
    dsq_py_notify(self);
}

/* What stays known of the options. */
static void keep_options(struct dsq_py_db *self, const struct dsq_py_options *options)
{
    const struct dsq_options *native = &options->native;
    bool is_default = native->persist_mode == DSQ_MODE_DEFAULT;
    self->mode = is_default ? DSQ_MODE_WRITETHROUGH : native->persist_mode;
    /* What is decoded is made anew each time. */
    self->value_cache.bytes_max = self->codec == NULL ? options->value_cache_bytes : 0;
    self->queue_bytes = native->queue_bytes != 0 ? native->queue_bytes : DSQ_DEFAULT_QUEUE_BYTES;
    strcpy(self->storage_mode, dsq_value_format(self->db));
    Py_INCREF(options->path);
    Py_XSETREF(self->path, options->path);
}

/* Takes the codec over that the options have, or makes the one that the file calls for. */
static bool take_codec(struct dsq_py_db *self, struct dsq_py_options *options)
{
    if (dsq_py_codec_follows_file(&options->values)) {
        return dsq_py_codec_new(self->module, &options->values, dsq_value_format(self->db),
                                &self->codec);
    }
    self->codec = options->codec;
    options->codec = NULL;
    return true;
}

/* Undoes dsq_open, while the phase still is OPENING. */
static void give_up(struct dsq_py_db *self)
{
    struct dsq_py_saved_error saved;
    dsq_py_save_error(&saved);
    PyThreadState *thread = PyEval_SaveThread();
    if (dsq_close(self->db) != DSQ_OK) {
        dsq_abandon(self->db);
    }
    PyEval_RestoreThread(thread);
    dsq_py_restore_error(&saved);
    self->db = NULL;
    end_change(self, DSQ_PY_NEW);
}

int dsq_py_open(struct dsq_py_db *self, struct dsq_py_options *options)
{
    if (self->phase != DSQ_PY_NEW) {
        PyErr_SetString(PyExc_RuntimeError, "the store was opened before; make a new object");
        return -1;
    }
    struct dsq_error error = {.status = DSQ_OK};
    options->native.error = &error;
    self->owner = getpid();
    begin_change(self, DSQ_PY_OPENING);
    PyThreadState *thread = PyEval_SaveThread();
    int status = dsq_open(PyBytes_AS_STRING(options->encoded), &options->native, &self->db);
    PyEval_RestoreThread(thread);
    if (status != DSQ_OK) {
        end_change(self, DSQ_PY_NEW);
        dsq_py_raise(self->module, &error);
        return -1;
    }
    if (!take_codec(self, options)) {
        give_up(self);
        return -1;
    }
    link_handle(self);
    keep_options(self, options);
    end_change(self, DSQ_PY_OPEN);
    return 0;
}

static void become_closed(struct dsq_py_db *self)
{
    self->db = NULL;
    dsq_py_value_cache_clear(&self->value_cache);
    unlink_handle(self);
    end_change(self, DSQ_PY_CLOSED);
}

/* Waits while another thread opens or closes.  0, or -1 with an exception. */
static int wait_for_rest(struct dsq_py_db *self)
{
    while (self->phase == DSQ_PY_OPENING || self->phase == DSQ_PY_CLOSING) {
        if (self->changer == PyThread_get_thread_ident()) {
            /* A signal handler interrupted this thread's own close. */
            dsq_py_raise_closed(self);
            return -1;
        }
        if (dsq_py_wait(self) < 0) {
            return -1;
        }
    }
    return 0;
}

static int close_open_handle(struct dsq_py_db *self)
{
    begin_change(self, DSQ_PY_CLOSING);
    while (self->calls > 0) {
        if (dsq_py_wait(self) < 0) {
            end_change(self, DSQ_PY_OPEN);
            return -1;
        }
    }
    dsq_py_iterators_close(self);
    PyThreadState *thread = PyEval_SaveThread();
    int status = dsq_close(self->db);
    PyEval_RestoreThread(thread);
    if (status == DSQ_OK) {
        become_closed(self);
        return 0;
    }
    end_change(self, DSQ_PY_OPEN);
    dsq_py_raise_status(self, status);
    return -1;
}

/* Whether this thread runs a progress function, under whose call it would wait for itself. */
static bool reports_to_this_thread(const struct dsq_py_db *self)
{
    unsigned long thread = PyThread_get_thread_ident();
    const struct dsq_py_reporting *reporting = self->reportings;
    while (reporting != NULL && reporting->thread != thread) {
        reporting = reporting->next;
    }
    return reporting != NULL;
}

int dsq_py_close(struct dsq_py_db *self)
{
    if (self->phase != DSQ_PY_NEW && self->phase != DSQ_PY_CLOSED && dsq_py_inherited(self)) {
        dsq_py_raise_status(self, DSQ_ERR_FORKED);
        return -1;
    }
    if (reports_to_this_thread(self)) {
        PyErr_SetString(PyExc_RuntimeError, "a progress function cannot close its store");
        return -1;
    }
    if (wait_for_rest(self) < 0) {
        return -1;
    }
    return self->phase == DSQ_PY_OPEN ? close_open_handle(self) : 0;
}

void dsq_py_dispose(struct dsq_py_db *self)
{
    if (self->phase != DSQ_PY_OPEN) {
        return;
    }
    dsq_py_iterators_close(self);
    /* Off the list before the GIL is given up: nobody may find an object without references. */
    dsq_db *db = self->db;
    become_closed(self);
    PyThreadState *thread = PyEval_SaveThread();
    if (dsq_py_inherited(self) || dsq_close(db) != DSQ_OK) {
        dsq_abandon(db);
    }
    PyEval_RestoreThread(thread);
}

void dsq_py_close_all(struct dsq_py_module *module)
{
    /* A list of its own: while one handle is closed, others may come and go. */
    PyObject *handles = PyList_New(0);
    if (handles == NULL) {
        PyErr_WriteUnraisable(NULL);
        return;
    }
    for (struct dsq_py_db *db = module->open_handles; db != NULL; db = db->next) {
        if (PyList_Append(handles, (PyObject *)db) < 0) {
            PyErr_WriteUnraisable((PyObject *)db);
        }
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(handles); i++) {
        PyObject *db = PyList_GET_ITEM(handles, i);
        if (!dsq_py_inherited((struct dsq_py_db *)db) && dsq_py_close((struct dsq_py_db *)db) < 0) {
            PyErr_WriteUnraisable(db);
        }
    }
    Py_DECREF(handles);
}
