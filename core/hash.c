#include "core/hash.h"

#include <errno.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/error.h"

_Static_assert(DSQ_HASH_SECRET_BYTES >= XXH3_SECRET_SIZE_MIN, "XXH3 takes the whole secret");

int dsq_hash_secret_init(struct dsq_hash_secret *secret, struct dsq_error *error)
{
    size_t filled = 0;

    while (filled < sizeof secret->bytes) {
        ssize_t got = getrandom(secret->bytes + filled, sizeof secret->bytes - filled, 0);

        if (got < 0 && errno != EINTR) {
            return dsq_error_set(error, DSQ_ERR_IO, "the kernel gives no random bytes: %s",
                                 strerror(errno));
        }
        filled += got > 0 ? (size_t)got : 0;
    }
    return DSQ_OK;
}

uint64_t dsq_hash(const struct dsq_hash_secret *secret, struct dsq_bytes key)
{
    return XXH3_64bits_withSecret(key.data, key.size, secret->bytes, sizeof secret->bytes);
}

uint64_t dsq_checksum(struct dsq_bytes bytes, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes.data, bytes.size, seed);
}
