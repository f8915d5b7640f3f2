#include "crypto/sealer.h"

#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "core/atomic.h"
#include "core/reclaim.h"

#define SESSION_BYTES 16
#define COUNTER_BYTES 8
#define NONCE_BYTES (SESSION_BYTES + COUNTER_BYTES)
#define TAG_BYTES 16
#define PLACE_BYTES (DSQ_FILE_ID_BYTES + 20)

_Static_assert(NONCE_BYTES + TAG_BYTES == DSQ_SEAL_BYTES, "a seal is a nonce and a tag");
_Static_assert(NONCE_BYTES == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "a nonce fits XChaCha");

/* Keys of sessions that are kept; as many pieces can be opened at a time without making one. */
#define LANES 32

/*
 * The key of one session, used by one thread at a time, who takes it by `busy` (acquire) and gives it
 * back (release).  Whoever finds it busy goes to the next lane.
 */
struct lane {
    crypto_aead_aes256gcm_state state;
    unsigned char session[SESSION_BYTES];
    _Atomic bool busy;
    bool is_set;
};

/* All of it lies in guarded memory. */
struct dsq_sealer {
    struct lane lanes[LANES];
    struct dsq_codec codec;
    enum dsq_seal_cipher cipher;
    unsigned char key[DSQ_KEY_BYTES];
    unsigned char file_id[DSQ_FILE_ID_BYTES];
    unsigned char session[SESSION_BYTES];
    _Atomic uint64_t counter;
    uint64_t fork_generation;
};

static struct dsq_sealer *sealer_of(struct dsq_codec *codec)
{
    return (struct dsq_sealer *)(void *)((unsigned char *)codec -
                                         offsetof(struct dsq_sealer, codec));
}

static void put_number(unsigned char *bytes, uint64_t number, int size)
{
    for (int i = 0; i < size; i++) {
        bytes[i] = (unsigned char)(number >> (8 * i));
    }
}

static void name_place(const struct dsq_sealer *sealer, const struct dsq_seal_place *place,
                       unsigned char *name)
{
    memcpy(name, sealer->file_id, DSQ_FILE_ID_BYTES);
    put_number(name + DSQ_FILE_ID_BYTES, place->kind, 4);
    put_number(name + DSQ_FILE_ID_BYTES + 4, place->generation, 8);
    put_number(name + DSQ_FILE_ID_BYTES + 12, place->number, 8);
}

static void set_lane(struct dsq_sealer *sealer, struct lane *lane, const unsigned char *session)
{
    unsigned char key[DSQ_KEY_BYTES];
    crypto_generichash(key, sizeof key, session, SESSION_BYTES, sealer->key, sizeof sealer->key);
    crypto_aead_aes256gcm_beforenm(&lane->state, key);
    sodium_memzero(key, sizeof key);
    memcpy(lane->session, session, SESSION_BYTES);
    lane->is_set = true;
}

/* The key of a session, taken for this thread. */
static struct lane *take_lane(struct dsq_sealer *sealer, const unsigned char *session)
{
    for (unsigned i = session[0];; i++) {
        struct lane *lane = &sealer->lanes[i % LANES];
        bool free = false;
        if (!dsq_cas_acq_rel(&lane->busy, &free, true)) {
            continue;
        }
        if (!lane->is_set || memcmp(lane->session, session, SESSION_BYTES) != 0) {
            set_lane(sealer, lane, session);
        }
        return lane;
    }
}

static void give_lane(struct lane *lane)
{
    dsq_store_release(&lane->busy, false);
}

/* The part of a nonce that AES-256-GCM takes. */
static void gcm_nonce(const unsigned char *nonce, unsigned char *short_nonce)
{
    memset(short_nonce, 0, crypto_aead_aes256gcm_NPUBBYTES);
    memcpy(short_nonce, nonce + SESSION_BYTES, COUNTER_BYTES);
}

