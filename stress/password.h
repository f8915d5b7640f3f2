/* The password of the stores that a stress program encrypts (--encrypt 1). */
#ifndef DSQ_STRESS_PASSWORD_H
#define DSQ_STRESS_PASSWORD_H

#include <stdint.h>

#include <dictsqlite.h>

#define STRESS_PASSWORD "stress"
#define STRESS_ENCRYPT_MEANING "1: with a password; 2: with XChaCha20-Poly1305"

/* The least limits there are, since stores are opened many times; nothing if encrypt is 0. */
static inline void stress_encrypt(struct dsq_options *options, uint64_t encrypt)
{
    if (encrypt != 0) {
        options->password = STRESS_PASSWORD;
        options->password_size = sizeof STRESS_PASSWORD - 1;
        options->cipher = encrypt == 2 ? DSQ_CIPHER_XCHACHA20POLY1305 : DSQ_CIPHER_DEFAULT;
        options->kdf_operations = 2;
        options->kdf_memory = (uint64_t)19 * 1024 * 1024;
    }
}

#endif
