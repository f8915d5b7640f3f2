#include "bindings/python/safe_pickle_policy.h"

#include "bindings/python/module.h"

/* clang-format off */
static const struct dsq_pickle_builtin builtins[] = {
    {"builtins", "bool", "builtins", DSQ_PICKLE_CLASS, NULL},
    {"builtins", "bytearray", "builtins", DSQ_PICKLE_CLASS, "|y|s2"},
    {"builtins", "bytes", "builtins", DSQ_PICKLE_CLASS, ""},
    {"builtins", "complex", "builtins", DSQ_PICKLE_CLASS, "ff"},
    {"builtins", "dict", "builtins", DSQ_PICKLE_CLASS, NULL},
    {"builtins", "float", "builtins", DSQ_PICKLE_CLASS, NULL},
    {"builtins", "frozenset", "builtins", DSQ_PICKLE_CLASS, "L"},
    {"builtins", "int", "builtins", DSQ_PICKLE_CLASS, NULL},
    {"builtins", "list", "builtins", DSQ_PICKLE_CLASS, NULL},
    {"builtins", "object", "builtins", DSQ_PICKLE_CLASS | DSQ_PICKLE_NEW, NULL},
    {"builtins", "range", "builtins", DSQ_PICKLE_CLASS, "jjj"},
    {"builtins", "set", "builtins", DSQ_PICKLE_CLASS, "L"},
    {"builtins", "slice", "builtins", DSQ_PICKLE_CLASS, "vvv"},
    {"builtins", "str", "builtins", DSQ_PICKLE_CLASS, NULL},
    {"builtins", "tuple", "builtins", DSQ_PICKLE_CLASS, NULL},
    {"_codecs", "encode", "_codecs", 0, "s1"},
    {"copyreg", "_reconstructor", "copyreg", 0, NULL},
    {"collections", "Counter", "collections", DSQ_PICKLE_CLASS, "M"},
    {"collections", "OrderedDict", "collections", DSQ_PICKLE_CLASS | DSQ_PICKLE_TAKES_ITEMS, ""},
    {"collections", "defaultdict", "collections", DSQ_PICKLE_CLASS | DSQ_PICKLE_TAKES_ITEMS, "|n|c"},
    {"collections", "deque", "collections", DSQ_PICKLE_CLASS | DSQ_PICKLE_TAKES_MEMBERS, "|e|ei"},
    {"datetime", "date", "datetime", DSQ_PICKLE_CLASS, "D"},
    {"datetime", "datetime", "datetime", DSQ_PICKLE_CLASS, "P|Pz"},
    {"datetime", "time", "datetime", DSQ_PICKLE_CLASS, "T|Tz"},
    {"datetime", "timedelta", "datetime", DSQ_PICKLE_CLASS, "iii"},
    {"datetime", "timezone", "datetime", DSQ_PICKLE_CLASS, "m|ms"},
    {"decimal", "Decimal", "decimal", DSQ_PICKLE_CLASS, "s"},
    {"fractions", "Fraction", "fractions", DSQ_PICKLE_CLASS, "q|jj"},
    {"ipaddress", "IPv4Address", "ipaddress", DSQ_PICKLE_CLASS, "s|i"},
    {"ipaddress", "IPv4Interface", "ipaddress", DSQ_PICKLE_CLASS, "s"},
    {"ipaddress", "IPv4Network", "ipaddress", DSQ_PICKLE_CLASS, "s"},
    {"ipaddress", "IPv6Address", "ipaddress", DSQ_PICKLE_CLASS, "s|i"},
    {"ipaddress", "IPv6Interface", "ipaddress", DSQ_PICKLE_CLASS, "s"},
    {"ipaddress", "IPv6Network", "ipaddress", DSQ_PICKLE_CLASS, "s"},
    {"pathlib", "PurePosixPath", "pathlib", DSQ_PICKLE_CLASS, "s*"},
    {"pathlib", "PureWindowsPath", "pathlib", DSQ_PICKLE_CLASS, "s*"},
    /* Where Python 3.13 says that they are. */
    {"pathlib._local", "PurePosixPath", "pathlib", DSQ_PICKLE_CLASS, "s*"},
    {"pathlib._local", "PureWindowsPath", "pathlib", DSQ_PICKLE_CLASS, "s*"},
    {"uuid", "UUID", "uuid", DSQ_PICKLE_CLASS | DSQ_PICKLE_NEW | DSQ_PICKLE_INT_STATE, NULL},
};

