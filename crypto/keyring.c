#include "crypto/keyring.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "core/error.h"
#include "crypto/sealer.h"
#include "crypto/superblock.h"

#define PAGES_CONTEXT "dsqpages"
#define SUPERBLOCK_CONTEXT "dsqsuper"
#define PAGES_KEY 1
#define SUPERBLOCK_KEY 2

_Static_assert(DSQ_WRAP_NONCE_BYTES == crypto_aead_chacha20poly1305_ietf_NPUBBYTES, "the wrap");
_Static_assert(DSQ_WRAPPED_BYTES == DSQ_KEY_BYTES + crypto_aead_chacha20poly1305_ietf_ABYTES,
               "the wrap");
_Static_assert(DSQ_KDF_SALT_BYTES == crypto_pwhash_SALTBYTES, "Argon2id's salt");

/* In guarded memory. */
struct secrets {
    unsigned char master[DSQ_KEY_BYTES];
    unsigned char
        derived[DSQ_KEY_BYTES]; /* for a moment: a key made from the master's or password */
    size_t password_size;
    unsigned char password[DSQ_PASSWORD_BYTES_MAX];
};

/* Once the vault is open, `mutex` guards superblock and secrets. */
struct dsq_keyring {
    struct dsq_vault vault;
    pthread_mutex_t mutex;
    struct dsq_seal_options options; /* the defaults filled in */
    struct dsq_superblock superblock;
    struct secrets *secrets;
    struct dsq_sealer *sealer;
};

static struct dsq_keyring *keyring_of(struct dsq_vault *vault)
{
    return (struct dsq_keyring *)vault;
}

static int out_of_memory(struct dsq_error *error)
{
    return dsq_error_set(error, DSQ_ERR_NOMEM, "out of memory for keys");
}

static void forget_password(struct secrets *secrets)
{
    sodium_memzero(secrets->password, sizeof secrets->password);
    secrets->password_size = 0;
}

static int take_password(struct secrets *secrets, const void *password, size_t size,
                         struct dsq_error *error)
{
    if (size == 0 || size > DSQ_PASSWORD_BYTES_MAX) {
        return dsq_error_set(error, DSQ_ERR_INVALID,
                             "a password has 1 to %d bytes, this one has %zu",
                             DSQ_PASSWORD_BYTES_MAX, size);
    }
    memcpy(secrets->password, password, size);
    secrets->password_size = size;
    return DSQ_OK;
}

static int check_cipher(int cipher, struct dsq_error *error)
{
    if (cipher != DSQ_SEAL_AES256GCM && cipher != DSQ_SEAL_XCHACHA20POLY1305) {
        return dsq_error_set(error, DSQ_ERR_INVALID, "the option cipher is out of its range");
    }
    if (!dsq_sealer_has((enum dsq_seal_cipher)cipher)) {
        return dsq_error_set(error, DSQ_ERR_UNSUPPORTED,
                             "this processor has no instructions for AES-256-GCM");
    }
    return DSQ_OK;
}

static int take_options(const struct dsq_seal_options *asked, struct dsq_seal_options *options,
                        struct dsq_error *error)
{
    int usual =
        dsq_sealer_has(DSQ_SEAL_AES256GCM) ? DSQ_SEAL_AES256GCM : DSQ_SEAL_XCHACHA20POLY1305;
    options->kdf_operations =
        asked->kdf_operations != 0 ? asked->kdf_operations : DSQ_KDF_OPERATIONS_DEFAULT;
    options->kdf_memory = asked->kdf_memory != 0 ? asked->kdf_memory : DSQ_KDF_MEMORY_DEFAULT;
    options->cipher = asked->cipher != 0 ? asked->cipher : usual;
    if (options->kdf_operations < DSQ_KDF_OPERATIONS_MIN ||
        options->kdf_operations > DSQ_KDF_OPERATIONS_MAX) {
        return dsq_error_set(error, DSQ_ERR_INVALID, "kdf_operations must be from %d to %d",
                             DSQ_KDF_OPERATIONS_MIN, DSQ_KDF_OPERATIONS_MAX);
    }
    if (options->kdf_memory < DSQ_KDF_MEMORY_MIN || options->kdf_memory > DSQ_KDF_MEMORY_MAX) {
        return dsq_error_set(error, DSQ_ERR_INVALID, "kdf_memory must be from %llu to %llu bytes",
                             (unsigned long long)DSQ_KDF_MEMORY_MIN,
                             (unsigned long long)DSQ_KDF_MEMORY_MAX);
    }
    return check_cipher(options->cipher, error);
}

/* The password's key into secrets->derived; the password is forgotten either way. */
static int stretch_password(struct dsq_keyring *keyring, const struct dsq_superblock *superblock,
                            struct dsq_error *error)
{
    struct secrets *secrets = keyring->secrets;
    int result =
        crypto_pwhash(secrets->derived, sizeof secrets->derived, (const char *)secrets->password,
                      secrets->password_size, superblock->kdf_salt, superblock->kdf_operations,
                      (size_t)superblock->kdf_memory, crypto_pwhash_ALG_ARGON2ID13);
    forget_password(secrets);
    return result == 0 ? DSQ_OK : out_of_memory(error);
}

