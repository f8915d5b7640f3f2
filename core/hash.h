/*
 * The keyed hash of a handle.
 *
 * XXH3 (64 bits, xxHash's header-only library) with a secret of its own for every handle, drawn
 * from the kernel, so that no key set chosen in advance collides.  The value is never stored on
 * disk.  docs/decisions/0001-hash.md has the choice and the measurements.
 */
#ifndef DSQ_CORE_HASH_H
#define DSQ_CORE_HASH_H

#include <stdint.h>

#include "core/bytes.h"
#include "core/status.h"

#define DSQ_HASH_SECRET_BYTES 192

struct dsq_hash_secret {
    uint8_t bytes[DSQ_HASH_SECRET_BYTES];
};

/* Draws a secret.  DSQ_ERR_IO if the kernel gives no randomness. */
int dsq_hash_secret_init(struct dsq_hash_secret *secret, struct dsq_error *error);

uint64_t dsq_hash(const struct dsq_hash_secret *secret, struct dsq_bytes key);

/* XXH3 (64 bits) with a seed, the same on every machine: against damage, not against an attacker. */
uint64_t dsq_checksum(struct dsq_bytes bytes, uint64_t seed);

#endif
