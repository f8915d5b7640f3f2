#include "stress/whole_map.h"

#include <string.h>

#include <criterion/criterion.h>

#include "stress/linearizability.h"

/* Wrong answers of every kind, beside the right ones, for one key and for the whole. */

#define KEY 1
#define KEYS 3

static const struct linearizability_search strict = {.budget = LINEARIZABILITY_BUDGET};
static const struct history_value one = {HISTORY_INTEGER, 1};
static const struct history_value two = {HISTORY_INTEGER, 2};
static const struct history_value nothing = {HISTORY_NONE, 0};

/* Key 1 gets 1 at 10..11, 2 at 30..31, and is deleted at 50..51. */
static const struct history_operation life[] = {
    {.op = HISTORY_PUT, .key = KEY, .call = 10, .back = 11, .input = {HISTORY_INTEGER, 1}},
    {.op = HISTORY_PUT, .key = KEY, .call = 30, .back = 31, .input = {HISTORY_INTEGER, 2}},
    {.op = HISTORY_DELETE, .key = KEY, .call = 50, .back = 51, .done = true},
};
#define LIFE (sizeof life / sizeof life[0])

/* Whether a walk (or a flush and a look at the file) may have seen a value of the key. */
static bool may_see(uint64_t call, uint64_t back, struct history_value value)
{
    struct history_value seen[KEYS] = {{HISTORY_NONE, 0}};
    struct whole_operation walk = {.kind = WHOLE_WALK, .call = call, .back = back, .seen = seen};
    struct history_operation operations[LIFE + 1];
    memcpy(operations, life, sizeof life);
    if (value.kind != HISTORY_NONE) {
        cr_assert(whole_note(&walk, KEY, value));
    }
    operations[LIFE] = whole_as_get(&walk, KEY);
    return linearizability_check(operations, LIFE + 1, &strict) == LINEARIZABLE;
}

Test(whole_map, a_walk_sees_a_key_that_is_there_throughout)
{
    cr_assert(may_see(15, 25, one));
    cr_assert_not(may_see(15, 25, nothing));
}

Test(whole_map, a_walk_sees_a_value_that_the_key_has_meanwhile)
{
    cr_assert(may_see(15, 40, one));
    cr_assert(may_see(15, 40, two));
    cr_assert_not(may_see(35, 40, one));
    cr_assert_not(may_see(15, 25, two));
    cr_assert_not(may_see(15, 40, nothing));
}

Test(whole_map, a_walk_may_miss_what_comes_or_goes_meanwhile)
{
    cr_assert(may_see(5, 15, nothing));
    cr_assert(may_see(5, 15, one));
    cr_assert(may_see(45, 60, nothing));
    cr_assert(may_see(45, 60, two));
}

Test(whole_map, a_walk_does_not_see_what_is_absent_throughout)
{
    cr_assert_not(may_see(55, 60, two));
    cr_assert_not(may_see(0, 5, one));
    cr_assert(may_see(55, 60, nothing));
}

Test(whole_map, a_key_seen_twice_is_noted)
{
    struct history_value seen[KEYS] = {{HISTORY_NONE, 0}};
    struct whole_operation walk = {.kind = WHOLE_WALK, .seen = seen};
    cr_assert(whole_note(&walk, KEY, one));
    cr_assert(whole_note(&walk, KEY + 1, one));
    cr_assert_not(whole_note(&walk, KEY, one));
}

static struct whole_operation length_of(const struct history_operation *operations, size_t count,
                                        uint64_t call, uint64_t back)
{
    struct whole_operation length = {.kind = WHOLE_LENGTH, .call = call, .back = back};
    whole_range_add(&length, operations, count);
    return length;
}

static void expect_length(const struct history_operation *operations, size_t count, uint64_t call,
                          uint64_t back, uint64_t low, uint64_t high)
{
    struct whole_operation length = length_of(operations, count, call, back);
    cr_assert_eq(length.low, low, "from %lu to %lu", (unsigned long)call, (unsigned long)back);
    cr_assert_eq(length.high, high, "from %lu to %lu", (unsigned long)call, (unsigned long)back);
}

