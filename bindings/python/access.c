#include "bindings/python/access.h"

#include "bindings/python/codec_change.h"

/* A look at the hot tier: the value as bytes, unless it is large or memory ran out. */
struct glance {
    struct dsq_py_value_cache *cache;
    PyObject *bytes;
    bool large;
};

static uint16_t take_bytes(void *context, const struct dsq_peeked *peeked)
{
    struct glance *glance = context;
    uint16_t note = peeked->note;
    if (peeked->size > DSQ_PY_LARGE_BYTES) {
        glance->large = true;
    } else {
        glance->bytes = dsq_py_value_object(glance->cache, peeked, &note);
    }
    return note;
}

/* Makes bytes of a large value, copying without the GIL. */
static PyObject *copy_large(struct dsq_py_db *self, const void *value, size_t size)
{
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (bytes != NULL) {
        PyThreadState *thread = dsq_py_enter(self);
        memcpy(PyBytes_AS_STRING(bytes), value, size);
        dsq_py_leave(self, thread);
    }
    return bytes;
}

static PyObject *copy_value(struct dsq_py_db *self, const void *value, size_t size)
{
    return size > DSQ_PY_LARGE_BYTES ? copy_large(self, value, size)
                                     : PyBytes_FromStringAndSize(value, (Py_ssize_t)size);
}

/* The look-up that may wait. */
static PyObject *get_waiting(struct dsq_py_db *self, const struct dsq_py_key *key)
{
    struct dsq_view view;
    PyThreadState *thread = dsq_py_enter(self);
    int status = dsq_view(self->db, key->data, key->size, &view);
    dsq_py_leave(self, thread);
    if (status < 0) {
        return dsq_py_raise_status(self, status);
    }
    PyObject *bytes = NULL;
    if (status == DSQ_OK) {
        bytes = copy_value(self, view.data, view.size);
        dsq_view_release(self->db, &view);
    }
    return bytes;
}

PyObject *dsq_py_get_bytes(struct dsq_py_db *self, PyObject *key_object)
{
    struct dsq_py_key key;
    if (!dsq_py_key_get(key_object, &key) || !dsq_py_ready(self)) {
        return NULL;
    }
    struct glance glance = {&self->value_cache, NULL, false};
    int status = dsq_peek_noted(self->db, key.data, key.size, take_bytes, &glance);
    if (status == DSQ_WOULD_BLOCK || glance.large) {
        return get_waiting(self, &key);
    }
    return status >= 0 ? glance.bytes : dsq_py_raise_status(self, status);
}

static int contains_waiting(struct dsq_py_db *self, const struct dsq_py_key *key)
{
    PyThreadState *thread = dsq_py_enter(self);
    int status = dsq_contains(self->db, key->data, key->size);
    dsq_py_leave(self, thread);
    return status;
}

int dsq_py_contains(struct dsq_py_db *self, PyObject *key_object)
{
    struct dsq_py_key key;
    if (!dsq_py_key_get(key_object, &key) || !dsq_py_ready(self)) {
        return -1;
    }
    int status = dsq_peek(self->db, key.data, key.size, NULL, NULL);
    if (status == DSQ_WOULD_BLOCK) {
        status = contains_waiting(self, &key);
    }
    if (status < 0) {
        dsq_py_raise_status(self, status);
        return -1;
    }
    return status == DSQ_OK;
}

static int put(struct dsq_py_db *self, const struct dsq_py_key *key,
               const struct dsq_py_value *value)
{
    if (self->mode != DSQ_MODE_WRITETHROUGH && value->size <= DSQ_PY_LARGE_BYTES) {
        int status = dsq_put_nowait(self->db, key->data, key->size, value->data, value->size);
        if (status != DSQ_WOULD_BLOCK) {
            return status;
        }
    }
    PyThreadState *thread = dsq_py_enter(self);
    int status = dsq_put(self->db, key->data, key->size, value->data, value->size);
    dsq_py_leave(self, thread);
    return status;
}

