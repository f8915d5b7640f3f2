/*
 * What a sealed file begins with, in the clear: how its keys are made from the password.
 *
 * Layout of one copy, DSQ_SUPERBLOCK_BYTES, little-endian:
 *
 *     0    magic          "dictsqlite seal\0"
 *     16   format         1
 *     20   cipher         enum dsq_seal_cipher
 *     24   page_bytes     DSQ_SEALED_PAGE_BYTES
 *     28   kdf            1: Argon2id, version 1.3, one lane (RFC 9106; crypto_pwhash of libsodium)
 *     32   kdf_operations passes over the memory
 *     40   kdf_memory     bytes
 *     48   kdf_salt       16 bytes
 *     64   wrap_nonce     12 bytes
 *     76   wrapped        the master key, 32 bytes, and a tag of 16: ChaCha20-Poly1305 (RFC 8439) under
 *                         the password's key, with bytes 0 to 63 as associated data
 *     124  zeros
 *     128  complete       1: the file was created to its end
 *     132  zeros
 *     136  sequence       of the two copies the one with the higher counts
 *     144  id             16 random bytes: of this file, not of its copies
 *     160  mac            32 bytes: BLAKE2b of bytes 0 to 159 under a key made from the master key
 *     192  zeros
 *     496  checksum       16 bytes: BLAKE2b of bytes 0 to 495, to tell a torn write; no key
 *
 * Whoever changes it consistently (the checksum needs no key) is found out by the wrap or the mac.
 */
#ifndef DSQ_CRYPTO_SUPERBLOCK_H
#define DSQ_CRYPTO_SUPERBLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "core/codec.h"

#define DSQ_SUPERBLOCK_FORMAT 1
#define DSQ_KEY_BYTES 32
#define DSQ_KDF_ARGON2ID 1
#define DSQ_KDF_SALT_BYTES 16
#define DSQ_WRAP_NONCE_BYTES 12
#define DSQ_WRAPPED_BYTES 48
#define DSQ_FILE_ID_BYTES 16
#define DSQ_SUPERBLOCK_MAC_BYTES 32
/* The parts of a copy that are associated data of the wrap, and that the mac covers. */
#define DSQ_SUPERBLOCK_WRAP_PART 64
#define DSQ_SUPERBLOCK_MAC_PART 160

/*
 * Limits of Argon2id.  The floor is the least that OWASP's password storage cheat sheet recommends
 * (19 MiB, 2 passes); below it a file is refused, lest a changed one make guessing cheap.  The ceiling
 * keeps a changed file from exhausting the machine.
 */
#define DSQ_KDF_OPERATIONS_MIN 2
#define DSQ_KDF_OPERATIONS_MAX 64
#define DSQ_KDF_MEMORY_MIN (UINT64_C(19) * 1024 * 1024)
#define DSQ_KDF_MEMORY_MAX (UINT64_C(1024) * 1024 * 1024)

enum dsq_seal_cipher {
    DSQ_SEAL_AES256GCM = 1,
    DSQ_SEAL_XCHACHA20POLY1305 = 2,
};

struct dsq_superblock {
    uint32_t cipher;
    uint64_t kdf_operations;
    uint64_t kdf_memory;
    unsigned char kdf_salt[DSQ_KDF_SALT_BYTES];
    unsigned char wrap_nonce[DSQ_WRAP_NONCE_BYTES];
    unsigned char wrapped[DSQ_WRAPPED_BYTES];
    bool complete;
    uint64_t sequence;
    unsigned char id[DSQ_FILE_ID_BYTES];
    unsigned char mac[DSQ_SUPERBLOCK_MAC_BYTES];
};

void dsq_superblock_encode(const struct dsq_superblock *superblock, unsigned char *bytes);

/*
 * DSQ_ERR_CORRUPT   not whole, with limits that nobody sets, or not as it would be encoded again
 * DSQ_ERR_FORMAT    whole, but of another format, cipher or page size than this build knows
 */
int dsq_superblock_decode(const unsigned char *bytes, struct dsq_superblock *superblock,
                          struct dsq_error *error);

/*
 * The newer of the copies that a file begins with, and which it is.  Errors as of decode; a whole copy
 * of another format says more than a damaged one.
 */
int dsq_superblock_choose(const unsigned char *header, struct dsq_superblock *superblock,
                          int *which, struct dsq_error *error);

#endif
