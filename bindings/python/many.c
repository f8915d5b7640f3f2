#include "bindings/python/many.h"

#include "bindings/python/access.h"
#include "bindings/python/gather.h"

/* Keys that are looked up at a time: what is found stays pinned meanwhile. */
#define LOOK_UP_KEYS 256

/* The result of one dsq_multi_get. */
struct look_up {
    size_t count;
    struct dsq_view views[LOOK_UP_KEYS];
    int statuses[LOOK_UP_KEYS];
};

static void release_views(struct dsq_py_db *self, struct look_up *look_up)
{
    for (size_t i = 0; i < look_up->count; i++) {
        dsq_view_release(self->db, &look_up->views[i]);
    }
}

/*
 * Looks count keys up.  The views must be released before the GIL is given up other than by
 * dsq_py_enter.  False with an exception, and nothing to release.
 */
static bool look_up_keys(struct dsq_py_db *self, const struct dsq_key *keys, size_t count,
                         struct look_up *look_up)
{
    if (!dsq_py_ready(self)) {
        return false;
    }
    look_up->count = count;
    PyThreadState *thread = dsq_py_enter(self);
    int status = dsq_multi_get(self->db, keys, count, look_up->views, look_up->statuses);
    if (status < 0) {
        release_views(self, look_up);
    }
    dsq_py_leave(self, thread);
    if (status < 0) {
        dsq_py_raise_status(self, status);
        return false;
    }
    return true;
}

/* The bytes to be, by themselves: their content is copied in later. */
static bool make_values(const struct look_up *look_up, PyObject **values, size_t *total)
{
    *total = 0;
    for (size_t i = 0; i < look_up->count; i++) {
        values[i] = NULL;
    }
    for (size_t i = 0; i < look_up->count; i++) {
        if (look_up->statuses[i] == DSQ_OK) {
            *total += look_up->views[i].size;
            values[i] = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)look_up->views[i].size);
            if (values[i] == NULL) {
                return false;
            }
        }
    }
    return true;
}

static void copy_values(const struct look_up *look_up, PyObject *const *values)
{
    for (size_t i = 0; i < look_up->count; i++) {
        if (values[i] != NULL && look_up->views[i].size != 0) {
            memcpy(PyBytes_AS_STRING(values[i]), look_up->views[i].data, look_up->views[i].size);
        }
    }
}

/* Makes bytes of what was found, and releases it.  False with an exception and no values. */
static bool take_values(struct dsq_py_db *self, struct look_up *look_up, PyObject **values)
{
    size_t total;
    bool made = make_values(look_up, values, &total);
    if (made && total > DSQ_PY_LARGE_BYTES) {
        PyThreadState *thread = dsq_py_enter(self);
        copy_values(look_up, values);
        dsq_py_leave(self, thread);
    } else if (made) {
        copy_values(look_up, values);
    }
    release_views(self, look_up);
    for (size_t i = 0; !made && i < look_up->count; i++) {
        Py_CLEAR(values[i]);
    }
    return made;
}

/*
 * The values that the cache has are asked for, each the count of an object that may be in no cache of the
 * processor, and taken over when all have been: until then they are borrowed.
 */
struct glances {
    struct dsq_py_value_cache *cache;
    PyObject **values;
    size_t owned; /* those of values before that are references */
};

static void own_values(struct glances *glances, size_t end)
{
    for (; glances->owned < end; glances->owned++) {
        Py_XINCREF(glances->values[glances->owned]);
    }
}

/* A value that the hot tier has, unless it is large: as bytes. */
static uint16_t take_glance(void *context, size_t i, const struct dsq_peeked *peeked)
{
    struct glances *glances = context;
    uint16_t note = peeked->note;
    if (peeked->size <= DSQ_PY_LARGE_BYTES) {
        PyObject *bytes = dsq_py_value_cache_peek(glances->cache, peeked);
        if (bytes != NULL) {
            __builtin_prefetch(bytes, 1);
        } else {
            /* A new value may push a borrowed one out. */
            own_values(glances, i);
            bytes = dsq_py_value_make(glances->cache, peeked, &note);
            glances->owned = i + 1;
        }
        glances->values[i] = bytes;
    }
    return note;
}

