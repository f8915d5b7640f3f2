/* The reader of journal rows: nothing is visited of a damaged row, all of a whole one, within it. */
#include <stdlib.h>

#include "persist/journal.h"
#include "stress/fuzz/input.h"

struct visits {
    const unsigned char *first;
    const unsigned char *end;
    uint64_t bytes;
};

static void check_inside(const struct visits *visits, struct dsq_bytes bytes)
{
    const unsigned char *at = bytes.data;
    if (bytes.size != 0 && (at < visits->first || at + bytes.size > visits->end)) {
        abort();
    }
}

static bool visit(void *context, enum dsq_record_kind kind, struct dsq_bytes key,
                  struct dsq_bytes value)
{
    struct visits *visits = context;
    check_inside(visits, key);
    check_inside(visits, value);
    if (kind != DSQ_RECORD_VALUE && (kind != DSQ_RECORD_TOMBSTONE || value.size != 0)) {
        abort();
    }
    visits->bytes += key.size + value.size;
    return true;
}

static void read_row(struct dsq_bytes row, uint64_t number)
{
    const unsigned char *first = row.data;
    struct visits visits = {first, first + row.size, 0};
    bool good = dsq_journal_row_read(row, number, visit, &visits);
    if ((!good && visits.bytes != 0) || visits.bytes > row.size) {
        abort();
    }
}

/* The bytes as they are, and as the body of a row with the right checksum. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct fuzz_input input = {bytes, size};
    uint64_t number = fuzz_take(&input, 8);
    struct dsq_journal_row row = {.records = (uint32_t)fuzz_take(&input, 2)};
    read_row((struct dsq_bytes){input.bytes, input.size}, number);
    row.bytes = malloc(input.size + 1);
    if (row.bytes == NULL) {
        return 0;
    }
    if (input.size != 0) {
        memcpy(row.bytes, input.bytes, input.size);
    }
    row.size = input.size;
    row.capacity = input.size;
    if (row.size >= 16) {
        read_row(dsq_journal_row_seal(&row, number), number);
    }
    free(row.bytes);
    return 0;
}
