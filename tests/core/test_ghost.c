#include "core/ghost.h"

#include <criterion/criterion.h>

#include "core/status.h"

TestSuite(ghost, .timeout = 60);

Test(ghost, what_was_noted_is_known_until_a_later_one_takes_its_entry)
{
    const uint64_t first = UINT64_C(0x1234567800000005);
    const uint64_t second = UINT64_C(0x9abcdef000000015);
    struct dsq_ghost ghost;
    cr_assert_eq(dsq_ghost_init(&ghost, 10), DSQ_OK);
    cr_assert_eq(ghost.mask, 15);
    cr_assert_not(dsq_ghost_knows(&ghost, first));
    dsq_ghost_note(&ghost, first);
    cr_assert(dsq_ghost_knows(&ghost, first));
    cr_assert_not(dsq_ghost_knows(&ghost, second), "the same entry, another key");
    dsq_ghost_note(&ghost, second);
    cr_assert(dsq_ghost_knows(&ghost, second));
    cr_assert_not(dsq_ghost_knows(&ghost, first));
    dsq_ghost_fini(&ghost);
}

Test(ghost, an_entry_never_used_knows_no_key_not_even_one_whose_high_bits_are_0)
{
    struct dsq_ghost ghost;
    cr_assert_eq(dsq_ghost_init(&ghost, 1), DSQ_OK);
    cr_assert_not(dsq_ghost_knows(&ghost, 0));
    dsq_ghost_note(&ghost, 0);
    cr_assert(dsq_ghost_knows(&ghost, 0));
    dsq_ghost_fini(&ghost);
}

Test(ghost, its_size_is_bounded_however_many_records_there_may_be)
{
    struct dsq_ghost ghost;
    cr_assert_eq(dsq_ghost_init(&ghost, UINT64_MAX), DSQ_OK);
    cr_assert_leq((ghost.mask + 1) * sizeof *ghost.fingerprints, UINT64_C(16) << 20);
    dsq_ghost_fini(&ghost);
}

Test(ghost, without_an_array_it_remembers_nothing)
{
    struct dsq_ghost ghost = {0};
    dsq_ghost_note(&ghost, 7);
    cr_assert_not(dsq_ghost_knows(&ghost, 7));
    dsq_ghost_fini(&ghost);
}
