/*
 * A store as bench/stores sees it: what dictsqlite and its peers are called through.  What fails ends the
 * program.
 */
#ifndef DSQ_BENCH_STORES_OPS_H
#define DSQ_BENCH_STORES_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define STORE_KEY_BYTES 16
#define STORE_ABSENT SIZE_MAX
/* Of writes that are acknowledged before they are on disk: how long that may take. */
#define STORE_INTERVAL_MS 100
/* Records in a transaction while loading. */
#define STORE_LOAD_BATCH 10000

/* What an acknowledged write survives; each store says in `survives` what that means for it. */
enum store_durability {
    STORE_INTERVAL, /* a crash loses the last STORE_INTERVAL_MS */
    STORE_PROCESS,  /* the death of the process */
    STORE_POWER,    /* the loss of power */
    STORE_DURABILITIES
};

struct store_config {
    const char *folder; /* of this store alone, empty */
    enum store_durability durability;
    uint64_t records;     /* at most, ever */
    uint64_t hot_records; /* of dictsqlite's hot tier */
    uint64_t value_bytes;
    /* The same memory for all: for what was written and not yet merged, and for what is read. */
    uint64_t write_bytes;
    uint64_t read_bytes;
    unsigned threads;
};

/* Records in ascending order of their keys. */
struct store_source {
    const void *context;
    uint64_t count;
    uint64_t value_bytes;
    void (*record)(const void *context, uint64_t i, void *key, void *value);
};

typedef void (*store_visitor)(void *context, const void *key, size_t key_size, const void *value,
                              size_t value_size);

struct store_ops {
    const char *name;
    const char *survives[STORE_DURABILITIES];
    const char *settings;
    void *(*open)(const struct store_config *config);
    void (*close)(void *store);
    void (*load)(void *store, const struct store_source *source);

    /* What calls go through: for one thread at a time. */
    void *(*enter)(void *store);
    void (*leave)(void *session);

    /* Copies the value out and returns its size, or STORE_ABSENT. */
    size_t (*get)(void *session, const void *key, void *value, size_t capacity);
    void (*put)(void *session, const void *key, const void *value, size_t value_size);
    /* Visits up to `count` records in order from the key on; returns how many. */
    size_t (*scan)(void *session, const void *key, size_t count, store_visitor visitor,
                   void *context);

    /* Returns when all that was acknowledged is on disk, where only an interval may be lost. */
    void (*flush)(void *store);
    /* Returns when the store has no more to do in the background. */
    void (*settle)(void *store);
};

/* Those that this program was built with, ours first; ends with a NULL. */
extern const struct store_ops *const stores[];
extern const struct store_ops store_dictsqlite;
extern const struct store_ops store_rocksdb;
extern const struct store_ops store_lmdb;
extern const struct store_ops store_sqlite;
/* dictsqlite's own file, read by one prepared SELECT a thread with the page cache of its readers. */
extern const struct store_ops store_select;

#define STORE_COPY_NAME "dictsqlite-copy"
/* Of dictsqlite: whether a get of the key reads the disk, and how many have; a copy for store_select. */
bool store_dictsqlite_is_cold(void *store, const void *key);
uint64_t store_dictsqlite_misses(void *store);
void store_dictsqlite_copy(void *store, const char *folder);

/* Our memory for so many records in the hot tier, with their slots and the caches of the connections. */
uint64_t store_dictsqlite_bytes(uint64_t records, uint64_t value_bytes, unsigned threads);

const char *store_durability_name(enum store_durability durability);

/* "store: call: message", and the end. */
void store_fail(const char *store, const char *call, const char *message) __attribute__((noreturn));

/* folder/name. */
#define STORE_PATH_BYTES 4096
void store_path(const char *folder, const char *name, char path[STORE_PATH_BYTES]);

#ifdef __cplusplus
}
#endif

#endif
