/*
 * Histories: what each thread asked of a map, what it got, and when.
 *
 * In a file, JSON Lines, one operation a line:
 *
 *     {"process":0,"op":"put","key":"k1","input":"v1","output":null,"call":123,"return":456}
 *
 *     op       input          output of an operation that took place
 *     get      null           the value, null: absent
 *     put      the value      null
 *     delete   null           whether the key was there
 *     pop      null           the value, null: absent
 *     add      the value      whether it was stored, since the key was absent
 *     cas      [old, new]     whether new was stored, since the value was old
 *     incr     the addend     the sum, which is the new value (an absent key counts as 0)
 *
 * Values are strings or integers; a string that spells an integer is that integer.  Keys start
 * absent.  call and return are nanoseconds of one clock.  "outcome" (may be missing: ok) is ok, fail
 * (the operation certainly did not take place) or unknown (killed, timed out: it may take place at
 * any later time, or never; return is null, output is ignored, and the process number is not used
 * again).
 */
#ifndef DSQ_STRESS_HISTORY_H
#define DSQ_STRESS_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum history_op {
    HISTORY_GET,
    HISTORY_PUT,
    HISTORY_DELETE,
    HISTORY_POP,
    HISTORY_ADD,
    HISTORY_CAS,
    HISTORY_INCR,
    HISTORY_OP_COUNT
};

enum history_outcome { HISTORY_OK, HISTORY_FAIL, HISTORY_UNKNOWN };

/* A value as the checker sees it: nothing, an integer, or a text by its number in a history. */
struct history_value {
    enum { HISTORY_NONE, HISTORY_INTEGER, HISTORY_TEXT } kind;
    int64_t number;
};

struct history_operation {
    uint64_t call;
    uint64_t back; /* when it returned; UINT64_MAX if unknown */
    struct history_value input;
    struct history_value expected; /* of cas */
    struct history_value output;   /* of get, pop, incr */
    bool done;                     /* output of delete, add, cas */
    uint32_t process;
    uint32_t key; /* its number in the history */
    enum history_op op;
    enum history_outcome outcome;
};

struct history {
    struct history_operation *operations;
    size_t count;
    size_t capacity;
    char **keys; /* their names by number */
    size_t key_count;
    char **texts; /* values by number */
    size_t text_count;
};

static inline struct history_value history_integer(int64_t number)
{
    return (struct history_value){HISTORY_INTEGER, number};
}

static inline bool history_value_equal(struct history_value a, struct history_value b)
{
    return a.kind == b.kind && (a.kind == HISTORY_NONE || a.number == b.number);
}

const char *history_op_name(enum history_op op);

/* False if memory runs out. */
bool history_append(struct history *history, const struct history_operation *operation);

/*
 * Reads a whole file.  On a line that is none of the above: false, with a message that names the
 * line and what is wrong with it, and what was read so far.
 */
bool history_read(FILE *file, struct history *history, char *message, size_t message_size);

/* Writes one operation as a line.  key_name: what the file calls its key. */
void history_write(FILE *file, const struct history *history,
                   const struct history_operation *operation, const char *key_name);

/* A value as it stands in a file, into text. */
void history_value_print(const struct history *history, struct history_value value, char *text,
                         size_t size);

void history_free(struct history *history);

#endif
