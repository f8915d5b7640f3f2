#include "bindings/python/gather.h"

#include "bindings/python/codec.h"

/* What a record is taken to need in the queue besides its key and value. */
#define RECORD_OVERHEAD_BYTES 128
#define FIRST_CAPACITY 64

void dsq_py_gather_drop(struct dsq_py_gathering *g)
{
    while (g->count > 0) {
        struct dsq_py_owners owners = g->owners[--g->count];
        Py_DECREF(owners.key);
        Py_XDECREF(owners.value);
    }
    g->bytes = 0;
}

void dsq_py_gather_fini(struct dsq_py_gathering *g)
{
    dsq_py_gather_drop(g);
    PyMem_Free(g->entries);
    PyMem_Free(g->owners);
    g->entries = NULL;
    g->owners = NULL;
    g->capacity = 0;
}

/* Without the GIL.  A single record may be larger than any batch. */
static int store(dsq_db *db, const struct dsq_py_gathering *g)
{
    const struct dsq_entry *only = &g->entries[0];
    if (g->count != 1) {
        return dsq_multi_write(db, g->entries, g->count);
    }
    if (only->is_delete) {
        return dsq_delete(db, only->key, only->key_size);
    }
    return dsq_put(db, only->key, only->key_size, only->value, only->value_size);
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
    struct dsq_entry *entries = PyMem_Realloc(g->entries, capacity * sizeof *entries);
    g->entries = entries != NULL ? entries : g->entries;
    struct dsq_py_owners *owners =
        entries != NULL ? PyMem_Realloc(g->owners, capacity * sizeof *owners) : NULL;
    if (owners == NULL) {
        PyErr_NoMemory();
        return false;
    }
    g->owners = owners;
    g->capacity = capacity;
    return true;
}

/* Takes the owners' references over. */
static bool add(struct dsq_py_gathering *g, const struct dsq_entry *entry,
                struct dsq_py_owners owners)
{
    uint64_t bytes = entry->key_size + entry->value_size + RECORD_OVERHEAD_BYTES;
    if ((g->bytes + bytes > g->limit && !dsq_py_gather_flush(g)) || !reserve(g)) {
        Py_DECREF(owners.key);
        Py_XDECREF(owners.value);
        return false;
    }
    g->entries[g->count] = *entry;
    g->owners[g->count] = owners;
    g->count++;
    g->bytes += bytes;
    return true;
}

/* The key is held from here on: what runs below may take it out of where the caller has it from. */
bool dsq_py_gather_put(struct dsq_py_gathering *g, PyObject *key_object, PyObject *object)
{
    struct dsq_py_key key;
    if (!dsq_py_key_get(key_object, &key)) {
        return false;
    }
    Py_INCREF(key_object);
    PyObject *value = dsq_py_value_encoded(g->db, object);
    if (value == NULL) {
        Py_DECREF(key_object);
        return false;
    }
    struct dsq_entry entry = {.key = key.data,
                              .key_size = key.size,
                              .value = PyBytes_AS_STRING(value),
                              .value_size = (size_t)PyBytes_GET_SIZE(value)};
    return add(g, &entry, (struct dsq_py_owners){key_object, value});
}

bool dsq_py_gather_delete(struct dsq_py_gathering *g, PyObject *key_object)
{
    struct dsq_py_key key;
    if (!dsq_py_key_get(key_object, &key)) {
        return false;
    }
    Py_INCREF(key_object);
    struct dsq_entry entry = {.key = key.data, .key_size = key.size, .is_delete = 1};
    return add(g, &entry, (struct dsq_py_owners){key_object, NULL});
}
