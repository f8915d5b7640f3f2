#include "bindings/python/codec.h"

#include "bindings/python/codec_exact.h"
#include "bindings/python/safe_pickle_policy.h"

#define CUSTOM_PREFIX "custom:"

/* Makes nothing of what a file holds, and takes any: for tools. */
#define RAW "raw"

/* ---- names ---- */

static const struct {
    const char *name;
    const char *maker; /* in dictsqlite._values; NULL: bytes */
    enum dsq_py_codec_kind kind;
} modes[] = {
    {"bytes", NULL, DSQ_PY_CODEC_CHECKED},
    {RAW, NULL, DSQ_PY_CODEC_CHECKED},
    {"json", "json_codec", DSQ_PY_CODEC_JSON},
    {"msgpack", "msgpack_codec", DSQ_PY_CODEC_MSGPACK},
    {"pickle", "pickle_codec", DSQ_PY_CODEC_PICKLE},
};
#define BYTES_MODE ((size_t)0)
#define MODES (sizeof modes / sizeof modes[0])
#define EXPECTED                                                                                   \
    "'bytes', 'json', 'msgpack', 'pickle', 'raw', None, or an object with dumps and loads"

static bool is_given(const PyObject *object)
{
    return object != NULL && object != Py_None;
}

/* The mode of a str; MODES with ValueError. */
static size_t mode_of(PyObject *storage_mode)
{
    size_t i = 0;
    while (i < MODES && PyUnicode_CompareWithASCIIString(storage_mode, modes[i].name) != 0) {
        i++;
    }
    if (i == MODES) {
        PyErr_Format(PyExc_ValueError, "storage_mode must be " EXPECTED ", not %R", storage_mode);
    }
    return i;
}

/* How an object of the caller's is called: a new str. */
static PyObject *custom_name(PyObject *object)
{
    PyObject *own = dsq_py_get_attribute(object, "__name__");
    if (own != NULL && PyUnicode_Check(own)) {
        PyObject *name = PyUnicode_FromFormat(CUSTOM_PREFIX "%U", own);
        Py_DECREF(own);
        return name;
    }
    Py_XDECREF(own);
    if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_AttributeError)) {
        return NULL;
    }
    PyErr_Clear();
    PyObject *type = (PyObject *)Py_TYPE(object);
    PyObject *module = dsq_py_get_attribute(type, "__module__");
    PyObject *qualified = module != NULL ? dsq_py_get_attribute(type, "__qualname__") : NULL;
    PyObject *name =
        qualified != NULL ? PyUnicode_FromFormat(CUSTOM_PREFIX "%S.%S", module, qualified) : NULL;
    Py_XDECREF(module);
    Py_XDECREF(qualified);
    return name;
}

static bool copy_custom_name(PyObject *object, char *name)
{
    PyObject *full = custom_name(object);
    if (full == NULL) {
        return false;
    }
    Py_ssize_t length = PyUnicode_GET_LENGTH(full);
    Py_ssize_t kept = length < (Py_ssize_t)DSQ_VALUE_FORMAT_SIZE_MAX
                          ? length
                          : (Py_ssize_t)DSQ_VALUE_FORMAT_SIZE_MAX;
    bool is_plain = true;
    for (Py_ssize_t i = 0; i < kept; i++) {
        Py_UCS4 character = PyUnicode_READ_CHAR(full, i);
        is_plain = is_plain && character >= ' ' && character <= '~';
        name[i] = (char)character;
    }
    name[kept] = '\0';
    if (!is_plain) {
        PyErr_Format(PyExc_ValueError,
                     "the name of an object for storage_mode must be printable ASCII, not %R",
                     full);
    }
    Py_DECREF(full);
    return is_plain;
}

bool dsq_py_codec_name(PyObject *storage_mode, char name[DSQ_VALUE_FORMAT_SIZE_MAX + 1])
{
    name[0] = '\0';
    if (storage_mode == Py_None) {
        return true;
    }
    if (storage_mode != NULL && !PyUnicode_Check(storage_mode)) {
        return copy_custom_name(storage_mode, name);
    }
    size_t mode = storage_mode != NULL ? mode_of(storage_mode) : 0;
    if (mode < MODES && strcmp(modes[mode].name, RAW) != 0) {
        strcpy(name, modes[mode].name);
    }
    return mode < MODES;
}

/* ---- making ---- */

static bool take_callable(PyObject *object, const char *name, PyObject **callable)
{
    *callable = dsq_py_get_attribute(object, name);
    if (*callable != NULL && PyCallable_Check(*callable)) {
        return true;
    }
    if (*callable != NULL || PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear();
        PyErr_Format(PyExc_TypeError, "storage_mode must be " EXPECTED ", not %.200s",
                     Py_TYPE(object)->tp_name);
    }
    return false;
}

