#include "persist/journal.h"

#include <stdlib.h>

#include "core/hash.h"
#include "core/platform.h"

#define HEADER_BYTES 16
#define CHECKSUM_AT 8
#define RECORD_HEADER_BYTES 8
#define DELETE_BIT (UINT32_C(1) << 31)
/* What an empty row keeps of its memory. */
#define KEPT_BYTES ((size_t)4 << 20)

static void store_u32(unsigned char *to, uint32_t value)
{
    for (unsigned i = 0; i < sizeof value; i++) {
        to[i] = (unsigned char)(value >> (8 * i));
    }
}

static uint32_t load_u32(const unsigned char *from)
{
    return (uint32_t)from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 |
           (uint32_t)from[3] << 24;
}

static uint64_t load_u64(const unsigned char *from)
{
    return load_u32(from) | (uint64_t)load_u32(from + 4) << 32;
}

/* The format, the count and the number go in as the seed: a row in a wrong place does not match. */
static uint64_t checksum(const unsigned char *bytes, size_t size, uint64_t number)
{
    struct dsq_bytes payload = {bytes + HEADER_BYTES, size - HEADER_BYTES};

    return dsq_checksum(payload, dsq_checksum((struct dsq_bytes){bytes, CHECKSUM_AT}, number));
}

static bool reserve(struct dsq_journal_row *row, size_t more)
{
    unsigned char *bytes;
    size_t capacity;

    if (row->size + more <= row->capacity) {
        return true;
    }
    capacity = dsq_next_power_of_two(row->size + more);
    bytes = realloc(row->bytes, capacity);
    if (bytes == NULL) {
        return false;
    }
    row->bytes = bytes;
    row->capacity = capacity;
    return true;
}

static void append(struct dsq_journal_row *row, struct dsq_bytes bytes)
{
    if (bytes.size != 0) {
        memcpy(row->bytes + row->size, bytes.data, bytes.size);
        row->size += bytes.size;
    }
}

bool dsq_journal_row_add(struct dsq_journal_row *row, const struct dsq_record *record)
{
    size_t header = row->size == 0 ? HEADER_BYTES : 0;
    uint32_t mark = record->kind == DSQ_RECORD_TOMBSTONE ? DELETE_BIT : 0;

    if (!reserve(row, header + RECORD_HEADER_BYTES + record->key_size + record->value_size)) {
        return false;
    }
    row->size += header;
    store_u32(row->bytes + row->size, record->key_size | mark);
    store_u32(row->bytes + row->size + 4, record->value_size);
    row->size += RECORD_HEADER_BYTES;
    append(row, dsq_record_key(record));
    append(row, dsq_record_value(record));
    row->records++;
    return true;
}

struct dsq_bytes dsq_journal_row_seal(struct dsq_journal_row *row, uint64_t number)
{
    uint64_t sum;

    store_u32(row->bytes, DSQ_JOURNAL_FORMAT);
    store_u32(row->bytes + 4, row->records);
    sum = checksum(row->bytes, row->size, number);
    store_u32(row->bytes + CHECKSUM_AT, (uint32_t)sum);
    store_u32(row->bytes + CHECKSUM_AT + 4, (uint32_t)(sum >> 32));
    return (struct dsq_bytes){row->bytes, row->size};
}

void dsq_journal_row_clear(struct dsq_journal_row *row)
{
    if (row->capacity > KEPT_BYTES) {
        dsq_journal_row_fini(row);
    }
    row->size = 0;
    row->records = 0;
}

void dsq_journal_row_fini(struct dsq_journal_row *row)
{
    free(row->bytes);
    *row = (struct dsq_journal_row){0};
}

struct parsed {
    enum dsq_record_kind kind;
    struct dsq_bytes key;
    struct dsq_bytes value;
};

/* Takes one record off the front of *rest; false if it does not fit in there, or is none of ours. */
static bool parse(struct dsq_bytes *rest, struct parsed *record)
{
    const unsigned char *at = rest->data;
    uint32_t key_size;
    uint32_t value_size;

    if (rest->size < RECORD_HEADER_BYTES) {
        return false;
    }
    key_size = load_u32(at) & ~DELETE_BIT;
    value_size = load_u32(at + 4);
    if (rest->size - RECORD_HEADER_BYTES < (uint64_t)key_size + value_size) {
        return false;
    }
    record->kind = (load_u32(at) & DELETE_BIT) != 0 ? DSQ_RECORD_TOMBSTONE : DSQ_RECORD_VALUE;
    if (record->kind == DSQ_RECORD_TOMBSTONE && value_size != 0) {
        return false;
    }
    at += RECORD_HEADER_BYTES;
    record->key = (struct dsq_bytes){at, key_size};
    record->value = (struct dsq_bytes){at + key_size, value_size};
    rest->data = at + key_size + value_size;
    rest->size -= RECORD_HEADER_BYTES + (size_t)key_size + value_size;
    return true;
}

static bool is_sound(struct dsq_bytes bytes, uint64_t number)
{
    const unsigned char *at = bytes.data;

    return bytes.size > HEADER_BYTES && load_u32(at) == DSQ_JOURNAL_FORMAT &&
           load_u64(at + CHECKSUM_AT) == checksum(at, bytes.size, number);
}

/* Whether the records fill the row exactly. */
static bool is_whole(struct dsq_bytes records, uint32_t count)
{
    struct parsed record;

    for (uint32_t i = 0; i < count; i++) {
        if (!parse(&records, &record)) {
            return false;
        }
    }
    return records.size == 0;
}

bool dsq_journal_row_read(struct dsq_bytes bytes, uint64_t number, dsq_journal_visitor visitor,
                          void *context)
{
    const unsigned char *at = bytes.data;
    struct dsq_bytes rest;
    struct parsed record;
    uint32_t count;

    if (!is_sound(bytes, number)) {
        return false;
    }
    count = load_u32(at + 4);
    rest = (struct dsq_bytes){at + HEADER_BYTES, bytes.size - HEADER_BYTES};
    if (!is_whole(rest, count)) {
        return false;
    }
    while (count-- > 0 && parse(&rest, &record) &&
           visitor(context, record.kind, record.key, record.value)) {
    }
    return true;
}
