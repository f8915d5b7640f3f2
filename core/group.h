/*
 * Comparing the tags of a group of eight slot words at once (core/table_internal.h).
 *
 * The result is a hint: a word that is said to match is loaded again, atomically and with its
 * ordering; one that is not said to match did not carry the tag at some moment of the call.  That is
 * all that a look-up needs, and all that vector loads, which are not atomic as a whole but are for
 * each aligned word on the machines they exist on, give.  C11 has no such access, so
 * ThreadSanitizer sees the portable form.
 *
 * The forms: SSE2 (every x86-64), AVX2 (if the compiler may use it throughout: -mavx2 or
 * -march=...), NEON (every AArch64), portable.  docs/decisions/0003-group-probing.md has what each
 * brings.
 */
#ifndef DSQ_CORE_GROUP_H
#define DSQ_CORE_GROUP_H

#include <stdint.h>

#include "core/atomic.h"

#define DSQ_GROUP_SLOTS 8
/* The tag's bits in a word; the words of a group lie in one cache line. */
#define DSQ_TAG_SHIFT 48

/*
 * Each form of match: bit i is set if the high 16 bits of group[i] are those of tag.  Of candidates:
 * if they are those of tag, or 0, as in a word that holds no record; both told from one load of the
 * word, so that one which was without a record and is not said to be a candidate does not exist.
 */

static inline unsigned dsq_group_match_portable(const _Atomic uint64_t *group, uint64_t tag)
{
    unsigned matches = 0;

    /* Without a branch: where in a group a key lies cannot be predicted.  Relaxed: see above. */
    for (unsigned i = 0; i < DSQ_GROUP_SLOTS; i++) {
        matches |= (unsigned)(((dsq_load_relaxed(&group[i]) ^ tag) >> DSQ_TAG_SHIFT) == 0) << i;
    }
    return matches;
}

static inline unsigned dsq_group_candidates_portable(const _Atomic uint64_t *group, uint64_t tag)
{
    unsigned candidates = 0;

    for (unsigned i = 0; i < DSQ_GROUP_SLOTS; i++) {
        uint64_t word = dsq_load_relaxed(&group[i]);

        candidates |=
            (unsigned)(((word ^ tag) >> DSQ_TAG_SHIFT) == 0 || (word >> DSQ_TAG_SHIFT) == 0) << i;
    }
    return candidates;
}

#if defined(__SSE2__)
#include <emmintrin.h>

/* The high halves of four words, in order. */
static inline __m128i dsq_group_high_halves(const __m128i *words)
{
    __m128 low = _mm_castsi128_ps(_mm_load_si128(words));
    __m128 high = _mm_castsi128_ps(_mm_load_si128(words + 1));

    return _mm_castps_si128(_mm_shuffle_ps(low, high, _MM_SHUFFLE(3, 1, 3, 1)));
}

static inline __m128i dsq_group_tags_sse2(const _Atomic uint64_t *group)
{
    const __m128i *words = (const __m128i *)(const void *)group;

    /* Arithmetic, so that packing with saturation keeps the sixteen bits as they are. */
    return _mm_packs_epi32(_mm_srai_epi32(dsq_group_high_halves(words), 16),
                           _mm_srai_epi32(dsq_group_high_halves(words + 2), 16));
}

/* The bits of the lanes that are set. */
static inline unsigned dsq_group_lanes_sse2(__m128i lanes)
{
    return (unsigned)_mm_movemask_epi8(_mm_packs_epi16(lanes, _mm_setzero_si128()));
}

static inline unsigned dsq_group_match_sse2(const _Atomic uint64_t *group, uint64_t tag)
{
    __m128i wanted = _mm_set1_epi16((short)(tag >> DSQ_TAG_SHIFT));

    return dsq_group_lanes_sse2(_mm_cmpeq_epi16(dsq_group_tags_sse2(group), wanted));
}

static inline unsigned dsq_group_candidates_sse2(const _Atomic uint64_t *group, uint64_t tag)
{
    __m128i tags = dsq_group_tags_sse2(group);
    __m128i equal = _mm_cmpeq_epi16(tags, _mm_set1_epi16((short)(tag >> DSQ_TAG_SHIFT)));

    return dsq_group_lanes_sse2(_mm_or_si128(equal, _mm_cmpeq_epi16(tags, _mm_setzero_si128())));
}
#endif