/* Takes what a function of dictsqlite._values makes. */
static bool take_made(struct dsq_py_codec *codec, const char *maker)
{
    PyObject *values = PyImport_ImportModule("dictsqlite._values");
    PyObject *made = values != NULL ? dsq_py_call_method(values, maker, NULL) : NULL;
    bool taken = made != NULL && PyArg_ParseTuple(made, "OO|O!", &codec->dumps, &codec->loads,
                                                  &PyTuple_Type, &codec->refused);
    if (taken) {
        Py_INCREF(codec->dumps);
        Py_INCREF(codec->loads);
        Py_XINCREF(codec->refused);
    } else {
        codec->dumps = codec->loads = codec->refused = NULL;
    }
    Py_XDECREF(made);
    Py_XDECREF(values);
    return taken;
}

/* Whether pickles are to be checked: 1, 0, or -1 with TypeError or ValueError. */
static int checks_pickles(const struct dsq_py_codec_choice *choice, size_t mode)
{
    const char *name = mode < MODES ? modes[mode].name : "an object";
    PyObject *enable = choice->enable_safe_pickle;
    if (is_given(enable) && !PyBool_Check(enable)) {
        PyErr_Format(PyExc_TypeError, "enable_safe_pickle must be a bool or None, not %.200s",
                     Py_TYPE(enable)->tp_name);
        return -1;
    }
    bool is_pickle = mode < MODES && modes[mode].kind == DSQ_PY_CODEC_PICKLE;
    if (enable == Py_True && !is_pickle && mode != BYTES_MODE) {
        PyErr_Format(PyExc_ValueError,
                     "enable_safe_pickle=True needs storage_mode='pickle' or 'bytes', not %s",
                     name);
        return -1;
    }
    int checks = enable == Py_True || (is_pickle && enable != Py_False);
    if (!checks && is_given(choice->safe_pickle_allowed_modules)) {
        PyErr_Format(PyExc_ValueError,
                     "safe_pickle_allowed_modules has no effect: no pickle is checked with "
                     "storage_mode %s and enable_safe_pickle=%S",
                     name, enable != NULL ? enable : Py_None);
        return -1;
    }
    return checks;
}

static bool take_functions(struct dsq_py_codec *codec, PyObject *storage_mode, size_t mode)
{
    if (codec->kind == DSQ_PY_CODEC_CUSTOM) {
        return take_callable(storage_mode, "dumps", &codec->dumps) &&
               take_callable(storage_mode, "loads", &codec->loads);
    }
    return modes[mode].maker == NULL || take_made(codec, modes[mode].maker);
}

/* The mode that a file records; MODES with an exception. */
static size_t recorded_mode(const struct dsq_py_module *module, const char *name)
{
    size_t i = 0;
    while (i < MODES && (strcmp(modes[i].name, name) != 0 || strcmp(name, RAW) == 0)) {
        i++;
    }
    if (i == MODES && strncmp(name, CUSTOM_PREFIX, strlen(CUSTOM_PREFIX)) == 0) {
        PyErr_Format(PyExc_ValueError,
                     "the values of the file are stored as '%s': storage_mode must be that object",
                     name);
    } else if (i == MODES) {
        PyErr_Format(module->exceptions[DSQ_PY_FORMAT_ERROR],
                     "the values of the file are stored as '%s', which this version does not know",
                     name);
    }
    return i;
}

/* The mode; MODES for an object of the caller's, or with an exception. */
static size_t chosen_mode(const struct dsq_py_module *module,
                          const struct dsq_py_codec_choice *choice, const char *recorded)
{
    if (choice->storage_mode == NULL) {
        return BYTES_MODE;
    }
    if (dsq_py_codec_follows_file(choice)) {
        return recorded_mode(module, recorded);
    }
    return PyUnicode_Check(choice->storage_mode) ? mode_of(choice->storage_mode) : MODES;
}