/*
 * What the hot tier answers at once, with the GIL held.  The keys that are left over (the disk, a
 * commit, a large value, no memory) are gathered in `left`, their places in `places`; returns how many,
 * or -1 with an exception.
 */
static Py_ssize_t glance_at_keys(struct dsq_py_db *self, const struct dsq_key *keys, size_t count,
                                 PyObject **values, struct dsq_key *left, size_t *places)
{
    int statuses[LOOK_UP_KEYS];
    Py_ssize_t found = 0;
    struct glances glances = {&self->value_cache, values, 0};
    memset(values, 0, count * sizeof *values);
    int status = dsq_multi_peek(self->db, keys, count, take_glance, &glances, statuses);
    own_values(&glances, count);
    if (status < 0) {
        dsq_py_raise_status(self, status);
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        if (values[i] == NULL && statuses[i] != DSQ_ABSENT) {
            left[found] = keys[i];
            places[found++] = i;
        }
    }
    if (found > 0) {
        PyErr_Clear(); /* of a value that was not made: it is tried again */
    }
    return found;
}

static bool get_left(struct dsq_py_db *self, const struct dsq_key *left, const size_t *places,
                     size_t count, PyObject **values)
{
    struct look_up look_up;
    PyObject *found[LOOK_UP_KEYS];
    if (!look_up_keys(self, left, count, &look_up) || !take_values(self, &look_up, found)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        values[places[i]] = found[i];
    }
    return true;
}

/* New references to the values of the keys, NULL for what is not there.  False: none. */
static bool get_values(struct dsq_py_db *self, const struct dsq_key *keys, size_t count,
                       PyObject **values)
{
    struct dsq_key left[LOOK_UP_KEYS];
    size_t places[LOOK_UP_KEYS];
    if (!dsq_py_ready(self)) {
        return false;
    }
    Py_ssize_t found = glance_at_keys(self, keys, count, values, left, places);
    if (found == 0) {
        return true;
    }
    bool got = found > 0 && get_left(self, left, places, (size_t)found, values);
    for (size_t i = 0; !got && i < count; i++) {
        Py_CLEAR(values[i]);
    }
    return got;
}

/* Replaces what list has from offset on by the values of the keys that are there. */
static bool get_some(struct dsq_py_db *self, const struct dsq_key *keys, size_t count,
                     PyObject *list, size_t offset)
{
    PyObject *values[LOOK_UP_KEYS];
    if (!get_values(self, keys, count, values)) {
        return false;
    }
    bool stored = true;
    for (size_t i = 0; i < count; i++) {
        /* Takes the reference over, also if it fails. */
        if (values[i] != NULL && PyList_SetItem(list, (Py_ssize_t)(offset + i), values[i]) < 0) {
            stored = false;
        }
    }
    return stored;
}

static PyObject *new_list(Py_ssize_t count, PyObject *fallback)
{
    PyObject *list = PyList_New(count);
    for (Py_ssize_t i = 0; list != NULL && i < count; i++) {
        Py_INCREF(fallback);
        PyList_SET_ITEM(list, i, fallback);
    }
    return list;
}

/* The bytes of the keys of a tuple, which must outlive them; to be freed with PyMem_Free. */
static struct dsq_key *view_keys(PyObject *tuple)
{
    size_t count = (size_t)PyTuple_GET_SIZE(tuple);
    struct dsq_key *keys = PyMem_New(struct dsq_key, count + 1);
    if (keys == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        struct dsq_py_key key;
        if (!dsq_py_key_get(PyTuple_GET_ITEM(tuple, (Py_ssize_t)i), &key)) {
            PyMem_Free(keys);
            return NULL;
        }
        keys[i] = (struct dsq_key){key.data, key.size};
    }
    return keys;
}

