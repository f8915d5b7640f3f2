#include "stress/mixed_scan.h"

#include <inttypes.h>

#include "stress/mixed_record.h"
#include "stress/verdict.h"

/* Keys that share all digits but this many last ones are scanned together. */
#define SCAN_DIGITS 2
#define SCAN_KEYS 100

struct scan {
    uint64_t first; /* the keys first .. first + SCAN_KEYS - 1 that exist */
    uint64_t floors[SCAN_KEYS];
    bool seen[SCAN_KEYS];
    uint64_t last;
};

static void scan_check_row(struct mixed_run *run, struct scan *scan, uint64_t key,
                           const void *value, size_t size)
{
    uint64_t place = key - scan->first;
    if (key < scan->first || place >= SCAN_KEYS || key >= run->model.count) {
        stress_violation("a cursor returned key %" PRIu64 ", which is out of its range", key);
        return;
    }
    if (scan->seen[place]) {
        stress_violation("a cursor returned key %" PRIu64 " twice", key);
    }
    if (run->mode != DSQ_MODE_MEMORY && key < scan->last) {
        stress_violation("a cursor returned key %" PRIu64 " after %" PRIu64, key, scan->last);
    }
    scan->seen[place] = true;
    scan->last = key;
    mixed_check_read(run, "dsq_cursor_next", key, scan->floors[place], DSQ_OK, value, size);
}

static void scan_rows(struct mixed_run *run, struct scan *scan, dsq_cursor *cursor)
{
    const void *name, *value;
    size_t name_size, size;
    int status;
    while ((status = dsq_cursor_next(cursor, &name, &name_size, &value, &size)) == DSQ_OK) {
        uint64_t key;
        if (!mixed_key_decode(name, name_size, &key)) {
            stress_violation("a cursor returned a key that nobody wrote");
            return;
        }
        scan_check_row(run, scan, key, value, size);
    }
    if (!stress_expect(run->db, "dsq_cursor_next", status, status == DSQ_ABSENT)) {
        return;
    }
    for (uint64_t i = 0; i < SCAN_KEYS && scan->first + i < run->model.count; i++) {
        if (!scan->seen[i] && scan->first + i != 0) {
            mixed_check_read(run, "a cursor that passed by", scan->first + i, scan->floors[i],
                             DSQ_ABSENT, NULL, 0);
        }
    }
}

void mixed_scan(struct mixed_run *run, uint64_t near)
{
    struct scan scan = {.first = near - near % SCAN_KEYS};
    for (uint64_t i = 0; i < SCAN_KEYS && scan.first + i < run->model.count; i++) {
        scan.floors[i] = register_floor(&run->model, scan.first + i);
    }
    unsigned char name[MIXED_KEY_BYTES_MAX];
    mixed_key_encode(scan.first + 1, name);
    struct dsq_range range = {.prefix = name, .prefix_size = MIXED_KEY_DIGITS - SCAN_DIGITS};
    dsq_cursor *cursor;
    int status = dsq_cursor_open(run->db, &range, &cursor);
    if (stress_expect(run->db, "dsq_cursor_open", status, status == DSQ_OK)) {
        scan_rows(run, &scan, cursor);
        dsq_cursor_close(cursor);
    }
}
