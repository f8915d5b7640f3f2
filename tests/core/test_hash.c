#include "core/hash.h"

#include <stdlib.h>

#include <criterion/criterion.h>

static struct dsq_hash_secret fresh_secret(void)
{
    struct dsq_hash_secret secret = {{0}};
    cr_assert_eq(dsq_hash_secret_init(&secret, NULL), DSQ_OK);
    return secret;
}

Test(hash, is_a_function_of_secret_and_key)
{
    struct dsq_hash_secret secret = fresh_secret();
    char key[300];
    memset(key, 'k', sizeof key);
    for (size_t size = 0; size <= sizeof key; size++) {
        char *copy = malloc(size + 1);
        memcpy(copy, key, size);
        cr_assert_eq(dsq_hash(&secret, (struct dsq_bytes){key, size}),
                     dsq_hash(&secret, (struct dsq_bytes){copy, size}));
        free(copy);
    }
}

Test(hash, two_secrets_give_two_functions)
{
    struct dsq_hash_secret first = fresh_secret();
    struct dsq_hash_secret second = fresh_secret();
    cr_assert_neq(memcmp(&first, &second, sizeof first), 0);
    for (size_t size = 0; size <= 20; size++) {
        struct dsq_bytes key = {"twenty bytes of text", size};
        cr_assert_neq(dsq_hash(&first, key), dsq_hash(&second, key));
    }
}

static int compare_words(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

Test(hash, the_keys_of_a_long_run_do_not_collide)
{
    static uint64_t hashes[100000];
    struct dsq_hash_secret secret = fresh_secret();
    for (uint64_t i = 0; i < 100000; i++) {
        hashes[i] = dsq_hash(&secret, (struct dsq_bytes){&i, sizeof i});
    }
    qsort(hashes, 100000, sizeof hashes[0], compare_words);
    for (size_t i = 1; i < 100000; i++) {
        cr_assert_neq(hashes[i], hashes[i - 1]);
    }
}

Test(hash, the_bits_that_choose_shard_group_and_tag_are_spread)
{
    struct dsq_hash_secret secret = fresh_secret();
    unsigned shards[16] = {0};
    unsigned tags[16] = {0};
    for (uint64_t i = 0; i < 16000; i++) {
        uint64_t hash = dsq_hash(&secret, (struct dsq_bytes){&i, sizeof i});
        shards[hash >> 60]++;
        tags[hash & 15]++;
    }
    for (int i = 0; i < 16; i++) {
        /* Ten standard deviations around 1,000. */
        cr_assert(shards[i] > 690 && shards[i] < 1310);
        cr_assert(tags[i] > 690 && tags[i] < 1310);
    }
}
