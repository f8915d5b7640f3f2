#include "bindings/python/progress.h"

bool dsq_py_progress_check(PyObject *progress)
{
    bool usable = progress == Py_None || PyCallable_Check(progress);
    if (!usable) {
        PyErr_Format(PyExc_TypeError, "progress must be callable or None, not %.200s",
                     Py_TYPE(progress)->tp_name);
    }
    return usable;
}

bool dsq_py_progress_call(PyObject *progress, uint64_t done, uint64_t total)
{
    if (progress == Py_None) {
        return true;
    }
    PyObject *answer =
        PyObject_CallFunction(progress, "KK", (unsigned long long)done, (unsigned long long)total);
    bool goes_on = answer == Py_None || (answer != NULL && PyObject_IsTrue(answer) > 0);
    Py_XDECREF(answer);
    return goes_on;
}
