#include "tests/persist/fake_rows.h"

#include <stdio.h>
#include <stdlib.h>

void fake_require(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "fake store: %s\n", what);
        abort();
    }
}

unsigned char *fake_copy(struct dsq_bytes first, struct dsq_bytes second)
{
    unsigned char *copy = malloc(first.size + second.size + 1);

    fake_require(copy != NULL, "out of memory");
    if (first.size != 0) {
        memcpy(copy, first.data, first.size);
    }
    if (second.size != 0) {
        memcpy(copy + first.size, second.data, second.size);
    }
    return copy;
}

/* Where the key's row is or would go. */
size_t fake_rows_position(const struct fake_rows *rows, struct dsq_bytes key)
{
    size_t low = 0;
    size_t high = rows->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (dsq_bytes_compare(fake_key(&rows->at[middle]), key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct fake_row *fake_rows_find(const struct fake_rows *rows, struct dsq_bytes key)
{
    size_t i = fake_rows_position(rows, key);

    return i < rows->count && dsq_bytes_compare(fake_key(&rows->at[i]), key) == 0 ? &rows->at[i]
                                                                                  : NULL;
}

void fake_rows_insert(struct fake_rows *rows, size_t position, struct fake_row row)
{
    if (rows->count == rows->capacity) {
        rows->capacity = rows->capacity != 0 ? 2 * rows->capacity : 64;
        rows->at = realloc(rows->at, rows->capacity * sizeof *rows->at);
        fake_require(rows->at != NULL, "out of memory");
    }
    memmove(&rows->at[position + 1], &rows->at[position],
            (rows->count - position) * sizeof *rows->at);
    rows->at[position] = row;
    rows->count++;
}

void fake_rows_erase(struct fake_rows *rows, struct fake_row *row)
{
    free(row->bytes);
    rows->count--;
    memmove(row, row + 1, (size_t)(rows->at + rows->count - row) * sizeof *row);
}

void fake_rows_clear(struct fake_rows *rows)
{
    for (size_t i = 0; i < rows->count; i++) {
        free(rows->at[i].bytes);
    }
    free(rows->at);
    *rows = (struct fake_rows){0};
}

void fake_journal_add(struct fake_journal *journal, struct fake_journal_row row)
{
    journal->at = realloc(journal->at, (journal->count + 1) * sizeof *journal->at);
    fake_require(journal->at != NULL, "out of memory");
    journal->at[journal->count++] = row;
}

void fake_journal_shorten(struct fake_journal *journal, size_t oldest)
{
    for (size_t i = 0; i < oldest; i++) {
        free(journal->at[i].bytes);
    }
    journal->count -= oldest;
    memmove(journal->at, journal->at + oldest, journal->count * sizeof *journal->at);
}

void fake_journal_clear(struct fake_journal *journal)
{
    if (journal->count != 0) {
        fake_journal_shorten(journal, journal->count);
    }
    free(journal->at);
    *journal = (struct fake_journal){0};
}
