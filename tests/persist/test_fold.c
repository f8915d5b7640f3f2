#include "persist/fold.h"

#include <stdio.h>
#include <stdlib.h>

#include <criterion/criterion.h>

#include "persist/journal.h"
#include "tests/persist/fake_store.h"

static struct dsq_store *store;
static struct dsq_fold fold;
static struct dsq_error error;
static uint64_t seq;
static uint64_t round_seq;
static size_t applied;   /* records handed out */
static size_t questions; /* whether it is enough, answered yes every so often */
static size_t patience;

static void make(void)
{
    store = fake_store_new();
    dsq_fold_init(&fold, 0);
    patience = SIZE_MAX;
}

static void free_record(void *context, struct dsq_record *record)
{
    (void)context;
    dsq_record_free(record);
}

static void finish(void)
{
    dsq_fold_fini(&fold, free_record, NULL);
    cr_assert_eq(store->ops->close(store, &error), DSQ_OK);
}

TestSuite(fold, .init = make, .fini = finish, .timeout = 60);

static struct dsq_bytes text(const char *string)
{
    return (struct dsq_bytes){string, strlen(string)};
}

static struct dsq_record *record_of(const char *key, const char *value)
{
    struct dsq_record *record =
        dsq_record_new(value != NULL ? DSQ_RECORD_VALUE : DSQ_RECORD_TOMBSTONE, DSQ_RECORD_DURABLE,
                       1, 0, text(key), text(value != NULL ? value : ""));
    cr_assert_not_null(record);
    return record;
}

/* A record that is committed: in the journal, in a row of its own, and in the open set. */
static void commit(const char *key, const char *value)
{
    struct dsq_record *record = record_of(key, value);
    struct dsq_journal_row row = {0};
    seq++;
    cr_assert(dsq_journal_row_add(&row, record));
    cr_assert_eq(store->ops->begin(store, DSQ_COMMIT_DURABLE, &error), DSQ_OK);
    cr_assert_eq(store->ops->journal_append(store, seq, dsq_journal_row_seal(&row, seq), &error),
                 DSQ_OK);
    cr_assert_eq(store->ops->commit(store, &error), DSQ_OK);
    dsq_journal_row_fini(&row);
    cr_assert(dsq_fold_reserve(&fold, 1));
    dsq_fold_add(&fold, record, seq);
}

static bool is_enough(void *context)
{
    (void)context;
    return ++questions >= patience;
}

static void take_applied(void *context, const struct dsq_fold_entry *entries, size_t count)
{
    (void)context;
    for (size_t i = 0; i < count; i++) {
        dsq_record_free(entries[i].record);
    }
    applied += count;
}

static int advance(void)
{
    const struct dsq_fold_step step = {is_enough, take_applied, NULL};
    questions = 0;
    return dsq_fold_advance(&fold, store, &step, &error);
}

/* Takes the fold to its end; how many steps it took. */
static size_t run(void)
{
    size_t steps = 0;
    cr_assert_eq(dsq_fold_start(&fold, &error), DSQ_OK);
    for (; dsq_fold_is_under_way(&fold); steps++) {
        cr_assert_eq(advance(), DSQ_OK, "%s", error.message);
    }
    return steps;
}

Test(fold, the_last_record_of_each_key_goes_to_kv_in_the_order_of_the_keys)
{
    commit("b", "1");
    commit("a", "1");
    commit("longer than a prefix, 2", "1");
    commit("b", NULL);
    commit("longer than a prefix, 1", "1");
    commit("a", "2");
    commit("", "empty");
    run();
    cr_assert_str_eq(fake_kv_log(store),
                     "(=empty a=2 -b longer than a prefix, 1=1 longer than a prefix, 2=1)");
    cr_assert_eq(applied, 7);
    cr_assert_eq(fold.folded_seq, 7);
    cr_assert_eq(fake_journal_rows(store), 0);
}

