/* P5: hot_capacity and hot_bytes bound what is clean, the queue what is not, whatever happens. */
#include "tests/persist/tier_fixture.h"

#define CAPACITY 200
/* What one thread may be over for a moment. */
#define SLACK 8
#define THREADS 2
#define KEYS 5000

TestSuite(bounds, .init = make_store, .fini = remove_store, .timeout = 60);

static const char *numbered(uint64_t number)
{
    static _Thread_local char key[24];
    snprintf(key, sizeof key, "%06u", (unsigned)(number % KEYS));
    return key;
}

static void check_records(uint64_t dirty, unsigned threads)
{
    uint64_t records = dsq_map_records(&tier->map);
    cr_assert_leq(records, CAPACITY + dirty + SLACK * threads, "%u", (unsigned)records);
}

static void check_bytes(uint64_t most)
{
    cr_assert_leq(dsq_map_bytes(&tier->map), most);
}

static void seed_rows(void)
{
    for (uint64_t i = 0; i < KEYS; i++) {
        fake_seed(store, numbered(i), "v");
    }
}

Test(bounds, misses_and_scans_hold_the_capacity)
{
    seed_rows();
    open_tier(DSQ_TIER_LAZY, CAPACITY);
    for (int round = 0; round < 3; round++) {
        for (uint64_t i = 0; i < KEYS; i++) {
            cr_assert_str_eq(get(numbered(i * (round == 1 ? 7919 : 1))), "v");
            check_records(0, 1);
        }
    }
    cr_assert_geq(dsq_map_records(&tier->map), CAPACITY * 9 / 10, "and it is used");
    close_tier();
}

Test(bounds, remembered_absences_hold_the_capacity)
{
    fake_seed(store, "some", "row");
    open_tier(DSQ_TIER_LAZY, CAPACITY);
    for (uint64_t i = 0; i < KEYS; i++) {
        cr_assert_str_eq(get(numbered(i)), "absent");
        check_records(0, 1);
    }
    close_tier();
}

Test(bounds, a_bulk_load_holds_the_capacity_and_what_is_not_folded_yet)
{
    open_tier(DSQ_TIER_LAZY, CAPACITY);
    for (uint64_t i = 0; i < KEYS; i++) {
        uint64_t dirty = i % 1000 + 1;
        put(numbered(i), "v");
        check_records(dirty, 1);
        if (dirty == 1000) {
            settle_down();
            check_records(0, 1);
        }
    }
    close_tier();
}

/* As the library opens it: what is unfolded is bounded too, by a share of the capacity. */
static void open_folding(enum dsq_tier_mode mode)
{
    struct dsq_tier_config config = {
        .mode = mode, .hot_capacity = CAPACITY, .committer.fold_records = CAPACITY / 4};
    cr_assert_eq(try_open(config), DSQ_OK);
}

/* Records of the hot tier beyond what was unfolded at some moment meanwhile. */
static uint64_t clean_records(void)
{
    uint64_t done = dsq_committer_done(tier->committer);
    uint64_t records = dsq_map_records(&tier->map);
    uint64_t unfolded = dsq_committer_pushed(tier->committer) - done;
    return records > unfolded ? records - unfolded : 0;
}

Test(bounds, a_writethrough_load_holds_the_capacity)
{
    open_folding(DSQ_TIER_WRITETHROUGH);
    for (uint64_t i = 0; i < KEYS; i++) {
        put(numbered(i), "v");
        cr_assert_leq(clean_records(), CAPACITY + SLACK);
    }
    settle_down();
    check_records(0, 1);
    cr_assert_gt(dsq_load_relaxed(&tier->committer->folds), KEYS / CAPACITY);
    close_tier();
}

Test(bounds, a_memory_cache_holds_the_capacity)
{
    open_tier(DSQ_TIER_MEMORY, CAPACITY);
    for (uint64_t i = 0; i < KEYS; i++) {
        put(numbered(i), "v");
        check_records(0, 1);
    }
}

Test(bounds, a_stalled_disk_holds_the_bytes_of_the_hot_tier_and_of_the_queue)
{
    enum { HOT_BYTES = 20000, QUEUE_BYTES = 30000, RECORD_BYTES = 32 + 6 + 100 };
    static char value[101];
    struct dsq_tier_config config = {.mode = DSQ_TIER_LAZY,
                                     .hot_capacity = UINT64_MAX,
                                     .hot_bytes = HOT_BYTES,
                                     .committer.queue_bytes = QUEUE_BYTES};
    uint64_t first_refused = KEYS;
    memset(value, 'v', 100);
    cr_assert_eq(try_open(config), DSQ_OK);
    for (uint64_t i = 0; i < first_refused; i++) {
        if (dsq_tier_put(tier, text(numbered(i)), text(value), DSQ_NOWAIT, &error) ==
            DSQ_WOULD_BLOCK) {
            first_refused = i;
        }
        check_bytes(HOT_BYTES + QUEUE_BYTES + SLACK * RECORD_BYTES);
    }
    cr_assert_lt(first_refused, KEYS - 1);
    struct actor *writer = start_trapped(FAKE_AT_COMMIT, act_put, "waits", value);
    for (uint64_t i = 0; i < first_refused; i++) {
        cr_assert_eq(peek(numbered(i)), DSQ_OK, "readers of hot records are not held up");
    }
    check_bytes(HOT_BYTES + QUEUE_BYTES + SLACK * RECORD_BYTES);
    fake_release(store, FAKE_AT_COMMIT);
    cr_assert_str_eq(finish(writer), "ok");
    settle_down();
    check_bytes(HOT_BYTES + SLACK * RECORD_BYTES);
    cr_assert_geq(dsq_map_bytes(&tier->map), HOT_BYTES / 2, "and they are used");
    close_tier();
}

static _Atomic uint64_t highest;

static void *mix_of_calls(void *argument)
{
    uint64_t number = (uint64_t)(uintptr_t)argument;
    for (int i = 0; i < 20000; i++) {
        uint64_t records;
        number = number * UINT64_C(6364136223846793005) + 1442695040888963407;
        if (number >> 62 == 0) {
            (void)dsq_tier_put(tier, text(numbered(number >> 32)), text("v"), DSQ_WAITS, NULL);
        } else {
            char shown[SHOWN_MAX];
            get_into(shown, numbered(number >> 32));
        }
        records = clean_records();
        if (records > dsq_load_relaxed(&highest)) {
            dsq_store_relaxed(&highest, records);
        }
    }
    return NULL;
}

Test(bounds, several_threads_are_over_by_their_slack_at_most)
{
    pthread_t threads[THREADS];
    seed_rows();
    open_folding(DSQ_TIER_WRITETHROUGH);
    for (uintptr_t i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, mix_of_calls, (void *)(i + 1)), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    cr_assert_leq(dsq_load_relaxed(&highest), CAPACITY + SLACK * THREADS);
    cr_assert_geq(dsq_load_relaxed(&highest), CAPACITY);
    close_tier();
}
