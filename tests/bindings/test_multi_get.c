#include "tests/bindings/fixture.h"

TestSuite(multi_get, .init = scratch_make, .fini = scratch_remove);

#define KEYS 500

static char names[KEYS][32];
static struct dsq_key keys[KEYS];
static struct dsq_view views[KEYS];
static int statuses[KEYS];

/* Every key of a store of KEYS / 2 records with even numbers. */
static dsq_db *open_half(struct dsq_options options)
{
    dsq_db *db = open_with(options);
    for (unsigned i = 0; i < KEYS; i++) {
        snprintf(names[i], sizeof names[i], "%s", numbered_key(i));
        keys[i] = (struct dsq_key){names[i], strlen(names[i])};
        if (i % 2 == 0) {
            CHECK(put_text(db, names[i], numbered_value(i)), DSQ_OK);
        }
    }
    return db;
}

static void check_half(dsq_db *db)
{
    CHECK(dsq_multi_get(db, keys, KEYS, views, statuses), DSQ_OK);
    for (unsigned i = 0; i < KEYS; i++) {
        CHECK(statuses[i], i % 2 == 0 ? DSQ_OK : DSQ_ABSENT);
        if (i % 2 == 0) {
            cr_assert_eq(views[i].size, strlen(numbered_value(i)));
            cr_assert_eq(memcmp(views[i].data, numbered_value(i), views[i].size), 0);
        } else {
            cr_assert_null(views[i].pin);
        }
    }
}

static void release_all(dsq_db *db)
{
    for (unsigned i = 0; i < KEYS; i++) {
        dsq_view_release(db, &views[i]);
    }
}

