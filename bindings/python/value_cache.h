/*
 * The bytes objects of values that were asked for lately, so that a hit hands the same one out again
 * instead of copying the value into a new one: as a dict does.
 *
 * An entry has a record and its value's object; the record's note (dsq_peek_noted) is the number of its
 * entry within the lane that the key's hash chooses.  Who finds an entry by the note of a record, and
 * the record in it, has that record's object: the entry was written when the record got its note, which
 * it was born without, and whatever has been written to it since is of another record.
 *
 * Objects belong to the cache alone, which the GIL guards; records know nothing of them, and are
 * freed by whoever frees them.  An object whose record is gone stays until its entry is needed, so
 * that `bytes_max` is all that bounds the cache, and enough.  A value enters when it is asked for a second
 * time; once the cache is full one in ADMIT_EVERY does, in the place of the one that has been there for longest
 * in its lane: neither a scan nor values that are written again and again push everything out.
 *
 * Without a GIL there is nothing that orders the notes, and the cache stays empty.
 */
#ifndef DSQ_PYTHON_VALUE_CACHE_H
#define DSQ_PYTHON_VALUE_CACHE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <dictsqlite.h>

#define DSQ_PY_VALUE_LANES 4

struct dsq_py_value_entry {
    const void *record;
    PyObject *bytes; /* owned */
};

struct dsq_py_value_lane {
    struct dsq_py_value_entry *entries; /* number n is entries[n - 1] */
    uint32_t used;
    uint32_t room;
    uint32_t hand;
};

struct dsq_py_value_cache {
    struct dsq_py_value_lane lanes[DSQ_PY_VALUE_LANES];
    uint64_t bytes; /* of the objects and their entries */
    uint64_t bytes_max;
    uint32_t passed_over; /* since the last one that entered a full cache */
};

/* Drops all objects.  The cache can be used on. */
void dsq_py_value_cache_clear(struct dsq_py_value_cache *cache);

/*
 * Offers the object of a value that dsq_py_value_cache_peek did not find; the caller keeps his reference.
 * The note for its record: peeked->note if the cache does not take it.
 */
uint16_t dsq_py_value_cache_offer(struct dsq_py_value_cache *cache, const struct dsq_peeked *peeked,
                                  PyObject *bytes);

/* The object of the value, borrowed until the next offer, or NULL without an exception. */
static inline PyObject *dsq_py_value_cache_peek(const struct dsq_py_value_cache *cache,
                                                const struct dsq_peeked *peeked)
{
    const struct dsq_py_value_lane *lane = &cache->lanes[peeked->spread % DSQ_PY_VALUE_LANES];
    if (peeked->note == 0 || peeked->note > lane->used) {
        return NULL;
    }
    const struct dsq_py_value_entry *entry = &lane->entries[peeked->note - 1];
    return entry->record == peeked->record ? entry->bytes : NULL;
}

/* A new object of a value that the cache does not have, offered to it; *note is for the record.  NULL: MemoryError. */
static inline PyObject *dsq_py_value_make(struct dsq_py_value_cache *cache,
                                          const struct dsq_peeked *peeked, uint16_t *note)
{
    PyObject *bytes = PyBytes_FromStringAndSize(peeked->data, (Py_ssize_t)peeked->size);
    if (bytes != NULL) {
        *note = dsq_py_value_cache_offer(cache, peeked, bytes);
    }
    return bytes;
}

/* A new reference to the value's object, known or made; *note is for the record.  NULL: MemoryError. */
static inline PyObject *dsq_py_value_object(struct dsq_py_value_cache *cache,
                                            const struct dsq_peeked *peeked, uint16_t *note)
{
    PyObject *bytes = dsq_py_value_cache_peek(cache, peeked);
    *note = peeked->note;
    if (__builtin_expect(bytes == NULL, 0)) {
        return dsq_py_value_make(cache, peeked, note);
    }
    Py_INCREF(bytes);
    return bytes;
}

#endif
