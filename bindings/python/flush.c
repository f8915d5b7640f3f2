#include "bindings/python/flush.h"

#include <math.h>
#include <time.h>

#define NO_DEADLINE INT64_MAX
/* The first wait before a look at pending signals; each later one is twice as long. */
#define FIRST_SLICE_MS 100
/* Longer timeouts are no different from waiting for ever: some 30 years. */
#define TIMEOUT_MAX_SECONDS 1e9

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool parse_deadline(PyObject *timeout, int64_t *deadline_ms)
{
    *deadline_ms = NO_DEADLINE;
    if (timeout == Py_None) {
        return true;
    }
    double seconds = PyFloat_AsDouble(timeout);
    if (seconds == -1.0 && PyErr_Occurred()) {
        return false;
    }
    if (!(seconds >= 0.0)) {
        PyErr_Format(PyExc_ValueError, "timeout must not be negative: %R", timeout);
        return false;
    }
    if (seconds < TIMEOUT_MAX_SECONDS) {
        *deadline_ms = now_ms() + (int64_t)ceil(seconds * 1000.0);
    }
    return true;
}

static int flush_slice(struct dsq_py_db *self, int64_t slice_ms)
{
    PyThreadState *thread = dsq_py_enter(self);
    int status = dsq_flush(self->db, slice_ms);
    dsq_py_leave(self, thread);
    return status;
}

/*
 * Each slice is a barrier of its own, which comes after whatever was written meanwhile: slices of
 * one length might never be long enough for a slow disk under steady writing, growing ones are.
 */
PyObject *dsq_py_flush(struct dsq_py_db *self, PyObject *timeout)
{
    int64_t deadline_ms;
    if (!parse_deadline(timeout, &deadline_ms)) {
        return NULL;
    }
    for (int64_t slice_ms = FIRST_SLICE_MS;; slice_ms *= 2) {
        if (!dsq_py_ready(self)) {
            return NULL;
        }
        int64_t left_ms = deadline_ms == NO_DEADLINE ? slice_ms : deadline_ms - now_ms();
        left_ms = left_ms > 0 ? left_ms : 0;
        bool last = left_ms < slice_ms;
        int status = flush_slice(self, last ? left_ms : slice_ms);
        if (status == DSQ_OK) {
            Py_RETURN_NONE;
        }
        if (status != DSQ_ERR_TIMEOUT || last) {
            return dsq_py_raise_status(self, status);
        }
        if (PyErr_CheckSignals() < 0) {
            return NULL;
        }
    }
}
