/* Puts and deletes gathered as Python objects, then stored in few durable units. */
#ifndef DSQ_PYTHON_GATHER_H
#define DSQ_PYTHON_GATHER_H

#include "bindings/python/convert.h"
#include "bindings/python/handle.h"

/* Who has the bytes of an entry: owned and immutable, so that they can be read without the GIL. */
struct dsq_py_owners {
    PyObject *key;
    PyObject *value; /* exactly bytes; NULL: the key is deleted */
};

/*
 * What waits to be stored.  It is gathered as Python objects, not in a batch of the library,
 * because iterating over somebody's mapping runs Python code (invariant 2 of handle.h).
 */
struct dsq_py_gathering {
    struct dsq_py_db *db; /* borrowed */
    struct dsq_entry *entries;
    struct dsq_py_owners *owners; /* of each entry */
    size_t count, capacity;
    uint64_t bytes, limit;
};

/* Gathers everything into one unit. */
#define DSQ_PY_ONE_UNIT UINT64_MAX

/* The limit for units that always fit the write queue. */
static inline uint64_t dsq_py_unit_bytes(const struct dsq_py_db *db)
{
    return db->queue_bytes / 2;
}

/*
 * Adds a put or a delete; first stores what is there if that would make more than the limit.  False
 * with an exception: what was gathered and not stored is kept, without the new one.
 */
bool dsq_py_gather_put(struct dsq_py_gathering *g, PyObject *key_object, PyObject *object);
bool dsq_py_gather_delete(struct dsq_py_gathering *g, PyObject *key_object);

/*
 * Stores what was gathered, as one durable unit, and forgets it.  Waits.  False with an exception:
 * nothing of it is stored, unless the commit's outcome is not known.
 */
bool dsq_py_gather_flush(struct dsq_py_gathering *g);

/* Forgets what was gathered. */
void dsq_py_gather_drop(struct dsq_py_gathering *g);

/* The same, and frees the room for it. */
void dsq_py_gather_fini(struct dsq_py_gathering *g);

#endif
