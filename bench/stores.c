/*
 * The whole store beside other embedded stores, by YCSB's workloads, with the same durability and the same
 * memory on all sides; and reads of cold records beside SQLite's bare SELECT on the same file.  The
 * stores take turns within each round; the figures are medians over the rounds, and --json has the
 * quartiles.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/folder.h"
#include "bench/harness.h"
#include "bench/stores_report.h"
#include "bench/stores_workload.h"
#include "stress/options.h"
#include "stress/random.h"
#include "stress/verdict.h"

#define COLD "cold"
#define PERCENT 100
#define WARM_OPERATIONS 200000

struct bench {
    struct store_records records;
    struct store_instance instances[STORES_MAX];
    unsigned count;
    const struct store_instance *ours; /* NULL: not among them */
    const struct store_instance *select;
    struct store_config config;
    struct store_report report;
    uint64_t work[STORES_MAX];
    uint64_t next; /* number of the next record to be inserted */
    uint64_t loaded;
    uint64_t operations;
    uint64_t hot_percent;
    uint64_t value_bytes;
    uint64_t queue_mib;
    uint64_t threads;
    uint64_t rounds;
    uint64_t seed;
    const char *durability;
    const char *only;
    const char *store;
    const char *path;
    const char *json;
    char folder[PATH_MAX];
};

/* Fewer where each write waits for the disk. */
static const uint64_t usual_operations[STORE_DURABILITIES] = {
    [STORE_INTERVAL] = 1000000, [STORE_PROCESS] = 200000, [STORE_POWER] = 10000};

/* ---- opening and loading ---- */

static void sessions_enter(struct bench *bench, struct store_instance *instance)
{
    for (unsigned i = 0; i < bench->threads; i++) {
        instance->sessions[i] = instance->ops->enter(instance->store);
    }
}

static struct store_instance *instance_open(struct bench *bench, const struct store_ops *ops)
{
    struct store_instance *instance = &bench->instances[bench->count];
    instance->ops = ops;
    instance->store = ops->open(&bench->config);
    bench->report.names[bench->count++] = ops->name;
    return instance;
}

static void instance_load(struct bench *bench, struct store_instance *instance)
{
    const struct store_source source = store_records_source(&bench->records);
    uint64_t began_ns = dsq_now_ns();
    instance->ops->load(instance->store, &source);
    instance->ops->settle(instance->store);
    printf("%-11s loaded in %.1f s; %s.\n            %s.\n", instance->ops->name,
           (double)(dsq_now_ns() - began_ns) / 1e9,
           instance->ops->survives[bench->config.durability], instance->ops->settings);
    sessions_enter(bench, instance);
}

/* Its copy is as the loading has left the file. */
static void select_open(struct bench *bench)
{
    store_dictsqlite_copy(bench->ours->store, bench->folder);
    struct store_instance *instance = instance_open(bench, &store_select);
    sessions_enter(bench, instance);
    bench->select = instance;
    printf("%-11s a copy of dictsqlite's file, a connection and a prepared statement a thread, its "
           "default page cache; cold reads alone\n",
           store_select.name);
}

static void instances_open(struct bench *bench)
{
    for (size_t i = 0; stores[i] != NULL; i++) {
        if (bench->store == NULL || strcmp(stores[i]->name, bench->store) == 0) {
            instance_load(bench, instance_open(bench, stores[i]));
        }
    }
    if (bench->count > 0 && bench->instances[0].ops == &store_dictsqlite) {
        bench->ours = &bench->instances[0];
    }
    if (bench->ours != NULL && bench->hot_percent < PERCENT) {
        select_open(bench);
    }
}

/* ---- the measurement ---- */

static struct store_row *row_find(struct bench *bench, const struct store_row *like)
{
    struct store_report *report = &bench->report;
    for (unsigned i = 0; i < report->rows; i++) {
        struct store_row *row = &report->row[i];
        if (row->workload == like->workload && row->keys == like->keys &&
            row->threads == like->threads) {
            return row;
        }
    }
    if (report->rows == STORE_ROWS_MAX) {
        abort();
    }
    report->row[report->rows] = *like;
    return &report->row[report->rows++];
}

