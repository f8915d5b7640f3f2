/* What a file records of its values. */
#include "tests/bindings/fixture.h"

TestSuite(value_format, .init = scratch_make, .fini = scratch_remove, .timeout = 60);

#define LONGEST "0123456789012345678901234567890123456789012345678901234567890123"
#define TOO_LONG "01234567890123456789012345678901234567890123456789012345678901234"

static const struct dsq_options sealed = {.password = "secret",
                                          .password_size = 6,
                                          .kdf_operations = 2,
                                          .kdf_memory = (uint64_t)19 * 1024 * 1024};

static struct dsq_options as(const char *name)
{
    return (struct dsq_options){.value_format = name};
}

static struct dsq_options sealed_as(const char *name)
{
    struct dsq_options options = sealed;
    options.value_format = name;
    return options;
}

/* Opens the path, which records the name, with the options. */
static void check_records(const char *path, struct dsq_options options, const char *name)
{
    dsq_db *db;
    CHECK(dsq_open(path, &options, &db), DSQ_OK);
    cr_assert_str_eq(dsq_value_format(db), name);
    CHECK(dsq_close(db), DSQ_OK);
}

static void check_refused(struct dsq_options options, int expected, const char *message)
{
    struct dsq_error error = {0};
    dsq_db *db;
    options.error = &error;
    CHECK(dsq_open(scratch_path, &options, &db), expected);
    cr_assert_null(db);
    cr_assert_not_null(strstr(error.message, message), "%s", error.message);
}

Test(value_format, is_recorded_when_the_file_is_created_and_kept)
{
    CHECK(dsq_close(open_with(as("json"))), DSQ_OK);
    check_records(scratch_path, as("json"), "json");
    check_records(scratch_path, as(NULL), "json");
    check_records(scratch_path, (struct dsq_options){.readonly = 1}, "json");
    run_sqlite3("SELECT 1 / (value = 'json') FROM meta WHERE name = 'value_format'");
}

Test(value_format, of_another_name_is_refused_by_a_message_that_names_both)
{
    CHECK(dsq_close(open_with(as("json"))), DSQ_OK);
    check_refused(as("pickle"), DSQ_ERR_FORMAT, "test.db are stored as 'json', not 'pickle'");
    check_refused((struct dsq_options){.value_format = "jso", .readonly = 1}, DSQ_ERR_FORMAT,
                  "'json', not 'jso'");
    check_records(scratch_path, as("json"), "json");
}

Test(value_format, of_a_file_that_records_none_is_bytes)
{
    CHECK(dsq_close(open_with(as(NULL))), DSQ_OK);
    run_sqlite3("SELECT 1 / (count(*) = 2) FROM meta");
    check_records(scratch_path, as(NULL), DSQ_VALUE_FORMAT_BYTES);
    check_records(scratch_path, as("bytes"), "bytes");
    check_refused(as("json"), DSQ_ERR_FORMAT, "'bytes', not 'json'");
}

Test(value_format, is_refused_where_it_is_no_name)
{
    static const char *const wrong[] = {"", TOO_LONG, "line\n", "caf\xc3\xa9", "\x7f"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        check_refused(as(wrong[i]), DSQ_ERR_INVALID, "value_format");
        cr_assert_neq(access(scratch_path, F_OK), 0);
    }
    CHECK(dsq_close(open_with(as(LONGEST))), DSQ_OK);
    check_records(scratch_path, as(LONGEST), LONGEST);
}

static void open_only(void)
{
    struct dsq_options options = as("json");
    dsq_db *db;
    if (dsq_open(scratch_path, &options, &db) != DSQ_OK) {
        exit(1);
    }
}

Test(value_format, is_in_the_file_before_open_returns)
{
    cr_assert(killed_after(open_only));
    check_refused(as("bytes"), DSQ_ERR_FORMAT, "'json', not 'bytes'");
    check_records(scratch_path, as(NULL), "json");
}

