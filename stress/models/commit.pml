/*
 * Two keys over both tiers: put, delete, eviction, read-through, commit and fold, as persist/tier.h,
 * persist/committer.h and persist/fold.h have them.
 *
 * Mirrors dsq_write_try and renew (persist/tier_write.c), dsq_tier_pin_found, load and promote
 * (persist/tier_read.c), place_own (persist/tier_lease.c), evict_slot (core/clock.c), and what
 * persist/committer_batch.c does with a batch: take, journal what is READY, carry what is PENDING, make
 * DURABLE; and what persist/fold.c does with what is unfolded: the last of each key into kv, then
 * CLEAN.  The first key is written by two writers, the second of which deletes it; the second key by
 * whoever has read the first, and read by the second writer before it writes: so the keys depend on
 * each other both ways.  A crash may come at any moment: what then counts is what the file holds, kv
 * with the journal over it.
 *
 * Left out: probing and migration (resize.pml), memory orders (everything is sequentially
 * consistent), batches, errors; a VOID record leaves the queue at once, as the committer skips it.
 *
 * Properties.  A reader gets what the key had at some time during its call (a register over both
 * tiers).  After every commit the file is a consistent cut: with a record there is what its writer had
 * seen of the other key.  With -DWRITETHROUGH: a writer or a reader that has returned was told nothing
 * that a crash takes back.  With -DFROZEN: a writer that stops for ever between its push and its
 * publication, or before it settles, holds up no commit but its own.  At the end the file and the
 * table hold the last value, and nothing READY is left over.  -DONE_WRITER (the second) and
 * -DEVICTIONS=1 make the model smaller.
 *
 * Each of these takes one rule out and must be refuted:
 *
 *   WITHOUT_PUSH_FIRST   a record is published before it is queued
 *   WITHOUT_SETTLE       a replaced PENDING record is not made READY
 *   WITHOUT_SETTLE_SEEN  a reader does not make READY what it returns
 *   WITHOUT_PLACEHOLDER  a miss installs its row if the key is still absent
 *   WITHOUT_CLEAN        records are evicted before their commit
 *   WITHOUT_TOMBSTONE    tombstones are
 *   WITHOUT_STEP_OVER    the committer does not go on behind a PENDING record
 *   WITHOUT_ONE_QUEUE    each key has a queue, drained one after the other
 *   WITHOUT_OWN_VALUE    the committer writes what the table has then, not what was queued
 *   WITHOUT_FOLD_FIRST   records are CLEAN once they are in the journal
 *   WITHOUT_FOLD_LAST    a fold writes the first record of a key, not the last
 *   WITHOUT_WAIT         a writer returns before its record is DURABLE       (WRITETHROUGH)
 *   WITHOUT_READER_WAIT  a reader returns what is not DURABLE                (WRITETHROUGH)
 */

#define ABSENT 0
#define LOADING 9

#define PENDING 0
#define READY 1
#define DURABLE 2
#define CLEAN 3

/*
 * Records: 1 is the row of the first key at the start, 2 the first writer's, 3 the second writer's
 * tombstone, 4 of the second key.  What is read from the file comes back as a CLEAN record of
 * the same number; row 3 is no row.
 */
byte slot = ABSENT;
byte slot2 = ABSENT;
byte state[5];
byte kv = 1;       /* of the first key, where misses read; 3: no row */
byte disk = 1;     /* what a recovery would find: the journal's last, else kv's */
byte disk2 = ABSENT;
byte unfolded[6];
byte journaled = 0;
byte seen_by_4 = ABSENT; /* of the first key */
byte seen_by_3 = ABSENT; /* of the second */

chan queue = [4] of { byte };
#ifdef WITHOUT_ONE_QUEUE
chan queue2 = [4] of { byte };
#define queue_of_second queue2
#else
#define queue_of_second queue
#endif
byte carry[6];
byte carried = 0;

/* When each record became the first key's value; the register's history since then. */
byte order[5];
byte changes = 0;
byte truth = 1;
byte truth_at[3];

byte ended = 0;
byte frozen = 0; /* the record whose writer stopped */

#define is_record(word) (word > ABSENT && word < LOADING)

inline settle(record)
{
    atomic {
        if
        :: state[record] == PENDING -> state[record] = READY
        :: else
        fi
    }
}

