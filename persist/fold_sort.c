#include "persist/fold_sort.h"

#include "core/bytes.h"

struct dsq_fold_entry dsq_fold_entry_of(struct dsq_record *record)
{
    struct dsq_bytes key = dsq_record_key(record);
    const unsigned char *bytes = key.data;
    struct dsq_fold_entry entry = {.record = record};

    for (size_t i = 0; i < sizeof entry.prefix; i++) {
        entry.prefix = entry.prefix << 8 | (i < key.size ? bytes[i] : 0);
    }
    return entry;
}

static int compare(const struct dsq_fold_entry *a, const struct dsq_fold_entry *b)
{
    if (a->prefix != b->prefix) {
        return a->prefix < b->prefix ? -1 : 1;
    }
    return dsq_bytes_compare(dsq_record_key(a->record), dsq_record_key(b->record));
}

bool dsq_fold_same_key(const struct dsq_fold_entry *a, const struct dsq_fold_entry *b)
{
    return compare(a, b) == 0;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void begin_pair(struct dsq_fold_sort *sort, size_t at)
{
    sort->pair = at;
    sort->left = at;
    sort->right = least(at + sort->width, sort->count);
    sort->out = at;
}

void dsq_fold_sort_start(struct dsq_fold_sort *sort, struct dsq_fold_entry *entries,
                         struct dsq_fold_entry *scratch, size_t count)
{
    *sort = (struct dsq_fold_sort){.from = entries, .to = scratch, .count = count, .width = 1};
    begin_pair(sort, 0);
}

/* Places entries of one pair of runs, at most `most`; how many. */
static size_t merge(struct dsq_fold_sort *sort, size_t most)
{
    size_t middle = least(sort->pair + sort->width, sort->count);
    size_t end = least(sort->pair + 2 * sort->width, sort->count);
    size_t placed = 0;

    while (placed < most && sort->out < end) {
        bool take_left =
            sort->right == end || (sort->left < middle &&
                                   compare(&sort->from[sort->left], &sort->from[sort->right]) <= 0);

        sort->to[sort->out++] = sort->from[take_left ? sort->left++ : sort->right++];
        placed++;
    }
    return placed;
}

static void begin_pass(struct dsq_fold_sort *sort)
{
    struct dsq_fold_entry *merged = sort->to;

    sort->to = sort->from;
    sort->from = merged;
    sort->width *= 2;
    begin_pair(sort, 0);
}

bool dsq_fold_sort_step(struct dsq_fold_sort *sort, size_t most)
{
    while (sort->width < sort->count && most > 0) {
        most -= merge(sort, most);
        if (sort->out == least(sort->pair + 2 * sort->width, sort->count)) {
            if (sort->out < sort->count) {
                begin_pair(sort, sort->out);
            } else {
                begin_pass(sort);
            }
        }
    }
    return sort->width >= sort->count;
}