static void instance_measure(struct bench *bench, unsigned index, uint64_t round,
                             struct store_row *row, const struct store_plan *plans)
{
    const struct store_instance *instance = &bench->instances[index];
    row->measured[index] = true;
    row->cells[index].samples[round] =
        store_plans_run(plans, row->threads, &bench->records, instance, &row->cells[index].latency,
                        &bench->work[index]);
    instance->ops->settle(instance->store);
}

/* Each round begins with another store. */
static void row_measure(struct bench *bench, uint64_t round, const struct store_row *like,
                        const struct store_plan *plans, bool is_cold)
{
    struct store_row *row = row_find(bench, like);
    for (unsigned i = 0; i < bench->count; i++) {
        unsigned index = (unsigned)((i + round) % bench->count);
        if (is_cold || &bench->instances[index] != bench->select) {
            instance_measure(bench, index, round, row, plans);
        }
    }
}

static void workload_measure(struct bench *bench, const struct store_workload *workload,
                             uint64_t round, unsigned threads)
{
    struct store_plan plans[STORE_THREADS_MAX];
    const struct store_row row = {.workload = workload->name,
                                  .what = workload->what,
                                  .keys = store_choice_name(workload->choice),
                                  .threads = threads};
    uint64_t seed =
        stress_mix3(bench->seed, round, (uint64_t)(workload - store_workloads) << 8 | threads);
    store_plans_draw(plans, threads, &bench->records, workload, bench->operations, seed,
                     &bench->next);
    row_measure(bench, round, &row, plans, false);
    store_plans_free(plans, threads);
}

/* Up to `wanted` numbers of records that are cold, each once, in random order. */
static uint64_t cold_draw(const struct bench *bench, uint64_t round, uint64_t wanted,
                          uint64_t *numbers)
{
    struct stress_random random = {stress_mix3(bench->seed, round, wanted)};
    uint64_t count = 0;
    for (uint64_t i = 0; i < bench->loaded; i++) {
        char key[STORE_KEY_BYTES];
        store_key(&bench->records, i, key);
        if (store_dictsqlite_is_cold(bench->ours->store, key)) {
            uint64_t j = stress_random_below(&random, count + 1);
            numbers[count++] = numbers[j];
            numbers[j] = i;
        }
    }
    return count < wanted ? count : wanted;
}

static void cold_measure(struct bench *bench, uint64_t round, unsigned threads)
{
    const struct store_row row = {
        .workload = COLD, .what = "reads of cold records", .keys = "uniform", .threads = threads};
    struct store_plan plans[STORE_THREADS_MAX];
    uint64_t *numbers = malloc(bench->loaded * sizeof *numbers);
    if (numbers == NULL) {
        abort();
    }
    uint64_t share = cold_draw(bench, round, bench->operations * threads, numbers) / threads;
    for (unsigned i = 0; i < threads; i++) {
        store_plan_gets(&plans[i], &bench->records, numbers + i * share, share);
    }
    uint64_t misses = store_dictsqlite_misses(bench->ours->store);
    row_measure(bench, round, &row, plans, true);
    if (store_dictsqlite_misses(bench->ours->store) - misses != share * threads) {
        stress_violation("not all reads of cold records were misses");
    }
    store_plans_free(plans, threads);
    free(numbers);
}

static bool is_wanted(const struct bench *bench, const char *workload)
{
    return bench->only == NULL || strcmp(bench->only, workload) == 0;
}

static void round_measure(struct bench *bench, uint64_t round)
{
    for (unsigned threads = 1; threads <= bench->threads; threads *= 2) {
        for (unsigned i = 0; i < store_workload_count; i++) {
            if (is_wanted(bench, store_workloads[i].name)) {
                workload_measure(bench, &store_workloads[i], round, threads);
            }
        }
        if (bench->select != NULL && is_wanted(bench, COLD)) {
            cold_measure(bench, round, threads);
        }
    }
}

