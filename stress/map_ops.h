/*
 * A concurrent map as the stress programs and the benchmarks see it.  Whoever wants another map
 * judged or measured fills in one of these and adds it to map_ops_all.
 *
 * Keys and values are bytes, at most MAP_VALUE_SIZE_MAX of them in a value.  Calls may come from any
 * thread between its enter and its exit.  What a map does not offer is NULL.
 */
#ifndef DSQ_STRESS_MAP_OPS_H
#define DSQ_STRESS_MAP_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAP_VALUE_SIZE_MAX 16384

enum map_status {
    MAP_OK,
    MAP_ABSENT,
    MAP_EXISTS,
    MAP_MISMATCH,
    MAP_ERROR /* the map has said why (stress/verdict.h); the outcome is unknown */
};

struct map_bytes {
    const void *data;
    size_t size;
};

/* Room for a value that a call hands out. */
struct map_buffer {
    size_t size;
    unsigned char data[MAP_VALUE_SIZE_MAX];
};

/* One key with its value, during a walk. */
typedef void (*map_visitor)(void *context, struct map_bytes key, struct map_bytes value);

struct map_config {
    int mode;             /* enum dsq_persist_mode, for a map that has such */
    uint64_t capacity;    /* records kept in memory; UINT64_MAX: all */
    const char *path;     /* of a map that has a file */
    uint64_t encrypt;     /* 1: with a password, for a map that has such */
    uint64_t queue_bytes; /* that may wait to be stored; 0: few, so that writers have to wait */
    uint64_t shard_bits; /* of a cache whose user chooses the number of its shards: its logarithm */
};

struct map_counters {
    uint64_t commits;       /* transactions on disk */
    uint64_t retired_bytes; /* unlinked and not yet freed */
};

struct map_ops {
    const char *name;
    /* A function of the shared object that holds the map's code, for programs that look where a thread is. */
    const char *symbol;
    void *(*create)(const struct map_config *config); /* NULL: MAP_ERROR */
    bool (*destroy)(void *map);
    void (*describe)(void *map); /* prints a line of its counters */
    void (*count)(void *map, struct map_counters *counters);
    void (*thread_enter)(void *map);
    void (*thread_exit)(void *map);
    enum map_status (*get)(void *map, struct map_bytes key, struct map_buffer *value);
    enum map_status (*put)(void *map, struct map_bytes key, struct map_bytes value);
    enum map_status (*remove)(void *map, struct map_bytes key);
    enum map_status (*pop)(void *map, struct map_bytes key, struct map_buffer *value);
    /* Stores if the key is absent, else MAP_EXISTS. */
    enum map_status (*add)(void *map, struct map_bytes key, struct map_bytes value);
    /* Stores `desired` if the value is `expected`, else MAP_ABSENT or MAP_MISMATCH. */
    enum map_status (*cas)(void *map, struct map_bytes key, struct map_bytes expected,
                           struct map_bytes desired);
    /* Adds to an integer of 8 bytes, least significant first, absent: 0; *sum is the new value. */
    enum map_status (*incr)(void *map, struct map_bytes key, int64_t delta, int64_t *sum);
    /* How many keys there are: counts what returned before, and nothing that begins later. */
    enum map_status (*length)(void *map, uint64_t *length);
    /* Every key that is there throughout once, with a value that it has meanwhile. */
    enum map_status (*walk)(void *map, map_visitor visit, void *context);
    /* What was acknowledged before it is in the map's file when it returns; no timeout if negative. */
    enum map_status (*flush)(void *map, int64_t timeout_ms);
    /* What that file holds, read past the map, at one moment. */
    enum map_status (*walk_stored)(const char *path, map_visitor visit, void *context);
};

extern const struct map_ops map_dictsqlite;
extern const struct map_ops map_locked;
extern const struct map_ops map_rculfhash;
extern const struct map_ops map_table;

/* Those that a program judges, ended by NULL: each program has its own list. */
extern const struct map_ops *const map_ops_all[];

/* The map of that name; NULL, and the names there are on stderr, if there is none. */
const struct map_ops *map_ops_find(const char *name);

#endif
