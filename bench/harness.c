#include "bench/harness.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void bench_describe_machine(char text[BENCH_MACHINE_BYTES])
{
    char line[256];
    char model[256] = "processor unknown";
    double load[1] = {0};
    FILE *cpuinfo = fopen("/proc/cpuinfo", "r");
    while (cpuinfo != NULL && fgets(line, sizeof line, cpuinfo) != NULL) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", strlen("model name")) == 0 && colon != NULL) {
            snprintf(model, sizeof model, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
            break;
        }
    }
    if (cpuinfo != NULL) {
        fclose(cpuinfo);
    }
    (void)getloadavg(load, 1);
    snprintf(text, BENCH_MACHINE_BYTES, "%s, %ld cores, load %.1f, compiler %s", model,
             sysconf(_SC_NPROCESSORS_ONLN), load[0], __VERSION__);
}

void bench_print_machine(void)
{
    char text[BENCH_MACHINE_BYTES];
    bench_describe_machine(text);
    printf("%s\n", text);
}

/* The index-th processor that the process may use, or none if there are not so many. */
static void pin(pthread_t thread, unsigned index)
{
    cpu_set_t allowed;
    cpu_set_t one;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) {
        return;
    }
    for (unsigned i = 0; i < CPU_SETSIZE; i++) {
        if (CPU_ISSET(i, &allowed) && index-- == 0) {
            CPU_ZERO(&one);
            CPU_SET(i, &one);
            (void)pthread_setaffinity_np(thread, sizeof one, &one);
            return;
        }
    }
}

/* Processors fetch cache lines in pairs. */
#define APART_BYTES ((size_t)2 * DSQ_CACHE_LINE_BYTES)

struct bench_thread {
    pthread_t handle;
    pthread_barrier_t *start;
    void (*body)(void *context);
    void *context;
    uint64_t began;
    uint64_t ended;
};

static void *run_thread(void *argument)
{
    struct bench_thread *thread = argument;
    pthread_barrier_wait(thread->start);
    thread->began = dsq_now_ns();
    thread->body(thread->context);
    thread->ended = dsq_now_ns();
    return NULL;
}

/* The context in memory that no other thread's is near. */
static void *context_apart(const void *context, size_t size)
{
    void *apart = aligned_alloc(APART_BYTES, (size + APART_BYTES - 1) / APART_BYTES * APART_BYTES);
    if (apart == NULL) {
        abort();
    }
    return memcpy(apart, context, size);
}

uint64_t bench_run_threads(unsigned count, void (*body)(void *context), void *contexts, size_t size)
{
    struct bench_thread *threads = calloc(count, sizeof *threads);
    pthread_barrier_t start;
    uint64_t began = UINT64_MAX;
    uint64_t ended = 0;
    if (threads == NULL || pthread_barrier_init(&start, NULL, count) != 0) {
        abort();
    }
    for (unsigned i = 0; i < count; i++) {
        threads[i] =
            (struct bench_thread){.start = &start,
                                  .body = body,
                                  .context = context_apart((char *)contexts + i * size, size)};
        if (pthread_create(&threads[i].handle, NULL, run_thread, &threads[i]) != 0) {
            abort();
        }
        pin(threads[i].handle, i);
    }
    for (unsigned i = 0; i < count; i++) {
        pthread_join(threads[i].handle, NULL);
        memcpy((char *)contexts + i * size, threads[i].context, size);
        free(threads[i].context);
        began = threads[i].began < began ? threads[i].began : began;
        ended = threads[i].ended > ended ? threads[i].ended : ended;
    }
    pthread_barrier_destroy(&start);
    free(threads);
    return ended - began;
}

uint64_t bench_resident_bytes(void)
{
    unsigned long size = 0;
    unsigned long resident = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    if (statm == NULL || fscanf(statm, "%lu %lu", &size, &resident) != 2) {
        abort();
    }
    fclose(statm);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int compare_samples(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

double bench_median(double *samples, size_t count)
{
    qsort(samples, count, sizeof *samples, compare_samples);
    return count % 2 == 1 ? samples[count / 2] : (samples[count / 2 - 1] + samples[count / 2]) / 2;
}

void bench_key(uint64_t number, char key[BENCH_KEY_BYTES])
{
    for (int i = BENCH_KEY_BYTES - 1; i >= 0; i--, number /= 10) {
        key[i] = (char)('0' + number % 10);
    }
}

/* The integral of x^-exponent, and its inverse; at 1 they are the logarithm and the exponential. */
static double integral(const struct bench_zipf *zipf, double x)
{
    double power = 1 - zipf->exponent;
    return fabs(power) < 1e-9 ? log(x) : (pow(x, power) - 1) / power;
}

static double inverse(const struct bench_zipf *zipf, double y)
{
    double power = 1 - zipf->exponent;
    return fabs(power) < 1e-9 ? exp(y) : pow(1 + y * power, 1 / power);
}

static double weight(const struct bench_zipf *zipf, double x)
{
    return pow(x, -zipf->exponent);
}

void bench_zipf_init(struct bench_zipf *zipf, uint64_t count, double exponent)
{
    *zipf = (struct bench_zipf){.exponent = exponent, .count = (double)count};
    zipf->integral_of_first = integral(zipf, 1.5) - 1;
    zipf->integral_of_last = integral(zipf, zipf->count + 0.5);
    zipf->shortcut = 2 - inverse(zipf, integral(zipf, 2.5) - weight(zipf, 2));
}

uint64_t bench_zipf_next(const struct bench_zipf *zipf, struct stress_random *random)
{
    for (;;) {
        double uniform = (double)(stress_random_next(random) >> 11) * 0x1p-53;
        double area =
            zipf->integral_of_last + uniform * (zipf->integral_of_first - zipf->integral_of_last);
        double x = inverse(zipf, area);
        double rank = floor(x + 0.5);
        rank = rank < 1 ? 1 : rank > zipf->count ? zipf->count : rank;
        if (rank - x <= zipf->shortcut || area >= integral(zipf, rank + 0.5) - weight(zipf, rank)) {
            return (uint64_t)rank - 1;
        }
    }
}