Test(fold, what_is_committed_meanwhile_is_left_to_the_next_one)
{
    patience = 1;
    commit("a", "1");
    cr_assert_eq(dsq_fold_start(&fold, &error), DSQ_OK);
    cr_assert_eq(advance(), DSQ_OK);
    commit("a", "2");
    run();
    cr_assert_str_eq(fake_kv_log(store), "(a=1)");
    cr_assert_eq(fold.folded_seq, 1);
    cr_assert_eq(fake_journal_rows(store), 1);
    run();
    cr_assert_str_eq(fake_kv_log(store), "(a=1)(a=2)");
    cr_assert_eq(fold.folded_seq, 2);
    cr_assert_eq(fold.folds, 2);
}

Test(fold, without_records_nothing_starts)
{
    cr_assert_eq(run(), 0);
    cr_assert_eq(fake_calls(store, FAKE_BEGIN), 0);
}

/* The i-th of so many: keys in an order that a sort has work with, most of them several times. */
static const char *key_of(size_t i, size_t count)
{
    static char key[32];
    snprintf(key, sizeof key, "%zu", i * 7919 % (count / 3 + 1));
    return key;
}

/* No two rounds of one test write the same values. */
static const char *value_of(size_t i)
{
    static char value[64];
    snprintf(value, sizeof value, "%zu of the round that began at %llu", i,
             (unsigned long long)round_seq);
    return value;
}

static void commit_many(size_t count)
{
    round_seq = seq;
    for (size_t i = 0; i < count; i++) {
        commit(key_of(i, count), value_of(i));
    }
}

static void expect_many(size_t count)
{
    size_t keys = count / 3 + 1;
    for (size_t i = count; i > 0 && i + keys > count; i--) {
        const char *key = key_of(i - 1, count);
        cr_assert(fake_has(store, key, value_of(i - 1)), "%s=%s", key, value_of(i - 1));
    }
}

Test(fold, however_small_its_steps_the_outcome_is_the_same)
{
    const size_t counts[] = {1, 2, 3, 17, 1000, 3000};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        uint64_t before = fake_calls(store, FAKE_FOLD_COMMIT);
        applied = 0;
        patience = 1;
        commit_many(counts[i]);
        cr_assert_geq(run(), 3);
        expect_many(counts[i]);
        cr_assert_eq(applied, counts[i]);
        cr_assert_eq(fake_journal_rows(store), 0);
        /* A slice is as short as it may be: eight rows, and four of the journal. */
        cr_assert_geq(fake_calls(store, FAKE_FOLD_COMMIT) - before, counts[i] / 8 + counts[i] / 4);
    }
}

Test(fold, a_step_that_fails_has_not_happened)
{
    static const enum fake_call calls[] = {FAKE_BEGIN, FAKE_PUT, FAKE_DEL, FAKE_JOURNAL_DROP,
                                           FAKE_FOLD_COMMIT};
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        for (uint64_t skip = 0;; skip++) {
            bool failed = false;
            applied = 0;
            patience = 1;
            commit_many(20);
            commit("gone", NULL);
            fake_fail(store, calls[i], skip, 1, DSQ_ERR_FULL);
            cr_assert_eq(dsq_fold_start(&fold, &error), DSQ_OK);
            while (dsq_fold_is_under_way(&fold)) {
                failed = advance() != DSQ_OK || failed;
            }
            fake_heal(store);
            cr_assert_eq(applied, 21);
            expect_many(20);
            cr_assert(fake_has(store, "gone", NULL));
            cr_assert_eq(fake_journal_rows(store), 0);
            if (!failed) {
                break;
            }
        }
    }
}

/* finish hands back what is left; the leak sanitizer judges. */
Test(fold, can_be_given_up_at_any_step)
{
    patience = 1;
    for (size_t steps = 0; steps < 40; steps++) {
        commit_many(50);
        cr_assert_eq(dsq_fold_start(&fold, &error), DSQ_OK);
        for (size_t i = 0; i < steps && dsq_fold_is_under_way(&fold); i++) {
            cr_assert_eq(advance(), DSQ_OK);
        }
        dsq_fold_fini(&fold, free_record, NULL);
        dsq_fold_init(&fold, seq);
    }
}

