/* The vault, and the superblock that it reads and writes. */
#include "crypto/keyring.h"

#include <sodium.h>

#include "crypto/superblock.h"
#include "tests/crypto/fixture.h"

#define SECRET "correct horse"

static struct dsq_error error;

static struct dsq_seal_options seal_options = {DSQ_KDF_OPERATIONS_MIN, DSQ_KDF_MEMORY_MIN, 0};

TestSuite(keyring, .timeout = 60);

/* Where the last password lay that a key was made from, and the key. */
static const char *given;
static const unsigned char *made;
static bool stretching_fails;

/* What the linker calls the function itself, and what it puts in its place. */
int __real_crypto_pwhash(unsigned char *key, unsigned long long key_size, const char *password,
                         unsigned long long size, const unsigned char *salt,
                         unsigned long long operations, size_t memory, int algorithm);
int __wrap_crypto_pwhash(unsigned char *key, unsigned long long key_size, const char *password,
                         unsigned long long size, const unsigned char *salt,
                         unsigned long long operations, size_t memory, int algorithm);

int __wrap_crypto_pwhash(unsigned char *key, unsigned long long key_size, const char *password,
                         unsigned long long size, const unsigned char *salt,
                         unsigned long long operations, size_t memory, int algorithm)
{
    given = password;
    made = key;
    cr_assert_not(sodium_is_zero((const unsigned char *)password, size));
    if (stretching_fails) {
        return -1;
    }
    return __real_crypto_pwhash(key, key_size, password, size, salt, operations, memory, algorithm);
}

static struct dsq_vault *make(const char *password)
{
    struct dsq_vault *vault = NULL;
    cr_assert_eq(dsq_keyring_new(password, strlen(password), &seal_options, &vault, &error), DSQ_OK,
                 "%s", error.message);
    return vault;
}

/* Both copies of the superblock that a vault has next. */
static void write_header(struct dsq_vault *vault, unsigned char *header)
{
    memset(header, 0, DSQ_SEALED_HEADER_BYTES);
    vault->ops->superblock(vault, true, header);
    memcpy(header + DSQ_SUPERBLOCK_STRIDE, header, DSQ_SUPERBLOCK_BYTES);
}

static struct dsq_vault *create(unsigned char *header)
{
    struct dsq_vault *vault = make(SECRET);
    cr_assert_eq(vault->ops->create(vault, &error), DSQ_OK, "%s", error.message);
    write_header(vault, header);
    return vault;
}

static int unlock(const char *password, const unsigned char *header)
{
    struct dsq_unlocked unlocked;
    struct dsq_vault *vault = make(password);
    int status = vault->ops->unlock(vault, header, &unlocked, &error);
    dsq_vault_destroy(vault);
    return status;
}

/* Whether what one vault sealed the other opens. */
static bool understands(struct dsq_vault *from, struct dsq_vault *to)
{
    const struct dsq_seal_place place = {DSQ_SEAL_PAGE, 0, 1};
    unsigned char bytes[100] = "plain";
    unsigned char seal[DSQ_SEAL_BYTES];
    struct dsq_codec *codec = from->ops->codec(from);
    cr_assert(codec->seal(codec, &place, bytes, sizeof bytes, bytes, seal));
    codec = to->ops->codec(to);
    return codec->open(codec, &place, bytes, sizeof bytes, seal) &&
           strcmp((char *)bytes, "plain") == 0;
}

Test(keyring, what_was_created_is_unlocked_by_the_password_alone)
{
    unsigned char header[DSQ_SEALED_HEADER_BYTES];
    struct dsq_unlocked unlocked;
    struct dsq_vault *vault = create(header);
    struct dsq_vault *again = make(SECRET);
    cr_assert_eq(again->ops->unlock(again, header, &unlocked, &error), DSQ_OK, "%s", error.message);
    cr_assert(unlocked.complete);
    cr_assert(understands(vault, again) && understands(again, vault));
    cr_assert_eq(unlock("Correct horse", header), DSQ_ERR_PASSWORD);
    cr_assert_eq(unlock("correct horse ", header), DSQ_ERR_PASSWORD);
    dsq_vault_destroy(vault);
    dsq_vault_destroy(again);
}

