#include "persist/journal.h"

#include <stdio.h>
#include <stdlib.h>

#include <criterion/criterion.h>

static struct dsq_journal_row row;
static char shown[256];

static struct dsq_bytes text(const char *string)
{
    return (struct dsq_bytes){string, strlen(string)};
}

static void add_bytes(enum dsq_record_kind kind, struct dsq_bytes key, struct dsq_bytes value)
{
    struct dsq_record *record = dsq_record_new(kind, DSQ_RECORD_READY, 1, 0, key, value);
    cr_assert(dsq_journal_row_add(&row, record));
    dsq_record_free(record);
}

static void add(const char *key, const char *value)
{
    add_bytes(value != NULL ? DSQ_RECORD_VALUE : DSQ_RECORD_TOMBSTONE, text(key),
              text(value != NULL ? value : ""));
}

static bool show(void *context, enum dsq_record_kind kind, struct dsq_bytes key,
                 struct dsq_bytes value)
{
    size_t used = strlen(shown);
    snprintf(shown + used, sizeof shown - used, "%s%.*s=%.*s ",
             kind == DSQ_RECORD_TOMBSTONE ? "-" : "", (int)key.size, (const char *)key.data,
             (int)value.size, (const char *)value.data);
    return context == NULL || strlen(shown) < *(size_t *)context;
}

/* What a row says, or "damaged". */
static const char *read_row(struct dsq_bytes bytes, uint64_t number)
{
    shown[0] = '\0';
    return dsq_journal_row_read(bytes, number, show, NULL) ? shown : "damaged";
}

static void finish(void)
{
    dsq_journal_row_fini(&row);
}

TestSuite(journal, .fini = finish);

Test(journal, a_row_says_what_was_added_in_order)
{
    add("a", "1");
    add("", "");
    add("b", NULL);
    add("a", "2");
    cr_assert_str_eq(read_row(dsq_journal_row_seal(&row, 7), 7), "a=1 = -b= a=2 ");
}

Test(journal, a_row_can_be_used_again_and_gives_a_large_one_s_memory_back)
{
    size_t size = (size_t)5 << 20;
    char *value = calloc(1, size);
    add_bytes(DSQ_RECORD_VALUE, text("large"), (struct dsq_bytes){value, size});
    cr_assert_gt(row.capacity, size);
    dsq_journal_row_clear(&row);
    cr_assert_eq(row.capacity, 0);
    add("a", "1");
    dsq_journal_row_clear(&row);
    cr_assert_gt(row.capacity, 0);
    add("b", "2");
    cr_assert_str_eq(read_row(dsq_journal_row_seal(&row, 1), 1), "b=2 ");
    free(value);
}

Test(journal, its_layout_stays_as_it_is)
{
    static const unsigned char expected[] = {
        1, 0, 0, 0,   2, 0, 0, 0, 0,   0,   0,   0, 0, 0, 0, 0, /* header, the checksum blanked */
        1, 0, 0, 0,   2, 0, 0, 0, 'k', 'v', 'w',                /* k=vw */
        3, 0, 0, 128, 0, 0, 0, 0, 'd', 'e', 'l',                /* delete of del */
    };
    unsigned char bytes[sizeof expected];
    struct dsq_bytes sealed;
    add("k", "vw");
    add("del", NULL);
    sealed = dsq_journal_row_seal(&row, 2);
    cr_assert_eq(sealed.size, sizeof expected);
    memcpy(bytes, sealed.data, sizeof bytes);
    memset(bytes + 8, 0, 8);
    cr_assert_arr_eq(bytes, expected, sizeof expected);
}

Test(journal, any_flipped_bit_is_noticed)
{
    struct dsq_bytes sealed;
    unsigned char *bytes;
    add("a", "1");
    add("b", NULL);
    add("a longer key", "and a longer value, so that there is something to flip");
    sealed = dsq_journal_row_seal(&row, 9);
    bytes = malloc(sealed.size);
    memcpy(bytes, sealed.data, sealed.size);
    for (size_t i = 0; i < 8 * sealed.size; i++) {
        bytes[i / 8] ^= (unsigned char)(1U << i % 8);
        cr_assert_str_eq(read_row((struct dsq_bytes){bytes, sealed.size}, 9), "damaged", "bit %zu",
                         i);
        bytes[i / 8] ^= (unsigned char)(1U << i % 8);
    }
    cr_assert_str_neq(read_row((struct dsq_bytes){bytes, sealed.size}, 9), "damaged");
    free(bytes);
}

Test(journal, a_row_of_another_number_or_cut_short_is_damaged)
{
    struct dsq_bytes sealed;
    add("a", "1");
    add("b", "2");
    sealed = dsq_journal_row_seal(&row, 4);
    cr_assert_str_eq(read_row(sealed, 5), "damaged");
    for (size_t size = 0; size < sealed.size; size++) {
        cr_assert_str_eq(read_row((struct dsq_bytes){sealed.data, size}, 4), "damaged");
    }
    cr_assert_str_eq(read_row((struct dsq_bytes){NULL, 0}, 4), "damaged");
}

Test(journal, a_walk_ends_when_the_visitor_says_so)
{
    size_t most = 1;
    add("a", "1");
    add("b", "2");
    shown[0] = '\0';
    cr_assert(dsq_journal_row_read(dsq_journal_row_seal(&row, 2), 2, show, &most));
    cr_assert_str_eq(shown, "a=1 ");
}
