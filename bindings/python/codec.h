/*
 * Storage modes: what values are as the bytes of a store.
 *
 * A store without a codec keeps bytes as they are; asking whether it has one is all that this costs it.
 * Else values are encoded before a call of the library and decoded after it: dumps and loads are
 * Python code (invariant 2 of handle.h).  The key that a value belongs to is for messages.
 */
#ifndef DSQ_PYTHON_CODEC_H
#define DSQ_PYTHON_CODEC_H

#include "bindings/python/codec_choice.h"
#include "bindings/python/convert.h"
#include "bindings/python/handle.h"

enum dsq_py_codec_kind {
    DSQ_PY_CODEC_CHECKED, /* bytes, each of them a safe pickle */
    DSQ_PY_CODEC_JSON,
    DSQ_PY_CODEC_MSGPACK,
    DSQ_PY_CODEC_PICKLE,
    DSQ_PY_CODEC_CUSTOM, /* an object of the caller's */
};

struct dsq_py_codec {
    enum dsq_py_codec_kind kind;
    PyObject *dumps, *loads; /* of CHECKED: NULL */
    PyObject *refused;       /* of MSGPACK: a tuple of types */
    PyObject *policy;        /* of safe pickles; NULL: nothing is checked */
};

/* Whether the mode is whatever the file records. */
static inline bool dsq_py_codec_follows_file(const struct dsq_py_codec_choice *choice)
{
    return choice->storage_mode == Py_None;
}

/*
 * Makes the codec of a choice; *codec is NULL if values stay bytes.  recorded is what the file records, and
 * not asked for unless the mode follows it.  May import modules.  False with TypeError, ValueError,
 * ImportError, or FormatError for a name that this version does not know.
 */
bool dsq_py_codec_new(const struct dsq_py_module *module, const struct dsq_py_codec_choice *choice,
                      const char *recorded, struct dsq_py_codec **codec);
/* codec may be NULL. */
void dsq_py_codec_free(struct dsq_py_codec *codec);

/* Of codec, which may be NULL.  After a clear, what needs it raises ClosedError. */
int dsq_py_codec_traverse(struct dsq_py_codec *codec, visitproc visit, void *arg);
void dsq_py_codec_clear(struct dsq_py_codec *codec);

/* The rest is for stores that have a codec. */

/* A new reference to exactly bytes, or NULL with what dumps raised, TypeError or UnsafePickleError. */
PyObject *dsq_py_encode(struct dsq_py_db *self, PyObject *value);

/* The same as a value to be stored; see dsq_py_value_acquire. */
bool dsq_py_encode_value(struct dsq_py_db *self, PyObject *object, struct dsq_py_value *value);

/*
 * The value of a key: takes the reference to its bytes over and returns a new one, or NULL with what loads
 * raised, with CorruptError for what is no JSON or MessagePack, or with UnsafePickleError.
 */
PyObject *dsq_py_decode(struct dsq_py_db *self, PyObject *key, PyObject *bytes);

/* The same of a list with the value of each of the keys, a tuple, and something else for no value. */
PyObject *dsq_py_decode_list(struct dsq_py_db *self, PyObject *keys, PyObject *list,
                             PyObject *fallback);

/* As dsq_py_value_acquire, of any store. */
static inline bool dsq_py_value_take(struct dsq_py_db *self, PyObject *object,
                                     struct dsq_py_value *value)
{
    return __builtin_expect(self->codec == NULL, 1) ? dsq_py_value_acquire(object, value)
                                                    : dsq_py_encode_value(self, object, value);
}

/* As dsq_py_value_bytes, of any store. */
static inline PyObject *dsq_py_value_encoded(struct dsq_py_db *self, PyObject *object)
{
    return self->codec == NULL ? dsq_py_value_bytes(object) : dsq_py_encode(self, object);
}

/* As dsq_py_decode, of any store; bytes may be NULL. */
static inline PyObject *dsq_py_value_decoded(struct dsq_py_db *self, PyObject *key, PyObject *bytes)
{
    return __builtin_expect(self->codec == NULL, 1) || bytes == NULL
               ? bytes
               : dsq_py_decode(self, key, bytes);
}

#endif
