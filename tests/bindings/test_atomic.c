#include "tests/bindings/fixture.h"

#include <pthread.h>
#include <stdatomic.h>

TestSuite(atomic, .init = scratch_make, .fini = scratch_remove);

#define THREADS 4
#define KEYS 200

static dsq_db *db;
static atomic_uint winners[KEYS];

Test(atomic, pop_removes_and_hands_out_the_value)
{
    void *value = NULL;
    size_t size = 0;
    db = open_mode(DSQ_MODE_WRITETHROUGH);
    CHECK(put_text(db, "key", "value"), DSQ_OK);
    CHECK(dsq_pop(db, "key", 3, &value, &size), DSQ_OK);
    cr_assert_eq(size, 5);
    cr_assert_eq(memcmp(value, "value", 5), 0);
    dsq_free(value);
    CHECK(contains_text(db, "key"), DSQ_ABSENT);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(atomic, popping_an_absent_key_hands_out_nothing)
{
    void *value = &db;
    size_t size = 0;
    db = open_mode(DSQ_MODE_WRITETHROUGH);
    CHECK(dsq_pop(db, "key", 3, &value, &size), DSQ_ABSENT);
    cr_assert_null(value);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(atomic, pop_reads_a_cold_record)
{
    void *value = NULL;
    size_t size = 0;
    db = open_with((struct dsq_options){.hot_capacity = 4});
    put_numbered(db, 100);
    CHECK(dsq_pop(db, numbered_key(3), strlen(numbered_key(3)), &value, &size), DSQ_OK);
    cr_assert_eq(size, strlen(numbered_value(3)));
    cr_assert_eq(memcmp(value, numbered_value(3), size), 0);
    dsq_free(value);
    CHECK(contains_text(db, numbered_key(3)), DSQ_ABSENT);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(atomic, get_or_put_stores_where_nothing_is)
{
    void *existing = &db;
    size_t size = 0;
    db = open_mode(DSQ_MODE_LAZY);
    CHECK(dsq_get_or_put(db, "key", 3, "value", 5, &existing, &size), DSQ_OK);
    cr_assert_null(existing);
    check_text(db, "key", "value");
    CHECK(dsq_close(db), DSQ_OK);
}

Test(atomic, get_or_put_hands_out_what_is_there_and_leaves_it)
{
    void *existing = NULL;
    size_t size = 0;
    db = open_mode(DSQ_MODE_LAZY);
    CHECK(put_text(db, "key", "first"), DSQ_OK);
    CHECK(dsq_get_or_put(db, "key", 3, "second", 6, &existing, &size), DSQ_EXISTS);
    cr_assert_eq(size, 5);
    cr_assert_eq(memcmp(existing, "first", 5), 0);
    dsq_free(existing);
    check_text(db, "key", "first");
    CHECK(dsq_close(db), DSQ_OK);
}

Test(atomic, get_or_put_finds_a_cold_record)
{
    void *existing = NULL;
    size_t size = 0;
    db = open_with((struct dsq_options){.hot_capacity = 4});
    put_numbered(db, 100);
    const char *key = numbered_key(3);
    CHECK(dsq_get_or_put(db, key, strlen(key), "new", 3, &existing, &size), DSQ_EXISTS);
    cr_assert_eq(size, strlen(numbered_value(3)));
    dsq_free(existing);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(atomic, get_or_put_stores_again_after_a_delete)
{
    void *existing = NULL;
    size_t size = 0;
    db = open_mode(DSQ_MODE_LAZY);
    CHECK(put_text(db, "key", "first"), DSQ_OK);
    CHECK(delete_text(db, "key"), DSQ_OK);
    CHECK(dsq_get_or_put(db, "key", 3, "second", 6, &existing, &size), DSQ_OK);
    check_text(db, "key", "second");
    CHECK(dsq_close(db), DSQ_OK);
}

/* Runs work in THREADS threads and demands one winner a key. */
static void check_one_winner(void *(*work)(void *))
{
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, work, NULL), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    for (size_t i = 0; i < KEYS; i++) {
        cr_assert_eq(atomic_load(&winners[i]), 1, "%u winners of key %zu", atomic_load(&winners[i]),
                     i);
    }
}

static void *pop_all(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < KEYS; i++) {
        void *value = NULL;
        size_t size;
        if (dsq_pop(db, &i, sizeof i, &value, &size) == DSQ_OK) {
            atomic_fetch_add(&winners[i], 1);
        }
        dsq_free(value);
    }
    return NULL;
}

static void check_pop_race(struct dsq_options options)
{
    db = open_with(options);
    for (unsigned i = 0; i < KEYS; i++) {
        CHECK(dsq_put(db, &i, sizeof i, "value", 5), DSQ_OK);
    }
    check_one_winner(pop_all);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(atomic, of_concurrent_pops_a_single_one_gets_the_value)
{
    check_pop_race((struct dsq_options){.persist_mode = DSQ_MODE_LAZY});
}

Test(atomic, of_concurrent_pops_of_cold_records_a_single_one_gets_the_value)
{
    check_pop_race((struct dsq_options){.persist_mode = DSQ_MODE_LAZY, .hot_capacity = 8});
}

static void *put_all(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < KEYS; i++) {
        void *existing = NULL;
        size_t size;
        if (dsq_get_or_put(db, &i, sizeof i, "value", 5, &existing, &size) == DSQ_OK) {
            atomic_fetch_add(&winners[i], 1);
        }
        dsq_free(existing);
    }
    return NULL;
}

Test(atomic, of_concurrent_get_or_puts_a_single_one_stores)
{
    db = open_with((struct dsq_options){.persist_mode = DSQ_MODE_LAZY, .hot_capacity = 8});
    check_one_winner(put_all);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(atomic, put_if_absent_stores_where_nothing_is_and_refuses_elsewhere)
{
    db = open_mode(DSQ_MODE_LAZY);
    CHECK(dsq_put_if_absent(db, "key", 3, "first", 5), DSQ_OK);
    CHECK(dsq_put_if_absent(db, "key", 3, "second", 6), DSQ_EXISTS);
    check_text(db, "key", "first");
    CHECK(dsq_close(db), DSQ_OK);
}

Test(atomic, replace_stores_only_where_something_is)
{
    db = open_mode(DSQ_MODE_LAZY);
    CHECK(dsq_replace(db, "key", 3, "first", 5), DSQ_ABSENT);
    CHECK(contains_text(db, "key"), DSQ_ABSENT);
    CHECK(put_text(db, "key", "first"), DSQ_OK);
    CHECK(dsq_replace(db, "key", 3, "second", 6), DSQ_OK);
    check_text(db, "key", "second");
    CHECK(dsq_close(db), DSQ_OK);
}

Test(atomic, compare_and_swap_stores_over_the_expected_value_only)
{
    db = open_mode(DSQ_MODE_WRITETHROUGH);
    CHECK(dsq_compare_and_swap(db, "key", 3, "a", 1, "b", 1), DSQ_ABSENT);
    CHECK(put_text(db, "key", "a"), DSQ_OK);
    CHECK(dsq_compare_and_swap(db, "key", 3, "b", 1, "c", 1), DSQ_MISMATCH);
    CHECK(dsq_compare_and_swap(db, "key", 3, "aa", 2, "c", 1), DSQ_MISMATCH);
    CHECK(dsq_compare_and_swap(db, "key", 3, "", 0, "c", 1), DSQ_MISMATCH);
    check_text(db, "key", "a");
    CHECK(dsq_compare_and_swap(db, "key", 3, "a", 1, "", 0), DSQ_OK);
    CHECK(dsq_compare_and_swap(db, "key", 3, NULL, 0, "b", 1), DSQ_OK);
    check_text(db, "key", "b");
    CHECK(dsq_close(db), DSQ_OK);
}

Test(atomic, compare_and_delete_deletes_the_expected_value_only)
{
    db = open_mode(DSQ_MODE_WRITETHROUGH);
    CHECK(dsq_compare_and_delete(db, "key", 3, "a", 1), DSQ_ABSENT);
    CHECK(put_text(db, "key", "a"), DSQ_OK);
    CHECK(dsq_compare_and_delete(db, "key", 3, "b", 1), DSQ_MISMATCH);
    check_text(db, "key", "a");
    CHECK(dsq_compare_and_delete(db, "key", 3, "a", 1), DSQ_OK);
    CHECK(contains_text(db, "key"), DSQ_ABSENT);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(atomic, an_expected_value_without_an_address_is_refused)
{
    struct dsq_error error;
    db = open_mode(DSQ_MODE_LAZY);
    CHECK(dsq_compare_and_swap(db, "key", 3, NULL, 4, "b", 1), DSQ_ERR_INVALID);
    CHECK(dsq_compare_and_delete(db, "key", 3, NULL, 4), DSQ_ERR_INVALID);
    dsq_last_error(db, &error);
    cr_assert_not_null(strstr(error.message, "expected value"));
    CHECK(dsq_close(db), DSQ_OK);
}

Test(atomic, changes_decide_on_cold_records)
{
    const char *key = numbered_key(3);
    size_t size = strlen(key);
    db = open_with((struct dsq_options){.hot_capacity = 4});
    put_numbered(db, 100);
    key = numbered_key(3);
    const char *value = numbered_value(3);
    CHECK(dsq_put_if_absent(db, key, size, "x", 1), DSQ_EXISTS);
    CHECK(dsq_compare_and_swap(db, key, size, "x", 1, "y", 1), DSQ_MISMATCH);
    CHECK(dsq_compare_and_swap(db, key, size, value, strlen(value), "swapped", 7), DSQ_OK);
    check_text(db, key, "swapped");
    CHECK(dsq_replace(db, numbered_key(4), size, "replaced", 8), DSQ_OK);
    check_text(db, numbered_key(4), "replaced");
    CHECK(dsq_close(db), DSQ_OK);
}

static int64_t fetch_add(const char *key, int64_t delta)
{
    int64_t previous = INT64_MIN;
    CHECK(dsq_fetch_add(db, key, strlen(key), delta, &previous), DSQ_OK);
    return previous;
}

Test(atomic, fetch_add_counts_from_zero_and_hands_out_what_was_there)
{
    const unsigned char minus_two[8] = {0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    db = open_mode(DSQ_MODE_WRITETHROUGH);
    cr_assert_eq(fetch_add("n", 5), 0);
    cr_assert_eq(fetch_add("n", -7), 5);
    check_bytes(db, "n", 1, minus_two, sizeof minus_two);
    CHECK(dsq_fetch_add(db, "n", 1, 1, NULL), DSQ_OK);
    cr_assert_eq(fetch_add("n", 0), -1);
    CHECK(dsq_close(db), DSQ_OK);
    db = open_mode(DSQ_MODE_WRITETHROUGH);
    cr_assert_eq(fetch_add("n", 0), -1);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(atomic, fetch_add_refuses_what_is_no_integer_and_sums_that_do_not_fit)
{
    struct dsq_error error;
    int64_t previous = 42;
    db = open_mode(DSQ_MODE_LAZY);
    CHECK(put_text(db, "text", "not eight bytes"), DSQ_OK);
    CHECK(dsq_fetch_add(db, "text", 4, 1, &previous), DSQ_MISMATCH);
    check_text(db, "text", "not eight bytes");
    (void)fetch_add("n", INT64_MAX);
    CHECK(dsq_fetch_add(db, "n", 1, 1, &previous), DSQ_ERR_INVALID);
    dsq_last_error(db, &error);
    cr_assert_not_null(strstr(error.message, "does not fit"), "%s", error.message);
    cr_assert_eq(previous, 42);
    cr_assert_eq(fetch_add("n", INT64_MIN), INT64_MAX);
    CHECK(dsq_fetch_add(db, "n", 1, INT64_MIN, &previous), DSQ_ERR_INVALID);
    cr_assert_eq(fetch_add("n", 0), -1);
    CHECK(dsq_close(db), DSQ_OK);
}

#define COUNTERS 8
#define ADDITIONS 4000

static void *add_up(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < ADDITIONS; i++) {
        unsigned key = i % COUNTERS;
        CHECK(dsq_fetch_add(db, &key, sizeof key, 1, NULL), DSQ_OK);
    }
    return NULL;
}

/* With a hot tier smaller than the counters they are also evicted and read back meanwhile. */
static void check_additions(struct dsq_options options)
{
    pthread_t threads[THREADS];
    db = open_with(options);
    for (size_t i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, add_up, NULL), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    for (unsigned key = 0; key < COUNTERS; key++) {
        int64_t sum = 0;
        CHECK(dsq_fetch_add(db, &key, sizeof key, 0, &sum), DSQ_OK);
        cr_assert_eq(sum, (int64_t)THREADS * ADDITIONS / COUNTERS);
    }
    CHECK(dsq_close(db), DSQ_OK);
}

Test(atomic, concurrent_additions_are_all_counted)
{
    check_additions(
        (struct dsq_options){.persist_mode = DSQ_MODE_MEMORY, .hot_capacity = DSQ_UNBOUNDED});
}

Test(atomic, concurrent_additions_to_records_that_come_and_go_are_all_counted)
{
    check_additions((struct dsq_options){.persist_mode = DSQ_MODE_LAZY,
                                         .hot_capacity = 2,
                                         .flush_interval_ms = 1,
                                         .buffer_size = 4});
}
