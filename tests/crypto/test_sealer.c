#include "crypto/sealer.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sodium.h>

#include "tests/crypto/fixture.h"

#define SIZE_MAX_TRIED 4056
#define NONCE_BYTES 24

static const enum dsq_seal_cipher ciphers[] = {DSQ_SEAL_AES256GCM, DSQ_SEAL_XCHACHA20POLY1305};
static const struct dsq_seal_place somewhere = {DSQ_SEAL_FRAME_PAGE, 0x0123456789abcdef, 42};

static unsigned char key[DSQ_KEY_BYTES];
static unsigned char file_id[DSQ_FILE_ID_BYTES];

static void start(void)
{
    count_up(key, sizeof key, 0);
    count_up(file_id, sizeof file_id, 0x60);
    cr_assert(dsq_sealer_has(DSQ_SEAL_XCHACHA20POLY1305));
}

TestSuite(sealer, .init = start, .timeout = 60);

static struct dsq_sealer *make(enum dsq_seal_cipher cipher)
{
    struct dsq_sealer *sealer = dsq_sealer_new(cipher, key, file_id);
    cr_assert_not_null(sealer);
    return sealer;
}

static bool seal(struct dsq_sealer *sealer, const struct dsq_seal_place *place,
                 const unsigned char *plain, size_t size, unsigned char *sealed,
                 unsigned char *seal_bytes)
{
    struct dsq_codec *codec = dsq_sealer_codec(sealer);
    return codec->seal(codec, place, plain, size, sealed, seal_bytes);
}

static bool opens(struct dsq_sealer *sealer, const struct dsq_seal_place *place,
                  unsigned char *bytes, size_t size, const unsigned char *seal_bytes)
{
    struct dsq_codec *codec = dsq_sealer_codec(sealer);
    return codec->open(codec, place, bytes, size, seal_bytes);
}

/* Runs body with a sealer of each cipher that there is. */
static void with_each(void (*body)(struct dsq_sealer *sealer))
{
    for (size_t i = 0; i < sizeof ciphers / sizeof ciphers[0]; i++) {
        if (dsq_sealer_has(ciphers[i])) {
            struct dsq_sealer *sealer = make(ciphers[i]);
            body(sealer);
            dsq_sealer_free(sealer);
        }
    }
}

static void round_trip(struct dsq_sealer *sealer)
{
    static const size_t sizes[] = {0, 1, 15, 16, 24, 32, 1000, SIZE_MAX_TRIED};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        unsigned char plain[SIZE_MAX_TRIED];
        unsigned char sealed[SIZE_MAX_TRIED];
        unsigned char seal_bytes[DSQ_SEAL_BYTES];
        count_up(plain, sizes[i], (unsigned char)i);
        cr_assert(seal(sealer, &somewhere, plain, sizes[i], sealed, seal_bytes));
        cr_assert(sizes[i] < 15 || memcmp(plain, sealed, sizes[i]) != 0);
        cr_assert(opens(sealer, &somewhere, sealed, sizes[i], seal_bytes));
        cr_assert_eq(memcmp(plain, sealed, sizes[i]), 0);
        /* In place, as pages of the log are. */
        cr_assert(seal(sealer, &somewhere, sealed, sizes[i], sealed, seal_bytes));
        cr_assert(opens(sealer, &somewhere, sealed, sizes[i], seal_bytes));
        cr_assert_eq(memcmp(plain, sealed, sizes[i]), 0);
    }
}

Test(sealer, what_was_sealed_opens)
{
    with_each(round_trip);
}

static void refuses_other_places(struct dsq_sealer *sealer)
{
    static const struct dsq_seal_place others[] = {
        {DSQ_SEAL_PAGE, 0x0123456789abcdef, 42},
        {DSQ_SEAL_FRAME_HEADER, 0x0123456789abcdef, 42},
        {DSQ_SEAL_FRAME_PAGE, 0x0123456789abcdee, 42},
        {DSQ_SEAL_FRAME_PAGE, 0x1123456789abcdef, 42},
        {DSQ_SEAL_FRAME_PAGE, 0x0123456789abcdef, 43},
        {DSQ_SEAL_FRAME_PAGE, 0x0123456789abcdef, UINT64_C(42) << 32},
        {DSQ_SEAL_FRAME_PAGE, 0x0123456789abcdef, (UINT64_C(1) << 32) + 42},
        {DSQ_SEAL_FRAME_PAGE, 0x0123456789abcdef, (UINT64_C(1) << 63) + 42},
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        static const unsigned char zeros[100];
        unsigned char bytes[100];
        unsigned char seal_bytes[DSQ_SEAL_BYTES];
        count_up(bytes, sizeof bytes, 7);
        cr_assert(seal(sealer, &somewhere, bytes, sizeof bytes, bytes, seal_bytes));
        cr_assert_not(opens(sealer, &others[i], bytes, sizeof bytes, seal_bytes));
        cr_assert_arr_eq(bytes, zeros, sizeof bytes, "what does not open is wiped");
    }
}

Test(sealer, nothing_opens_at_another_place)
{
    with_each(refuses_other_places);
}