/* What no listed class may be or derive from, by the names that these classes go by. */
static const struct {
    const char *module, *name;
} machinery[] = {
    {"builtins", "type"}, {"builtins", "module"}, {"builtins", "map"}, {"builtins", "filter"},
    {"builtins", "memoryview"}, {"functools", "partial"}, {"functools", "partialmethod"},
    {"operator", "attrgetter"}, {"operator", "itemgetter"}, {"operator", "methodcaller"},
    {"_pickle", "Unpickler"}, {"_pickle", "Pickler"}, {"pickle", "_Unpickler"},
    {"pickle", "_Pickler"}, {"_io", "_IOBase"}, {"_pyio", "IOBase"}, {"mmap", "mmap"},
    {"subprocess", "Popen"}, {"threading", "Thread"}, {"multiprocessing.process", "BaseProcess"},
    {"concurrent.futures._base", "Executor"}, {"_socket", "socket"}, {"_ssl", "_SSLContext"},
    {"_ctypes", "_CData"}, {"ctypes", "CDLL"}, {"ctypes", "LibraryLoader"},
    {"code", "InteractiveInterpreter"}, {"bdb", "Bdb"}, {"trace", "Trace"}, {"timeit", "Timer"},
    {"profile", "Profile"}, {"_lsprof", "Profiler"}, {"sched", "scheduler"},
    {"_frozen_importlib_external", "FileLoader"}, {"zipimport", "zipimporter"},
    {"logging", "Handler"}, {"sqlite3", "Connection"}, {"shelve", "Shelf"},
    {"tempfile", "_TemporaryFileWrapper"}, {"tempfile", "TemporaryDirectory"},
    {"zipfile", "ZipFile"}, {"tarfile", "TarFile"}, {"weakref", "finalize"},
    {"contextlib", "ExitStack"}, {"dictsqlite", "DictSQLite"},
};
/* clang-format on */

/* Bytes of a module's and an attribute's name. */
enum { NAME_BYTES_MAX = 1000 };

static int refuse(const char **reason, const char *why)
{
    *reason = why;
    return 0;
}

static bool is_reserved(PyObject *name)
{
    static const char *const modules[] = {"builtins", "copyreg", "_codecs", "__builtin__",
                                          "copy_reg"};
    const char *text = PyUnicode_AsUTF8(name);
    for (size_t i = 0; text != NULL && i < sizeof modules / sizeof modules[0]; i++) {
        size_t size = strlen(modules[i]);
        if (strncmp(text, modules[i], size) == 0 && (text[size] == '\0' || text[size] == '.')) {
            return true;
        }
    }
    PyErr_Clear();
    return false;
}

/* Identifiers with dots between them, and one more dot at the end if it is that of a package. */
static bool is_module_name(PyObject *text)
{
    Py_ssize_t length = PyUnicode_GET_LENGTH(text);
    Py_ssize_t start = 0;
    while (start < length) {
        Py_ssize_t dot = PyUnicode_FindChar(text, '.', start, length, 1);
        PyObject *part = PyUnicode_Substring(text, start, dot < 0 ? length : dot);
        bool good = part != NULL && PyUnicode_IsIdentifier(part) == 1;
        Py_XDECREF(part);
        if (!good) {
            return false;
        }
        start = dot < 0 ? length : dot + 1;
    }
    return length != 0;
}

static bool add_name(PyObject *policy, PyObject *name)
{
    if (!PyUnicode_Check(name)) {
        PyErr_Format(PyExc_TypeError, "allowed_modules must hold str, not %.200s",
                     Py_TYPE(name)->tp_name);
        return false;
    }
    if (!is_module_name(name)) {
        if (!PyErr_Occurred()) {
            PyErr_Format(PyExc_ValueError, "%R is not the name of a module", name);
        }
        return false;
    }
    if (is_reserved(name)) {
        PyErr_Format(PyExc_ValueError,
                     "%R cannot be listed: the built-in list says what of it "
                     "is allowed",
                     name);
        return false;
    }
    return PySet_Add(policy, name) == 0;
}