Test(multi_get, finds_every_key_and_misses_every_other)
{
    dsq_db *db = open_half((struct dsq_options){.persist_mode = DSQ_MODE_WRITETHROUGH});
    check_half(db);
    release_all(db);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(multi_get, reads_cold_records)
{
    dsq_db *db = open_half((struct dsq_options){.persist_mode = DSQ_MODE_LAZY, .hot_capacity = 16});
    check_half(db);
    release_all(db);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(multi_get, works_in_memory_mode)
{
    dsq_db *db = open_half(
        (struct dsq_options){.persist_mode = DSQ_MODE_MEMORY, .hot_capacity = DSQ_UNBOUNDED});
    check_half(db);
    release_all(db);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(multi_get, hands_out_a_view_for_each_time_that_a_key_is_asked_for)
{
    struct dsq_key twice[] = {{"key", 3}, {"key", 3}};
    dsq_db *db = open_mode(DSQ_MODE_LAZY);
    CHECK(put_text(db, "key", "value"), DSQ_OK);
    CHECK(dsq_multi_get(db, twice, 2, views, statuses), DSQ_OK);
    dsq_view_release(db, &views[0]);
    cr_assert_eq(memcmp(views[1].data, "value", 5), 0);
    dsq_view_release(db, &views[1]);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(multi_get, its_views_keep_the_store_open)
{
    dsq_db *db = open_half((struct dsq_options){.persist_mode = DSQ_MODE_LAZY});
    check_half(db);
    CHECK(dsq_close(db), DSQ_ERR_BUSY);
    release_all(db);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(multi_get, refuses_the_whole_call_for_a_key_that_cannot_be)
{
    struct dsq_error error;
    struct dsq_key some[] = {{"key", 3}, {"key", DSQ_KEY_SIZE_MAX + 1}};
    dsq_db *db = open_mode(DSQ_MODE_LAZY);
    CHECK(put_text(db, "key", "value"), DSQ_OK);
    CHECK(dsq_multi_get(db, some, 2, views, statuses), DSQ_ERR_TOO_BIG);
    CHECK(statuses[0], DSQ_ERR_TOO_BIG);
    cr_assert_null(views[0].pin);
    dsq_last_error(db, &error);
    cr_assert_not_null(strstr(error.message, "key"));
    some[1] = (struct dsq_key){NULL, 1};
    CHECK(dsq_multi_get(db, some, 2, views, statuses), DSQ_ERR_INVALID);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(multi_get, of_no_keys_is_no_error)
{
    dsq_db *db = open_mode(DSQ_MODE_LAZY);
    CHECK(dsq_multi_get(db, NULL, 0, NULL, NULL), DSQ_OK);
    CHECK(dsq_multi_get(db, NULL, 1, views, statuses), DSQ_ERR_INVALID);
    CHECK(dsq_multi_get(NULL, keys, 1, views, statuses), DSQ_ERR_INVALID);
    CHECK(dsq_close(db), DSQ_OK);
}

/* ---- dsq_multi_peek ---- */

struct sight {
    unsigned count;
    unsigned char seen[KEYS];
};

static uint16_t note_sight(void *context, size_t i, const struct dsq_peeked *peeked)
{
    struct sight *sight = context;
    cr_assert_eq(peeked->size, strlen(numbered_value((unsigned)i)));
    cr_assert_eq(memcmp(peeked->data, numbered_value((unsigned)i), peeked->size), 0);
    sight->seen[i]++;
    sight->count++;
    return peeked->note;
}

Test(multi_get, peek_shows_each_value_that_is_hot_once)
{
    struct sight sight = {0};
    dsq_db *db = open_half((struct dsq_options){.persist_mode = DSQ_MODE_LAZY});
    CHECK(dsq_multi_peek(db, keys, KEYS, note_sight, &sight, statuses), DSQ_OK);
    for (unsigned i = 0; i < KEYS; i++) {
        CHECK(statuses[i], i % 2 == 0 ? DSQ_OK : DSQ_ABSENT);
        cr_assert_eq(sight.seen[i], i % 2 == 0);
    }
    CHECK(dsq_close(db), DSQ_OK);
}

Test(multi_get, peek_does_not_wait_for_what_is_cold)
{
    struct sight sight = {0};
    unsigned waiting = 0;
    dsq_db *db = open_half((struct dsq_options){.persist_mode = DSQ_MODE_LAZY, .hot_capacity = 16});
    CHECK(dsq_close(db), DSQ_OK);
    db = open_with((struct dsq_options){.persist_mode = DSQ_MODE_LAZY, .hot_capacity = 16});
    CHECK(dsq_multi_peek(db, keys, KEYS, note_sight, &sight, statuses), DSQ_OK);
    for (unsigned i = 0; i < KEYS; i++) {
        waiting += statuses[i] == DSQ_WOULD_BLOCK;
    }
    cr_assert_eq(waiting, KEYS);
    cr_assert_eq(sight.count, 0);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(multi_get, peek_refuses_the_whole_call_for_a_key_that_cannot_be)
{
    struct sight sight = {0};
    struct dsq_key some[] = {{"key", 3}, {"key", DSQ_KEY_SIZE_MAX + 1}};
    dsq_db *db = open_mode(DSQ_MODE_LAZY);
    CHECK(put_text(db, "key", "value"), DSQ_OK);
    CHECK(dsq_multi_peek(db, some, 2, note_sight, &sight, statuses), DSQ_ERR_TOO_BIG);
    cr_assert_eq(sight.count, 0);
    CHECK(dsq_multi_peek(db, some, 1, NULL, NULL, statuses), DSQ_ERR_INVALID);
    CHECK(dsq_multi_peek(db, NULL, 1, note_sight, &sight, statuses), DSQ_ERR_INVALID);
    CHECK(dsq_multi_peek(db, NULL, 0, NULL, NULL, NULL), DSQ_OK);
    CHECK(dsq_close(db), DSQ_OK);
    CHECK(dsq_multi_peek(NULL, some, 1, note_sight, &sight, statuses), DSQ_ERR_INVALID);
}

/* ---- notes ---- */

struct notes {
    const void *record;
    uint16_t found;
    uint16_t left; /* what the visitor leaves */
    unsigned calls;
};

static uint16_t take_note(void *context, const struct dsq_peeked *peeked)
{
    struct notes *notes = context;
    notes->record = peeked->record;
    notes->found = peeked->note;
    notes->calls++;
    return notes->left;
}

static struct notes look(dsq_db *db, const char *key, uint16_t left)
{
    struct notes notes = {.left = left};
    CHECK(dsq_peek_noted(db, key, strlen(key), take_note, &notes), DSQ_OK);
    cr_assert_eq(notes.calls, 1);
    return notes;
}

Test(multi_get, a_note_stays_with_its_record_and_with_no_other)
{
    dsq_db *db = open_mode(DSQ_MODE_MEMORY);
    CHECK(put_text(db, "a", "1"), DSQ_OK);
    CHECK(put_text(db, "b", "1"), DSQ_OK);
    cr_assert_eq(look(db, "a", 7).found, 0);
    cr_assert_eq(look(db, "a", 65535).found, 7);
    cr_assert_eq(look(db, "a", 65535).found, 65535);
    cr_assert_eq(look(db, "b", 0).found, 0);
    cr_assert_neq(look(db, "b", 0).record, look(db, "a", 65535).record);
    CHECK(put_text(db, "a", "1"), DSQ_OK);
    cr_assert_eq(look(db, "a", 0).found, 0, "the value is the same, the record is not");
    CHECK(dsq_close(db), DSQ_OK);
}

Test(multi_get, a_record_in_the_place_of_a_dead_one_has_no_note)
{
    unsigned used_again = 0;
    const void *before = NULL;
    dsq_db *db = open_mode(DSQ_MODE_MEMORY);
    for (unsigned i = 0; i < 20000; i++) {
        struct notes notes;
        CHECK(put_text(db, "key", "value"), DSQ_OK);
        notes = look(db, "key", (uint16_t)(1 + i % 1000));
        cr_assert_eq(notes.found, 0);
        used_again += i > 0 && notes.record <= before;
        before = notes.record;
    }
#ifndef __SANITIZE_ADDRESS__
    cr_assert_gt(used_again, 0, "else this shows nothing");
#endif
    CHECK(dsq_close(db), DSQ_OK);
}

Test(multi_get, a_noting_look_refuses_what_a_look_refuses)
{
    struct notes notes = {.left = 1};
    dsq_db *db = open_mode(DSQ_MODE_MEMORY);
    CHECK(dsq_peek_noted(db, "k", 1, take_note, &notes), DSQ_ABSENT);
    CHECK(dsq_peek_noted(db, "k", 1, NULL, NULL), DSQ_ERR_INVALID);
    CHECK(dsq_peek_noted(db, NULL, 1, take_note, &notes), DSQ_ERR_INVALID);
    CHECK(dsq_peek_noted(db, "k", DSQ_KEY_SIZE_MAX + 1, take_note, &notes), DSQ_ERR_TOO_BIG);
    CHECK(dsq_peek_noted(NULL, "k", 1, take_note, &notes), DSQ_ERR_INVALID);
    cr_assert_eq(notes.calls, 0);
    CHECK(dsq_close(db), DSQ_OK);
}
