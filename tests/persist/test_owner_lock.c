#include "persist/owner_lock.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "tests/persist/scratch.h"

TestSuite(owner_lock, .init = scratch_make, .fini = scratch_remove);

static struct dsq_error error;

static int acquire(const char *path, bool shared, struct dsq_owner_lock **lock)
{
    error = (struct dsq_error){0};
    return dsq_owner_lock_acquire(path, shared, lock, &error);
}

static struct dsq_owner_lock *must_acquire(const char *path, bool shared)
{
    struct dsq_owner_lock *lock;
    cr_assert_eq(acquire(path, shared, &lock), DSQ_OK, "%s", error.message);
    return lock;
}

static void must_refuse(const char *path, bool shared, int status)
{
    struct dsq_owner_lock *lock = (void *)1;
    cr_assert_eq(acquire(path, shared, &lock), status, "%s", error.message);
    cr_assert_null(lock);
    cr_assert_eq(error.status, status);
}

static int status_in_child_for_writer(void)
{
    struct dsq_owner_lock *lock;
    char pid[32];
    snprintf(pid, sizeof pid, "process %ld", (long)getppid());
    int status = acquire(scratch_path("db"), false, &lock);
    return strstr(error.message, pid) != NULL ? -status : 100;
}

Test(owner_lock, refuses_a_second_writer_in_this_process_and_says_so)
{
    struct dsq_owner_lock *lock = must_acquire(scratch_path("db"), false);
    must_refuse(scratch_path("db"), false, DSQ_ERR_LOCKED);
    cr_assert_not_null(strstr(error.message, "in this process"), "%s", error.message);
    dsq_owner_lock_release(lock);
}

Test(owner_lock, refuses_a_writer_in_another_process_and_names_the_owner)
{
    struct dsq_owner_lock *lock = must_acquire(scratch_path("db"), false);
    cr_assert_eq(in_child(status_in_child_for_writer), -DSQ_ERR_LOCKED);
    dsq_owner_lock_release(lock);
}

Test(owner_lock, is_shared_among_readers_and_keeps_writers_out)
{
    struct dsq_owner_lock *first = must_acquire(scratch_path("db"), true);
    struct dsq_owner_lock *second = must_acquire(scratch_path("db"), true);
    must_refuse(scratch_path("db"), false, DSQ_ERR_LOCKED);
    dsq_owner_lock_release(first);
    must_refuse(scratch_path("db"), false, DSQ_ERR_LOCKED);
    dsq_owner_lock_release(second);
    dsq_owner_lock_release(must_acquire(scratch_path("db"), false));
}

Test(owner_lock, keeps_readers_out_while_there_is_a_writer)
{
    struct dsq_owner_lock *lock = must_acquire(scratch_path("db"), false);
    must_refuse(scratch_path("db"), true, DSQ_ERR_LOCKED);
    dsq_owner_lock_release(lock);
}

Test(owner_lock, leaves_no_file_behind)
{
    struct dsq_owner_lock *writer = must_acquire(scratch_path("db"), false);
    cr_assert(scratch_has("db-lock"));
    dsq_owner_lock_release(writer);
    cr_assert_not(scratch_has("db-lock"));

    struct dsq_owner_lock *first = must_acquire(scratch_path("db"), true);
    struct dsq_owner_lock *second = must_acquire(scratch_path("db"), true);
    dsq_owner_lock_release(first);
    cr_assert(scratch_has("db-lock"), "the other reader still holds it");
    dsq_owner_lock_release(second);
    cr_assert_not(scratch_has("db-lock"));
}

Test(owner_lock, ignores_the_release_of_nothing)
{
    dsq_owner_lock_release(NULL);
    dsq_owner_lock_abandon(NULL);
    cr_assert_not(scratch_has("db-lock"));
}

static int take_and_die(void)
{
    struct dsq_owner_lock *lock;
    if (acquire(scratch_path("db"), false, &lock) == DSQ_OK) {
        raise(SIGKILL);
    }
    return 1;
}

