/*
 * Every schedule of a change, interrupted once, at each of its marks in turn (core/perturb.h), by each
 * short sequence of other operations: systematic exploration with one preemption (Musuvathi and Qadeer,
 * "Iterative context bounding for systematic testing of multithreaded programs", 2007), all in one
 * thread and so exactly repeatable.
 *
 * One key; `truth` is what the last change that succeeded has made of it.  A look-up after each run
 * must agree, and the table's invariants must hold.  A stale place is a change by a thread that
 * located the key and was then frozen.
 */
#include "tests/core/map_fixture.h"

/* Under the sanitizers a run takes ten times as long. */
#if defined(__SANITIZE_ADDRESS__)
#define SEQUENCE_MAX 2
#else
#define SEQUENCE_MAX 3
#endif
#define FILLERS 32
#define HOME (UINT64_C(3) << 61) /* the last group of the first chunk, of 8 groups */
#define KEY_HASH (HOME + 100)

enum operation { PUT, REMOVE, EVICT, START, HELP, FINISH, LOCATE, PUBLISH, COUNT, OPERATIONS };
static const char *const names[] = {"put",    "remove", "evict",   "start", "help",
                                    "finish", "locate", "publish", "count"};

/* What interrupts: at the mark-th mark from now, these operations. */
static struct {
    unsigned mark; /* 0: nothing waits */
    enum operation sequence[SEQUENCE_MAX];
    unsigned length;
    bool evicts; /* what it interrupts is an eviction */
} intrusion;

static struct dsq_record *truth;
static uint64_t changes;
static struct dsq_place stale;
static bool is_located;
static unsigned values;

static uint64_t evictions_noted;

static void perform(enum operation operation);
static void note_eviction_so_far(void);

void dsq_perturb(void); /* as core/perturb.h declares it for the marked core */

void dsq_perturb(void)
{
    if (intrusion.mark != 0 && --intrusion.mark == 0) {
        note_eviction_so_far();
        for (unsigned i = 0; i < intrusion.length; i++) {
            perform(intrusion.sequence[i]);
        }
    }
}

static struct dsq_bytes the_key(void)
{
    return text("k");
}

static struct dsq_record *fresh_record(void)
{
    char value[16];
    snprintf(value, sizeof value, "%u", values++);
    struct dsq_record *record = make(DSQ_RECORD_VALUE, KEY_HASH, the_key(), value);
    set_clock(record, 0);
    return record;
}

/* A change that succeeds inside another's attempt comes after it: else the other would have failed. */
static void note_change(uint64_t changes_before, struct dsq_record *record)
{
    if (changes == changes_before) {
        truth = record;
    }
    changes++;
}

static bool try_publish(struct dsq_place *place, struct dsq_record *record)
{
    uint64_t before = changes;
    struct dsq_record *replaced = place->record;
    if (!dsq_table_publish(table, place, record)) {
        return false;
    }
    set_clock(record, 0);
    if (replaced != NULL) {
        dsq_record_release(reclaim, replaced);
    }
    note_change(before, record);
    return true;
}

static void put_key(void)
{
    struct dsq_record *record = fresh_record();
    struct dsq_place place;
    do {
        locate(KEY_HASH, the_key(), &place);
    } while (!try_publish(&place, record));
}

static void remove_key(void)
{
    struct dsq_place place;
    bool done = false;
    while (!done) {
        locate(KEY_HASH, the_key(), &place);
        uint64_t before = changes;
        if (place.record == NULL) {
            dsq_table_cancel(table, &place);
            done = true;
        } else if (dsq_table_remove(table, &place)) {
            dsq_record_release(reclaim, place.record);
            note_change(before, NULL);
            done = true;
        }
    }
}

/* At a mark after the step that evicts: what comes at the mark comes after the eviction. */
static void note_eviction_so_far(void)
{
    if (intrusion.evicts && truth != NULL && dsq_table_find(table, KEY_HASH, the_key()) == NULL) {
        note_change(changes, NULL);
        evictions_noted++;
    }
}

/* The fillers are not CLEAN: only the key can go. */
static void evict_key(void)
{
    uint64_t noted = evictions_noted;
    if (dsq_clock_evict(&map, table) != 0 && evictions_noted == noted) {
        note_change(changes, NULL);
    }
}

static void publish_stale(void)
{
    if (is_located) {
        struct dsq_record *record = fresh_record();
        is_located = false;
        if (!try_publish(&stale, record)) {
            dsq_record_release(reclaim, record);
        }
    }
}

/* Nothing else moves: the number is exact. */
static void count_values(void)
{
    uint64_t count = 0;
    bool is_there = dsq_table_find(table, KEY_HASH, the_key()) != NULL;
    cr_assert_eq(dsq_map_count(&map, &count), DSQ_OK);
    cr_assert_eq(count, FILLERS + is_there);
}

