#include "bench/stores_workload.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bench/harness.h"
#include "stress/random.h"
#include "stress/verdict.h"

#define ZIPF_EXPONENT 0.99
#define ZIPF_RANKS UINT64_C(10000000000)
/* Every so many operations one is timed by itself. */
#define LATENCY_EVERY 16

const struct store_workload store_workloads[] = {
    {.name = "A", .what = "50 % updates", .choice = STORE_ZIPF, .updates = 50},
    {.name = "A", .what = "50 % updates", .choice = STORE_UNIFORM, .updates = 50},
    {.name = "B", .what = "5 % updates", .choice = STORE_ZIPF, .updates = 5},
    {.name = "B", .what = "5 % updates", .choice = STORE_UNIFORM, .updates = 5},
    {.name = "C", .what = "reads", .choice = STORE_ZIPF},
    {.name = "C", .what = "reads", .choice = STORE_UNIFORM},
    {.name = "D", .what = "5 % inserts", .choice = STORE_LATEST, .inserts = 5},
    {.name = "E", .what = "scans, 5 % inserts", .choice = STORE_ZIPF, .inserts = 5, .scans = 95},
    {.name = "E", .what = "scans, 5 % inserts", .choice = STORE_UNIFORM, .inserts = 5, .scans = 95},
    {.name = "F", .what = "50 % read, then write", .choice = STORE_ZIPF, .modifies = 50},
    {.name = "F", .what = "50 % read, then write", .choice = STORE_UNIFORM, .modifies = 50},
};
const unsigned store_workload_count = sizeof store_workloads / sizeof store_workloads[0];

const char *store_choice_name(enum store_choice choice)
{
    static const char *const names[] = {
        [STORE_ZIPF] = "Zipf", [STORE_UNIFORM] = "uniform", [STORE_LATEST] = "latest"};
    return names[choice];
}

/* ---- drawing ---- */

enum kind { READ, UPDATE, INSERT, SCAN, MODIFY };

struct draw {
    const struct store_records *records;
    const struct store_workload *workload;
    struct stress_random random;
    struct bench_zipf zipf;
    uint64_t base; /* records that are there before the thread begins */
    uint64_t first;
    uint64_t next;
};

static enum kind kind_draw(struct draw *draw)
{
    const struct store_workload *workload = draw->workload;
    uint64_t percent = stress_random_below(&draw->random, 100);
    const unsigned shares[] = {
        [UPDATE] = workload->updates,
        [INSERT] = workload->inserts,
        [SCAN] = workload->scans,
        [MODIFY] = workload->modifies,
    };
    for (unsigned kind = UPDATE; kind <= MODIFY; kind++) {
        if (percent < shares[kind]) {
            return (enum kind)kind;
        }
        percent -= shares[kind];
    }
    return READ;
}

/* FNV-1a of the rank's eight bytes, as YCSB spreads the frequent records over all of them. */
static uint64_t scattered(uint64_t rank)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (unsigned i = 0; i < sizeof rank; i++, rank >>= 8) {
        hash = (hash ^ (rank & 0xff)) * UINT64_C(0x100000001b3);
    }
    return hash;
}

/* Zipf's rank among all that the thread knows of, counted back from its own last insert. */
static uint64_t latest_draw(struct draw *draw)
{
    uint64_t known = draw->base + (draw->next - draw->first);
    uint64_t back = bench_zipf_next(&draw->zipf, &draw->random);
    uint64_t at = known - 1 - back % known;
    return at < draw->base ? at : draw->first + (at - draw->base);
}

static uint64_t number_draw(struct draw *draw, enum kind kind)
{
    uint64_t number;
    if (kind == INSERT) {
        return draw->next++;
    }
    if (draw->workload->choice == STORE_LATEST) {
        return latest_draw(draw);
    }
    do {
        number = draw->workload->choice == STORE_ZIPF
                     ? scattered(bench_zipf_next(&draw->zipf, &draw->random)) % draw->records->count
                     : stress_random_below(&draw->random, draw->records->count);
    } while (kind == SCAN && store_key_hash(draw->records, number) > draw->records->last_scan);
    return number;
}

static void steps_new(struct store_plan *plan, uint64_t count)
{
    *plan = (struct store_plan){.steps = calloc(count, sizeof(struct store_step)), .count = count};
    if (plan->steps == NULL) {
        abort();
    }
}

static void plan_draw(struct store_plan *plan, struct draw *draw)
{
    for (uint64_t i = 0; i < plan->count; i++) {
        struct store_step *step = &plan->steps[i];
        enum kind kind = kind_draw(draw);
        step->kind = (unsigned char)kind;
        step->scanned = (unsigned char)(1 + stress_random_below(&draw->random, STORE_SCAN_MAX));
        step->number = number_draw(draw, kind);
        store_key(draw->records, step->number, step->key);
    }
}

void store_plans_draw(struct store_plan *plans, unsigned threads,
                      const struct store_records *records, const struct store_workload *workload,
                      uint64_t operations, uint64_t seed, uint64_t *next)
{
    struct draw draw = {.records = records, .workload = workload, .base = *next, .next = *next};
    uint64_t count = workload->scans > 0 ? operations / STORE_SCAN_MEAN + 1 : operations;
    bench_zipf_init(&draw.zipf, workload->choice == STORE_LATEST ? *next : ZIPF_RANKS,
                    ZIPF_EXPONENT);
    for (unsigned i = 0; i < threads; i++) {
        draw.random.state = stress_mix3(seed, i, threads);
        draw.first = draw.next;
        steps_new(&plans[i], count);
        plan_draw(&plans[i], &draw);
    }
    *next = draw.next;
}