Test(keyring, the_cipher_can_be_chosen_and_is_kept)
{
    unsigned char header[DSQ_SEALED_HEADER_BYTES];
    struct dsq_superblock superblock;
    seal_options.cipher = DSQ_SEAL_XCHACHA20POLY1305;
    dsq_vault_destroy(create(header));
    seal_options.cipher = 0;
    cr_assert_eq(dsq_superblock_decode(header, &superblock, &error), DSQ_OK);
    cr_assert_eq(superblock.cipher, DSQ_SEAL_XCHACHA20POLY1305);
    cr_assert_eq(unlock(SECRET, header), DSQ_OK);
}

Test(keyring, every_file_has_keys_of_its_own)
{
    unsigned char first[DSQ_SEALED_HEADER_BYTES];
    unsigned char second[DSQ_SEALED_HEADER_BYTES];
    struct dsq_vault *a = create(first);
    struct dsq_vault *b = create(second);
    cr_assert_not(understands(a, b));
    cr_assert_neq(memcmp(first + 48, second + 48, 16), 0, "the salt");
    dsq_vault_destroy(a);
    dsq_vault_destroy(b);
}

Test(keyring, a_copy_has_the_password_and_another_identity)
{
    unsigned char header[DSQ_SEALED_HEADER_BYTES];
    struct dsq_unlocked unlocked;
    struct dsq_vault *copy = NULL;
    struct dsq_vault *vault = create(header);
    cr_assert_eq(vault->ops->copy(vault, &copy, &error), DSQ_OK);
    cr_assert_not(understands(vault, copy));
    write_header(copy, header);
    struct dsq_vault *again = make(SECRET);
    cr_assert_eq(again->ops->unlock(again, header, &unlocked, &error), DSQ_OK, "%s", error.message);
    cr_assert(understands(copy, again));
    dsq_vault_destroy(vault);
    dsq_vault_destroy(copy);
    dsq_vault_destroy(again);
}

Test(keyring, another_password_opens_what_the_first_one_sealed)
{
    unsigned char header[DSQ_SEALED_HEADER_BYTES];
    unsigned char old[DSQ_SEALED_HEADER_BYTES];
    struct dsq_unlocked unlocked;
    struct dsq_vault *vault = create(old);
    cr_assert_eq(dsq_keyring_rewrap(vault, "", 0, &error), DSQ_ERR_INVALID);
    cr_assert_eq(dsq_keyring_rewrap(vault, "another", 7, &error), DSQ_OK);
    write_header(vault, header);
    struct dsq_vault *again = make("another");
    cr_assert_eq(again->ops->unlock(again, header, &unlocked, &error), DSQ_OK, "%s", error.message);
    cr_assert(understands(vault, again));
    cr_assert_eq(unlock(SECRET, header), DSQ_ERR_PASSWORD);
    /* Of two copies the newer one counts, wherever it lies. */
    for (size_t place = 0; place < 2; place++) {
        unsigned char mixed[DSQ_SEALED_HEADER_BYTES];
        memcpy(mixed, old, sizeof mixed);
        memcpy(mixed + place * DSQ_SUPERBLOCK_STRIDE, header, DSQ_SUPERBLOCK_BYTES);
        cr_assert_eq(unlock("another", mixed), DSQ_OK);
        cr_assert_eq(unlock(SECRET, mixed), DSQ_ERR_PASSWORD);
    }
    dsq_vault_destroy(vault);
    dsq_vault_destroy(again);
}

Test(keyring, one_damaged_copy_of_the_superblock_does_no_harm)
{
    unsigned char header[DSQ_SEALED_HEADER_BYTES];
    struct dsq_vault *vault = create(header);
    memset(header, 0, 16);
    cr_assert_eq(unlock(SECRET, header), DSQ_OK);
    memset(header + DSQ_SUPERBLOCK_STRIDE, 0, 16);
    cr_assert_eq(unlock(SECRET, header), DSQ_ERR_CORRUPT);
    dsq_vault_destroy(vault);
}