PyObject *dsq_pickle_policy(PyObject *allowed_modules)
{
    if (allowed_modules == NULL || allowed_modules == Py_None) {
        return PyFrozenSet_New(NULL);
    }
    if (PyUnicode_Check(allowed_modules) || PyObject_CheckBuffer(allowed_modules)) {
        PyErr_Format(PyExc_TypeError, "allowed_modules must be a collection of str, not %.200s",
                     Py_TYPE(allowed_modules)->tp_name);
        return NULL;
    }
    PyObject *names = PySequence_Tuple(allowed_modules);
    PyObject *policy = names != NULL ? PyFrozenSet_New(NULL) : NULL;
    PyObject *made = policy != NULL ? PySet_New(NULL) : NULL;
    Py_CLEAR(policy);
    for (Py_ssize_t i = 0; made != NULL && i < PyTuple_GET_SIZE(names); i++) {
        if (!add_name(made, PyTuple_GET_ITEM(names, i))) {
            Py_CLEAR(made);
        }
    }
    policy = made != NULL ? PyFrozenSet_New(made) : NULL;
    Py_XDECREF(made);
    Py_XDECREF(names);
    return policy;
}

static bool equals(PyObject *text, const char *word)
{
    return PyUnicode_CompareWithASCIIString(text, word) == 0;
}

static const struct dsq_pickle_builtin *find_builtin(PyObject *module, PyObject *name)
{
    for (size_t i = 0; i < sizeof builtins / sizeof builtins[0]; i++) {
        if (equals(name, builtins[i].name) && equals(module, builtins[i].module)) {
            return &builtins[i];
        }
    }
    return NULL;
}

/* How a policy comes to cover a name. */
enum cover { COVER_ERROR = -1, COVER_NONE, COVER_NAME, COVER_MODULE, COVER_PACKAGE };

static enum cover covered_as(PyObject *policy, PyObject *entry, enum cover cover)
{
    int found = entry != NULL ? PySet_Contains(policy, entry) : -1;
    Py_XDECREF(entry);
    return found < 0 ? COVER_ERROR : found ? cover : COVER_NONE;
}

static enum cover cover_of(PyObject *policy, PyObject *module, PyObject *name)
{
    enum cover cover = covered_as(policy, PyUnicode_FromFormat("%U.%U", module, name), COVER_NAME);
    if (cover == COVER_NONE) {
        Py_INCREF(module);
        cover = covered_as(policy, module, COVER_MODULE);
    }
    Py_ssize_t length = PyUnicode_GET_LENGTH(module);
    Py_ssize_t dot = -1;
    while (cover == COVER_NONE) {
        dot = PyUnicode_FindChar(module, '.', dot + 1, length, 1);
        if (dot < 0) {
            break;
        }
        cover = covered_as(policy, PyUnicode_Substring(module, 0, dot + 1), COVER_PACKAGE);
    }
    return cover;
}

/*
 * The module's own attribute, borrowed from its dict, and never what a __getattr__ of the module
 * makes up.  NULL without an exception if there is none.
 */
static PyObject *attribute_of(PyObject *module, PyObject *name)
{
    return PyModule_Check(module) ? PyDict_GetItemWithError(PyModule_GetDict(module), name) : NULL;
}

static bool has_text(PyObject *object, const char *attribute, PyObject *expected)
{
    PyObject *text = dsq_py_get_attribute(object, attribute);
    bool same =
        text != NULL && PyUnicode_CheckExact(text) && PyUnicode_Compare(text, expected) == 0;
    Py_XDECREF(text);
    PyErr_Clear();
    return same;
}

static bool goes_by(PyObject *object, const char *module, const char *name)
{
    PyObject *texts[2] = {dsq_py_get_attribute(object, "__module__"),
                          dsq_py_get_attribute(object, "__qualname__")};
    bool same = texts[0] != NULL && texts[1] != NULL && PyUnicode_Check(texts[0]) &&
                PyUnicode_Check(texts[1]) && equals(texts[0], module) && equals(texts[1], name);
    Py_XDECREF(texts[0]);
    Py_XDECREF(texts[1]);
    PyErr_Clear();
    return same;
}

