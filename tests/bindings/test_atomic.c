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
