/* What concerns the file as a whole: opening it, counting its records, an iterator left open. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/durable_sections.h"
#include "bench/harness.h"
#include "stress/verdict.h"

#define ROUNDS 9
#define CRASH_BATCH 10000
#define LEN_WRITES 1000
#define CURSOR_ROWS 10000
#define CURSOR_READS 10
#define CURSOR_BATCH 1000
#define BYTES_PER_MIB (1024.0 * 1024.0)

static double ms(uint64_t ns)
{
    return (double)ns / (double)DSQ_NS_PER_MS;
}

static void print_rounds(const char *name, double *samples_ms)
{
    double median = bench_median(samples_ms, ROUNDS);
    printf("%-40s %10.3f %10.3f %10.3f\n", name, samples_ms[0], median, samples_ms[ROUNDS - 1]);
    fflush(stdout);
}

/* Operations a second of so many rounds' milliseconds. */
static void report_rounds(const struct durable_parameters *parameters, const char *workload,
                          const double *samples_ms, size_t count)
{
    double per_second[ROUNDS];
    for (size_t i = 0; i < count; i++) {
        per_second[i] = 1e3 / samples_ms[i];
    }
    bench_report_figure_of(parameters->report, "store", "dictsqlite", workload, 1);
    bench_report_rates(parameters->report, per_second, count);
}

static double file_mib(const char *path, const char *suffix)
{
    char name[PATH_MAX];
    struct stat status;
    if (snprintf(name, sizeof name, "%s%s", path, suffix) >= (int)sizeof name ||
        stat(name, &status) != 0) {
        return 0;
    }
    return (double)status.st_size / BYTES_PER_MIB;
}

static dsq_db *open_timed(const char *path, double *elapsed_ms)
{
    uint64_t before = dsq_now_ns();
    dsq_db *db = durable_open(path, 0, 0);
    *elapsed_ms = ms(dsq_now_ns() - before);
    return db;
}

/* A process that writes all of it durably and is killed, without close. */
static void write_and_crash(const struct durable_parameters *parameters, const char *path)
{
    int status;
    fflush(NULL);
    pid_t child = fork();
    if (child < 0) {
        perror("fork");
        exit(1);
    }
    if (child == 0) {
        dsq_db *db = durable_open(path, 0, 0);
        durable_write(db, parameters->seed, (struct durable_span){0, parameters->rows},
                      CRASH_BATCH);
        kill(getpid(), SIGKILL);
    }
    if (waitpid(child, &status, 0) != child || !WIFSIGNALED(status) ||
        WTERMSIG(status) != SIGKILL) {
        fprintf(stderr, "the process to be killed ended otherwise\n");
        exit(1);
    }
}

static void reopen_after_crash(const struct durable_parameters *parameters)
{
    double opened_ms;
    uint64_t count;
    char path[PATH_MAX];
    durable_path(parameters, "crashed", path);
    write_and_crash(parameters, path);
    double wal_mib = file_mib(path, "-wal");
    dsq_db *db = open_timed(path, &opened_ms);
    uint64_t before = dsq_now_ns();
    durable_require(db, "dsq_count", dsq_count(db, &count));
    double counted_ms = ms(dsq_now_ns() - before);
    if (count != parameters->rows) {
        stress_violation("%" PRIu64 " records after the crash", count);
    }
    durable_close(db);
    report_rounds(parameters, "open after a crash", &opened_ms, 1);
    printf("%-40s %10.3f   write-ahead log found: %.1f MiB; dsq_count then: %.3f ms\n",
           "after a crash, once", opened_ms, wal_mib, counted_ms);
    durable_check(path, parameters->seed, parameters->rows, parameters->rows);
    durable_remove(path);
}

void durable_reopen(const struct durable_parameters *parameters)
{
    double opened_ms[ROUNDS];
    char path[PATH_MAX];
    durable_path(parameters, "clean", path);
    durable_fill(path, parameters->seed, parameters->rows);
    for (unsigned i = 0; i < ROUNDS; i++) {
        durable_close(open_timed(path, &opened_ms[i]));
    }
    printf("\nopen: dsq_open of %" PRIu64 " rows, %.0f MiB, in the page cache\n", parameters->rows,
           file_mib(path, ""));
    printf("%-40s %10s %10s %10s\n", "", "best ms", "median ms", "worst ms");
    print_rounds("closed cleanly", opened_ms);
    report_rounds(parameters, "open after a clean close", opened_ms, ROUNDS);
    durable_check(path, parameters->seed, parameters->rows, parameters->rows);
    durable_remove(path);
    reopen_after_crash(parameters);
}

