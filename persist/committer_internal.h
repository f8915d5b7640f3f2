/* Private to persist/committer*.c: what the writers' side and the thread's side share. */
#ifndef DSQ_PERSIST_COMMITTER_INTERNAL_H
#define DSQ_PERSIST_COMMITTER_INTERNAL_H

#include <pthread.h>

#include "core/atomic.h"
#include "core/event.h"
#include "core/mpsc.h"
#include "persist/committer.h"
#include "persist/fold.h"
#include "persist/journal.h"

/* What the thread is to do besides committing; bits of `demand`. */
#define DEMAND_COMMIT 1U /* somebody waits: commit now */
#define DEMAND_RESUME 2U
#define DEMAND_STOP 4U
#define DEMAND_CHORE 8U

/* Something for the thread to do, on the stack of who waits for it. */
struct chore {
    dsq_chore run;
    void *context;
    int status;
    struct dsq_error error;
    _Atomic bool done;
};

/* Whom a push has to wake. */
enum sleep_state {
    SLEEP_NONE,  /* the thread is awake and will look again */
    SLEEP_TIMED, /* it wakes by itself; a push that fills the buffer wakes it */
    SLEEP_IDLE,  /* any push wakes it */
};

/*
 * A group and its place in the queue.  `complete` is stored after the last push (seq_cst, with
 * `carrying`, as for a record's state).  `seen` belongs to the committer.
 */
struct dsq_group {
    _Atomic uint32_t refs; /* its writer's and one of each node */
    _Atomic bool complete;
    uint32_t nodes; /* final once complete */
    uint32_t seen;  /* nodes met by scan number `scan` */
    uint64_t scan;
    struct dsq_record *last; /* the item of its last node, with a reference */
};

/* The records of one commit, until it has succeeded. */
struct batch {
    struct dsq_record **records; /* in push order, MARKER and GROUP items among them */
    size_t count;
    size_t capacity;
    uint64_t last_seq;
    bool announced; /* it is durable, and who waited knows */
    size_t handed;  /* entries handed on since */
};

struct dsq_committer {
    struct dsq_committer_config config;
    struct dsq_store *store;
    struct dsq_map *map;
    pthread_t thread;
    pthread_mutex_t alive; /* robust: the thread holds it for as long as it lives */

    /* Producers. */
    DSQ_CACHE_ALIGNED struct dsq_mpsc queue;
    _Atomic uint64_t pushed; /* records and items */
    _Atomic uint64_t queued_bytes;

    /* Mostly read by producers. */
    DSQ_CACHE_ALIGNED _Atomic uint8_t sleep; /* enum sleep_state */
    _Atomic bool carrying;                   /* a settled record or a group's end must wake */
    _Atomic uint8_t state;                   /* enum dsq_committer_state */
    _Atomic bool runs;                       /* the thread has taken `alive` */
    _Atomic bool dead;                       /* it has been found dead, and not been replaced */
    _Atomic uint32_t demand;
    _Atomic uint32_t room_waiters;
    _Atomic uint64_t oldest_ns; /* nothing uncommitted is older; 0: nothing is uncommitted */
    _Atomic uint64_t taken;     /* of `pushed` */
    _Atomic uint64_t durable;   /* of `taken`: durable, or void; seq_cst with `pushed` */
    _Atomic uint64_t done;      /* of `durable`: the hot tier has been trimmed for it */

    DSQ_CACHE_ALIGNED struct dsq_event work; /* the thread waits */
    struct dsq_event progress;               /* waiters for durability wait */
    struct dsq_event room;                   /* waiters for room wait */
    bool spins;                              /* there is a core to spare */
    _Atomic uint32_t waiters;                /* of durability */
    _Atomic uint64_t commit_ns;              /* how long the last commit took */
    _Atomic uint64_t commits;
    _Atomic uint64_t commit_errors;
    _Atomic uint64_t seq;
    _Atomic uint64_t durable_seq;
    _Atomic uint64_t fold_target; /* somebody waits for this number to be in kv */
    _Atomic uint64_t folded_seq;  /* every record up to this number is */
    _Atomic uint64_t folds;
    _Atomic uint64_t wal_bytes;
    _Atomic uint64_t resumes; /* attempts of a resumed commit that have ended */
    pthread_mutex_t chore_lock;
    _Atomic(struct chore *) chore; /* not taken by the thread yet */

