/* A borrowed run of bytes: the shape in which keys and values travel between the layers. */
#ifndef DSQ_CORE_BYTES_H
#define DSQ_CORE_BYTES_H

#include <stddef.h>
#include <string.h>

struct dsq_bytes {
    const void *data; /* may be NULL when size is 0 */
    size_t size;
};

/* Orders like SQLite's BLOB collation: memcmp, then the shorter first. */
static inline int dsq_bytes_compare(struct dsq_bytes a, struct dsq_bytes b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common != 0 ? memcmp(a.data, b.data, common) : 0;
    if (order != 0) {
        return order;
    }
    return a.size < b.size ? -1 : a.size > b.size;
}

#endif
