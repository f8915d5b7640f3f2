/*
 * The keys of one sealed file, from its password: the vault (core/codec.h) of this library.
 *
 *     password --Argon2id, salt--> password's key --unwraps--> master key, 32 random bytes
 *     master key --crypto_kdf 1, "dsqpages"--> key for pages (crypto/sealer.h)
 *     master key --crypto_kdf 2, "dsqsuper"--> key of the superblock's mac
 *
 * A new password wraps the same master key anew, under a fresh salt, and rewrites no page: whoever
 * had the old password and a copy of the old superblock can still read the file.
 *
 * Secrets lie in guarded, locked memory (sodium_malloc) and are wiped; the password from the moment
 * that it has been used.
 */
#ifndef DSQ_CRYPTO_KEYRING_H
#define DSQ_CRYPTO_KEYRING_H

#include <stddef.h>
#include <stdint.h>

#include "core/codec.h"

/* RFC 9106's second choice; some 0.1 s on the machines of 2024. */
#define DSQ_KDF_OPERATIONS_DEFAULT 3
#define DSQ_KDF_MEMORY_DEFAULT (UINT64_C(64) * 1024 * 1024)

#define DSQ_PASSWORD_BYTES_MAX 1024

/*
 * For files that are created: how much a guess at the password costs, and the cipher.  0: the default,
 * which is AES-256-GCM where the processor has it.  The limits are also those of a new password.
 */
struct dsq_seal_options {
    uint64_t kdf_operations;
    uint64_t kdf_memory; /* bytes */
    int cipher;          /* enum dsq_seal_cipher */
};

/*
 * A locked vault that holds a copy of the password.
 *
 * DSQ_ERR_INVALID      an empty or too long password, limits outside floor and ceiling, or a cipher
 *                      that there is not
 * DSQ_ERR_NOMEM
 * DSQ_ERR_UNSUPPORTED  a cipher that this machine does not have; libsodium does not start
 */
int dsq_keyring_new(const void *password, size_t size, const struct dsq_seal_options *options,
                    struct dsq_vault **vault, struct dsq_error *error);

/*
 * Wraps the keys of an open vault in another password, with the limits that it was made with.  It
 * counts once the next superblock is written.  Any thread.  Errors as dsq_keyring_new.
 */
int dsq_keyring_rewrap(struct dsq_vault *vault, const void *password, size_t size,
                       struct dsq_error *error);

#endif
