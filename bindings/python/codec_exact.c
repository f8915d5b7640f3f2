#include "bindings/python/codec_exact.h"

/* A container on the way to what is looked at. */
struct level {
    PyObject
        *container; /* borrowed: no Python code runs in here, so that everything stays as it is */
    PyObject *iterator; /* of a set */
    PyObject *value;    /* of a dict: it comes after the key that has come */
    Py_ssize_t position;
};

struct walk {
    struct level levels[DSQ_PY_CODEC_DEPTH_MAX];
    int depth;
    PyObject *refused;
};

static bool look_at_leaf(const struct walk *walk, PyObject *object)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(walk->refused); i++) {
        if ((PyObject *)Py_TYPE(object) == PyTuple_GET_ITEM(walk->refused, i)) {
            PyErr_Format(PyExc_TypeError, "msgpack cannot store a value of type %.200s",
                         Py_TYPE(object)->tp_name);
            return false;
        }
    }
    return true;
}

static bool enter(struct walk *walk, PyObject *container)
{
    if (walk->depth == DSQ_PY_CODEC_DEPTH_MAX) {
        PyErr_Format(
            PyExc_ValueError,
            "msgpack cannot store a value of more than %d levels, or one that holds itself",
            DSQ_PY_CODEC_DEPTH_MAX);
        return false;
    }
    struct level level = {.container = container};
    if (PyAnySet_CheckExact(container)) {
        level.iterator = PyObject_GetIter(container);
        if (level.iterator == NULL) {
            return false;
        }
    }
    walk->levels[walk->depth++] = level;
    return true;
}

static void leave(struct walk *walk)
{
    Py_XDECREF(walk->levels[--walk->depth].iterator);
}

/* Looks at an object, or goes into it. */
static bool look_at(struct walk *walk, PyObject *object)
{
    if (PyUnicode_CheckExact(object) || PyLong_CheckExact(object) || PyBytes_CheckExact(object)) {
        return true;
    }
    bool is_container = PyList_CheckExact(object) || PyTuple_CheckExact(object) ||
                        PyDict_CheckExact(object) || PyAnySet_CheckExact(object);
    return is_container ? enter(walk, object) : look_at_leaf(walk, object);
}

/* The next object in a container, borrowed; NULL at its end, or with an exception. */
static PyObject *next_of(struct level *level)
{
    if (level->iterator != NULL) {
        PyObject *item = PyIter_Next(level->iterator);
        Py_XDECREF(item); /* the set has it still */
        return item;
    }
    if (PyDict_CheckExact(level->container)) {
        PyObject *key;
        PyObject *value = level->value;
        level->value = NULL;
        if (value != NULL) {
            return value;
        }
        return PyDict_Next(level->container, &level->position, &key, &level->value) ? key : NULL;
    }
    return level->position < PySequence_Fast_GET_SIZE(level->container)
               ? PySequence_Fast_GET_ITEM(level->container, level->position++)
               : NULL;
}

bool dsq_py_codec_is_exact(PyObject *value, PyObject *refused)
{
    struct walk walk;
    walk.depth = 0;
    walk.refused = refused;
    bool is_exact = look_at(&walk, value);
    while (is_exact && walk.depth > 0) {
        PyObject *object = next_of(&walk.levels[walk.depth - 1]);
        if (object != NULL) {
            is_exact = look_at(&walk, object);
        } else {
            leave(&walk);
            is_exact = !PyErr_Occurred();
        }
    }
    while (walk.depth > 0) {
        leave(&walk);
    }
    return is_exact;
}