static bool seal(struct dsq_codec *codec, const struct dsq_seal_place *place,
                 const unsigned char *plain, size_t size, unsigned char *sealed,
                 unsigned char *nonce)
{
    struct dsq_sealer *sealer = sealer_of(codec);
    unsigned char *tag = nonce + NONCE_BYTES;
    unsigned char name[PLACE_BYTES];
    if (sealer->fork_generation != dsq_fork_generation()) {
        return false;
    }
    name_place(sealer, place, name);
    memcpy(nonce, sealer->session, SESSION_BYTES);
    put_number(nonce + SESSION_BYTES, dsq_add_relaxed(&sealer->counter, 1), COUNTER_BYTES);
    if (sealer->cipher == DSQ_SEAL_AES256GCM) {
        unsigned char short_nonce[crypto_aead_aes256gcm_NPUBBYTES];
        struct lane *lane = take_lane(sealer, sealer->session);
        gcm_nonce(nonce, short_nonce);
        crypto_aead_aes256gcm_encrypt_detached_afternm(sealed, tag, NULL, plain, size, name,
                                                       sizeof name, NULL, short_nonce,
                                                       (const void *)&lane->state);
        give_lane(lane);
    } else {
        crypto_aead_xchacha20poly1305_ietf_encrypt_detached(sealed, tag, NULL, plain, size, name,
                                                            sizeof name, NULL, nonce, sealer->key);
    }
    return true;
}

static bool open_sealed(struct dsq_codec *codec, const struct dsq_seal_place *place,
                        unsigned char *bytes, size_t size, const unsigned char *nonce)
{
    struct dsq_sealer *sealer = sealer_of(codec);
    const unsigned char *tag = nonce + NONCE_BYTES;
    unsigned char name[PLACE_BYTES];
    int result;
    name_place(sealer, place, name);
    if (sealer->cipher == DSQ_SEAL_AES256GCM) {
        unsigned char short_nonce[crypto_aead_aes256gcm_NPUBBYTES];
        struct lane *lane = take_lane(sealer, nonce);
        gcm_nonce(nonce, short_nonce);
        result = crypto_aead_aes256gcm_decrypt_detached_afternm(bytes, NULL, bytes, size, tag, name,
                                                                sizeof name, short_nonce,
                                                                (const void *)&lane->state);
        give_lane(lane);
    } else {
        result = crypto_aead_xchacha20poly1305_ietf_decrypt_detached(
            bytes, NULL, bytes, size, tag, name, sizeof name, nonce, sealer->key);
    }
    if (result != 0) {
        sodium_memzero(bytes, size);
    }
    return result == 0;
}

bool dsq_sealer_has(enum dsq_seal_cipher cipher)
{
    if (sodium_init() < 0) {
        return false;
    }
    return cipher == DSQ_SEAL_XCHACHA20POLY1305 ||
           (cipher == DSQ_SEAL_AES256GCM && crypto_aead_aes256gcm_is_available() != 0);
}

struct dsq_sealer *dsq_sealer_new(enum dsq_seal_cipher cipher, const unsigned char *key,
                                  const unsigned char *file_id)
{
    /* sodium_malloc ends its memory at a page's end: aligned as the size is. */
    struct dsq_sealer *sealer = sodium_malloc(sizeof *sealer);
    if (sealer == NULL) {
        return NULL;
    }
    memset(sealer, 0, sizeof *sealer);
    sealer->codec = (struct dsq_codec){.seal = seal, .open = open_sealed};
    sealer->cipher = cipher;
    memcpy(sealer->key, key, DSQ_KEY_BYTES);
    memcpy(sealer->file_id, file_id, DSQ_FILE_ID_BYTES);
    randombytes_buf(sealer->session, sizeof sealer->session);
    dsq_fork_watch();
    sealer->fork_generation = dsq_fork_generation();
    return sealer;
}

struct dsq_codec *dsq_sealer_codec(struct dsq_sealer *sealer)
{
    return &sealer->codec;
}

void dsq_sealer_free(struct dsq_sealer *sealer)
{
    sodium_free(sealer);
}
