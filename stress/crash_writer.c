#include "stress/crash_writer.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "stress/password.h"
#include "stress/random.h"
#include "stress/verdict.h"

/* So short that a life of some milliseconds sees several commits and several flushes. */
#define FLUSH_INTERVAL_MS 2
#define BUFFER_SIZE 64

struct writer {
    struct crash_page *page;
    dsq_db *db;
    uint64_t index;
    dsq_batch *batch;
    struct stress_random random;
    uint64_t seen[CRASH_THREADS_MAX]; /* the newest write of each thread that this one has read */
};

int crash_database_open(const struct crash_page *page, const char *path, dsq_db **db)
{
    struct dsq_error error = {.status = DSQ_OK};
    struct dsq_options options = {
        .persist_mode = page->mode,
        .synchronous = page->synchronous,
        .hot_capacity = page->capacity,
        .flush_interval_ms = FLUSH_INTERVAL_MS,
        .buffer_size = BUFFER_SIZE,
        .error = &error,
    };
    stress_encrypt(&options, page->encrypt);
    int status = dsq_open(path, &options, db);
    if (status != DSQ_OK) {
        stress_violation("dsq_open returned %s: %s", dsq_strstatus(status), error.message);
    }
    return status;
}

static void number_raise(_Atomic uint64_t *number, uint64_t to)
{
    uint64_t seen = atomic_load(number);
    while (seen < to && !atomic_compare_exchange_weak(number, &seen, to)) {
    }
}

static size_t value_make(struct writer *writer, uint64_t key, uint64_t number,
                         unsigned char bytes[CRASH_VALUE_BYTES_MAX])
{
    struct crash_value value = {.thread = writer->index,
                                .key = key,
                                .number = number,
                                .round = atomic_load(&writer->page->round)};
    for (uint64_t i = 0; i < writer->page->threads; i++) {
        uint64_t acked = atomic_load(&writer->page->thread[i].acked);
        value.known[i] = acked > writer->seen[i] ? acked : writer->seen[i];
    }
    return crash_value_encode(&value, bytes);
}

static int batch_write(struct writer *writer, uint64_t number)
{
    unsigned char value[CRASH_VALUE_BYTES_MAX];
    char name[CRASH_KEY_BYTES];
    for (uint64_t key = CRASH_RING_KEYS; key < CRASH_THREAD_KEYS; key++) {
        size_t name_size = crash_key_encode(writer->index, key, name);
        size_t size = value_make(writer, key, number, value);
        int status = dsq_batch_put(writer->batch, name, name_size, value, size);
        if (status != DSQ_OK) {
            return status;
        }
    }
    int status = dsq_batch_commit(writer->batch);
    dsq_batch_clear(writer->batch);
    return status;
}

static int single_write(struct writer *writer, uint64_t number, bool put)
{
    unsigned char value[CRASH_VALUE_BYTES_MAX];
    char name[CRASH_KEY_BYTES];
    uint64_t key = number % CRASH_RING_KEYS;
    size_t name_size = crash_key_encode(writer->index, key, name);
    if (put) {
        size_t size = value_make(writer, key, number, value);
        return dsq_put(writer->db, name, name_size, value, size);
    }
    int status = dsq_delete(writer->db, name, name_size);
    return status == DSQ_ABSENT ? DSQ_OK : status;
}

static bool write_next(struct writer *writer)
{
    struct crash_thread *thread = &writer->page->thread[writer->index];
    uint64_t number = atomic_load(&thread->invoked) + 1;
    enum crash_action action = crash_action(writer->page, writer->index, number);
    atomic_store(&thread->invoked, number);
    int status = action == CRASH_BATCH ? batch_write(writer, number)
                                       : single_write(writer, number, action == CRASH_PUT);
    atomic_store(&thread->acked, status == DSQ_OK ? number : number - 1);
    return stress_expect(writer->db, "a write", status, status == DSQ_OK);
}

/* What a read has returned may not be taken back by the crash (writethrough). */
static bool read_any(struct writer *writer)
{
    uint64_t thread = stress_random_below(&writer->random, writer->page->threads);
    uint64_t key = stress_random_below(&writer->random, CRASH_THREAD_KEYS);
    char name[CRASH_KEY_BYTES];
    size_t name_size = crash_key_encode(thread, key, name);
    void *bytes;
    size_t size = 0;
    int status = dsq_get(writer->db, name, name_size, &bytes, &size);
    if (!stress_expect(writer->db, "a read", status, status == DSQ_OK || status == DSQ_ABSENT)) {
        return false;
    }
    struct crash_value value = {0};
    bool good = status == DSQ_ABSENT || crash_value_decode(bytes, size, thread, key, &value);
    if (good) {
        number_raise(&writer->page->thread[thread].read, value.number);
        if (writer->seen[thread] < value.number) {
            writer->seen[thread] = value.number;
        }
    } else {
        stress_violation("a read returned a damaged value");
    }
    dsq_free(bytes);
    return good;
}

static bool flush_all(struct writer *writer)
{
    struct crash_page *page = writer->page;
    uint64_t acked[CRASH_THREADS_MAX];
    for (uint64_t i = 0; i < page->threads; i++) {
        acked[i] = atomic_load(&page->thread[i].acked);
    }
    int status = dsq_flush(writer->db, -1);
    if (!stress_expect(writer->db, "dsq_flush", status, status == DSQ_OK)) {
        return false;
    }
    for (uint64_t i = 0; i < page->threads; i++) {
        number_raise(&page->thread[i].flushed, acked[i]);
    }
    return true;
}

static void *writer_main(void *argument)
{
    struct writer *writer = argument;
    bool good = true;
    while (good && !stress_failed() && !atomic_load(&writer->page->stop)) {
        uint64_t draw = stress_random_below(&writer->random, 64);
        if (draw == 0 && writer->page->mode == DSQ_MODE_LAZY) {
            good = flush_all(writer);
        } else if (draw < 16) {
            good = read_any(writer);
        } else {
            good = write_next(writer);
        }
    }
    return NULL;
}

void crash_writers_run(struct crash_page *page, dsq_db *db)
{
    pthread_t threads[CRASH_THREADS_MAX];
    struct writer writers[CRASH_THREADS_MAX];
    uint64_t started = 0;
    for (; started < page->threads; started++) {
        struct writer *writer = &writers[started];
        *writer = (struct writer){.page = page, .db = db, .index = started};
        writer->random.state = stress_mix3(page->seed, atomic_load(&page->round), started);
        if (dsq_batch_new(db, &writer->batch) != DSQ_OK ||
            pthread_create(&threads[started], NULL, writer_main, writer) != 0) {
            stress_violation("cannot start a writer thread");
            break;
        }
    }
    for (uint64_t i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
        dsq_batch_destroy(writers[i].batch);
    }
}

static bool open_and_close(const struct crash_page *page, const char *path)
{
    dsq_db *db;
    if (crash_database_open(page, path, &db) != DSQ_OK) {
        return false;
    }
    int status = dsq_close(db);
    return stress_expect(db, "dsq_close", status, status == DSQ_OK);
}

int crash_writer_run(struct crash_page *page, const char *path, bool open_only)
{
    dsq_db *db;
    while (open_only && open_and_close(page, path)) {
    }
    if (!open_only && crash_database_open(page, path, &db) == DSQ_OK) {
        atomic_store(&page->opened, true);
        crash_writers_run(page, db);
    }
    atomic_store(&page->failed, true);
    return 1;
}
