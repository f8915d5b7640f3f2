/*
 * One key while its table migrates: the rules S1 to S8 of core/table_internal.h.
 *
 * Mirrors core/table.c (probe_write, probe_empty, dsq_table_find), core/table_resize.c
 * (dsq_migration_move, copy, promote) and the eviction of core/clock.c.  The old generation has OLD
 * slots of the key's probe sequence, the new one NEW.  Words: the record's number if LIVE, 10 more if
 * FROZEN.
 *
 * Left out: other keys (a tag that matches is the key's own), memory orders (everything is
 * sequentially consistent), the sizes of tables (there is always room in `next`), the queue and the
 * disk: an eviction is a removal here, after which the key is absent.
 *
 * Property: a register.  `truth` is what the linearization points have made of the key.  A reader
 * must return a value that the key had at some time during its look-up, no two slots of a generation
 * hold the key (S1), nothing that was unlinked is reachable after its unlinking (every record is
 * linked once), and at the end the key's probe leads to `truth`.
 *
 * Each of these takes one rule out and must be refuted:
 *
 *   WITHOUT_NEXT_FIRST  slots are frozen before `next` is set                          (S2)
 *   WITHOUT_FREEZE      a slot is copied and marked MOVED without being frozen         (S3)
 *   WITHOUT_FINISH      whoever meets a frozen slot goes on in `next` without moving it (S3)
 *   WITHOUT_GOING_ON    whoever finds that the slot it wanted to move was removed goes on in `next` (S3)
 *   WITHOUT_CLOSE       an insertion goes on in `next` without closing the EMPTY here  (S3)
 *   WITHOUT_SECOND_LOOK a copier that meets a removed slot does not look at its own again (S4)
 *   WITHOUT_COPY_ONCE   a copier does not look whether the key is there already        (S4)
 *   WITHOUT_DONE        the root is replaced before all slots are final                (S5)
 */

#define OLD 2
#define NEW 4

#define EMPTY 0
#define FROZEN 10
#define REMOVED 20
#define MOVED 21
#define CLOSED 22

#define is_live(word) (word >= 1 && word <= 9)
#define is_frozen(word) (word >= 11 && word <= 19)

/* Records: 1 is there from the start (unless STARTS_ABSENT), 2 and 3 are the writers'. */
byte old[OLD];
byte new[NEW];
bool has_next = false;
bool promoted = false;
byte finished = 0; /* processes, out of six */

byte truth;           /* the record that the key has, 0: absent */
byte changes = 0;     /* counts the linearization points */
byte truth_at[12];    /* truth after each */
bool unlinked[4];

inline change(to)
{
    if
    :: truth != 0 -> assert(!unlinked[truth]); unlinked[truth] = true
    :: else
    fi;
    truth = to;
    changes++;
    truth_at[changes] = to
}

/* dsq_migration_move of slot s; w, c, i: the process's own. */
inline move(s, w, c, i)
{
    w = old[s];
    /* EMPTY -> CLOSED */
    do
    :: w == EMPTY ->
        atomic {
            if
            :: old[s] == EMPTY -> old[s] = CLOSED; w = CLOSED
            :: else -> w = old[s]
            fi
        }
    :: else -> break
    od;
#ifndef WITHOUT_FREEZE
    do
    :: is_live(w) ->
        atomic {
            if
            :: old[s] == w -> old[s] = w + FROZEN; w = w + FROZEN
            :: else -> w = old[s]
            fi
        }
    :: else -> break
    od;
#endif
    if
    :: is_frozen(w) || is_live(w) ->
        copy(s, w, c, i);
        atomic {
            if
            :: old[s] == w -> old[s] = MOVED
#ifdef WITHOUT_FREEZE
            :: is_live(old[s]) && old[s] != w -> old[s] = MOVED
#endif
            :: else
            fi
        }
    :: else
    fi
}

/* copy() of a frozen word; record w % 10 */
inline copy(s, w, c, i)
{
    i = 0;
    do
    :: i < NEW ->
        c = new[i];
        if
        :: c == EMPTY ->
            atomic {
                if
                :: new[i] == EMPTY -> new[i] = w % 10; i = NEW + 1
                :: else -> c = new[i]
                fi
            }
        :: else
        fi;
        if
        :: i == NEW + 1 -> break
        :: else
        fi;
        if
#ifndef WITHOUT_COPY_ONCE
        :: is_live(c) -> break
#else
        :: is_live(c) -> i++
#endif
        :: c == REMOVED ->
#ifndef WITHOUT_SECOND_LOOK
            if
            :: old[s] != w -> break
            :: else -> i++
            fi
#else
            i++
#endif
        :: else -> skip
        fi
    :: i == NEW -> assert(false); break /* S6: there is room */
    od
}

/* The publication of record r in a slot that held `expected`. */
inline publish(slot, expected, r, ok)
{
    atomic {
        if
        :: slot == expected -> slot = r; change(r); ok = true
        :: else -> ok = false
        fi
    }
}

proctype helper()
{
    byte s = 0, w, c, i;
#ifndef WITHOUT_NEXT_FIRST
    has_next; /* it comes after dsq_migration_start */
#endif
    do
    :: s < OLD -> move(s, w, c, i); s++
    :: else -> break
    od;
#ifdef WITHOUT_NEXT_FIRST
    has_next = true;
#endif
    promoted = true;
    finished++
}

