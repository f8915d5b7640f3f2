/* What the tests of the C API share: each one's scratch directory, and short ways to say things. */
#ifndef DSQ_TESTS_BINDINGS_FIXTURE_H
#define DSQ_TESTS_BINDINGS_FIXTURE_H

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include <dictsqlite.h>

/* Calls, and demands a status. */
#define CHECK(call, expected)                                                                      \
    do {                                                                                           \
        int status_ = (call);                                                                      \
        cr_assert_eq(status_, (expected), "%s returned %s, not %s", #call, dsq_strstatus(status_), \
                     dsq_strstatus(expected));                                                     \
    } while (0)

/* Each test runs in a process of its own, which has these for itself. */
static char scratch[] = "/tmp/dictsqlite-test-XXXXXX";
static char scratch_path[sizeof scratch + 32]; /* of the database */

static inline void scratch_make(void)
{
    cr_assert_not_null(mkdtemp(scratch));
    snprintf(scratch_path, sizeof scratch_path, "%s/test.db", scratch);
}

static inline void scratch_remove(void)
{
    char command[sizeof scratch + 16];
    snprintf(command, sizeof command, "rm -rf %s", scratch);
    cr_assert_eq(system(command), 0);
}

static inline dsq_db *open_with(struct dsq_options options)
{
    struct dsq_error error = {.status = DSQ_OK};
    dsq_db *db = NULL;
    options.error = &error;
    int status = dsq_open(scratch_path, &options, &db);
    cr_assert_eq(status, DSQ_OK, "dsq_open: %s", error.message);
    cr_assert_not_null(db);
    return db;
}

static inline dsq_db *open_mode(int mode)
{
    return open_with((struct dsq_options){.persist_mode = mode});
}

static inline int put_text(dsq_db *db, const char *key, const char *value)
{
    return dsq_put(db, key, strlen(key), value, strlen(value));
}

static inline int delete_text(dsq_db *db, const char *key)
{
    return dsq_delete(db, key, strlen(key));
}

static inline int contains_text(dsq_db *db, const char *key)
{
    return dsq_contains(db, key, strlen(key));
}

static inline void check_bytes(dsq_db *db, const void *key, size_t key_size, const void *expected,
                               size_t expected_size)
{
    void *value = NULL;
    size_t size = 0;
    CHECK(dsq_get(db, key, key_size, &value, &size), DSQ_OK);
    cr_assert_not_null(value);
    cr_assert_eq(size, expected_size);
    cr_assert(size == 0 || memcmp(value, expected, size) == 0);
    dsq_free(value);
}

static inline void check_text(dsq_db *db, const char *key, const char *expected)
{
    check_bytes(db, key, strlen(key), expected, strlen(expected));
}

/* The number-th key of a series and its value. */
static inline const char *numbered_key(unsigned number)
{
    static char key[32];
    snprintf(key, sizeof key, "key %06u", number);
    return key;
}

static inline const char *numbered_value(unsigned number)
{
    static char value[64];
    snprintf(value, sizeof value, "the value of number %u", number);
    return value;
}

static inline void put_numbered(dsq_db *db, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        CHECK(put_text(db, numbered_key(i), numbered_value(i)), DSQ_OK);
    }
}

static inline void check_numbered(dsq_db *db, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        check_text(db, numbered_key(i), numbered_value(i));
    }
}

/* Runs work in a forked process that ends by SIGKILL right after; false if it ended otherwise. */
static inline bool killed_after(void (*work)(void))
{
    int status = 0;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        work();
        kill(getpid(), SIGKILL);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) &&
           WTERMSIG(status) == SIGKILL;
}

/* The exit status of a forked process that runs work, -1 if a signal ended it. */
static inline int exit_of(int (*work)(void))
{
    int status = 0;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        _exit(work());
    }
    cr_assert(pid > 0 && waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Runs SQL on the scratch database with the sqlite3 program. */
static inline void run_sqlite3(const char *sql)
{
    char command[512];
    snprintf(command, sizeof command, "sqlite3 %s \"%s\" >/dev/null", scratch_path, sql);
    cr_assert_eq(system(command), 0, "%s", command);
}

#endif
