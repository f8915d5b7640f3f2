/*
 * Records: the immutable key, value and header that a slot of the table points to.
 *
 * Layout, 32 bytes and then the payload in the same allocation:
 *
 *     0   node        link of the write queue, later of the list of retired records
 *     8   hash        of the key, whole, so that moving to another table never hashes again
 *     16  refs        see below
 *     20  value_size
 *     24  key_size, kind (enum dsq_record_kind), external
 *     28  note        of whoever looks at the record, 0 at birth; see dsq_peek_noted
 *     30  state       enum dsq_record_state
 *     31  clock       0..3, the use counter of the CLOCK hand
 *     32  payload     key, value; or a pointer to the value, key (external)
 *
 * A value larger than DSQ_INLINE_VALUE_MAX lies in an allocation of its own, so that a write that
 * has to be tried again with a fresh record takes it over instead of copying it.
 *
 * State machine (persistent modes; every move is a compare-and-swap from the state before, so that
 * a late owner cannot overwrite what the committer has set):
 *
 *     PENDING --settle: owner, or whoever met it in the table--> READY
 *     PENDING --owner, after its one failed publication--------> VOID
 *     READY ----committer, after COMMIT------------------------> DURABLE
 *     DURABLE --committer, after a fold------------------------> CLEAN
 *
 *   PENDING  in the queue, perhaps not yet in the table: neither acknowledged nor depended on
 *   READY    published; the next commit takes it
 *   DURABLE  in the journal, on disk; not yet merged into the kv table
 *   CLEAN    the kv table holds it: it may be evicted
 *   VOID     never published and never will be; its payload may have been taken over
 *
 * In memory mode, and for what was loaded from disk, a record is born CLEAN.
 *
 * References: one of the table from publication until unlinked, one of the queue from push until
 * the committer is done with it, one of each view, sleeper and loader.  Whoever drops the last
 * retires the record (core/reclaim.h), which frees it after a grace period; so a reader inside
 * a read-side critical section may look at a record whose count is zero, but must not revive it:
 * dsq_record_try_acquire fails then.
 *
 * Ordering: state moves release what came before (queue push, table publication, COMMIT) to
 * whoever acquires the state; refs is acq_rel so that the last dropper sees every use.  clock is
 * relaxed: a lost increment or decrement costs one turn of the hand.
 */
#ifndef DSQ_CORE_RECORD_H
#define DSQ_CORE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/atomic.h"
#include "core/bytes.h"
#include "core/mpsc.h"

enum dsq_record_state {
    DSQ_RECORD_PENDING = 0,
    DSQ_RECORD_READY = 1,
    DSQ_RECORD_DURABLE = 2,
    DSQ_RECORD_CLEAN = 3,
    DSQ_RECORD_VOID = 4,
};

enum dsq_record_kind {
    DSQ_RECORD_VALUE,     /* the key has this value */
    DSQ_RECORD_TOMBSTONE, /* the key is absent */
    DSQ_RECORD_LOADING,   /* a miss under way: what kv says of the key is true */
    DSQ_ITEM_GROUP,       /* queue entry of a batch; its key is a pointer, never in the table */
    DSQ_ITEM_MARKER, /* queue entry of a flush; its value is a notice or empty, never in the table */
};

#define DSQ_INLINE_VALUE_MAX 4096
#define DSQ_CLOCK_MAX 3
#define DSQ_CLOCK_INITIAL 1

struct dsq_record {
    struct dsq_mpsc_node node;
    uint64_t hash;
    _Atomic uint32_t refs;
    uint32_t value_size;
    uint32_t key_size : 24;
    uint32_t kind : 7;
    uint32_t external : 1;
    _Atomic uint16_t note;
    _Atomic uint8_t state;
    _Atomic uint8_t clock;
    unsigned char payload[];
};

_Static_assert(offsetof(struct dsq_record, payload) == 32, "the header stays at 32 bytes");

/*
 * Makes a record with copies of key and value and `refs` references, all the caller's to hand out.
 * NULL if memory runs out, or if an address does not fit a slot of the table.
 */
struct dsq_record *dsq_record_new(enum dsq_record_kind kind, enum dsq_record_state state,
                                  uint32_t refs, uint64_t hash, struct dsq_bytes key,
                                  struct dsq_bytes value);

/*
 * The same in the memory of a dead record that dsq_record_is_reusable of dsq_record_capacity bytes
 * for that key and value; it is freed if memory for the rest runs out.  NULL: in memory of its own.
 */
