#include "persist/recovery.h"

#include "core/error.h"
#include "persist/fold.h"
#include "persist/hooks.h"
#include "persist/journal.h"

/* A portion ends with the row that reaches one of these: as memory, and as rows of a transaction. */
#define PORTION_BYTES (UINT64_C(32) * 1024 * 1024)
#define SLICE_ROWS 65536
/* The WAL is moved into the main file when it has grown to this size. */
#define CHECKPOINT_WAL_BYTES (UINT64_C(64) * 1024 * 1024)

struct recovery {
    struct dsq_store *store;
    struct dsq_fold fold;
    uint64_t number; /* of the last row read */
    uint64_t asked;  /* how often the step under way has asked whether it is enough */
    int status;      /* what stopped the reading */
};

static bool add_record(void *context, enum dsq_record_kind kind, struct dsq_bytes key,
                       struct dsq_bytes value)
{
    struct recovery *recovery = context;
    struct dsq_record *record = NULL;

    if (dsq_fold_reserve(&recovery->fold, 1)) {
        record = dsq_record_new(kind, DSQ_RECORD_DURABLE, 1, 0, key, value);
    }
    if (record == NULL) {
        recovery->status = DSQ_ERR_NOMEM;
        return false;
    }
    dsq_fold_add(&recovery->fold, record, recovery->number);
    return true;
}

static bool add_row(void *context, uint64_t number, struct dsq_bytes batch)
{
    struct recovery *recovery = context;

    recovery->number = number;
    if (!dsq_journal_row_read(batch, number, add_record, recovery)) {
        recovery->status = DSQ_ERR_CORRUPT;
    }
    return recovery->status == DSQ_OK && recovery->fold.open_bytes < PORTION_BYTES;
}

static bool is_enough(void *context)
{
    struct recovery *recovery = context;

    /* A stride of a fold is a handful of rows. */
    return ++recovery->asked >= SLICE_ROWS / 8;
}

static void applied(void *context, const struct dsq_fold_entry *entries, size_t count)
{
    (void)context;
    for (size_t i = 0; i < count; i++) {
        dsq_record_free(entries[i].record);
    }
}

static int advance(struct recovery *recovery, struct dsq_error *error)
{
    const struct dsq_fold_step step = {is_enough, applied, recovery};
    struct dsq_store *store = recovery->store;
    int status;

    recovery->asked = 0;
    status = dsq_fold_advance(&recovery->fold, store, &step, error);
    dsq_hook_stage(DSQ_STAGE_RECOVERING);
    if (status == DSQ_OK && store->ops->wal_bytes(store) >= CHECKPOINT_WAL_BYTES) {
        /* If it fails the data is in the WAL. */
        (void)store->ops->checkpoint(store, false, NULL);
    }
    return status;
}

/* Reads one portion and folds it; *more: there was one. */
static int recover_portion(struct recovery *recovery, struct dsq_reader *reader, bool *more,
                           struct dsq_error *error)
{
    int status =
        recovery->store->ops->reader_journal(reader, recovery->number, add_row, recovery, error);

    *more = recovery->fold.open.count > 0;
    if (status == DSQ_OK && recovery->status == DSQ_ERR_CORRUPT) {
        status = dsq_error_set(error, DSQ_ERR_CORRUPT, "row %llu of the journal is damaged",
                               (unsigned long long)recovery->number);
    } else if (status == DSQ_OK && recovery->status != DSQ_OK) {
        status = dsq_error_set(error, recovery->status, "out of memory for a recovery");
    }
    if (status == DSQ_OK) {
        status = dsq_fold_start(&recovery->fold, error);
    }
    while (status == DSQ_OK && dsq_fold_is_under_way(&recovery->fold)) {
        status = advance(recovery, error);
    }
    return status;
}

static void release(void *context, struct dsq_record *record)
{
    (void)context;
    dsq_record_free(record);
}

int dsq_recover(struct dsq_store *store, struct dsq_error *error)
{
    struct recovery recovery = {.store = store};
    struct dsq_reader *reader;
    bool more = true;
    int status = store->ops->reader_acquire(store, &reader, error);

    if (status != DSQ_OK) {
        return status;
    }
    dsq_fold_init(&recovery.fold, 0);
    while (status == DSQ_OK && more) {
        status = recover_portion(&recovery, reader, &more, error);
    }
    dsq_fold_fini(&recovery.fold, release, NULL);
    store->ops->reader_release(store, reader);
    return status;
}

static bool note_row(void *context, uint64_t number, struct dsq_bytes batch)
{
    (void)number;
    (void)batch;
    *(bool *)context = true;
    return false;
}

int dsq_recovery_is_needed(struct dsq_store *store, struct dsq_error *error)
{
    bool found = false;
    struct dsq_reader *reader;
    int status = store->ops->reader_acquire(store, &reader, error);

    if (status != DSQ_OK) {
        return status;
    }
    status = store->ops->reader_journal(reader, 0, note_row, &found, error);
    store->ops->reader_release(store, reader);
    return status == DSQ_OK && found ? DSQ_EXISTS : status;
}