Test(whole_map, a_length_is_exact_when_nothing_is_concurrent)
{
    expect_length(life, 0, 0, 5, 0, 0);
    expect_length(life, LIFE, 0, 5, 0, 0);
    expect_length(life, LIFE, 15, 25, 1, 1);
    expect_length(life, LIFE, 35, 45, 1, 1);
    expect_length(life, LIFE, 55, 60, 0, 0);
}

Test(whole_map, a_length_may_count_a_write_that_is_under_way)
{
    expect_length(life, LIFE, 5, 15, 0, 1);
    expect_length(life, LIFE, 10, 11, 0, 1);
    expect_length(life, LIFE, 25, 35, 1, 1);
    expect_length(life, LIFE, 45, 50, 0, 1);
    expect_length(life, LIFE, 0, 100, 0, 1);
}

Test(whole_map, a_length_adds_up_what_each_key_adds)
{
    struct whole_operation length = length_of(life, LIFE, 15, 25);
    whole_range_add(&length, life, LIFE);
    whole_range_add(&length, life, 0);
    cr_assert_eq(length.low, 2);
    cr_assert_eq(length.high, 2);
}

Test(whole_map, of_overlapping_writes_either_may_be_the_last_that_a_length_counts)
{
    const struct history_operation operations[] = {
        {.op = HISTORY_PUT, .call = 10, .back = 20, .input = {HISTORY_INTEGER, 1}},
        {.op = HISTORY_POP, .call = 15, .back = 25, .output = {HISTORY_INTEGER, 1}},
        {.op = HISTORY_INCR, .call = 40, .back = 41, .output = {HISTORY_INTEGER, 1}},
    };
    expect_length(operations, 3, 30, 35, 0, 1);
    expect_length(operations, 3, 45, 46, 1, 1);
}

Test(whole_map, an_operation_that_changed_nothing_does_not_count)
{
    const struct history_operation operations[] = {
        {.op = HISTORY_ADD, .call = 10, .back = 11, .input = {HISTORY_INTEGER, 1}, .done = true},
        {.op = HISTORY_ADD, .call = 20, .back = 21, .input = {HISTORY_INTEGER, 2}},
        {.op = HISTORY_DELETE, .call = 22, .back = 23},
        {.op = HISTORY_POP, .call = 24, .back = 25},
        {.op = HISTORY_CAS, .call = 26, .back = 27, .input = {HISTORY_INTEGER, 2}},
        {.op = HISTORY_GET, .call = 28, .back = 29},
    };
    expect_length(operations, 6, 20, 30, 1, 1);
    expect_length(operations + 1, 5, 20, 30, 0, 0);
}

Test(whole_map, a_write_of_unknown_outcome_may_count_at_any_later_time_or_never)
{
    const struct history_operation operations[] = {
        {.op = HISTORY_PUT, .call = 10, .back = 11, .input = {HISTORY_INTEGER, 1}},
        {.op = HISTORY_DELETE, .call = 20, .back = UINT64_MAX, .outcome = HISTORY_UNKNOWN},
    };
    expect_length(operations, 2, 15, 18, 1, 1);
    expect_length(operations, 2, 30, 40, 0, 1);
    expect_length(operations + 1, 1, 30, 40, 0, 0);
}

Test(whole_map, a_write_that_certainly_failed_does_not_count)
{
    const struct history_operation operations[] = {
        {.op = HISTORY_PUT, .call = 10, .back = 11, .input = {HISTORY_INTEGER, 1}},
        {.op = HISTORY_DELETE, .call = 20, .back = 21, .outcome = HISTORY_FAIL},
    };
    expect_length(operations, 2, 30, 40, 1, 1);
    expect_length(operations + 1, 1, 30, 40, 0, 0);
}
