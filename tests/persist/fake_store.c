#include "tests/persist/fake_store.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/error.h"
#include "persist/journal.h"
#include "tests/persist/fake_rows.h"

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
    struct fake_rows rows;        /* committed, by key */
    struct fake_rows changes;     /* of the open transaction, in order */
    struct fake_journal journal;  /* committed, by number */
    struct fake_journal appended; /* in the open transaction */
    size_t dropped;               /* by the open transaction, the oldest */
    bool in_transaction;
    enum dsq_commit_kind kind; /* of the open transaction */
    uint64_t seq;
    uint64_t commits;
    uint64_t readers;
    uint64_t wal_bytes;
    uint64_t calls[FAKE_CALLS];
    struct fault faults[FAKE_CALLS];
    int status_after_commit;
    struct trap traps[FAKE_POINTS];
    struct log {
        char *text;
        size_t size;
    } logs[2]; /* of the journal, of kv */
};

#define JOURNAL_LOG 0
#define KV_LOG 1

struct dsq_reader {
    struct fake *fake;
    unsigned char *value;
    bool reading;
};

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

static void set_row(struct fake *fake, struct dsq_bytes key, struct dsq_bytes value)
{
    struct fake_row *old = fake_rows_find(&fake->rows, key);

    if (old != NULL) {
        fake_rows_erase(&fake->rows, old);
    }
    fake_rows_insert(&fake->rows, fake_rows_position(&fake->rows, key),
                     (struct fake_row){fake_copy(key, value), key.size, value.size, false});
}

static void log_bytes(struct log *log, struct dsq_bytes bytes)
{
    log->text = realloc(log->text, log->size + bytes.size + 1);
    fake_require(log->text != NULL, "out of memory");
    if (bytes.size != 0) {
        memcpy(log->text + log->size, bytes.data, bytes.size);
    }
    log->size += bytes.size;
    log->text[log->size] = '\0';
}

static void log_change(struct log *log, bool is_delete, struct dsq_bytes key,
                       struct dsq_bytes value)
{
    char last = log->size != 0 ? log->text[log->size - 1] : '{';

    log_bytes(log, fake_text(last != '{' && last != '(' ? " " : ""));
    log_bytes(log, fake_text(is_delete ? "-" : ""));
    log_bytes(log, key);
    if (!is_delete) {
        log_bytes(log, fake_text("="));
        log_bytes(log, value);
    }
}

static bool log_journaled(void *context, enum dsq_record_kind kind, struct dsq_bytes key,
                          struct dsq_bytes value)
{
    log_change(context, kind == DSQ_RECORD_TOMBSTONE, key, value);
    return true;
}