Test(owner_lock, dies_with_its_process)
{
    cr_assert_eq(in_child(take_and_die), -SIGKILL);
    cr_assert(scratch_has("db-lock"), "a killed process cannot have removed it");
    struct dsq_owner_lock *lock = must_acquire(scratch_path("db"), false);
    must_refuse(scratch_path("db"), false, DSQ_ERR_LOCKED);
    dsq_owner_lock_release(lock);
    cr_assert_not(scratch_has("db-lock"));
}

Test(owner_lock, never_names_a_dead_writer_for_a_living_reader)
{
    cr_assert_eq(in_child(take_and_die), -SIGKILL);
    struct dsq_owner_lock *reader = must_acquire(scratch_path("db"), true);
    must_refuse(scratch_path("db"), false, DSQ_ERR_LOCKED);
    cr_assert_not_null(strstr(error.message, "another handle or process"), "%s", error.message);
    dsq_owner_lock_release(reader);
}

Test(owner_lock, is_one_for_all_spellings_of_a_path)
{
    cr_assert_eq(mkdir(scratch_path("sub"), 0777), 0);
    scratch_write("sub/db", "", 0);
    cr_assert_eq(symlink("sub/db", scratch_path("link")), 0);
    cr_assert_eq(symlink("sub", scratch_path("way")), 0);
    cr_assert_eq(chdir(scratch), 0);

    struct dsq_owner_lock *lock = must_acquire("link", false);
    cr_assert_str_eq(dsq_owner_lock_path(lock), scratch_path("sub/db"));
    const char *spellings[] = {"sub/db", "./sub//db", "way/db", "way/../sub/db",
                               scratch_path("link")};
    for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++) {
        must_refuse(spellings[i], false, DSQ_ERR_LOCKED);
    }
    dsq_owner_lock_release(lock);
}

Test(owner_lock, is_one_for_all_spellings_of_a_file_yet_to_be_made)
{
    cr_assert_eq(symlink(".", scratch_path("way")), 0);
    cr_assert_eq(chdir(scratch), 0);
    struct dsq_owner_lock *lock = must_acquire("db", false);
    cr_assert_str_eq(dsq_owner_lock_path(lock), scratch_path("db"));
    must_refuse("way/way/db", false, DSQ_ERR_LOCKED);
    must_refuse(scratch_path("./db"), false, DSQ_ERR_LOCKED);
    dsq_owner_lock_release(lock);
}

Test(owner_lock, refuses_paths_that_cannot_be_a_file)
{
    must_refuse(scratch_path("missing/db"), false, DSQ_ERR_CANTOPEN);
    cr_assert_not_null(strstr(error.message, "missing"), "%s", error.message);
    must_refuse(scratch_path("missing/"), false, DSQ_ERR_CANTOPEN);
    must_refuse("", false, DSQ_ERR_CANTOPEN);
    cr_assert_eq(symlink("nothing", scratch_path("dangling")), 0);
    must_refuse(scratch_path("dangling"), false, DSQ_ERR_CANTOPEN);
    cr_assert_eq(symlink("loop", scratch_path("loop")), 0);
    must_refuse(scratch_path("loop"), false, DSQ_ERR_CANTOPEN);
    cr_assert_not(scratch_has("nothing-lock") || scratch_has("dangling-lock"));
}

Test(owner_lock, does_not_follow_a_link_in_the_place_of_its_file)
{
    scratch_write("victim", "precious", 8);
    cr_assert_eq(symlink("victim", scratch_path("db-lock")), 0);
    must_refuse(scratch_path("db"), false, DSQ_ERR_CANTOPEN);
    must_refuse(scratch_path("db"), true, DSQ_ERR_CANTOPEN);
    size_t size;
    char *kept = scratch_read("victim", &size);
    cr_assert_eq(size, 8);
    free(kept);
}

static int acquire_as_nobody(bool shared)
{
    become_nobody();
    struct dsq_owner_lock *lock;
    int status = acquire(scratch_path("db"), shared, &lock);
    if (lock != NULL) {
        dsq_owner_lock_release(lock);
    }
    return -status;
}

