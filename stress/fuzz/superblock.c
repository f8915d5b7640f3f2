/*
 * What a sealed file begins with, changed in any way and made whole again or not: nothing is unlocked
 * but what a vault wrote, by the password that it wrote it for, and it unlocks the same keys.
 *
 * Argon2id would take all of the time: something quick takes its place.  The vault draws its keys from
 * a generator with a seed, so that an input means the same in every run.
 */
#include <sodium.h>

#include "crypto/keyring.h"
#include "crypto/superblock.h"
#include "stress/fuzz/input.h"

#define CHECKSUM_AT 496
#define CHECKSUM_BYTES 16
#define CHANGES_MAX 8
#define WRITTEN 4

/* What the linker puts in the place of crypto_pwhash. */
int __wrap_crypto_pwhash(unsigned char *key, unsigned long long key_size, const char *password,
                         unsigned long long size, const unsigned char *salt,
                         unsigned long long operations, size_t memory, int algorithm);

static const char *const passwords[] = {"correct horse", "another"};
static const struct dsq_seal_place somewhere = {DSQ_SEAL_PAGE, 0, 1};
static const char plain[] = "what the first vault sealed";

/* What the first vault wrote, one after the other, and for which of the passwords. */
static unsigned char written[WRITTEN][DSQ_SUPERBLOCK_BYTES];
static const unsigned password_of[WRITTEN] = {0, 0, 1, 1};
static unsigned char sealed[sizeof plain];
static unsigned char seal[DSQ_SEAL_BYTES];

int __wrap_crypto_pwhash(unsigned char *key, unsigned long long key_size, const char *password,
                         unsigned long long size, const unsigned char *salt,
                         unsigned long long operations, size_t memory, int algorithm)
{
    crypto_generichash_state state;
    must(algorithm == crypto_pwhash_ALG_ARGON2ID13);
    crypto_generichash_init(&state, salt, crypto_pwhash_SALTBYTES, key_size);
    crypto_generichash_update(&state, (const unsigned char *)&operations, sizeof operations);
    crypto_generichash_update(&state, (const unsigned char *)&memory, sizeof memory);
    crypto_generichash_update(&state, (const unsigned char *)password, size);
    crypto_generichash_final(&state, key, key_size);
    return 0;
}

static const char *random_name(void)
{
    return "with a seed";
}

static void random_bytes(void *bytes, const size_t size)
{
    static const unsigned char seed[randombytes_SEEDBYTES] = "of the fuzz target";
    static unsigned char block[64];
    static uint64_t drawn;
    for (size_t i = 0; i < size; i++, drawn++) {
        if (drawn % sizeof block == 0) {
            const uint64_t number = drawn / sizeof block;
            crypto_generichash(block, sizeof block, (const unsigned char *)&number, sizeof number,
                               seed, sizeof seed);
        }
        ((unsigned char *)bytes)[i] = block[drawn % sizeof block];
    }
}

static uint32_t random_word(void)
{
    uint32_t word;
    random_bytes(&word, sizeof word);
    return word;
}

static struct dsq_vault *make_vault(unsigned password)
{
    static const struct dsq_seal_options floor = {DSQ_KDF_OPERATIONS_MIN, DSQ_KDF_MEMORY_MIN, 0};
    struct dsq_vault *vault;
    must(dsq_keyring_new(passwords[password], strlen(passwords[password]), &floor, &vault, NULL) ==
         DSQ_OK);
    return vault;
}

static void start(void)
{
    static struct randombytes_implementation random = {
        .implementation_name = random_name, .random = random_word, .buf = random_bytes};
    must(randombytes_set_implementation(&random) == 0 && sodium_init() >= 0);
    struct dsq_vault *vault = make_vault(0);
    must(vault->ops->create(vault, NULL) == DSQ_OK);
    vault->ops->superblock(vault, false, written[0]);
    vault->ops->superblock(vault, true, written[1]);
    must(dsq_keyring_rewrap(vault, passwords[1], strlen(passwords[1]), NULL) == DSQ_OK);
    vault->ops->superblock(vault, true, written[2]);
    vault->ops->superblock(vault, true, written[3]);
    struct dsq_codec *codec = vault->ops->codec(vault);
    must(codec->seal(codec, &somewhere, (const unsigned char *)plain, sizeof plain, sealed, seal));
    dsq_vault_destroy(vault);
}

