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

#define GCM_PLAIN                                                                                  \
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"                             \
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
#define GCM_SEALED                                                                                 \
    "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"                             \
    "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
#define GCM_KEY "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"
#define ZEROS_12 "000000000000000000000000"
#define ZEROS_16 "00000000000000000000000000000000"

/*
 * McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 13 to 16: those with a key of 256
 * bits and a nonce of 96.
 */
static const struct {
    const char *key;
    const char *nonce;
    const char *plain;
    const char *data;
    const char *sealed;
    const char *tag;
} gcm_cases[] = {
    {ZEROS_16 ZEROS_16, ZEROS_12, "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
    {ZEROS_16 ZEROS_16, ZEROS_12, ZEROS_16, "", "cea7403d4d606b6e074ec5d3baf39d18",
     "d0d1c8a799996bf0265b98b5d48ab919"},
    {GCM_KEY, "cafebabefacedbaddecaf888", GCM_PLAIN "1aafd255", "", GCM_SEALED "898015ad",
     "b094dac5d93471bdec1a502270e3cc6c"},
    {GCM_KEY, "cafebabefacedbaddecaf888", GCM_PLAIN, "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     GCM_SEALED, "76fc6ece0f4e1768cddf8853bb2d551b"},
};

Test(vectors, aes_256_gcm)
{
    if (!crypto_aead_aes256gcm_is_available()) {
        cr_skip_test("this processor has no AES");
    }
    for (size_t i = 0; i < sizeof gcm_cases / sizeof gcm_cases[0]; i++) {
        unsigned char key[32];
        unsigned char nonce[12];
        unsigned char plain[64];
        unsigned char data[20];
        unsigned char expected[64];
        unsigned char expected_tag[16];
        unsigned char sealed[64];
        unsigned char tag[16];
        from_hex(gcm_cases[i].key, key);
        from_hex(gcm_cases[i].nonce, nonce);
        size_t size = from_hex(gcm_cases[i].plain, plain);
        size_t data_size = from_hex(gcm_cases[i].data, data);
        cr_assert_eq(from_hex(gcm_cases[i].sealed, expected), size);
        from_hex(gcm_cases[i].tag, expected_tag);
        crypto_aead_aes256gcm_encrypt_detached(sealed, tag, NULL, plain, size, data, data_size,
                                               NULL, nonce, key);
        cr_assert_eq(memcmp(sealed, expected, size), 0, "row %zu", i);
        cr_assert_arr_eq(tag, expected_tag, sizeof tag, "row %zu", i);
    }
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

/* BLAKE2's own keyed vectors (blake2b-kat.txt): of no bytes, of one, of 255. */
Test(vectors, blake2b)
{
    static const struct {
        size_t size;
        const char *hash;
    } cases[] = {
        {0, "10ebb67700b1868efb4417987acf4690ae9d972fb7a590c2f02871799aaa4786"
            "b5e996e8f0f4eb981fc214b005f42d2ff4233499391653df7aefcbc13fc51568"},
        {1, "961f6dd1e4dd30f63901690c512e78e4b45e4742ed197c3c5e45c549fd25f2e4"
            "187b0bc9fe30492b16b0d0bc4ef9b0f34c7003fac09a5ef1532e69430234cebd"},
        {255, "142709d62e28fcccd0af97fad0f8465b971e82201dc51070faa0372aa43e9248"
              "4be1c1e73ba10906d5d1853db6a4106e0a7bf9800d373d6dee2d46d62ef2a461"},
    };
    unsigned char key[64];
    unsigned char input[255];
    count_up(key, sizeof key, 0);
    count_up(input, sizeof input, 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned char expected[64];
        unsigned char hash[64];
        from_hex(cases[i].hash, expected);
        crypto_generichash(hash, sizeof hash, input, cases[i].size, key, sizeof key);
        cr_assert_arr_eq(hash, expected, sizeof hash, "of %zu bytes", cases[i].size);
    }
}

/* libsodium's own vectors (pwhash_argon2id), of those the fifth and the seventh. */
Test(vectors, argon2id)
{
    static const struct {
        const char *password;
        const char *salt;
        unsigned long long operations;
        size_t memory;
        const char *key;
    } cases[] = {
        {"4a857e2ee8aa9b6056f2424e84d24a72473378906ee04a46cb05311502d5250b"
         "82ad86b83c8f20a23dbb74f6da60b0b6ecffd67134d45946ac8ebfb3064294bc"
         "097d43ced68642bfb8bbbdd0f50b30118f5e",
         "39d82eef32010b8b79cc5ba88ed539fb", 3, 1432947,
         "08d8cd330c57e1b4643241d05bb468ba4ee4e932cd0858816be9ef15360b27bb"
         "d06a87130ee92222be267a29b81f5ae8fe8613324cfc4832dc49387fd0602f1c"
         "57b4d0f3855db94fb7e12eb05f9a484aed4a4307abf586cd3d55c809bc081541"
         "e00b682772fb2066504ff935b8ebc551a2083882f874bc0fae68e56848ae34c9"
         "1097c3bf0cca8e75c0797eef3efde3f75e005815018db3cf7c109a812264c4de"
         "69dcb22322dbbcfa447f5b00ecd1b04a7be1569c8e556adb7bba48adf81d"},
        {"b540beb016a5366524d4605156493f9874514a5aa58818cd0c6dfffaa9e90205f17b",
         "44071f6d181561670bda728d43fb79b4", 1, 1631659,
         "7fb72409b0987f8190c3729710e98c3f80c5a8727d425fdcde7f3644d467fe97"
         "3f5b5fee683bd3fce812cb9ae5e9921a2d06c2f1905e4e839692f2b934b682f1"
         "1a2fe2b90482ea5dd234863516dba6f52dc0702d324ec77d860c2e181f84472b"
         "d7104fedce071ffa93c5309494ad51623d214447a7b2b1462dc7d5d55a1f6fd5"
         "b54ce024118d86f0c6489d16545aaa87b6689dad9f2fb47fda9894f8e12b87d9"
         "78b483ccd4cc5fd9595cdc7a818452f915ce2f7df95ec12b1c72e3788d473441"
         "d884f9748eb14703c21b45d82fd667b85f5b2d98c13303b3fe76285531a826b6"
         "fc0fe8e3dddecf"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned char password[128];
        unsigned char salt[16];
        unsigned char expected[256];
        unsigned char key[256];
        size_t password_size = from_hex(cases[i].password, password);
        size_t size = from_hex(cases[i].key, expected);
        from_hex(cases[i].salt, salt);
        cr_assert_eq(crypto_pwhash(key, size, (const char *)password, password_size, salt,
                                   cases[i].operations, cases[i].memory,
                                   crypto_pwhash_ALG_ARGON2ID13),
                     0);
        cr_assert_eq(memcmp(key, expected, size), 0, "row %zu", i);
    }
}

/* The first of Argon2id in the test of its reference implementation. */
Test(vectors, argon2id_of_the_reference_implementation)
{
    static const char expected[crypto_pwhash_STRBYTES] =
        "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    cr_assert_eq(crypto_pwhash_str_verify(expected, "password", 8), 0);
}

/* As OpenSSL 3 computes it: one lane, 2 passes over 19 MiB. */
Test(vectors, argon2id_at_the_floor)
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