void store_plans_free(struct store_plan *plans, unsigned threads)
{
    for (unsigned i = 0; i < threads; i++) {
        free(plans[i].steps);
    }
}

void store_plan_gets(struct store_plan *plan, const struct store_records *records,
                     const uint64_t *numbers, uint64_t count)
{
    steps_new(plan, count);
    for (uint64_t i = 0; i < count; i++) {
        plan->steps[i].kind = READ;
        plan->steps[i].number = numbers[i];
        store_key(records, numbers[i], plan->steps[i].key);
    }
}

/* ---- the measurement ---- */

struct run {
    const struct store_plan *plan;
    const struct store_records *records;
    const struct store_ops *ops;
    void *session;
    unsigned char *read;
    unsigned char *written;
    uint64_t found; /* sum of the numbers read */
    struct bench_latency latency;
};

static void get(struct run *run, const struct store_step *step)
{
    uint64_t number = 0;
    size_t size = run->ops->get(run->session, step->key, run->read, run->records->value_bytes);
    if (size == STORE_ABSENT || !store_value_read(run->records, run->read, size, &number) ||
        number != step->number) {
        stress_violation("%s: record %" PRIu64 " is missing or another", run->ops->name,
                         step->number);
    }
    run->found += number;
}

static void put(struct run *run, const struct store_step *step, uint64_t stamp)
{
    store_value_stamp(run->records, step->number, stamp, run->written);
    run->ops->put(run->session, step->key, run->written, run->records->value_bytes);
}

struct visit {
    const struct run *run;
    const struct store_step *step;
    char previous[STORE_KEY_BYTES];
    uint64_t visited;
};

static void visit(void *context, const void *key, size_t key_size, const void *value,
                  size_t value_size)
{
    struct visit *visit = context;
    char expected[STORE_KEY_BYTES];
    uint64_t number = 0;
    bool whole = store_value_read(visit->run->records, value, value_size, &number);
    store_key(visit->run->records, number, expected);
    if (!whole || key_size != STORE_KEY_BYTES || memcmp(key, expected, STORE_KEY_BYTES) != 0) {
        stress_violation("%s: a scan hands out what no record is", visit->run->ops->name);
        return;
    }
    int order = memcmp(key, visit->previous, STORE_KEY_BYTES);
    if (visit->visited == 0 ? number != visit->step->number : order <= 0) {
        stress_violation("%s: a scan from record %" PRIu64 " is out of order",
                         visit->run->ops->name, visit->step->number);
    }
    memcpy(visit->previous, key, STORE_KEY_BYTES);
    visit->visited++;
}

static void scan(struct run *run, const struct store_step *step)
{
    struct visit context = {.run = run, .step = step};
    size_t count = run->ops->scan(run->session, step->key, step->scanned, visit, &context);
    if (count != step->scanned || context.visited != step->scanned) {
        stress_violation("%s: a scan from record %" PRIu64 " ends early", run->ops->name,
                         step->number);
    }
    run->found += step->number + context.visited;
}

static void step_run(struct run *run, const struct store_step *step, uint64_t stamp)
{
    switch ((enum kind)step->kind) {
    case READ:
        get(run, step);
        break;
    case UPDATE:
    case INSERT:
        put(run, step, stamp);
        break;
    case SCAN:
        scan(run, step);
        break;
    case MODIFY:
        get(run, step);
        put(run, step, stamp);
        break;
    }
}

static void plan_run(void *context)
{
    struct run *run = context;
    for (uint64_t i = 0; i < run->plan->count; i++) {
        const struct store_step *step = &run->plan->steps[i];
        if (i % LATENCY_EVERY != 0) {
            step_run(run, step, i);
        } else {
            uint64_t began_ns = dsq_now_ns();
            step_run(run, step, i);
            bench_latency_add(&run->latency, dsq_now_ns() - began_ns);
        }
    }
}

static void run_begin(struct run *run)
{
    run->read = malloc(run->records->value_bytes);
    run->written = malloc(run->records->value_bytes);
    if (run->read == NULL || run->written == NULL) {
        abort();
    }
    store_value_fill(run->records, run->written);
}

static void run_end(struct run *run)
{
    free(run->read);
    free(run->written);
}

double store_plans_run(const struct store_plan *plans, unsigned threads,
                       const struct store_records *records, const struct store_instance *instance,
                       struct bench_latency *latency, uint64_t *work)
{
    static struct run runs[STORE_THREADS_MAX];
    uint64_t operations = 0;
    for (unsigned i = 0; i < threads; i++) {
        runs[i] = (struct run){.plan = &plans[i],
                               .records = records,
                               .ops = instance->ops,
                               .session = instance->sessions[i]};
        run_begin(&runs[i]);
    }
    uint64_t elapsed_ns = bench_run_threads(threads, plan_run, runs, sizeof runs[0]);
    uint64_t began_ns = dsq_now_ns();
    instance->ops->flush(instance->store);
    elapsed_ns += dsq_now_ns() - began_ns;
    for (unsigned i = 0; i < threads; i++) {
        operations += plans[i].count;
        *work = stress_mix3(*work, plans[i].count, runs[i].found);
        bench_latency_merge(latency, &runs[i].latency);
        run_end(&runs[i]);
    }
    return (double)operations * 1e9 / (double)elapsed_ns;
}
