/*
 * Sealed pieces that were changed, moved or made up do not open, and are wiped.
 *
 * An encrypted file and its log, changed in any way and read through SQLite: the right data, or data of
 * an earlier commit if the log was changed, or an error; and the same after one more commit.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <sqlite3.h>

#include "crypto/sealer.h"
#include "persist/sealed_internal.h"
#include "stress/fuzz/directory.h"
#include "stress/fuzz/input.h"

#define ROWS 100
#define COMMITS 10
#define IMAGE_BYTES_MAX ((size_t)512 * 1024)
#define CHANGES_MAX 16
#define PIECE_BYTES_MAX 4096

struct image {
    unsigned char bytes[IMAGE_BYTES_MAX];
    size_t size;
};

static struct image images[2]; /* of the file and of its log */
static struct image changed;
static const char *const suffixes[2] = {"", "-wal"};
static struct dsq_codec *codecs[2]; /* of the ciphers that there are, the second may be none */
static struct dsq_sealed_vfs *vfs;

static void read_image(int which)
{
    char name[96];
    fuzz_name(name, sizeof name, "origin", suffixes[which]);
    FILE *file = fopen(name, "r");
    must(file != NULL);
    images[which].size = fread(images[which].bytes, 1, IMAGE_BYTES_MAX, file);
    must(images[which].size < IMAGE_BYTES_MAX);
    fclose(file);
}

static void write_image(const struct image *image, int which)
{
    char name[96];
    fuzz_name(name, sizeof name, "changed", suffixes[which]);
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    must(fd >= 0 && write(fd, image->bytes, image->size) == (ssize_t)image->size);
    close(fd);
}

static void execute(sqlite3 *db, const char *sql)
{
    must(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK);
}

/* Half of the rows are in the file; the rest came after, in commits that only the log has. */
static void make_images(void)
{
    char name[96];
    char sql[128];
    sqlite3 *db;
    int seal_bytes = DSQ_SEAL_BYTES;
    unsigned char superblock[DSQ_SUPERBLOCK_BYTES] = {0};
    int newest = 0;
    fuzz_name(name, sizeof name, "origin", "");
    int fd = open(name, O_WRONLY | O_CREAT, 0600);
    must(fd >= 0);
    close(fd);
    must(dsq_sealed_header_write(name, superblock, &newest, NULL) == DSQ_OK);
    must(sqlite3_open_v2(name, &db, SQLITE_OPEN_READWRITE, dsq_sealed_vfs_name(vfs)) == SQLITE_OK);
    sqlite3_file_control(db, "main", SQLITE_FCNTL_RESERVE_BYTES, &seal_bytes);
    execute(db, "PRAGMA page_size=4096; CREATE TABLE t(k INTEGER PRIMARY KEY, v BLOB);"
                "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; BEGIN");
    for (int i = 0; i < ROWS; i++) {
        snprintf(sql, sizeof sql, "INSERT INTO t VALUES(%d, printf('%%0200d', %d))", i, 7 * i);
        execute(db, sql);
    }
    execute(db, "COMMIT; PRAGMA wal_checkpoint");
    for (int i = 0; i < COMMITS; i++) {
        snprintf(sql, sizeof sql, "INSERT INTO t VALUES(%d, printf('%%0200d', %d))", ROWS + i,
                 7 * (ROWS + i));
        execute(db, sql);
    }
    read_image(0);
    read_image(1);
    sqlite3_close(db);
}

static void start(void)
{
    static const unsigned char key[DSQ_KEY_BYTES] = "a key for fuzzing";
    static const unsigned char file_id[DSQ_FILE_ID_BYTES] = "a file";
    static const enum dsq_seal_cipher ciphers[] = {DSQ_SEAL_AES256GCM, DSQ_SEAL_XCHACHA20POLY1305};
    size_t made = 0;
    for (size_t i = 0; i < sizeof ciphers / sizeof ciphers[0]; i++) {
        if (dsq_sealer_has(ciphers[i])) {
            struct dsq_sealer *sealer = dsq_sealer_new(ciphers[i], key, file_id);
            must(sealer != NULL);
            codecs[made++] = dsq_sealer_codec(sealer);
        }
    }
    must(dsq_sealed_vfs_new(codecs[0], &vfs, NULL) == DSQ_OK);
    fuzz_directory_make();
    make_images();
}

/* Pieces made up of the input, as it is and as it is after a change of what was sealed. */
static void check_codec(struct fuzz_input input, struct dsq_codec *codec)
{
    static unsigned char zeros[PIECE_BYTES_MAX];
    static unsigned char plain[PIECE_BYTES_MAX];
    static unsigned char bytes[PIECE_BYTES_MAX + DSQ_SEAL_BYTES];
    struct dsq_seal_place place = {.kind = (enum dsq_seal_kind)(1 + fuzz_take(&input, 1) % 5)};
    place.generation = fuzz_take(&input, 8);
    place.number = fuzz_take(&input, 8);
    size_t at = (size_t)fuzz_take(&input, 2);
    unsigned char flip = (unsigned char)fuzz_take(&input, 1);
    struct dsq_seal_place other = place;
    other.generation ^= fuzz_take(&input, 1);
    other.number ^= fuzz_take(&input, 1);
    size_t size = (size_t)fuzz_take(&input, 2) % (PIECE_BYTES_MAX + 1);
    fuzz_take_bytes(&input, bytes + size, DSQ_SEAL_BYTES);
    fuzz_take_bytes(&input, bytes, size);
    memcpy(plain, bytes, size);
    must(!codec->open(codec, &place, bytes, size, bytes + size));
    must(memcmp(bytes, zeros, size) == 0);
    must(codec->seal(codec, &place, plain, size, bytes, bytes + size));
    bytes[at % (size + DSQ_SEAL_BYTES)] ^= flip;
    bool is_same =
        flip == 0 && other.generation == place.generation && other.number == place.number;
    must(codec->open(codec, &other, bytes, size, bytes + size) == is_same);
    must(memcmp(bytes, is_same ? plain : zeros, size) == 0);
}

