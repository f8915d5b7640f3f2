#include "bench/map_workload.h"

#include <stdlib.h>
#include <string.h>

#include <dictsqlite.h>

#include "bench/harness.h"
#include "bench/memory.h"
#include "stress/random.h"
#include "stress/verdict.h"

#define ZIPF_EXPONENT 0.99

/* The last three are the mixes of conc-map-bench. */
const struct map_workload map_workloads[] = {
    {.name = "put, new keys", .keys = MAP_KEYS_NEW, .inserts = 100},
    {.name = "get, found", .keys = MAP_KEYS_ONCE, .scales = true},
    {.name = "get, absent", .keys = MAP_KEYS_ABSENT, .scales = true},
    {.name = "put, over", .keys = MAP_KEYS_ONCE, .updates = 100, .scales = true},
    {.name = "get, Zipf", .keys = MAP_KEYS_ZIPF, .scales = true},
    {.name = "95/5, Zipf", .keys = MAP_KEYS_ZIPF, .updates = 5, .scales = true},
    {.name = "50/50, Zipf", .keys = MAP_KEYS_ZIPF, .updates = 50, .scales = true},
    {.name = "ReadHeavy",
     .keys = MAP_KEYS_OWN,
     .inserts = 1,
     .removes = 1,
     .prefilled = 75,
     .scales = true},
    {.name = "Exchange",
     .keys = MAP_KEYS_OWN,
     .inserts = 40,
     .removes = 40,
     .updates = 10,
     .prefilled = 75,
     .scales = true},
    {.name = "RapidGrow",
     .keys = MAP_KEYS_OWN,
     .inserts = 80,
     .removes = 5,
     .updates = 10,
     .scales = true},
};
const unsigned map_workload_count = sizeof map_workloads / sizeof map_workloads[0];

bool map_workload_only_reads(const struct map_workload *workload)
{
    return workload->keys != MAP_KEYS_OWN &&
           workload->inserts + workload->removes + workload->updates == 0;
}

/* An operation as a word: what it does, whether the key is there, the number of the key. */
#define KIND_SHIFT 30
#define THERE (UINT32_C(1) << 29)
#define KEY_MASK (THERE - 1)

enum kind { GET, PUT, REMOVE };

struct plan {
    const struct map_inputs *inputs;
    const struct map_ops *ops;
    void *map;
    uint32_t *steps; /* owned if the keys are the thread's own */
    uint64_t period; /* steps, after which they begin again */
    uint64_t count;  /* operations */
    unsigned updates;
    struct bench_latency *latency; /* NULL: operations are not timed */
    uint64_t sum;                  /* of the first bytes read: what was read is used */
};

/* ---- inputs ---- */

/* The digits behind them keep the keys apart. */
#define RANDOM_LETTERS 6

static void make_keys(const struct map_inputs *inputs)
{
    const struct map_parameters *parameters = inputs->parameters;
    size_t size = parameters->key_bytes;
    memset(inputs->keys, '0', 2 * parameters->keys * size);
    for (uint64_t i = 0; i < 2 * parameters->keys; i++) {
        char digits[BENCH_KEY_BYTES];
        bench_key(i, digits);
        for (int j = 0; j < RANDOM_LETTERS; j++) {
            digits[j] = (char)('a' + (stress_mix3(parameters->seed, i, 1) >> (8 * j)) % 26);
        }
        memcpy(inputs->keys + i * size + size - BENCH_KEY_BYTES, digits, BENCH_KEY_BYTES);
    }
}

static void make_order(const struct map_inputs *inputs)
{
    for (uint64_t i = 0; i < inputs->parameters->keys; i++) {
        inputs->in_order[i] = (uint32_t)i | THERE;
    }
}

static void make_once(const struct map_inputs *inputs, struct stress_random *random)
{
    for (uint64_t i = 0; i < inputs->parameters->keys; i++) {
        uint64_t j = stress_random_below(random, i + 1);
        inputs->once[i] = inputs->once[j];
        inputs->once[j] = (uint32_t)i | THERE;
    }
}

bool map_inputs_make(struct map_inputs *inputs, const struct map_parameters *parameters)
{
    struct stress_random random = {.state = parameters->seed};
    struct bench_zipf zipf;
    *inputs = (struct map_inputs){
        .parameters = parameters,
        .keys = malloc(2 * parameters->keys * parameters->key_bytes),
        .in_order = malloc(parameters->keys * sizeof(uint32_t)),
        .once = malloc(parameters->keys * sizeof(uint32_t)),
        .zipf = calloc(parameters->threads, sizeof(uint32_t *)),
    };
    if (inputs->keys == NULL || inputs->in_order == NULL || inputs->once == NULL ||
        inputs->zipf == NULL) {
        return false;
    }
    make_keys(inputs);
    make_order(inputs);
    make_once(inputs, &random);
    bench_zipf_init(&zipf, parameters->keys, ZIPF_EXPONENT);
    for (uint64_t i = 0; i < parameters->threads; i++) {
        inputs->zipf[i] = malloc(parameters->operations * sizeof(uint32_t));
        if (inputs->zipf[i] == NULL) {
            return false;
        }
        for (uint64_t j = 0; j < parameters->operations; j++) {
            inputs->zipf[i][j] = inputs->once[bench_zipf_next(&zipf, &random)];
        }
    }
    return true;
}

