#include "bindings/python/stats.h"

static const char *mode_name(int mode)
{
    switch (mode) {
    case DSQ_MODE_LAZY:
        return "lazy";
    case DSQ_MODE_MEMORY:
        return "memory";
    default:
        return "writethrough";
    }
}

static const char *state_name(int state)
{
    switch (state) {
    case DSQ_STATE_RETRYING:
        return "retrying";
    case DSQ_STATE_FAILED:
        return "failed";
    default:
        return "open";
    }
}

static bool add(PyObject *dict, const char *name, PyObject *value)
{
    bool added = value != NULL && PyDict_SetItemString(dict, name, value) == 0;
    Py_XDECREF(value);
    return added;
}

static PyObject *none(void)
{
    Py_RETURN_NONE;
}

static bool add_words(PyObject *dict, const struct dsq_stats *stats)
{
    return add(dict, "mode", PyUnicode_FromString(mode_name(stats->mode))) &&
           add(dict, "state", PyUnicode_FromString(state_name(stats->state))) &&
           add(dict, "last_error",
               stats->last_error == DSQ_OK ? none()
                                           : PyUnicode_FromString(dsq_strerror(stats->last_error)));
}

static bool add_numbers(PyObject *dict, const struct dsq_stats *stats)
{
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {
        {"hot_records", stats->hot_records},
        {"hot_bytes", stats->hot_bytes},
        {"hits", stats->hits},
        {"misses", stats->misses},
        {"evictions", stats->evictions},
        {"queued_bytes", stats->queued_bytes},
        {"unfolded", stats->unfolded},
        {"commits", stats->commits},
        {"commit_errors", stats->commit_errors},
        {"folds", stats->folds},
        {"seq", stats->seq},
        {"durable_seq", stats->durable_seq},
        {"retired_bytes", stats->retired_bytes},
        {"wal_bytes", stats->wal_bytes},
        {"table_slots", stats->table_slots},
        {"resizes", stats->resizes},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (!add(dict, numbers[i].name, PyLong_FromUnsignedLongLong(numbers[i].value))) {
            return false;
        }
    }
    return true;
}

PyObject *dsq_py_stats(struct dsq_py_db *self)
{
    if (!dsq_py_ready(self)) {
        return NULL;
    }
    if (dsq_py_inherited(self)) {
        return dsq_py_raise_status(self, DSQ_ERR_FORKED);
    }
    struct dsq_stats stats;
    dsq_stats(self->db, &stats);
    PyObject *dict = PyDict_New();
    if (dict == NULL || !add_words(dict, &stats) ||
        !add(dict, "records",
             stats.records_known ? PyLong_FromUnsignedLongLong(stats.records) : none()) ||
        !add_numbers(dict, &stats)) {
        Py_XDECREF(dict);
        return NULL;
    }
    return dict;
}

PyObject *dsq_py_repr(struct dsq_py_db *self)
{
    const char *type = Py_TYPE(self)->tp_name;
    if (self->path == NULL) {
        return PyUnicode_FromFormat("<%s, not opened>", type);
    }
    const char *state = "closed";
    if (self->phase == DSQ_PY_OPEN && dsq_py_inherited(self)) {
        state = "inherited through fork";
    } else if (self->phase == DSQ_PY_OPEN) {
        struct dsq_stats stats;
        dsq_stats(self->db, &stats);
        state = state_name(stats.state);
    }
    return PyUnicode_FromFormat("<%s %R, %s, %s>", type, self->path, mode_name(self->mode), state);
}

/* Whether the number of records is known without waiting. */
static bool known_count(struct dsq_py_db *self, uint64_t *count)
{
    struct dsq_stats stats;
    if (dsq_py_inherited(self)) {
        return false;
    }
    dsq_stats(self->db, &stats);
    *count = stats.records;
    return stats.records_known != 0;
}

Py_ssize_t dsq_py_count(struct dsq_py_db *self)
{
    uint64_t count;
    if (!dsq_py_ready(self)) {
        return -1;
    }
    if (!known_count(self, &count)) {
        PyThreadState *thread = dsq_py_enter(self);
        int status = dsq_count(self->db, &count);
        dsq_py_leave(self, thread);
        if (status != DSQ_OK) {
            dsq_py_raise_status(self, status);
            return -1;
        }
    }
    return (Py_ssize_t)count;
}

int dsq_py_any(struct dsq_py_db *self)
{
    uint64_t count;
    int empty = 0;
    if (!dsq_py_ready(self)) {
        return -1;
    }
    if (known_count(self, &count)) {
        return count != 0;
    }
    PyThreadState *thread = dsq_py_enter(self);
    int status = dsq_is_empty(self->db, &empty);
    dsq_py_leave(self, thread);
    if (status < 0) {
        dsq_py_raise_status(self, status);
        return -1;
    }
    return !empty;
}
