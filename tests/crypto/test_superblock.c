/* One copy of the superblock by itself; with keys: test_keyring.c. */
#include "crypto/superblock.h"

#include <sodium.h>

#include "tests/crypto/fixture.h"

#define FORMAT_AT 16
#define CIPHER_AT 20
#define PAGE_BYTES_AT 24
#define KDF_AT 28
#define COMPLETE_AT 128
#define CHECKSUM_AT 496

static struct dsq_error error;
static struct dsq_superblock sample;
static unsigned char bytes[DSQ_SUPERBLOCK_BYTES];

static void start(void)
{
    cr_assert_geq(sodium_init(), 0);
    sample.cipher = DSQ_SEAL_XCHACHA20POLY1305;
    sample.kdf_operations = 5;
    sample.kdf_memory = UINT64_C(0x12345678);
    count_up(sample.kdf_salt, sizeof sample.kdf_salt, 0x10);
    count_up(sample.wrap_nonce, sizeof sample.wrap_nonce, 0x30);
    count_up(sample.wrapped, sizeof sample.wrapped, 0x50);
    sample.complete = true;
    sample.sequence = UINT64_C(0x1122334455667788);
    count_up(sample.id, sizeof sample.id, 0x90);
    count_up(sample.mac, sizeof sample.mac, 0xb0);
    dsq_superblock_encode(&sample, bytes);
}

TestSuite(superblock, .init = start, .timeout = 60);

static int decode(const unsigned char *from, struct dsq_superblock *superblock)
{
    memset(superblock, 0, sizeof *superblock);
    return dsq_superblock_decode(from, superblock, &error);
}

/* As anybody can. */
static void make_whole(unsigned char *copy)
{
    crypto_generichash(copy + CHECKSUM_AT, DSQ_SUPERBLOCK_BYTES - CHECKSUM_AT, copy, CHECKSUM_AT,
                       NULL, 0);
}

static void cr_assert_same(const struct dsq_superblock *a, const struct dsq_superblock *b)
{
    cr_assert_eq(a->cipher, b->cipher);
    cr_assert_eq(a->kdf_operations, b->kdf_operations);
    cr_assert_eq(a->kdf_memory, b->kdf_memory);
    cr_assert_arr_eq(a->kdf_salt, b->kdf_salt, sizeof a->kdf_salt);
    cr_assert_arr_eq(a->wrap_nonce, b->wrap_nonce, sizeof a->wrap_nonce);
    cr_assert_arr_eq(a->wrapped, b->wrapped, sizeof a->wrapped);
    cr_assert_eq(a->complete, b->complete);
    cr_assert_eq(a->sequence, b->sequence);
    cr_assert_arr_eq(a->id, b->id, sizeof a->id);
    cr_assert_arr_eq(a->mac, b->mac, sizeof a->mac);
}

Test(superblock, what_was_encoded_is_decoded)
{
    struct dsq_superblock decoded;
    cr_assert_eq(decode(bytes, &decoded), DSQ_OK, "%s", error.message);
    cr_assert_same(&decoded, &sample);
    sample.complete = false;
    sample.cipher = DSQ_SEAL_AES256GCM;
    dsq_superblock_encode(&sample, bytes);
    cr_assert_eq(decode(bytes, &decoded), DSQ_OK, "%s", error.message);
    cr_assert_same(&decoded, &sample);
}

/* The checksum computed with hashlib: the layout cannot change unnoticed. */
Test(superblock, the_layout_is_what_it_was)
{
    unsigned char expected[DSQ_SUPERBLOCK_BYTES] = {0};
    memcpy(expected, "dictsqlite seal", 16);
    from_hex("01000000020000000010000001000000", expected + 16);
    from_hex("05000000000000007856341200000000", expected + 32);
    count_up(expected + 48, 16, 0x10);
    count_up(expected + 64, 12, 0x30);
    count_up(expected + 76, 48, 0x50);
    from_hex("0100000000000000", expected + 128);
    from_hex("8877665544332211", expected + 136);
    count_up(expected + 144, 16, 0x90);
    count_up(expected + 160, 32, 0xb0);
    from_hex("67134a99d6488e78aa4ffae9a778cc49", expected + 496);
    cr_assert_arr_eq(bytes, expected, sizeof bytes);
}

