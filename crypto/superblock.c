#include "crypto/superblock.h"

#include <string.h>

#include <sodium.h>

#include "core/error.h"

#define FORMAT_AT 16
#define CIPHER_AT 20
#define PAGE_BYTES_AT 24
#define KDF_AT 28
#define KDF_OPERATIONS_AT 32
#define KDF_MEMORY_AT 40
#define KDF_SALT_AT 48
#define WRAP_NONCE_AT 64
#define WRAPPED_AT 76
#define COMPLETE_AT 128
#define SEQUENCE_AT 136
#define ID_AT 144
#define MAC_AT 160
#define CHECKSUM_AT 496
#define CHECKSUM_BYTES 16

static void put32(unsigned char *bytes, uint32_t number)
{
    for (int i = 0; i < 4; i++) {
        bytes[i] = (unsigned char)(number >> (8 * i));
    }
}

static void put64(unsigned char *bytes, uint64_t number)
{
    put32(bytes, (uint32_t)number);
    put32(bytes + 4, (uint32_t)(number >> 32));
}

static uint32_t get32(const unsigned char *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static uint64_t get64(const unsigned char *bytes)
{
    return get32(bytes) | (uint64_t)get32(bytes + 4) << 32;
}

static void checksum(const unsigned char *bytes, unsigned char *sum)
{
    crypto_generichash(sum, CHECKSUM_BYTES, bytes, CHECKSUM_AT, NULL, 0);
}

void dsq_superblock_encode(const struct dsq_superblock *superblock, unsigned char *bytes)
{
    memset(bytes, 0, DSQ_SUPERBLOCK_BYTES);
    memcpy(bytes, DSQ_SUPERBLOCK_MAGIC, DSQ_SUPERBLOCK_MAGIC_BYTES);
    put32(bytes + FORMAT_AT, DSQ_SUPERBLOCK_FORMAT);
    put32(bytes + CIPHER_AT, superblock->cipher);
    put32(bytes + PAGE_BYTES_AT, DSQ_SEALED_PAGE_BYTES);
    put32(bytes + KDF_AT, DSQ_KDF_ARGON2ID);
    put64(bytes + KDF_OPERATIONS_AT, superblock->kdf_operations);
    put64(bytes + KDF_MEMORY_AT, superblock->kdf_memory);
    memcpy(bytes + KDF_SALT_AT, superblock->kdf_salt, DSQ_KDF_SALT_BYTES);
    memcpy(bytes + WRAP_NONCE_AT, superblock->wrap_nonce, DSQ_WRAP_NONCE_BYTES);
    memcpy(bytes + WRAPPED_AT, superblock->wrapped, DSQ_WRAPPED_BYTES);
    put32(bytes + COMPLETE_AT, superblock->complete);
    put64(bytes + SEQUENCE_AT, superblock->sequence);
    memcpy(bytes + ID_AT, superblock->id, DSQ_FILE_ID_BYTES);
    memcpy(bytes + MAC_AT, superblock->mac, DSQ_SUPERBLOCK_MAC_BYTES);
    checksum(bytes, bytes + CHECKSUM_AT);
}

static bool is_whole(const unsigned char *bytes)
{
    unsigned char sum[CHECKSUM_BYTES];
    checksum(bytes, sum);
    return memcmp(bytes, DSQ_SUPERBLOCK_MAGIC, DSQ_SUPERBLOCK_MAGIC_BYTES) == 0 &&
           memcmp(sum, bytes + CHECKSUM_AT, sizeof sum) == 0;
}

static int check_kinds(const unsigned char *bytes, struct dsq_error *error)
{
    uint32_t format = get32(bytes + FORMAT_AT);
    uint32_t cipher = get32(bytes + CIPHER_AT);
    if (format != DSQ_SUPERBLOCK_FORMAT) {
        return dsq_error_set(error, DSQ_ERR_FORMAT,
                             "the file is encrypted in format %u; this build reads format %d",
                             (unsigned)format, DSQ_SUPERBLOCK_FORMAT);
    }
    if ((cipher != DSQ_SEAL_AES256GCM && cipher != DSQ_SEAL_XCHACHA20POLY1305) ||
        get32(bytes + KDF_AT) != DSQ_KDF_ARGON2ID ||
        get32(bytes + PAGE_BYTES_AT) != DSQ_SEALED_PAGE_BYTES) {
        return dsq_error_set(error, DSQ_ERR_FORMAT,
                             "the file is encrypted in a way that this build does not know");
    }
    return DSQ_OK;
}

static int check_limits(const struct dsq_superblock *superblock, struct dsq_error *error)
{
    if (superblock->kdf_operations < DSQ_KDF_OPERATIONS_MIN ||
        superblock->kdf_operations > DSQ_KDF_OPERATIONS_MAX ||
        superblock->kdf_memory < DSQ_KDF_MEMORY_MIN ||
        superblock->kdf_memory > DSQ_KDF_MEMORY_MAX) {
        return dsq_error_set(error, DSQ_ERR_CORRUPT,
                             "the file's superblock has limits of Argon2id that nobody sets (%llu "
                             "passes over %llu bytes): it was changed",
                             (unsigned long long)superblock->kdf_operations,
                             (unsigned long long)superblock->kdf_memory);
    }
    return DSQ_OK;
}

/* Zeros that are none, say, which the mac does not cover as they stand. */
static int check_rest(const unsigned char *bytes, const struct dsq_superblock *superblock,
                      struct dsq_error *error)
{
    unsigned char expected[DSQ_SUPERBLOCK_BYTES];
    dsq_superblock_encode(superblock, expected);
    return memcmp(bytes, expected, sizeof expected) == 0
               ? DSQ_OK
               : dsq_error_set(error, DSQ_ERR_CORRUPT, "the file's superblock was changed");
}

int dsq_superblock_decode(const unsigned char *bytes, struct dsq_superblock *superblock,
                          struct dsq_error *error)
{
    if (!is_whole(bytes)) {
        return dsq_error_set(error, DSQ_ERR_CORRUPT, "the file's superblock is damaged");
    }
    int status = check_kinds(bytes, error);
    if (status != DSQ_OK) {
        return status;
    }
    superblock->cipher = get32(bytes + CIPHER_AT);
    superblock->kdf_operations = get64(bytes + KDF_OPERATIONS_AT);
    superblock->kdf_memory = get64(bytes + KDF_MEMORY_AT);
    memcpy(superblock->kdf_salt, bytes + KDF_SALT_AT, DSQ_KDF_SALT_BYTES);
    memcpy(superblock->wrap_nonce, bytes + WRAP_NONCE_AT, DSQ_WRAP_NONCE_BYTES);
    memcpy(superblock->wrapped, bytes + WRAPPED_AT, DSQ_WRAPPED_BYTES);
    superblock->complete = get32(bytes + COMPLETE_AT) != 0;
    superblock->sequence = get64(bytes + SEQUENCE_AT);
    memcpy(superblock->id, bytes + ID_AT, DSQ_FILE_ID_BYTES);
    memcpy(superblock->mac, bytes + MAC_AT, DSQ_SUPERBLOCK_MAC_BYTES);
    status = check_limits(superblock, error);
    return status == DSQ_OK ? check_rest(bytes, superblock, error) : status;
}

int dsq_superblock_choose(const unsigned char *header, struct dsq_superblock *superblock,
                          int *which, struct dsq_error *error)
{
    struct dsq_superblock second;
    int status = dsq_superblock_decode(header, superblock, error);
    int other = dsq_superblock_decode(header + DSQ_SUPERBLOCK_STRIDE, &second,
                                      status == DSQ_ERR_CORRUPT ? error : NULL);
    *which = 0;
    if (other == DSQ_OK && (status != DSQ_OK || second.sequence > superblock->sequence)) {
        *superblock = second;
        *which = 1;
        return DSQ_OK;
    }
    return status == DSQ_ERR_CORRUPT ? other : status;
}