static bool derives_from(PyTypeObject *type, const char *module, const char *name)
{
    PyObject *bases = type->tp_mro;
    for (Py_ssize_t i = 0; bases != NULL && i < PyTuple_GET_SIZE(bases); i++) {
        const char *base_name = ((PyTypeObject *)PyTuple_GET_ITEM(bases, i))->tp_name;
        const char *last = strrchr(base_name, '.');
        if (strcmp(last != NULL ? last + 1 : base_name, name) == 0 &&
            goes_by(PyTuple_GET_ITEM(bases, i), module, name)) {
            return true;
        }
    }
    return false;
}

static bool is_machinery(PyTypeObject *type)
{
    for (size_t i = 0; i < sizeof machinery / sizeof machinery[0]; i++) {
        if (derives_from(type, machinery[i].module, machinery[i].name)) {
            return true;
        }
    }
    return false;
}

static unsigned traits_of(PyTypeObject *type)
{
    unsigned traits = DSQ_PICKLE_LISTED | DSQ_PICKLE_CLASS;
    bool is_deque = derives_from(type, "collections", "deque");
    if (derives_from(Py_TYPE(type), "enum", "EnumMeta") ||
        derives_from(Py_TYPE(type), "enum", "EnumType")) {
        return traits | DSQ_PICKLE_ENUM_CLASS;
    }
    if (PyType_IsSubtype(type, &PyDict_Type)) {
        traits |= DSQ_PICKLE_TAKES_ITEMS | DSQ_PICKLE_CONTAINER;
    }
    if (PyType_IsSubtype(type, &PyList_Type) || is_deque) {
        traits |= DSQ_PICKLE_TAKES_MEMBERS | DSQ_PICKLE_CONTAINER;
    }
    if (PyType_IsSubtype(type, &PyTuple_Type) || PyType_IsSubtype(type, &PySet_Type) ||
        PyType_IsSubtype(type, &PyFrozenSet_Type)) {
        traits |= DSQ_PICKLE_CONTAINER;
    }
    if (dsq_py_has_attribute((PyObject *)type, "__setstate__") == 1) {
        traits |= DSQ_PICKLE_SETSTATE;
    }
    if (type->tp_dictoffset != 0) {
        traits |= DSQ_PICKLE_HAS_DICT;
    }
    return traits;
}

/*
 * The shapes that a class takes which inherits the constructor of one of these: str decodes with a
 * codec of any name, bytes makes as many as an int says.
 */
static const char *calls_of(const PyTypeObject *type)
{
    if (type->tp_new == PyUnicode_Type.tp_new) {
        return "|s";
    }
    if (type->tp_new == PyBytes_Type.tp_new) {
        return "|y";
    }
    if (type->tp_new == PyLong_Type.tp_new) {
        return "|i";
    }
    return type->tp_init == PyByteArray_Type.tp_init ? "|y|s2" : NULL;
}

/* 1 with the traits, or 0 with the reason. */
static int judge(PyObject *object, PyObject *module, PyObject *name, enum cover cover,
                 unsigned *traits, const char **reason)
{
    if (!has_text(object, "__module__", module) || !has_text(object, "__qualname__", name)) {
        return refuse(reason, "the listed module does not define it");
    }
    if (cover == COVER_NAME && PyFunction_Check(object)) {
        *traits = DSQ_PICKLE_LISTED | DSQ_PICKLE_FUNCTION;
        return 1;
    }
    if (!PyType_Check(object)) {
        return refuse(reason, "it is no class");
    }
    if (is_machinery((PyTypeObject *)object)) {
        return refuse(reason, "it derives from a class that runs code, opens files or makes "
                              "classes");
    }
    *traits = traits_of((PyTypeObject *)object);
    return PyErr_Occurred() ? -1 : 1;
}

/* Only what is listed by its full name is imported: a pickle does not choose what is run. */
static PyObject *module_of(PyObject *module, enum cover cover)
{
    return cover == COVER_PACKAGE ? PyImport_GetModule(module) : PyImport_Import(module);
}

