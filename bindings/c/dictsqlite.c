/*
 * The C API: the composition root, where the layers meet.  Checks arguments, keeps the handle's last
 * error, and translates between the public types and those of persist.
 */
#include "bindings/c/dictsqlite.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "bindings/c/handle.h"
#include "core/error.h"
#include "core/event.h"
#include "core/platform.h"
#include "persist/sqlite_store.h"

const char *dsq_version(void)
{
    return DSQ_VERSION_STRING;
}

const char *dsq_strerror(int status)
{
    return dsq_status_sentence(status);
}

const char *dsq_strstatus(int status)
{
    const char *name = dsq_status_name(status);

    return name != NULL ? name : "unknown status";
}

int dsq_handle_enter(dsq_db *db)
{
    if (db == NULL) {
        return DSQ_ERR_INVALID;
    }
    if (db->fork_generation != dsq_fork_generation()) {
        return DSQ_ERR_FORKED;
    }
    return dsq_load_acquire(&db->closing) ? DSQ_ERR_CLOSED : DSQ_OK;
}

int dsq_handle_fail(dsq_db *db, int status, struct dsq_error *error)
{
    if (db != NULL && status != DSQ_ERR_FORKED) {
        if (error->status != status) {
            dsq_error_set(error, status, "%s", dsq_status_sentence(status));
        }
        pthread_mutex_lock(&db->error_lock);
        db->last_error = *error;
        pthread_mutex_unlock(&db->error_lock);
    }
    return status;
}

void dsq_last_error(dsq_db *db, struct dsq_error *error)
{
    if (db == NULL || db->fork_generation != dsq_fork_generation()) {
        int status = db == NULL ? DSQ_ERR_INVALID : DSQ_ERR_FORKED;

        dsq_error_set(error, status, "%s", dsq_status_sentence(status));
        return;
    }
    pthread_mutex_lock(&db->error_lock);
    *error = db->last_error;
    pthread_mutex_unlock(&db->error_lock);
}

int dsq_check_bytes(struct dsq_bytes bytes, size_t limit, const char *what, struct dsq_error *error)
{
    if (bytes.data == NULL && bytes.size != 0) {
        return dsq_error_set(error, DSQ_ERR_INVALID, "the %s is NULL but has a size", what);
    }
    if (bytes.size > limit) {
        return dsq_error_set(error, DSQ_ERR_TOO_BIG, "the %s has %zu bytes, the limit is %zu", what,
                             bytes.size, limit);
    }
    return DSQ_OK;
}

int dsq_handle_enter_with_key(dsq_db *db, struct dsq_bytes key, struct dsq_error *error)
{
    int status = dsq_handle_enter(db);

    error->status = DSQ_OK;
    if (status == DSQ_OK) {
        status = dsq_check_bytes(key, DSQ_KEY_SIZE_MAX, "key", error);
    }
    return status;
}

static const struct dsq_options default_options;

static int invalid(struct dsq_error *error, const char *option)
{
    return dsq_error_set(error, DSQ_ERR_INVALID, "the option %s is out of its range", option);
}

/* Enough for a fold to be cheap, and few enough to leave room in the hot tier for what is read. */
#define FOLD_QUEUE_SHARE 2
#define FOLD_CAPACITY_SHARE 4
#define FOLD_RECORDS_MIN 64
#define FOLD_IDLE_MS 100

static struct dsq_committer_config commit_policy(const struct dsq_options *options,
                                                 const struct dsq_tier_config *config)
{
    uint64_t queue_bytes =
        options->queue_bytes != 0 ? options->queue_bytes : DSQ_DEFAULT_QUEUE_BYTES;
    uint64_t fold_records = config->hot_capacity / FOLD_CAPACITY_SHARE;

    return (struct dsq_committer_config){
        .lazy = config->mode == DSQ_TIER_LAZY,
        .timer = !options->manual_flush,
        .flush_interval_ms = options->flush_interval_ms != 0 ? options->flush_interval_ms
                                                             : DSQ_DEFAULT_FLUSH_INTERVAL_MS,
        .slack_ms = DSQ_LAZY_SLACK_MS,
        .buffer_size = options->buffer_size != 0 ? options->buffer_size : DSQ_DEFAULT_BUFFER_SIZE,
        .queue_bytes = queue_bytes,
        .fold_bytes = queue_bytes / FOLD_QUEUE_SHARE,
        .fold_records = fold_records > FOLD_RECORDS_MIN ? fold_records : FOLD_RECORDS_MIN,
        .fold_idle_ms = options->manual_flush ? 0 : FOLD_IDLE_MS,
    };
}

