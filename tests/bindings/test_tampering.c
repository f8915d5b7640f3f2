/*
 * What happens to an encrypted file that was changed behind the library's back: each row of the table
 * in docs/encryption.md is a row of `rows` below, with the same name and the same answer.
 */
#include "tests/bindings/fixture.h"

TestSuite(tampering, .init = scratch_make, .fini = scratch_remove, .timeout = 120);

#define HEADER_BYTES 8192
#define PAGE_BYTES 4096
#define WAL_HEADER_BYTES 72
#define FRAME_BYTES 4160
#define ROWS 300
#define SECRET "correct horse"

/* When it is noticed. */
enum found { AT_OPEN, AT_READ, BY_VERIFY, CUT_BACK, NEVER };

struct image {
    unsigned char *bytes;
    size_t size;
};

/* The states that are mixed: each a main file, and a log where it was not closed. */
static struct image earlier; /* closed, all values 1 */
static struct image now;     /* closed, all values 2 */
static struct image other;   /* another store with the same password and content */
static struct image backup;  /* of `now` */
static struct image unclosed;
static struct image unclosed_log; /* of `unclosed`: the values 2 are in here, a commit each */

static struct dsq_options options(void)
{
    return (struct dsq_options){.password = SECRET,
                                .password_size = sizeof SECRET - 1,
                                .kdf_operations = 2,
                                .kdf_memory = (uint64_t)19 * 1024 * 1024,
                                .hot_capacity = 16};
}

static const char *beside(const char *suffix)
{
    static char names[4][128];
    static int next;
    char *name = names[next++ % 4];
    snprintf(name, sizeof names[0], "%s%s", scratch_path, suffix);
    return name;
}

static struct image read_image(const char *path)
{
    struct image image = {NULL, 0};
    struct stat found;
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s", path);
    cr_assert_eq(fstat(fileno(file), &found), 0);
    image.size = (size_t)found.st_size;
    image.bytes = malloc(image.size);
    cr_assert_eq(fread(image.bytes, 1, image.size, file), image.size);
    fclose(file);
    return image;
}

static void write_image(const char *path, const struct image *image)
{
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(image->bytes, 1, image->size, file), image->size);
    fclose(file);
}

static struct image copy_of(const struct image *image)
{
    struct image copy = {malloc(image->size), image->size};
    memcpy(copy.bytes, image->bytes, image->size);
    return copy;
}

static int value_text(int value, int i, char *text, size_t size)
{
    return snprintf(text, size, "value %d of %d, with some more to fill the pages", value, i);
}

static void put_all(dsq_db *db, int value)
{
    for (int i = 0; i < ROWS; i++) {
        char key[16];
        char text[80];
        snprintf(key, sizeof key, "%06d", i);
        value_text(value, i, text, sizeof text);
        CHECK(put_text(db, key, text), DSQ_OK);
    }
}

static void make_images(void)
{
    dsq_db *db = open_with(options());
    put_all(db, 1);
    CHECK(dsq_close(db), DSQ_OK);
    earlier = read_image(scratch_path);
    db = open_with(options());
    put_all(db, 2);
    unclosed = read_image(scratch_path);
    unclosed_log = read_image(beside("-wal"));
    CHECK(dsq_close(db), DSQ_OK);
    now = read_image(scratch_path);
    db = open_with(options());
    CHECK(dsq_backup(db, beside(".backup"), 0, NULL, NULL), DSQ_OK);
    CHECK(dsq_close(db), DSQ_OK);
    backup = read_image(beside(".backup"));
    unlink(scratch_path);
    db = open_with(options());
    put_all(db, 1);
    put_all(db, 2);
    CHECK(dsq_close(db), DSQ_OK);
    other = read_image(scratch_path);
    unlink(scratch_path);
}

/* The value that a key has, 1 or 2; 0: an error; -1: something that was never written there. */
static int value_of(dsq_db *db, int i)
{
    char key[16];
    void *bytes = NULL;
    size_t size = 0;
    int value = -1;
    snprintf(key, sizeof key, "%06d", i);
    int status = dsq_get(db, key, strlen(key), &bytes, &size);
    if (status < 0) {
        return 0;
    }
    if (status == DSQ_OK) {
        for (int candidate = 1; candidate <= 2; candidate++) {
            char text[80];
            int length = value_text(candidate, i, text, sizeof text);
            if (size == (size_t)length && memcmp(text, bytes, size) == 0) {
                value = candidate;
            }
        }
        dsq_free(bytes);
    }
    return value;
}