Test(fold, sorts_like_the_store_and_keeps_equal_keys_in_their_order)
{
    enum { COUNT = 5000 };
    static struct dsq_fold_entry entries[COUNT];
    static struct dsq_fold_entry scratch[COUNT];
    struct dsq_fold_sort sort;
    for (size_t i = 0; i < COUNT; i++) {
        char key[32];
        char value[32];
        int size = snprintf(key, sizeof key, "%zu", i * 7919 % 997);
        snprintf(value, sizeof value, "%05zu", i);
        memset(key + size, 'x', i % 3 == 0 ? 12 : 0);
        key[(size_t)size + (i % 3 == 0 ? 12 : 0)] = '\0';
        entries[i] = dsq_fold_entry_of(record_of(key, value));
    }
    dsq_fold_sort_start(&sort, entries, scratch, COUNT);
    while (!dsq_fold_sort_step(&sort, 7)) {
    }
    for (size_t i = 1; i < COUNT; i++) {
        const struct dsq_record *a = sort.from[i - 1].record;
        const struct dsq_record *b = sort.from[i].record;
        int order = dsq_bytes_compare(dsq_record_key(a), dsq_record_key(b));
        cr_assert(order < 0 ||
                  (order == 0 && dsq_bytes_compare(dsq_record_value(a), dsq_record_value(b)) < 0));
    }
    for (size_t i = 0; i < COUNT; i++) {
        dsq_record_free(sort.from[i].record);
    }
}

static void check_count(uint64_t expected)
{
    uint64_t count = UINT64_MAX;
    cr_assert_eq(dsq_fold_count(&fold, store, SIZE_MAX, &count, &error), DSQ_OK, "%s",
                 error.message);
    cr_assert_eq(count, expected, "%d at stage %d", (int)count, (int)fold.stage);
}

/* At every stage of folds that are interrupted all the time, beside a count kept by hand. */
Test(fold, rows_are_counted_without_folding)
{
    enum { KEYS = 40 };
    bool present[KEYS] = {false};
    uint64_t rows = 0;
    unsigned stages = 0;
    check_count(0);
    patience = 1;
    for (unsigned i = 0; i < 4000; i++) {
        unsigned draw = i * 2654435761U >> 8;
        unsigned key = draw % KEYS;
        bool stays = draw / KEYS % 3 != 0;
        char name[8];
        snprintf(name, sizeof name, "%u", key);
        commit(name, stays ? "v" : NULL);
        rows += (uint64_t)stays - (uint64_t)present[key];
        present[key] = stays;
        check_count(rows);
        if (draw % 7 == 0) {
            cr_assert_eq(dsq_fold_start(&fold, &error), DSQ_OK);
        }
        if (draw % 5 < 3) {
            cr_assert_eq(advance(), DSQ_OK, "%s", error.message);
            check_count(rows);
        }
        stages |= 1U << fold.stage;
    }
    cr_assert_eq(stages, 15, "every stage has been met");
    patience = SIZE_MAX;
    run();
    run();
    check_count(rows);
    cr_assert_eq(store->ops->count(store), rows);
}

Test(fold, too_many_records_are_not_looked_up)
{
    uint64_t count;
    commit("a", "1");
    commit("b", "1");
    cr_assert_eq(dsq_fold_count(&fold, store, 1, &count, &error), DSQ_WOULD_BLOCK);
    cr_assert_eq(dsq_fold_count(&fold, store, 2, &count, &error), DSQ_OK);
    cr_assert_eq(count, 2);
    fake_fail(store, FAKE_READER_GET, 0, 1, DSQ_ERR_IO);
    cr_assert_eq(dsq_fold_count(&fold, store, 2, &count, &error), DSQ_ERR_IO);
}
