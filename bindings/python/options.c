#include "bindings/python/options.h"

#define STRINGIFY(x) #x
#define TEXT(x) STRINGIFY(x)

_Static_assert(DSQ_DEFAULT_QUEUE_BYTES == 67108864, "the signature below says so");

/* clang-format off */
const char dsq_py_options_doc[] =
    "DictSQLite(db_path, hot_capacity=" TEXT(DSQ_DEFAULT_HOT_CAPACITY) ", enable_async=True, "
    "persist_mode='writethrough', encryption_password=None, enable_safe_pickle=None, "
    "safe_pickle_allowed_modules=None, *, storage_mode='bytes', hot_bytes=None, queue_bytes=67108864, "
    "synchronous='full', flush_interval_ms=" TEXT(DSQ_DEFAULT_FLUSH_INTERVAL_MS) ", "
    "buffer_size=" TEXT(DSQ_DEFAULT_BUFFER_SIZE) ", readonly=False, create=True, "
    "cipher=None, value_cache_bytes=" TEXT(DSQ_PY_DEFAULT_VALUE_CACHE_BYTES) ")\n--\n\n"
    "A persistent dictionary of str keys; what values are is storage_mode's to say.\n"
    "\n"
    "With persist_mode='memory' nothing is written, and a full hot tier drops records: a\n"
    "cache, unless hot_capacity is None.  In the other modes everything is kept in the file.\n"
    "\n"
    "It does what a dict does, except that iteration is in the order of the keys (none in memory\n"
    "mode, where reversed() raises TypeError), so that popitem() takes the first; that copy() and |\n"
    "give a dict.\n"
    "\n"
    "db_path: the file; ':memory:' means persist_mode='memory'.\n"
    "hot_capacity: records kept in memory; None: all.\n"
    "enable_async: False: lazy writes go out at flush, close and pressure only.\n"
    "persist_mode: 'writethrough' (a write returns once it is on disk), 'lazy' (it returns at\n"
    "once and reaches the disk within flush_interval_ms) or 'memory'.\n"
    "hot_bytes: a bound in bytes on what is kept in memory; None: no such bound.\n"
    "queue_bytes: bytes written and not yet on disk above which writers wait.\n"
    "synchronous: 'full' (a commit survives the loss of power) or 'normal' (the death of the\n"
    "process).\n"
    "flush_interval_ms, buffer_size: in lazy mode, the time and the number of waiting writes\n"
    "after which they are committed.\n"
    "readonly: nothing is written; several readers may share the file.\n"
    "create: make the file if it is missing.\n"
    "cipher: of an encrypted file that is created: 'aes-256-gcm' (opens only where the processor\n"
    "has AES), 'xchacha20-poly1305', or None: the former where the processor has it.\n"
    "value_cache_bytes: of storage_mode 'bytes', the objects of values asked for lately that are kept, to\n"
    "be handed out again instead of copied, in bytes; 0: none.\n"
    "\n"
    "encryption_password: a str (its UTF-8) or bytes, of 1 to 1024 bytes: the file is encrypted\n"
    "with it.  Python keeps the object as it is: what must not stay in memory has to be wiped by\n"
    "whoever made it.\n"
    "\n"
    "storage_mode: 'bytes' (values are bytes-like, and come back as bytes), 'json', 'msgpack' (with\n"
    "the package of this name), 'pickle', an object with dumps(value), which returns bytes, and\n"
    "loads(bytes), or None: what the file records, 'bytes' for a new one.  A file records its mode\n"
    "when it is created; FormatError for another.  'raw': the stored bytes of any file, for tools.\n"
    "enable_safe_pickle: with 'pickle' values are checked as safe_pickle_check() does, when they are\n"
    "stored and when they are loaded, unless it is False: then whoever can write the file can run\n"
    "code where it is read.  With 'bytes', True demands that each stored value is a safe pickle.\n"
    "safe_pickle_allowed_modules: as allowed_modules of safe_pickle_check().\n"
    "\n"
    "Raises LockedError, PasswordError, FormatError, CorruptError or StorageError if the file\n"
    "cannot be opened.";