    pthread_mutex_t error_lock;
    struct dsq_error error; /* of the commit that led out of OPEN */

    /* The thread's own. */
    struct dsq_mpsc_node *chain; /* taken, not yet in a batch, oldest first */
    struct dsq_mpsc_node *chain_last;
    size_t groups_in_chain; /* GROUP items */
    size_t markers_in_chain;
    bool cut_short; /* the last batch was full, there is more */
    uint64_t scans; /* of the chain, for where to cut it */
    uint64_t taken_at_ns;
    struct batch batch;
    struct dsq_journal_row row;
    struct dsq_fold fold;
    bool counted;             /* since the last fold ended */
    uint64_t committed_at_ns; /* when the last commit ended */
    uint64_t pause_ns;        /* how long it usually takes from there to the next push; smoothed */
    uint64_t wal_seen;        /* by the last look at it */
    uint64_t wal_limit;       /* at which the next checkpoint is due */
};

/*
 * Moves as much of the queue into the batch as may be committed now: all but PENDING records and
 * what an open group holds.  DSQ_ERR_NOMEM if the batch cannot grow; nothing is lost.
 */
int dsq_batch_collect(struct dsq_committer *committer, struct dsq_error *error);

/* Whether something carried could be committed by now. */
bool dsq_batch_carry_is_ready(struct dsq_committer *committer);

/* Writes the batch in one transaction. */
int dsq_batch_write(struct dsq_committer *committer, struct dsq_error *error);

/*
 * After the commit: DURABLE, waiters woken, the records handed to the fold.  Goes on where another
 * thread has died over it.
 */
void dsq_batch_finish(struct dsq_committer *committer);

/*
 * Sends every notice in the batch, carried or queued with the error; the markers keep their places.  The
 * thread's own, once the store has failed.
 */
void dsq_batch_fail_notices(struct dsq_committer *committer, const struct dsq_error *error);

/* Releases what is queued, carried and in the batch, without committing it; notices are sent. */
void dsq_batch_discard(struct dsq_committer *committer);

/* Whether something queued is to be committed now.  The thread's own question. */
bool dsq_committer_is_due(struct dsq_committer *committer);

/* Whether a step of a fold is to be taken now. */
bool dsq_committer_wants_fold(const struct dsq_committer *committer);

/* When it will be, if nothing happens meanwhile. */
uint64_t dsq_committer_fold_deadline(const struct dsq_committer *committer);

/* Takes it; then tells who waits for the end of a fold. */
int dsq_committer_fold_step(struct dsq_committer *committer, struct dsq_error *error);
void dsq_committer_note_folded(struct dsq_committer *committer);

/* Queues one node that stands for `weight` records. */
void dsq_committer_push_weighted(struct dsq_committer *committer, struct dsq_record *record,
                                 uint64_t weight);

/* Wakes the thread, if it sleeps, for a group that is complete. */
void dsq_committer_notice_group(struct dsq_committer *committer);

/*
 * A MARKER with a notice, one reference, for the queue; NULL: out of memory.  Then: sends the notice
 * of a marker, unless it has none or has sent it.
 */
struct dsq_record *dsq_marker_new(struct dsq_notice *notice);
void dsq_marker_send(struct dsq_record *marker, const struct dsq_error *error);

/* The group and the records of a GROUP item. */
struct group_node {
    struct dsq_group *group;
    size_t count;
    struct dsq_record *const *records;
};
struct group_node dsq_group_node(const struct dsq_record *item);
void dsq_group_drop(struct dsq_committer *committer, struct dsq_group *group);

#endif