/* Changes a field and makes the checksum right again, as anybody can. */
static int unlock_changed(const unsigned char *header, void (*change)(struct dsq_superblock *))
{
    struct dsq_superblock superblock;
    unsigned char changed[DSQ_SEALED_HEADER_BYTES] = {0};
    cr_assert_eq(dsq_superblock_decode(header, &superblock, &error), DSQ_OK);
    change(&superblock);
    dsq_superblock_encode(&superblock, changed);
    memcpy(changed + DSQ_SUPERBLOCK_STRIDE, changed, DSQ_SUPERBLOCK_BYTES);
    return unlock(SECRET, changed);
}

static void nothing(struct dsq_superblock *superblock)
{
    (void)superblock;
}

static void change_salt(struct dsq_superblock *superblock)
{
    superblock->kdf_salt[3] ^= 1;
}

static void change_wrap(struct dsq_superblock *superblock)
{
    superblock->wrapped[47] ^= 1;
}

static void change_operations(struct dsq_superblock *superblock)
{
    superblock->kdf_operations++;
}

static void change_id(struct dsq_superblock *superblock)
{
    superblock->id[0] ^= 1;
}

static void change_sequence(struct dsq_superblock *superblock)
{
    superblock->sequence += 1000;
}

static void change_complete(struct dsq_superblock *superblock)
{
    superblock->complete = false;
}

static void change_mac(struct dsq_superblock *superblock)
{
    superblock->mac[0] ^= 1;
}

static void weaken_operations(struct dsq_superblock *superblock)
{
    superblock->kdf_operations = DSQ_KDF_OPERATIONS_MIN - 1;
}

static void weaken_memory(struct dsq_superblock *superblock)
{
    superblock->kdf_memory = DSQ_KDF_MEMORY_MIN - 1;
}

static void exhaust_operations(struct dsq_superblock *superblock)
{
    superblock->kdf_operations = UINT64_MAX;
}

static void exhaust_memory(struct dsq_superblock *superblock)
{
    superblock->kdf_memory = UINT64_C(1) << 50;
}

static void change_cipher(struct dsq_superblock *superblock)
{
    superblock->cipher = 3;
}

Test(keyring, a_superblock_that_was_changed_with_care_is_refused)
{
    static const struct {
        void (*change)(struct dsq_superblock *superblock);
        int status;
    } changes[] = {
        {nothing, DSQ_OK},
        {change_salt, DSQ_ERR_PASSWORD},
        {change_wrap, DSQ_ERR_PASSWORD},
        {change_operations, DSQ_ERR_PASSWORD},
        {change_id, DSQ_ERR_CORRUPT},
        {change_sequence, DSQ_ERR_CORRUPT},
        {change_complete, DSQ_ERR_CORRUPT},
        {change_mac, DSQ_ERR_CORRUPT},
        {weaken_operations, DSQ_ERR_CORRUPT},
        {weaken_memory, DSQ_ERR_CORRUPT},
        {exhaust_operations, DSQ_ERR_CORRUPT},
        {exhaust_memory, DSQ_ERR_CORRUPT},
        {change_cipher, DSQ_ERR_FORMAT},
    };
    unsigned char header[DSQ_SEALED_HEADER_BYTES];
    dsq_vault_destroy(create(header));
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        cr_assert_eq(unlock_changed(header, changes[i].change), changes[i].status, "change %zu: %s",
                     i, error.message);
    }
}

Test(keyring, another_cipher_in_the_superblock_is_found_out)
{
    unsigned char header[DSQ_SEALED_HEADER_BYTES];
    unsigned char other[DSQ_SEALED_HEADER_BYTES];
    struct dsq_superblock superblock;
    dsq_vault_destroy(create(header));
    cr_assert_eq(dsq_superblock_decode(header, &superblock, &error), DSQ_OK);
    superblock.cipher = DSQ_SEAL_AES256GCM + DSQ_SEAL_XCHACHA20POLY1305 - superblock.cipher;
    memset(other, 0, sizeof other);
    dsq_superblock_encode(&superblock, other);
    cr_assert_lt(unlock(SECRET, other), 0);
}

