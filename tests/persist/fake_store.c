#include "tests/persist/fake_store.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/error.h"

struct row {
    unsigned char *bytes; /* key, value */
    size_t key_size;
    size_t value_size;
    bool is_delete; /* of a change */
};

struct rows {
    struct row *at;
    size_t count;
    size_t capacity;
};

struct fault {
    uint64_t skip;
    uint64_t times;
    int status;
};

struct trap {
    bool armed;
    uint64_t entered;
    uint64_t released;
};

struct fake {
    struct dsq_store base;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct rows rows;    /* committed, by key */
    struct rows changes; /* of the open transaction, in order */
    bool in_transaction;
    uint64_t seq;
    uint64_t commits;
    uint64_t readers;
    uint64_t wal_bytes;
    uint64_t calls[FAKE_CALLS];
    struct fault faults[FAKE_CALLS];
    int status_after_commit;
    struct trap traps[FAKE_POINTS];
    char *log;
    size_t log_size;
};

struct dsq_reader {
    struct fake *fake;
    unsigned char *value;
    bool reading;
};

static void require(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "fake store: %s\n", what);
        abort();
    }
}

static struct fake *fake_of(struct dsq_store *store)
{
    return (struct fake *)store;
}

static void lock(struct fake *fake)
{
    pthread_mutex_lock(&fake->lock);
}

static void unlock(struct fake *fake)
{
    pthread_mutex_unlock(&fake->lock);
}

static struct dsq_bytes text(const char *string)
{
    return (struct dsq_bytes){string, strlen(string)};
}

static struct dsq_bytes key_of(const struct row *row)
{
    return (struct dsq_bytes){row->bytes, row->key_size};
}

static struct dsq_bytes value_of(const struct row *row)
{
    return (struct dsq_bytes){row->bytes + row->key_size, row->value_size};
}

static unsigned char *copy_of(struct dsq_bytes first, struct dsq_bytes second)
{
    unsigned char *copy = malloc(first.size + second.size + 1);

    require(copy != NULL, "out of memory");
    if (first.size != 0) {
        memcpy(copy, first.data, first.size);
    }
    if (second.size != 0) {
        memcpy(copy + first.size, second.data, second.size);
    }
    return copy;
}

