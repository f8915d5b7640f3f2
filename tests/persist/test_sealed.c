/* The copies of a superblock on disk, and what SQLite reads while it is being written. */
#include "persist/sealed_vfs.h"

#include <signal.h>
#include <sys/resource.h>

#include <sqlite3.h>

#include "tests/persist/scratch.h"

TestSuite(sealed, .init = scratch_make, .fini = scratch_remove, .timeout = 60);

static struct dsq_error error;
static unsigned char header[DSQ_SEALED_HEADER_BYTES];

static void fill(unsigned char *superblock, unsigned char byte)
{
    memset(superblock, byte, DSQ_SUPERBLOCK_BYTES);
}

/* The byte that a copy consists of. */
static int copy_on_disk(const char *path, int copy)
{
    const unsigned char *at = header + (size_t)copy * DSQ_SUPERBLOCK_STRIDE;
    cr_assert_eq(dsq_sealed_header_read(path, header, &error), DSQ_OK, "%s", error.message);
    for (int i = 1; i < DSQ_SUPERBLOCK_BYTES; i++) {
        cr_assert_eq(at[i], at[0], "a mixed copy");
    }
    return at[0];
}

static void write_both(const char *path, unsigned char byte, int *newest)
{
    unsigned char superblock[DSQ_SUPERBLOCK_BYTES];
    fill(superblock, byte);
    cr_assert_eq(dsq_sealed_header_write(path, superblock, newest, &error), DSQ_OK, "%s",
                 error.message);
}

Test(sealed, both_copies_are_written_and_the_rest_is_left_alone)
{
    const char *path = scratch_path("sealed.db");
    int newest = 0;
    scratch_write("sealed.db", "", 0);
    write_both(path, 'a', &newest);
    cr_assert_eq(copy_on_disk(path, 0), 'a');
    cr_assert_eq(copy_on_disk(path, 1), 'a');
    size_t size;
    char *bytes = scratch_read("sealed.db", &size);
    cr_assert_eq(size, DSQ_SEALED_HEADER_BYTES);
    free(bytes);
    unsigned char whole[DSQ_SEALED_HEADER_BYTES + 4096];
    memset(whole, 'x', sizeof whole);
    scratch_write("sealed.db", whole, sizeof whole);
    write_both(path, 'b', &newest);
    bytes = scratch_read("sealed.db", &size);
    cr_assert_eq(size, sizeof whole);
    for (size_t i = 0; i < size; i++) {
        bool is_copy = i < DSQ_SEALED_HEADER_BYTES && i % 4096 < DSQ_SUPERBLOCK_BYTES;
        cr_assert_eq(bytes[i], is_copy ? 'b' : 'x', "byte %zu", i);
    }
    free(bytes);
}

/* A file that may not grow beyond its first copy: whatever is written of the second one fails. */
static int write_without_second(const char *path, unsigned char byte, int *newest)
{
    const struct rlimit small = {DSQ_SUPERBLOCK_STRIDE, RLIM_INFINITY};
    const struct rlimit large = {RLIM_INFINITY, RLIM_INFINITY};
    unsigned char superblock[DSQ_SUPERBLOCK_BYTES];
    fill(superblock, byte);
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    int status = dsq_sealed_header_write(path, superblock, newest, &error);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &large), 0);
    return status;
}

Test(sealed, the_copy_that_counts_is_written_last)
{
    const char *path = scratch_path("sealed.db");
    int newest = 0;
    scratch_write("sealed.db", "", 0);
    write_both(path, 'a', &newest);
    newest = 0;
    cr_assert_lt(write_without_second(path, 'b', &newest), 0);
    cr_assert_eq(newest, 0);
    cr_assert_eq(copy_on_disk(path, 0), 'a', "the only whole copy of the newest was overwritten");
    newest = 1;
    cr_assert_lt(write_without_second(path, 'c', &newest), 0);
    cr_assert_eq(newest, 0, "the first copy is the one that counts now");
    cr_assert_eq(copy_on_disk(path, 0), 'c');
    cr_assert_eq(copy_on_disk(path, 1), 'a');
}