/* Options to the tier's configuration: defaults filled in, ranges checked. */
static int configure(const struct dsq_options *options, const char *path,
                     struct dsq_tier_config *config, struct dsq_error *error)
{
    bool memory = path != NULL && strcmp(path, ":memory:") == 0;

    if (options->persist_mode < DSQ_MODE_DEFAULT || options->persist_mode > DSQ_MODE_MEMORY) {
        return invalid(error, "persist_mode");
    }
    if (options->synchronous < DSQ_SYNCHRONOUS_DEFAULT ||
        options->synchronous > DSQ_SYNCHRONOUS_NORMAL) {
        return invalid(error, "synchronous");
    }
    if (memory || options->persist_mode == DSQ_MODE_MEMORY) {
        config->mode = DSQ_TIER_MEMORY;
    } else {
        config->mode =
            options->persist_mode == DSQ_MODE_LAZY ? DSQ_TIER_LAZY : DSQ_TIER_WRITETHROUGH;
    }
    if (config->mode == DSQ_TIER_MEMORY && options->readonly) {
        return dsq_error_set(error, DSQ_ERR_INVALID, "memory mode cannot be readonly");
    }
    config->readonly = options->readonly != 0;
    config->hot_capacity =
        options->hot_capacity != 0 ? options->hot_capacity : DSQ_DEFAULT_HOT_CAPACITY;
    config->hot_bytes = options->hot_bytes;
    config->committer = commit_policy(options, config);
    return DSQ_OK;
}

static int open_store(const char *path, const struct dsq_options *options, struct dsq_vault *vault,
                      struct dsq_store **store, struct dsq_error *error)
{
    struct dsq_sqlite_options sqlite = {
        .readonly = options->readonly != 0,
        .must_exist = options->must_exist != 0,
        .synchronous_normal = options->synchronous == DSQ_SYNCHRONOUS_NORMAL,
        .vault = vault,
        .value_format = options->value_format,
    };

    if (path == NULL || path[0] == '\0') {
        return dsq_error_set(error, DSQ_ERR_INVALID, "a persistent store needs a path");
    }
    return dsq_sqlite_store_open(path, &sqlite, store, error);
}

_Static_assert(sizeof((dsq_db *)NULL)->value_format > DSQ_SQLITE_VALUE_FORMAT_BYTES_MAX, "fits");

static int check_value_format(const char *name, struct dsq_error *error)
{
    return name == NULL || dsq_sqlite_is_value_format(name)
               ? DSQ_OK
               : dsq_error_set(error, DSQ_ERR_INVALID,
                               "value_format must be 1 to %zu characters of printable ASCII",
                               DSQ_VALUE_FORMAT_SIZE_MAX);
}

static void keep_value_format(dsq_db *db, const struct dsq_store *store, const char *wanted)
{
    const char *name = wanted != NULL ? wanted : DSQ_VALUE_FORMAT_BYTES;
    strcpy(db->value_format, store != NULL ? dsq_sqlite_store_value_format(store) : name);
}

const char *dsq_value_format(const dsq_db *db)
{
    return db != NULL ? db->value_format : NULL;
}

static int open_tier(const char *path, const struct dsq_options *options, dsq_db *db,
                     struct dsq_error *error)
{
    struct dsq_tier_config config = {0};
    struct dsq_store *store = NULL;
    int status = configure(options, path, &config, error);

    if (status == DSQ_OK) {
        status = check_value_format(options->value_format, error);
    }
    if (status == DSQ_OK && config.mode == DSQ_TIER_MEMORY && options->password != NULL) {
        status = dsq_error_set(error, DSQ_ERR_INVALID,
                               "a password has nothing to protect in memory mode");
    }
    if (status == DSQ_OK) {
        status = dsq_make_vault(options, &db->vault, error);
    }
    if (status == DSQ_OK && config.mode != DSQ_TIER_MEMORY) {
        status = open_store(path, options, db->vault, &store, error);
    }
    if (status != DSQ_OK) {
        return status;
    }
    keep_value_format(db, store, options->value_format);
    status = dsq_tier_open(&config, store, &db->tier, error);
    if (status != DSQ_OK && store != NULL) {
        (void)store->ops->close(store, NULL);
    }
    return status;
}

