/* For the tests of crypto: bytes written as hexadecimal digits. */
#ifndef DSQ_TESTS_CRYPTO_FIXTURE_H
#define DSQ_TESTS_CRYPTO_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

/* As many bytes as there are pairs of digits. */
static inline size_t from_hex(const char *hex, unsigned char *bytes)
{
    size_t size = strlen(hex) / 2;
    for (size_t i = 0; i < size; i++) {
        const char digits[] = {hex[2 * i], hex[2 * i + 1], '\0'};
        bytes[i] = (unsigned char)strtoul(digits, NULL, 16);
    }
    return size;
}

static inline void count_up(unsigned char *bytes, size_t size, unsigned char first)
{
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (unsigned char)(first + i);
    }
}

#endif
