/*
 * Which globals a pickle may name, and what may be done with each.
 *
 * The built-in list is the table in safe_pickle_policy.c: exact names, each with the shapes of the
 * arguments that it may be called with.  A policy adds what the caller lists:
 *   "myapp.models"       the classes that are defined in this module, which is imported if need be
 *   "myapp."             those of the submodules of myapp that are imported already
 *   "myapp.models.make"  one class or Python function, by its name
 * A listed class is trusted: its constructor, its __setstate__ and its __hash__ are called with
 * whatever the pickle says.  Of the modules of the built-in list that hold more than data
 * (builtins, copyreg, _codecs), and of classes that derive from what runs code, opens files or makes
 * classes, nothing can be listed.
 */
#ifndef DSQ_PYTHON_SAFE_PICKLE_POLICY_H
#define DSQ_PYTHON_SAFE_PICKLE_POLICY_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>

struct dsq_py_safe_pickle;

enum dsq_pickle_trait {
    DSQ_PICKLE_CLASS = 1,          /* may be stored, and be a factory or a base */
    DSQ_PICKLE_NEW = 2,            /* __new__ makes an instance, of nothing */
    DSQ_PICKLE_INT_STATE = 4,      /* its state is a dict of ints, of up to 17 bytes */
    DSQ_PICKLE_TAKES_ITEMS = 8,    /* instances take SETITEMS */
    DSQ_PICKLE_TAKES_MEMBERS = 16, /* instances take APPENDS */
    DSQ_PICKLE_LISTED = 32,        /* by the caller: any arguments */
    DSQ_PICKLE_FUNCTION = 64,      /* so listed, and no class */
    DSQ_PICKLE_ENUM_CLASS = 128,   /* so listed: instances are shared, and change no more */
    DSQ_PICKLE_SETSTATE = 256,     /* so listed: takes any state */
    DSQ_PICKLE_HAS_DICT = 1024,    /* so listed: instances have a dict of attributes */
    DSQ_PICKLE_CONTAINER = 512,    /* so listed: == and repr go through instances, in C */
};

/*
 * A row of the built-in list.  calls: the shapes of argument tuples that REDUCE may pass, separated
 * by '|'; NULL: none.  A letter is an argument, a '*' after it any number of them:
 *   n None  i int  j int of up to 4,096 bytes  f float or int  s str  y bytes  L list  M dict
 *   e empty tuple  c class  v None, bool, int, float or str  a anything  q text of a fraction
 *   D T P state of a date, a time, a datetime  m timedelta  z tzinfo
 *   1 the str "latin1"  2 the str "latin-1"
 * What the arguments hold is accounted for as copied; of L and M it is hashed, too.
 */
struct dsq_pickle_builtin {
    const char *module, *name;
    const char *home; /* the module that has it in each version of Python */
    unsigned traits;
    const char *calls;
};

struct dsq_pickle_global {
    unsigned traits;
    const struct dsq_pickle_builtin *builtin; /* NULL: listed */
    const char *calls;                        /* as above; of a listed one NULL: any */
    PyObject *object;                         /* owned; NULL: of the built-in list */
};

/* What a list of the caller's comes to: a new reference, or NULL with TypeError or ValueError. */
PyObject *dsq_pickle_policy(PyObject *allowed_modules);

/*
 * Looks a name up as an unpickler of this protocol would, names of Python 2 included.  1 if it is
 * allowed, 0 if not, with *reason, -1 with an exception.  May import a listed module.
 */
int dsq_pickle_lookup(const struct dsq_py_safe_pickle *state, PyObject *policy, unsigned protocol,
                      PyObject *module, PyObject *name, struct dsq_pickle_global *global,
                      const char **reason);

/* The object itself: a new reference, or NULL with an exception. */
PyObject *dsq_pickle_global_object(const struct dsq_pickle_global *global);

#endif