int dsq_open(const char *path, const struct dsq_options *options, dsq_db **db)
{
    struct dsq_error error = {0};
    dsq_db *made;
    int status;

    if (db == NULL) {
        return DSQ_ERR_INVALID;
    }
    *db = NULL;
    options = options != NULL ? options : &default_options;
    made = calloc(1, sizeof *made);
    if (made == NULL) {
        return dsq_error_set(options->error, DSQ_ERR_NOMEM, "out of memory for the handle");
    }
    status = open_tier(path, options, made, &error);
    if (status != DSQ_OK) {
        dsq_vault_destroy(made->vault);
        free(made);
        return dsq_error_set(options->error, status, "%s", error.message);
    }
    made->fork_generation = dsq_fork_generation();
    pthread_mutex_init(&made->error_lock, NULL);
    *db = made;
    return DSQ_OK;
}

int dsq_close(dsq_db *db)
{
    struct dsq_error error = {0};
    int status;

    if (db == NULL) {
        return DSQ_OK;
    }
    status = dsq_handle_enter(db);
    if (status != DSQ_OK) {
        return status;
    }
    if (dsq_load_acquire(&db->pins) != 0) {
        return dsq_handle_leave(db, DSQ_ERR_BUSY, &error);
    }
    dsq_store_release(&db->closing, true);
    status = dsq_tier_close(db->tier, &error);
    if (status != DSQ_OK) {
        dsq_store_release(&db->closing, false);
        return dsq_handle_leave(db, status, &error);
    }
    dsq_vault_destroy(db->vault);
    pthread_mutex_destroy(&db->error_lock);
    free(db);
    return DSQ_OK;
}

/* Handles that a forked child has given up: kept findable, since they cannot be freed there. */
static _Atomic(dsq_db *) left_to_parent;

static void leave_to_parent(dsq_db *db)
{
    dsq_tier_leave_to_parent(db->tier);
    dsq_vault_destroy(db->vault); /* the keys are the parent's */
    db->vault = NULL;
    db->next_left = dsq_load_relaxed(&left_to_parent);
    while (!dsq_cas_acq_rel(&left_to_parent, &db->next_left, db)) {
    }
}

void dsq_abandon(dsq_db *db)
{
    if (db == NULL) {
        return;
    }
    if (db->fork_generation != dsq_fork_generation()) {
        leave_to_parent(db);
        return;
    }
    dsq_tier_abandon(db->tier);
    dsq_vault_destroy(db->vault);
    pthread_mutex_destroy(&db->error_lock);
    free(db);
}

int dsq_count(dsq_db *db, uint64_t *count)
{
    struct dsq_error error = {0};
    int status = dsq_handle_enter(db);

    if (count == NULL) {
        return DSQ_ERR_INVALID;
    }
    if (status == DSQ_OK) {
        status = dsq_tier_count(db->tier, count, &error);
    }
    return dsq_handle_leave(db, status, &error);
}

int dsq_flush(dsq_db *db, int64_t timeout_ms)
{
    struct dsq_error error = {0};
    int status = dsq_handle_enter(db);

    if (status == DSQ_OK) {
        uint64_t deadline_ns = DSQ_NO_DEADLINE;

        if (timeout_ms >= 0 && (uint64_t)timeout_ms < DSQ_NO_DEADLINE / DSQ_NS_PER_MS / 2) {
            deadline_ns = dsq_now_ns() + (uint64_t)timeout_ms * DSQ_NS_PER_MS;
        }
        status = dsq_tier_flush(db->tier, deadline_ns, &error);
    }
    return dsq_handle_leave(db, status, &error);
}

int dsq_resume(dsq_db *db)
{
    struct dsq_error error = {0};
    int status = dsq_handle_enter(db);

    if (status == DSQ_OK) {
        status = dsq_tier_resume(db->tier, &error);
    }
    return dsq_handle_leave(db, status, &error);
}
