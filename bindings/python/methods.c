#include "bindings/python/methods.h"

#include "bindings/python/access.h"
#include "bindings/python/atomic.h"
#include "bindings/python/batch.h"
#include "bindings/python/compute.h"
#include "bindings/python/encryption.h"
#include "bindings/python/flush.h"
#include "bindings/python/maintenance.h"
#include "bindings/python/many.h"
#include "bindings/python/mapping.h"
#include "bindings/python/notifier.h"
#include "bindings/python/recipe.h"
#include "bindings/python/scan.h"
#include "bindings/python/stats.h"
#include "bindings/python/submit.h"
#include "bindings/python/update.h"
#include "bindings/python/views.h"

static struct dsq_py_db *db_of(PyObject *object)
{
    return (struct dsq_py_db *)object;
}

static PyObject *db_get(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    if (count < 1 || count > 2) {
        return PyErr_Format(PyExc_TypeError, "get() takes 1 or 2 arguments, not %zd", count);
    }
    PyObject *value = dsq_py_get(db_of(self), args[0]);
    if (value == NULL && !PyErr_Occurred()) {
        value = count == 2 ? args[1] : Py_None;
        Py_INCREF(value);
    }
    return value;
}

static PyObject *db_pop(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    if (count < 1 || count > 2) {
        return PyErr_Format(PyExc_TypeError, "pop() takes 1 or 2 arguments, not %zd", count);
    }
    PyObject *value = dsq_py_pop(db_of(self), args[0]);
    if (value != NULL || PyErr_Occurred()) {
        return value;
    }
    if (count == 1) {
        PyErr_SetObject(PyExc_KeyError, args[0]);
        return NULL;
    }
    Py_INCREF(args[1]);
    return args[1];
}

static PyObject *db_setdefault(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    if (count < 1 || count > 2) {
        return PyErr_Format(PyExc_TypeError, "setdefault() takes 1 or 2 arguments, not %zd", count);
    }
    return dsq_py_setdefault(db_of(self), args[0], count == 2 ? args[1] : Py_None);
}

static PyObject *db_update(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (count > 1) {
        return PyErr_Format(PyExc_TypeError,
                            "update() takes at most 1 positional argument, not %zd", count);
    }
    return dsq_py_update(db_of(self), count == 1 ? args[0] : NULL, names, args + count);
}

static PyObject *db_keys(PyObject *self, PyObject *unused)
{
    (void)unused;
    return dsq_py_view_new(db_of(self), DSQ_PY_KEYS);
}

static PyObject *db_values(PyObject *self, PyObject *unused)
{
    (void)unused;
    return dsq_py_view_new(db_of(self), DSQ_PY_VALUES);
}

static PyObject *db_items(PyObject *self, PyObject *unused)
{
    (void)unused;
    return dsq_py_view_new(db_of(self), DSQ_PY_ITEMS);
}

/* ---- many keys ---- */

/* The parser's own prototype leaves the const of the names out. */
#define NAMES(names) ((char **)(uintptr_t)(names))

static PyObject *db_get_many(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"keys", "default", NULL};
    PyObject *keys;
    PyObject *fallback = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:get_many", NAMES(names), &keys,
                                     &fallback)) {
        return NULL;
    }
    return dsq_py_get_many(db_of(self), keys, fallback);
}

static PyObject *db_set_many(PyObject *self, PyObject *records)
{
    return dsq_py_update(db_of(self), records, NULL, NULL);
}

static PyObject *db_delete_many(PyObject *self, PyObject *keys)
{
    return dsq_py_delete_many(db_of(self), keys);
}

static PyObject *db_batch(PyObject *self, PyObject *unused)
{
    (void)unused;
    return dsq_py_batch_new(db_of(self));
}

static PyObject *db_scan(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"prefix", "start", "stop", "reverse", NULL};
    PyObject *prefix = Py_None, *start = Py_None, *stop = Py_None;
    int reverse = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OOOp:scan", NAMES(names), &prefix, &start,
                                     &stop, &reverse)) {
        return NULL;
    }
    return dsq_py_scan(db_of(self), prefix, start, stop, reverse);
}

static PyObject *db_reversed(PyObject *self, PyObject *unused)
{
    (void)unused;
    return dsq_py_iterator_reversed(db_of(self), DSQ_PY_KEYS);
}

