/* A fuzzer's input, taken apart from its front; what is asked for behind its end is zeros. */
#ifndef DSQ_STRESS_FUZZ_INPUT_H
#define DSQ_STRESS_FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct fuzz_input {
    const uint8_t *bytes;
    size_t size;
};

/* libFuzzer calls it for each input. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* What a target relies on, and what it is to find out. */
static inline void must(bool good)
{
    if (!good) {
        abort();
    }
}

static inline void fuzz_take_bytes(struct fuzz_input *input, void *out, size_t size)
{
    size_t part = size < input->size ? size : input->size;
    memset(out, 0, size);
    if (part != 0) {
        memcpy(out, input->bytes, part);
    }
    input->bytes += part;
    input->size -= part;
}

/* A number of so many bytes, at most 8, the lowest first. */
static inline uint64_t fuzz_take(struct fuzz_input *input, size_t size)
{
    unsigned char bytes[8];
    uint64_t number = 0;
    fuzz_take_bytes(input, bytes, size);
    for (size_t i = size; i-- > 0;) {
        number = number << 8 | bytes[i];
    }
    return number;
}

#endif
