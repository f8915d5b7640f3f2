/*
 * The reader of journal rows: nothing is visited of a damaged row; of a whole one all is, within it, and
 * the records written anew make the same row.
 */
#include <stdlib.h>

#include "persist/journal.h"
#include "stress/fuzz/input.h"

#define HEADER_BYTES 16
#define RECORDS_MAX 16

struct visits {
    const unsigned char *first;
    const unsigned char *end;
    uint64_t bytes;
    struct dsq_journal_row again;
};

static void check_inside(const struct visits *visits, struct dsq_bytes bytes)
{
    const unsigned char *at = bytes.data;
    must(bytes.size == 0 || (at >= visits->first && at + bytes.size <= visits->end));
}

static void add(struct dsq_journal_row *row, enum dsq_record_kind kind, struct dsq_bytes key,
                struct dsq_bytes value)
{
    struct dsq_record *record = dsq_record_new(kind, DSQ_RECORD_DURABLE, 1, 0, key, value);
    must(record != NULL && dsq_journal_row_add(row, record));
    dsq_record_free(record);
}

static bool visit(void *context, enum dsq_record_kind kind, struct dsq_bytes key,
                  struct dsq_bytes value)
{
    struct visits *visits = context;
    check_inside(visits, key);
    check_inside(visits, value);
    must(kind == DSQ_RECORD_VALUE || (kind == DSQ_RECORD_TOMBSTONE && value.size == 0));
    visits->bytes += key.size + value.size;
    add(&visits->again, kind, key, value);
    return true;
}

/* Returns whether it was whole. */
static bool read_row(struct dsq_bytes row, uint64_t number)
{
    const unsigned char *first = row.data;
    struct visits visits = {.first = first, .end = first + row.size};
    bool good = dsq_journal_row_read(row, number, visit, &visits);
    must(visits.bytes <= row.size && (good || visits.again.records == 0));
    if (visits.again.records != 0) {
        struct dsq_bytes again = dsq_journal_row_seal(&visits.again, number);
        must(again.size == row.size && memcmp(again.data, row.data, row.size) == 0);
    }
    dsq_journal_row_fini(&visits.again);
    return good;
}

/* The bytes as the body of a row with the right checksum. */
static void read_sealed(struct fuzz_input input, uint32_t records, uint64_t number)
{
    struct dsq_journal_row row = {.records = records, .size = input.size, .capacity = input.size};
    if (input.size < HEADER_BYTES) {
        return;
    }
    row.bytes = malloc(input.size);
    must(row.bytes != NULL);
    memcpy(row.bytes, input.bytes, input.size);
    (void)read_row(dsq_journal_row_seal(&row, number), number);
    dsq_journal_row_fini(&row);
}

/* Records of the bytes: their row is whole, under its number alone, and until a byte is changed. */
static void write_and_read(struct fuzz_input *input, uint64_t number)
{
    struct dsq_journal_row row = {0};
    uint64_t records = 1 + fuzz_take(input, 1) % RECORDS_MAX;
    for (uint64_t i = 0; i < records; i++) {
        static unsigned char key[256];
        static unsigned char value[8192];
        size_t key_size = (size_t)fuzz_take(input, 1);
        uint64_t sizes = fuzz_take(input, 2);
        bool is_value = sizes % 2 != 0;
        size_t value_size = is_value ? (size_t)(sizes / 2 % sizeof value) : 0;
        fuzz_take_bytes(input, key, key_size);
        fuzz_take_bytes(input, value, value_size);
        add(&row, is_value ? DSQ_RECORD_VALUE : DSQ_RECORD_TOMBSTONE,
            (struct dsq_bytes){key, key_size}, (struct dsq_bytes){value, value_size});
    }
    struct dsq_bytes sealed = dsq_journal_row_seal(&row, number);
    size_t at = (size_t)fuzz_take(input, 4) % row.size;
    unsigned char change = (unsigned char)fuzz_take(input, 1);
    must(read_row(sealed, number));
    must(!read_row(sealed, number + 1));
    row.bytes[at] ^= change;
    must(read_row(sealed, number) == (change == 0));
    dsq_journal_row_fini(&row);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct fuzz_input input = {bytes, size};
    uint64_t number = fuzz_take(&input, 8);
    uint32_t records = (uint32_t)fuzz_take(&input, 2);
    (void)read_row((struct dsq_bytes){input.bytes, input.size}, number);
    read_sealed(input, records, number);
    write_and_read(&input, number);
    return 0;
}