/* One change: a byte, a piece moved or made up, the end cut off. */
static void change(struct fuzz_input *input)
{
    uint64_t kind = fuzz_take(input, 1) % 5;
    size_t at = (size_t)fuzz_take(input, 3) % changed.size;
    if (kind == 0) {
        changed.bytes[at] ^= (unsigned char)fuzz_take(input, 1);
    } else if (kind == 1) {
        size_t from = (size_t)fuzz_take(input, 3) % changed.size;
        size_t size = (size_t)fuzz_take(input, 2);
        size_t last = at > from ? at : from;
        size = size < changed.size - last ? size : changed.size - last;
        memmove(changed.bytes + at, changed.bytes + from, size);
    } else if (kind == 2) {
        /* Pages and frames, whole ones. */
        size_t unit = (size_t)4096 + 64 * (fuzz_take(input, 1) % 2);
        size_t from = (size_t)fuzz_take(input, 1) * unit;
        size_t to = (at / unit) * unit;
        size_t last = from > to ? from : to;
        if (last + unit <= changed.size) {
            memmove(changed.bytes + to, changed.bytes + from, unit);
        }
    } else if (kind == 3) {
        size_t size = (size_t)fuzz_take(input, 1);
        size = size < changed.size - at ? size : changed.size - at;
        fuzz_take_bytes(input, changed.bytes + at, size);
    } else {
        changed.size = at + 1;
    }
}

/* Returns whether all that is read is right; *rows: how many there are. */
static bool read_rows(sqlite3 *db, int *rows)
{
    sqlite3_stmt *statement = NULL;
    *rows = 0;
    if (sqlite3_prepare_v2(db, "SELECT k, v, printf('%0200d', 7 * k) FROM t ORDER BY k", -1,
                           &statement, NULL) != SQLITE_OK) {
        return false;
    }
    int result;
    while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
        must(sqlite3_column_int(statement, 0) == *rows);
        must(strcmp((const char *)sqlite3_column_text(statement, 1),
                    (const char *)sqlite3_column_text(statement, 2)) == 0);
        ++*rows;
    }
    sqlite3_finalize(statement);
    return result == SQLITE_DONE;
}

/* One more commit, behind what can be read, and perhaps a checkpoint.  Returns whether it was made. */
static bool add_row(const char *name, bool moves_log)
{
    static const char insert[] =
        "INSERT INTO t SELECT max(k) + 1, printf('%0200d', 7 * (max(k) + 1)) FROM t";
    sqlite3 *db = NULL;
    bool added =
        sqlite3_open_v2(name, &db, SQLITE_OPEN_READWRITE, dsq_sealed_vfs_name(vfs)) == SQLITE_OK;
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    added = added && sqlite3_exec(db, insert, NULL, NULL, NULL) == SQLITE_OK;
    if (moves_log) {
        sqlite3_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL);
    }
    sqlite3_close(db);
    return added;
}

/*
 * Reads what is in the files, not what was opened before they were changed.  All that is read is right,
 * and as much as there may be.
 */
static void check_rows(const char *name, int least, int most)
{
    sqlite3 *db = NULL;
    int rows;
    dsq_sealed_cache_forget(vfs->cache, 0, INT64_MAX);
    if (sqlite3_open_v2(name, &db, SQLITE_OPEN_READONLY, dsq_sealed_vfs_name(vfs)) == SQLITE_OK) {
        sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        if (read_rows(db, &rows)) {
            must(rows >= least && rows <= most);
        }
    }
    sqlite3_close(db);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct fuzz_input input = {bytes, size};
    char name[96];
    if (images[0].size == 0) {
        start();
    }
    for (size_t i = 0; i < 2 && codecs[i] != NULL; i++) {
        check_codec(input, codecs[i]);
    }
    int least = ROWS + COMMITS;
    for (int which = 0; which < 2; which++) {
        uint64_t changes = fuzz_take(&input, 1) % CHANGES_MAX;
        changed = images[which];
        if (which == 1 && changes != 0) {
            least = ROWS;
        }
        for (uint64_t i = 0; i < changes; i++) {
            change(&input);
        }
        write_image(&changed, which);
    }
    uint64_t writes = fuzz_take(&input, 1) % 4;
    fuzz_name(name, sizeof name, "changed", "");
    check_rows(name, least, ROWS + COMMITS);
    if (writes != 0) {
        int more = add_row(name, writes == 3) ? 1 : 0;
        check_rows(name, least + more, ROWS + COMMITS + more);
    }
    return 0;
}