/* Of the vault that last made a key from its password, which is not destroyed yet. */
static void check_forgotten(const char *when)
{
    cr_assert_not_null(given, "%s", when);
    cr_assert(sodium_is_zero((const unsigned char *)given, DSQ_PASSWORD_BYTES_MAX), "%s", when);
    cr_assert(sodium_is_zero(made, DSQ_KEY_BYTES), "%s", when);
    given = NULL;
}

Test(keyring, the_password_and_its_key_are_wiped_once_they_were_used)
{
    static char longest[DSQ_PASSWORD_BYTES_MAX];
    unsigned char header[DSQ_SEALED_HEADER_BYTES];
    struct dsq_unlocked unlocked;
    struct dsq_vault *vault = create(header);
    check_forgotten("after creation");
    memset(longest, 'x', sizeof longest);
    cr_assert_eq(dsq_keyring_rewrap(vault, longest, sizeof longest, &error), DSQ_OK);
    check_forgotten("after a new password");
    dsq_vault_destroy(vault);
    vault = make(SECRET);
    cr_assert_eq(vault->ops->unlock(vault, header, &unlocked, &error), DSQ_OK);
    check_forgotten("after unlocking");
    dsq_vault_destroy(vault);
    vault = make("wrong");
    cr_assert_eq(vault->ops->unlock(vault, header, &unlocked, &error), DSQ_ERR_PASSWORD);
    check_forgotten("after a wrong password");
    dsq_vault_destroy(vault);
}

Test(keyring, without_memory_for_a_key_nothing_changes_and_the_password_is_wiped)
{
    unsigned char header[DSQ_SEALED_HEADER_BYTES];
    struct dsq_unlocked unlocked;
    struct dsq_vault *vault = create(header);
    stretching_fails = true;
    cr_assert_eq(dsq_keyring_rewrap(vault, "another", 7, &error), DSQ_ERR_NOMEM);
    check_forgotten("after a new password");
    write_header(vault, header);
    dsq_vault_destroy(vault);
    vault = make(SECRET);
    cr_assert_eq(vault->ops->unlock(vault, header, &unlocked, &error), DSQ_ERR_NOMEM);
    check_forgotten("after unlocking");
    dsq_vault_destroy(vault);
    vault = make(SECRET);
    cr_assert_eq(vault->ops->create(vault, &error), DSQ_ERR_NOMEM);
    check_forgotten("after creation");
    dsq_vault_destroy(vault);
    stretching_fails = false;
    cr_assert_eq(unlock(SECRET, header), DSQ_OK);
}

Test(keyring, passwords_and_limits_out_of_range_are_refused)
{
    static const struct dsq_seal_options wrong[] = {
        {DSQ_KDF_OPERATIONS_MIN - 1, 0, 0},
        {DSQ_KDF_OPERATIONS_MAX + 1, 0, 0},
        {0, DSQ_KDF_MEMORY_MIN - 1, 0},
        {0, DSQ_KDF_MEMORY_MAX + 1, 0},
        {0, 0, 3},
        {0, 0, -1},
    };
    static char password[DSQ_PASSWORD_BYTES_MAX + 1];
    struct dsq_vault *vault = NULL;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        cr_assert_eq(dsq_keyring_new("x", 1, &wrong[i], &vault, &error), DSQ_ERR_INVALID);
    }
    cr_assert_eq(dsq_keyring_new(password, 0, &seal_options, &vault, &error), DSQ_ERR_INVALID);
    cr_assert_eq(dsq_keyring_new(password, sizeof password, &seal_options, &vault, &error),
                 DSQ_ERR_INVALID);
    cr_assert_null(vault);
    cr_assert_eq(dsq_keyring_new(password, DSQ_PASSWORD_BYTES_MAX, &seal_options, &vault, &error),
                 DSQ_OK);
    dsq_vault_destroy(vault);
}