void map_inputs_free(struct map_inputs *inputs)
{
    for (uint64_t i = 0; inputs->zipf != NULL && i < inputs->parameters->threads; i++) {
        free(inputs->zipf[i]);
    }
    free(inputs->zipf);
    free(inputs->once);
    free(inputs->in_order);
    free(inputs->keys);
}

/* ---- a thread's own keys ---- */

/* The keys from removed to before inserted are there. */
struct own {
    uint64_t first, count;
    uint64_t removed, inserted;
};

static uint32_t own_step(struct own *own, const struct map_workload *workload,
                         struct stress_random *random)
{
    uint64_t draw = stress_random_below(random, 100);
    uint64_t any = stress_random_below(random, own->count);
    uint32_t there = any >= own->removed && any < own->inserted ? THERE : 0;
    if (draw < workload->inserts) {
        return (uint32_t)PUT << KIND_SHIFT | (uint32_t)(own->first + own->inserted++);
    }
    if (draw < workload->inserts + workload->removes && own->removed < own->inserted) {
        return (uint32_t)REMOVE << KIND_SHIFT | THERE | (uint32_t)(own->first + own->removed++);
    }
    if (draw < workload->inserts + workload->removes + workload->updates && there) {
        return (uint32_t)PUT << KIND_SHIFT | THERE | (uint32_t)(own->first + any);
    }
    return (uint32_t)GET << KIND_SHIFT | there | (uint32_t)(own->first + any);
}

/* Until the operations are done or the keys are used up. */
static void plan_own(struct plan *plan, const struct map_workload *workload, struct own *own,
                     struct stress_random *random)
{
    uint64_t operations = plan->inputs->parameters->operations;
    plan->steps = malloc(operations * sizeof *plan->steps);
    if (plan->steps == NULL) {
        abort();
    }
    while (plan->count < operations && own->inserted < own->count) {
        plan->steps[plan->count++] = own_step(own, workload, random);
    }
    plan->period = plan->count;
}

static struct map_bytes key_at(const struct map_inputs *inputs, uint64_t number)
{
    size_t size = inputs->parameters->key_bytes;
    return (struct map_bytes){inputs->keys + number * size, size};
}

static struct map_bytes value_of(const struct map_inputs *inputs)
{
    static const unsigned char value[MAP_VALUE_SIZE_MAX] = "value";
    return (struct map_bytes){value, inputs->parameters->value_bytes};
}

static void put(const struct plan *plan, uint64_t number)
{
    if (plan->ops->put(plan->map, key_at(plan->inputs, number), value_of(plan->inputs)) != MAP_OK) {
        stress_violation("%s: a put failed", plan->ops->name);
    }
}

static void prefill(const struct plan *plan, const struct own *own)
{
    plan->ops->thread_enter(plan->map);
    for (uint64_t i = own->removed; i < own->inserted; i++) {
        put(plan, own->first + i);
    }
    plan->ops->thread_exit(plan->map);
}

/* ---- the measurement ---- */

static void step_run(struct plan *plan, uint32_t step, bool update, struct map_buffer *found)
{
    enum kind kind = update ? PUT : (enum kind)(step >> KIND_SHIFT);
    uint64_t number = step & KEY_MASK;
    enum map_status status = MAP_OK;
    enum map_status expected = (step & THERE) != 0 ? MAP_OK : MAP_ABSENT;
    if (kind == PUT) {
        put(plan, number);
        return;
    }
    if (kind == REMOVE) {
        status = plan->ops->remove(plan->map, key_at(plan->inputs, number));
    } else {
        status = plan->ops->get(plan->map, key_at(plan->inputs, number), found);
        plan->sum += status == MAP_OK ? found->data[0] : 1;
    }
    if (status != expected) {
        stress_violation("%s: a key that is%s there", plan->ops->name,
                         expected == MAP_OK ? " not" : "");
    }
}

static void step_time(struct plan *plan, uint32_t step, bool update, struct map_buffer *found)
{
    uint64_t before = dsq_now_ns();
    step_run(plan, step, update, found);
    bench_latency_add(plan->latency, dsq_now_ns() - before);
}

static void plan_run(void *context)
{
    struct plan *plan = context;
    struct map_buffer found;
    uint64_t at = 0;
    unsigned percent = 0;
    plan->ops->thread_enter(plan->map);
    for (uint64_t i = 0; i < plan->count; i++) {
        bool update = percent < plan->updates;
        if (plan->latency != NULL) {
            step_time(plan, plan->steps[at], update, &found);
        } else {
            step_run(plan, plan->steps[at], update, &found);
        }
        at = at + 1 == plan->period ? 0 : at + 1;
        percent = percent == 99 ? 0 : percent + 1;
    }
    plan->ops->thread_exit(plan->map);
}

