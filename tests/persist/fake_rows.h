/* What the fake store keeps: the rows of kv, sorted by key, and those of the journal. */
#ifndef DSQ_TESTS_PERSIST_FAKE_ROWS_H
#define DSQ_TESTS_PERSIST_FAKE_ROWS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "core/bytes.h"

struct fake_row {
    unsigned char *bytes; /* key, value */
    size_t key_size;
    size_t value_size;
    bool is_delete; /* of a change */
};

/* A row of the journal; one that is to be dropped has no bytes. */
struct fake_journal_row {
    unsigned char *bytes;
    size_t size;
    uint64_t number;
};

struct fake_journal {
    struct fake_journal_row *at;
    size_t count;
};

struct fake_rows {
    struct fake_row *at;
    size_t count;
    size_t capacity;
};

/* Aborts with the words unless the condition holds. */
void fake_require(bool condition, const char *what);

static inline struct dsq_bytes fake_text(const char *string)
{
    return (struct dsq_bytes){string, strlen(string)};
}

static inline struct dsq_bytes fake_key(const struct fake_row *row)
{
    return (struct dsq_bytes){row->bytes, row->key_size};
}

static inline struct dsq_bytes fake_value(const struct fake_row *row)
{
    return (struct dsq_bytes){row->bytes + row->key_size, row->value_size};
}

/* Both, one after the other, in memory of their own. */
unsigned char *fake_copy(struct dsq_bytes first, struct dsq_bytes second);

/* Where the key's row is or would go; NULL if there is none. */
size_t fake_rows_position(const struct fake_rows *rows, struct dsq_bytes key);
struct fake_row *fake_rows_find(const struct fake_rows *rows, struct dsq_bytes key);

void fake_rows_insert(struct fake_rows *rows, size_t position, struct fake_row row);
void fake_rows_erase(struct fake_rows *rows, struct fake_row *row);
void fake_rows_clear(struct fake_rows *rows);

void fake_journal_add(struct fake_journal *journal, struct fake_journal_row row);
void fake_journal_shorten(struct fake_journal *journal, size_t oldest);
void fake_journal_clear(struct fake_journal *journal);

#endif
