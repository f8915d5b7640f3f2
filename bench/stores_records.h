/* The records of bench/stores: numbered; the key is a permutation of the number, the value names it. */
#ifndef DSQ_BENCH_STORES_RECORDS_H
#define DSQ_BENCH_STORES_RECORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/stores_ops.h"

/* Number, stamp and check; bytes that say nothing are between them. */
#define STORE_VALUE_BYTES_MIN 24
#define STORE_VALUE_BYTES_MAX ((uint64_t)1 << 20)
#define STORE_SCAN_MAX 100

struct store_records {
    uint64_t seed;
    uint64_t count; /* loaded */
    uint64_t value_bytes;
    uint64_t *sorted;   /* the numbers of those loaded, in the order of their keys */
    uint64_t last_scan; /* hash of the last key from which on there are STORE_SCAN_MAX records */
};

/* False if there is not enough memory; store_records_fini in any case. */
bool store_records_init(struct store_records *records, uint64_t seed, uint64_t count,
                        uint64_t value_bytes);
void store_records_fini(struct store_records *records);

/* Sixteen hexadecimal digits: distinct, and ordered as random as the hash. */
uint64_t store_key_hash(const struct store_records *records, uint64_t number);
void store_key(const struct store_records *records, uint64_t number, char key[STORE_KEY_BYTES]);

/* Fills the value once; afterwards store_value_stamp makes it that of another record or write. */
void store_value_fill(const struct store_records *records, unsigned char *value);
void store_value_stamp(const struct store_records *records, uint64_t number, uint64_t stamp,
                       unsigned char *value);

/* Whether the bytes are a whole value, and of which record. */
bool store_value_read(const struct store_records *records, const unsigned char *value, size_t size,
                      uint64_t *number);

struct store_source store_records_source(const struct store_records *records);

#endif