static void plan_shared(struct plan *plan, const struct map_workload *workload, unsigned thread)
{
    const struct map_inputs *inputs = plan->inputs;
    const struct map_parameters *parameters = inputs->parameters;
    bool zipf = workload->keys == MAP_KEYS_ZIPF;
    bool fills = workload->keys == MAP_KEYS_NEW;
    plan->steps = zipf ? inputs->zipf[thread] : fills ? inputs->in_order : inputs->once;
    plan->period = zipf ? parameters->operations : parameters->keys;
    plan->count = fills ? parameters->keys : parameters->operations;
    plan->updates = workload->inserts + workload->updates;
}

/* Look-ups of what is not there: the order of what is, shifted to the other keys. */
static void plan_absent(struct plan *plan)
{
    const struct map_parameters *parameters = plan->inputs->parameters;
    plan->steps = malloc(parameters->keys * sizeof *plan->steps);
    if (plan->steps == NULL) {
        abort();
    }
    for (uint64_t i = 0; i < parameters->keys; i++) {
        plan->steps[i] = (plan->inputs->once[i] & KEY_MASK) + (uint32_t)parameters->keys;
    }
    plan->period = parameters->keys;
    plan->count = parameters->operations;
}

static void plan_make(struct plan *plan, const struct map_workload *workload, unsigned thread,
                      unsigned threads)
{
    const struct map_parameters *parameters = plan->inputs->parameters;
    struct stress_random random = {.state = stress_mix3(parameters->seed, thread, threads)};
    uint64_t share = parameters->keys / threads;
    if (workload->keys == MAP_KEYS_OWN) {
        struct own own = {
            .first = thread * share, .count = share, .inserted = share * workload->prefilled / 100};
        prefill(plan, &own);
        plan_own(plan, workload, &own, &random);
    } else if (workload->keys == MAP_KEYS_ABSENT) {
        plan_absent(plan);
    } else {
        plan_shared(plan, workload, thread);
    }
}

static bool owns_steps(const struct map_workload *workload)
{
    return workload->keys == MAP_KEYS_OWN || workload->keys == MAP_KEYS_ABSENT;
}

void *map_create(const struct map_ops *ops)
{
    const struct map_config config = {.mode = DSQ_MODE_MEMORY, .capacity = UINT64_MAX};
    void *map = ops->create(&config);
    if (map == NULL) {
        abort();
    }
    return map;
}

struct fill {
    const struct map_inputs *inputs;
    const struct map_ops *ops;
};

static void fill_run(void *context)
{
    const struct fill *fill = context;
    const struct plan plan = {
        .inputs = fill->inputs, .ops = fill->ops, .map = map_create(fill->ops)};
    const struct own all = {.inserted = fill->inputs->parameters->keys};
    prefill(&plan, &all);
}

double map_bytes_per_record(const struct map_inputs *inputs, const struct map_ops *ops)
{
    struct fill fill = {inputs, ops};
    return (double)bench_memory_bytes(fill_run, &fill) / (double)inputs->parameters->keys;
}

double map_workload_run(const struct map_inputs *inputs, const struct map_workload *workload,
                        const struct map_ops *ops, void *map, unsigned threads, uint64_t *work)
{
    struct plan plans[MAP_THREADS_MAX];
    void *target = workload->keys == MAP_KEYS_OWN ? map_create(ops) : map;
    uint64_t operations = 0;
    for (unsigned i = 0; i < threads; i++) {
        plans[i] = (struct plan){.inputs = inputs, .ops = ops, .map = target};
        plan_make(&plans[i], workload, i, threads);
    }
    uint64_t elapsed_ns = bench_run_threads(threads, plan_run, plans, sizeof plans[0]);
    for (unsigned i = 0; i < threads; i++) {
        operations += plans[i].count;
        *work = stress_mix3(*work, plans[i].count, plans[i].sum);
        if (owns_steps(workload)) {
            free(plans[i].steps);
        }
    }
    if (target != map) {
        ops->destroy(target);
    }
    return (double)operations * 1e9 / (double)elapsed_ns;
}

void map_workload_time(const struct map_inputs *inputs, const struct map_workload *workload,
                       const struct map_ops *ops, void *map, struct bench_latency *latency)
{
    struct plan plan = {.inputs = inputs, .ops = ops, .map = map, .latency = latency};
    plan_make(&plan, workload, 0, 1);
    bench_run_threads(1, plan_run, &plan, sizeof plan);
    if (owns_steps(workload)) {
        free(plan.steps);
    }
}

const struct map_workload *map_workload_find(const char *name)
{
    for (unsigned i = 0; i < map_workload_count; i++) {
        if (strcmp(map_workloads[i].name, name) == 0) {
            return &map_workloads[i];
        }
    }
    return NULL;
}
