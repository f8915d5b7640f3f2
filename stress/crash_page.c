#include "stress/crash_page.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stress/random.h"

#define PAYLOAD_BYTES_MAX (CRASH_VALUE_BYTES_MAX - sizeof(struct crash_value))

enum crash_action crash_action(const struct crash_page *page, uint64_t thread, uint64_t number)
{
    uint64_t draw = stress_mix3(page->seed, thread, number) % 8;
    if (draw == 0) {
        return CRASH_BATCH;
    }
    return draw <= 2 ? CRASH_DELETE : CRASH_PUT;
}

size_t crash_key_encode(uint64_t thread, uint64_t key, char bytes[CRASH_KEY_BYTES])
{
    return (size_t)snprintf(bytes, CRASH_KEY_BYTES, "thread %" PRIu64 " key %" PRIu64, thread, key);
}

bool crash_key_decode(const char *name, uint64_t *thread, uint64_t *key)
{
    static const char head[] = "thread ";
    static const char middle[] = " key ";
    char *end;
    if (strncmp(name, head, strlen(head)) != 0) {
        return false;
    }
    *thread = strtoull(name + strlen(head), &end, 10);
    if (strncmp(end, middle, strlen(middle)) != 0) {
        return false;
    }
    *key = strtoull(end + strlen(middle), &end, 10);
    return *end == '\0' && *thread < CRASH_THREADS_MAX && *key < CRASH_THREAD_KEYS;
}

static size_t payload_size(const struct crash_value *value)
{
    return stress_mix3(value->thread, value->key, value->number) % PAYLOAD_BYTES_MAX;
}

static uint64_t value_checksum(const unsigned char *bytes, size_t size)
{
    return stress_checksum(bytes + sizeof(uint64_t), size - sizeof(uint64_t));
}

size_t crash_value_encode(const struct crash_value *value,
                          unsigned char bytes[CRASH_VALUE_BYTES_MAX])
{
    size_t payload = payload_size(value);
    size_t size = sizeof *value + payload;
    memcpy(bytes, value, sizeof *value);
    memset(bytes + sizeof *value, (int)(value->number & 0xff), payload);
    uint64_t checksum = value_checksum(bytes, size);
    memcpy(bytes, &checksum, sizeof checksum);
    return size;
}

bool crash_value_decode(const void *bytes, size_t size, uint64_t thread, uint64_t key,
                        struct crash_value *value)
{
    if (size < sizeof *value) {
        return false;
    }
    memcpy(value, bytes, sizeof *value);
    return value->thread == thread && value->key == key &&
           size == sizeof *value + payload_size(value) &&
           value->checksum == value_checksum(bytes, size);
}

static bool writes_key(const struct crash_page *page, uint64_t thread, uint64_t key,
                       uint64_t number)
{
    bool batch = crash_action(page, thread, number) == CRASH_BATCH;
    if (key >= CRASH_RING_KEYS) {
        return batch;
    }
    return !batch && number % CRASH_RING_KEYS == key;
}

uint64_t crash_expected(const struct crash_page *page, uint64_t thread, uint64_t key, uint64_t last)
{
    for (uint64_t number = last; number > 0; number--) {
        if (writes_key(page, thread, key, number)) {
            return crash_action(page, thread, number) == CRASH_DELETE ? 0 : number;
        }
    }
    return 0;
}
