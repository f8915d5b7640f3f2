/*
 * A number is ASCII text: digits, with a minus sign if it is negative.  It is added to by comparing
 * and swapping until nobody came between; whoever fails has seen another's change succeed.
 */
#include "bindings/python/atomic.h"

#include <inttypes.h>
#include <stdio.h>

#include "bindings/python/codec.h"
#include "bindings/python/codec_change.h"

/* Bytes of the longest number that fits 64 bits, its final zero included. */
#define NUMBER_TEXT_BYTES sizeof "-9223372036854775808"
/* Lost races after which pending signals are looked at. */
#define RACES_MAX 64

/* ---- add and compare_and_swap ---- */

/* The outcome of a change as a bool: 0 is True, a refusal False. */
static PyObject *outcome(struct dsq_py_db *self, int status)
{
    return status < 0 ? dsq_py_raise_status(self, status) : PyBool_FromLong(status == DSQ_OK);
}

PyObject *dsq_py_add(struct dsq_py_db *self, PyObject *key_object, PyObject *value_object)
{
    struct dsq_py_key key;
    struct dsq_py_value value;
    if (!dsq_py_key_get(key_object, &key) || !dsq_py_value_take(self, value_object, &value)) {
        return NULL;
    }
    PyObject *result = NULL;
    if (dsq_py_ready(self)) {
        PyThreadState *thread = dsq_py_enter(self);
        int status = dsq_put_if_absent(self->db, key.data, key.size, value.data, value.size);
        dsq_py_leave(self, thread);
        result = outcome(self, status);
    }
    dsq_py_value_release(&value);
    return result;
}

/* Without the GIL.  NULL: absent. */
static int swap(dsq_db *db, const struct dsq_py_key *key, const struct dsq_py_value *old,
                const struct dsq_py_value *new)
{
    if (old == NULL && new == NULL) {
        int status = dsq_contains(db, key->data, key->size);
        return status == DSQ_OK ? DSQ_EXISTS : status == DSQ_ABSENT ? DSQ_OK : status;
    }
    if (old == NULL) {
        return dsq_put_if_absent(db, key->data, key->size, new->data, new->size);
    }
    if (new == NULL) {
        return dsq_compare_and_delete(db, key->data, key->size, old->data, old->size);
    }
    return dsq_compare_and_swap(db, key->data, key->size, old->data, old->size, new->data,
                                new->size);
}

/* As dsq_py_value_acquire; None gives no bytes, and needs no release but permits it. */
static bool acquire_optional(PyObject *object, struct dsq_py_value *value)
{
    value->buffer.obj = NULL;
    return object == Py_None || dsq_py_value_acquire(object, value);
}

PyObject *dsq_py_compare_and_swap(struct dsq_py_db *self, PyObject *key_object,
                                  PyObject *old_object, PyObject *new_object)
{
    if (self->codec != NULL) {
        return dsq_py_codec_compare_and_swap(self, key_object, old_object, new_object);
    }
    struct dsq_py_key key;
    struct dsq_py_value old, new;
    if (!dsq_py_key_get(key_object, &key) || !acquire_optional(old_object, &old)) {
        return NULL;
    }
    PyObject *result = NULL;
    if (acquire_optional(new_object, &new)) {
        if (dsq_py_ready(self)) {
            PyThreadState *thread = dsq_py_enter(self);
            int status = swap(self->db, &key, old_object != Py_None ? &old : NULL,
                              new_object != Py_None ? &new : NULL);
            dsq_py_leave(self, thread);
            result = outcome(self, status);
        }
        dsq_py_value_release(&new);
    }
    dsq_py_value_release(&old);
    return result;
}

/* ---- increment ---- */

enum increment_outcome { INCREMENTED, RACED, NOT_A_NUMBER, OVERFLOWED, FAILED };

struct increment {
    struct dsq_py_key key;
    int64_t delta, fallback;
    int64_t sum; /* once INCREMENTED */
    int status;  /* if FAILED */
};

