/*
 * Writes that are on disk when they return, beside SQLite's own best and the bare disk, in one run:
 * dictsqlite in writethrough mode and SQLite with a write-ahead log, synchronous=FULL on both sides, the
 * same page size and cache; 16-byte keys in random order, 64-byte values.  The two take turns.  And what concerns such a
 * file as a whole: opening it, counting, an iterator left open.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/durable_sections.h"
#include "bench/durable_sqlite.h"
#include "bench/folder.h"
#include "bench/harness.h"
#include "stress/options.h"
#include "stress/verdict.h"

static const struct {
    const char *name;
    void (*run)(const struct durable_parameters *parameters);
} sections[] = {
    {"burst", durable_burst},     {"many", durable_many},
    {"single", durable_single},   {"sustained", durable_sustained},
    {"folding", durable_folding}, {"open", durable_reopen},
    {"len", durable_len},         {"abandoned", durable_abandoned},
};

#define SECTION_COUNT (sizeof sections / sizeof sections[0])

static bool is_section(const char *name)
{
    for (size_t i = 0; i < SECTION_COUNT; i++) {
        if (strcmp(sections[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool are_usable(const struct durable_parameters *parameters)
{
    const uint64_t most = UINT64_C(1) << 40;
    const uint64_t numbers[] = {parameters->records, parameters->sustained, parameters->rows,
                                parameters->backlog, parameters->puts,      parameters->rounds};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (numbers[i] == 0 || numbers[i] > most) {
            return false;
        }
    }
    return parameters->rounds <= DURABLE_ROUNDS_MAX &&
           (parameters->only == NULL || is_section(parameters->only));
}

static void print_settings(const char *name, const struct durable_settings *settings)
{
    printf("%-12s %10d %10d %12d %18d\n", name, settings->page_size, settings->cache_size,
           settings->synchronous, settings->wal_autocheckpoint);
}

/* Asks both sides how they are set, and has SQLite use as large a cache as the library. */
static void settle_settings(struct durable_parameters *parameters)
{
    struct durable_settings ours;
    struct durable_settings peers;
    char path[PATH_MAX];
    durable_path(parameters, "settings", path);
    durable_sqlite_watch_begin();
    dsq_db *db = durable_open(path, 0, 0);
    durable_sqlite_watch_end(&ours);
    durable_close(db);
    durable_remove(path);
    parameters->cache_size = ours.cache_size;
    struct durable_sqlite *peer = durable_sqlite_open(path, DURABLE_ROWID, ours.cache_size);
    durable_sqlite_settings(peer, &peers);
    durable_sqlite_close(peer);
    durable_remove(path);
    printf("SQLite %s on both sides; keys of %d bytes in random order, values of %d\n",
           durable_sqlite_version(), DURABLE_KEY_BYTES, DURABLE_VALUE_BYTES);
    printf("%-12s %10s %10s %12s %18s\n", "settings", "page_size", "cache_size", "synchronous",
           "wal_autocheckpoint");
    print_settings("dictsqlite", &ours);
    print_settings("SQLite", &peers);
    bench_report_parameter(parameters->report, "page_size", (uint64_t)ours.page_size);
    bench_report_parameter(parameters->report, "key_bytes", DURABLE_KEY_BYTES);
    bench_report_parameter(parameters->report, "value_bytes", DURABLE_VALUE_BYTES);
    if (ours.page_size != peers.page_size || ours.synchronous != peers.synchronous) {
        stress_violation("the two sides are not set alike");
    }
}

int main(int argc, char **argv)
{
    static struct durable_parameters parameters = {.records = 2000000,
                                                   .sustained = 2000000,
                                                   .rows = 1000000,
                                                   .backlog = 300000,
                                                   .puts = 2000,
                                                   .rounds = 3,
                                                   .seed = 1};
    const struct stress_option options[] = {
        {"records", STRESS_NUMBER, &parameters.records, "burst: records"},
        {"sustained", STRESS_NUMBER, &parameters.sustained, "sustained: records"},
        {"rows", STRESS_NUMBER, &parameters.rows, "open, len: rows; abandoned: writes"},
        {"backlog", STRESS_NUMBER, &parameters.backlog, "folding: records to be folded"},
        {"puts", STRESS_NUMBER, &parameters.puts,
         "many, single, folding: puts of a kind or thread"},
        {"rounds", STRESS_NUMBER, &parameters.rounds,
         "burst, many, sustained: of which the medians are taken"},
        {"seed", STRESS_NUMBER, &parameters.seed, "of the keys and values; 0: a fresh one"},
        {"path", STRESS_TEXT, &parameters.path, "where to make a folder for the files"},
        {"only", STRESS_TEXT, &parameters.only,
         "burst, many, single, sustained, folding, open, len or abandoned"},
        {"json", STRESS_TEXT, &parameters.json, "a file for the figures"},
    };
    const size_t option_count = sizeof options / sizeof options[0];
    if (!stress_options_parse(argc, argv, options, option_count)) {
        return 2;
    }
    if (!are_usable(&parameters)) {
        fprintf(stderr, "%s: a number out of range, or no such section\n", argv[0]);
        return 2;
    }
    stress_seed_choose(&parameters.seed);
    parameters.report = bench_report_begin(argv[0], options, option_count);
    uint64_t work = durable_work(parameters.seed, parameters.records);
    bench_report_work(parameters.report, "records", work);
    printf("work %016" PRIx64 "\n", work);
    bench_folder_make(parameters.path, "durable", parameters.folder);
    settle_settings(&parameters);
    for (size_t i = 0; i < SECTION_COUNT; i++) {
        if (parameters.only == NULL || strcmp(parameters.only, sections[i].name) == 0) {
            sections[i].run(&parameters);
        }
    }
    if (rmdir(parameters.folder) != 0) {
        stress_violation("files are left in %s", parameters.folder);
    }
    return bench_report_write(parameters.report, parameters.json) && !stress_failed() ? 0 : 1;
}