/* dsq_table_publish of the first key. */
inline publish(expected, record, ok)
{
    atomic {
        if
        :: slot == expected ->
            slot = record;
            changes++;
            order[record] = changes;
            truth = record;
            truth_at[changes] = record;
            ok = true
        :: else -> ok = false
        fi
    }
}

/* The VOID record is no longer looked at; its successor goes by the same number. */
inline forget(record)
{
    atomic {
        do
        :: queue ?? [eval(record)] -> queue ?? eval(record)
        :: !(queue ?? [eval(record)]) -> break
        od;
        i = 0;
        do
        :: i < carried ->
            if
            :: carry[i] == record -> carry[i] = 0
            :: else
            fi;
            i++
        :: else -> break
        od;
        i = 0
    }
}

proctype writer(byte record)
{
    byte seen, i;
    bool ok = false;
    if
    :: record == 3 ->
        atomic { seen_by_3 = slot2 };
#ifndef WITHOUT_SETTLE_SEEN
        if
        :: seen_by_3 != ABSENT -> settle(4)
        :: else
        fi
#endif
    :: else
    fi;
    do
    :: !ok ->
        seen = slot;
#ifndef WITHOUT_SETTLE
        if
        :: is_record(seen) -> settle(seen)
        :: else
        fi;
#endif
#ifndef WITHOUT_PUSH_FIRST
        queue ! record;
#endif
#ifdef FROZEN
        if
        :: frozen == 0 -> frozen = record; goto stop
        :: true
        fi;
#endif
        publish(seen, record, ok);
#ifndef WITHOUT_PUSH_FIRST
        if
        :: !ok -> forget(record)
        :: else
        fi
#endif
    :: else -> break
    od;
#ifdef WITHOUT_PUSH_FIRST
    queue ! record;
#endif
#ifdef FROZEN
    if
    :: frozen == 0 -> frozen = record; goto stop
    :: true
    fi;
#endif
    settle(record);
#ifdef WRITETHROUGH
#ifndef WITHOUT_WAIT
    state[record] >= DURABLE;
#endif
    assert(order[disk] >= order[record]);
#endif
stop:
    ended++
}

/* dsq_tier_pin; whoever has seen the first key's value writes the second key. */
proctype reader()
{
    byte found, row, from;
    bool ok;
    from = changes;
again:
    found = slot;
    if
    :: is_record(found) ->
#ifndef WITHOUT_SETTLE_SEEN
        settle(found)
#else
        skip
#endif
    :: found == ABSENT ->
#ifndef WITHOUT_PLACEHOLDER
        atomic {
            if
            :: slot == ABSENT -> slot = LOADING
            :: else -> goto again
            fi
        };
#endif
        row = kv;
        atomic {
            if
#ifndef WITHOUT_PLACEHOLDER
            :: slot == LOADING ->
#else
            :: slot == ABSENT ->
#endif
                slot = row;
                found = row
            :: else -> goto again
            fi
        }
    fi;
#if defined(WRITETHROUGH) && !defined(WITHOUT_READER_WAIT)
    state[found] >= DURABLE;
#endif
    atomic {
        ok = false;
        do
        :: from <= changes ->
            if
            :: truth_at[from] == found -> ok = true
            :: else
            fi;
            from++
        :: else -> break
        od;
        assert(ok)
#ifdef WRITETHROUGH
        ;
        assert(order[disk] >= order[found])
#endif
    };
    seen_by_4 = found;
    queue_of_second ! 4;
    slot2 = 4;
    settle(4);
    ended++
}

#ifndef EVICTIONS
#define EVICTIONS 2
#endif

/* The clock hand, whenever it likes. */
proctype evictor()
{
    byte found;
    byte n = 0;
    do
    :: n < EVICTIONS ->
        n++;
        found = slot;
        if
#ifdef WITHOUT_CLEAN
        :: is_record(found) ->
#elif defined(WITHOUT_TOMBSTONE)
        :: is_record(found) && (found == 3 || state[found] == CLEAN) ->
#else
        :: is_record(found) && state[found] == CLEAN ->
#endif
            atomic {
                if
                :: slot == found -> slot = ABSENT
                :: else
                fi
            }
        :: else
        fi
    :: break
    od;
    ended++
}

/* All that is queued goes behind what is carried. */
inline take(from)
{
    atomic {
        do
        :: nempty(from) -> from ? record; carry[carried] = record; carried++
        :: empty(from) -> break
        od;
        record = 0
    }
}