Test(superblock, every_changed_bit_is_refused)
{
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        struct dsq_superblock decoded;
        bytes[bit / 8] ^= (unsigned char)(1U << (bit % 8));
        cr_assert_eq(decode(bytes, &decoded), DSQ_ERR_CORRUPT, "bit %zu", bit);
        bytes[bit / 8] ^= (unsigned char)(1U << (bit % 8));
    }
}

/* What the mac covers is what was read, so there is one way to write it. */
Test(superblock, zeros_that_are_none_are_refused_though_the_checksum_is_right)
{
    static const size_t places[] = {124, 127, COMPLETE_AT + 1, COMPLETE_AT + 3, 132,
                                    135, 192, CHECKSUM_AT - 1};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct dsq_superblock decoded;
        bytes[places[i]] = 1;
        make_whole(bytes);
        cr_assert_eq(decode(bytes, &decoded), DSQ_ERR_CORRUPT, "byte %zu", places[i]);
        bytes[places[i]] = 0;
    }
    struct dsq_superblock decoded;
    bytes[COMPLETE_AT] = 2;
    make_whole(bytes);
    cr_assert_eq(decode(bytes, &decoded), DSQ_ERR_CORRUPT);
    bytes[COMPLETE_AT] = 1;
    make_whole(bytes);
    cr_assert_eq(decode(bytes, &decoded), DSQ_OK);
}

Test(superblock, limits_are_accepted_up_to_floor_and_ceiling)
{
    static const struct {
        uint64_t operations;
        uint64_t memory;
        int status;
    } limits[] = {
        {DSQ_KDF_OPERATIONS_MIN, DSQ_KDF_MEMORY_MIN, DSQ_OK},
        {DSQ_KDF_OPERATIONS_MAX, DSQ_KDF_MEMORY_MAX, DSQ_OK},
        {DSQ_KDF_OPERATIONS_MIN - 1, DSQ_KDF_MEMORY_MIN, DSQ_ERR_CORRUPT},
        {DSQ_KDF_OPERATIONS_MIN, DSQ_KDF_MEMORY_MIN - 1, DSQ_ERR_CORRUPT},
        {DSQ_KDF_OPERATIONS_MAX + 1, DSQ_KDF_MEMORY_MIN, DSQ_ERR_CORRUPT},
        {DSQ_KDF_OPERATIONS_MIN, DSQ_KDF_MEMORY_MAX + 1, DSQ_ERR_CORRUPT},
        {0, DSQ_KDF_MEMORY_MIN, DSQ_ERR_CORRUPT},
        {DSQ_KDF_OPERATIONS_MIN, 0, DSQ_ERR_CORRUPT},
        {UINT64_MAX, UINT64_MAX, DSQ_ERR_CORRUPT},
        /* Where 32 bits would be in range. */
        {(UINT64_C(1) << 32) + 2, DSQ_KDF_MEMORY_MIN, DSQ_ERR_CORRUPT},
        {DSQ_KDF_OPERATIONS_MIN, (UINT64_C(1) << 32) + DSQ_KDF_MEMORY_MIN, DSQ_ERR_CORRUPT},
    };
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        struct dsq_superblock decoded;
        sample.kdf_operations = limits[i].operations;
        sample.kdf_memory = limits[i].memory;
        dsq_superblock_encode(&sample, bytes);
        cr_assert_eq(decode(bytes, &decoded), limits[i].status, "row %zu", i);
    }
}

Test(superblock, what_a_later_build_writes_is_another_format)
{
    static const struct {
        size_t place;
        unsigned char byte;
    } kinds[] = {
        {FORMAT_AT, 0}, {FORMAT_AT, 2},     {FORMAT_AT + 3, 1}, {CIPHER_AT, 0},
        {CIPHER_AT, 3}, {CIPHER_AT + 1, 1}, {PAGE_BYTES_AT, 1}, {PAGE_BYTES_AT + 1, 0x20},
        {KDF_AT, 0},    {KDF_AT, 2},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct dsq_superblock decoded;
        unsigned char other[sizeof bytes];
        memcpy(other, bytes, sizeof other);
        other[kinds[i].place] = kinds[i].byte;
        make_whole(other);
        cr_assert_eq(decode(other, &decoded), DSQ_ERR_FORMAT, "row %zu", i);
    }
    memset(bytes, 0, sizeof bytes);
    make_whole(bytes);
    struct dsq_superblock decoded;
    cr_assert_eq(decode(bytes, &decoded), DSQ_ERR_CORRUPT, "no magic");
}