/* A copy to begin with, some changes, and the checksum that goes with them. */
static void make_copy(struct fuzz_input *input, unsigned char *copy)
{
    uint64_t origin = fuzz_take(input, 1);
    uint64_t changes = fuzz_take(input, 1);
    if (origin % 8 < WRITTEN) {
        memcpy(copy, written[origin % 8], DSQ_SUPERBLOCK_BYTES);
    } else if (origin % 8 == WRITTEN) {
        fuzz_take_bytes(input, copy, DSQ_SUPERBLOCK_BYTES);
    }
    for (uint64_t i = 0; i < changes / 2 % CHANGES_MAX; i++) {
        size_t at = (size_t)fuzz_take(input, 2) % DSQ_SUPERBLOCK_BYTES;
        copy[at] ^= (unsigned char)fuzz_take(input, 1);
    }
    if (changes % 2 != 0) {
        memcpy(copy, DSQ_SUPERBLOCK_MAGIC, DSQ_SUPERBLOCK_MAGIC_BYTES);
        crypto_generichash(copy + CHECKSUM_AT, CHECKSUM_BYTES, copy, CHECKSUM_AT, NULL, 0);
    }
}

/* What is read is what would be written for it, byte for byte. */
static void check_decoded(const unsigned char *copy, const struct dsq_superblock *superblock)
{
    unsigned char bytes[DSQ_SUPERBLOCK_BYTES];
    must(superblock->kdf_memory >= DSQ_KDF_MEMORY_MIN &&
         superblock->kdf_memory <= DSQ_KDF_MEMORY_MAX &&
         superblock->kdf_operations >= DSQ_KDF_OPERATIONS_MIN &&
         superblock->kdf_operations <= DSQ_KDF_OPERATIONS_MAX);
    dsq_superblock_encode(superblock, bytes);
    must(memcmp(copy, bytes, sizeof bytes) == 0);
}

/* The newer of the copies that are whole. */
static void check_choice(const unsigned char *header)
{
    struct dsq_superblock copies[DSQ_SUPERBLOCK_COPIES];
    struct dsq_superblock chosen;
    bool good[DSQ_SUPERBLOCK_COPIES];
    int which;
    for (size_t i = 0; i < DSQ_SUPERBLOCK_COPIES; i++) {
        const unsigned char *copy = header + i * DSQ_SUPERBLOCK_STRIDE;
        good[i] = dsq_superblock_decode(copy, &copies[i], NULL) == DSQ_OK;
        if (good[i]) {
            check_decoded(copy, &copies[i]);
        }
    }
    bool found = dsq_superblock_choose(header, &chosen, &which, NULL) == DSQ_OK;
    must(found == (good[0] || good[1]));
    must(!found || (good[which] && chosen.sequence == copies[which].sequence));
    must(!found || !good[1 - which] || copies[1 - which].sequence <= chosen.sequence);
}

static void check_unlocking(const unsigned char *header, unsigned password)
{
    struct dsq_unlocked unlocked;
    struct dsq_error error;
    unsigned char bytes[sizeof plain];
    bool known = false;
    struct dsq_vault *vault = make_vault(password);
    if (vault->ops->unlock(vault, header, &unlocked, &error) == DSQ_OK) {
        const unsigned char *copy = header + (size_t)unlocked.newest * DSQ_SUPERBLOCK_STRIDE;
        for (size_t i = 0; i < WRITTEN; i++) {
            known = known || (password_of[i] == password &&
                              memcmp(copy, written[i], DSQ_SUPERBLOCK_BYTES) == 0);
        }
        memcpy(bytes, sealed, sizeof bytes);
        struct dsq_codec *codec = vault->ops->codec(vault);
        must(known && codec->open(codec, &somewhere, bytes, sizeof bytes, seal) &&
             memcmp(bytes, plain, sizeof bytes) == 0);
    }
    dsq_vault_destroy(vault);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct fuzz_input input = {bytes, size};
    unsigned char header[DSQ_SEALED_HEADER_BYTES] = {0};
    static bool started;
    if (!started) {
        start();
        started = true;
    }
    unsigned password = (unsigned)fuzz_take(&input, 1) % 2;
    for (size_t i = 0; i < DSQ_SUPERBLOCK_COPIES; i++) {
        make_copy(&input, header + i * DSQ_SUPERBLOCK_STRIDE);
    }
    check_choice(header);
    check_unlocking(header, password);
    return 0;
}
