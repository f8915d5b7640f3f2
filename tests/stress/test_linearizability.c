#include "stress/linearizability.h"

#include <criterion/criterion.h>

#include "stress/random.h"

/* The search beside a plain one: every order of every subset that real time and outcomes allow. */

#define OPERATIONS_MAX 6
#define ABSENT 0
#define HISTORIES 60000

static const struct linearizability_search strict = {.budget = LINEARIZABILITY_BUDGET};

/* What a key holds in the plain model: ABSENT, or a positive integer. */
static bool plain_apply(const struct history_operation *operation, int64_t *now)
{
    bool known = operation->outcome == HISTORY_OK;
    int64_t output = operation->output.kind == HISTORY_NONE ? ABSENT : operation->output.number;
    int64_t before = *now;
    switch (operation->op) {
    case HISTORY_GET:
        return !known || output == before;
    case HISTORY_PUT:
        *now = operation->input.number;
        return true;
    case HISTORY_DELETE:
        *now = ABSENT;
        return !known || operation->done == (before != ABSENT);
    case HISTORY_POP:
        *now = ABSENT;
        return !known || output == before;
    case HISTORY_ADD:
        *now = before == ABSENT ? operation->input.number : before;
        return !known || operation->done == (before == ABSENT);
    case HISTORY_CAS:
        *now = before == operation->expected.number ? operation->input.number : before;
        return !known || operation->done == (before == operation->expected.number);
    case HISTORY_INCR:
        *now = before + operation->input.number;
        return !known || output == *now;
    case HISTORY_OP_COUNT:
        break;
    }
    return false;
}

/* Whether the operations not yet in `ordered` can follow in a state. */
static bool plain_search(const struct history_operation *operations, size_t count, unsigned ordered,
                         int64_t now)
{
    bool finished = true;
    for (size_t i = 0; i < count; i++) {
        finished &= (ordered & 1U << i) != 0 || operations[i].outcome != HISTORY_OK;
    }
    if (finished) {
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        bool allowed = (ordered & 1U << i) == 0 && operations[i].outcome != HISTORY_FAIL;
        for (size_t j = 0; j < count; j++) {
            allowed &= (ordered & 1U << j) != 0 || operations[j].outcome != HISTORY_OK ||
                       operations[j].back >= operations[i].call;
        }
        int64_t after = now;
        if (allowed && plain_apply(&operations[i], &after) &&
            plain_search(operations, count, ordered | 1U << i, after)) {
            return true;
        }
    }
    return false;
}

static struct history_operation draw(struct stress_random *random)
{
    struct history_operation operation = {
        .call = stress_random_below(random, 12),
        .op = (enum history_op)stress_random_below(random, HISTORY_OP_COUNT),
        .input = history_integer(1 + (int64_t)stress_random_below(random, 3)),
        .expected = history_integer(1 + (int64_t)stress_random_below(random, 3)),
        .done = stress_random_below(random, 2) == 1,
    };
    uint64_t outcome = stress_random_below(random, 12);
    operation.outcome = outcome == 0 ? HISTORY_UNKNOWN : outcome == 1 ? HISTORY_FAIL : HISTORY_OK;
    operation.back = operation.outcome == HISTORY_UNKNOWN
                         ? UINT64_MAX
                         : operation.call + stress_random_below(random, 6);
    if (operation.op == HISTORY_INCR || stress_random_below(random, 3) > 0) {
        operation.output = history_integer(1 + (int64_t)stress_random_below(random, 4));
    }
    return operation;
}

Test(linearizability, agrees_with_a_search_of_all_orders)
{
    struct stress_random random = {.state = 42};
    unsigned linearizable = 0;
    for (unsigned i = 0; i < HISTORIES; i++) {
        struct history_operation operations[OPERATIONS_MAX];
        size_t count = 1 + stress_random_below(&random, OPERATIONS_MAX);
        for (size_t j = 0; j < count; j++) {
            operations[j] = draw(&random);
        }
        bool expected = plain_search(operations, count, 0, ABSENT);
        enum linearizability found = linearizability_check(operations, count, &strict);
        cr_assert_eq(found, expected ? LINEARIZABLE : NOT_LINEARIZABLE, "history %u of %zu", i,
                     count);
        linearizable += expected;
    }
    cr_assert_gt(linearizable, HISTORIES / 10);
    cr_assert_lt(linearizable, HISTORIES - HISTORIES / 10);
}

Test(linearizability, an_explanation_is_a_violation_by_itself)
{
    struct stress_random random = {.state = 7};
    unsigned explained = 0;
    for (unsigned i = 0; i < HISTORIES / 10; i++) {
        struct history_operation operations[OPERATIONS_MAX];
        struct linearizability_window window;
        for (size_t j = 0; j < OPERATIONS_MAX; j++) {
            operations[j] = draw(&random);
        }
        if (linearizability_check(operations, OPERATIONS_MAX, &strict) != NOT_LINEARIZABLE) {
            continue;
        }
        cr_assert(linearizability_explain(operations, OPERATIONS_MAX, &strict, &window));
        cr_assert_gt(window.count, 0);
        cr_assert_leq(window.count + window.unconstrained, OPERATIONS_MAX);
        if (window.unconstrained == 0) {
            cr_assert_eq(linearizability_check(window.operations, window.count, &strict),
                         NOT_LINEARIZABLE);
            explained++;
        }
        free(window.operations);
    }
    cr_assert_gt(explained, 100);
}

/* A put, and a get that finds nothing after it. */
static const struct history_operation vanished[] = {
    {.op = HISTORY_PUT, .call = 0, .back = 1, .input = {HISTORY_INTEGER, 5}},
    {.op = HISTORY_GET, .call = 2, .back = 3},
};

Test(linearizability, a_key_of_a_cache_may_vanish)
{
    struct linearizability_search cache = {LINEARIZABILITY_BUDGET, true};
    cr_assert_eq(linearizability_check(vanished, 2, &cache), LINEARIZABLE);
    cr_assert_eq(linearizability_check(vanished, 2, &strict), NOT_LINEARIZABLE);
}

Test(linearizability, a_key_that_vanished_does_not_come_back)
{
    struct linearizability_search cache = {LINEARIZABILITY_BUDGET, true};
    struct history_operation operations[3] = {vanished[0], vanished[1]};
    operations[2] = (struct history_operation){
        .op = HISTORY_GET, .call = 4, .back = 5, .output = {HISTORY_INTEGER, 5}};
    cr_assert_eq(linearizability_check(operations, 3, &cache), NOT_LINEARIZABLE);
}

Test(linearizability, gives_up_when_its_budget_is_spent)
{
    struct history_operation operations[40];
    for (size_t i = 0; i < 40; i++) {
        operations[i] = (struct history_operation){
            .op = HISTORY_PUT, .call = 0, .back = 100, .input = history_integer((int64_t)i)};
    }
    operations[0].op = HISTORY_GET;
    operations[0].output = history_integer(1000);
    struct linearizability_search poor = {.budget = 1000};
    cr_assert_eq(linearizability_check(operations, 40, &poor), UNDECIDED);
}
