/* A borrowed run of bytes: the shape in which keys and values travel between the layers. */
#ifndef DSQ_CORE_BYTES_H
#define DSQ_CORE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct dsq_bytes {
    const void *data; /* may be NULL when size is 0 */
    size_t size;
};

/* Eight bytes wherever they lie. */
static inline uint64_t dsq_load_u64(const unsigned char *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof value);
    return value;
}

/*
 * Whether two runs of one size are equal.  Keys are short: words compared in line are several times
 * cheaper than a call.
 */
static inline bool dsq_bytes_equal(const unsigned char *a, const unsigned char *b, size_t size)
{
    uint64_t difference = 0;
    size_t i = 0;

    for (; i + sizeof(uint64_t) <= size; i += sizeof(uint64_t)) {
        difference |= dsq_load_u64(a + i) ^ dsq_load_u64(b + i);
    }
    if (i != 0 && i < size) {
        /* The rest, together with some of what was compared already. */
        i = size - sizeof(uint64_t);
        return (difference | (dsq_load_u64(a + i) ^ dsq_load_u64(b + i))) == 0;
    }
    for (; i < size; i++) {
        difference |= (uint64_t)(a[i] ^ b[i]);
    }
    return difference == 0;
}

static inline bool dsq_bytes_are_zeros(const unsigned char *bytes, size_t size)
{
    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

/* Values that are integers: two's complement, least significant byte first, on every machine. */
#define DSQ_INTEGER_BYTES 8

static inline bool dsq_integer_decode(struct dsq_bytes value, int64_t *integer)
{
    const unsigned char *bytes = (const unsigned char *)value.data;
    uint64_t bits = 0;

    if (value.size != DSQ_INTEGER_BYTES) {
        return false;
    }
    for (unsigned i = DSQ_INTEGER_BYTES; i-- > 0;) {
        bits = bits << 8 | bytes[i];
    }
    memcpy(integer, &bits, sizeof *integer);
    return true;
}

static inline void dsq_integer_encode(int64_t integer, unsigned char *bytes)
{
    uint64_t bits = (uint64_t)integer;

    for (unsigned i = 0; i < DSQ_INTEGER_BYTES; i++) {
        bytes[i] = (unsigned char)(bits >> (8 * i));
    }
}

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