static struct dsq_py_codec *make(const struct dsq_py_codec_choice *choice, size_t mode, bool checks)
{
    struct dsq_py_codec *made = PyMem_Calloc(1, sizeof *made);
    if (made == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    PyObject *allowed = choice->safe_pickle_allowed_modules;
    made->kind = mode < MODES ? modes[mode].kind : DSQ_PY_CODEC_CUSTOM;
    made->policy = checks ? dsq_pickle_policy(allowed != NULL ? allowed : Py_None) : NULL;
    if ((checks && made->policy == NULL) || !take_functions(made, choice->storage_mode, mode)) {
        dsq_py_codec_free(made);
        return NULL;
    }
    return made;
}

bool dsq_py_codec_new(const struct dsq_py_module *module, const struct dsq_py_codec_choice *choice,
                      const char *recorded, struct dsq_py_codec **codec)
{
    size_t mode = chosen_mode(module, choice, recorded);
    *codec = NULL;
    if (mode == MODES && PyErr_Occurred()) {
        return false;
    }
    int checks = checks_pickles(choice, mode);
    if (checks == 0 && mode < MODES && modes[mode].kind == DSQ_PY_CODEC_CHECKED) {
        return true;
    }
    *codec = checks >= 0 ? make(choice, mode, checks) : NULL;
    return *codec != NULL;
}

int dsq_py_codec_traverse(struct dsq_py_codec *codec, visitproc visit, void *arg)
{
    if (codec != NULL) {
        Py_VISIT(codec->dumps);
        Py_VISIT(codec->loads);
        Py_VISIT(codec->refused);
        Py_VISIT(codec->policy);
    }
    return 0;
}

void dsq_py_codec_clear(struct dsq_py_codec *codec)
{
    if (codec != NULL) {
        Py_CLEAR(codec->dumps);
        Py_CLEAR(codec->loads);
        Py_CLEAR(codec->refused);
        Py_CLEAR(codec->policy);
    }
}

void dsq_py_codec_free(struct dsq_py_codec *codec)
{
    dsq_py_codec_clear(codec);
    PyMem_Free(codec);
}

/* ---- encoding ---- */

/* What dumps returned, as exactly bytes.  Takes the reference over. */
static PyObject *take_dumped(const struct dsq_py_codec *codec, PyObject *dumped)
{
    PyObject *bytes = NULL;
    if (dumped == NULL) {
        return NULL;
    }
    if (codec->kind == DSQ_PY_CODEC_JSON) {
        bytes = PyUnicode_AsUTF8String(dumped);
    } else if (PyObject_CheckBuffer(dumped)) {
        bytes = dsq_py_value_bytes(dumped);
    } else {
        PyErr_Format(PyExc_TypeError, "dumps() of the storage mode must return bytes, not %.200s",
                     Py_TYPE(dumped)->tp_name);
    }
    Py_DECREF(dumped);
    return bytes;
}

static PyObject *dump(struct dsq_py_db *self, PyObject *value)
{
    const struct dsq_py_codec *codec = self->codec;
    bool is_checked = codec->kind == DSQ_PY_CODEC_CHECKED;
    if ((is_checked ? codec->policy : codec->dumps) == NULL) {
        return dsq_py_raise_closed(self);
    }
    if (is_checked) {
        return dsq_py_value_bytes(value);
    }
    if (codec->kind == DSQ_PY_CODEC_MSGPACK && !dsq_py_codec_is_exact(value, codec->refused)) {
        return NULL;
    }
    return take_dumped(codec, PyObject_CallFunctionObjArgs(codec->dumps, value, NULL));
}

PyObject *dsq_py_encode(struct dsq_py_db *self, PyObject *value)
{
    PyObject *bytes = dump(self, value);
    PyObject *policy = self->codec->policy;
    if (bytes != NULL && policy != NULL &&
        dsq_py_safe_pickle_verify(&self->module->safe_pickle, bytes, policy) < 0) {
        Py_CLEAR(bytes);
    }
    return bytes;
}

bool dsq_py_encode_value(struct dsq_py_db *self, PyObject *object, struct dsq_py_value *value)
{
    PyObject *bytes = dsq_py_encode(self, object);
    bool acquired = bytes != NULL && dsq_py_value_acquire_buffer(bytes, value);
    Py_XDECREF(bytes);
    return acquired;
}

/* ---- decoding ---- */

static PyObject *load(struct dsq_py_db *self, PyObject *bytes)
{
    const struct dsq_py_codec *codec = self->codec;
    if (codec->loads == NULL) {
        return dsq_py_raise_closed(self);
    }
    if (codec->policy != NULL) {
        return dsq_py_safe_pickle_load(&self->module->safe_pickle, bytes, codec->policy);
    }
    if (codec->kind != DSQ_PY_CODEC_JSON) {
        return PyObject_CallFunctionObjArgs(codec->loads, bytes, NULL);
    }
    PyObject *text =
        PyUnicode_DecodeUTF8(PyBytes_AS_STRING(bytes), PyBytes_GET_SIZE(bytes), "strict");
    PyObject *value = text != NULL ? PyObject_CallFunctionObjArgs(codec->loads, text, NULL) : NULL;
    Py_XDECREF(text);
    return value;
}

/* The exception that is being raised, which is no longer then: a new reference. */
static PyObject *take_exception(void)
{
#if PY_VERSION_HEX >= 0x030C0000
    return PyErr_GetRaisedException();
#else
    PyObject *type;
    PyObject *exception;
    PyObject *traceback;
    PyErr_Fetch(&type, &exception, &traceback);
    PyErr_NormalizeException(&type, &exception, &traceback);
    if (traceback != NULL) {
        PyException_SetTraceback(exception, traceback);
    }
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return exception;
#endif
}

/* Raises an exception as it is.  Takes the reference over. */
static void raise_again(PyObject *exception)
{
#if PY_VERSION_HEX >= 0x030C0000
    PyErr_SetRaisedException(exception);
#else
    PyObject *type = (PyObject *)Py_TYPE(exception);
    Py_INCREF(type);
    PyErr_Restore(type, exception, PyException_GetTraceback(exception));
#endif
}

/* Raises CorruptError in the place of cause, whose reference is taken over. */
static void raise_corrupt(struct dsq_py_db *self, PyObject *key, PyObject *cause)
{
    const char *format = self->codec->kind == DSQ_PY_CODEC_JSON ? "JSON" : "MessagePack";
    PyErr_Format(self->module->exceptions[DSQ_PY_CORRUPT_ERROR],
                 "the value of %R is no %s of this library (%.100s: %S)", key, format,
                 Py_TYPE(cause)->tp_name, cause);
    PyObject *error = take_exception();
    PyException_SetCause(error, cause);
    raise_again(error);
}

/* Has the message of an UnsafePickleError name the key. */
static void name_key(PyObject *exception, PyObject *key)
{
    PyObject *text = PyUnicode_FromFormat("the value of %R: %S", key, exception);
    PyObject *arguments = text != NULL ? PyTuple_Pack(1, text) : NULL;
    if (arguments == NULL || PyObject_SetAttrString(exception, "args", arguments) < 0) {
        PyErr_Clear();
    }
    Py_XDECREF(arguments);
    Py_XDECREF(text);
}

/* Notes the key with an exception, where Python has notes. */
static void note_key(PyObject *exception, PyObject *key)
{
    if (dsq_py_has_attribute(exception, "add_note") <= 0) {
        return;
    }
    PyObject *text = PyUnicode_FromFormat("while the value of %R was decoded", key);
    PyObject *noted = text != NULL ? dsq_py_call_method(exception, "add_note", text) : NULL;
    if (noted == NULL) {
        PyErr_Clear();
    }
    Py_XDECREF(noted);
    Py_XDECREF(text);
}

/* Says with the exception whose value it was. */
static void explain(struct dsq_py_db *self, PyObject *key)
{
    enum dsq_py_codec_kind kind = self->codec->kind;
    bool is_ours = kind == DSQ_PY_CODEC_JSON || kind == DSQ_PY_CODEC_MSGPACK;
    if (is_ours && PyErr_ExceptionMatches(PyExc_ValueError)) {
        raise_corrupt(self, key, take_exception());
        return;
    }
    bool is_unsafe = PyErr_ExceptionMatches(self->module->safe_pickle.error);
    PyObject *exception = take_exception();
    if (is_unsafe) {
        name_key(exception, key);
    } else {
        note_key(exception, key);
    }
    raise_again(exception);
}

/* What loads runs may let go of the store, which is held. */
PyObject *dsq_py_decode(struct dsq_py_db *self, PyObject *key, PyObject *bytes)
{
    if (self->codec->kind == DSQ_PY_CODEC_CHECKED) {
        return bytes;
    }
    Py_INCREF(self);
    PyObject *value = load(self, bytes);
    if (value == NULL) {
        explain(self, key);
    }
    Py_DECREF(bytes);
    Py_DECREF(self);
    return value;
}

PyObject *dsq_py_decode_list(struct dsq_py_db *self, PyObject *keys, PyObject *list,
                             PyObject *fallback)
{
    PyObject *decoded = PyList_New(PyList_GET_SIZE(list));
    for (Py_ssize_t i = 0; decoded != NULL && i < PyList_GET_SIZE(list); i++) {
        PyObject *item = PyList_GET_ITEM(list, i);
        bool is_there = PyBytes_CheckExact(item);
        PyObject *value = is_there ? item : fallback;
        Py_INCREF(value);
        if (is_there) {
            value = dsq_py_decode(self, PyTuple_GET_ITEM(keys, i), value);
        }
        if (value == NULL || PyList_SetItem(decoded, i, value) < 0) {
            Py_CLEAR(decoded);
        }
    }
    return decoded;
}
