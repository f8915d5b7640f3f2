/*
 * Operations on the whole map, judged key by key with the operations on single keys.
 *
 * A walk promises that a key which is there throughout appears exactly once, with a value that it
 * has meanwhile, and that a key which is absent throughout does not appear.  For each key that is
 * just a get that began with the walk and returned with it, and got the value seen, or absence: so
 * walks become gets in the histories of all keys, and the search judges them.  That a key appears
 * only once is checked when it appears.
 *
 * A flush promises that all that was acknowledged before is in the file.  What the file holds at a
 * moment after it, of each key, is what the key had at some moment since the flush began, and is not
 * older: again a get, from the call of the flush to the end of the look at the file.
 *
 * A length counts every write that returned before it and none that began after it.  Which of the
 * others it counts is open for each key by itself, so it lies between the number of keys that cannot
 * have been absent and the number of keys that can have been present.
 */
#ifndef DSQ_STRESS_WHOLE_MAP_H
#define DSQ_STRESS_WHOLE_MAP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stress/history.h"

enum whole_kind { WHOLE_LENGTH, WHOLE_WALK, WHOLE_FLUSH, WHOLE_KIND_COUNT };

struct whole_operation {
    enum whole_kind kind;
    uint32_t process;
    uint64_t call;
    uint64_t back;
    uint64_t length; /* what it returned */
    _Atomic uint64_t low;
    _Atomic uint64_t high;      /* what it may have returned */
    struct history_value *seen; /* by key, of a walk or a flush; none: it did not appear */
};

const char *whole_kind_name(enum whole_kind kind);

/* Notes that a key appeared; false if it had appeared before. */
bool whole_note(struct whole_operation *whole, uint32_t key, struct history_value value);

/* A walk or a flush as the get that it is for one key. */
struct history_operation whole_as_get(const struct whole_operation *whole, uint32_t key);

/*
 * Adds to low and high of a length what one key, absent at first, adds to them: from its operations,
 * in any order.  Safe in several threads at once for different keys.
 */
void whole_range_add(struct whole_operation *length, const struct history_operation *operations,
                     size_t count);

#endif
