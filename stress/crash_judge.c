#include "stress/crash_judge.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stress/crash_writer.h"
#include "stress/verdict.h"

/* What one thread's keys hold; number 0: absent. */
struct findings {
    struct crash_value value[CRASH_THREAD_KEYS];
    uint64_t newest;
    uint64_t present;
};

bool crash_judge_init(struct crash_judge *judge, struct crash_page *page, const char *path,
                      uint64_t rounds)
{
    *judge = (struct crash_judge){.page = page, .path = path};
    judge->starts = calloc((rounds + 1) * CRASH_THREADS_MAX, sizeof *judge->starts);
    return judge->starts != NULL;
}

void crash_judge_fini(struct crash_judge *judge)
{
    free(judge->starts);
}

void crash_judge_begin_round(struct crash_judge *judge, uint64_t round)
{
    struct crash_page *page = judge->page;
    atomic_store(&page->round, round);
    atomic_store(&page->opened, false);
    for (uint64_t i = 0; i < page->threads; i++) {
        struct crash_thread *thread = &page->thread[i];
        uint64_t base = atomic_load(&thread->base);
        atomic_store(&thread->invoked, base);
        atomic_store(&thread->acked, base);
        atomic_store(&thread->flushed, base);
        atomic_store(&thread->read, base);
        judge->starts[round * CRASH_THREADS_MAX + i] = base + 1;
    }
}

/* A number is written again when a crash has undone it: the last round to begin before counts. */
static uint64_t round_of(const struct crash_judge *judge, uint64_t thread, uint64_t number)
{
    uint64_t round = atomic_load(&judge->page->round);
    while (round > 0 && judge->starts[round * CRASH_THREADS_MAX + thread] > number) {
        round--;
    }
    return round;
}

static bool key_read(struct crash_judge *judge, dsq_db *db, uint64_t thread, uint64_t key,
                     struct crash_value *value)
{
    char name[CRASH_KEY_BYTES];
    size_t name_size = crash_key_encode(thread, key, name);
    void *bytes;
    size_t size = 0;
    int status = dsq_get(db, name, name_size, &bytes, &size);
    *value = (struct crash_value){.number = 0};
    if (status == DSQ_ABSENT) {
        return true;
    }
    if (!stress_expect(db, "dsq_get", status, status == DSQ_OK)) {
        return false;
    }
    bool good = crash_value_decode(bytes, size, thread, key, value);
    dsq_free(bytes);
    if (!good) {
        stress_violation("\"%s\" holds a damaged value", name);
    } else if (value->round != round_of(judge, thread, value->number)) {
        good = false;
        stress_violation("\"%s\" holds write %" PRIu64 " of round %" PRIu64
                         ", which a crash had undone",
                         name, value->number, value->round);
    }
    return good;
}

static bool findings_read(struct crash_judge *judge, dsq_db *db, uint64_t thread,
                          struct findings *findings)
{
    findings->newest = 0;
    findings->present = 0;
    for (uint64_t key = 0; key < CRASH_THREAD_KEYS; key++) {
        struct crash_value *value = &findings->value[key];
        if (!key_read(judge, db, thread, key, value)) {
            return false;
        }
        findings->present += value->number != 0;
        findings->newest = value->number > findings->newest ? value->number : findings->newest;
    }
    return true;
}

static bool batch_whole(uint64_t thread, const struct findings *findings)
{
    for (uint64_t key = CRASH_RING_KEYS; key < CRASH_THREAD_KEYS; key++) {
        if (findings->value[key].number != findings->value[CRASH_RING_KEYS].number) {
            stress_violation(
                "thread %" PRIu64 ": a batch is torn: its keys hold %" PRIu64 " and %" PRIu64,
                thread, findings->value[CRASH_RING_KEYS].number, findings->value[key].number);
            return false;
        }
    }
    return true;
}

/* The first key that differs from the state after `last` writes; CRASH_THREAD_KEYS if none. */
static uint64_t difference(const struct crash_page *page, uint64_t thread,
                           const struct findings *findings, uint64_t last)
{
    uint64_t key = 0;
    while (key < CRASH_THREAD_KEYS &&
           findings->value[key].number == crash_expected(page, thread, key, last)) {
        key++;
    }
    return key;
}

static void explain(const struct crash_page *page, uint64_t index, const struct findings *findings,
                    uint64_t last)
{
    const struct crash_thread *thread = &page->thread[index];
    uint64_t key = difference(page, index, findings, last);
    uint64_t held = key < CRASH_THREAD_KEYS ? findings->value[key].number : 0;
    uint64_t expected = key < CRASH_THREAD_KEYS ? crash_expected(page, index, key, last) : 0;
    stress_violation("round %" PRIu64 ", thread %" PRIu64
                     ": no prefix of its writes gives what the "
                     "file holds; begun %" PRIu64 ", acknowledged %" PRIu64 ", flushed %" PRIu64
                     ", read %" PRIu64 ", newest found %" PRIu64 "; after write %" PRIu64
                     " key %" PRIu64 " should hold %" PRIu64 " and holds %" PRIu64,
                     atomic_load(&page->round), index, atomic_load(&thread->invoked),
                     atomic_load(&thread->acked), atomic_load(&thread->flushed),
                     atomic_load(&thread->read), findings->newest, last, key, expected, held);
}