static int lookup_listed(PyObject *policy, PyObject *module, PyObject *name,
                         struct dsq_pickle_global *global, const char **reason)
{
    enum cover cover = PySet_GET_SIZE(policy) != 0 ? cover_of(policy, module, name) : COVER_NONE;
    if (cover == COVER_ERROR) {
        return -1;
    }
    if (cover == COVER_NONE) {
        return refuse(reason, "it is not on the list of what is allowed");
    }
    PyObject *found = module_of(module, cover);
    if (found == NULL) {
        if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_ImportError)) {
            return -1;
        }
        PyErr_Clear();
        return refuse(reason, cover == COVER_PACKAGE ? "its module has not been imported"
                                                     : "its module cannot be imported");
    }
    PyObject *object = attribute_of(found, name);
    int result = object != NULL     ? judge(object, module, name, cover, &global->traits, reason)
                 : PyErr_Occurred() ? -1
                                    : refuse(reason, "its module does not have it");
    if (result == 1) {
        Py_INCREF(object);
        global->object = object;
        global->calls = PyType_Check(object) ? calls_of((PyTypeObject *)object) : NULL;
    }
    Py_DECREF(found);
    return result;
}

/* Names as they were in Python 2, as the unpicklers of Python 3 read them.  New references. */
static bool map_names(const struct dsq_py_safe_pickle *state, PyObject **module, PyObject **name)
{
    PyObject *pair = PyTuple_Pack(2, *module, *name);
    PyObject *mapped = pair != NULL ? PyDict_GetItemWithError(state->name_mapping, pair) : NULL;
    Py_XDECREF(pair);
    PyObject *new_module = *module;
    PyObject *new_name = *name;
    if (mapped != NULL) {
        if (!PyTuple_Check(mapped) || PyTuple_GET_SIZE(mapped) != 2) {
            PyErr_SetString(PyExc_RuntimeError, "_compat_pickle.NAME_MAPPING is broken");
            return false;
        }
        new_module = PyTuple_GET_ITEM(mapped, 0);
        new_name = PyTuple_GET_ITEM(mapped, 1);
    } else if (!PyErr_Occurred()) {
        mapped = PyDict_GetItemWithError(state->import_mapping, *module);
        new_module = mapped != NULL ? mapped : *module;
    }
    if (PyErr_Occurred()) {
        return false;
    }
    Py_INCREF(new_module);
    Py_INCREF(new_name);
    *module = new_module;
    *name = new_name;
    return true;
}

static int lookup_mapped(PyObject *policy, PyObject *module, PyObject *name,
                         struct dsq_pickle_global *global, const char **reason)
{
    *global = (struct dsq_pickle_global){.builtin = find_builtin(module, name)};
    if (global->builtin != NULL) {
        global->traits = global->builtin->traits;
        global->calls = global->builtin->calls;
        return 1;
    }
    if (PyUnicode_GET_LENGTH(module) + PyUnicode_GET_LENGTH(name) > NAME_BYTES_MAX) {
        return refuse(reason, "its name is too long");
    }
    if (PyUnicode_FindChar(name, '.', 0, PyUnicode_GET_LENGTH(name), 1) >= 0) {
        return refuse(reason, "its name has a dot");
    }
    if (PyUnicode_IsIdentifier(name) != 1) {
        return refuse(reason, "its name is no identifier");
    }
    if (PyUnicode_GET_LENGTH(name) >= 2 && PyUnicode_READ_CHAR(name, 0) == '_' &&
        PyUnicode_READ_CHAR(name, 1) == '_') {
        return refuse(reason, "its name is one of Python's own");
    }
    return lookup_listed(policy, module, name, global, reason);
}

int dsq_pickle_lookup(const struct dsq_py_safe_pickle *state, PyObject *policy, unsigned protocol,
                      PyObject *module, PyObject *name, struct dsq_pickle_global *global,
                      const char **reason)
{
    if (protocol >= 3) {
        return lookup_mapped(policy, module, name, global, reason);
    }
    if (!map_names(state, &module, &name)) {
        return -1;
    }
    int result = lookup_mapped(policy, module, name, global, reason);
    Py_DECREF(module);
    Py_DECREF(name);
    return result;
}

PyObject *dsq_pickle_global_object(const struct dsq_pickle_global *global)
{
    if (global->object != NULL) {
        Py_INCREF(global->object);
        return global->object;
    }
    PyObject *module = PyImport_ImportModule(global->builtin->home);
    PyObject *object = module != NULL ? dsq_py_get_attribute(module, global->builtin->name) : NULL;
    Py_XDECREF(module);
    if (object != NULL && (global->traits & DSQ_PICKLE_CLASS) && !PyType_Check(object)) {
        Py_CLEAR(object);
        PyErr_Format(PyExc_TypeError, "%s.%s is no class", global->builtin->home,
                     global->builtin->name);
    }
    return object;
}
