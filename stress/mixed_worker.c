#include "stress/mixed_worker.h"

#include <inttypes.h>

#include "stress/mixed_record.h"
#include "stress/mixed_scan.h"
#include "stress/verdict.h"

/* Half of the operations go to this many keys, so that threads meet. */
#define HOT_KEYS 64
#define SLACK_RECORDS_PER_THREAD 8
#define SLACK_PERCENT 1

static void report(struct mixed_run *run, const char *call, uint64_t key, uint64_t floor,
                   const char *why)
{
    stress_violation("%s of key %" PRIu64 ": %s (floor %" PRIu64 ", begun %" PRIu64 ")", call, key,
                     why, floor, atomic_load(&run->model.keys[key].started));
}

static const char *value_refusal(struct mixed_run *run, uint64_t key, uint64_t floor,
                                 const void *value, size_t size)
{
    struct mixed_stamp stamp;
    if (!mixed_value_decode(value, size, &stamp)) {
        return "the value is damaged";
    }
    if (stamp.key != key || stamp.writer != key % run->threads) {
        return "the value belongs to another key";
    }
    return register_saw_version(&run->model, key, floor, stamp.version);
}

bool mixed_check_read(struct mixed_run *run, const char *call, uint64_t key, uint64_t floor,
                      int status, const void *value, size_t size)
{
    const char *why;
    if (!stress_expect(run->db, call, status, status == DSQ_OK || status == DSQ_ABSENT)) {
        return false;
    }
    if (status == DSQ_OK) {
        why = value_refusal(run, key, floor, value, size);
    } else {
        why = register_saw_absent(&run->model, key, floor);
    }
    if (why != NULL) {
        report(run, call, key, floor, why);
    }
    return why == NULL;
}

bool mixed_check_memory(struct mixed_run *run)
{
    struct dsq_stats stats;
    if (run->capacity == DSQ_UNBOUNDED) {
        return true;
    }
    dsq_stats(run->db, &stats);
    uint64_t bound = run->capacity + stats.unfolded + SLACK_RECORDS_PER_THREAD * run->threads;
    bound += bound * SLACK_PERCENT / 100;
    if (stats.hot_records > bound) {
        stress_violation("%" PRIu64 " hot records, bound %" PRIu64 " (capacity %" PRIu64
                         ", unfolded %" PRIu64 ")",
                         stats.hot_records, bound, run->capacity, stats.unfolded);
        return false;
    }
    return true;
}

static uint64_t any_key(struct mixed_worker *worker)
{
    uint64_t keys = worker->run->model.count;
    if (keys > HOT_KEYS && stress_random_below(&worker->random, 2) == 0) {
        keys = HOT_KEYS;
    }
    return stress_random_below(&worker->random, keys);
}

static uint64_t own_key(struct mixed_worker *worker)
{
    uint64_t threads = worker->run->threads;
    uint64_t key = any_key(worker);
    key = key - key % threads + worker->index;
    return key < worker->run->model.count ? key : key - threads;
}

static void do_get(struct mixed_worker *worker)
{
    struct mixed_run *run = worker->run;
    unsigned char name[MIXED_KEY_BYTES_MAX];
    uint64_t key = any_key(worker);
    size_t name_size = mixed_key_encode(key, name);
    uint64_t floor = register_floor(&run->model, key);
    void *value;
    size_t size = 0;
    int status = dsq_get(run->db, name, name_size, &value, &size);
    mixed_check_read(run, "dsq_get", key, floor, status, value, size);
    dsq_free(value);
}

struct peeked {
    unsigned char value[MIXED_VALUE_BYTES_MAX];
    size_t size;
};

static void copy_peeked(void *context, const void *value, size_t size)
{
    struct peeked *peeked = context;
    peeked->size = size;
    if (size <= sizeof peeked->value) {
        memcpy(peeked->value, value, size);
    }
}

static void do_peek(struct mixed_worker *worker)
{
    struct mixed_run *run = worker->run;
    unsigned char name[MIXED_KEY_BYTES_MAX];
    struct peeked peeked = {.size = 0};
    uint64_t key = any_key(worker);
    size_t name_size = mixed_key_encode(key, name);
    uint64_t floor = register_floor(&run->model, key);
    int status = dsq_peek(run->db, name, name_size, copy_peeked, &peeked);
    if (status == DSQ_WOULD_BLOCK) {
        return;
    }
    if (peeked.size > sizeof peeked.value) {
        peeked.size = 0;
    }
    mixed_check_read(run, "dsq_peek", key, floor, status, peeked.value, peeked.size);
}