proctype starter()
{
    byte s;
#ifndef WITHOUT_NEXT_FIRST
    has_next = true;
#endif
#ifdef WITHOUT_DONE
    has_next = true;
    promoted = true;
#endif
    finished++
}

/* dsq_tier_put: locate, publish, until it works.  r == 0: removes the key, as the evictor does. */
proctype changer(byte r)
{
    byte s, w, c, i, t;
    bool ok, forward;
again:
    s = 0;
    ok = false;
    forward = promoted;
    do
    :: s < OLD && !forward ->
        w = old[s];
        if
        :: w == EMPTY && !has_next ->
            if
            :: r == 0 -> goto done /* nothing to remove */
            :: else -> publish(old[s], EMPTY, r, ok)
            fi;
            if
            :: ok -> goto done
            :: else -> goto again
            fi
        :: w == EMPTY && has_next ->
#ifndef WITHOUT_CLOSE
            atomic {
                if
                :: old[s] == EMPTY -> old[s] = CLOSED; forward = true
                :: else
                fi
            }
#else
            forward = true
#endif
        :: w == CLOSED -> forward = true
        :: is_live(w) || is_frozen(w) ->
            if
            :: has_next ->
#ifdef WITHOUT_FINISH
                if
                :: is_frozen(w)
                :: else -> move(s, w, c, i)
                fi;
#else
                move(s, w, c, i);
#endif
#ifndef WITHOUT_GOING_ON
                if
                :: old[s] == REMOVED -> s++
                :: else -> forward = true
                fi
#else
                forward = true
#endif
            :: else ->
                if
                :: r == 0 ->
                    atomic {
                        if
                        :: old[s] == w -> old[s] = REMOVED; change(0); ok = true
                        :: else
                        fi
                    }
                :: else -> publish(old[s], w, r, ok)
                fi;
                if
                :: ok -> goto done
                :: else -> goto again
                fi
            fi
        :: w == MOVED || w == REMOVED -> s++
        fi
    :: else -> break
    od;
    /* In `next`: its own `next` does not come before it is the root (S2). */
    t = 0;
    do
    :: t < NEW ->
        w = new[t];
        if
        :: w == EMPTY ->
            if
            :: r == 0 -> goto done
            :: else -> publish(new[t], EMPTY, r, ok)
            fi;
            if
            :: ok -> goto done
            :: else -> goto again
            fi
        :: is_live(w) ->
            if
            :: r == 0 ->
                atomic {
                    if
                    :: new[t] == w -> new[t] = REMOVED; change(0); ok = true
                    :: else
                    fi
                }
            :: else -> publish(new[t], w, r, ok)
            fi;
            if
            :: ok -> goto done
            :: else -> goto again
            fi
        :: else -> t++
        fi
    :: t == NEW -> assert(false); break
    od;
done:
    finished++
}

/* dsq_table_find: returns what it found; it must have been the truth at some time since it began. */
proctype reader()
{
    byte s, w, t, from, got;
    bool allowed;
    d_step { from = changes; got = 0; s = 0 };
    if
    :: !promoted ->
        do
        :: s < OLD ->
            w = old[s];
            if
            :: is_live(w) || is_frozen(w) -> got = w % 10; goto judge
            :: w == CLOSED -> break
            :: w == EMPTY ->
                if
                :: has_next -> break
                :: else -> goto judge
                fi
            :: else -> s++
            fi
        :: s == OLD -> break
        od
    :: else
    fi;
    t = 0;
    do
    :: t < NEW ->
        w = new[t];
        if
        :: is_live(w) -> got = w; goto judge
        :: w == EMPTY -> goto judge
        :: else -> t++
        fi
    :: t == NEW -> break
    od;
judge:
    atomic {
        allowed = false;
        do
        :: from <= changes ->
            if
            :: truth_at[from] == got -> allowed = true
            :: else
            fi;
            from++
        :: else -> break
        od;
        assert(allowed);
        finished++
    }
}

/* When all is over the key's probe leads to the truth, and to one slot of each generation (S1). */
proctype judge()
{
    byte s, n, found;
    finished == 6;
    s = 0; n = 0; found = 0;
    do
    :: s < OLD ->
        if
        :: is_live(old[s]) || is_frozen(old[s]) -> n++; found = old[s] % 10
        :: else
        fi;
        s++
    :: else -> break
    od;
    assert(n <= 1);
    n = 0; s = 0;
    do
    :: s < NEW ->
        if
        :: is_live(new[s]) -> n++; found = new[s]
        :: else
        fi;
        s++
    :: else -> break
    od;
    assert(n <= 1);
    assert(found == truth)
}

init
{
    atomic {
#ifndef STARTS_ABSENT
        old[0] = 1;
        truth = 1;
        truth_at[0] = 1;
#endif
        run starter();
        run helper();
        run changer(2);
#ifdef THREE_CHANGERS
        run changer(3);
        run changer(0);
        finished++; /* no reader: too many states */
#elif defined(TWO_WRITERS)
        run helper();
        run changer(3);
#else
        run helper();
        run changer(0);
#endif
#ifndef THREE_CHANGERS
        run reader();
#endif
        run judge()
    }
}
