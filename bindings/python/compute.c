/*
 * Each thread that found its key absent has a miss on the module's list: it computes, or waits for
 * the miss of the one that does.  The GIL guards the list.
 *
 * Nobody waits for ever: before a thread waits it follows "waits for", from the miss that computes
 * to the one that its thread waits for, and so on; that chain ends, as no wait that would close it
 * into a ring is begun.  If it comes back to the thread itself, that is an error instead.
 *
 * Misses lie on the heap: in a forked child the stacks of the other threads are used anew.  What a
 * child inherits stays on the list and is passed over.
 */
#include "bindings/python/compute.h"

#include "bindings/python/access.h"
#include "bindings/python/convert.h"

struct dsq_py_miss {
    struct dsq_py_miss *next;
    struct dsq_py_db *db; /* borrowed: the call that made it has a reference, or never returned */
    struct dsq_py_key key;
    unsigned long thread;
    struct dsq_py_miss *awaited; /* NULL: computes, or is about to look again */
    bool computes;
};

static bool same_key(const struct dsq_py_key *a, const struct dsq_py_key *b)
{
    return a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
}

/* The miss whose thread computes the key; NULL: nobody does. */
static struct dsq_py_miss *find_computing(struct dsq_py_db *db, const struct dsq_py_key *key)
{
    struct dsq_py_miss *miss = db->module->misses;
    while (miss != NULL && !(miss->computes && miss->db == db && same_key(&miss->key, key))) {
        miss = miss->next;
    }
    return miss;
}

/* The miss that a thread waits for, the last if a signal handler made it wait twice; or NULL. */
static struct dsq_py_miss *awaited_by(const struct dsq_py_module *module, unsigned long thread)
{
    for (struct dsq_py_miss *miss = module->misses; miss != NULL; miss = miss->next) {
        if (miss->thread == thread && miss->awaited != NULL && !dsq_py_inherited(miss->db)) {
            return miss->awaited;
        }
    }
    return NULL;
}

static bool would_wait_for_itself(const struct dsq_py_module *module, unsigned long thread,
                                  const struct dsq_py_miss *awaited)
{
    while (awaited != NULL && awaited->thread != thread) {
        awaited = awaited_by(module, awaited->thread);
    }
    return awaited != NULL;
}

static struct dsq_py_miss *miss_new(struct dsq_py_db *db, const struct dsq_py_key *key)
{
    struct dsq_py_miss *miss = PyMem_New(struct dsq_py_miss, 1);
    if (miss == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    *miss = (struct dsq_py_miss){
        .next = db->module->misses,
        .db = db,
        .key = *key,
        .thread = PyThread_get_thread_ident(),
    };
    db->module->misses = miss;
    return miss;
}

static void miss_free(struct dsq_py_miss *miss)
{
    struct dsq_py_miss **link = &miss->db->module->misses;
    while (*link != miss) {
        link = &(*link)->next;
    }
    *link = miss->next;
    PyMem_Free(miss);
}

/* Those who wait for the miss look again. */
static void end_computing(struct dsq_py_miss *miss)
{
    miss->computes = false;
    for (struct dsq_py_miss *other = miss->db->module->misses; other != NULL; other = other->next) {
        if (other->awaited == miss) {
            other->awaited = NULL;
        }
    }
    if (!dsq_py_inherited(miss->db)) {
        dsq_py_notify(miss->db);
    }
}

/* Looks once more first: who computed before may have ended between our look-up and this. */
static PyObject *compute(struct dsq_py_miss *miss, PyObject *key, PyObject *function)
{
    miss->computes = true;
    PyObject *result = dsq_py_get(miss->db, key);
    if (result == NULL && !PyErr_Occurred()) {
        PyObject *value = PyObject_CallObject(function, NULL);
        result = value != NULL ? dsq_py_setdefault(miss->db, key, value) : NULL;
        Py_XDECREF(value);
    }
    end_computing(miss);
    return result;
}

/* Waits until the computing miss has ended.  False with an exception. */
static bool await_end(struct dsq_py_miss *miss, struct dsq_py_miss *computing)
{
    if (would_wait_for_itself(miss->db->module, miss->thread, computing)) {
        PyErr_SetString(PyExc_RuntimeError,
                        computing->thread == miss->thread
                            ? "get_or_compute() was called for the key that is being computed"
                            : "get_or_compute() would wait for a thread that waits for this one");
        return false;
    }
    miss->awaited = computing;
    while (miss->awaited != NULL) {
        if (!dsq_py_ready(miss->db) || dsq_py_wait(miss->db) < 0) {
            miss->awaited = NULL;
            return false;
        }
    }
    return true;
}

/* The key was absent when the miss was made: computes it, or has it computed. */
static PyObject *resolve(struct dsq_py_miss *miss, PyObject *key, PyObject *function)
{
    for (;;) {
        struct dsq_py_miss *computing = find_computing(miss->db, &miss->key);
        if (computing == NULL) {
            return compute(miss, key, function);
        }
        if (!await_end(miss, computing)) {
            return NULL;
        }
        PyObject *value = dsq_py_get(miss->db, key);
        if (value != NULL || PyErr_Occurred()) {
            return value;
        }
    }
}

PyObject *dsq_py_get_or_compute(struct dsq_py_db *self, PyObject *key_object, PyObject *function)
{
    struct dsq_py_key key;
    if (!PyCallable_Check(function)) {
        return PyErr_Format(PyExc_TypeError, "get_or_compute() takes a callable, not %.200s",
                            Py_TYPE(function)->tp_name);
    }
    PyObject *value = dsq_py_get(self, key_object);
    if (value != NULL || PyErr_Occurred() || !dsq_py_key_get(key_object, &key)) {
        return value;
    }
    struct dsq_py_miss *miss = miss_new(self, &key);
    if (miss == NULL) {
        return NULL;
    }
    value = resolve(miss, key_object, function);
    miss_free(miss);
    return value;
}
