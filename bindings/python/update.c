#include "bindings/python/update.h"

#include "bindings/python/convert.h"

/* What a record is taken to need in the queue besides its key and value. */
#define RECORD_OVERHEAD_BYTES 128
#define FIRST_CAPACITY 64

/* Both objects are owned and immutable: their bytes can be read without the GIL. */
struct entry {
    PyObject *key_object;
    PyObject *value; /* exactly bytes */
    struct dsq_py_key key;
};

/*
 * Records waiting to be stored.  They are gathered as Python objects, not in a batch of the
 * library, because iterating over somebody's mapping runs Python code (invariant 2 of handle.h).
 */
struct gathering {
    struct dsq_py_db *db;
    struct entry *entries;
    size_t count, capacity;
    uint64_t bytes, limit;
};

static void drop_entries(struct gathering *g)
{
    while (g->count > 0) {
        struct entry entry = g->entries[--g->count];
        Py_DECREF(entry.key_object);
        Py_DECREF(entry.value);
    }
    g->bytes = 0;
}

static int put_entry(dsq_batch *batch, const struct entry *entry)
{
    return dsq_batch_put(batch, entry->key.data, entry->key.size, PyBytes_AS_STRING(entry->value),
                         (size_t)PyBytes_GET_SIZE(entry->value));
}

/* Without the GIL. */
static int commit_batch(dsq_db *db, const struct gathering *g)
{
    dsq_batch *batch;
    int status = dsq_batch_new(db, &batch);
    if (status != DSQ_OK) {
        return status;
    }
    for (size_t i = 0; i < g->count && status == DSQ_OK; i++) {
        status = put_entry(batch, &g->entries[i]);
    }
    if (status == DSQ_OK) {
        status = dsq_batch_commit(batch);
    }
    dsq_batch_destroy(batch);
    return status;
}

/* Without the GIL.  A single record may be larger than any batch. */
static int store(dsq_db *db, const struct gathering *g)
{
    if (g->count == 1) {
        const struct entry *entry = &g->entries[0];
        return dsq_put(db, entry->key.data, entry->key.size, PyBytes_AS_STRING(entry->value),
                       (size_t)PyBytes_GET_SIZE(entry->value));
    }
    return commit_batch(db, g);
}

/* Stores what was gathered, as one durable unit. */
static bool flush_entries(struct gathering *g)
{
    if (g->count == 0) {
        return true;
    }
    if (!dsq_py_ready(g->db)) {
        return false;
    }
    PyThreadState *thread = dsq_py_enter(g->db);
    int status = store(g->db->db, g);
    dsq_py_leave(g->db, thread);
    if (status != DSQ_OK) {
        dsq_py_raise_status(g->db, status);
        return false;
    }
    drop_entries(g);
    return true;
}

static bool reserve(struct gathering *g)
{
    if (g->count < g->capacity) {
        return true;
    }
    size_t capacity = g->capacity != 0 ? 2 * g->capacity : FIRST_CAPACITY;
    struct entry *entries = PyMem_Realloc(g->entries, capacity * sizeof *entries);
    if (entries == NULL) {
        PyErr_NoMemory();
        return false;
    }
    g->entries = entries;
    g->capacity = capacity;
    return true;
}

static bool add(struct gathering *g, PyObject *key_object, PyObject *value_object)
{
    struct entry entry = {.key_object = key_object};
    if (!dsq_py_key_get(key_object, &entry.key)) {
        return false;
    }
    entry.value = dsq_py_value_bytes(value_object);
    if (entry.value == NULL) {
        return false;
    }
    uint64_t bytes =
        entry.key.size + (uint64_t)PyBytes_GET_SIZE(entry.value) + RECORD_OVERHEAD_BYTES;
    if ((g->bytes + bytes > g->limit && !flush_entries(g)) || !reserve(g)) {
        Py_DECREF(entry.value);
        return false;
    }
    Py_INCREF(key_object);
    g->entries[g->count++] = entry;
    g->bytes += bytes;
    return true;
}

static bool add_pair(struct gathering *g, PyObject *item)
{
    PyObject *pair = PySequence_Fast(item, "update() takes a mapping or an iterable of pairs");
    if (pair == NULL) {
        return false;
    }
    bool added = false;
    Py_ssize_t length = PySequence_Fast_GET_SIZE(pair);
    if (length == 2) {
        added = add(g, PySequence_Fast_GET_ITEM(pair, 0), PySequence_Fast_GET_ITEM(pair, 1));
    } else {
        PyErr_Format(PyExc_ValueError, "update() takes pairs, not a sequence of length %zd",
                     length);
    }
    Py_DECREF(pair);
    return added;
}

static bool add_key_of(struct gathering *g, PyObject *mapping, PyObject *key)
{
    PyObject *value = PyObject_GetItem(mapping, key);
    bool added = value != NULL && add(g, key, value);
    Py_XDECREF(value);
    return added;
}

/* Adds all of iterable: keys of mapping, or pairs if mapping is NULL. */
static bool add_all(struct gathering *g, PyObject *iterable, PyObject *mapping)
{
    PyObject *iterator = PyObject_GetIter(iterable);
    if (iterator == NULL) {
        return false;
    }
    bool added = true;
    PyObject *item;
    while (added && (item = PyIter_Next(iterator)) != NULL) {
        added = mapping != NULL ? add_key_of(g, mapping, item) : add_pair(g, item);
        Py_DECREF(item);
    }
    Py_DECREF(iterator);
    return added && !PyErr_Occurred();
}

static bool add_method_result(struct gathering *g, PyObject *other, const char *method,
                              PyObject *mapping)
{
    PyObject *iterable = dsq_py_call_method(other, method, NULL);
    bool added = iterable != NULL && add_all(g, iterable, mapping);
    Py_XDECREF(iterable);
    return added;
}

static bool add_other(struct gathering *g, PyObject *other)
{
    /* Exactly these, since a subclass may define __getitem__ alone. */
    if (PyDict_CheckExact(other) || Py_TYPE(other) == g->db->module->db_type) {
        return add_method_result(g, other, "items", NULL);
    }
    int is_mapping = dsq_py_has_attribute(other, "keys");
    if (is_mapping < 0) {
        return false;
    }
    return is_mapping ? add_method_result(g, other, "keys", other) : add_all(g, other, NULL);
}

static bool add_keywords(struct gathering *g, PyObject *names, PyObject *const *values)
{
    Py_ssize_t count = names != NULL ? PyTuple_GET_SIZE(names) : 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        if (!add(g, PyTuple_GET_ITEM(names, i), values[i])) {
            return false;
        }
    }
    return true;
}

PyObject *dsq_py_update(struct dsq_py_db *self, PyObject *other, PyObject *names,
                        PyObject *const *values)
{
    struct gathering g = {.db = self, .limit = self->queue_bytes / 2};
    bool stored = dsq_py_ready(self) && (other == NULL || add_other(&g, other)) &&
                  add_keywords(&g, names, values) && flush_entries(&g);
    drop_entries(&g);
    PyMem_Free(g.entries);
    if (!stored) {
        return NULL;
    }
    Py_RETURN_NONE;
}