#if defined(__AVX2__)
#include <immintrin.h>

static inline unsigned dsq_group_match_avx2(const _Atomic uint64_t *group, uint64_t tag)
{
    const __m256i *words = (const __m256i *)(const void *)group;
    __m256i wanted = _mm256_set1_epi64x((long long)tag);
    /* The tag's bits cleared where they match: such a word is below 1 << DSQ_TAG_SHIFT. */
    __m256i low =
        _mm256_srli_epi64(_mm256_xor_si256(_mm256_load_si256(words), wanted), DSQ_TAG_SHIFT);
    __m256i high =
        _mm256_srli_epi64(_mm256_xor_si256(_mm256_load_si256(words + 1), wanted), DSQ_TAG_SHIFT);
    __m256i zero = _mm256_setzero_si256();
    unsigned first =
        (unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpeq_epi64(low, zero)));
    unsigned second =
        (unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpeq_epi64(high, zero)));

    return first | second << 4;
}
#endif

#if defined(__ARM_NEON) && defined(__aarch64__)
#include <arm_neon.h>

/* The tags of two words. */
static inline uint32x2_t dsq_group_tags_of_two(const uint64_t *words)
{
    return vmovn_u64(vshrq_n_u64(vld1q_u64(words), DSQ_TAG_SHIFT));
}

static inline uint16x8_t dsq_group_tags_neon(const _Atomic uint64_t *group)
{
    const uint64_t *words = (const uint64_t *)(const void *)group;
    uint32x4_t low = vcombine_u32(dsq_group_tags_of_two(words), dsq_group_tags_of_two(words + 2));
    uint32x4_t high =
        vcombine_u32(dsq_group_tags_of_two(words + 4), dsq_group_tags_of_two(words + 6));

    return vcombine_u16(vmovn_u32(low), vmovn_u32(high));
}

/* The bits of the lanes that are set. */
static inline unsigned dsq_group_lanes_neon(uint16x8_t lanes)
{
    static const uint16_t bits[DSQ_GROUP_SLOTS] = {1, 2, 4, 8, 16, 32, 64, 128};

    return vaddvq_u16(vandq_u16(lanes, vld1q_u16(bits)));
}

static inline unsigned dsq_group_match_neon(const _Atomic uint64_t *group, uint64_t tag)
{
    uint16x8_t wanted = vdupq_n_u16((uint16_t)(tag >> DSQ_TAG_SHIFT));

    return dsq_group_lanes_neon(vceqq_u16(dsq_group_tags_neon(group), wanted));
}

static inline unsigned dsq_group_candidates_neon(const _Atomic uint64_t *group, uint64_t tag)
{
    uint16x8_t tags = dsq_group_tags_neon(group);
    uint16x8_t equal = vceqq_u16(tags, vdupq_n_u16((uint16_t)(tag >> DSQ_TAG_SHIFT)));

    return dsq_group_lanes_neon(vorrq_u16(equal, vceqzq_u16(tags)));
}
#endif

static inline unsigned dsq_group_match(const _Atomic uint64_t *group, uint64_t tag)
{
#if defined(DSQ_THREAD_SANITIZER) || defined(DSQ_GROUP_PORTABLE)
    return dsq_group_match_portable(group, tag);
#elif defined(__AVX2__)
    return dsq_group_match_avx2(group, tag);
#elif defined(__SSE2__)
    return dsq_group_match_sse2(group, tag);
#elif defined(__ARM_NEON) && defined(__aarch64__)
    return dsq_group_match_neon(group, tag);
#else
    return dsq_group_match_portable(group, tag);
#endif
}

static inline unsigned dsq_group_candidates(const _Atomic uint64_t *group, uint64_t tag)
{
#if defined(DSQ_THREAD_SANITIZER) || defined(DSQ_GROUP_PORTABLE)
    return dsq_group_candidates_portable(group, tag);
#elif defined(__SSE2__)
    return dsq_group_candidates_sse2(group, tag);
#elif defined(__ARM_NEON) && defined(__aarch64__)
    return dsq_group_candidates_neon(group, tag);
#else
    return dsq_group_candidates_portable(group, tag);
#endif
}

#endif
