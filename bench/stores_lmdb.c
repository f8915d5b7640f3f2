/* LMDB: its data are the system's page cache, so that no budget applies to what it reads. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <lmdb.h>

#include "bench/stores_interval.h"
#include "bench/stores_ops.h"

#define MAP_FIXED_BYTES ((size_t)256 * 1024 * 1024)
/* What a record takes in half-full pages, while older versions of them are still in use. */
#define MAP_RECORD_BYTES(value_bytes) (8 * (STORE_KEY_BYTES + (value_bytes) + 64))
#define READERS_MORE 16

struct lmdb {
    MDB_env *env;
    MDB_dbi table;
    struct store_interval *interval;
};

/* Reads go on in one transaction that is reset and renewed, which is the cheapest way to begin one. */
struct lmdb_session {
    struct lmdb *store;
    MDB_txn *reading;
    MDB_cursor *cursor;
};

static void require(const char *call, int result)
{
    if (result != MDB_SUCCESS) {
        store_fail("lmdb", call, mdb_strerror(result));
    }
}

static void flush(void *store)
{
    struct lmdb *self = store;
    require("mdb_env_sync", mdb_env_sync(self->env, 1));
}

static void *open_store(const struct store_config *config)
{
    struct lmdb *self = calloc(1, sizeof *self);
    char path[STORE_PATH_BYTES];
    unsigned flags = MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD;
    MDB_txn *txn;
    if (self == NULL) {
        abort();
    }
    if (config->durability != STORE_POWER) {
        flags |= MDB_NOSYNC | MDB_WRITEMAP;
    }
    store_path(config->folder, "lmdb", path);
    require("mdb_env_create", mdb_env_create(&self->env));
    require("mdb_env_set_mapsize",
            mdb_env_set_mapsize(self->env,
                                MAP_FIXED_BYTES +
                                    config->records * MAP_RECORD_BYTES(config->value_bytes)));
    require("mdb_env_set_maxreaders",
            mdb_env_set_maxreaders(self->env, config->threads + READERS_MORE));
    require(path, mdb_env_open(self->env, path, flags, 0600));
    require("mdb_txn_begin", mdb_txn_begin(self->env, NULL, 0, &txn));
    require("mdb_dbi_open", mdb_dbi_open(txn, NULL, MDB_CREATE, &self->table));
    require("mdb_txn_commit", mdb_txn_commit(txn));
    if (config->durability == STORE_INTERVAL) {
        self->interval = store_interval_start(flush, self);
    }
    return self;
}

static void close_store(void *store)
{
    struct lmdb *self = store;
    store_interval_stop(self->interval);
    mdb_env_close(self->env);
    free(self);
}

static void load(void *store, const struct store_source *source)
{
    struct lmdb *self = store;
    char key_bytes[STORE_KEY_BYTES];
    unsigned char *value_bytes = malloc(source->value_bytes);
    MDB_val key = {sizeof key_bytes, key_bytes};
    MDB_val value = {source->value_bytes, value_bytes};
    MDB_txn *txn = NULL;
    for (uint64_t i = 0; i < source->count; i++) {
        if (txn == NULL) {
            require("mdb_txn_begin", mdb_txn_begin(self->env, NULL, 0, &txn));
        }
        source->record(source->context, i, key_bytes, value_bytes);
        require("mdb_put", mdb_put(txn, self->table, &key, &value, MDB_APPEND));
        if ((i + 1) % STORE_LOAD_BATCH == 0 || i + 1 == source->count) {
            require("mdb_txn_commit", mdb_txn_commit(txn));
            txn = NULL;
        }
    }
    free(value_bytes);
}

static void *enter(void *store)
{
    struct lmdb_session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        abort();
    }
    session->store = store;
    require("mdb_txn_begin",
            mdb_txn_begin(session->store->env, NULL, MDB_RDONLY, &session->reading));
    require("mdb_cursor_open",
            mdb_cursor_open(session->reading, session->store->table, &session->cursor));
    mdb_txn_reset(session->reading);
    return session;
}

static void leave(void *opaque)
{
    struct lmdb_session *session = opaque;
    mdb_cursor_close(session->cursor);
    mdb_txn_abort(session->reading);
    free(session);
}

static size_t get(void *opaque, const void *key, void *value, size_t capacity)
{
    struct lmdb_session *session = opaque;
    MDB_val wanted = {STORE_KEY_BYTES, (void *)key};
    MDB_val found = {0, NULL};
    require("mdb_txn_renew", mdb_txn_renew(session->reading));
    int result = mdb_get(session->reading, session->store->table, &wanted, &found);
    if (result == MDB_SUCCESS) {
        memcpy(value, found.mv_data, found.mv_size < capacity ? found.mv_size : capacity);
    } else if (result != MDB_NOTFOUND) {
        require("mdb_get", result);
    }
    mdb_txn_reset(session->reading);
    return result == MDB_SUCCESS ? found.mv_size : STORE_ABSENT;
}

static void put(void *opaque, const void *key, const void *value, size_t value_size)
{
    struct lmdb_session *session = opaque;
    MDB_val name = {STORE_KEY_BYTES, (void *)key};
    MDB_val bytes = {value_size, (void *)value};
    MDB_txn *txn;
    require("mdb_txn_begin", mdb_txn_begin(session->store->env, NULL, 0, &txn));
    require("mdb_put", mdb_put(txn, session->store->table, &name, &bytes, 0));
    require("mdb_txn_commit", mdb_txn_commit(txn));
}

static size_t scan(void *opaque, const void *key, size_t count, store_visitor visitor,
                   void *context)
{
    struct lmdb_session *session = opaque;
    MDB_val name = {STORE_KEY_BYTES, (void *)key};
    MDB_val bytes = {0, NULL};
    MDB_cursor_op step = MDB_SET_RANGE;
    size_t visited = 0;
    require("mdb_txn_renew", mdb_txn_renew(session->reading));
    require("mdb_cursor_renew", mdb_cursor_renew(session->reading, session->cursor));
    while (visited < count) {
        int result = mdb_cursor_get(session->cursor, &name, &bytes, step);
        if (result == MDB_NOTFOUND) {
            break;
        }
        require("mdb_cursor_get", result);
        visitor(context, name.mv_data, name.mv_size, bytes.mv_data, bytes.mv_size);
        visited++;
        step = MDB_NEXT;
    }
    mdb_txn_reset(session->reading);
    return visited;
}

const struct store_ops store_lmdb = {
    .name = "lmdb",
    .survives =
        {
            [STORE_INTERVAL] = "MDB_NOSYNC, mdb_env_sync every 100 ms: nothing is lost when the "
                               "process dies; a loss of power may take the whole file (weaker than "
                               "the others)",
            [STORE_PROCESS] =
                "MDB_NOSYNC: nothing is lost when the process dies; a loss of power may "
                "take the whole file",
            [STORE_POWER] = "its default: nothing is lost",
        },
    .settings =
        "MDB_NORDAHEAD, read transactions renewed; MDB_WRITEMAP with MDB_NOSYNC; the system's "
        "page cache, whatever it takes, in place of the budget",
    .open = open_store,
    .close = close_store,
    .load = load,
    .enter = enter,
    .leave = leave,
    .get = get,
    .put = put,
    .scan = scan,
    .flush = flush,
    .settle = flush,
};