struct dsq_record *dsq_record_new_in(struct dsq_record *memory, enum dsq_record_kind kind,
                                     enum dsq_record_state state, uint32_t refs, uint64_t hash,
                                     struct dsq_bytes key, struct dsq_bytes value);

/* Size in bytes of the memory of a record, without that of an external value. */
size_t dsq_record_capacity(size_t key_size, size_t value_size);

/* Whether the memory of a record that nobody can see any more has just that capacity. */
bool dsq_record_is_reusable(const struct dsq_record *record, size_t wanted);

/*
 * A fresh PENDING record with the kind, key and value of a record whose publication failed, with
 * `refs` references; the old one becomes VOID.  An external value is taken over, not copied.
 * NULL if memory runs out: the old record is VOID then as well, with its value.
 */
struct dsq_record *dsq_record_renew(struct dsq_record *failed, uint32_t refs);

/* Frees at once.  Only for a record that no other thread has seen, and for core/reclaim.c. */
void dsq_record_free(struct dsq_record *record);

/* Size in bytes that a record with such a payload occupies, header included. */
static inline uint64_t dsq_record_footprint(size_t key_size, size_t value_size)
{
    return sizeof(struct dsq_record) + key_size + value_size;
}

static inline uint64_t dsq_record_bytes(const struct dsq_record *record)
{
    return dsq_record_footprint(record->key_size, record->value_size);
}

static inline struct dsq_bytes dsq_record_key(const struct dsq_record *record)
{
    size_t offset = record->external ? sizeof(void *) : 0;
    return (struct dsq_bytes){record->payload + offset, record->key_size};
}

static inline struct dsq_bytes dsq_record_value(const struct dsq_record *record)
{
    if (record->external) {
        void *value;
        memcpy(&value, record->payload, sizeof value);
        return (struct dsq_bytes){value, record->value_size};
    }
    return (struct dsq_bytes){record->payload + record->key_size, record->value_size};
}

/* Where the value of a record that no other thread has seen can still be written. */
static inline unsigned char *dsq_record_unshared_value(struct dsq_record *record)
{
    return (unsigned char *)dsq_record_value(record).data;
}

static inline bool dsq_record_has_key(const struct dsq_record *record, uint64_t hash,
                                      struct dsq_bytes key)
{
    return record->hash == hash && record->key_size == key.size &&
           dsq_bytes_equal(dsq_record_key(record).data, key.data, key.size);
}

/* Counts a use: saturates, so that a hot record is only read. */
static inline void dsq_record_touch(struct dsq_record *record)
{
    uint8_t clock = dsq_load_relaxed(&record->clock);
    if (clock < DSQ_CLOCK_MAX) {
        dsq_store_relaxed(&record->clock, (uint8_t)(clock + 1));
    }
}

/*
 * Pairs with every move of the state: what the mover did before is seen.  seq_cst for the handshake
 * below; costs no more than acquire on the machines we know.
 */
static inline enum dsq_record_state dsq_record_state(const struct dsq_record *record)
{
    return (enum dsq_record_state)dsq_load_seq_cst(&record->state);
}

/*
 * One step of the state machine; false if the record was not in state `from`.  seq_cst, because
 * PENDING -> READY is one half of the handshake with a committer that is going to sleep
 * (persist/committer.h): "I settle, then look whether it carries" against "it says that it carries,
 * then looks whether I have settled".
 */
static inline bool dsq_record_move(struct dsq_record *record, enum dsq_record_state from,
                                   enum dsq_record_state to)
{
    uint8_t expected = (uint8_t)from;
    return dsq_cas_seq_cst(&record->state, &expected, (uint8_t)to);
}

/*
 * Takes a reference unless the last one is already gone.  Relaxed: whoever finds the record in the
 * table has acquired its contents from the slot.
 */
static inline bool dsq_record_try_acquire(struct dsq_record *record)
{
    uint32_t refs = dsq_load_relaxed(&record->refs);
    while (refs != 0) {
        if (dsq_cas_relaxed(&record->refs, &refs, refs + 1)) {
            return true;
        }
    }
    return false;
}

/* Drops a reference; true if it was the last, and the caller must retire the record. */
static inline bool dsq_record_drop(struct dsq_record *record)
{
    return dsq_sub_acq_rel(&record->refs, 1) == 1;
}

#endif
