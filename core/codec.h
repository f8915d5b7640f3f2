/*
 * Sealing: what the files (persist/sealed_vfs.h) ask of the ciphers (crypto/), which do not see each
 * other.
 *
 * A codec seals pieces of a file, each at its place; a vault makes the codec of a file from what the
 * file begins with (its superblock) and a password.
 */
#ifndef DSQ_CORE_CODEC_H
#define DSQ_CORE_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

/* Nonce and tag: what a seal takes beside what it seals. */
#define DSQ_SEAL_BYTES 40

/* What a sealed file begins with. */
#define DSQ_SUPERBLOCK_MAGIC "dictsqlite seal"
#define DSQ_SUPERBLOCK_MAGIC_BYTES 16 /* with its zero */

/* Of every sealed file; recorded in its superblock. */
#define DSQ_SEALED_PAGE_BYTES 4096

/*
 * A sealed file begins with two copies of its superblock, each within one sector so that writing it
 * is atomic; the first page follows.
 */
#define DSQ_SUPERBLOCK_BYTES 512
#define DSQ_SUPERBLOCK_COPIES 2
#define DSQ_SUPERBLOCK_STRIDE 4096
#define DSQ_SEALED_HEADER_BYTES 8192

_Static_assert(DSQ_SEALED_HEADER_BYTES == DSQ_SUPERBLOCK_COPIES * DSQ_SUPERBLOCK_STRIDE,
               "the header holds the copies");

enum dsq_seal_kind {
    DSQ_SEAL_PAGE = 1,         /* of the main file */
    DSQ_SEAL_WAL_HEADER = 2,   /* of the write-ahead log */
    DSQ_SEAL_FRAME_HEADER = 3, /* of a frame of the log */
    DSQ_SEAL_FRAME_PAGE = 4,   /* the page in a frame of the log */
    DSQ_SEAL_TEMPORARY = 5,    /* of a temporary file */
};

/* Where a piece belongs; authenticated with it, so that it opens nowhere else. */
struct dsq_seal_place {
    enum dsq_seal_kind kind;
    uint64_t generation; /* of the log: changes whenever it begins anew */
    uint64_t number;     /* of the page or the frame */
};

struct dsq_codec {
    /*
     * Encrypts `size` bytes of plain into sealed (which may be the same) and writes DSQ_SEAL_BYTES
     * to seal.  False in a forked child, which must not use its parent's nonces.  Any thread.
     */
    bool (*seal)(struct dsq_codec *codec, const struct dsq_seal_place *place,
                 const unsigned char *plain, size_t size, unsigned char *sealed,
                 unsigned char *seal);

    /* Decrypts in place; false, with the bytes wiped, if they were not sealed there.  Any thread. */
    bool (*open)(struct dsq_codec *codec, const struct dsq_seal_place *place, unsigned char *bytes,
                 size_t size, const unsigned char *seal);
};

struct dsq_vault;

/* What a superblock says beside the keys. */
struct dsq_unlocked {
    bool complete; /* the creation of the file was finished */
    int newest;    /* which of the copies it was */
};

struct dsq_vault_ops {
    /* Draws the keys of a new file. */
    int (*create)(struct dsq_vault *vault, struct dsq_error *error);

    /*
     * Takes the keys out of the DSQ_SEALED_HEADER_BYTES that a file begins with.
     *
     * DSQ_ERR_PASSWORD     it is not the file's password
     * DSQ_ERR_FORMAT       a newer format
     * DSQ_ERR_UNSUPPORTED  a cipher that this machine does not have
     * DSQ_ERR_CORRUPT      neither copy of the superblock is whole, or limits that nobody sets
     */
    int (*unlock)(struct dsq_vault *vault, const unsigned char *header,
                  struct dsq_unlocked *unlocked, struct dsq_error *error);

    /* Once created or unlocked: the superblock to be written next, newer than any before. */
    void (*superblock)(struct dsq_vault *vault, bool complete, unsigned char *superblock);

    /* Another vault with the same keys and password, for a copy of the file, with a new identity. */
    int (*copy)(struct dsq_vault *vault, struct dsq_vault **copy, struct dsq_error *error);

    /* Of the created or unlocked vault, valid as long as that. */
    struct dsq_codec *(*codec)(struct dsq_vault *vault);

    /* Wipes and frees.  NULL is allowed by dsq_vault_destroy. */
    void (*destroy)(struct dsq_vault *vault);
};

/* First member of every implementation. */
struct dsq_vault {
    const struct dsq_vault_ops *ops;
};

static inline void dsq_vault_destroy(struct dsq_vault *vault)
{
    if (vault != NULL) {
        vault->ops->destroy(vault);
    }
}

#endif
