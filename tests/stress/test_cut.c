#include "stress/cut.h"

#include <stdlib.h>

#include <criterion/criterion.h>

#include "stress/linearizability.h"

/* What may and may not be found after the death of a process. */

#define A 0
#define B 1
#define KEYS 2
#define KILLED 100

static const struct linearizability_search strict = {.budget = LINEARIZABILITY_BUDGET};

static struct history_operation put(uint32_t key, int64_t value, uint64_t call, uint64_t back)
{
    return (struct history_operation){
        .op = HISTORY_PUT, .key = key, .call = call, .back = back, .input = history_integer(value)};
}

/* 0: absent. */
static struct history_value value_of(int64_t number)
{
    return number != 0 ? history_integer(number) : (struct history_value){HISTORY_NONE, 0};
}

/* Before the life A is 9 and B is absent; it does these; then this is found. */
static bool may_find(const struct history_operation *operations, size_t count, uint64_t flushed,
                     int64_t a, int64_t b)
{
    struct history_value before[KEYS] = {value_of(9), value_of(0)};
    struct history_value after[KEYS] = {value_of(a), value_of(b)};
    struct cut_life life = {
        .history = {.operations = (struct history_operation *)operations, .count = count},
        .before = before,
        .keys = KEYS,
        .flushed = flushed,
        .killed = KILLED,
    };
    uint64_t horizon = cut_horizon(&life, after);
    bool good = true;
    for (uint32_t key = 0; key < KEYS; key++) {
        struct history gathered = {0};
        cr_assert(cut_gather(&life, key, after[key], horizon, &gathered));
        good &= linearizability_check(gathered.operations, gathered.count, &strict) == LINEARIZABLE;
        free(gathered.operations);
    }
    return good;
}

Test(cut, a_life_that_did_nothing_changes_nothing)
{
    cr_assert(may_find(NULL, 0, 0, 9, 0));
    cr_assert_not(may_find(NULL, 0, 0, 0, 0));
    cr_assert_not(may_find(NULL, 0, 0, 9, 1));
}

Test(cut, the_end_may_be_lost)
{
    const struct history_operation operations[] = {put(A, 1, 10, 11), put(A, 2, 20, 21)};
    cr_assert(may_find(operations, 2, 0, 2, 0));
    cr_assert(may_find(operations, 2, 0, 1, 0));
    cr_assert(may_find(operations, 2, 0, 9, 0));
    cr_assert_not(may_find(operations, 2, 0, 0, 0));
    cr_assert_not(may_find(operations, 2, 0, 3, 0));
}

Test(cut, what_was_flushed_is_not_lost)
{
    const struct history_operation operations[] = {put(A, 1, 10, 11), put(A, 2, 20, 21)};
    cr_assert_not(may_find(operations, 2, 15, 9, 0));
    cr_assert(may_find(operations, 2, 15, 1, 0));
    cr_assert_not(may_find(operations, 2, 25, 1, 0));
    cr_assert(may_find(operations, 2, 25, 2, 0));
}

Test(cut, a_write_is_not_found_without_what_had_returned_before_it_began)
{
    const struct history_operation operations[] = {put(A, 1, 10, 11), put(B, 2, 20, 21)};
    cr_assert_not(may_find(operations, 2, 0, 9, 2));
    cr_assert(may_find(operations, 2, 0, 1, 2));
    cr_assert(may_find(operations, 2, 0, 1, 0));
}

Test(cut, a_write_may_be_found_without_one_that_it_overlapped)
{
    const struct history_operation operations[] = {put(A, 1, 10, 30), put(B, 2, 20, 40)};
    cr_assert(may_find(operations, 2, 0, 9, 2));
    cr_assert(may_find(operations, 2, 0, 1, 0));
}

Test(cut, a_write_is_not_found_without_one_that_its_writer_had_read)
{
    const struct history_operation operations[] = {
        put(A, 1, 10, 50),
        {.op = HISTORY_GET, .key = A, .call = 12, .back = 13, .output = {HISTORY_INTEGER, 1}},
        put(B, 2, 20, 21)};
    cr_assert_not(may_find(operations, 3, 0, 9, 2));
    cr_assert(may_find(operations, 3, 0, 1, 2));
}

Test(cut, a_delete_that_was_flushed_is_not_undone)
{
    const struct history_operation operations[] = {
        {.op = HISTORY_DELETE, .key = A, .call = 10, .back = 11, .done = true}};
    cr_assert_not(may_find(operations, 1, 20, 9, 0));
    cr_assert(may_find(operations, 1, 20, 0, 0));
    cr_assert(may_find(operations, 1, 0, 9, 0));
}

Test(cut, what_was_under_way_may_be_found_or_not)
{
    struct history_operation operations[] = {put(A, 1, 10, UINT64_MAX)};
    operations[0].outcome = HISTORY_UNKNOWN;
    cr_assert(may_find(operations, 1, 20, 1, 0));
    cr_assert(may_find(operations, 1, 20, 9, 0));
}

Test(cut, a_sum_that_was_found_keeps_what_had_returned_before_its_addition)
{
    const struct history_operation operations[] = {put(B, 5, 10, 11),
                                                   {.op = HISTORY_INCR,
                                                    .key = A,
                                                    .call = 20,
                                                    .back = 21,
                                                    .input = {HISTORY_INTEGER, 3},
                                                    .output = {HISTORY_INTEGER, 12}}};
    cr_assert_not(may_find(operations, 2, 0, 12, 0));
    cr_assert(may_find(operations, 2, 0, 12, 5));
}

Test(cut, of_two_writes_that_may_have_left_a_value_the_first_is_believed)
{
    struct history_operation operations[] = {{.op = HISTORY_INCR,
                                              .key = A,
                                              .call = 10,
                                              .back = UINT64_MAX,
                                              .outcome = HISTORY_UNKNOWN,
                                              .input = {HISTORY_INTEGER, 3}},
                                             put(B, 5, 20, 21),
                                             put(A, 12, 30, 31)};
    cr_assert(may_find(operations, 3, 0, 12, 0));
}