/* Reads everything: 0 after an error, else how many keys have value 2, which must be the first ones. */
static int read_all(dsq_db *db, bool *stale)
{
    int newest = 0;
    for (int i = 0; i < ROWS; i++) {
        int value = value_of(db, i);
        cr_assert_neq(value, -1, "key %d has a value that it never had, or none", i);
        if (value == 0) {
            return -1;
        }
        *stale = *stale || (value == 2 && newest != i);
        newest += value == 2;
    }
    return newest;
}

/* What the first error said. */
static struct dsq_error said;

/* Opens, reads all and verifies what lies at scratch_path. */
static enum found judge(bool *stale)
{
    struct dsq_options opened = options();
    dsq_db *db = NULL;
    said = (struct dsq_error){0};
    opened.error = &said;
    *stale = false;
    if (dsq_open(scratch_path, &opened, &db) != DSQ_OK) {
        cr_assert_neq(said.status, DSQ_ERR_INTERNAL, "%s", said.message);
        cr_assert_gt(strlen(said.message), 10);
        return AT_OPEN;
    }
    int newest = read_all(db, stale);
    enum found found = newest < 0                             ? AT_READ
                       : dsq_verify(db, NULL, NULL) != DSQ_OK ? BY_VERIFY
                       : newest == ROWS                       ? NEVER
                                                              : CUT_BACK;
    if (found <= BY_VERIFY) {
        dsq_last_error(db, &said);
    }
    dsq_abandon(db);
    return found;
}

static int pages_of(const struct image *image)
{
    return (int)((image->size - HEADER_BYTES) / PAGE_BYTES);
}

static unsigned char *page_of(const struct image *image, int page)
{
    return image->bytes + HEADER_BYTES + (size_t)page * PAGE_BYTES;
}

static unsigned char *frame_of(const struct image *log, int frame)
{
    return log->bytes + WAL_HEADER_BYTES + (size_t)frame * FRAME_BYTES;
}

/* ---- the changes: each made to a copy of `now`, or of `unclosed` and its log; turn counts up ---- */

struct change {
    struct image file;
    struct image log; /* no bytes: there is none */
};

static bool flip_in_page(struct change *change, int turn)
{
    if (turn >= pages_of(&change->file)) {
        return false;
    }
    page_of(&change->file, turn)[(turn * 577) % PAGE_BYTES] ^= (unsigned char)(1 << (turn % 8));
    return true;
}

static bool zero_a_page(struct change *change, int turn)
{
    if (turn >= pages_of(&change->file)) {
        return false;
    }
    memset(page_of(&change->file, turn), 0, PAGE_BYTES);
    return true;
}

static bool swap_pages(struct change *change, int turn)
{
    unsigned char page[PAGE_BYTES];
    if (turn + 1 >= pages_of(&change->file)) {
        return false;
    }
    memcpy(page, page_of(&change->file, turn), PAGE_BYTES);
    memcpy(page_of(&change->file, turn), page_of(&change->file, turn + 1), PAGE_BYTES);
    memcpy(page_of(&change->file, turn + 1), page, PAGE_BYTES);
    return true;
}

static bool take_page(struct change *change, const struct image *from, int turn)
{
    if (turn >= pages_of(&change->file) || turn >= pages_of(from)) {
        return false;
    }
    memcpy(page_of(&change->file, turn), page_of(from, turn), PAGE_BYTES);
    return true;
}

static bool page_of_another_file(struct change *change, int turn)
{
    return take_page(change, &other, turn);
}

static bool page_of_a_backup(struct change *change, int turn)
{
    return take_page(change, &backup, turn);
}

static bool older_page(struct change *change, int turn)
{
    return take_page(change, &earlier, turn);
}

static bool cut_pages(struct change *change, int turn)
{
    int kept = pages_of(&change->file) - 1 - turn;
    if (kept < 0) {
        return false;
    }
    change->file.size = HEADER_BYTES + (size_t)kept * PAGE_BYTES;
    return true;
}