static void apply(struct fake *fake, const struct fake_row *change)
{
    struct fake_row *old = fake_rows_find(&fake->rows, fake_key(change));

    if (!change->is_delete) {
        set_row(fake, fake_key(change), fake_value(change));
    } else if (old != NULL) {
        fake_rows_erase(&fake->rows, old);
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

static int begin(struct dsq_store *store, enum dsq_commit_kind kind, struct dsq_error *error)
{
    struct fake *fake = fake_of(store);
    int status;

    lock(fake);
    fake_require(!fake->in_transaction, "begin within a transaction");
    status = enter(fake, FAKE_BEGIN, error);
    fake->in_transaction = status == DSQ_OK;
    fake->kind = kind;
    unlock(fake);
    return status;
}

static int change(struct dsq_store *store, enum fake_call call, struct fake_row row,
                  struct dsq_error *error)
{
    struct fake *fake = fake_of(store);
    int status;

    lock(fake);
    fake_require(fake->in_transaction, "a change outside a transaction");
    status = enter(fake, call, error);
    if (status == DSQ_OK) {
        fake_rows_insert(&fake->changes, fake->changes.count, row);
    } else {
        free(row.bytes);
    }
    unlock(fake);
    return status;
}

static int put(struct dsq_store *store, struct dsq_bytes key, struct dsq_bytes value,
               struct dsq_error *error)
{
    return change(store, FAKE_PUT,
                  (struct fake_row){fake_copy(key, value), key.size, value.size, false}, error);
}

static int del(struct dsq_store *store, struct dsq_bytes key, struct dsq_error *error)
{
    return change(store, FAKE_DEL,
                  (struct fake_row){fake_copy(key, fake_text("")), key.size, 0, true}, error);
}

static int journal_append(struct dsq_store *store, uint64_t number, struct dsq_bytes batch,
                          struct dsq_error *error)
{
    struct fake *fake = fake_of(store);
    int status;

    lock(fake);
    fake_require(fake->in_transaction, "an append outside a transaction");
    fake_require(number > fake->seq, "the numbers go back");
    status = enter(fake, FAKE_JOURNAL_APPEND, error);
    if (status == DSQ_OK) {
        fake_journal_add(&fake->appended, (struct fake_journal_row){fake_copy(batch, fake_text("")),
                                                                    batch.size, number});
    }
    unlock(fake);
    return status;
}

static int journal_drop(struct dsq_store *store, uint64_t number, struct dsq_error *error)
{
    struct fake *fake = fake_of(store);
    int status;

    lock(fake);
    fake_require(fake->in_transaction, "a drop outside a transaction");
    status = enter(fake, FAKE_JOURNAL_DROP, error);
    if (status == DSQ_OK) {
        if (fake->dropped < fake->journal.count &&
            fake->journal.at[fake->dropped].number <= number) {
            fake->dropped++;
        } else {
            status = DSQ_ABSENT;
        }
    }
    unlock(fake);
    return status;
}

static void end_transaction(struct fake *fake)
{
    fake_rows_clear(&fake->changes);
    fake_journal_clear(&fake->appended);
    fake->dropped = 0;
    fake->in_transaction = false;
}

static void take_effect_in_journal(struct fake *fake)
{
    struct log *log = &fake->logs[JOURNAL_LOG];

    if (fake->appended.count != 0) {
        log_bytes(log, fake_text("{"));
        for (size_t i = 0; i < fake->appended.count; i++) {
            struct fake_journal_row row = fake->appended.at[i];
            struct dsq_bytes bytes = {row.bytes, row.size};

            fake_require(dsq_journal_row_read(bytes, row.number, log_journaled, log),
                         "a damaged row of the journal");
            row.bytes = fake_copy(bytes, fake_text(""));
            fake_journal_add(&fake->journal, row);
            fake->seq = row.number;
        }
        log_bytes(log, fake_text("}"));
    }
    if (fake->dropped != 0) {
        fake_journal_shorten(&fake->journal, fake->dropped);
    }
}

static void take_effect_in_kv(struct fake *fake)
{
    struct log *log = &fake->logs[KV_LOG];

    if (fake->changes.count != 0) {
        log_bytes(log, fake_text("("));
        for (size_t i = 0; i < fake->changes.count; i++) {
            const struct fake_row *change = &fake->changes.at[i];

            log_change(log, change->is_delete, fake_key(change), fake_value(change));
            apply(fake, change);
        }
        log_bytes(log, fake_text(")"));
    }
}

/* After a commit that took effect though it said that it failed, the same comes again. */
static void forget_unknown(struct fake *fake)
{
    if (fake->status_after_commit != DSQ_OK && fake->appended.count != 0) {
        fake->seq = fake->appended.at[0].number - 1;
        fake->journal.count -= fake->appended.count;
        for (size_t i = 0; i < fake->appended.count; i++) {
            free(fake->journal.at[fake->journal.count + i].bytes);
        }
    }
}

static int commit(struct dsq_store *store, struct dsq_error *error)
{
    struct fake *fake = fake_of(store);
    bool durable = fake->kind == DSQ_COMMIT_DURABLE;
    int status;

    lock(fake);
    fake_require(fake->in_transaction, "commit outside a transaction");
    pass(fake, durable ? FAKE_AT_COMMIT : FAKE_AT_FOLD);
    status = enter(fake, durable ? FAKE_COMMIT : FAKE_FOLD_COMMIT, error);
    if (status == DSQ_OK) {
        take_effect_in_journal(fake);
        take_effect_in_kv(fake);
        fake->commits += durable;
        forget_unknown(fake);
        status = durable ? fake->status_after_commit : DSQ_OK;
        if (status != DSQ_OK) {
            fake->status_after_commit = DSQ_OK;
            dsq_error_set(error, status, "planned fault %d after a commit", status);
        }
    }
    end_transaction(fake);
    unlock(fake);
    return status;
}

static int accept_changes(struct dsq_store *store, struct dsq_error *error)
{
    struct fake *fake = fake_of(store);
    int status;

    lock(fake);
    fake_require(!fake->in_transaction, "accept_changes within a transaction");
    status = enter(fake, FAKE_ACCEPT_CHANGES, error);
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

static int find(struct dsq_store *store, const struct dsq_bytes *keys, bool *found, size_t count,
                struct dsq_error *error)
{
    struct fake *fake = fake_of(store);
    int status;

    lock(fake);
    fake_require(!fake->in_transaction, "a look for keys within a transaction");
    status = enter(fake, FAKE_READER_GET, error);
    for (size_t i = 0; status == DSQ_OK && i < count; i++) {
        found[i] = fake_rows_find(&fake->rows, keys[i]) != NULL;
    }
    unlock(fake);
    return status;
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
    fake_require(!fake->in_transaction, "a checkpoint within a transaction");
    status = enter(fake, FAKE_CHECKPOINT, error);
    if (status == DSQ_OK) {
        fake->wal_bytes = 0;
    }
    pass(fake, FAKE_AT_CHECKPOINT);
    unlock(fake);
    return status;
}

static void make_room(struct dsq_store *store)
{
    (void)store;
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
        fake_require(*reader != NULL, "out of memory");
        (*reader)->fake = fake;
        fake->readers++;
    }
    unlock(fake);
    return status;
}

static void reader_release(struct dsq_store *store, struct dsq_reader *reader)
{
    fake_require(!reader->reading, "a reader released while reading");
    lock(fake_of(store));
    fake_of(store)->readers--;
    unlock(fake_of(store));
    free(reader);
}

static int reader_get(struct dsq_reader *reader, struct dsq_bytes key, struct dsq_bytes *value,
                      struct dsq_error *error)
{
    struct fake *fake = reader->fake;
    const struct fake_row *row;
    int status;

    fake_require(!reader->reading, "reader_get before reader_done");
    reader->reading = true;
    lock(fake);
    pass(fake, FAKE_BEFORE_READ);
    status = enter(fake, FAKE_READER_GET, error);
    row = fake_rows_find(&fake->rows, key);
    if (status == DSQ_OK && row == NULL) {
        status = DSQ_ABSENT;
    }
    if (status == DSQ_OK) {
        reader->value = fake_copy(fake_value(row), fake_text(""));
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

static bool in_scan(const struct dsq_scan_range *range, struct dsq_bytes key)
{
    int from_start = dsq_bytes_compare(key, range->start);

    return (range->after_start ? from_start > 0 : from_start >= 0) &&
           (!range->has_stop || dsq_bytes_compare(key, range->stop) < 0);
}

static int reader_scan(struct dsq_reader *reader, const struct dsq_scan_range *range,
                       dsq_row_visitor visitor, void *context, struct dsq_error *error)
{
    struct fake *fake = reader->fake;
    int status;

    lock(fake);
    status = enter(fake, FAKE_READER_SCAN, error);
    for (size_t i = 0; status == DSQ_OK && i < fake->rows.count; i++) {
        size_t at = range->descending ? fake->rows.count - 1 - i : i;
        struct dsq_bytes key = fake_key(&fake->rows.at[at]);

        if (in_scan(range, key) && !visitor(context, key, fake_value(&fake->rows.at[at]))) {
            break;
        }
    }
    pass(fake, FAKE_AFTER_SCAN);
    unlock(fake);
    return status;
}

static int reader_journal(struct dsq_reader *reader, uint64_t after,
                          dsq_journal_row_visitor visitor, void *context, struct dsq_error *error)
{
    struct fake *fake = reader->fake;
    int status;

    lock(fake);
    status = enter(fake, FAKE_READER_JOURNAL, error);
    for (size_t i = 0; status == DSQ_OK && i < fake->journal.count; i++) {
        const struct fake_journal_row *row = &fake->journal.at[i];

        if (row->number > after &&
            !visitor(context, row->number, (struct dsq_bytes){row->bytes, row->size})) {
            break;
        }
    }
    unlock(fake);
    return status;
}

static int backup(struct dsq_store *store, const char *path, bool overwrite,
                  const struct dsq_store_progress *progress, struct dsq_error *error)
{
    (void)store;
    (void)path;
    (void)overwrite;
    (void)progress;
    return dsq_error_set(error, DSQ_ERR_UNSUPPORTED, "the fake store makes no copies");
}

static int verify(struct dsq_store *store, const struct dsq_store_progress *progress,
                  struct dsq_error *error)
{
    (void)store;
    (void)progress;
    (void)error;
    return DSQ_OK;
}

static int compact(struct dsq_store *store, const struct dsq_store_progress *progress,
                   struct dsq_error *error)
{
    (void)progress;
    lock(fake_of(store));
    fake_require(!fake_of(store)->in_transaction, "compacted within a transaction");
    int status = enter(fake_of(store), FAKE_COMPACT, error);
    unlock(fake_of(store));
    return status;
}

static void destroy(struct fake *fake)
{
    fake_rows_clear(&fake->rows);
    end_transaction(fake);
    fake_journal_clear(&fake->journal);
    free(fake->logs[JOURNAL_LOG].text);
    free(fake->logs[KV_LOG].text);
    pthread_mutex_destroy(&fake->lock);
    pthread_cond_destroy(&fake->changed);
    free(fake);
}

static int close_store(struct dsq_store *store, struct dsq_error *error)
{
    struct fake *fake = fake_of(store);
    int status;

    lock(fake);
    fake_require(fake->readers == 0, "closed with readers out");
    fake_require(!fake->in_transaction, "closed within a transaction");
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
    .journal_append = journal_append,
    .journal_drop = journal_drop,
    .commit = commit,
    .accept_changes = accept_changes,
    .rollback = rollback,
    .find = find,
    .count = count,
    .seq = seq_of,
    .checkpoint = checkpoint,
    .make_room = make_room,
    .wal_bytes = wal_bytes,
    .reader_acquire = reader_acquire,
    .reader_release = reader_release,
    .reader_get = reader_get,
    .reader_done = reader_done,
    .reader_scan = reader_scan,
    .reader_journal = reader_journal,
    .backup = backup,
    .verify = verify,
    .compact = compact,
    .close = close_store,
    .abandon = abandon,
};

struct dsq_store *fake_store_new(void)
{
    struct fake *fake = calloc(1, sizeof *fake);

    fake_require(fake != NULL, "out of memory");
    fake->base.ops = &fake_ops;
    pthread_mutex_init(&fake->lock, NULL);
    pthread_cond_init(&fake->changed, NULL);
    log_bytes(&fake->logs[JOURNAL_LOG], fake_text(""));
    log_bytes(&fake->logs[KV_LOG], fake_text(""));
    return &fake->base;
}

void fake_seed(struct dsq_store *store, const char *key, const char *value)
{
    lock(fake_of(store));
    set_row(fake_of(store), fake_text(key), fake_text(value));
    unlock(fake_of(store));
}

bool fake_has(struct dsq_store *store, const char *key, const char *value)
{
    const struct fake_row *row;
    bool has;

    lock(fake_of(store));
    row = fake_rows_find(&fake_of(store)->rows, fake_text(key));
    has = row == NULL || value == NULL ? row == NULL && value == NULL
                                       : dsq_bytes_compare(fake_value(row), fake_text(value)) == 0;
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

static const char *log_of(struct dsq_store *store, unsigned which)
{
    static char *copies[2];
    struct fake *fake = fake_of(store);

    lock(fake);
    free(copies[which]);
    copies[which] = (char *)fake_copy(fake_text(fake->logs[which].text), (struct dsq_bytes){"", 1});
    unlock(fake);
    return copies[which];
}

const char *fake_log(struct dsq_store *store)
{
    return log_of(store, JOURNAL_LOG);
}

const char *fake_kv_log(struct dsq_store *store)
{
    return log_of(store, KV_LOG);
}

uint64_t fake_journal_rows(struct dsq_store *store)
{
    return level(store, offsetof(struct fake, journal.count));
}

void fake_set_wal_bytes(struct dsq_store *store, uint64_t bytes)
{
    lock(fake_of(store));
    fake_of(store)->wal_bytes = bytes;
    unlock(fake_of(store));
}