static void do_contains(struct mixed_worker *worker)
{
    struct mixed_run *run = worker->run;
    unsigned char name[MIXED_KEY_BYTES_MAX];
    uint64_t key = any_key(worker);
    size_t name_size = mixed_key_encode(key, name);
    uint64_t floor = register_floor(&run->model, key);
    int status = dsq_contains(run->db, name, name_size);
    if (!stress_expect(run->db, "dsq_contains", status, status == DSQ_OK || status == DSQ_ABSENT)) {
        return;
    }
    const char *why = status == DSQ_OK ? register_saw_present(&run->model, key, floor)
                                       : register_saw_absent(&run->model, key, floor);
    if (why != NULL) {
        report(run, "dsq_contains", key, floor, why);
    }
}

static void view_unpin(struct mixed_worker *worker, struct dsq_view *view)
{
    struct mixed_stamp stamp;
    if (view->pin != NULL && !mixed_value_decode(view->data, view->size, &stamp)) {
        stress_violation("the bytes of a pinned view have changed");
    }
    dsq_view_release(worker->run->db, view);
    *view = (struct dsq_view){0};
}

static void do_view(struct mixed_worker *worker)
{
    struct mixed_run *run = worker->run;
    unsigned char name[MIXED_KEY_BYTES_MAX];
    struct dsq_view *view =
        &worker->views[stress_random_below(&worker->random, MIXED_PINNED_VIEWS)];
    view_unpin(worker, view);
    uint64_t key = any_key(worker);
    size_t name_size = mixed_key_encode(key, name);
    uint64_t floor = register_floor(&run->model, key);
    int status = dsq_view(run->db, name, name_size, view);
    mixed_check_read(run, "dsq_view", key, floor, status, view->data, view->size);
    if (status != DSQ_OK) {
        *view = (struct dsq_view){0};
    }
}

/* Whether the owner's own key must be there, must not, or (in a cache) may be either. */
static bool presence_allowed(struct mixed_run *run, uint64_t key, uint64_t version, bool present)
{
    if (register_is_delete(&run->model, key, version)) {
        return !present;
    }
    return present || run->model.may_vanish;
}

static void check_own_presence(struct mixed_run *run, const char *call, int status, uint64_t key,
                               uint64_t version)
{
    if (!stress_expect(run->db, call, status, status == DSQ_OK || status == DSQ_ABSENT)) {
        return;
    }
    if (!presence_allowed(run, key, version, status == DSQ_OK)) {
        report(run, call, key, version,
               status == DSQ_OK ? "removed a key that was not there"
                                : "did not find the key that this thread had put");
    }
}

/* The owner's own key holds exactly its last version. */
static void check_own_value(struct mixed_run *run, const char *call, uint64_t key, uint64_t version,
                            const void *value, size_t size)
{
    struct mixed_stamp stamp;
    if (!mixed_value_decode(value, size, &stamp) || stamp.key != key || stamp.version != version) {
        report(run, call, key, version, "did not hand out the version that this thread had put");
    }
}

static void write_delete(struct mixed_worker *worker, uint64_t key, uint64_t version)
{
    struct mixed_run *run = worker->run;
    unsigned char name[MIXED_KEY_BYTES_MAX];
    size_t name_size = mixed_key_encode(key, name);
    if (stress_random_below(&worker->random, 2) == 0) {
        int status = dsq_delete(run->db, name, name_size);
        check_own_presence(run, "dsq_delete", status, key, version - 1);
        return;
    }
    void *value;
    size_t size = 0;
    int status = dsq_pop(run->db, name, name_size, &value, &size);
    check_own_presence(run, "dsq_pop", status, key, version - 1);
    if (status == DSQ_OK) {
        check_own_value(run, "dsq_pop", key, version - 1, value, size);
    }
    dsq_free(value);
}

static void write_put(struct mixed_worker *worker, uint64_t key, uint64_t version)
{
    struct mixed_run *run = worker->run;
    unsigned char name[MIXED_KEY_BYTES_MAX];
    unsigned char value[MIXED_VALUE_BYTES_MAX];
    size_t name_size = mixed_key_encode(key, name);
    size_t size = mixed_value_encode(key, worker->index, version, value);
    int status = dsq_put(run->db, name, name_size, value, size);
    stress_expect(run->db, "dsq_put", status, status == DSQ_OK);
}

static void do_write(struct mixed_worker *worker)
{
    struct register_model *model = &worker->run->model;
    uint64_t key = own_key(worker);
    uint64_t version = register_write_begin(model, key);
    if (register_is_delete(model, key, version)) {
        write_delete(worker, key, version);
    } else {
        write_put(worker, key, version);
    }
    register_write_end(model, key, version);
}