static void perform(enum operation operation)
{
    struct dsq_slots *slots = root();
    bool migrates = dsq_load_acquire(&slots->next) != NULL;
    switch (operation) {
    case PUT:
        put_key();
        break;
    case REMOVE:
        remove_key();
        break;
    case EVICT:
        evict_key();
        break;
    case START:
        cr_assert_eq(dsq_migration_start(slots), DSQ_OK);
        break;
    case HELP:
        if (migrates) {
            dsq_migration_help(table, slots);
        }
        break;
    case FINISH:
        if (migrates) {
            dsq_migration_finish(table, slots);
        }
        break;
    case LOCATE:
        if (!is_located) {
            locate(KEY_HASH, the_key(), &stale);
            is_located = true;
        }
        break;
    case PUBLISH:
        publish_stale();
        break;
    case COUNT:
        count_values();
        break;
    case OPERATIONS:
        break;
    }
}

/* A full group where the key would be, so that it lies in the next chunk; enough more to grow. */
static void make_world(bool with_key)
{
    const struct dsq_map_config config = {.capacity = 200, .commits = true};
    cr_assert_eq(dsq_map_init(&map, &config, reclaim), DSQ_OK);
    table = &map.shards[0];
    truth = NULL;
    is_located = false;
    for (uint64_t i = 0; i < FILLERS; i++) {
        uint64_t group = i < GROUP_SLOTS ? HOME : (4 + i / GROUP_SLOTS) << 61;
        struct dsq_record *filler = dsq_record_new(DSQ_RECORD_VALUE, DSQ_RECORD_READY, 1, group + i,
                                                   numbered(&i), text("v"));
        cr_assert_not_null(filler);
        store(filler);
    }
    if (with_key) {
        put_key();
    }
}

static const char *described(enum operation main_operation, unsigned mark)
{
    static char description[200];
    int length =
        snprintf(description, sizeof description, "%s, at mark %u:", names[main_operation], mark);
    for (unsigned i = 0; i < intrusion.length; i++) {
        length += snprintf(description + length, sizeof description - (size_t)length, " %s",
                           names[intrusion.sequence[i]]);
    }
    return description;
}

/* Whether the mark was reached: else there are no more. */
static bool run_schedule(bool with_key, bool located_before, enum operation main_operation,
                         unsigned mark)
{
    make_world(with_key);
    dsq_read_lock();
    if (located_before) {
        perform(LOCATE);
    }
    if (main_operation == FINISH) {
        perform(START);
    }
    intrusion.mark = mark;
    intrusion.evicts = main_operation == EVICT;
    perform(main_operation);
    bool reached = intrusion.mark == 0;
    intrusion.mark = 0;
    publish_stale();
    struct dsq_record *found = dsq_table_find(table, KEY_HASH, the_key());
    bool agrees = found == truth;
    const char *broken = dsq_table_check(table);
    bool agrees_at_the_end = dsq_table_find(table, KEY_HASH, the_key()) == truth;
    dsq_read_unlock();
    cr_assert(agrees, "%s", described(main_operation, mark));
    cr_assert_null(broken, "%s: %s", described(main_operation, mark), broken);
    cr_assert(agrees_at_the_end, "%s, after the migration", described(main_operation, mark));
    dsq_map_fini(&map);
    return reached;
}

static void run_at_every_mark(enum operation main_operation)
{
    for (int world = 0; world < 4; world++) {
        for (unsigned mark = 1;
             run_schedule((world & 1) != 0, (world & 2) != 0, main_operation, mark); mark++) {
        }
    }
}

/* Each sequence of up to SEQUENCE_MAX operations: counted up like a number. */
static void explore(enum operation main_operation)
{
    make_reclaim();
    for (intrusion.length = 1; intrusion.length <= SEQUENCE_MAX; intrusion.length++) {
        unsigned place = 0;
        memset(intrusion.sequence, 0, sizeof intrusion.sequence);
        while (place < intrusion.length) {
            run_at_every_mark(main_operation);
            for (place = 0; place < intrusion.length; place++) {
                if (++intrusion.sequence[place] < OPERATIONS) {
                    break;
                }
                intrusion.sequence[place] = PUT;
            }
        }
    }
    dsq_reclaim_destroy(reclaim);
}

TestSuite(schedules, .timeout = 300);

Test(schedules, a_put_is_a_put_whatever_comes_between)
{
    explore(PUT);
}

Test(schedules, a_removal_is_a_removal_whatever_comes_between)
{
    explore(REMOVE);
}

Test(schedules, an_eviction_is_an_eviction_whatever_comes_between)
{
    explore(EVICT);
}

Test(schedules, a_migration_keeps_the_truth_whatever_comes_between)
{
    explore(FINISH);
}
