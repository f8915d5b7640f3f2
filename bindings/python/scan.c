#include "bindings/python/scan.h"

#include "bindings/python/convert.h"
#include "bindings/python/iterator.h"

/* UTF-8 sorts as the str does: by code points. */
static bool parse_bound(PyObject *object, const void **data, size_t *size)
{
    struct dsq_py_key key;
    if (object == Py_None) {
        return true;
    }
    if (!dsq_py_key_get(object, &key)) {
        return false;
    }
    *data = key.data;
    *size = key.size;
    return true;
}

PyObject *dsq_py_scan(struct dsq_py_db *self, PyObject *prefix, PyObject *start, PyObject *stop,
                      int reverse)
{
    struct dsq_range range = {.descending = reverse};
    if (!parse_bound(prefix, &range.prefix, &range.prefix_size) ||
        !parse_bound(start, &range.start, &range.start_size) ||
        !parse_bound(stop, &range.stop, &range.stop_size)) {
        return NULL;
    }
    return dsq_py_iterator_new(self, DSQ_PY_ITEMS, &range);
}
