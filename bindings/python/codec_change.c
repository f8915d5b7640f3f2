#include "bindings/python/codec_change.h"

#include <inttypes.h>

#include "bindings/python/access.h"
#include "bindings/python/codec.h"

/*
 * Replaces old by new, both bytes; NULL: absence, of one of them.  1, 0 if something else was there, or -1
 * with an exception.
 */
static int swap(struct dsq_py_db *self, PyObject *key_object, PyObject *old, PyObject *new)
{
    struct dsq_py_key key;
    struct dsq_py_value from = {0};
    struct dsq_py_value to = {0};
    if (!dsq_py_key_get(key_object, &key) || !dsq_py_ready(self) ||
        (old != NULL && !dsq_py_value_acquire(old, &from)) ||
        (new != NULL && !dsq_py_value_acquire(new, &to))) {
        return -1;
    }
    PyThreadState *thread = dsq_py_enter(self);
    int status;
    if (old == NULL) {
        status = dsq_put_if_absent(self->db, key.data, key.size, to.data, to.size);
    } else if (new == NULL) {
        status = dsq_compare_and_delete(self->db, key.data, key.size, from.data, from.size);
    } else {
        status = dsq_compare_and_swap(self->db, key.data, key.size, from.data, from.size, to.data,
                                      to.size);
    }
    dsq_py_leave(self, thread);
    if (status < 0) {
        dsq_py_raise_status(self, status);
        return -1;
    }
    return status == DSQ_OK;
}

/* The value that bytes stand for, which are kept. */
static PyObject *decode_kept(struct dsq_py_db *self, PyObject *key, PyObject *bytes)
{
    Py_INCREF(bytes);
    return dsq_py_decode(self, key, bytes);
}

PyObject *dsq_py_codec_pop(struct dsq_py_db *self, PyObject *key)
{
    PyObject *bytes;
    while ((bytes = dsq_py_get_bytes(self, key)) != NULL) {
        PyObject *value = decode_kept(self, key, bytes);
        int popped = value != NULL ? swap(self, key, bytes, NULL) : -1;
        Py_DECREF(bytes);
        if (popped == 1) {
            return value;
        }
        Py_XDECREF(value);
        if (popped < 0 || PyErr_CheckSignals() < 0) {
            return NULL;
        }
    }
    return NULL;
}

/* ---- compare_and_swap ---- */

static int swap_absence(struct dsq_py_db *self, PyObject *key, PyObject *new)
{
    if (new != NULL) {
        return swap(self, key, NULL, new);
    }
    int is_there = dsq_py_contains(self, key);
    return is_there < 0 ? -1 : !is_there;
}

/* Whether bytes stand for a value that equals another; -1 with an exception. */
static int stand_for(struct dsq_py_db *self, PyObject *key, PyObject *bytes, PyObject *other)
{
    PyObject *value = decode_kept(self, key, bytes);
    int equal = value != NULL ? PyObject_RichCompareBool(value, other, Py_EQ) : -1;
    Py_XDECREF(value);
    return equal;
}

static int swap_value(struct dsq_py_db *self, PyObject *key, PyObject *old, PyObject *new)
{
    for (;;) {
        PyObject *bytes = dsq_py_get_bytes(self, key);
        if (bytes == NULL) {
            return PyErr_Occurred() ? -1 : 0;
        }
        int equal = stand_for(self, key, bytes, old);
        int swapped = equal == 1 ? swap(self, key, bytes, new) : equal;
        Py_DECREF(bytes);
        if (equal <= 0 || swapped != 0) {
            return swapped;
        }
        if (PyErr_CheckSignals() < 0) {
            return -1;
        }
    }
}

PyObject *dsq_py_codec_compare_and_swap(struct dsq_py_db *self, PyObject *key, PyObject *old,
                                        PyObject *new)
{
    PyObject *bytes = new != Py_None ? dsq_py_encode(self, new) : NULL;
    if (bytes == NULL && new != Py_None) {
        return NULL;
    }
    int swapped =
        old == Py_None ? swap_absence(self, key, bytes) : swap_value(self, key, old, bytes);
    Py_XDECREF(bytes);
    return swapped >= 0 ? PyBool_FromLong(swapped) : NULL;
}

/* ---- increment ---- */

static bool read_number(PyObject *key, PyObject *value, int64_t *number)
{
    int overflow;
    if (!PyLong_CheckExact(value)) {
        PyErr_Format(PyExc_ValueError, "the value of %R is not an int", key);
        return false;
    }
    *number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow != 0) {
        PyErr_Format(PyExc_OverflowError, "the value of %R does not fit 64 bits", key);
    }
    return overflow == 0;
}

static PyObject *encode_number(struct dsq_py_db *self, int64_t number)
{
    PyObject *object = self->codec->kind == DSQ_PY_CODEC_CHECKED
                           ? PyBytes_FromFormat("%lld", (long long)number)
                           : PyLong_FromLongLong(number);
    PyObject *bytes = object != NULL ? dsq_py_encode(self, object) : NULL;
    Py_XDECREF(object);
    return bytes;
}

/* Stores the sum in the place of bytes, or of nothing if they are NULL.  As swap. */
static int add(struct dsq_py_db *self, PyObject *key, PyObject *bytes, int64_t delta,
               int64_t fallback, int64_t *sum)
{
    PyObject *value = bytes != NULL ? decode_kept(self, key, bytes) : NULL;
    bool is_read = bytes == NULL || (value != NULL && read_number(key, value, &fallback));
    Py_XDECREF(value);
    if (!is_read) {
        return -1;
    }
    if (__builtin_add_overflow(fallback, delta, sum)) {
        PyErr_Format(PyExc_OverflowError, "the value of %R would not fit 64 bits", key);
        return -1;
    }
    PyObject *new = encode_number(self, *sum);
    int swapped = new != NULL ? swap(self, key, bytes, new) : -1;
    Py_XDECREF(new);
    return swapped;
}

PyObject *dsq_py_codec_increment(struct dsq_py_db *self, PyObject *key, int64_t delta,
                                 int64_t fallback)
{
    for (;;) {
        int64_t sum;
        PyObject *bytes = dsq_py_get_bytes(self, key);
        if (bytes == NULL && PyErr_Occurred()) {
            return NULL;
        }
        int added = add(self, key, bytes, delta, fallback, &sum);
        Py_XDECREF(bytes);
        if (added == 1) {
            return PyLong_FromLongLong(sum);
        }
        if (added < 0 || PyErr_CheckSignals() < 0) {
            return NULL;
        }
    }
}
