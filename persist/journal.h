/*
 * The journal's rows: what a commit appends, and what a fold or a recovery reads.
 *
 * A row is one batch, or a part of one, in the order in which its records were queued:
 *
 *     0   u32  format, DSQ_JOURNAL_FORMAT
 *     4   u32  number of records
 *     8   u64  checksum: XXH3 (64 bits) of everything else and of the row's number
 *     16       records: u32 key size, its highest bit set for a delete; u32 value size; key; value
 *
 * All numbers least significant byte first.  The row's number in the table is the number of its last
 * record (persist/store.h), so that the numbers of all its records follow.
 */
#ifndef DSQ_PERSIST_JOURNAL_H
#define DSQ_PERSIST_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/bytes.h"
#include "core/record.h"

#define DSQ_JOURNAL_FORMAT 1

/* A row under way. */
struct dsq_journal_row {
    unsigned char *bytes;
    size_t size;
    size_t capacity;
    uint32_t records;
};

/* Appends a VALUE or a TOMBSTONE; false when out of memory, with nothing changed. */
bool dsq_journal_row_add(struct dsq_journal_row *row, const struct dsq_record *record);

/* Completes the row under its number.  The bytes are valid until the row is changed. */
struct dsq_bytes dsq_journal_row_seal(struct dsq_journal_row *row, uint64_t number);

/* Empties the row; what a large one needed is given back. */
void dsq_journal_row_clear(struct dsq_journal_row *row);

void dsq_journal_row_fini(struct dsq_journal_row *row);

/* Called for each record of a row, in order; false ends the walk. */
typedef bool (*dsq_journal_visitor)(void *context, enum dsq_record_kind kind, struct dsq_bytes key,
                                    struct dsq_bytes value);

/*
 * Reads a row.  False if it is damaged, or does not belong to this number: then nothing was visited.
 */
bool dsq_journal_row_read(struct dsq_bytes bytes, uint64_t number, dsq_journal_visitor visitor,
                          void *context);

#endif