/* Who settles while something is carried wakes the committer. */
#define settled(i) (i < carried && carry[i] != 0 && state[carry[i]] != PENDING)

/* What has been taken out of the carried chain closes up. */
inline close_gaps()
{
    atomic {
        i = 0;
        do
        :: i < carried ->
            if
            :: carry[i] != 0 -> carry[record] = carry[i]; record++
            :: else
            fi;
            i++
        :: else -> break
        od;
        do
        :: carried > record -> carried--; carry[carried] = 0
        :: else -> break
        od;
        record = 0;
        i = 0
    }
}

/* One slice that takes all; the rows of the journal go after it. */
inline fold()
{
    atomic {
        do
        :: i < journaled ->
#ifdef WITHOUT_FOLD_LAST
            if
            :: unfolded[i] != 4 && last == 0 -> last = unfolded[i]
            :: else
            fi;
#else
            if
            :: unfolded[i] != 4 -> last = unfolded[i]
            :: else
            fi;
#endif
            i++
        :: else -> break
        od;
        if
        :: last != 0 -> kv = last
        :: else
        fi;
        last = 0;
        i = 0
    };
    do
    :: journaled > 0 ->
        atomic {
            journaled--;
            state[unfolded[journaled]] = CLEAN;
            unfolded[journaled] = 0
        }
    :: else -> break
    od
}

proctype committer()
{
    byte i, n, record, last, last2;
    bool stopped, finishing;
    byte batch[3];
    do
    :: journaled > 0 -> fold()
    :: nempty(queue) || nempty(queue_of_second) || settled(0) || settled(1) || settled(2) ||
       ended == 4 ->
        finishing = (ended == 4);
        take(queue);
#ifdef WITHOUT_ONE_QUEUE
        take(queue2);
#endif
        /* Record by record, as states change meanwhile. */
        do
        :: i < carried && !stopped ->
            atomic {
                record = carry[i];
                i++;
                if
                :: record == 0
                :: record != 0 && state[record] != PENDING ->
                    batch[n] = record;
                    n++;
                    carry[i - 1] = 0;
                    if
                    :: record == 4 -> last2 = 4
                    :: else -> last = record
                    fi
                :: else ->
#ifdef WITHOUT_STEP_OVER
                    stopped = true
#else
                    skip
#endif
                fi;
                record = 0
            }
        :: else -> break
        od;
        close_gaps();
        atomic { /* COMMIT */
#ifdef WITHOUT_OWN_VALUE
            if
            :: last != 0 && is_record(slot) -> last = slot
            :: else
            fi;
#endif
            if
            :: last != 0 -> disk = last
            :: else
            fi;
            if
            :: last2 != 0 -> disk2 = last2
            :: else
            fi;
            last = 0;
            last2 = 0;
            stopped = false;
            assert(disk2 == ABSENT || order[disk] >= order[seen_by_4]);
            assert(order[3] == 0 || order[disk] < order[3] || seen_by_3 == ABSENT || disk2 == 4)
        };
        do
        :: i < n ->
            atomic {
                if
#ifdef WITHOUT_FOLD_FIRST
                :: state[batch[i]] == READY -> state[batch[i]] = CLEAN
#else
                :: state[batch[i]] == READY -> state[batch[i]] = DURABLE
#endif
                :: else
                fi;
                i++
            }
        :: else -> break
        od;
        atomic {
            i = 0;
            do
            :: i < n ->
                unfolded[journaled] = batch[i];
                journaled++;
                batch[i] = 0;
                i++
            :: else -> break
            od;
            i = 0;
            n = 0
        };
        if
        :: finishing -> break
        :: else
        fi
    od;
    atomic {
        do
        :: i < carried -> assert(carry[i] == 0 || state[carry[i]] == PENDING); i++
        :: else -> break
        od
    };
    i = 0;
    fold();
    if
    :: frozen == 0 ->
        assert(carried == 0 && disk == truth && kv == truth && disk2 == 4);
        assert(slot == ABSENT || slot == truth)
    :: else
    fi
}

init
{
    atomic {
        truth_at[0] = 1;
        state[1] = CLEAN;
#ifdef ONE_WRITER
        ended++;
#else
        run writer(2);
#endif
        run writer(3);
        run reader();
        run evictor();
        run committer()
    }
}