static bool cut_within_superblock(struct change *change, int turn)
{
    static const size_t sizes[] = {1, 100, 511, 512, 4096};
    if (turn >= (int)(sizeof sizes / sizeof sizes[0])) {
        return false;
    }
    change->file.size = sizes[turn];
    return true;
}

static bool flip_in_one_superblock(struct change *change, int turn)
{
    size_t at = (size_t)turn * 4;
    change->file.bytes[(turn % 2 == 0 ? 0 : 4096) + at] ^= 1;
    return turn < 128;
}

static bool flip_in_both_superblocks(struct change *change, int turn)
{
    size_t at = (size_t)turn * 4;
    change->file.bytes[at] ^= 1;
    change->file.bytes[4096 + at] ^= 1;
    return turn < 128;
}

static bool superblock_of_another_file(struct change *change, int turn)
{
    memcpy(change->file.bytes, other.bytes, HEADER_BYTES);
    return turn == 0;
}

static bool older_file(struct change *change, int turn)
{
    free(change->file.bytes);
    change->file = copy_of(&earlier);
    return turn == 0;
}

static bool no_log(struct change *change, int turn)
{
    free(change->log.bytes);
    change->log = (struct image){NULL, 0};
    return turn == 0;
}

static bool cut_log(struct change *change, int turn)
{
    size_t frames = (change->log.size - WAL_HEADER_BYTES) / FRAME_BYTES;
    size_t kept = frames / 10 * (size_t)turn;
    change->log.size = WAL_HEADER_BYTES + kept * FRAME_BYTES + (size_t)turn * 100;
    return turn < 10;
}

static bool flip_in_log_header(struct change *change, int turn)
{
    size_t at = (size_t)turn * 4;
    change->log.bytes[at] ^= 1;
    return turn < 18;
}

/* Within what the transactions fill; behind it lie zeros. */
static bool flip_in_log(struct change *change, int turn)
{
    size_t used = (size_t)2 * ROWS * FRAME_BYTES;
    size_t at = WAL_HEADER_BYTES + (size_t)turn * (used / 40) + (size_t)turn * 97;
    change->log.bytes[at < change->log.size ? at : change->log.size - 1] ^= 1;
    return turn < 40;
}

static bool swap_frames(struct change *change, int turn)
{
    unsigned char frame[FRAME_BYTES];
    memcpy(frame, frame_of(&change->log, turn), FRAME_BYTES);
    memcpy(frame_of(&change->log, turn), frame_of(&change->log, turn + 1), FRAME_BYTES);
    memcpy(frame_of(&change->log, turn + 1), frame, FRAME_BYTES);
    return turn < 20;
}

static bool log_of_another_file(struct change *change, int turn)
{
    free(change->file.bytes);
    change->file = copy_of(&other);
    return turn == 0;
}

static const struct row {
    const char *name;
    bool (*change)(struct change *change, int turn);
    bool log;         /* of the store that was not closed */
    enum found first; /* the earliest and the latest that it may be noticed */
    enum found last;
    bool stale;  /* what is read may be older than it should be */
    bool sealed; /* if it is noticed, then because a page's seal does not open */
} rows[] = {
    {"a bit of a page", flip_in_page, false, AT_OPEN, BY_VERIFY, false, true},
    {"a page of zeros", zero_a_page, false, AT_OPEN, NEVER, false, false},
    {"two pages swapped", swap_pages, false, AT_OPEN, BY_VERIFY, false, true},
    {"a page of another store", page_of_another_file, false, AT_OPEN, BY_VERIFY, false, true},
    {"a page of a backup", page_of_a_backup, false, AT_OPEN, BY_VERIFY, false, true},
    {"an older copy of a page", older_page, false, AT_OPEN, NEVER, true, false},
    {"pages cut off", cut_pages, false, AT_OPEN, AT_READ, false, false},
    {"the file cut off within its superblock", cut_within_superblock, false, AT_OPEN, AT_OPEN,
     false, false},
    {"one copy of the superblock", flip_in_one_superblock, false, NEVER, NEVER, false, false},
    {"both copies of the superblock", flip_in_both_superblocks, false, AT_OPEN, AT_OPEN, false,
     false},
    {"the superblock of another store", superblock_of_another_file, false, AT_OPEN, AT_OPEN, false,
     false},
    {"an older copy of the whole file", older_file, false, CUT_BACK, CUT_BACK, false, false},
    {"the log removed", no_log, true, CUT_BACK, CUT_BACK, false, false},
    {"the log cut off", cut_log, true, CUT_BACK, NEVER, false, false},
    {"the header of the log", flip_in_log_header, true, AT_OPEN, AT_OPEN, false, false},
    {"a bit of the log", flip_in_log, true, CUT_BACK, NEVER, false, false},
    {"two frames of the log swapped", swap_frames, true, CUT_BACK, CUT_BACK, false, false},
    {"the log of another store", log_of_another_file, true, AT_OPEN, AT_OPEN, false, false},
};

