/*
 * Pages of the main file that were opened: reading one again costs a copy instead of a read, a
 * decryption and a check.
 *
 * SQLite's own caches are one a connection, and each is emptied when another connection has committed;
 * this one is shared by all and loses only what is overwritten.
 *
 * Each page has one place, that of its number modulo their count, and it is put there only if it has
 * been asked for more often lately than the page that has it (TinyLFU's rule, Einziger and others,
 * 2017): so the pages of the index, each of which serves more keys, are not washed out by those of the
 * rows.  Who uses a place takes it by `busy` (acquire) and gives it back (release); readers that find
 * it taken do without.
 *
 * No stale page is put in: a page of the main file is overwritten, by a checkpoint, only when no
 * transaction is open that reads that page from there (SQLite's rule for its readers' marks), and it
 * is put in by a read within such a transaction.
 */
#include <stdlib.h>
#include <string.h>

#include "persist/sealed_internal.h"

/* Counters of how often pages were asked for; a page has that of its number modulo their count. */
#define COUNTERS 65536
#define COUNT_MAX 255
/* After so many requests all counters are halved. */
#define REQUESTS_TO_AGE (UINT64_C(16) * COUNTERS)

struct place {
    _Atomic bool busy;
    int64_t number; /* of the page here, counted from 1; 0: none */
};

/* The counters are hints: a lost increment changes which page is kept, relaxed. */
struct dsq_sealed_cache {
    _Atomic uint64_t requests;
    _Atomic uint8_t counts[COUNTERS];
    struct place places[DSQ_SEALED_CACHE_PAGES];
    unsigned char pages[DSQ_SEALED_CACHE_PAGES][PAGE_BYTES];
};

struct dsq_sealed_cache *dsq_sealed_cache_new(void)
{
    /* Zeros that were never touched take no memory. */
    return calloc(1, sizeof(struct dsq_sealed_cache));
}

void dsq_sealed_cache_free(struct dsq_sealed_cache *cache)
{
    for (int i = 0; cache != NULL && i < DSQ_SEALED_CACHE_PAGES; i++) {
        if (cache->places[i].number != 0) {
            explicit_bzero(cache->pages[i], PAGE_BYTES);
        }
    }
    free(cache);
}

static bool try_take(struct place *place)
{
    bool free = false;
    return !dsq_load_relaxed(&place->busy) && dsq_cas_acq_rel(&place->busy, &free, true);
}

static void give_back(struct place *place)
{
    dsq_store_release(&place->busy, false);
}

static unsigned count_of(struct dsq_sealed_cache *cache, int64_t index)
{
    return dsq_load_relaxed(&cache->counts[index % COUNTERS]);
}

static void count_request(struct dsq_sealed_cache *cache, int64_t index)
{
    unsigned count = count_of(cache, index);
    if (count < COUNT_MAX) {
        dsq_store_relaxed(&cache->counts[index % COUNTERS], (uint8_t)(count + 1));
    }
    if (dsq_add_relaxed(&cache->requests, 1) % REQUESTS_TO_AGE == REQUESTS_TO_AGE - 1) {
        for (int i = 0; i < COUNTERS; i++) {
            dsq_store_relaxed(&cache->counts[i], (uint8_t)(count_of(cache, i) / 2));
        }
    }
}

bool dsq_sealed_cache_get(struct dsq_sealed_cache *cache, int64_t index, unsigned char *bytes)
{
    int64_t at = index % DSQ_SEALED_CACHE_PAGES;
    struct place *place = &cache->places[at];
    count_request(cache, index);
    if (!try_take(place)) {
        return false;
    }
    bool found = place->number == index + 1;
    if (found) {
        memcpy(bytes, cache->pages[at], PAGE_BYTES);
    }
    give_back(place);
    return found;
}

void dsq_sealed_cache_put(struct dsq_sealed_cache *cache, int64_t index, const unsigned char *bytes)
{
    int64_t at = index % DSQ_SEALED_CACHE_PAGES;
    struct place *place = &cache->places[at];
    if (!try_take(place)) {
        return;
    }
    if (place->number == 0 || count_of(cache, index) > count_of(cache, place->number - 1)) {
        place->number = index + 1;
        memcpy(cache->pages[at], bytes, PAGE_BYTES);
    }
    give_back(place);
}

/* A place is taken for the time of a copy: waiting for it is short. */
static void forget(struct place *place, int64_t first, int64_t end)
{
    while (!try_take(place)) {
    }
    if (place->number > first && place->number <= end) {
        place->number = 0;
    }
    give_back(place);
}

void dsq_sealed_cache_forget(struct dsq_sealed_cache *cache, int64_t first, int64_t end)
{
    int64_t places = end - first < DSQ_SEALED_CACHE_PAGES ? end - first : DSQ_SEALED_CACHE_PAGES;
    for (int64_t i = 0; i < places; i++) {
        forget(&cache->places[(first + i) % DSQ_SEALED_CACHE_PAGES], first, end);
    }
}