static void refuses_changed_bits(struct dsq_sealer *sealer)
{
    enum { SIZE = 40 };
    static const unsigned char zeros[SIZE];
    unsigned char sealed[SIZE + DSQ_SEAL_BYTES];
    unsigned char plain[SIZE];
    count_up(plain, sizeof plain, 9);
    cr_assert(seal(sealer, &somewhere, plain, SIZE, sealed, sealed + SIZE));
    for (size_t bit = 0; bit < 8 * sizeof sealed; bit++) {
        unsigned char changed[sizeof sealed];
        memcpy(changed, sealed, sizeof sealed);
        changed[bit / 8] ^= (unsigned char)(1U << (bit % 8));
        cr_assert_not(opens(sealer, &somewhere, changed, SIZE, changed + SIZE), "bit %zu", bit);
        cr_assert_arr_eq(changed, zeros, SIZE, "what does not open is wiped: bit %zu", bit);
    }
    cr_assert(opens(sealer, &somewhere, sealed, SIZE, sealed + SIZE));
}

Test(sealer, no_bit_can_be_changed)
{
    with_each(refuses_changed_bits);
}

Test(sealer, nothing_opens_with_another_key_or_in_another_file)
{
    for (size_t i = 0; i < sizeof ciphers / sizeof ciphers[0]; i++) {
        static const unsigned char zeros[64];
        static const unsigned char plain[64] = "plain";
        unsigned char bytes[64] = "plain";
        unsigned char copy[64];
        unsigned char seal_bytes[DSQ_SEAL_BYTES];
        if (!dsq_sealer_has(ciphers[i])) {
            continue;
        }
        struct dsq_sealer *sealer = make(ciphers[i]);
        cr_assert(seal(sealer, &somewhere, bytes, sizeof bytes, bytes, seal_bytes));
        for (int changed = 0; changed < 3; changed++) {
            key[31] ^= changed == 0;
            file_id[0] ^= changed == 1;
            struct dsq_sealer *other = make(ciphers[i]);
            memcpy(copy, bytes, sizeof bytes);
            cr_assert_eq(opens(other, &somewhere, copy, sizeof copy, seal_bytes), changed == 2);
            cr_assert_arr_eq(copy, changed == 2 ? plain : zeros, sizeof copy);
            dsq_sealer_free(other);
            key[31] ^= changed == 0;
            file_id[0] ^= changed == 1;
        }
        dsq_sealer_free(sealer);
    }
}

/* Computed with hashlib and OpenSSL: the format cannot change unnoticed. */
static const char vector_plain[] = "thirty-two bytes of a plain page";
static const char vector_nonce[] = "404142434445464748494a4b4c4d4e4f0500000000000000";
static const struct {
    enum dsq_seal_cipher cipher;
    const char *tag;
    const char *sealed;
} vectors[] = {
    {DSQ_SEAL_AES256GCM, "58b2ceaf0a7321d0661561fdfb66af75",
     "0cae4402f8fadf6ad2a2a91d82c5cdf72ed2cf0340b25fffecf3499f268eacfb"},
    {DSQ_SEAL_XCHACHA20POLY1305, "fdc4193ab1c5171c7eb48dfc8fcfb7bc",
     "83c3875c058b181df243d716e620f5d4d52a5034b03126cdc4d913331aeb64b3"},
};

Test(sealer, what_the_format_says_opens)
{
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        unsigned char bytes[32];
        unsigned char seal_bytes[DSQ_SEAL_BYTES];
        if (!dsq_sealer_has(vectors[i].cipher)) {
            continue;
        }
        from_hex(vectors[i].sealed, bytes);
        from_hex(vector_nonce, seal_bytes);
        from_hex(vectors[i].tag, seal_bytes + NONCE_BYTES);
        struct dsq_sealer *sealer = make(vectors[i].cipher);
        cr_assert(opens(sealer, &somewhere, bytes, sizeof bytes, seal_bytes));
        cr_assert_eq(memcmp(bytes, vector_plain, sizeof bytes), 0);
        dsq_sealer_free(sealer);
    }
}

static const char *generator_name(void)
{
    return "counts up";
}

static uint32_t draw_word(void)
{
    return 0;
}

static void draw_vector_session(void *bytes, const size_t size)
{
    count_up(bytes, size, 0x40);
}

/* With the session of the vectors drawn: the sixth seal has the counter 5. */
Test(sealer, what_is_sealed_is_what_the_format_says)
{
    static struct randombytes_implementation generator = {
        .implementation_name = generator_name, .random = draw_word, .buf = draw_vector_session};
    cr_assert_eq(randombytes_set_implementation(&generator), 0);
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        unsigned char expected[DSQ_SEAL_BYTES];
        unsigned char sealed[32];
        unsigned char seal_bytes[DSQ_SEAL_BYTES];
        if (!dsq_sealer_has(vectors[i].cipher)) {
            continue;
        }
        struct dsq_sealer *sealer = make(vectors[i].cipher);
        for (int seals = 0; seals < 6; seals++) {
            cr_assert(seal(sealer, &somewhere, (const unsigned char *)vector_plain, sizeof sealed,
                           sealed, seal_bytes));
        }
        from_hex(vector_nonce, expected);
        from_hex(vectors[i].tag, expected + NONCE_BYTES);
        cr_assert_arr_eq(seal_bytes, expected, sizeof expected);
        from_hex(vectors[i].sealed, expected);
        cr_assert_arr_eq(sealed, expected, sizeof sealed);
        dsq_sealer_free(sealer);
    }
}

