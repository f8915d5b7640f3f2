#include "persist/cursor.h"

#include "tests/persist/tier_fixture.h"

TestSuite(cursor, .init = make_store, .fini = remove_store, .timeout = 60);

static struct dsq_tier_cursor *cursor;

static void open_range(const char *start_key, const char *stop_key)
{
    struct dsq_cursor_range range = {.start = text(start_key),
                                     .has_stop = stop_key != NULL,
                                     .stop = text(stop_key != NULL ? stop_key : "")};
    cr_assert_eq(dsq_tier_cursor_open(tier, &range, &cursor, &error), DSQ_OK, "%s", error.message);
}

static void open_all(void)
{
    open_range("", NULL);
}

static int open_descending(const char *start_key, const char *stop_key)
{
    struct dsq_cursor_range range = {.start = text(start_key),
                                     .has_stop = stop_key != NULL,
                                     .stop = text(stop_key != NULL ? stop_key : ""),
                                     .descending = true};
    return dsq_tier_cursor_open(tier, &range, &cursor, &error);
}

/* The next record as "key=value", "end" or "error". */
static const char *next(void)
{
    static char shown[2 * SHOWN_MAX];
    struct dsq_bytes key;
    struct dsq_bytes value;
    int status = dsq_tier_cursor_next(cursor, &key, &value, &error);
    if (status != DSQ_OK) {
        return status == DSQ_ABSENT ? "end" : "error";
    }
    snprintf(shown, sizeof shown, "%.*s=%.*s", (int)key.size, (const char *)key.data,
             (int)value.size, (const char *)value.data);
    return shown;
}

static const char *name(unsigned number)
{
    static char key[24];
    snprintf(key, sizeof key, "%06u", number);
    return key;
}

static void seed(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        fake_seed(store, name(i), "v");
    }
}

/* Steps over the records of [from, to), which are all there in order with the value. */
static void expect_run(unsigned from, unsigned to, const char *value)
{
    char expected[2 * SHOWN_MAX];
    for (unsigned i = from; i < to; i++) {
        snprintf(expected, sizeof expected, "%s=%s", name(i), value);
        cr_assert_str_eq(next(), expected);
    }
}

static void expect_end(void)
{
    cr_assert_str_eq(next(), "end");
    cr_assert_str_eq(next(), "end");
    dsq_tier_cursor_close(cursor);
}

Test(cursor, of_an_empty_dictionary_is_at_its_end)
{
    open_tier(DSQ_TIER_LAZY, 100);
    open_all();
    expect_end();
}

Test(cursor, visits_every_row_in_order_in_chunks)
{
    seed(1000);
    open_tier(DSQ_TIER_LAZY, 10);
    open_all();
    expect_run(0, 1000, "v");
    expect_end();
    cr_assert_geq(fake_calls(store, FAKE_READER_SCAN), 4);
    cr_assert_leq(dsq_map_records(&tier->map), 10);
}

Test(cursor, reads_few_rows_for_who_wants_few)
{
    seed(1000);
    open_tier(DSQ_TIER_LAZY, 10);
    open_all();
    expect_run(0, 32, "v");
    cr_assert_eq(fake_calls(store, FAKE_READER_SCAN), 1);
    expect_run(32, 33, "v");
    cr_assert_eq(fake_calls(store, FAKE_READER_SCAN), 2);
    dsq_tier_cursor_close(cursor);
}

Test(cursor, a_chunk_is_bounded_in_bytes_too)
{
    char *value = calloc(1, 100001);
    memset(value, 'x', 100000);
    for (unsigned i = 0; i < 6; i++) {
        fake_seed(store, name(i), value);
    }
    open_tier(DSQ_TIER_LAZY, 10);
    open_all();
    for (unsigned i = 0; i < 6; i++) {
        struct dsq_bytes key;
        struct dsq_bytes found;
        cr_assert_eq(dsq_tier_cursor_next(cursor, &key, &found, &error), DSQ_OK);
        cr_assert_eq(dsq_bytes_compare(found, text(value)), 0);
    }
    expect_end();
    /* Two of these to a chunk, and the look that finds the end. */
    cr_assert_eq(fake_calls(store, FAKE_READER_SCAN), 4);
    free(value);
}