/* ---- two copies ---- */

static unsigned char header[DSQ_SEALED_HEADER_BYTES];

/* 0: a damaged copy. */
static void write_copies(uint64_t first, uint64_t second)
{
    const uint64_t sequences[] = {first, second};
    memset(header, 0, sizeof header);
    for (size_t i = 0; i < DSQ_SUPERBLOCK_COPIES; i++) {
        unsigned char *copy = header + i * DSQ_SUPERBLOCK_STRIDE;
        sample.sequence = sequences[i];
        dsq_superblock_encode(&sample, copy);
        copy[CHECKSUM_AT] ^= sequences[i] == 0;
    }
}

Test(superblock, the_newer_of_the_whole_copies_is_chosen)
{
    static const struct {
        uint64_t sequences[DSQ_SUPERBLOCK_COPIES];
        int which;
    } cases[] = {
        {{1, 2}, 1},
        {{2, 1}, 0},
        {{3, 3}, 0},
        {{1, 0}, 0},
        {{0, 1}, 1},
        {{UINT64_MAX, 1}, 0},
        {{UINT64_C(1) << 32, UINT32_MAX}, 0},
        {{INT64_MAX, UINT64_C(1) << 63}, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct dsq_superblock chosen;
        int which = -1;
        write_copies(cases[i].sequences[0], cases[i].sequences[1]);
        cr_assert_eq(dsq_superblock_choose(header, &chosen, &which, &error), DSQ_OK, "row %zu", i);
        cr_assert_eq(which, cases[i].which, "row %zu", i);
        cr_assert_eq(chosen.sequence, cases[i].sequences[which], "row %zu", i);
    }
}

/* Whichever copy it is: a file of a later build is no damaged one. */
Test(superblock, a_whole_copy_of_another_format_says_more_than_a_damaged_one)
{
    for (size_t i = 0; i < DSQ_SUPERBLOCK_COPIES; i++) {
        struct dsq_superblock chosen;
        int which;
        unsigned char *copy = header + i * DSQ_SUPERBLOCK_STRIDE;
        write_copies(0, 0);
        copy[FORMAT_AT] = 2;
        make_whole(copy);
        cr_assert_eq(dsq_superblock_choose(header, &chosen, &which, &error), DSQ_ERR_FORMAT);
        cr_assert_not_null(strstr(error.message, "format 2"));
    }
}

Test(superblock, no_whole_copy_is_an_error)
{
    struct dsq_superblock chosen;
    int which;
    write_copies(0, 0);
    cr_assert_eq(dsq_superblock_choose(header, &chosen, &which, &error), DSQ_ERR_CORRUPT);
    memset(header, 0, sizeof header);
    cr_assert_eq(dsq_superblock_choose(header, &chosen, &which, NULL), DSQ_ERR_CORRUPT);
}

Test(superblock, a_damaged_copy_beside_a_whole_one_does_no_harm)
{
    struct dsq_superblock chosen;
    int which;
    write_copies(1, 2);
    for (size_t bit = 0; bit < 8 * (size_t)DSQ_SUPERBLOCK_BYTES; bit++) {
        unsigned char *newer = header + DSQ_SUPERBLOCK_STRIDE;
        newer[bit / 8] ^= (unsigned char)(1U << (bit % 8));
        cr_assert_eq(dsq_superblock_choose(header, &chosen, &which, &error), DSQ_OK);
        cr_assert_eq(which, 0, "bit %zu", bit);
        cr_assert_eq(chosen.sequence, 1);
        newer[bit / 8] ^= (unsigned char)(1U << (bit % 8));
    }
}