/* Reads each record once, and then as workload C does: what was loaded is there, and caches are full. */
static void warm(struct bench *bench)
{
    static struct bench_latency ignored;
    const struct store_workload reads = {.name = "C", .choice = STORE_ZIPF};
    struct store_plan plans[2];
    uint64_t work = 0;
    store_plan_gets(&plans[0], &bench->records, bench->records.sorted, bench->loaded);
    store_plans_draw(&plans[1], 1, &bench->records, &reads, WARM_OPERATIONS, bench->seed,
                     &bench->next);
    for (unsigned i = 0; i < bench->count; i++) {
        store_plans_run(&plans[0], 1, &bench->records, &bench->instances[i], &ignored, &work);
        store_plans_run(&plans[1], 1, &bench->records, &bench->instances[i], &ignored, &work);
    }
    store_plans_free(plans, 2);
}

/* ---- at the end ---- */

static void count_record(void *context, const void *key, size_t key_size, const void *value,
                         size_t value_size)
{
    const struct bench *bench = context;
    char expected[STORE_KEY_BYTES];
    uint64_t number = 0;
    bool whole = store_value_read(&bench->records, value, value_size, &number);
    store_key(&bench->records, number, expected);
    if (!whole || key_size != STORE_KEY_BYTES || memcmp(key, expected, key_size) != 0) {
        stress_violation("a record is damaged");
    }
}

/* Each store holds what was loaded and inserted, and nothing else. */
static void instances_check(struct bench *bench)
{
    const char first[STORE_KEY_BYTES] = {0};
    for (unsigned i = 0; i < bench->count; i++) {
        const struct store_instance *instance = &bench->instances[i];
        if (instance == bench->select) {
            continue;
        }
        uint64_t count =
            instance->ops->scan(instance->sessions[0], first, INT64_MAX, count_record, bench);
        if (count != bench->next) {
            stress_violation("%s holds %" PRIu64 " records in place of %" PRIu64,
                             instance->ops->name, count, bench->next);
        }
        if (bench->work[i] != bench->work[0]) {
            stress_violation("%s has found other records than %s", instance->ops->name,
                             bench->instances[0].ops->name);
        }
    }
}

static void instances_close(struct bench *bench)
{
    for (unsigned i = 0; i < bench->count; i++) {
        const struct store_instance *instance = &bench->instances[i];
        for (unsigned j = 0; j < bench->threads; j++) {
            instance->ops->leave(instance->sessions[j]);
        }
        instance->ops->close(instance->store);
    }
}

/* ---- the program ---- */

static bool durability_parse(struct bench *bench)
{
    for (unsigned i = 0; i < STORE_DURABILITIES; i++) {
        if (strcmp(bench->durability, store_durability_name((enum store_durability)i)) == 0) {
            bench->config.durability = (enum store_durability)i;
            return true;
        }
    }
    return false;
}

static bool is_usable(const struct bench *bench)
{
    return bench->loaded > STORE_SCAN_MAX && bench->loaded <= UINT32_MAX &&
           bench->operations <= UINT32_MAX && bench->hot_percent > 0 &&
           bench->hot_percent <= PERCENT && bench->value_bytes >= STORE_VALUE_BYTES_MIN &&
           bench->value_bytes <= STORE_VALUE_BYTES_MAX && bench->queue_mib > 0 &&
           bench->queue_mib <= UINT32_MAX && bench->threads > 0 &&
           bench->threads <= STORE_THREADS_MAX && bench->rounds > 0 &&
           bench->rounds <= STORE_ROUNDS_MAX;
}

