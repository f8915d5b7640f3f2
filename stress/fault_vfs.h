/*
 * A file system between SQLite and the real one, for what real ones do once in years: it fails the
 * n-th call of a kind, tears a write, and keeps a log of what was written and what was synced, from
 * which it makes the files that a loss of power could have left (stress/power_image.h).
 *
 * Install it before the first store is opened.  Calls of all files of all connections count.
 */
#ifndef DSQ_STRESS_FAULT_VFS_H
#define DSQ_STRESS_FAULT_VFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fault_call {
    FAULT_OPEN,
    FAULT_READ,
    FAULT_WRITE,
    FAULT_TRUNCATE,
    FAULT_SYNC,
    FAULT_SIZE,
    FAULT_LOCK,
    FAULT_DELETE,
    FAULT_ACCESS,
    FAULT_SHM_MAP,
    FAULT_SHM_LOCK,
    FAULT_ALLOCATION, /* of memory, by the library or SQLite: stress/fault_malloc.h */
    FAULT_CALLS,
};

const char *fault_call_name(enum fault_call call);

/* False if SQLite refuses it. */
bool fault_vfs_install(void);

/* Which call is to fail, and how. */
struct fault_plan {
    enum fault_call call;
    uint64_t nth;  /* from 1 */
    bool for_ever; /* all from then on */
    int code;      /* SQLite's, with which it fails */
    bool torn;     /* a write has put its first half down before it fails */
};

/* Counts a call of a kind, for those that the file system does not see; whether it is to fail. */
bool fault_vfs_fails(enum fault_call call);

/* Counting starts anew. */
void fault_vfs_plan(const struct fault_plan *next);

/* Nothing fails any more.  Returns how many calls did. */
uint64_t fault_vfs_heal(void);

/* Calls of a kind since the last plan. */
uint64_t fault_vfs_seen(enum fault_call call);

/* The files of a database that hold its data. */
enum fault_file { FAULT_MAIN, FAULT_WAL, FAULT_FILES };

enum fault_event_kind { FAULT_EVENT_WRITE, FAULT_EVENT_TRUNCATE, FAULT_EVENT_SYNC };

struct fault_event {
    enum fault_event_kind kind;
    enum fault_file file;
    uint64_t offset; /* of a write; the new size of a truncation */
    size_t size;
    unsigned char *data; /* of a write */
    void *witness;       /* what the caller had to say just before; freed with the log */
};

struct fault_log {
    struct fault_event *events;
    size_t count;
    size_t capacity;
};

/*
 * Logs what is written to the database at path from now on.  witness, called just before each event
 * takes place, returns a malloced note.
 */
void fault_log_start(const char *path, void *(*witness)(void *context), void *context);

/* How many events there are so far. */
size_t fault_log_count(void);

/* Ends the log and hands it over. */
void fault_log_stop(struct fault_log *log);
void fault_log_fini(struct fault_log *log);

#endif
