#include "bindings/python/iterator.h"

#include "bindings/python/codec.h"

#define CHUNK_RECORDS 64
#define CHUNK_BYTES ((size_t)16 * 1024)

struct record {
    const void *key, *value;
    size_t key_size, value_size;
};

/*
 * The cursor's bytes live until its next record, so all records of a chunk but the last are copied
 * into `copies`; one that does not fit there ends its chunk.
 */
struct dsq_py_iterator {
    PyObject ob_base;
    struct dsq_py_db *db;                    /* NULL once exhausted */
    dsq_cursor *cursor;                      /* NULL once exhausted or closed with db */
    struct dsq_py_iterator *previous, *next; /* among db's iterators while cursor is open */
    enum dsq_py_view_kind kind;
    bool filling; /* a thread fills what follows, without the GIL: nobody else may look */
    size_t position, count;
    size_t limit; /* records of the next chunk: grows, as most `next(iter(db))` stop at one */
    size_t used;  /* bytes of copies */
    struct record records[CHUNK_RECORDS];
    char copies[CHUNK_BYTES];
};

static void link_iterator(struct dsq_py_iterator *self)
{
    self->previous = NULL;
    self->next = self->db->iterators;
    if (self->next != NULL) {
        self->next->previous = self;
    }
    self->db->iterators = self;
}

/* Leaves db's list and closes the cursor, except in a child of fork, which may not touch it. */
static void close_cursor(struct dsq_py_iterator *self)
{
    if (self->cursor == NULL) {
        return;
    }
    if (self->previous != NULL) {
        self->previous->next = self->next;
    } else {
        self->db->iterators = self->next;
    }
    if (self->next != NULL) {
        self->next->previous = self->previous;
    }
    if (!dsq_py_inherited(self->db)) {
        dsq_cursor_close(self->cursor);
    }
    self->cursor = NULL;
    self->position = self->count = 0;
}

void dsq_py_iterators_close(struct dsq_py_db *db)
{
    while (db->iterators != NULL) {
        close_cursor(db->iterators);
    }
}

/* An iterator without a cursor. */
static struct dsq_py_iterator *allocate(PyTypeObject *type, enum dsq_py_view_kind kind)
{
    struct dsq_py_iterator *self = PyObject_GC_New(struct dsq_py_iterator, type);
    if (self != NULL) {
        self->db = NULL;
        self->cursor = NULL;
        self->kind = kind;
        self->filling = false;
        self->position = self->count = self->used = 0;
        self->limit = 1;
        PyObject_GC_Track(self);
    }
    return self;
}

static bool check_order(const struct dsq_py_db *db, const struct dsq_range *range)
{
    bool possible = range == NULL || !range->descending || db->mode != DSQ_MODE_MEMORY;
    if (!possible) {
        PyErr_SetString(PyExc_TypeError,
                        "with persist_mode='memory' there is no order to be reversed");
    }
    return possible;
}

PyObject *dsq_py_iterator_new(struct dsq_py_db *db, enum dsq_py_view_kind kind,
                              const struct dsq_range *range)
{
    struct dsq_py_iterator *self = allocate(db->module->iterator_type, kind);
    if (self == NULL || !dsq_py_ready(db) || !check_order(db, range)) {
        Py_XDECREF(self);
        return NULL;
    }
    PyThreadState *thread = dsq_py_enter(db);
    int status = dsq_cursor_open(db->db, range, &self->cursor);
    dsq_py_leave(db, thread);
    if (status != DSQ_OK) {
        dsq_py_raise_status(db, status);
        self->cursor = NULL;
        Py_DECREF(self);
        return NULL;
    }
    Py_INCREF(db);
    self->db = db;
    link_iterator(self);
    return (PyObject *)self;
}

PyObject *dsq_py_iterator_reversed(struct dsq_py_db *db, enum dsq_py_view_kind kind)
{
    return dsq_py_iterator_new(db, kind, &(const struct dsq_range){.descending = 1});
}

static const void *copy(struct dsq_py_iterator *self, const void *data, size_t size)
{
    char *place = self->copies + self->used;
    if (size != 0) {
        memcpy(place, data, size);
    }
    self->used += size;
    return place;
}

/* Takes the cursor's record over.  Whether the chunk may go on. */
static bool keep_record(struct dsq_py_iterator *self, struct record record)
{
    size_t room = CHUNK_BYTES - self->used;
    bool fits = record.key_size <= room && record.value_size <= room - record.key_size;
    if (fits) {
        record.key = copy(self, record.key, record.key_size);
        record.value = copy(self, record.value, record.value_size);
    }
    self->records[self->count++] = record;
    return fits && self->count < self->limit;
}

