/* Passwords: encrypted stores, and turning files into them and back. */
#include <dirent.h>
#include <fcntl.h>
#include <time.h>

#include "tests/bindings/fixture.h"

TestSuite(encryption, .init = scratch_make, .fini = scratch_remove, .timeout = 60);

#define KDF_OPERATIONS 2
#define KDF_MEMORY ((uint64_t)19 * 1024 * 1024)
#define SECRET "correct horse"
#define MARK "a value that nobody may read"

static struct dsq_options with(const char *password)
{
    return (struct dsq_options){.password = password,
                                .password_size = password != NULL ? strlen(password) : 0,
                                .kdf_operations = KDF_OPERATIONS,
                                .kdf_memory = KDF_MEMORY};
}

static dsq_db *open_sealed(const char *password)
{
    return open_with(with(password));
}

/* What dsq_open says to options, and the message. */
static struct dsq_error refusal;

static int try_open(struct dsq_options options)
{
    dsq_db *db = NULL;
    refusal = (struct dsq_error){0};
    options.error = &refusal;
    int status = dsq_open(scratch_path, &options, &db);
    if (status == DSQ_OK) {
        CHECK(dsq_close(db), DSQ_OK);
    }
    return status;
}

static void put_many(dsq_db *db, int first, int end)
{
    for (int i = first; i < end; i++) {
        char key[32];
        snprintf(key, sizeof key, "a key of mine %06d", i);
        CHECK(put_text(db, key, MARK), DSQ_OK);
    }
}

static void check_many(dsq_db *db, int first, int end)
{
    for (int i = first; i < end; i++) {
        char key[32];
        snprintf(key, sizeof key, "a key of mine %06d", i);
        check_bytes(db, key, strlen(key), MARK, strlen(MARK));
    }
}

static char *read_whole(const char *path, size_t *size)
{
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s", path);
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(*size + 1);
    cr_assert_eq(fread(bytes, 1, *size, file), *size);
    fclose(file);
    return bytes;
}

static void write_whole(const char *path, const char *bytes, size_t size)
{
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

/* Demands that no file beside the database, nor itself, shows what is in it. */
static void check_nothing_shows(void)
{
    static const char *const secrets[] = {MARK,           "a key of mine", SECRET,
                                          "CREATE TABLE", "journal",       "SQLite format"};
    DIR *directory = opendir(scratch);
    int files = 0;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char path[sizeof scratch + 300];
        size_t size;
        if (entry->d_name[0] == '.') {
            continue;
        }
        snprintf(path, sizeof path, "%s/%s", scratch, entry->d_name);
        char *bytes = read_whole(path, &size);
        for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++) {
            cr_assert_null(memmem(bytes, size, secrets[i], strlen(secrets[i])), "%s shows \"%s\"",
                           path, secrets[i]);
        }
        free(bytes);
        files++;
    }
    closedir(directory);
    cr_assert_geq(files, 1);
}