Test(sealed, what_is_missing_of_a_short_file_reads_as_zeros)
{
    const char *path = scratch_path("short.db");
    scratch_write("short.db", "abc", 3);
    cr_assert_eq(dsq_sealed_header_read(path, header, &error), DSQ_OK);
    cr_assert_eq(memcmp(header, "abc", 4), 0);
    cr_assert_eq(header[DSQ_SEALED_HEADER_BYTES - 1], 0);
    cr_assert_eq(dsq_sealed_header_read(scratch_path("nothing"), header, &error), DSQ_ERR_CANTOPEN);
}

Test(sealed, a_file_is_cut_back_to_its_superblock)
{
    unsigned char whole[DSQ_SEALED_HEADER_BYTES + 4096] = {1};
    size_t size;
    scratch_write("sealed.db", whole, sizeof whole);
    cr_assert_eq(dsq_sealed_discard(scratch_path("sealed.db"), &error), DSQ_OK);
    free(scratch_read("sealed.db", &size));
    cr_assert_eq(size, DSQ_SEALED_HEADER_BYTES);
}

/* ---- a file that SQLite opens while another of its connections works on it ---- */

/* A codec that seals with a byte, and says when page 1 is opened. */
struct watched {
    struct dsq_codec codec;
    void (*on_page_1)(void);
};

static bool leave(struct dsq_codec *codec, const struct dsq_seal_place *place,
                  const unsigned char *plain, size_t size, unsigned char *sealed,
                  unsigned char *seal)
{
    (void)codec;
    memmove(sealed, plain, size);
    memset(seal, (int)place->kind, DSQ_SEAL_BYTES);
    return true;
}

static bool watch(struct dsq_codec *codec, const struct dsq_seal_place *place, unsigned char *bytes,
                  size_t size, const unsigned char *seal)
{
    struct watched *watched = (struct watched *)codec;
    void (*on_page_1)(void) = watched->on_page_1;
    (void)bytes;
    (void)size;
    if (place->kind == DSQ_SEAL_PAGE && place->number == 1 && on_page_1 != NULL) {
        watched->on_page_1 = NULL;
        on_page_1();
    }
    return seal[0] == place->kind;
}

static struct watched watched = {.codec = {.seal = leave, .open = watch}};
static struct sqlite3 *writer;

static struct sqlite3 *connect(struct dsq_sealed_vfs *vfs)
{
    struct sqlite3 *db;
    cr_assert_eq(sqlite3_open_v2(scratch_path("page_1.db"), &db,
                                 SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                                 dsq_sealed_vfs_name(vfs)),
                 SQLITE_OK);
    return db;
}

static void execute(struct sqlite3 *db, const char *sql)
{
    cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK, "%s: %s", sql,
                 sqlite3_errmsg(db));
}

static void checkpoint(void)
{
    execute(writer, "PRAGMA wal_checkpoint");
}

/* Page 1 holds user_version. */
static void check_version(struct sqlite3 *db, int expected)
{
    sqlite3_stmt *statement;
    cr_assert_eq(sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &statement, NULL), SQLITE_OK);
    cr_assert_eq(sqlite3_step(statement), SQLITE_ROW);
    cr_assert_eq(sqlite3_column_int(statement, 0), expected);
    sqlite3_finalize(statement);
}

Test(sealed, page_1_is_overwritten_while_a_connection_is_opened)
{
    struct dsq_sealed_vfs *vfs;
    struct sqlite3 *reader;
    int seal_bytes = DSQ_SEAL_BYTES;
    cr_assert_eq(dsq_sealed_vfs_new(&watched.codec, &vfs, &error), DSQ_OK);
    writer = connect(vfs);
    sqlite3_file_control(writer, "main", SQLITE_FCNTL_RESERVE_BYTES, &seal_bytes);
    execute(writer, "PRAGMA page_size=4096; PRAGMA user_version=1; PRAGMA journal_mode=WAL");
    execute(writer, "PRAGMA user_version=2");
    checkpoint();
    execute(writer, "PRAGMA user_version=3");
    watched.on_page_1 = checkpoint;
    reader = connect(vfs);
    check_version(reader, 3);
    cr_assert_null(watched.on_page_1, "nothing was tried");
    sqlite3_close(reader);
    sqlite3_close(writer);
    dsq_sealed_vfs_free(vfs);
}