static int write_as_nobody(void)
{
    return acquire_as_nobody(false);
}

static int read_as_nobody(void)
{
    return acquire_as_nobody(true);
}

Test(owner_lock, lets_readers_alone_into_a_directory_that_cannot_be_written)
{
    cr_assert_eq(chmod(scratch, 0555), 0);
    cr_assert_eq(in_child(write_as_nobody), -DSQ_ERR_READONLY);
    cr_assert_eq(in_child(read_as_nobody), -DSQ_OK);
    cr_assert_eq(chmod(scratch, 0777), 0);
    cr_assert_not(scratch_has("db-lock"));
}

Test(owner_lock, counts_a_lock_file_in_a_directory_that_cannot_be_written)
{
    struct dsq_owner_lock *lock = must_acquire(scratch_path("db"), false);
    cr_assert_eq(chmod(scratch_path("db-lock"), 0444), 0);
    cr_assert_eq(chmod(scratch, 0555), 0);
    cr_assert_eq(in_child(read_as_nobody), -DSQ_ERR_LOCKED);
    cr_assert_eq(chmod(scratch_path("db-lock"), 0), 0);
    cr_assert_eq(in_child(read_as_nobody), -DSQ_ERR_CANTOPEN);
    cr_assert_eq(chmod(scratch, 0777), 0);
    dsq_owner_lock_release(lock);
}

static struct dsq_owner_lock *inherited;

static int abandon_inherited(void)
{
    dsq_owner_lock_abandon(inherited);
    return 0;
}

Test(owner_lock, stays_with_the_parent_when_a_child_abandons_it)
{
    inherited = must_acquire(scratch_path("db"), false);
    cr_assert_eq(in_child(abandon_inherited), 0);
    cr_assert(scratch_has("db-lock"));
    must_refuse(scratch_path("db"), false, DSQ_ERR_LOCKED);
    dsq_owner_lock_release(inherited);
}

Test(owner_lock, is_free_after_release_though_a_child_has_the_file_still_open)
{
    int gate[2];
    struct dsq_owner_lock *lock = must_acquire(scratch_path("db"), false);
    cr_assert_eq(link(scratch_path("db-lock"), scratch_path("other-lock")), 0);
    cr_assert_eq(pipe(gate), 0);
    pid_t child = fork();
    if (child == 0) {
        char byte;
        close(gate[1]);
        _exit(read(gate[0], &byte, 1) == 0 ? 0 : 1);
    }
    dsq_owner_lock_release(lock);
    /* The same inode under another name shows whether the lock itself is gone. */
    dsq_owner_lock_release(must_acquire(scratch_path("other"), false));
    close(gate[1]);
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
}

#define CONTENDERS 4
#define ROUNDS 300

static struct {
    atomic_int owners;
    atomic_int overlaps;
} * arena;

static int contend(void)
{
    for (int owned = 0; owned < ROUNDS;) {
        struct dsq_owner_lock *lock;
        int status = acquire(scratch_path("db"), false, &lock);
        if (status == DSQ_OK) {
            owned++;
            if (atomic_fetch_add(&arena->owners, 1) != 0) {
                atomic_fetch_add(&arena->overlaps, 1);
            }
            sched_yield(); /* so that others come by meanwhile */
            atomic_fetch_sub(&arena->owners, 1);
            dsq_owner_lock_release(lock);
        } else if (status != DSQ_ERR_LOCKED) {
            return 1;
        }
    }
    return 0;
}

Test(owner_lock, has_one_owner_at_a_time_while_its_file_comes_and_goes)
{
    arena = mmap(NULL, sizeof *arena, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(arena, MAP_FAILED);
    pid_t children[CONTENDERS];
    for (int i = 0; i < CONTENDERS; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            _exit(contend());
        }
    }
    for (int i = 0; i < CONTENDERS; i++) {
        int status;
        cr_assert_eq(waitpid(children[i], &status, 0), children[i]);
        cr_assert_eq(status, 0);
    }
    cr_assert_eq(arena->overlaps, 0);
    cr_assert_not(scratch_has("db-lock"));
}