Test(cursor, a_range_leaves_out_what_lies_outside)
{
    seed(10);
    open_tier(DSQ_TIER_LAZY, 100);
    open_range(name(3), "000007");
    expect_run(3, 7, "v");
    expect_end();
    open_range("000008x", NULL);
    expect_run(9, 10, "v");
    expect_end();
    open_range("000005", "000005");
    expect_end();
}

/* The records of [from, to), the last one first. */
static void expect_run_down(unsigned from, unsigned to)
{
    char expected[2 * SHOWN_MAX];
    for (unsigned i = to; i > from; i--) {
        snprintf(expected, sizeof expected, "%s=v", name(i - 1));
        cr_assert_str_eq(next(), expected);
    }
}

Test(cursor, descending_it_visits_every_row_from_the_last_on_in_chunks)
{
    seed(1000);
    open_tier(DSQ_TIER_LAZY, 10);
    cr_assert_eq(open_descending("", NULL), DSQ_OK);
    expect_run_down(0, 1000);
    expect_end();
    cr_assert_geq(fake_calls(store, FAKE_READER_SCAN), 4);
    cr_assert_eq(open_descending(name(3), "000700"), DSQ_OK);
    expect_run_down(3, 700);
    expect_end();
}

Test(cursor, descending_it_sees_what_is_changed_before_it_comes_by)
{
    seed(600);
    open_tier(DSQ_TIER_LAZY, 1000);
    cr_assert_eq(open_descending("", NULL), DSQ_OK);
    expect_run_down(598, 600);
    cr_assert_str_eq(pop(name(100)), "v");
    expect_run_down(101, 598);
    expect_run_down(0, 100);
    expect_end();
}

Test(cursor, memory_mode_has_no_order_to_descend_in)
{
    open_tier(DSQ_TIER_MEMORY, UINT64_MAX);
    cr_assert_eq(open_descending("", NULL), DSQ_ERR_UNSUPPORTED);
}

Test(cursor, opening_folds_what_was_written_before)
{
    open_tier(DSQ_TIER_LAZY, 100);
    put("b", "1");
    put("a", "1");
    open_all();
    cr_assert_str_eq(fake_kv_log(store), "(a=1 b=1)");
    cr_assert_str_eq(next(), "a=1");
    cr_assert_str_eq(next(), "b=1");
    expect_end();
}

Test(cursor, is_not_opened_when_the_flush_fails)
{
    struct dsq_cursor_range range = {.has_stop = false};
    open_tier(DSQ_TIER_LAZY, 100);
    fake_fail(store, FAKE_COMMIT, 0, FAKE_FOREVER, DSQ_ERR_CORRUPT);
    put("a", "1");
    cr_assert_eq(dsq_tier_cursor_open(tier, &range, &cursor, &error), DSQ_ERR_CORRUPT);
}

Test(cursor, shows_the_newer_value_of_the_hot_tier)
{
    seed(5);
    open_tier(DSQ_TIER_LAZY, 100);
    open_all();
    expect_run(0, 2, "v");
    put(name(0), "behind the cursor");
    put(name(3), "new");
    cr_assert_str_eq(pop(name(2)), "v");
    cr_assert_str_eq(next(), "000003=new");
    expect_run(4, 5, "v");
    expect_end();
}

Test(cursor, the_value_it_shows_stays_until_the_next_call)
{
    struct dsq_bytes key;
    struct dsq_bytes value;
    seed(2);
    open_tier(DSQ_TIER_LAZY, 100);
    put(name(0), "hot");
    open_all();
    cr_assert_eq(dsq_tier_cursor_next(cursor, &key, &value, &error), DSQ_OK);
    put(name(0), "other");
    settle_down();
    evict(name(0));
    cr_assert_eq(dsq_bytes_compare(value, text("hot")), 0);
    expect_run(1, 2, "v");
    expect_end();
}

