#include "core/record.h"

#include <stdlib.h>

/* What the fields hold; keys have at most 64 KiB. */
#define KEY_SIZE_MASK ((UINT32_C(1) << 24) - 1)
#define KIND_MASK ((UINT32_C(1) << 7) - 1)

/* Table slots keep 48 bits of address; malloc aligns to 16, which leaves four mark bits. */
static bool address_fits(uintptr_t address)
{
    return (address >> 48) == 0 && (address & 15) == 0;
}

/* In steps of 16 bytes, eight past a multiple: the sizes that glibc's allocator hands out whole. */
static size_t capacity(size_t payload_size)
{
    return ((sizeof(struct dsq_record) + payload_size + 7) & ~(size_t)15) + 8;
}

size_t dsq_record_capacity(size_t key_size, size_t value_size)
{
    return capacity(key_size + (value_size <= DSQ_INLINE_VALUE_MAX ? value_size : sizeof(void *)));
}

bool dsq_record_is_reusable(const struct dsq_record *record, size_t wanted)
{
#ifdef __SANITIZE_ADDRESS__
    /* The sanitizer has to see every death of a record. */
    (void)record;
    (void)wanted;
    return false;
#else
    return !record->external && capacity((size_t)record->key_size + record->value_size) == wanted;
#endif
}

/* The memory given, or some from the allocator. */
static struct dsq_record *allocate(struct dsq_record *memory, size_t payload_size)
{
    struct dsq_record *record = memory != NULL ? memory : malloc(capacity(payload_size));

    if (record != NULL && !address_fits((uintptr_t)record)) {
        free(record);
        return NULL;
    }
    return record;
}

static void init_header(struct dsq_record *record, enum dsq_record_kind kind,
                        enum dsq_record_state state, uint32_t refs, uint64_t hash)
{
    record->hash = hash;
    atomic_init(&record->refs, refs);
    atomic_init(&record->state, (uint8_t)state);
    atomic_init(&record->clock, DSQ_CLOCK_INITIAL);
    atomic_init(&record->note, 0);
    record->kind = (unsigned)kind & KIND_MASK;
}

static void copy_bytes(unsigned char *to, struct dsq_bytes from)
{
    if (from.size != 0) {
        memcpy(to, from.data, from.size);
    }
}

/* A record around a value that already lies in an allocation of its own. */
static struct dsq_record *new_external(struct dsq_record *memory, struct dsq_bytes key,
                                       unsigned char *value, size_t value_size)
{
    struct dsq_record *record = allocate(memory, sizeof value + key.size);

    if (record == NULL) {
        return NULL;
    }
    record->external = true;
    record->key_size = (uint32_t)key.size & KEY_SIZE_MASK;
    record->value_size = (uint32_t)value_size;
    memcpy(record->payload, &value, sizeof value);
    copy_bytes(record->payload + sizeof value, key);
    return record;
}

static struct dsq_record *new_inline(struct dsq_record *memory, struct dsq_bytes key,
                                     struct dsq_bytes value)
{
    struct dsq_record *record = allocate(memory, key.size + value.size);

    if (record == NULL) {
        return NULL;
    }
    record->external = false;
    record->key_size = (uint32_t)key.size & KEY_SIZE_MASK;
    record->value_size = (uint32_t)value.size;
    copy_bytes(record->payload, key);
    copy_bytes(record->payload + key.size, value);
    return record;
}

static struct dsq_record *new_with_copy(struct dsq_record *memory, struct dsq_bytes key,
                                        struct dsq_bytes value)
{
    struct dsq_record *record;
    unsigned char *copy;

    if (value.size <= DSQ_INLINE_VALUE_MAX) {
        return new_inline(memory, key, value);
    }
    copy = malloc(value.size);
    if (copy == NULL) {
        free(memory);
        return NULL;
    }
    record = new_external(memory, key, copy, value.size);
    if (record == NULL) {
        free(copy);
        return NULL;
    }
    memcpy(copy, value.data, value.size);
    return record;
}

struct dsq_record *dsq_record_new(enum dsq_record_kind kind, enum dsq_record_state state,
                                  uint32_t refs, uint64_t hash, struct dsq_bytes key,
                                  struct dsq_bytes value)
{
    return dsq_record_new_in(NULL, kind, state, refs, hash, key, value);
}

struct dsq_record *dsq_record_new_in(struct dsq_record *memory, enum dsq_record_kind kind,
                                     enum dsq_record_state state, uint32_t refs, uint64_t hash,
                                     struct dsq_bytes key, struct dsq_bytes value)
{
    struct dsq_record *record = new_with_copy(memory, key, value);

    if (record != NULL) {
        init_header(record, kind, state, refs, hash);
    }
    return record;
}

struct dsq_record *dsq_record_renew(struct dsq_record *failed, uint32_t refs)
{
    struct dsq_bytes key = dsq_record_key(failed);
    struct dsq_bytes value = dsq_record_value(failed);
    bool external = failed->external;
    struct dsq_record *fresh =
        external ? new_external(NULL, key, (unsigned char *)value.data, value.size)
                 : new_inline(NULL, key, value);

    if (fresh != NULL) {
        init_header(fresh, (enum dsq_record_kind)failed->kind, DSQ_RECORD_PENDING, refs,
                    failed->hash);
        if (external) {
            /* The value is the fresh record's: the last one to drop the failed one sees none. */
            memset(failed->payload, 0, sizeof(void *));
        }
    }
    dsq_record_move(failed, DSQ_RECORD_PENDING, DSQ_RECORD_VOID);
    return fresh;
}

void dsq_record_free(struct dsq_record *record)
{
    if (record->external) {
        free((void *)dsq_record_value(record).data);
    }
    free(record);
}