/* Reads a number that fits 64 bits. */
static enum increment_outcome parse(const char *text, size_t size, int64_t *number)
{
    bool negative = size > 0 && text[0] == '-';
    size_t i = negative;
    bool overflowed = false;
    *number = 0;
    if (i == size) {
        return NOT_A_NUMBER;
    }
    for (; i < size; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return NOT_A_NUMBER;
        }
        int64_t digit = negative ? '0' - text[i] : text[i] - '0';
        overflowed = overflowed || __builtin_mul_overflow(*number, 10, number) ||
                     __builtin_add_overflow(*number, digit, number);
    }
    return overflowed ? OVERFLOWED : INCREMENTED;
}

/* Stores the sum of number and delta in the place of view, or of nothing. */
static enum increment_outcome store_sum(dsq_db *db, struct increment *self, int64_t number,
                                        const struct dsq_view *view)
{
    char text[NUMBER_TEXT_BYTES];
    if (__builtin_add_overflow(number, self->delta, &self->sum)) {
        return OVERFLOWED;
    }
    size_t size = (size_t)snprintf(text, sizeof text, "%" PRId64, self->sum);
    self->status = view == NULL ? dsq_put_if_absent(db, self->key.data, self->key.size, text, size)
                                : dsq_compare_and_swap(db, self->key.data, self->key.size,
                                                       view->data, view->size, text, size);
    if (self->status < 0) {
        return FAILED;
    }
    return self->status == DSQ_OK ? INCREMENTED : RACED;
}

static enum increment_outcome try_increment(dsq_db *db, struct increment *self)
{
    struct dsq_view view;
    self->status = dsq_view(db, self->key.data, self->key.size, &view);
    if (self->status < 0) {
        return FAILED;
    }
    if (self->status == DSQ_ABSENT) {
        return store_sum(db, self, self->fallback, NULL);
    }
    int64_t number;
    enum increment_outcome result = parse(view.data, view.size, &number);
    if (result == INCREMENTED) {
        result = store_sum(db, self, number, &view);
    }
    dsq_view_release(db, &view);
    return result;
}

/* Goes on until it is done, fails, or has to look at signals (RACED). */
static enum increment_outcome increment(struct dsq_py_db *self, struct increment *what)
{
    enum increment_outcome result = RACED;
    PyThreadState *thread = dsq_py_enter(self);
    for (int races = 0; result == RACED && races < RACES_MAX; races++) {
        result = try_increment(self->db, what);
    }
    dsq_py_leave(self, thread);
    return result;
}

/* Leaves *number as it is if object is NULL. */
static bool parse_integer(const char *name, PyObject *object, int64_t *number)
{
    if (object == NULL) {
        return true;
    }
    PyObject *index = PyNumber_Index(object);
    if (index == NULL) {
        return false;
    }
    int overflow;
    *number = PyLong_AsLongLongAndOverflow(index, &overflow);
    if (overflow != 0) {
        PyErr_Format(PyExc_OverflowError, "%s does not fit 64 bits: %R", name, index);
    }
    Py_DECREF(index);
    return !PyErr_Occurred();
}

PyObject *dsq_py_increment(struct dsq_py_db *self, PyObject *key, PyObject *delta,
                           PyObject *fallback)
{
    struct increment what = {.delta = 1, .fallback = 0};
    enum increment_outcome result = RACED;
    if (!dsq_py_key_get(key, &what.key) || !parse_integer("delta", delta, &what.delta) ||
        !parse_integer("default", fallback, &what.fallback)) {
        return NULL;
    }
    if (self->codec != NULL) {
        return dsq_py_codec_increment(self, key, what.delta, what.fallback);
    }
    while (result == RACED) {
        if (PyErr_CheckSignals() < 0 || !dsq_py_ready(self)) {
            return NULL;
        }
        result = increment(self, &what);
    }
    switch (result) {
    case INCREMENTED:
        return PyLong_FromLongLong(what.sum);
    case NOT_A_NUMBER:
        return PyErr_Format(PyExc_ValueError, "the value of %R is not a decimal number", key);
    case OVERFLOWED:
        return PyErr_Format(PyExc_OverflowError, "the value of %R would not fit 64 bits", key);
    default:
        return dsq_py_raise_status(self, what.status);
    }
}