/* What the wrap authenticates beside the key. */
static void wrap_part(const struct dsq_superblock *superblock, unsigned char *part)
{
    unsigned char bytes[DSQ_SUPERBLOCK_BYTES];
    dsq_superblock_encode(superblock, bytes);
    memcpy(part, bytes, DSQ_SUPERBLOCK_WRAP_PART);
}

/* Wraps the master key in the password that was taken, under a fresh salt. */
static int wrap(struct dsq_keyring *keyring, struct dsq_superblock *superblock,
                struct dsq_error *error)
{
    unsigned char part[DSQ_SUPERBLOCK_WRAP_PART];
    superblock->kdf_operations = keyring->options.kdf_operations;
    superblock->kdf_memory = keyring->options.kdf_memory;
    randombytes_buf(superblock->kdf_salt, sizeof superblock->kdf_salt);
    randombytes_buf(superblock->wrap_nonce, sizeof superblock->wrap_nonce);
    int status = stretch_password(keyring, superblock, error);
    if (status != DSQ_OK) {
        return status;
    }
    wrap_part(superblock, part);
    crypto_aead_chacha20poly1305_ietf_encrypt(superblock->wrapped, NULL, keyring->secrets->master,
                                              DSQ_KEY_BYTES, part, sizeof part, NULL,
                                              superblock->wrap_nonce, keyring->secrets->derived);
    sodium_memzero(keyring->secrets->derived, DSQ_KEY_BYTES);
    return DSQ_OK;
}

static int unwrap(struct dsq_keyring *keyring, const struct dsq_superblock *superblock,
                  struct dsq_error *error)
{
    unsigned char part[DSQ_SUPERBLOCK_WRAP_PART];
    int status = stretch_password(keyring, superblock, error);
    if (status != DSQ_OK) {
        return status;
    }
    wrap_part(superblock, part);
    int result = crypto_aead_chacha20poly1305_ietf_decrypt(
        keyring->secrets->master, NULL, NULL, superblock->wrapped, DSQ_WRAPPED_BYTES, part,
        sizeof part, superblock->wrap_nonce, keyring->secrets->derived);
    sodium_memzero(keyring->secrets->derived, DSQ_KEY_BYTES);
    return result == 0 ? DSQ_OK
                       : dsq_error_set(error, DSQ_ERR_PASSWORD,
                                       "wrong password (or the file's superblock was changed)");
}

/* The mac of a superblock that is to be written or has been read. */
static void authenticate(struct dsq_keyring *keyring, const struct dsq_superblock *superblock,
                         unsigned char *mac)
{
    unsigned char bytes[DSQ_SUPERBLOCK_BYTES];
    struct secrets *secrets = keyring->secrets;
    dsq_superblock_encode(superblock, bytes);
    crypto_kdf_derive_from_key(secrets->derived, DSQ_KEY_BYTES, SUPERBLOCK_KEY, SUPERBLOCK_CONTEXT,
                               secrets->master);
    crypto_generichash(mac, DSQ_SUPERBLOCK_MAC_BYTES, bytes, DSQ_SUPERBLOCK_MAC_PART,
                       secrets->derived, DSQ_KEY_BYTES);
    sodium_memzero(secrets->derived, DSQ_KEY_BYTES);
}

static int check_mac(struct dsq_keyring *keyring, const struct dsq_superblock *superblock,
                     struct dsq_error *error)
{
    unsigned char mac[DSQ_SUPERBLOCK_MAC_BYTES];
    authenticate(keyring, superblock, mac);
    return sodium_memcmp(mac, superblock->mac, sizeof mac) == 0
               ? DSQ_OK
               : dsq_error_set(error, DSQ_ERR_CORRUPT, "the file's superblock was changed");
}

/* The master key is there: makes the sealer. */
static int start_sealer(struct dsq_keyring *keyring, struct dsq_error *error)
{
    struct secrets *secrets = keyring->secrets;
    crypto_kdf_derive_from_key(secrets->derived, DSQ_KEY_BYTES, PAGES_KEY, PAGES_CONTEXT,
                               secrets->master);
    keyring->sealer = dsq_sealer_new((enum dsq_seal_cipher)keyring->superblock.cipher,
                                     secrets->derived, keyring->superblock.id);
    sodium_memzero(secrets->derived, DSQ_KEY_BYTES);
    return keyring->sealer != NULL ? DSQ_OK : out_of_memory(error);
}

static int create(struct dsq_vault *vault, struct dsq_error *error)
{
    struct dsq_keyring *keyring = keyring_of(vault);
    struct dsq_superblock *superblock = &keyring->superblock;
    superblock->cipher = (uint32_t)keyring->options.cipher;
    crypto_kdf_keygen(keyring->secrets->master);
    randombytes_buf(superblock->id, sizeof superblock->id);
    int status = wrap(keyring, superblock, error);
    return status == DSQ_OK ? start_sealer(keyring, error) : status;
}