static void do_get_or_put(struct mixed_worker *worker)
{
    struct mixed_run *run = worker->run;
    unsigned char name[MIXED_KEY_BYTES_MAX];
    unsigned char value[MIXED_VALUE_BYTES_MAX];
    uint64_t key = own_key(worker);
    uint64_t version = register_floor(&run->model, key) + 1;
    if (register_is_delete(&run->model, key, version)) {
        return;
    }
    register_write_begin(&run->model, key);
    size_t name_size = mixed_key_encode(key, name);
    size_t size = mixed_value_encode(key, worker->index, version, value);
    void *existing;
    size_t existing_size = 0;
    int status = dsq_get_or_put(run->db, name, name_size, value, size, &existing, &existing_size);
    if (!stress_expect(run->db, "dsq_get_or_put", status,
                       status == DSQ_OK || status == DSQ_EXISTS)) {
        return;
    }
    if (!presence_allowed(run, key, version - 1, status == DSQ_EXISTS)) {
        report(run, "dsq_get_or_put", key, version - 1, "saw the key there, or missed it, wrongly");
    }
    if (status == DSQ_EXISTS) {
        check_own_value(run, "dsq_get_or_put", key, version - 1, existing, existing_size);
    } else {
        register_write_end(&run->model, key, version);
    }
    dsq_free(existing);
}

static bool batch_add(struct mixed_worker *worker, uint64_t key, uint64_t version)
{
    unsigned char name[MIXED_KEY_BYTES_MAX];
    unsigned char value[MIXED_VALUE_BYTES_MAX];
    size_t name_size = mixed_key_encode(key, name);
    int status;
    if (register_is_delete(&worker->run->model, key, version)) {
        status = dsq_batch_delete(worker->batch, name, name_size);
    } else {
        size_t size = mixed_value_encode(key, worker->index, version, value);
        status = dsq_batch_put(worker->batch, name, name_size, value, size);
    }
    return stress_expect(worker->run->db, "adding to a batch", status, status == DSQ_OK);
}

/* Distinct own keys: neighbours in steps of the thread count. */
static void do_batch(struct mixed_worker *worker)
{
    struct mixed_run *run = worker->run;
    uint64_t first = own_key(worker);
    uint64_t versions[MIXED_BATCH_KEYS_MAX];
    uint64_t limit = 1 + stress_random_below(&worker->random, MIXED_BATCH_KEYS_MAX);
    uint64_t count = 0;
    uint64_t key = first;
    for (; count < limit && key < run->model.count; count++, key += run->threads) {
        versions[count] = register_write_begin(&run->model, key);
        if (!batch_add(worker, key, versions[count])) {
            return;
        }
    }
    int status = dsq_batch_commit(worker->batch);
    stress_expect(run->db, "dsq_batch_commit", status, status == DSQ_OK);
    dsq_batch_clear(worker->batch);
    for (uint64_t i = 0; i < count; i++) {
        register_write_end(&run->model, first + i * run->threads, versions[i]);
    }
}

static void do_flush(struct mixed_worker *worker)
{
    int64_t timeout_ms = stress_random_below(&worker->random, 4) == 0 ? 0 : -1;
    int status = dsq_flush(worker->run->db, timeout_ms);
    stress_expect(worker->run->db, "dsq_flush", status,
                  status == DSQ_OK || (timeout_ms == 0 && status == DSQ_ERR_TIMEOUT));
}

static void do_scan(struct mixed_worker *worker)
{
    mixed_scan(worker->run, any_key(worker));
}

/* The mix, in shares of their sum. */
static const struct {
    unsigned share;
    void (*perform)(struct mixed_worker *worker);
} operations[] = {
    {600, do_get},  {200, do_peek},      {150, do_contains}, {200, do_view}, {600, do_write},
    {60, do_batch}, {60, do_get_or_put}, {2, do_flush},      {2, do_scan},
};

#define OPERATION_COUNT (sizeof operations / sizeof operations[0])

static void operate(struct mixed_worker *worker)
{
    unsigned sum = 0;
    for (size_t i = 0; i < OPERATION_COUNT; i++) {
        sum += operations[i].share;
    }
    uint64_t draw = stress_random_below(&worker->random, sum);
    size_t choice = 0;
    while (draw >= operations[choice].share) {
        draw -= operations[choice].share;
        choice++;
    }
    operations[choice].perform(worker);
}

void *mixed_worker_main(void *argument)
{
    struct mixed_worker *worker = argument;
    struct mixed_run *run = worker->run;
    int status = dsq_batch_new(run->db, &worker->batch);
    if (!stress_expect(run->db, "dsq_batch_new", status, status == DSQ_OK)) {
        return NULL;
    }
    while (!atomic_load(&run->stop) && !stress_failed()) {
        operate(worker);
        worker->operations++;
    }
    for (size_t i = 0; i < MIXED_PINNED_VIEWS; i++) {
        view_unpin(worker, &worker->views[i]);
    }
    dsq_batch_destroy(worker->batch);
    return NULL;
}