/* clang-format on */

struct arguments {
    PyObject *path, *hot_capacity, *persist_mode;
    PyObject *encryption_password;
    struct dsq_py_codec_choice values;
    PyObject *hot_bytes, *queue_bytes, *synchronous, *flush_interval_ms, *buffer_size, *cipher;
    PyObject *value_cache_bytes;
    int enable_async, readonly, create;
};

static bool parse_arguments(PyObject *args, PyObject *kwargs, struct arguments *a)
{
    static const char *const names[] = {"db_path",
                                        "hot_capacity",
                                        "enable_async",
                                        "persist_mode",
                                        "encryption_password",
                                        "enable_safe_pickle",
                                        "safe_pickle_allowed_modules",
                                        "storage_mode",
                                        "hot_bytes",
                                        "queue_bytes",
                                        "synchronous",
                                        "flush_interval_ms",
                                        "buffer_size",
                                        "readonly",
                                        "create",
                                        "cipher",
                                        "value_cache_bytes",
                                        NULL};
    *a = (struct arguments){.enable_async = 1, .create = 1};
    /* The parser's own prototype leaves the const out. */
    return PyArg_ParseTupleAndKeywords(
        args, kwargs, "O|OpOOOO$OOOOOOppOO:DictSQLite", (char **)(uintptr_t)names, &a->path,
        &a->hot_capacity, &a->enable_async, &a->persist_mode, &a->encryption_password,
        &a->values.enable_safe_pickle, &a->values.safe_pickle_allowed_modules,
        &a->values.storage_mode, &a->hot_bytes, &a->queue_bytes, &a->synchronous,
        &a->flush_interval_ms, &a->buffer_size, &a->readonly, &a->create, &a->cipher,
        &a->value_cache_bytes);
}

static bool is_given(const PyObject *object)
{
    return object != NULL && object != Py_None;
}

/* Reads an integer from minimum to maximum. */
static bool parse_number(const char *name, PyObject *object, uint64_t minimum, uint64_t maximum,
                         uint64_t *number)
{
    PyObject *index = PyNumber_Index(object);
    if (index == NULL) {
        if (PyErr_ExceptionMatches(PyExc_TypeError)) {
            PyErr_Format(PyExc_TypeError, "%s must be an int or None, not %.200s", name,
                         Py_TYPE(object)->tp_name);
        }
        return false;
    }
    *number = PyLong_AsUnsignedLongLong(index);
    bool fits = !PyErr_Occurred() && *number >= minimum && *number <= maximum;
    if (!fits) {
        PyErr_Clear();
        PyErr_Format(PyExc_ValueError, "%s must be from %llu to %llu, not %R", name,
                     (unsigned long long)minimum, (unsigned long long)maximum, index);
    }
    Py_DECREF(index);
    return fits;
}

/* As parse_number; what is not given leaves *number as it is. */
static bool parse_optional(const char *name, PyObject *object, uint64_t minimum, uint64_t maximum,
                           uint64_t *number)
{
    return !is_given(object) || parse_number(name, object, minimum, maximum, number);
}

static bool parse_numbers(const struct arguments *a, struct dsq_options *native)
{
    uint64_t flush_interval_ms = 0;
    uint64_t buffer_size = 0;
    if (a->hot_capacity == Py_None) {
        native->hot_capacity = DSQ_UNBOUNDED;
    }
    bool parsed =
        parse_optional("hot_capacity", a->hot_capacity, 1, DSQ_UNBOUNDED - 1,
                       &native->hot_capacity) &&
        parse_optional("hot_bytes", a->hot_bytes, 1, UINT64_MAX, &native->hot_bytes) &&
        parse_optional("queue_bytes", a->queue_bytes, 0, UINT64_MAX, &native->queue_bytes) &&
        parse_optional("flush_interval_ms", a->flush_interval_ms, 0, UINT32_MAX,
                       &flush_interval_ms) &&
        parse_optional("buffer_size", a->buffer_size, 0, UINT32_MAX, &buffer_size);
    native->flush_interval_ms = (uint32_t)flush_interval_ms;
    native->buffer_size = (uint32_t)buffer_size;
    return parsed;
}

