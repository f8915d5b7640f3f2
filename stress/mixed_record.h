/* The keys and the self-describing values of stress/mixed. */
#ifndef DSQ_STRESS_MIXED_RECORD_H
#define DSQ_STRESS_MIXED_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MIXED_KEY_BYTES_MAX 64
#define MIXED_VALUE_BYTES_MAX 8192
#define MIXED_KEY_DIGITS 8

/*
 * Key 0 is the empty string; every other is its number in MIXED_KEY_DIGITS digits and up to some
 * dozens of bytes, zeros among them.
 */
size_t mixed_key_encode(uint64_t key, unsigned char bytes[MIXED_KEY_BYTES_MAX]);

/* False if no key is encoded so. */
bool mixed_key_decode(const void *bytes, size_t size, uint64_t *key);

/* Begins every value; a payload of a length and contents drawn from key and version follows. */
struct mixed_stamp {
    uint64_t checksum; /* of all that follows, payload included */
    uint64_t key;
    uint64_t writer;
    uint64_t version;
    uint64_t size; /* of the whole value */
};

/* Fills value and returns its size. */
size_t mixed_value_encode(uint64_t key, uint64_t writer, uint64_t version,
                          unsigned char value[MIXED_VALUE_BYTES_MAX]);

/* False if the bytes are not, whole and unchanged, a value that mixed_value_encode made. */
bool mixed_value_decode(const void *value, size_t size, struct mixed_stamp *stamp);

#endif