/* The last write that must have survived. */
static uint64_t promised(const struct crash_page *page, uint64_t index)
{
    const struct crash_thread *thread = &page->thread[index];
    if (page->mode == DSQ_MODE_LAZY) {
        return atomic_load(&thread->flushed);
    }
    uint64_t acked = atomic_load(&thread->acked);
    uint64_t read = atomic_load(&thread->read);
    return acked > read ? acked : read;
}

/*
 * Finds the longest prefix that explains the findings.  Beyond the newest number found only deletes
 * can have been performed, since anything else would be visible.
 */
static bool prefix_find(const struct crash_page *page, uint64_t index,
                        const struct findings *findings, uint64_t *prefix)
{
    uint64_t lowest = promised(page, index);
    uint64_t begun = atomic_load(&page->thread[index].invoked);
    bool found = false;
    lowest = findings->newest > lowest ? findings->newest : lowest;
    for (uint64_t last = lowest; last <= begun; last++) {
        if (difference(page, index, findings, last) == CRASH_THREAD_KEYS) {
            *prefix = last;
            found = true;
        }
        if (crash_action(page, index, last + 1) != CRASH_DELETE) {
            break;
        }
    }
    if (!found) {
        explain(page, index, findings, lowest);
    }
    return found;
}

/* A surviving write knew of others: they have to have survived with it. */
static bool cut_consistent(const struct crash_page *page, const struct findings *findings,
                           const uint64_t *prefix)
{
    for (uint64_t key = 0; key < CRASH_THREAD_KEYS; key++) {
        const struct crash_value *value = &findings->value[key];
        for (uint64_t other = 0; value->number != 0 && other < page->threads; other++) {
            if (value->known[other] > prefix[other]) {
                stress_violation("write %" PRIu64 " of thread %" PRIu64 " survived; write %" PRIu64
                                 " of thread %" PRIu64 ", which it followed, did not",
                                 value->number, value->thread, value->known[other], other);
                return false;
            }
        }
    }
    return true;
}

static bool nothing_invented(dsq_db *db, uint64_t present)
{
    dsq_cursor *cursor;
    uint64_t count = 0;
    uint64_t visited = 0;
    int status = dsq_count(db, &count);
    if (!stress_expect(db, "dsq_count", status, status == DSQ_OK)) {
        return false;
    }
    status = dsq_cursor_open(db, NULL, &cursor);
    if (!stress_expect(db, "dsq_cursor_open", status, status == DSQ_OK)) {
        return false;
    }
    const void *key;
    size_t size;
    while ((status = dsq_cursor_next(cursor, &key, &size, NULL, NULL)) == DSQ_OK) {
        visited++;
    }
    dsq_cursor_close(cursor);
    if (!stress_expect(db, "dsq_cursor_next", status, status == DSQ_ABSENT)) {
        return false;
    }
    if (count != present || visited != present) {
        stress_violation("%" PRIu64 " keys are there; dsq_count says %" PRIu64
                         ", a cursor visits %" PRIu64,
                         present, count, visited);
    }
    return count == present && visited == present;
}

static bool threads_judge(struct crash_judge *judge, dsq_db *db, struct findings *findings,
                          uint64_t *prefix)
{
    struct crash_page *page = judge->page;
    uint64_t present = 0;
    for (uint64_t i = 0; i < page->threads; i++) {
        if (!findings_read(judge, db, i, &findings[i]) || !batch_whole(i, &findings[i]) ||
            !prefix_find(page, i, &findings[i], &prefix[i])) {
            return false;
        }
        present += findings[i].present;
    }
    for (uint64_t i = 0; i < page->threads; i++) {
        if (!cut_consistent(page, &findings[i], prefix)) {
            return false;
        }
    }
    return nothing_invented(db, present);
}

static void bases_move(struct crash_judge *judge, const uint64_t *prefix)
{
    for (uint64_t i = 0; i < judge->page->threads; i++) {
        struct crash_thread *thread = &judge->page->thread[i];
        uint64_t kept = promised(judge->page, i);
        judge->survived += kept - atomic_load(&thread->base);
        judge->unacknowledged += prefix[i] - kept;
        atomic_store(&thread->base, prefix[i]);
    }
}

bool crash_judge_verify(struct crash_judge *judge)
{
    dsq_db *db;
    uint64_t prefix[CRASH_THREADS_MAX];
    struct findings *findings = calloc(judge->page->threads, sizeof *findings);
    if (findings == NULL || crash_database_open(judge->page, judge->path, &db) != DSQ_OK) {
        free(findings);
        return false;
    }
    bool good = threads_judge(judge, db, findings, prefix);
    free(findings);
    int status = dsq_close(db);
    if (!stress_expect(db, "dsq_close", status, status == DSQ_OK)) {
        dsq_abandon(db);
        return false;
    }
    if (good) {
        bases_move(judge, prefix);
    }
    return good;
}