Test(value_format, that_is_refused_leaves_what_was_written_before_a_crash)
{
    cr_assert(killed_after(open_only));
    dsq_db *db = open_with(as("json"));
    CHECK(put_text(db, "k", "v"), DSQ_OK);
    dsq_abandon(db);
    check_refused(as("bytes"), DSQ_ERR_FORMAT, "'json', not 'bytes'");
    db = open_with(as("json"));
    check_text(db, "k", "v");
    CHECK(dsq_close(db), DSQ_OK);
}

Test(value_format, is_kept_by_backup_and_compaction)
{
    char copy[128];
    snprintf(copy, sizeof copy, "%s/copy.db", scratch);
    for (int i = 0; i < 2; i++) {
        struct dsq_options options = i == 0 ? as("json") : sealed_as("json");
        dsq_db *db = open_with(options);
        CHECK(put_text(db, "k", "v"), DSQ_OK);
        CHECK(dsq_backup(db, copy, 0, NULL, NULL), DSQ_OK);
        CHECK(dsq_compact(db, NULL, NULL), DSQ_OK);
        CHECK(dsq_verify(db, NULL, NULL), DSQ_OK);
        CHECK(dsq_close(db), DSQ_OK);
        check_records(scratch_path, options, "json");
        check_records(copy, options, "json");
        scratch_remove();
        cr_assert_eq(mkdir(scratch, 0700), 0);
    }
}

Test(value_format, is_kept_by_encryption_and_decryption)
{
    CHECK(dsq_close(open_with(as("json"))), DSQ_OK);
    CHECK(dsq_encrypt(scratch_path, &sealed, NULL, NULL), DSQ_OK);
    check_refused(sealed_as("pickle"), DSQ_ERR_FORMAT, "'json', not 'pickle'");
    check_records(scratch_path, sealed_as("json"), "json");
    CHECK(dsq_decrypt(scratch_path, &sealed, NULL, NULL), DSQ_OK);
    check_records(scratch_path, as("json"), "json");
}

Test(value_format, of_an_encrypted_file_cannot_be_read_in_it)
{
    char command[128];
    CHECK(dsq_close(open_with(sealed_as("the name of it"))), DSQ_OK);
    snprintf(command, sizeof command, "grep -q 'the name of it' %s", scratch_path);
    cr_assert_neq(system(command), 0);
    check_records(scratch_path, sealed_as(NULL), "the name of it");
}

Test(value_format, of_a_store_in_memory_is_what_it_was_given)
{
    struct dsq_options options = {.persist_mode = DSQ_MODE_MEMORY};
    dsq_db *db;
    CHECK(dsq_open(NULL, &options, &db), DSQ_OK);
    cr_assert_str_eq(dsq_value_format(db), "bytes");
    CHECK(dsq_close(db), DSQ_OK);
    options.value_format = "json";
    CHECK(dsq_open(NULL, &options, &db), DSQ_OK);
    cr_assert_str_eq(dsq_value_format(db), "json");
    CHECK(dsq_close(db), DSQ_OK);
    cr_assert_null(dsq_value_format(NULL));
}

Test(value_format, that_somebody_else_spoiled_is_damage)
{
    static const char *const spoils[] = {
        "x'6a736f6e'",      "7", "NULL", "''", "'a' || char(9)", "'json' || char(0)",
        "hex(zeroblob(33))"};
    for (size_t i = 0; i < sizeof spoils / sizeof spoils[0]; i++) {
        char sql[256];
        CHECK(dsq_close(open_with(as("json"))), DSQ_OK);
        snprintf(sql, sizeof sql, "UPDATE meta SET value = %s WHERE name = 'value_format'",
                 spoils[i]);
        run_sqlite3(sql);
        check_refused(as("json"), DSQ_ERR_CORRUPT, "test.db");
        check_refused(as(NULL), DSQ_ERR_CORRUPT, "test.db");
        cr_assert_eq(unlink(scratch_path), 0);
    }
}

Test(value_format, that_is_spoiled_meanwhile_is_found_by_verification)
{
    dsq_db *db = open_with(as("json"));
    run_sqlite3("UPDATE meta SET value = 7 WHERE name = 'value_format'");
    CHECK(dsq_verify(db, NULL, NULL), DSQ_ERR_CORRUPT);
    dsq_abandon(db);
}
