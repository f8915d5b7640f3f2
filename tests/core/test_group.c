/*
 * Every form of the comparison that this machine has, beside the portable one.  Also built by itself
 * for other machines, without Criterion: tests/core/cross_group.sh.
 */
#include "core/group.h"

#include <stddef.h>
#include <stdint.h>

#ifdef CROSS_GROUP
#include <stdio.h>
#include <stdlib.h>
#define Test(suite, name) static void suite##_##name(void)
#define cr_assert_eq(a, b, ...)                                                                    \
    do {                                                                                           \
        if ((a) != (b)) {                                                                          \
            printf("line %d: %s is not %s\n", __LINE__, #a, #b);                                   \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)
#else
#include <criterion/criterion.h>
#endif

#define GROUPS 100000

static _Atomic uint64_t group[DSQ_GROUP_SLOTS] __attribute__((aligned(64)));

/* Few different tags, so that none, one and several match; every kind of bits below. */
static uint64_t draw(void)
{
    static uint64_t state = 1;
    static const uint64_t tags[] = {0, 1, 0x7fff, 0x8000, 0xffff, 0xfffe, 0x0100, 0x00ff};

    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return tags[state >> 61] << DSQ_TAG_SHIFT | (state >> 8 & UINT64_C(0xffffffffffff));
}

static void check_candidates(uint64_t tag)
{
    unsigned expected = dsq_group_match_portable(group, tag) | dsq_group_match_portable(group, 0);

    cr_assert_eq(dsq_group_candidates_portable(group, tag), expected);
    cr_assert_eq(dsq_group_candidates(group, tag), expected);
#if defined(__SSE2__)
    cr_assert_eq(dsq_group_candidates_sse2(group, tag), expected);
#endif
#if defined(__ARM_NEON) && defined(__aarch64__)
    cr_assert_eq(dsq_group_candidates_neon(group, tag), expected);
#endif
}

static void check_forms(uint64_t tag)
{
    unsigned expected = dsq_group_match_portable(group, tag);

    check_candidates(tag);

    cr_assert_eq(dsq_group_match(group, tag), expected);
#if defined(__SSE2__)
    cr_assert_eq(dsq_group_match_sse2(group, tag), expected);
#endif
#if defined(__AVX2__)
    cr_assert_eq(dsq_group_match_avx2(group, tag), expected);
#endif
#if defined(__ARM_NEON) && defined(__aarch64__)
    cr_assert_eq(dsq_group_match_neon(group, tag), expected);
#endif
}

Test(group, the_portable_form_finds_the_tag_in_every_slot)
{
    for (unsigned i = 0; i < DSQ_GROUP_SLOTS; i++) {
        for (unsigned j = 0; j < DSQ_GROUP_SLOTS; j++) {
            atomic_store(&group[j], UINT64_C(0x1234) << DSQ_TAG_SHIFT | j);
        }
        atomic_store(&group[i], UINT64_C(0xabcd) << DSQ_TAG_SHIFT | UINT64_C(0xffffffffffff));
        cr_assert_eq(dsq_group_match_portable(group, UINT64_C(0xabcd) << DSQ_TAG_SHIFT), 1U << i);
        check_forms(UINT64_C(0xabcd) << DSQ_TAG_SHIFT);
    }
}

Test(group, every_form_agrees_with_the_portable_one)
{
    for (unsigned i = 0; i < GROUPS; i++) {
        for (unsigned j = 0; j < DSQ_GROUP_SLOTS; j++) {
            atomic_store(&group[j], draw());
        }
        /* A tag as word_tag makes it: nothing below it. */
        check_forms(draw() >> DSQ_TAG_SHIFT << DSQ_TAG_SHIFT);
    }
}

#ifdef CROSS_GROUP
int main(void)
{
    group_the_portable_form_finds_the_tag_in_every_slot();
    group_every_form_agrees_with_the_portable_one();
    printf("the forms agree\n");
    return 0;
}
#endif