int dsq_py_set(struct dsq_py_db *self, PyObject *key_object, PyObject *value_object)
{
    struct dsq_py_key key;
    struct dsq_py_value value;
    if (!dsq_py_key_get(key_object, &key) || !dsq_py_value_take(self, value_object, &value)) {
        return -1;
    }
    int result = -1;
    if (dsq_py_ready(self)) {
        int status = put(self, &key, &value);
        if (status >= 0) {
            result = 0;
        } else {
            dsq_py_raise_status(self, status);
        }
    }
    dsq_py_value_release(&value);
    return result;
}

static int remove_key(struct dsq_py_db *self, const struct dsq_py_key *key)
{
    if (self->mode != DSQ_MODE_WRITETHROUGH) {
        int status = dsq_delete_nowait(self->db, key->data, key->size);
        if (status != DSQ_WOULD_BLOCK) {
            return status;
        }
    }
    PyThreadState *thread = dsq_py_enter(self);
    int status = dsq_delete(self->db, key->data, key->size);
    dsq_py_leave(self, thread);
    return status;
}

int dsq_py_delete(struct dsq_py_db *self, PyObject *key_object)
{
    struct dsq_py_key key;
    if (!dsq_py_key_get(key_object, &key) || !dsq_py_ready(self)) {
        return -1;
    }
    int status = remove_key(self, &key);
    if (status == DSQ_OK) {
        return 0;
    }
    if (status == DSQ_ABSENT) {
        PyErr_SetObject(PyExc_KeyError, key_object);
    } else {
        dsq_py_raise_status(self, status);
    }
    return -1;
}

/* Makes bytes of a copy that the library handed out, and frees it. */
static PyObject *take_copy(struct dsq_py_db *self, void *copy, size_t size)
{
    PyObject *bytes = copy_value(self, copy, size);
    dsq_free(copy);
    return bytes;
}

PyObject *dsq_py_pop(struct dsq_py_db *self, PyObject *key_object)
{
    if (self->codec != NULL) {
        return dsq_py_codec_pop(self, key_object);
    }
    struct dsq_py_key key;
    if (!dsq_py_key_get(key_object, &key) || !dsq_py_ready(self)) {
        return NULL;
    }
    void *copy;
    size_t size;
    PyThreadState *thread = dsq_py_enter(self);
    int status = dsq_pop(self->db, key.data, key.size, &copy, &size);
    dsq_py_leave(self, thread);
    if (status < 0) {
        return dsq_py_raise_status(self, status);
    }
    return status == DSQ_OK ? take_copy(self, copy, size) : NULL;
}

/* bytes: exactly that.  As dsq_py_setdefault, for a key that the hot tier did not find. */
static PyObject *get_or_put(struct dsq_py_db *self, const struct dsq_py_key *key, PyObject *bytes)
{
    void *copy;
    size_t size;
    PyThreadState *thread = dsq_py_enter(self);
    int status = dsq_get_or_put(self->db, key->data, key->size, PyBytes_AS_STRING(bytes),
                                (size_t)PyBytes_GET_SIZE(bytes), &copy, &size);
    dsq_py_leave(self, thread);
    if (status < 0) {
        return dsq_py_raise_status(self, status);
    }
    if (status == DSQ_EXISTS) {
        return take_copy(self, copy, size);
    }
    Py_INCREF(bytes);
    return bytes;
}

PyObject *dsq_py_setdefault(struct dsq_py_db *self, PyObject *key_object, PyObject *value)
{
    PyObject *existing = dsq_py_get(self, key_object);
    if (existing != NULL || PyErr_Occurred()) {
        return existing;
    }
    struct dsq_py_key key;
    PyObject *bytes = dsq_py_value_encoded(self, value);
    PyObject *result = NULL;
    if (bytes != NULL && dsq_py_key_get(key_object, &key) && dsq_py_ready(self)) {
        result = dsq_py_value_decoded(self, key_object, get_or_put(self, &key, bytes));
    }
    Py_XDECREF(bytes);
    return result;
}