static int check_cipher_of(const struct dsq_superblock *superblock, struct dsq_error *error)
{
    if (dsq_sealer_has((enum dsq_seal_cipher)superblock->cipher)) {
        return DSQ_OK;
    }
    return dsq_error_set(error, DSQ_ERR_UNSUPPORTED,
                         "the file is encrypted with AES-256-GCM, for which this processor has no "
                         "instructions: decrypt it where there are some, then encrypt it here");
}

static int unlock(struct dsq_vault *vault, const unsigned char *header,
                  struct dsq_unlocked *unlocked, struct dsq_error *error)
{
    struct dsq_keyring *keyring = keyring_of(vault);
    struct dsq_superblock found;
    int status = dsq_superblock_choose(header, &found, &unlocked->newest, error);
    if (status == DSQ_OK) {
        status = check_cipher_of(&found, error);
    }
    if (status == DSQ_OK) {
        status = unwrap(keyring, &found, error);
    }
    if (status == DSQ_OK) {
        status = check_mac(keyring, &found, error);
    }
    if (status != DSQ_OK) {
        return status;
    }
    keyring->superblock = found;
    unlocked->complete = found.complete;
    return start_sealer(keyring, error);
}

static void superblock(struct dsq_vault *vault, bool complete, unsigned char *bytes)
{
    struct dsq_keyring *keyring = keyring_of(vault);
    pthread_mutex_lock(&keyring->mutex);
    keyring->superblock.complete = complete;
    keyring->superblock.sequence++;
    authenticate(keyring, &keyring->superblock, keyring->superblock.mac);
    dsq_superblock_encode(&keyring->superblock, bytes);
    pthread_mutex_unlock(&keyring->mutex);
}

static struct dsq_codec *codec(struct dsq_vault *vault)
{
    return dsq_sealer_codec(keyring_of(vault)->sealer);
}

static void destroy(struct dsq_vault *vault)
{
    struct dsq_keyring *keyring = keyring_of(vault);
    dsq_sealer_free(keyring->sealer);
    sodium_free(keyring->secrets);
    pthread_mutex_destroy(&keyring->mutex);
    free(keyring);
}

static int copy(struct dsq_vault *vault, struct dsq_vault **made, struct dsq_error *error);

static const struct dsq_vault_ops ops = {
    .create = create,
    .unlock = unlock,
    .superblock = superblock,
    .copy = copy,
    .codec = codec,
    .destroy = destroy,
};

static struct dsq_keyring *new_keyring(void)
{
    struct dsq_keyring *keyring = calloc(1, sizeof *keyring);
    struct secrets *secrets = sodium_malloc(sizeof *secrets);
    if (keyring == NULL || secrets == NULL || pthread_mutex_init(&keyring->mutex, NULL) != 0) {
        free(keyring);
        sodium_free(secrets);
        return NULL;
    }
    memset(secrets, 0, sizeof *secrets);
    keyring->vault.ops = &ops;
    keyring->secrets = secrets;
    return keyring;
}

static int copy(struct dsq_vault *vault, struct dsq_vault **made, struct dsq_error *error)
{
    struct dsq_keyring *keyring = keyring_of(vault);
    struct dsq_keyring *other = new_keyring();
    if (other == NULL) {
        return out_of_memory(error);
    }
    pthread_mutex_lock(&keyring->mutex);
    other->options = keyring->options;
    other->superblock = keyring->superblock;
    memcpy(other->secrets->master, keyring->secrets->master, DSQ_KEY_BYTES);
    pthread_mutex_unlock(&keyring->mutex);
    randombytes_buf(other->superblock.id, sizeof other->superblock.id);
    int status = start_sealer(other, error);
    if (status != DSQ_OK) {
        destroy(&other->vault);
        return status;
    }
    *made = &other->vault;
    return DSQ_OK;
}

int dsq_keyring_new(const void *password, size_t size, const struct dsq_seal_options *options,
                    struct dsq_vault **vault, struct dsq_error *error)
{
    if (sodium_init() < 0) {
        return dsq_error_set(error, DSQ_ERR_UNSUPPORTED, "libsodium does not start");
    }
    struct dsq_keyring *keyring = new_keyring();
    if (keyring == NULL) {
        return out_of_memory(error);
    }
    int status = take_options(options, &keyring->options, error);
    if (status == DSQ_OK) {
        status = take_password(keyring->secrets, password, size, error);
    }
    if (status != DSQ_OK) {
        destroy(&keyring->vault);
        return status;
    }
    *vault = &keyring->vault;
    return DSQ_OK;
}

int dsq_keyring_rewrap(struct dsq_vault *vault, const void *password, size_t size,
                       struct dsq_error *error)
{
    struct dsq_keyring *keyring = keyring_of(vault);
    pthread_mutex_lock(&keyring->mutex);
    struct dsq_superblock rewrapped = keyring->superblock;
    int status = take_password(keyring->secrets, password, size, error);
    if (status == DSQ_OK) {
        status = wrap(keyring, &rewrapped, error);
    }
    if (status == DSQ_OK) {
        keyring->superblock = rewrapped;
    }
    pthread_mutex_unlock(&keyring->mutex);
    return status;
}
