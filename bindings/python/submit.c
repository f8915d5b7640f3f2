#include "bindings/python/submit.h"

#include "bindings/python/codec.h"

struct glance {
    struct dsq_py_value_cache *cache;
    PyObject *bytes;
};

/* Under the GIL, whatever the size. */
static uint16_t take_bytes(void *context, const struct dsq_peeked *peeked)
{
    struct glance *glance = context;
    uint16_t note;
    glance->bytes = dsq_py_value_object(glance->cache, peeked, &note);
    return note;
}

static PyObject *would_wait(void)
{
    Py_RETURN_NOTIMPLEMENTED;
}

PyObject *dsq_py_try_get(struct dsq_py_db *self, PyObject *key_object, PyObject *fallback)
{
    struct dsq_py_key key;
    struct glance glance = {&self->value_cache, NULL};
    if (!dsq_py_key_get(key_object, &key) || !dsq_py_ready(self)) {
        return NULL;
    }
    int status = dsq_peek_noted(self->db, key.data, key.size, take_bytes, &glance);
    if (status == DSQ_WOULD_BLOCK) {
        return would_wait();
    }
    if (status < 0) {
        return dsq_py_raise_status(self, status);
    }
    if (status == DSQ_ABSENT) {
        Py_INCREF(fallback);
        return fallback;
    }
    return dsq_py_value_decoded(self, key_object, glance.bytes);
}

PyObject *dsq_py_try_contains(struct dsq_py_db *self, PyObject *key_object)
{
    struct dsq_py_key key;
    if (!dsq_py_key_get(key_object, &key) || !dsq_py_ready(self)) {
        return NULL;
    }
    int status = dsq_peek(self->db, key.data, key.size, NULL, NULL);
    if (status == DSQ_WOULD_BLOCK) {
        return would_wait();
    }
    return status < 0 ? dsq_py_raise_status(self, status) : PyBool_FromLong(status == DSQ_OK);
}

PyObject *dsq_py_submit_set(struct dsq_py_db *self, PyObject *key_object, PyObject *value_object)
{
    struct dsq_py_key key;
    struct dsq_py_value value;
    if (!dsq_py_key_get(key_object, &key) || !dsq_py_value_take(self, value_object, &value)) {
        return NULL;
    }
    PyObject *result = NULL;
    if (dsq_py_ready(self)) {
        int status = dsq_submit_put(self->db, key.data, key.size, value.data, value.size);
        result = status == DSQ_WOULD_BLOCK ? would_wait()
                 : status < 0              ? dsq_py_raise_status(self, status)
                                           : PyBool_FromLong(1);
    }
    dsq_py_value_release(&value);
    return result;
}

PyObject *dsq_py_submit_delete(struct dsq_py_db *self, PyObject *key_object)
{
    struct dsq_py_key key;
    if (!dsq_py_key_get(key_object, &key) || !dsq_py_ready(self)) {
        return NULL;
    }
    int status = dsq_submit_delete(self->db, key.data, key.size);
    if (status == DSQ_WOULD_BLOCK) {
        return would_wait();
    }
    return status < 0 ? dsq_py_raise_status(self, status) : PyBool_FromLong(status == DSQ_OK);
}