Test(encryption, what_was_written_is_read_again_and_nothing_shows)
{
    dsq_db *db = open_sealed(SECRET);
    put_many(db, 0, 300);
    check_nothing_shows();
    CHECK(dsq_close(db), DSQ_OK);
    check_nothing_shows();
    db = open_sealed(SECRET);
    check_many(db, 0, 300);
    CHECK(dsq_verify(db, NULL, NULL), DSQ_OK);
    put_many(db, 300, 400);
    CHECK(dsq_compact(db, NULL, NULL), DSQ_OK);
    check_nothing_shows();
    check_many(db, 0, 400);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(encryption, the_cipher_of_a_new_file_can_be_chosen)
{
    struct dsq_options options = with(SECRET);
    options.cipher = 3;
    CHECK(try_open(options), DSQ_ERR_INVALID);
    options.cipher = DSQ_CIPHER_XCHACHA20POLY1305;
    dsq_db *db = open_with(options);
    put_many(db, 0, 300);
    CHECK(dsq_compact(db, NULL, NULL), DSQ_OK);
    check_nothing_shows();
    CHECK(dsq_close(db), DSQ_OK);
    db = open_sealed(SECRET);
    check_many(db, 0, 300);
    CHECK(dsq_verify(db, NULL, NULL), DSQ_OK);
    CHECK(dsq_close(db), DSQ_OK);
    size_t size;
    char *bytes = read_whole(scratch_path, &size);
    cr_assert_eq(bytes[20], DSQ_CIPHER_XCHACHA20POLY1305);
    bytes[8192 + 100] ^= 1;
    write_whole(scratch_path, bytes, size);
    CHECK(try_open(with(SECRET)), DSQ_ERR_CORRUPT);
    free(bytes);
}

Test(encryption, a_store_that_was_not_closed_is_recovered_from_its_log)
{
    pid_t child = fork();
    if (child == 0) {
        dsq_db *db = open_sealed(SECRET);
        put_many(db, 0, 200);
        _exit(0);
    }
    int ended;
    waitpid(child, &ended, 0);
    cr_assert(WIFEXITED(ended) && WEXITSTATUS(ended) == 0);
    check_nothing_shows();
    dsq_db *db = open_sealed(SECRET);
    check_many(db, 0, 200);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(encryption, there_is_no_index_of_the_log_beside_the_file)
{
    char name[sizeof scratch_path + 8];
    snprintf(name, sizeof name, "%s-shm", scratch_path);
    dsq_db *db = open_sealed(SECRET);
    put_many(db, 0, 10);
    cr_assert_neq(access(name, F_OK), 0);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(encryption, a_wrong_password_is_one_error_and_the_file_stays_as_it_is)
{
    size_t size;
    size_t size_after;
    dsq_db *db = open_with((struct dsq_options){.password = SECRET, .password_size = 13});
    put_many(db, 0, 10);
    CHECK(dsq_close(db), DSQ_OK);
    char *before = read_whole(scratch_path, &size);
    struct timespec start;
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    CHECK(try_open(with("wrong")), DSQ_ERR_PASSWORD);
    clock_gettime(CLOCK_MONOTONIC, &end);
    cr_assert_lt(end.tv_sec - start.tv_sec, 2);
    cr_assert_not_null(strstr(refusal.message, "wrong password"));
    CHECK(try_open(with("correct horse ")), DSQ_ERR_PASSWORD);
    char *after = read_whole(scratch_path, &size_after);
    cr_assert(size == size_after && memcmp(before, after, size) == 0);
    free(before);
    free(after);
    CHECK(try_open(with(SECRET)), DSQ_OK);
}

Test(encryption, a_password_for_a_plain_file_and_none_for_an_encrypted_one_are_errors)
{
    dsq_db *db = open_mode(DSQ_MODE_WRITETHROUGH);
    put_many(db, 0, 10);
    CHECK(dsq_close(db), DSQ_OK);
    CHECK(try_open(with(SECRET)), DSQ_ERR_PASSWORD);
    cr_assert_not_null(strstr(refusal.message, "is not encrypted"), "%s", refusal.message);
    CHECK(try_open(with(NULL)), DSQ_OK);
    unlink(scratch_path);

    CHECK(dsq_close(open_sealed(SECRET)), DSQ_OK);
    CHECK(try_open(with(NULL)), DSQ_ERR_PASSWORD);
    cr_assert_not_null(strstr(refusal.message, "needs a password"), "%s", refusal.message);
    CHECK(try_open((struct dsq_options){.readonly = 1}), DSQ_ERR_PASSWORD);
}

Test(encryption, a_file_that_is_not_ours_is_refused_and_left_alone)
{
    char bytes[9000];
    size_t size;
    memset(bytes, 'x', sizeof bytes);
    write_whole(scratch_path, bytes, sizeof bytes);
    CHECK(try_open(with(SECRET)), DSQ_ERR_FORMAT);
    char *after = read_whole(scratch_path, &size);
    cr_assert(size == sizeof bytes && memcmp(bytes, after, size) == 0);
    free(after);
}

Test(encryption, passwords_and_limits_out_of_range_are_refused)
{
    static char long_password[DSQ_PASSWORD_SIZE_MAX + 1];
    struct dsq_options options = with(SECRET);
    memset(long_password, 'p', sizeof long_password);
    CHECK(try_open((struct dsq_options){.password = ""}), DSQ_ERR_INVALID);
    CHECK(try_open((struct dsq_options){.password_size = 3}), DSQ_ERR_INVALID);
    CHECK(try_open((struct dsq_options){.password = long_password,
                                        .password_size = sizeof long_password}),
          DSQ_ERR_INVALID);
    options.kdf_operations = 1;
    CHECK(try_open(options), DSQ_ERR_INVALID);
    options = with(SECRET);
    options.kdf_memory = KDF_MEMORY - 1;
    CHECK(try_open(options), DSQ_ERR_INVALID);
    options = with(SECRET);
    options.persist_mode = DSQ_MODE_MEMORY;
    CHECK(try_open(options), DSQ_ERR_INVALID);
    cr_assert_neq(access(scratch_path, F_OK), 0);
    CHECK(try_open((struct dsq_options){.password = long_password,
                                        .password_size = DSQ_PASSWORD_SIZE_MAX}),
          DSQ_OK);
}

Test(encryption, a_new_password_takes_the_place_of_the_old_one)
{
    dsq_db *db = open_sealed(SECRET);
    put_many(db, 0, 50);
    CHECK(dsq_rekey(db, "another", 7), DSQ_OK);
    put_many(db, 50, 60);
    CHECK(dsq_rekey(db, "", 0), DSQ_ERR_INVALID);
    CHECK(dsq_close(db), DSQ_OK);
    CHECK(try_open(with(SECRET)), DSQ_ERR_PASSWORD);
    db = open_sealed("another");
    check_many(db, 0, 60);
    CHECK(dsq_rekey(db, SECRET, strlen(SECRET)), DSQ_OK);
    CHECK(dsq_close(db), DSQ_OK);
    CHECK(try_open(with("another")), DSQ_ERR_PASSWORD);
    CHECK(try_open(with(SECRET)), DSQ_OK);
}

Test(encryption, only_an_encrypted_store_that_can_be_written_has_its_password_changed)
{
    dsq_db *db = open_mode(DSQ_MODE_WRITETHROUGH);
    CHECK(dsq_rekey(db, SECRET, strlen(SECRET)), DSQ_ERR_UNSUPPORTED);
    CHECK(dsq_close(db), DSQ_OK);
    unlink(scratch_path);
    CHECK(dsq_close(open_sealed(SECRET)), DSQ_OK);
    struct dsq_options options = with(SECRET);
    options.readonly = 1;
    db = open_with(options);
    CHECK(dsq_rekey(db, "another", 7), DSQ_ERR_READONLY);
    CHECK(dsq_close(db), DSQ_OK);
}

/* The states that a crash within a change of the superblock leaves, made from the two whole ones. */
Test(encryption, a_torn_change_of_password_leaves_the_old_or_the_new_one)
{
    size_t size;
    CHECK(dsq_close(open_sealed(SECRET)), DSQ_OK);
    char *old = read_whole(scratch_path, &size);
    dsq_db *db = open_sealed(SECRET);
    CHECK(dsq_rekey(db, "another", 7), DSQ_OK);
    CHECK(dsq_close(db), DSQ_OK);
    char *new = read_whole(scratch_path, &size);
    for (size_t torn = 0; torn <= 512; torn += 64) {
        for (size_t copy = 0; copy < 2; copy++) {
            /* This copy is being written, from its start on; the other is the old or the new one. */
            for (int other_is_new = 0; other_is_new < 2; other_is_new++) {
                char *bytes = malloc(size);
                char *this_copy = bytes + 4096 * copy;
                memcpy(bytes, other_is_new ? new : old, 8192);
                memcpy(bytes + 8192, new + 8192, size - 8192);
                memcpy(this_copy, old + 4096 * copy, 512);
                memcpy(this_copy, new + 4096 * copy, torn);
                write_whole(scratch_path, bytes, size);
                bool is_new = other_is_new || torn == 512;
                CHECK(try_open(with(is_new ? "another" : SECRET)), DSQ_OK);
                CHECK(try_open(with(is_new ? SECRET : "another")), DSQ_ERR_PASSWORD);
                free(bytes);
            }
        }
    }
    free(old);
    free(new);
}

Test(encryption, a_creation_that_was_cut_off_starts_again)
{
    size_t size;
    CHECK(dsq_close(open_sealed(SECRET)), DSQ_OK);
    char *bytes = read_whole(scratch_path, &size);
    /* An empty file, and one whose first superblock never came. */
    write_whole(scratch_path, "", 0);
    CHECK(try_open(with(SECRET)), DSQ_OK);
    char zeros[8192] = {0};
    write_whole(scratch_path, zeros, sizeof zeros);
    CHECK(try_open(with(SECRET)), DSQ_OK);
    /* A whole file cut back to its superblock is none. */
    write_whole(scratch_path, bytes, 8192);
    CHECK(try_open(with(SECRET)), DSQ_ERR_CORRUPT);
    free(bytes);
}

Test(encryption, a_backup_opens_with_the_same_password_and_is_not_the_same_file)
{
    char copy[sizeof scratch_path + 8];
    size_t size;
    size_t copy_size;
    dsq_db *db = open_sealed(SECRET);
    put_many(db, 0, 100);
    snprintf(copy, sizeof copy, "%s.bak", scratch_path);
    CHECK(dsq_backup(db, copy, 0, NULL, NULL), DSQ_OK);
    CHECK(dsq_backup(db, copy, 0, NULL, NULL), DSQ_ERR_CANTOPEN);
    CHECK(dsq_close(db), DSQ_OK);
    check_nothing_shows();
    char *bytes = read_whole(scratch_path, &size);
    char *copied = read_whole(copy, &copy_size);
    cr_assert_geq(copy_size, (size_t)3 * 4096);
    /* A page of the copy is nothing to the file. */
    memcpy(bytes + 8192, copied + 8192, 4096);
    write_whole(scratch_path, bytes, size);
    CHECK(try_open(with(SECRET)), DSQ_ERR_CORRUPT);
    write_whole(scratch_path, copied, copy_size);
    db = open_sealed(SECRET);
    check_many(db, 0, 100);
    CHECK(dsq_close(db), DSQ_OK);
    free(bytes);
    free(copied);
}

static int cancel(void *context, uint64_t done, uint64_t total)
{
    (void)context;
    (void)done;
    (void)total;
    return 1;
}

static int count_reports(void *context, uint64_t done, uint64_t total)
{
    cr_assert_leq(done, total);
    ++*(int *)context;
    return 0;
}

Test(encryption, a_file_is_encrypted_and_decrypted)
{
    struct dsq_options options = with(SECRET);
    int reports = 0;
    options.error = &refusal;
    dsq_db *db = open_mode(DSQ_MODE_LAZY);
    for (int i = 0; i < 20000; i++) {
        char key[32];
        snprintf(key, sizeof key, "a key of mine %06d", i);
        CHECK(put_text(db, key, MARK), DSQ_OK);
    }
    CHECK(dsq_encrypt(scratch_path, &options, NULL, NULL), DSQ_ERR_LOCKED);
    CHECK(dsq_close(db), DSQ_OK);
    CHECK(dsq_encrypt(scratch_path, &options, cancel, NULL), DSQ_ERR_CANCELLED);
    CHECK(try_open(with(NULL)), DSQ_OK);
    CHECK(dsq_encrypt(scratch_path, &options, count_reports, &reports), DSQ_OK);
    cr_assert_gt(reports, 0);
    check_nothing_shows();
    CHECK(dsq_encrypt(scratch_path, &options, NULL, NULL), DSQ_ERR_PASSWORD);
    db = open_sealed(SECRET);
    check_many(db, 0, 20000);
    CHECK(dsq_verify(db, NULL, NULL), DSQ_OK);
    CHECK(dsq_close(db), DSQ_OK);

    options = with("wrong");
    CHECK(dsq_decrypt(scratch_path, &options, NULL, NULL), DSQ_ERR_PASSWORD);
    options = with(SECRET);
    CHECK(dsq_decrypt(scratch_path, &options, cancel, NULL), DSQ_ERR_CANCELLED);
    CHECK(try_open(with(SECRET)), DSQ_OK);
    CHECK(dsq_decrypt(scratch_path, &options, NULL, NULL), DSQ_OK);
    CHECK(dsq_decrypt(scratch_path, &options, NULL, NULL), DSQ_ERR_PASSWORD);
    db = open_mode(DSQ_MODE_WRITETHROUGH);
    check_many(db, 0, 20000);
    CHECK(dsq_verify(db, NULL, NULL), DSQ_OK);
    CHECK(dsq_close(db), DSQ_OK);
}

Test(encryption, encrypting_needs_a_path_a_password_and_a_file)
{
    struct dsq_options options = with(SECRET);
    options.error = &refusal;
    CHECK(dsq_encrypt(NULL, &options, NULL, NULL), DSQ_ERR_INVALID);
    CHECK(dsq_encrypt(scratch_path, NULL, NULL, NULL), DSQ_ERR_INVALID);
    CHECK(dsq_encrypt(scratch_path, &options, NULL, NULL), DSQ_ERR_CANTOPEN);
    cr_assert_neq(access(scratch_path, F_OK), 0);
}

/* Several openers of one process, and of another. */
Test(encryption, readers_share_an_encrypted_file)
{
    struct dsq_options options = with(SECRET);
    dsq_db *db = open_sealed(SECRET);
    put_many(db, 0, 100);
    CHECK(dsq_close(db), DSQ_OK);
    options.readonly = 1;
    dsq_db *first = open_with(options);
    dsq_db *second = open_with(options);
    check_many(first, 0, 100);
    check_many(second, 0, 100);
    CHECK(try_open(with(SECRET)), DSQ_ERR_LOCKED);
    CHECK(dsq_close(first), DSQ_OK);
    check_many(second, 0, 100);
    CHECK(dsq_close(second), DSQ_OK);
    char name[sizeof scratch_path + 8];
    snprintf(name, sizeof name, "%s-wal", scratch_path);
    cr_assert_neq(access(name, F_OK), 0);
}

Test(encryption, a_forked_child_gets_an_error_and_opens_its_own)
{
    dsq_db *db = open_sealed(SECRET);
    put_many(db, 0, 10);
    pid_t child = fork();
    if (child == 0) {
        bool ok = put_text(db, "x", "y") == DSQ_ERR_FORKED;
        dsq_abandon(db);
        char other[sizeof scratch_path + 8];
        snprintf(other, sizeof other, "%s.child", scratch_path);
        struct dsq_options options = with(SECRET);
        dsq_db *own = NULL;
        ok = ok && dsq_open(other, &options, &own) == DSQ_OK && put_text(own, "x", "y") == DSQ_OK &&
             dsq_close(own) == DSQ_OK;
        _exit(ok ? 0 : 1);
    }
    int ended;
    waitpid(child, &ended, 0);
    cr_assert(WIFEXITED(ended) && WEXITSTATUS(ended) == 0);
    put_many(db, 10, 20);
    check_many(db, 0, 20);
    CHECK(dsq_close(db), DSQ_OK);
}
