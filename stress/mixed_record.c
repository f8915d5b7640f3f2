#include "stress/mixed_record.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "stress/random.h"

#define SUFFIX_BYTES_MAX 40
/* One value in so many is long enough to leave the page of its neighbours. */
#define LONG_VALUE_ODDS 64
#define SHORT_PAYLOAD_BYTES 160

_Static_assert(MIXED_KEY_DIGITS + SUFFIX_BYTES_MAX < MIXED_KEY_BYTES_MAX, "a key fits its buffer");

size_t mixed_key_encode(uint64_t key, unsigned char bytes[MIXED_KEY_BYTES_MAX])
{
    if (key == 0) {
        return 0;
    }
    char digits[24];
    snprintf(digits, sizeof digits, "%0*" PRIu64, MIXED_KEY_DIGITS, key);
    memcpy(bytes, digits, MIXED_KEY_DIGITS);
    size_t suffix = stress_mix(key) % SUFFIX_BYTES_MAX;
    for (size_t i = 0; i < suffix; i++) {
        bytes[MIXED_KEY_DIGITS + i] = (unsigned char)(stress_mix3(key, i, 0) % 5);
    }
    return MIXED_KEY_DIGITS + suffix;
}

bool mixed_key_decode(const void *bytes, size_t size, uint64_t *key)
{
    const unsigned char *digits = bytes;
    unsigned char expected[MIXED_KEY_BYTES_MAX];
    *key = 0;
    for (size_t i = 0; i < MIXED_KEY_DIGITS && i < size; i++) {
        *key = *key * 10 + (uint64_t)(digits[i] - '0');
    }
    size_t expected_size = mixed_key_encode(*key, expected);
    return size == expected_size && (size == 0 || memcmp(bytes, expected, size) == 0);
}

static size_t payload_size(uint64_t key, uint64_t version)
{
    uint64_t draw = stress_mix3(key, version, 1);
    size_t limit = SHORT_PAYLOAD_BYTES;
    if (draw % LONG_VALUE_ODDS == 0) {
        limit = MIXED_VALUE_BYTES_MAX - sizeof(struct mixed_stamp);
    }
    return (draw >> 32) % limit;
}

static uint64_t value_checksum(const unsigned char *value, size_t size)
{
    return stress_checksum(value + sizeof(uint64_t), size - sizeof(uint64_t));
}

size_t mixed_value_encode(uint64_t key, uint64_t writer, uint64_t version,
                          unsigned char value[MIXED_VALUE_BYTES_MAX])
{
    size_t payload = payload_size(key, version);
    struct mixed_stamp stamp = {
        .key = key, .writer = writer, .version = version, .size = sizeof stamp + payload};
    struct stress_random bytes = {.state = stress_mix3(key, version, 2)};
    for (size_t i = 0; i < payload; i++) {
        value[sizeof stamp + i] = (unsigned char)stress_random_next(&bytes);
    }
    memcpy(value, &stamp, sizeof stamp);
    stamp.checksum = value_checksum(value, stamp.size);
    memcpy(value, &stamp.checksum, sizeof stamp.checksum);
    return stamp.size;
}

bool mixed_value_decode(const void *value, size_t size, struct mixed_stamp *stamp)
{
    if (size < sizeof *stamp) {
        return false;
    }
    memcpy(stamp, value, sizeof *stamp);
    return stamp->size == size && stamp->checksum == value_checksum(value, size) &&
           size == sizeof *stamp + payload_size(stamp->key, stamp->version);
}