/* Half of the writes meet a row that only the disk knows, half are new. */
static void len_write(dsq_db *db, const struct durable_parameters *parameters, uint64_t round)
{
    const uint64_t half = LEN_WRITES / 2;
    struct durable_record record;
    dsq_batch *batch;
    durable_require(db, "dsq_batch_new", dsq_batch_new(db, &batch));
    for (uint64_t i = 0; i < LEN_WRITES; i++) {
        uint64_t number = round * half + i % half;
        number = i < half ? number % parameters->rows : number + parameters->rows;
        durable_record_make(parameters->seed, number, &record);
        int status =
            dsq_batch_put(batch, record.key, sizeof record.key, record.value, sizeof record.value);
        durable_require(db, "dsq_batch_put", status);
    }
    durable_require(db, "dsq_batch_commit", dsq_batch_commit(batch));
    dsq_batch_destroy(batch);
}

void durable_len(const struct durable_parameters *parameters)
{
    double counted_ms[ROUNDS];
    char path[PATH_MAX];
    uint64_t count = parameters->rows;
    durable_path(parameters, "len", path);
    durable_fill(path, parameters->seed, parameters->rows);
    dsq_db *db = durable_open(path, 0, 0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t counted;
        len_write(db, parameters, i);
        count += LEN_WRITES / 2;
        uint64_t before = dsq_now_ns();
        durable_require(db, "dsq_count", dsq_count(db, &counted));
        counted_ms[i] = ms(dsq_now_ns() - before);
        if (counted != count) {
            stress_violation("%" PRIu64 " records in place of %" PRIu64, counted, count);
        }
    }
    durable_close(db);
    printf("\nlen: dsq_count right after a batch of %d writes, half of them new, on %" PRIu64
           " rows not in the hot tier\n",
           LEN_WRITES, parameters->rows);
    printf("%-40s %10s %10s %10s\n", "", "best ms", "median ms", "worst ms");
    print_rounds("dsq_count", counted_ms);
    report_rounds(parameters, "count right after a batch", counted_ms, ROUNDS);
    durable_check(path, parameters->seed, count, count);
    durable_remove(path);
}

static dsq_cursor *cursor_leave(dsq_db *db)
{
    dsq_cursor *cursor;
    const void *key;
    size_t key_size;
    durable_require(db, "dsq_cursor_open", dsq_cursor_open(db, NULL, &cursor));
    for (unsigned i = 0; i < CURSOR_READS; i++) {
        durable_require(db, "dsq_cursor_next",
                        dsq_cursor_next(cursor, &key, &key_size, NULL, NULL));
    }
    return cursor;
}

void durable_abandoned(const struct durable_parameters *parameters)
{
    struct dsq_stats stats = {.wal_bytes = 0};
    char path[PATH_MAX];
    const uint64_t end = CURSOR_ROWS + parameters->rows;
    uint64_t most = 0;
    durable_path(parameters, "abandoned", path);
    durable_fill(path, parameters->seed, CURSOR_ROWS);
    dsq_db *db = durable_open(path, 0, 0);
    dsq_cursor *cursor = cursor_leave(db);
    for (uint64_t i = CURSOR_ROWS; i < end; i += CURSOR_BATCH) {
        struct durable_span span = {i, end - i < CURSOR_BATCH ? end : i + CURSOR_BATCH};
        durable_write(db, parameters->seed, span, CURSOR_BATCH);
        dsq_stats(db, &stats);
        most = stats.wal_bytes > most ? stats.wal_bytes : most;
    }
    dsq_cursor_close(cursor);
    durable_close(db);
    printf("\nabandoned: a cursor left after %d records while %" PRIu64
           " are written in batches of %d: wal_bytes %.1f MiB at the end, %.1f MiB at most\n",
           CURSOR_READS, parameters->rows, CURSOR_BATCH, (double)stats.wal_bytes / BYTES_PER_MIB,
           (double)most / BYTES_PER_MIB);
    bench_report_figure_of(parameters->report, "store", "dictsqlite", "writes beside a left cursor",
                           1);
    bench_report_number(parameters->report, "wal_bytes_max", (double)most);
    durable_check(path, parameters->seed, end, end);
    durable_remove(path);
}