/* ---- one key, depending on what is there ---- */

static PyObject *db_add(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        return PyErr_Format(PyExc_TypeError, "add() takes 2 arguments, not %zd", count);
    }
    return dsq_py_add(db_of(self), args[0], args[1]);
}

static PyObject *db_compare_and_swap(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"key", "old", "new", NULL};
    PyObject *key, *old, *new;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO:compare_and_swap", NAMES(names), &key, &old,
                                     &new)) {
        return NULL;
    }
    return dsq_py_compare_and_swap(db_of(self), key, old, new);
}

static PyObject *db_increment(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"key", "delta", "default", NULL};
    PyObject *key, *delta = NULL, *fallback = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|OO:increment", NAMES(names), &key, &delta,
                                     &fallback)) {
        return NULL;
    }
    return dsq_py_increment(db_of(self), key, delta, fallback);
}

static PyObject *db_get_or_compute(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        return PyErr_Format(PyExc_TypeError, "get_or_compute() takes 2 arguments, not %zd", count);
    }
    return dsq_py_get_or_compute(db_of(self), args[0], args[1]);
}

/* ---- all records ---- */

static PyObject *db_clear(PyObject *self, PyObject *unused)
{
    (void)unused;
    return dsq_py_clear(db_of(self));
}

static PyObject *db_popitem(PyObject *self, PyObject *unused)
{
    (void)unused;
    return dsq_py_popitem(db_of(self));
}

static PyObject *db_copy(PyObject *self, PyObject *unused)
{
    (void)unused;
    return dsq_py_copy(db_of(self));
}

static PyObject *db_fromkeys(PyObject *class, PyObject *const *args, Py_ssize_t count)
{
    if (count < 1 || count > 2) {
        return PyErr_Format(PyExc_TypeError, "fromkeys() takes 1 or 2 arguments, not %zd", count);
    }
    return dsq_py_fromkeys(class, args[0], count == 2 ? args[1] : Py_None);
}

/* ---- the file ---- */

static PyObject *db_flush(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"timeout", NULL};
    PyObject *timeout = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:flush", NAMES(names), &timeout)) {
        return NULL;
    }
    return dsq_py_flush(db_of(self), timeout);
}

static PyObject *db_resume(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct dsq_py_db *self = db_of(object);
    if (!dsq_py_ready(self)) {
        return NULL;
    }
    PyThreadState *thread = dsq_py_enter(self);
    int status = dsq_resume(self->db);
    dsq_py_leave(self, thread);
    if (status != DSQ_OK) {
        return dsq_py_raise_status(self, status);
    }
    Py_RETURN_NONE;
}

static PyObject *db_backup(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"path", "progress", "overwrite", NULL};
    PyObject *path;
    PyObject *progress = Py_None;
    int overwrite = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|Op:backup", NAMES(names), &path, &progress,
                                     &overwrite)) {
        return NULL;
    }
    return dsq_py_backup(db_of(self), path, progress, overwrite);
}

static PyObject *db_verify(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"progress", NULL};
    PyObject *progress = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:verify", NAMES(names), &progress)) {
        return NULL;
    }
    return dsq_py_verify(db_of(self), progress);
}

static PyObject *db_compact(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"progress", NULL};
    PyObject *progress = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:compact", NAMES(names), &progress)) {
        return NULL;
    }
    return dsq_py_compact(db_of(self), progress);
}

static PyObject *db_rekey(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"password", NULL};
    PyObject *password;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:rekey", NAMES(names), &password)) {
        return NULL;
    }
    return dsq_py_rekey(db_of(self), password);
}

static PyObject *db_try_get(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        return PyErr_Format(PyExc_TypeError, "_try_get() takes 2 arguments, not %zd", count);
    }
    return dsq_py_try_get(db_of(self), args[0], args[1]);
}

static PyObject *db_try_contains(PyObject *self, PyObject *key)
{
    return dsq_py_try_contains(db_of(self), key);
}

static PyObject *db_submit_set(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        return PyErr_Format(PyExc_TypeError, "_submit_set() takes 2 arguments, not %zd", count);
    }
    return dsq_py_submit_set(db_of(self), args[0], args[1]);
}