static void configure(struct bench *bench)
{
    uint64_t most = 2 * (bench->loaded + bench->rounds * bench->operations);
    uint64_t hot = bench->loaded * bench->hot_percent / PERCENT;
    if (bench->operations == 0) {
        bench->operations = usual_operations[bench->config.durability];
    }
    bench_folder_make(bench->path, "stores", bench->folder);
    bench->config.folder = bench->folder;
    bench->config.records = most;
    bench->config.hot_records = bench->hot_percent == PERCENT ? most : hot;
    bench->config.value_bytes = bench->value_bytes;
    bench->config.write_bytes = bench->queue_mib << 20;
    bench->config.read_bytes =
        store_dictsqlite_bytes(hot, bench->value_bytes, (unsigned)bench->threads);
    bench->config.threads = (unsigned)bench->threads;
    bench->report.rounds = bench->rounds;
    bench->report.operations = bench->operations;
    bench->report.config = bench->config;
    bench->next = bench->loaded;
    printf("\nkeys of %d bytes, values of %" PRIu64 "; memory: %.1f MiB for what is read (%" PRIu64
           " %% of the records in dictsqlite's hot tier, and its page caches), %" PRIu64
           " MiB for what was written; durability: %s\n",
           STORE_KEY_BYTES, bench->value_bytes, (double)bench->config.read_bytes / 0x1p20,
           bench->hot_percent, bench->queue_mib, bench->durability);
}

static int bench_run(struct bench *bench, struct bench_report *report)
{
    bench->report.row = calloc(STORE_ROWS_MAX, sizeof *bench->report.row);
    if (bench->report.row == NULL ||
        !store_records_init(&bench->records, bench->seed, bench->loaded, bench->value_bytes)) {
        fprintf(stderr, "out of memory\n");
        return 2;
    }
    configure(bench);
    instances_open(bench);
    if (bench->count == 0) {
        fprintf(stderr, "no store is called \"%s\"\n", bench->store);
        return 2;
    }
    bench->report.count = bench->count;
    warm(bench);
    for (uint64_t round = 0; round < bench->rounds; round++) {
        round_measure(bench, round);
    }
    instances_check(bench);
    instances_close(bench);
    bench_folder_remove(bench->folder);
    store_report_print(&bench->report);
    printf("\nwork: %016" PRIx64 "\n", bench->work[0]);
    store_report_fill(&bench->report, report);
    bench_report_work(report, "all", bench->work[0]);
    if (!bench_report_write(report, bench->json)) {
        return 2;
    }
    store_records_fini(&bench->records);
    free(bench->report.row);
    return stress_failed() ? 1 : 0;
}

int main(int argc, char **argv)
{
    static struct bench bench = {
        .loaded = 1000000,
        .hot_percent = PERCENT,
        .value_bytes = 64,
        .queue_mib = 64,
        .threads = 2,
        .rounds = 3,
        .seed = 1,
        .durability = "interval",
    };
    const struct stress_option options[] = {
        {"records", STRESS_NUMBER, &bench.loaded, "loaded"},
        {"operations", STRESS_NUMBER, &bench.operations,
         "of each thread; 0: as many as suit the durability"},
        {"value", STRESS_NUMBER, &bench.value_bytes, "bytes of a value"},
        {"hot", STRESS_NUMBER, &bench.hot_percent, "percent of the records that memory holds"},
        {"queue", STRESS_NUMBER, &bench.queue_mib, "MiB for what was written: queue, memtables"},
        {"threads", STRESS_NUMBER, &bench.threads, "at most; powers of two up to it"},
        {"rounds", STRESS_NUMBER, &bench.rounds, "in which the stores take turns"},
        {"seed", STRESS_NUMBER, &bench.seed, "of all that is random; 0: a fresh one"},
        {"durability", STRESS_TEXT, &bench.durability,
         "interval, process or power: what a write that has returned survives"},
        {"only", STRESS_TEXT, &bench.only, "A to F, or cold (with --hot below 100)"},
        {"store", STRESS_TEXT, &bench.store, "this one alone"},
        {"path", STRESS_TEXT, &bench.path, "where to make a folder for the files"},
        {"json", STRESS_TEXT, &bench.json, "file for the figures"},
    };
    const size_t option_count = sizeof options / sizeof options[0];
    if (!stress_options_parse(argc, argv, options, option_count)) {
        return 2;
    }
    if (!durability_parse(&bench) || !is_usable(&bench)) {
        fprintf(stderr, "%s: a value out of range\n", argv[0]);
        return 2;
    }
    stress_seed_choose(&bench.seed);
    return bench_run(&bench, bench_report_begin(argv[0], options, option_count));
}