static int try_row(const struct row *row, int turn)
{
    struct change change = {copy_of(row->log ? &unclosed : &now), {NULL, 0}};
    bool stale;
    if (row->log) {
        change.log = copy_of(&unclosed_log);
    }
    bool goes_on = row->change(&change, turn);
    if (goes_on) {
        write_image(scratch_path, &change.file);
        unlink(beside("-wal"));
        if (change.log.bytes != NULL) {
            write_image(beside("-wal"), &change.log);
        }
        enum found found = judge(&stale);
        cr_assert(found >= row->first && found <= row->last, "%s, %d: found %d", row->name, turn,
                  (int)found);
        cr_assert(!row->sealed || found > BY_VERIFY ||
                      strstr(said.message, "does not open") != NULL,
                  "%s, %d: %s", row->name, turn, said.message);
        cr_assert(!stale || row->stale, "%s, %d: what is read was never there at one time",
                  row->name, turn);
    }
    free(change.file.bytes);
    free(change.log.bytes);
    return goes_on;
}

Test(tampering, every_row_of_the_table)
{
    make_images();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int turn = 0;
        while (try_row(&rows[i], turn)) {
            turn++;
        }
        cr_assert_gt(turn, 0, "%s", rows[i].name);
    }
}

/* ---- what a process that is killed while it writes leaves of the log ---- */

#define ZEROS 20000
#define CUT_BYTES 1000

/* A log whose transactions end with pages of zeros: a large value's last ones. */
static void make_log_of_zeros(void)
{
    static const unsigned char zeros[ZEROS];
    dsq_db *db = open_with(options());
    dsq_cursor *cursor;
    CHECK(dsq_put(db, "zeros", 5, zeros, sizeof zeros), DSQ_OK);
    CHECK(dsq_cursor_open(db, NULL, &cursor), DSQ_OK); /* has it folded */
    dsq_cursor_close(cursor);
    unclosed = read_image(scratch_path);
    unclosed_log = read_image(beside("-wal"));
    dsq_abandon(db);
}

/* Where the frames end: zeros follow. */
static size_t used_of(const struct image *log)
{
    size_t used = log->size;
    while (used > 0 && log->bytes[used - 1] == 0) {
        used--;
    }
    return used;
}

static void check_cut(size_t cut)
{
    struct image log = copy_of(&unclosed_log);
    void *value = NULL;
    size_t size = 0;
    memset(log.bytes + cut, 0, log.size - cut);
    write_image(scratch_path, &unclosed);
    write_image(beside("-wal"), &log);
    free(log.bytes);
    dsq_db *db = open_with(options());
    int status = dsq_get(db, "zeros", 5, &value, &size);
    cr_assert(status == DSQ_OK || status == DSQ_ABSENT, "cut at %zu: %s", cut,
              dsq_strstatus(status));
    cr_assert_eq(size, status == DSQ_OK ? ZEROS : 0, "cut at %zu", cut);
    dsq_free(value);
    CHECK(put_text(db, "more", "of it"), DSQ_OK);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(tampering, a_log_is_cut_off_within_a_page_of_zeros)
{
    make_log_of_zeros();
    for (size_t cut = WAL_HEADER_BYTES; cut < used_of(&unclosed_log); cut += CUT_BYTES) {
        check_cut(cut);
    }
}