/* Reads the next chunk, without the GIL.  An error after some records comes up again next time. */
static int fill(struct dsq_py_iterator *self)
{
    bool wants_value = self->kind != DSQ_PY_KEYS;
    struct record record = {0};
    int status;
    self->position = self->count = self->used = 0;
    do {
        status = dsq_cursor_next(self->cursor, &record.key, &record.key_size,
                                 wants_value ? &record.value : NULL,
                                 wants_value ? &record.value_size : NULL);
    } while (status == DSQ_OK && keep_record(self, record));
    self->limit = 2 * self->limit < CHUNK_RECORDS ? 2 * self->limit : CHUNK_RECORDS;
    return status;
}

/* Makes sure that there is a record.  False at the end, or with an exception. */
static bool refill(struct dsq_py_iterator *self)
{
    if (self->cursor == NULL) {
        dsq_py_raise_closed(self->db);
        return false;
    }
    if (!dsq_py_ready(self->db)) {
        return false;
    }
    self->filling = true;
    PyThreadState *thread = dsq_py_enter(self->db);
    int status = fill(self);
    dsq_py_leave(self->db, thread);
    self->filling = false;
    if (self->count > 0) {
        return true;
    }
    if (status != DSQ_ABSENT) {
        dsq_py_raise_status(self->db, status);
        return false;
    }
    close_cursor(self);
    Py_CLEAR(self->db);
    return false;
}

static PyObject *make_key(const struct record *record)
{
    return PyUnicode_DecodeUTF8(record->key, (Py_ssize_t)record->key_size, "strict");
}

/* The record is not looked at once Python code has run: that may have gone on with the iterator. */
static PyObject *make_value(struct dsq_py_db *db, const struct record *record)
{
    PyObject *bytes = PyBytes_FromStringAndSize(record->value, (Py_ssize_t)record->value_size);
    if (db->codec == NULL || bytes == NULL) {
        return bytes;
    }
    PyObject *key = make_key(record);
    PyObject *value = key != NULL ? dsq_py_decode(db, key, bytes) : NULL;
    if (key == NULL) {
        Py_DECREF(bytes);
    }
    Py_XDECREF(key);
    return value;
}

static PyObject *make_item(struct dsq_py_db *db, const struct record *record)
{
    PyObject *key = make_key(record);
    PyObject *value = key != NULL ? make_value(db, record) : NULL;
    PyObject *item = key != NULL && value != NULL ? PyTuple_Pack(2, key, value) : NULL;
    Py_XDECREF(key);
    Py_XDECREF(value);
    return item;
}

static PyObject *iterator_next(PyObject *object)
{
    struct dsq_py_iterator *self = (struct dsq_py_iterator *)object;
    if (self->filling) {
        PyErr_SetString(PyExc_ValueError, "the iterator is in use by another thread");
        return NULL;
    }
    if (self->db == NULL || (self->position == self->count && !refill(self))) {
        return NULL;
    }
    const struct record *record = &self->records[self->position++];
    switch (self->kind) {
    case DSQ_PY_KEYS:
        return make_key(record);
    case DSQ_PY_VALUES:
        return make_value(self->db, record);
    default:
        return make_item(self->db, record);
    }
}

static int iterator_traverse(PyObject *object, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(((struct dsq_py_iterator *)object)->db);
    return 0;
}

static int iterator_clear(PyObject *object)
{
    struct dsq_py_iterator *self = (struct dsq_py_iterator *)object;
    close_cursor(self);
    Py_CLEAR(self->db);
    return 0;
}

static void iterator_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    iterator_clear(object);
    PyObject_GC_Del(object);
    Py_DECREF(type);
}

static char iterator_doc[] = "Iterator over the records of a DictSQLite.";

static PyType_Slot iterator_slots[] = {
    {Py_tp_doc, iterator_doc},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, iterator_next},
    {Py_tp_traverse, iterator_traverse},
    {Py_tp_clear, iterator_clear},
    {Py_tp_dealloc, iterator_dealloc},
    {0, NULL},
};

PyType_Spec dsq_py_iterator_spec = {
    .name = "dictsqlite._core.RecordIterator",
    .basicsize = sizeof(struct dsq_py_iterator),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = iterator_slots,
};
