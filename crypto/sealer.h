/*
 * The codec of a sealed file: AES-256-GCM, or XChaCha20-Poly1305, of libsodium.
 *
 * A seal is a nonce of 24 bytes and a tag of 16.  The nonce is
 *
 *     0   session   16 random bytes, drawn whenever a sealer is made
 *     16  counter   64 bits, one more with every seal
 *
 * and no two seals under a key have the same one:
 *
 *   within a sealer  the counter is taken by an atomic increment, and 2^64 are not reached;
 *   across opens and crashes  each open makes a sealer, with a session of its own: of n opens of all
 *                    copies of a file two collide with a probability of n^2 / 2^129;
 *   copies of a file (and whole virtual machines) that are opened on their own draw their own sessions
 *                    after they parted: the kernel's generator is what is trusted;
 *   forks            a child does not seal with its parent's sealer: it is refused, by the number of
 *                    forks that the process has behind it.
 *
 * XChaCha20-Poly1305 takes the nonce as it is.  AES-256-GCM has room for 96 bits only: the session
 * makes its key (BLAKE2b of the session under the file's key for pages), and the counter, with four
 * zeros, its nonce, which thus never repeats under that key.  A session seals less than 2^40 pages,
 * 2^48 blocks, which leaves GCM's bound at 2^-33.
 *
 * The place of a piece and the identity of its file are associated data.
 */
#ifndef DSQ_CRYPTO_SEALER_H
#define DSQ_CRYPTO_SEALER_H

#include "core/codec.h"
#include "crypto/superblock.h"

struct dsq_sealer;

/*
 * Makes a sealer for the pages' key, which is copied into guarded memory.  NULL when out of memory.
 * The cipher must be one that this machine has: dsq_sealer_has.
 */
struct dsq_sealer *dsq_sealer_new(enum dsq_seal_cipher cipher, const unsigned char *key,
                                  const unsigned char *file_id);

bool dsq_sealer_has(enum dsq_seal_cipher cipher);

struct dsq_codec *dsq_sealer_codec(struct dsq_sealer *sealer);

/* Wipes and frees.  NULL is allowed. */
void dsq_sealer_free(struct dsq_sealer *sealer);

#endif