Test(cursor, a_key_that_stays_is_seen_once_while_others_come_and_go)
{
    seed(1000);
    open_tier(DSQ_TIER_LAZY, 50);
    open_all();
    unsigned kept = 0;
    for (unsigned i = 0;; i++) {
        const char *shown = next();
        if (strcmp(shown, "end") == 0) {
            break;
        }
        kept += strchr(shown, '+') == NULL;
        /* New keys between the old ones, before and after the cursor. */
        char key[32];
        snprintf(key, sizeof key, "%06u+", (i * 7919) % 1000);
        put(key, "new");
        if (i % 100 == 0) {
            settle_down();
        }
    }
    cr_assert_eq(kept, 1000);
    expect_end();
}

Test(cursor, a_failed_read_can_be_repeated)
{
    seed(300);
    open_tier(DSQ_TIER_LAZY, 10);
    open_all();
    /* Chunks of twice as many rows each. */
    expect_run(0, 32 + 64 + 128, "v");
    fake_fail(store, FAKE_READER_SCAN, 0, 1, DSQ_ERR_IO);
    cr_assert_str_eq(next(), "error");
    cr_assert_eq(error.status, DSQ_ERR_IO);
    fake_fail(store, FAKE_READER_ACQUIRE, 0, 1, DSQ_ERR_IO);
    cr_assert_str_eq(next(), "error");
    expect_run(32 + 64 + 128, 300, "v");
    expect_end();
}

Test(cursor, holds_no_reader_between_calls)
{
    seed(10);
    open_tier(DSQ_TIER_LAZY, 100);
    open_all();
    expect_run(0, 1, "v");
    cr_assert_eq(fake_readers(store), 0);
    dsq_tier_cursor_close(cursor);
}

Test(cursor, in_writethrough_mode_a_value_not_yet_durable_is_waited_for)
{
    seed(2);
    open_tier(DSQ_TIER_WRITETHROUGH, 100);
    open_all();
    expect_run(0, 1, "v");
    struct actor *writer = start_trapped(FAKE_AT_COMMIT, act_put, "000001", "new");
    fake_fail(store, FAKE_COMMIT, 0, 1, DSQ_ERR_CORRUPT);
    fake_release(store, FAKE_AT_COMMIT);
    cr_assert_str_eq(finish(writer), "error");
    cr_assert_str_eq(next(), "error");
    cr_assert_eq(dsq_tier_resume(tier, &error), DSQ_OK);
    cr_assert_str_eq(next(), "000001=new");
    expect_end();
}

Test(cursor, in_memory_mode_every_key_is_visited_once)
{
    static unsigned char seen[5000];
    open_tier(DSQ_TIER_MEMORY, UINT64_MAX);
    for (unsigned i = 0; i < 5000; i++) {
        put(name(i), "v");
    }
    for (unsigned i = 0; i < 5000; i += 10) {
        cr_assert_str_eq(pop(name(i)), "v");
    }
    open_all();
    for (const char *shown = next(); strcmp(shown, "end") != 0; shown = next()) {
        seen[strtoul(shown, NULL, 10)]++;
    }
    for (unsigned i = 0; i < 5000; i++) {
        cr_assert_eq(seen[i], i % 10 != 0);
    }
    expect_end();
}

Test(cursor, in_memory_mode_a_range_is_honoured)
{
    unsigned visited = 0;
    open_tier(DSQ_TIER_MEMORY, 1000);
    for (unsigned i = 0; i < 100; i++) {
        put(name(i), "v");
    }
    open_range("000020", "000030");
    for (const char *shown = next(); strcmp(shown, "end") != 0; shown = next()) {
        cr_assert_eq(strncmp(shown, "00002", 5), 0);
        visited++;
    }
    cr_assert_eq(visited, 10);
    expect_end();
}
