#include "bindings/python/gather.h"

#include "bindings/python/codec.h"

/* What a record is taken to need in the queue besides its key and value. */
#define RECORD_OVERHEAD_BYTES 128
#define FIRST_CAPACITY 64

void dsq_py_gather_drop(struct dsq_py_gathering *g)
{
    while (g->count > 0) {
        struct dsq_py_entry entry = g->entries[--g->count];
        Py_DECREF(entry.key_object);
        Py_XDECREF(entry.value);
    }
    g->bytes = 0;
}

void dsq_py_gather_fini(struct dsq_py_gathering *g)
{
    dsq_py_gather_drop(g);
    PyMem_Free(g->entries);
    g->entries = NULL;
    g->capacity = 0;
}

static struct dsq_entry entry_of(const struct dsq_py_entry *entry)
{
    struct dsq_entry native = {.key = entry->key.data, .key_size = entry->key.size};
    if (entry->value == NULL) {
        native.is_delete = 1;
    } else {
        native.value = PyBytes_AS_STRING(entry->value);
        native.value_size = (size_t)PyBytes_GET_SIZE(entry->value);
    }
    return native;
}

/* Without the GIL. */
static int write_all(dsq_db *db, const struct dsq_py_gathering *g)
{
    struct dsq_entry *entries = PyMem_RawMalloc(g->count * sizeof *entries);
    if (entries == NULL) {
        return DSQ_ERR_NOMEM;
    }
    for (size_t i = 0; i < g->count; i++) {
        entries[i] = entry_of(&g->entries[i]);
    }
    int status = dsq_multi_write(db, entries, g->count);
    PyMem_RawFree(entries);
    return status;
}

/* Without the GIL.  A single record may be larger than any batch. */
static int store(dsq_db *db, const struct dsq_py_gathering *g)
{
    const struct dsq_py_entry *only = &g->entries[0];
    if (g->count != 1) {
        return write_all(db, g);
    }
    if (only->value == NULL) {
        return dsq_delete(db, only->key.data, only->key.size);
    }
    return dsq_put(db, only->key.data, only->key.size, PyBytes_AS_STRING(only->value),
                   (size_t)PyBytes_GET_SIZE(only->value));
}

bool dsq_py_gather_flush(struct dsq_py_gathering *g)
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
    if (status < 0) {
        dsq_py_raise_status(g->db, status);
        return false;
    }
    dsq_py_gather_drop(g);
    return true;
}

static bool reserve(struct dsq_py_gathering *g)
{
    if (g->count < g->capacity) {
        return true;
    }
    size_t capacity = g->capacity != 0 ? 2 * g->capacity : FIRST_CAPACITY;
    struct dsq_py_entry *entries = PyMem_Realloc(g->entries, capacity * sizeof *entries);
    if (entries == NULL) {
        PyErr_NoMemory();
        return false;
    }
    g->entries = entries;
    g->capacity = capacity;
    return true;
}

/* Takes the entry's references over. */
static bool add(struct dsq_py_gathering *g, struct dsq_py_entry entry)
{
    uint64_t value_size = entry.value != NULL ? (uint64_t)PyBytes_GET_SIZE(entry.value) : 0;
    uint64_t bytes = entry.key.size + value_size + RECORD_OVERHEAD_BYTES;
    if ((g->bytes + bytes > g->limit && !dsq_py_gather_flush(g)) || !reserve(g)) {
        Py_DECREF(entry.key_object);
        Py_XDECREF(entry.value);
        return false;
    }
    g->entries[g->count++] = entry;
    g->bytes += bytes;
    return true;
}

/* The key is held from here on: what runs below may take it out of where the caller has it from. */
bool dsq_py_gather_put(struct dsq_py_gathering *g, PyObject *key, PyObject *value)
{
    struct dsq_py_entry entry = {.key_object = key};
    if (!dsq_py_key_get(key, &entry.key)) {
        return false;
    }
    Py_INCREF(key);
    entry.value = dsq_py_value_encoded(g->db, value);
    if (entry.value == NULL) {
        Py_DECREF(key);
        return false;
    }
    return add(g, entry);
}

bool dsq_py_gather_delete(struct dsq_py_gathering *g, PyObject *key)
{
    struct dsq_py_entry entry = {.key_object = key};
    if (!dsq_py_key_get(key, &entry.key)) {
        return false;
    }
    Py_INCREF(key);
    return add(g, entry);
}
