#include "bench/stores_records.h"

#include <stdlib.h>
#include <string.h>

#include "stress/random.h"

uint64_t store_key_hash(const struct store_records *records, uint64_t number)
{
    return stress_mix(stress_mix(records->seed) + number);
}

void store_key(const struct store_records *records, uint64_t number, char key[STORE_KEY_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    uint64_t hash = store_key_hash(records, number);
    for (int i = STORE_KEY_BYTES - 1; i >= 0; i--, hash >>= 4) {
        key[i] = digits[hash & 15];
    }
}

/* ---- values ---- */

static uint64_t check_of(uint64_t number, uint64_t stamp)
{
    return stress_mix(number ^ (stamp << 32));
}

void store_value_fill(const struct store_records *records, unsigned char *value)
{
    struct stress_random random = {records->seed};
    for (uint64_t i = 0; i < records->value_bytes; i++) {
        value[i] = (unsigned char)stress_random_next(&random);
    }
}

void store_value_stamp(const struct store_records *records, uint64_t number, uint64_t stamp,
                       unsigned char *value)
{
    uint64_t check = check_of(number, stamp);
    memcpy(value, &number, sizeof number);
    memcpy(value + sizeof number, &stamp, sizeof stamp);
    memcpy(value + records->value_bytes - sizeof check, &check, sizeof check);
}

bool store_value_read(const struct store_records *records, const unsigned char *value, size_t size,
                      uint64_t *number)
{
    uint64_t stamp;
    uint64_t check;
    if (size != records->value_bytes) {
        return false;
    }
    memcpy(number, value, sizeof *number);
    memcpy(&stamp, value + sizeof *number, sizeof stamp);
    memcpy(&check, value + size - sizeof check, sizeof check);
    return check == check_of(*number, stamp);
}

/* ---- all of them ---- */

struct place {
    uint64_t hash;
    uint64_t number;
};

static int compare_places(const void *left, const void *right)
{
    const struct place *a = left;
    const struct place *b = right;
    return (a->hash > b->hash) - (a->hash < b->hash);
}

bool store_records_init(struct store_records *records, uint64_t seed, uint64_t count,
                        uint64_t value_bytes)
{
    *records = (struct store_records){.seed = seed, .count = count, .value_bytes = value_bytes};
    struct place *places = malloc(count * sizeof *places);
    records->sorted = malloc(count * sizeof *records->sorted);
    if (places == NULL || records->sorted == NULL) {
        free(places);
        return false;
    }
    for (uint64_t i = 0; i < count; i++) {
        places[i] = (struct place){store_key_hash(records, i), i};
    }
    qsort(places, count, sizeof *places, compare_places);
    for (uint64_t i = 0; i < count; i++) {
        records->sorted[i] = places[i].number;
    }
    records->last_scan = places[count - STORE_SCAN_MAX].hash;
    free(places);
    return true;
}

void store_records_fini(struct store_records *records)
{
    free(records->sorted);
}

static void sorted_record(const void *context, uint64_t i, void *key, void *value)
{
    const struct store_records *records = context;
    uint64_t number = records->sorted[i];
    store_key(records, number, key);
    store_value_fill(records, value);
    store_value_stamp(records, number, 0, value);
}

struct store_source store_records_source(const struct store_records *records)
{
    return (struct store_source){.context = records,
                                 .count = records->count,
                                 .value_bytes = records->value_bytes,
                                 .record = sorted_record};
}