struct choice {
    const char *name;
    int value;
};

/* Reads one of the choices, the last of which has no name. */
static bool parse_choice(const char *name, PyObject *object, const struct choice *choices,
                         const char *expected, int *value)
{
    if (!is_given(object)) {
        return true;
    }
    if (!PyUnicode_Check(object)) {
        PyErr_Format(PyExc_TypeError, "%s must be a str, not %.200s", name,
                     Py_TYPE(object)->tp_name);
        return false;
    }
    for (const struct choice *choice = choices; choice->name != NULL; choice++) {
        if (PyUnicode_CompareWithASCIIString(object, choice->name) == 0) {
            *value = choice->value;
            return true;
        }
    }
    PyErr_Format(PyExc_ValueError, "%s must be %s, not %R", name, expected, object);
    return false;
}

static bool parse_choices(const struct arguments *a, struct dsq_options *native)
{
    static const struct choice modes[] = {{"writethrough", DSQ_MODE_WRITETHROUGH},
                                          {"lazy", DSQ_MODE_LAZY},
                                          {"memory", DSQ_MODE_MEMORY},
                                          {NULL, 0}};
    static const struct choice synchronous[] = {
        {"full", DSQ_SYNCHRONOUS_FULL}, {"normal", DSQ_SYNCHRONOUS_NORMAL}, {NULL, 0}};
    static const struct choice ciphers[] = {{"aes-256-gcm", DSQ_CIPHER_AES256GCM},
                                            {"xchacha20-poly1305", DSQ_CIPHER_XCHACHA20POLY1305},
                                            {NULL, 0}};
    return parse_choice("persist_mode", a->persist_mode, modes,
                        "'writethrough', 'lazy' or 'memory'", &native->persist_mode) &&
           parse_choice("synchronous", a->synchronous, synchronous, "'full' or 'normal'",
                        &native->synchronous) &&
           parse_choice("cipher", a->cipher, ciphers, "'aes-256-gcm' or 'xchacha20-poly1305'",
                        &native->cipher);
}

bool dsq_py_options_parse(PyObject *args, PyObject *kwargs, struct dsq_py_options *options)
{
    struct arguments a;
    *options = (struct dsq_py_options){.value_cache_bytes = DSQ_PY_DEFAULT_VALUE_CACHE_BYTES};
    if (!parse_arguments(args, kwargs, &a) || !parse_choices(&a, &options->native) ||
        !parse_numbers(&a, &options->native) ||
        !parse_optional("value_cache_bytes", a.value_cache_bytes, 0, UINT64_MAX,
                        &options->value_cache_bytes) ||
        !dsq_py_codec_name(a.values.storage_mode, options->value_format) ||
        !PyUnicode_FSConverter(a.path, &options->encoded)) {
        return false;
    }
    options->values = a.values;
    options->native.value_format = options->value_format[0] != '\0' ? options->value_format : NULL;
    if (strcmp(PyBytes_AS_STRING(options->encoded), ":memory:") == 0) {
        options->native.persist_mode = DSQ_MODE_MEMORY;
    }
    options->native.manual_flush = !a.enable_async;
    options->native.readonly = a.readonly;
    options->native.must_exist = !a.create;
    Py_INCREF(a.path);
    options->path = a.path;
    if (is_given(a.encryption_password) &&
        !dsq_py_password_take(&options->password, "encryption_password", a.encryption_password)) {
        dsq_py_options_release(options);
        return false;
    }
    options->native.password = options->password.bytes;
    options->native.password_size = options->password.size;
    return true;
}

void dsq_py_options_release(struct dsq_py_options *options)
{
    Py_CLEAR(options->path);
    Py_CLEAR(options->encoded);
    dsq_py_password_release(&options->password);
}