static PyObject *db_submit_delete(PyObject *self, PyObject *key)
{
    return dsq_py_submit_delete(db_of(self), key);
}

static PyObject *db_flush_notify(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        return PyErr_Format(PyExc_TypeError, "_flush_notify() takes 2 arguments, not %zd", count);
    }
    return dsq_py_flush_notify(db_of(self), args[0], args[1]);
}

static PyObject *db_watch(PyObject *self, PyObject *unused)
{
    (void)unused;
    return dsq_py_watch(db_of(self));
}

static PyObject *db_stats(PyObject *self, PyObject *unused)
{
    (void)unused;
    return dsq_py_stats(db_of(self));
}

static PyObject *db_close(PyObject *self, PyObject *unused)
{
    (void)unused;
    if (dsq_py_close(db_of(self)) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *db_reduce(PyObject *self, PyObject *unused)
{
    (void)unused;
    return dsq_py_reduce(db_of(self));
}

static PyObject *db_enter(PyObject *self, PyObject *unused)
{
    (void)unused;
    if (!dsq_py_ready(db_of(self))) {
        return NULL;
    }
    Py_INCREF(self);
    return self;
}

static PyObject *db_exit(PyObject *self, PyObject *args)
{
    (void)args;
    return db_close(self, NULL);
}

/* METH_FASTCALL and METH_KEYWORDS functions have types of their own. */
#define METHOD(function) ((PyCFunction)(void (*)(void))(function))

PyMethodDef dsq_py_db_methods[] = {
    {"get", METHOD(db_get), METH_FASTCALL,
     "get($self, key, default=None, /)\n--\n\n"
     "The value of key, or default if there is none."},
    {"pop", METHOD(db_pop), METH_FASTCALL,
     "pop($self, key, default=..., /)\n--\n\n"
     "Remove key and return its value, or default if there is none; without a default KeyError.\n"
     "Atomic: of several threads that pop one value, a single one gets it."},
    {"setdefault", METHOD(db_setdefault), METH_FASTCALL,
     "setdefault($self, key, default=None, /)\n--\n\n"
     "The value of key; if there is none, default is stored and returned, as get() would from "
     "then\n"
     "on.  Atomic."},
    {"update", METHOD(db_update), METH_FASTCALL | METH_KEYWORDS,
     "update($self, other=(), /, **kwargs)\n--\n\n"
     "Store the records of other, a mapping or an iterable of pairs, and the keyword arguments.\n"
     "\n"
     "After a crash, all of one call's records are there or none, as long as they fit half of\n"
     "queue_bytes (a record counts 128 bytes more than its key and value); a larger call is\n"
     "stored in parts of that size, in order.  A part that meets an error is not stored."},
    {"keys", db_keys, METH_NOARGS, "keys($self, /)\n--\n\nA live view of the keys."},
    {"values", db_values, METH_NOARGS, "values($self, /)\n--\n\nA live view of the values."},
    {"items", db_items, METH_NOARGS,
     "items($self, /)\n--\n\nA live view of the (key, value) pairs."},
    {"clear", db_clear, METH_NOARGS,
     "clear($self, /)\n--\n\n"
     "Delete every record, in parts as those of update().  What other threads store meanwhile may\n"
     "stay."},
    {"popitem", db_popitem, METH_NOARGS,
     "popitem($self, /)\n--\n\n"
     "Remove a record and return it as a (key, value) pair; KeyError if there is none.  It is the\n"
     "first of an iteration, not the last stored as in a dict, and finding it costs as much as\n"
     "beginning one.  Of several threads, a single one gets it."},
    {"copy", db_copy, METH_NOARGS, "copy($self, /)\n--\n\nA dict of the records."},
    {"fromkeys", METHOD(db_fromkeys), METH_FASTCALL | METH_CLASS,
     "fromkeys($type, keys, value=None, /)\n--\n\n"
     "Make a store by calling the class without arguments, and store value under each of keys.\n"
     "For subclasses that know their path; DictSQLite itself raises TypeError, as it needs one."},
    {"get_many", METHOD(db_get_many), METH_VARARGS | METH_KEYWORDS,
     "get_many($self, /, keys, default=None)\n--\n\n"
     "A list of the values of keys, in their order, with default for each that is not there.\n"
     "Each is looked up by itself.  Faster than a loop."},
    {"set_many", db_set_many, METH_O,
     "set_many($self, records, /)\n--\n\n"
     "Store records, a mapping or an iterable of pairs, as update() does."},
    {"bulk_insert", db_set_many, METH_O,
     "bulk_insert($self, records, /)\n--\n\n"
     "set_many() by the name that DictSQLiteV4 has for it."},
    {"delete_many", db_delete_many, METH_O,
     "delete_many($self, keys, /)\n--\n\n"
     "Delete what is there of keys, and return how many that were.\n"
     "\n"
     "After a crash all of them are gone or none, as long as the call is no larger than one of\n"
     "update() may be; a larger one is done in parts.  The number counts what was there when the\n"
     "call looked: a key that another thread stores or deletes meanwhile may be counted or not."},
    {"batch", db_batch, METH_NOARGS,
     "batch($self, /)\n--\n\n"
     "A batch for a with block, in which batch[key] = value, del batch[key], put() and delete()\n"
     "gather changes.  At the end of the block they are stored as one durable unit: after a crash\n"
     "all are there or none; readers may see some before the others.  If the block raises, "
     "nothing\n"
     "is stored.  Of several changes of one key the last counts.  TooBigError at the end if they\n"
     "exceed queue_bytes; then nothing is stored."},
    {"scan", METHOD(db_scan), METH_VARARGS | METH_KEYWORDS,
     "scan($self, /, prefix=None, start=None, stop=None, reverse=False)\n--\n\n"
     "Iterate over the (key, value) pairs whose keys begin with prefix, or are not less than\n"
     "start and less than stop; ValueError for a prefix beside one of those.  In constant memory,\n"
     "and in the order of the keys, or the opposite one; with persist_mode='memory' in no order,\n"
     "after a walk over all records, and TypeError for reverse."},
    {"__reversed__", db_reversed, METH_NOARGS,
     "__reversed__($self, /)\n--\n\n"
     "Iterate over the keys, the last one first; TypeError with persist_mode='memory'."},
    {"add", METHOD(db_add), METH_FASTCALL,
     "add($self, key, value, /)\n--\n\n"
     "Store value if there is no such key; return whether it was stored.  Atomic."},
    {"compare_and_swap", METHOD(db_compare_and_swap), METH_VARARGS | METH_KEYWORDS,
     "compare_and_swap($self, /, key, old, new)\n--\n\n"
     "Store new if the value of key is old, and return whether it was.  Atomic.  None as old: "
     "there\n"
     "is no such key; None as new: delete it.  So a None that is stored cannot be compared with.\n"
     "With a storage_mode other than 'bytes' values are compared by ==."},
    {"increment", METHOD(db_increment), METH_VARARGS | METH_KEYWORDS,
     "increment($self, /, key, delta=1, default=0)\n--\n\n"
     "Add delta to the number that is the value of key, or to default if there is none, and "
     "return\n"
     "the sum.  Atomic.\n"
     "\n"
     "Numbers are ints as storage_mode stores them; with 'bytes' ASCII decimals, b'-12' (and not "
     "as\n"
     "dsq_fetch_add of the C library stores them).  ValueError if the value is something else, "
     "OverflowError if a number does\n"
     "not fit 64 bits; then nothing has changed."},
    {"get_or_compute", METHOD(db_get_or_compute), METH_FASTCALL,
     "get_or_compute($self, key, function, /)\n--\n\n"
     "The value of key; if there is none, function() is called, and what it returns is stored and\n"
     "returned.\n"
     "\n"
     "Of several threads of this process that miss a key, one calls its function and the others\n"
     "wait.  If the function raises, its caller gets the exception and another thread tries with\n"
     "its own.  What was stored by other means meanwhile stays, and is returned.\n"
     "\n"
     "The function may use the store, other keys by get_or_compute() too; RuntimeError if it asks\n"
     "for its own key, or where threads would wait for each other."},
    {"flush", METHOD(db_flush), METH_VARARGS | METH_KEYWORDS,
     "flush($self, /, timeout=None)\n--\n\n"
     "Wait until everything written before the call is on disk, for up to timeout seconds.\n"
     "TimedOutError if that is not enough; then nothing is lost, and a later call can wait on."},
    {"resume", db_resume, METH_NOARGS,
     "resume($self, /)\n--\n\n"
     "After a failed commit whose cause is cured: commit what it held, and accept writes again."},
    {"backup", METHOD(db_backup), METH_VARARGS | METH_KEYWORDS,
     "backup($self, /, path, progress=None, overwrite=False)\n--\n\n"
     "Write a copy of the store to path: one state, with all that was written before the call.\n"
     "The file is there whole and on disk, or not at all.  Others may read and write meanwhile.\n"
     "\n"
     "progress: called now and then as progress(done, total), in pages, in this thread.  To "
     "cancel\n"
     "it returns a false value other than None (the call raises CancelledError, unless it is done\n"
     "by then) or raises.  It may use the store, but not close it.\n"
     "overwrite: replace a store that is at path; else StorageError if anything is.\n"
     "\n"
     "ValueError if path is the store itself, LockedError if what is there is in use."},
    {"verify", METHOD(db_verify), METH_VARARGS | METH_KEYWORDS,
     "verify($self, /, progress=None)\n--\n\n"
     "Look at every page, row and checksum of the file; CorruptError says what is wrong first.\n"
     "progress: as of backup(), in rows."},
    {"compact", METHOD(db_compact), METH_VARARGS | METH_KEYWORDS,
     "compact($self, /, progress=None)\n--\n\n"
     "Make the file as small as what it holds.  Needs as much disk space again; commits wait.\n"
     "progress: as of backup(); done counts the calls, total is 0.  What it writes to the store\n"
     "is committed after the compaction.\n"
     "\n"
     "StorageError in a readonly store, or if there is no room.  On an error nothing is lost."},
    {"rekey", METHOD(db_rekey), METH_VARARGS | METH_KEYWORDS,
     "rekey($self, /, password)\n--\n\n"
     "Give an encrypted store another password (str or bytes, 1 to 1024 bytes).  No page is "
     "written\n"
     "anew; after a crash meanwhile it is the old or the new one that opens the file.\n"
     "Raises DictSQLiteError if the store is not encrypted, ValueError, StorageError."},
    {"_try_get", METHOD(db_try_get), METH_FASTCALL,
     "_try_get($self, key, default, /)\n--\n\n"
     "The value, default if there is none, or NotImplemented if it would have to wait."},
    {"_try_contains", db_try_contains, METH_O,
     "_try_contains($self, key, /)\n--\n\nWhether it is there, or NotImplemented."},
    {"_submit_set", METHOD(db_submit_set), METH_FASTCALL,
     "_submit_set($self, key, value, /)\n--\n\nStore a value for a later flush, or "
     "NotImplemented."},
    {"_submit_delete", db_submit_delete, METH_O,
     "_submit_delete($self, key, /)\n--\n\nRemove a key for a later flush: whether it was there, "
     "or "
     "NotImplemented."},
    {"_flush_notify", METHOD(db_flush_notify), METH_FASTCALL,
     "_flush_notify($self, notifier, token, /)\n--\n\nBegin a flush: whether it has ended; if not, "
     "the notifier tells."},
    {"_watch", db_watch, METH_NOARGS,
     "_watch($self, /)\n--\n\nRaise the error with which the store has failed, if it has."},
    {"stats", db_stats, METH_NOARGS,
     "stats($self, /)\n--\n\nA dict of counters since open, levels, and the state."},
    {"close", db_close, METH_NOARGS,
     "close($self, /)\n--\n\n"
     "Commit everything and close the file; nothing to do if it is closed.  Waits for calls of\n"
     "other threads.  If the last commit fails, its error is raised and the store stays open."},
    {"__reduce__", db_reduce, METH_NOARGS,
     "__reduce__($self, /)\n--\n\n"
     "A pickle or a copy of a store opens the same file again, and fails if it is not there.\n"
     "TypeError if the store has a password, which must not get into a pickle, or no file."},
    {"__enter__", db_enter, METH_NOARGS, "__enter__($self, /)\n--\n\nThe store itself."},
    {"__exit__", db_exit, METH_VARARGS, "__exit__($self, /, *args)\n--\n\nClose the store."},
    {NULL, NULL, 0, NULL},
};