#define THREADS 4
#define SEALS ((size_t)25000)

static struct dsq_sealer *shared;
static unsigned char nonces[THREADS * SEALS][NONCE_BYTES];

static void *seal_many(void *context)
{
    size_t first = *(const size_t *)context * SEALS;
    for (size_t i = first; i < first + SEALS; i++) {
        unsigned char bytes[24] = {0};
        unsigned char seal_bytes[DSQ_SEAL_BYTES];
        if (!seal(shared, &somewhere, bytes, sizeof bytes, bytes, seal_bytes) ||
            !opens(shared, &somewhere, bytes, sizeof bytes, seal_bytes)) {
            return context;
        }
        memcpy(nonces[i], seal_bytes, NONCE_BYTES);
    }
    return NULL;
}

static int compare_nonces(const void *a, const void *b)
{
    return memcmp(a, b, NONCE_BYTES);
}

static void draws_new_nonces(struct dsq_sealer *sealer)
{
    pthread_t threads[THREADS];
    size_t numbers[THREADS];
    shared = sealer;
    for (size_t i = 0; i < THREADS; i++) {
        numbers[i] = i;
        pthread_create(&threads[i], NULL, seal_many, &numbers[i]);
    }
    for (size_t i = 0; i < THREADS; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        cr_assert_null(failed);
    }
    qsort(nonces, THREADS * SEALS, NONCE_BYTES, compare_nonces);
    for (size_t i = 1; i < THREADS * SEALS; i++) {
        cr_assert_neq(memcmp(nonces[i - 1], nonces[i], NONCE_BYTES), 0);
    }
}

Test(sealer, no_nonce_is_used_twice)
{
    with_each(draws_new_nonces);
}

Test(sealer, sealers_of_one_key_have_sessions_of_their_own)
{
    unsigned char first[DSQ_SEAL_BYTES];
    unsigned char second[DSQ_SEAL_BYTES];
    unsigned char byte = 0;
    struct dsq_sealer *a = make(DSQ_SEAL_XCHACHA20POLY1305);
    struct dsq_sealer *b = make(DSQ_SEAL_XCHACHA20POLY1305);
    cr_assert(seal(a, &somewhere, &byte, 1, &byte, first));
    cr_assert(seal(b, &somewhere, &byte, 1, &byte, second));
    cr_assert_neq(memcmp(first, second, 16), 0);
    dsq_sealer_free(a);
    dsq_sealer_free(b);
}

#define SESSIONS 100

static unsigned char sealed_in[SESSIONS][24];
static unsigned char seals_of[SESSIONS][DSQ_SEAL_BYTES];

static void *open_all(void *context)
{
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < SESSIONS; i++) {
            unsigned char bytes[24];
            memcpy(bytes, sealed_in[i], sizeof bytes);
            if (!opens(shared, &somewhere, bytes, sizeof bytes, seals_of[i]) || bytes[0] != i) {
                return context;
            }
        }
    }
    return NULL;
}

/* More sessions than there are lanes for their keys, and several threads that want them. */
Test(sealer, what_many_sessions_sealed_opens)
{
    pthread_t threads[THREADS];
    if (!dsq_sealer_has(DSQ_SEAL_AES256GCM)) {
        cr_skip_test("this processor has no AES");
    }
    for (int i = 0; i < SESSIONS; i++) {
        struct dsq_sealer *sealer = make(DSQ_SEAL_AES256GCM);
        sealed_in[i][0] = (unsigned char)i;
        cr_assert(seal(sealer, &somewhere, sealed_in[i], 24, sealed_in[i], seals_of[i]));
        dsq_sealer_free(sealer);
    }
    shared = make(DSQ_SEAL_AES256GCM);
    for (int i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, open_all, &shared);
    }
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        cr_assert_null(failed);
    }
    dsq_sealer_free(shared);
}

Test(sealer, a_forked_child_does_not_seal)
{
    unsigned char byte = 0;
    unsigned char seal_bytes[DSQ_SEAL_BYTES];
    struct dsq_sealer *sealer = make(DSQ_SEAL_XCHACHA20POLY1305);
    cr_assert(seal(sealer, &somewhere, &byte, 1, &byte, seal_bytes));
    pid_t child = fork();
    if (child == 0) {
        unsigned char other[DSQ_SEAL_BYTES];
        _exit(seal(sealer, &somewhere, &byte, 1, &byte, other) ? 1 : 0);
    }
    int ended;
    waitpid(child, &ended, 0);
    cr_assert(WIFEXITED(ended) && WEXITSTATUS(ended) == 0);
    cr_assert(seal(sealer, &somewhere, &byte, 1, &byte, seal_bytes));
    dsq_sealer_free(sealer);
}