/* Where the key's row is or would go. */
static size_t position_of(const struct rows *rows, struct dsq_bytes key)
{
    size_t low = 0;
    size_t high = rows->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (dsq_bytes_compare(key_of(&rows->at[middle]), key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct row *find(const struct rows *rows, struct dsq_bytes key)
{
    size_t i = position_of(rows, key);

    return i < rows->count && dsq_bytes_compare(key_of(&rows->at[i]), key) == 0 ? &rows->at[i]
                                                                                : NULL;
}

static void insert(struct rows *rows, size_t position, struct row row)
{
    if (rows->count == rows->capacity) {
        rows->capacity = rows->capacity != 0 ? 2 * rows->capacity : 64;
        rows->at = realloc(rows->at, rows->capacity * sizeof *rows->at);
        require(rows->at != NULL, "out of memory");
    }
    memmove(&rows->at[position + 1], &rows->at[position],
            (rows->count - position) * sizeof *rows->at);
    rows->at[position] = row;
    rows->count++;
}

static void erase(struct rows *rows, struct row *row)
{
    free(row->bytes);
    rows->count--;
    memmove(row, row + 1, (size_t)(rows->at + rows->count - row) * sizeof *row);
}

static void clear(struct rows *rows)
{
    for (size_t i = 0; i < rows->count; i++) {
        free(rows->at[i].bytes);
    }
    free(rows->at);
    *rows = (struct rows){0};
}

static void set_row(struct fake *fake, struct dsq_bytes key, struct dsq_bytes value)
{
    struct row *old = find(&fake->rows, key);

    if (old != NULL) {
        erase(&fake->rows, old);
    }
    insert(&fake->rows, position_of(&fake->rows, key),
           (struct row){copy_of(key, value), key.size, value.size, false});
}

static void log_bytes(struct fake *fake, struct dsq_bytes bytes)
{
    fake->log = realloc(fake->log, fake->log_size + bytes.size + 1);
    require(fake->log != NULL, "out of memory");
    if (bytes.size != 0) {
        memcpy(fake->log + fake->log_size, bytes.data, bytes.size);
    }
    fake->log_size += bytes.size;
    fake->log[fake->log_size] = '\0';
}

static void log_change(struct fake *fake, const struct row *change, bool first)
{
    log_bytes(fake, text(first ? "" : " "));
    log_bytes(fake, text(change->is_delete ? "-" : ""));
    log_bytes(fake, key_of(change));
    if (!change->is_delete) {
        log_bytes(fake, text("="));
        log_bytes(fake, value_of(change));
    }
}

static void apply(struct fake *fake, const struct row *change)
{
    struct row *old = find(&fake->rows, key_of(change));

    if (!change->is_delete) {
        set_row(fake, key_of(change), value_of(change));
    } else if (old != NULL) {
        erase(&fake->rows, old);
    }
}

/* Counts a call; the status that the plan has for it.  With the lock held. */
static int enter(struct fake *fake, enum fake_call call, struct dsq_error *error)
{
    struct fault *fault = &fake->faults[call];

    fake->calls[call]++;
    if (fault->skip > 0) {
        fault->skip--;
        return DSQ_OK;
    }
    if (fault->times == 0) {
        return DSQ_OK;
    }
    fault->times -= fault->times != FAKE_FOREVER;
    return dsq_error_set(error, fault->status, "planned fault %d", fault->status);
}

/* Stops here if the trap is set.  With the lock held. */
static void pass(struct fake *fake, enum fake_point point)
{
    struct trap *trap = &fake->traps[point];
    uint64_t ticket;

    if (!trap->armed) {
        return;
    }
    trap->armed = false;
    ticket = ++trap->entered;
    pthread_cond_broadcast(&fake->changed);
    while (trap->released < ticket) {
        pthread_cond_wait(&fake->changed, &fake->lock);
    }
}

static int begin(struct dsq_store *store, struct dsq_error *error)
{
    struct fake *fake = fake_of(store);
    int status;

    lock(fake);
    require(!fake->in_transaction, "begin within a transaction");
    status = enter(fake, FAKE_BEGIN, error);
    fake->in_transaction = status == DSQ_OK;
    unlock(fake);
    return status;
}

static int change(struct dsq_store *store, enum fake_call call, struct row row,
                  struct dsq_error *error)
{
    struct fake *fake = fake_of(store);
    int status;

    lock(fake);
    require(fake->in_transaction, "a change outside a transaction");
    status = enter(fake, call, error);
    if (status == DSQ_OK) {
        insert(&fake->changes, fake->changes.count, row);
    } else {
        free(row.bytes);
    }
    unlock(fake);
    return status;
}

static int put(struct dsq_store *store, struct dsq_bytes key, struct dsq_bytes value,
               struct dsq_error *error)
{
    return change(store, FAKE_PUT, (struct row){copy_of(key, value), key.size, value.size, false},
                  error);
}

static int del(struct dsq_store *store, struct dsq_bytes key, struct dsq_error *error)
{
    return change(store, FAKE_DEL, (struct row){copy_of(key, text("")), key.size, 0, true}, error);
}

static void end_transaction(struct fake *fake)
{
    clear(&fake->changes);
    fake->in_transaction = false;
}

static void take_effect(struct fake *fake, uint64_t seq)
{
    log_bytes(fake, text("{"));
    for (size_t i = 0; i < fake->changes.count; i++) {
        log_change(fake, &fake->changes.at[i], i == 0);
        apply(fake, &fake->changes.at[i]);
    }
    log_bytes(fake, text("}"));
    fake->seq = seq;
    fake->commits++;
}

static int commit(struct dsq_store *store, uint64_t seq, struct dsq_error *error)
{
    struct fake *fake = fake_of(store);
    int status;

    lock(fake);
    require(fake->in_transaction, "commit outside a transaction");
    require(seq >= fake->seq, "the sequence number goes back");
    pass(fake, FAKE_AT_COMMIT);
    status = enter(fake, FAKE_COMMIT, error);
    if (status == DSQ_OK) {
        take_effect(fake, seq);
        status = fake->status_after_commit;
        fake->status_after_commit = DSQ_OK;
        if (status != DSQ_OK) {
            dsq_error_set(error, status, "planned fault %d after a commit", status);
        }
    }
    end_transaction(fake);
    unlock(fake);
    return status;
}

static void rollback(struct dsq_store *store)
{
    lock(fake_of(store));
    end_transaction(fake_of(store));
    unlock(fake_of(store));
}

/* A level, read under the lock though the store is const here. */
static uint64_t level(const struct dsq_store *store, size_t offset)
{
    struct fake *fake = fake_of((struct dsq_store *)(uintptr_t)store);
    uint64_t value;

    lock(fake);
    memcpy(&value, (const char *)fake + offset, sizeof value);
    unlock(fake);
    return value;
}

static uint64_t count(const struct dsq_store *store)
{
    return level(store, offsetof(struct fake, rows.count));
}

static uint64_t seq_of(const struct dsq_store *store)
{
    return level(store, offsetof(struct fake, seq));
}

static uint64_t wal_bytes(const struct dsq_store *store)
{
    return level(store, offsetof(struct fake, wal_bytes));
}

static int checkpoint(struct dsq_store *store, bool truncate, struct dsq_error *error)
{
    struct fake *fake = fake_of(store);
    int status;

    (void)truncate;
    lock(fake);
    require(!fake->in_transaction, "a checkpoint within a transaction");
    status = enter(fake, FAKE_CHECKPOINT, error);
    if (status == DSQ_OK) {
        fake->wal_bytes = 0;
    }
    pass(fake, FAKE_AT_CHECKPOINT);
    unlock(fake);
    return status;
}

static int reader_acquire(struct dsq_store *store, struct dsq_reader **reader,
                          struct dsq_error *error)
{
    struct fake *fake = fake_of(store);
    int status;

    lock(fake);
    status = enter(fake, FAKE_READER_ACQUIRE, error);
    if (status == DSQ_OK) {
        *reader = calloc(1, sizeof **reader);
        require(*reader != NULL, "out of memory");
        (*reader)->fake = fake;
        fake->readers++;
    }
    unlock(fake);
    return status;
}

static void reader_release(struct dsq_store *store, struct dsq_reader *reader)
{
    require(!reader->reading, "a reader released while reading");
    lock(fake_of(store));
    fake_of(store)->readers--;
    unlock(fake_of(store));
    free(reader);
}

static int reader_get(struct dsq_reader *reader, struct dsq_bytes key, struct dsq_bytes *value,
                      struct dsq_error *error)
{
    struct fake *fake = reader->fake;
    const struct row *row;
    int status;

    require(!reader->reading, "reader_get before reader_done");
    reader->reading = true;
    lock(fake);
    pass(fake, FAKE_BEFORE_READ);
    status = enter(fake, FAKE_READER_GET, error);
    row = find(&fake->rows, key);
    if (status == DSQ_OK && row == NULL) {
        status = DSQ_ABSENT;
    }
    if (status == DSQ_OK) {
        reader->value = copy_of(value_of(row), text(""));
        *value = (struct dsq_bytes){reader->value, row->value_size};
    }
    pass(fake, FAKE_AFTER_READ);
    unlock(fake);
    return status;
}

static void reader_done(struct dsq_reader *reader)
{
    free(reader->value);
    reader->value = NULL;
    reader->reading = false;
}

static int reader_scan(struct dsq_reader *reader, const struct dsq_scan_range *range,
                       dsq_row_visitor visitor, void *context, struct dsq_error *error)
{
    struct fake *fake = reader->fake;
    int status;

    lock(fake);
    status = enter(fake, FAKE_READER_SCAN, error);
    for (size_t i = position_of(&fake->rows, range->start);
         status == DSQ_OK && i < fake->rows.count; i++) {
        struct dsq_bytes key = key_of(&fake->rows.at[i]);

        if (range->after_start && dsq_bytes_compare(key, range->start) == 0) {
            continue;
        }
        if ((range->has_stop && dsq_bytes_compare(key, range->stop) >= 0) ||
            !visitor(context, key, value_of(&fake->rows.at[i]))) {
            break;
        }
    }
    unlock(fake);
    return status;
}

static void destroy(struct fake *fake)
{
    clear(&fake->rows);
    clear(&fake->changes);
    free(fake->log);
    pthread_mutex_destroy(&fake->lock);
    pthread_cond_destroy(&fake->changed);
    free(fake);
}

static int close_store(struct dsq_store *store, struct dsq_error *error)
{
    struct fake *fake = fake_of(store);
    int status;

    lock(fake);
    require(fake->readers == 0, "closed with readers out");
    require(!fake->in_transaction, "closed within a transaction");
    status = enter(fake, FAKE_CLOSE, error);
    unlock(fake);
    destroy(fake);
    return status;
}

static void abandon(struct dsq_store *store)
{
    destroy(fake_of(store));
}

static const struct dsq_store_ops fake_ops = {
    .begin = begin,
    .put = put,
    .del = del,
    .commit = commit,
    .rollback = rollback,
    .count = count,
    .seq = seq_of,
    .checkpoint = checkpoint,
    .wal_bytes = wal_bytes,
    .reader_acquire = reader_acquire,
    .reader_release = reader_release,
    .reader_get = reader_get,
    .reader_done = reader_done,
    .reader_scan = reader_scan,
    .close = close_store,
    .abandon = abandon,
};

struct dsq_store *fake_store_new(void)
{
    struct fake *fake = calloc(1, sizeof *fake);

    require(fake != NULL, "out of memory");
    fake->base.ops = &fake_ops;
    pthread_mutex_init(&fake->lock, NULL);
    pthread_cond_init(&fake->changed, NULL);
    log_bytes(fake, text(""));
    return &fake->base;
}

void fake_seed(struct dsq_store *store, const char *key, const char *value)
{
    lock(fake_of(store));
    set_row(fake_of(store), text(key), text(value));
    unlock(fake_of(store));
}

bool fake_has(struct dsq_store *store, const char *key, const char *value)
{
    const struct row *row;
    bool has;

    lock(fake_of(store));
    row = find(&fake_of(store)->rows, text(key));
    has = row == NULL || value == NULL ? row == NULL && value == NULL
                                       : dsq_bytes_compare(value_of(row), text(value)) == 0;
    unlock(fake_of(store));
    return has;
}

void fake_fail(struct dsq_store *store, enum fake_call call, uint64_t skip, uint64_t times,
               int status)
{
    lock(fake_of(store));
    fake_of(store)->faults[call] = (struct fault){skip, times, status};
    unlock(fake_of(store));
}

void fake_fail_after_commit(struct dsq_store *store, int status)
{
    lock(fake_of(store));
    fake_of(store)->status_after_commit = status;
    unlock(fake_of(store));
}

void fake_heal(struct dsq_store *store)
{
    lock(fake_of(store));
    memset(fake_of(store)->faults, 0, sizeof fake_of(store)->faults);
    unlock(fake_of(store));
}

void fake_trap(struct dsq_store *store, enum fake_point point)
{
    lock(fake_of(store));
    fake_of(store)->traps[point].armed = true;
    unlock(fake_of(store));
}

void fake_await_trapped(struct dsq_store *store, enum fake_point point)
{
    struct fake *fake = fake_of(store);

    lock(fake);
    while (fake->traps[point].entered == fake->traps[point].released) {
        pthread_cond_wait(&fake->changed, &fake->lock);
    }
    unlock(fake);
}

void fake_release(struct dsq_store *store, enum fake_point point)
{
    struct fake *fake = fake_of(store);

    lock(fake);
    fake->traps[point].released = fake->traps[point].entered;
    pthread_cond_broadcast(&fake->changed);
    unlock(fake);
}

uint64_t fake_calls(struct dsq_store *store, enum fake_call call)
{
    return level(store, offsetof(struct fake, calls) + (size_t)call * sizeof(uint64_t));
}

uint64_t fake_commits(struct dsq_store *store)
{
    return level(store, offsetof(struct fake, commits));
}

uint64_t fake_readers(struct dsq_store *store)
{
    return level(store, offsetof(struct fake, readers));
}

const char *fake_log(struct dsq_store *store)
{
    static char *copy;
    struct fake *fake = fake_of(store);

    lock(fake);
    free(copy);
    copy = (char *)copy_of(text(fake->log), (struct dsq_bytes){"", 1});
    unlock(fake);
    return copy;
}

void fake_set_wal_bytes(struct dsq_store *store, uint64_t bytes)
{
    lock(fake_of(store));
    fake_of(store)->wal_bytes = bytes;
    unlock(fake_of(store));
}
