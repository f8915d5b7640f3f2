/* The primitives are what they are said to be: published vectors, given to libsodium. */
#include <sodium.h>

#include "tests/crypto/fixture.h"

static const char sunscreen[] = "Ladies and Gentlemen of the class of '99: If I could offer you "
                                "only one tip for the future, sunscreen would be it.";
#define SUNSCREEN_BYTES (sizeof sunscreen - 1)
static const char sunscreen_data[] = "50515253c0c1c2c3c4c5c6c7";

static void start(void)
{
    cr_assert_geq(sodium_init(), 0);
}

TestSuite(vectors, .init = start);

/* McGrew and Viega, "The Galois/Counter Mode of Operation", test case 16. */
Test(vectors, aes_256_gcm)
{
    unsigned char key[32];
    unsigned char nonce[12];
    unsigned char plain[60];
    unsigned char data[20];
    unsigned char expected[60];
    unsigned char expected_tag[16];
    unsigned char sealed[60];
    unsigned char tag[16];
    if (!crypto_aead_aes256gcm_is_available()) {
        cr_skip_test("this processor has no AES");
    }
    from_hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", key);
    from_hex("cafebabefacedbaddecaf888", nonce);
    from_hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
             "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
             plain);
    from_hex("feedfacedeadbeeffeedfacedeadbeefabaddad2", data);
    from_hex("522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
             "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
             expected);
    from_hex("76fc6ece0f4e1768cddf8853bb2d551b", expected_tag);
    crypto_aead_aes256gcm_encrypt_detached(sealed, tag, NULL, plain, sizeof plain, data,
                                           sizeof data, NULL, nonce, key);
    cr_assert_arr_eq(sealed, expected, sizeof expected);
    cr_assert_arr_eq(tag, expected_tag, sizeof tag);
}

/* RFC 8439, section 2.8.2. */
Test(vectors, chacha20_poly1305)
{
    unsigned char key[32];
    unsigned char nonce[12];
    unsigned char data[12];
    unsigned char expected[SUNSCREEN_BYTES + 16];
    unsigned char sealed[SUNSCREEN_BYTES + 16];
    count_up(key, sizeof key, 0x80);
    from_hex("070000004041424344454647", nonce);
    from_hex(sunscreen_data, data);
    from_hex("d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
             "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
             "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
             "3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691",
             expected);
    crypto_aead_chacha20poly1305_ietf_encrypt(sealed, NULL, (const unsigned char *)sunscreen,
                                              SUNSCREEN_BYTES, data, sizeof data, NULL, nonce, key);
    cr_assert_arr_eq(sealed, expected, sizeof expected);
}

/* draft-irtf-cfrg-xchacha-03, appendix A.3.1. */
Test(vectors, xchacha20_poly1305)
{
    unsigned char key[32];
    unsigned char nonce[24];
    unsigned char data[12];
    unsigned char expected[SUNSCREEN_BYTES + 16];
    unsigned char sealed[SUNSCREEN_BYTES + 16];
    count_up(key, sizeof key, 0x80);
    count_up(nonce, sizeof nonce, 0x40);
    from_hex(sunscreen_data, data);
    from_hex("bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb"
             "731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452"
             "2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
             "21f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49",
             expected);
    crypto_aead_xchacha20poly1305_ietf_encrypt(sealed, NULL, (const unsigned char *)sunscreen,
                                               SUNSCREEN_BYTES, data, sizeof data, NULL, nonce,
                                               key);
    cr_assert_arr_eq(sealed, expected, sizeof expected);
}

/* The first of BLAKE2's own keyed vectors (blake2b-kat.txt). */
Test(vectors, blake2b)
{
    unsigned char key[64];
    unsigned char expected[64];
    unsigned char hash[64];
    count_up(key, sizeof key, 0);
    from_hex("10ebb67700b1868efb4417987acf4690ae9d972fb7a590c2f02871799aaa4786"
             "b5e996e8f0f4eb981fc214b005f42d2ff4233499391653df7aefcbc13fc51568",
             expected);
    crypto_generichash(hash, sizeof hash, NULL, 0, key, sizeof key);
    cr_assert_arr_eq(hash, expected, sizeof hash);
}

/* As OpenSSL 3 computes it: one lane, 2 passes over 19 MiB. */
Test(vectors, argon2id)
{
    unsigned char salt[16];
    unsigned char expected[32];
    unsigned char key[32];
    count_up(salt, sizeof salt, 0);
    from_hex("d00b90c40f918cf889780d7d3a9ec3c2b1719df87dc5e4d4d93ea6163db04e17", expected);
    cr_assert_eq(crypto_pwhash(key, sizeof key, "correct horse", 13, salt, 2,
                               (size_t)19 * 1024 * 1024, crypto_pwhash_ALG_ARGON2ID13),
                 0);
    cr_assert_arr_eq(key, expected, sizeof key);
}

/* As hashlib computes it: BLAKE2b with the number as salt and the context as personalization. */
Test(vectors, key_derivation)
{
    unsigned char master[32];
    unsigned char expected[32];
    unsigned char key[32];
    count_up(master, sizeof master, 0);
    from_hex("801a7e5ba08dd4e0066bda17900462df8efd20800710fb2d1be84b6e2f357376", expected);
    crypto_kdf_derive_from_key(key, sizeof key, 1, "dsqpages", master);
    cr_assert_arr_eq(key, expected, sizeof key);
}