static PyObject *get_all(struct dsq_py_db *self, const struct dsq_key *keys, size_t count,
                         PyObject *fallback)
{
    PyObject *list = new_list((Py_ssize_t)count, fallback);
    for (size_t i = 0; list != NULL && i < count; i += LOOK_UP_KEYS) {
        size_t some = count - i < LOOK_UP_KEYS ? count - i : LOOK_UP_KEYS;
        if ((i != 0 && PyErr_CheckSignals() < 0) || !get_some(self, keys + i, some, list, i)) {
            Py_CLEAR(list);
        }
    }
    return list;
}

PyObject *dsq_py_get_many(struct dsq_py_db *self, PyObject *keys_object, PyObject *fallback)
{
    PyObject *tuple = PySequence_Tuple(keys_object);
    struct dsq_key *keys = tuple != NULL ? view_keys(tuple) : NULL;
    PyObject *list = NULL;
    if (keys != NULL && dsq_py_ready(self)) {
        list = get_all(self, keys, (size_t)PyTuple_GET_SIZE(tuple),
                       self->codec == NULL ? fallback : Py_None);
    }
    if (list != NULL && self->codec != NULL) {
        Py_SETREF(list, dsq_py_decode_list(self, tuple, list, fallback));
    }
    PyMem_Free(keys);
    Py_XDECREF(tuple);
    return list;
}

/* ---- delete_many ---- */

/* A new set of the keys of an iterable, each exactly a str. */
static PyObject *distinct_keys(PyObject *iterable)
{
    PyObject *set = PySet_New(NULL);
    PyObject *iterator = set != NULL ? PyObject_GetIter(iterable) : NULL;
    PyObject *item;
    bool added = iterator != NULL;
    while (added && (item = PyIter_Next(iterator)) != NULL) {
        struct dsq_py_key key;
        PyObject *exact = dsq_py_key_get(item, &key) ? PyUnicode_FromObject(item) : NULL;
        added = exact != NULL && PySet_Add(set, exact) == 0;
        Py_XDECREF(exact);
        Py_DECREF(item);
    }
    Py_XDECREF(iterator);
    if (!added || PyErr_Occurred()) {
        Py_CLEAR(set);
    }
    return set;
}

/* Gathers deletes of those of count keys of the tuple that are there, and counts them. */
static bool delete_some(struct dsq_py_gathering *g, PyObject *tuple, const struct dsq_key *keys,
                        size_t offset, size_t count, size_t *deleted)
{
    struct look_up look_up;
    if (!look_up_keys(g->db, keys + offset, count, &look_up)) {
        return false;
    }
    release_views(g->db, &look_up);
    for (size_t i = 0; i < count; i++) {
        if (look_up.statuses[i] != DSQ_OK) {
            continue;
        }
        if (!dsq_py_gather_delete(g, PyTuple_GET_ITEM(tuple, (Py_ssize_t)(offset + i)))) {
            return false;
        }
        ++*deleted;
    }
    return true;
}

static bool delete_all(struct dsq_py_gathering *g, PyObject *tuple, size_t *deleted)
{
    size_t count = (size_t)PyTuple_GET_SIZE(tuple);
    struct dsq_key *keys = view_keys(tuple);
    bool done = keys != NULL;
    for (size_t i = 0; done && i < count; i += LOOK_UP_KEYS) {
        size_t some = count - i < LOOK_UP_KEYS ? count - i : LOOK_UP_KEYS;
        done =
            (i == 0 || PyErr_CheckSignals() == 0) && delete_some(g, tuple, keys, i, some, deleted);
    }
    PyMem_Free(keys);
    return done && dsq_py_gather_flush(g);
}

PyObject *dsq_py_delete_many(struct dsq_py_db *self, PyObject *keys)
{
    struct dsq_py_gathering g = {.db = self, .limit = dsq_py_unit_bytes(self)};
    PyObject *set = distinct_keys(keys);
    PyObject *tuple = set != NULL ? PySequence_Tuple(set) : NULL;
    size_t deleted = 0;
    bool done = tuple != NULL && dsq_py_ready(self) && delete_all(&g, tuple, &deleted);
    dsq_py_gather_fini(&g);
    Py_XDECREF(tuple);
    Py_XDECREF(set);
    return done ? PyLong_FromSize_t(deleted) : NULL;
}
