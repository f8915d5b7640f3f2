/* The reader of superblocks: whatever is accepted is what would be written for it. */
#include <stdlib.h>

#include <sodium.h>

#include "crypto/superblock.h"
#include "stress/fuzz/input.h"

#define CHECKSUM_AT 496
#define CHECKSUM_BYTES 16

static void make_whole(unsigned char *copy)
{
    memcpy(copy, DSQ_SUPERBLOCK_MAGIC, DSQ_SUPERBLOCK_MAGIC_BYTES);
    crypto_generichash(copy + CHECKSUM_AT, CHECKSUM_BYTES, copy, CHECKSUM_AT, NULL, 0);
}

static void check(const struct dsq_superblock *superblock)
{
    unsigned char bytes[DSQ_SUPERBLOCK_BYTES];
    struct dsq_superblock again = {0};
    if (superblock->kdf_memory < DSQ_KDF_MEMORY_MIN ||
        superblock->kdf_memory > DSQ_KDF_MEMORY_MAX ||
        superblock->kdf_operations < DSQ_KDF_OPERATIONS_MIN ||
        superblock->kdf_operations > DSQ_KDF_OPERATIONS_MAX) {
        abort();
    }
    dsq_superblock_encode(superblock, bytes);
    if (dsq_superblock_decode(bytes, &again, NULL) != DSQ_OK ||
        again.sequence != superblock->sequence || again.cipher != superblock->cipher ||
        memcmp(again.wrapped, superblock->wrapped, sizeof again.wrapped) != 0) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct fuzz_input input = {bytes, size};
    unsigned char header[DSQ_SEALED_HEADER_BYTES] = {0};
    struct dsq_superblock superblock;
    struct dsq_error error;
    int which;
    uint64_t whole = fuzz_take(&input, 1);
    if (sodium_init() < 0) {
        abort();
    }
    for (int copy = 0; copy < DSQ_SUPERBLOCK_COPIES; copy++) {
        unsigned char *at = header + (size_t)copy * DSQ_SUPERBLOCK_STRIDE;
        fuzz_take_bytes(&input, at, DSQ_SUPERBLOCK_BYTES);
        if ((whole >> copy & 1) != 0) {
            make_whole(at);
        }
    }
    if (dsq_superblock_choose(header, &superblock, &which, &error) == DSQ_OK) {
        check(&superblock);
    }
    return 0;
}
