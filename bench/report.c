#include "bench/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "bench/harness.h"

#define NAME_MAX_BYTES 64

struct bench_report {
    json_t *root;
    json_t *figures;
    json_t *figure; /* the one being filled in */
};

static void add_parameter(json_t *parameters, const struct stress_option *option)
{
    char name[NAME_MAX_BYTES];
    snprintf(name, sizeof name, "%s", option->name);
    for (char *dash = strchr(name, '-'); dash != NULL; dash = strchr(dash, '-')) {
        *dash = '_';
    }
    json_object_set_new(parameters, name,
                        json_integer((json_int_t) * (const uint64_t *)option->target));
}

struct bench_report *bench_report_new(const char *benchmark, const char *machine,
                                      const struct stress_option *options, size_t count)
{
    struct bench_report *report = calloc(1, sizeof *report);
    json_t *parameters = json_object();
    if (report == NULL || parameters == NULL) {
        abort();
    }
    for (size_t i = 0; i < count; i++) {
        if (options[i].kind == STRESS_NUMBER) {
            add_parameter(parameters, &options[i]);
        }
    }
    report->figures = json_array();
    report->root = json_pack("{s:s, s:s, s:o, s:O}", "benchmark", benchmark, "machine", machine,
                             "parameters", parameters, "figures", report->figures);
    if (report->root == NULL) {
        abort();
    }
    return report;
}

void bench_report_figure(struct bench_report *report, const char *map, const char *workload,
                         unsigned threads)
{
    report->figure =
        json_pack("{s:s, s:s, s:i}", "map", map, "workload", workload, "threads", (int)threads);
    json_array_append_new(report->figures, report->figure);
}

void bench_report_number(struct bench_report *report, const char *name, double number)
{
    json_object_set_new(report->figure, name, json_real(number));
}

void bench_report_rates(struct bench_report *report, double *per_second, size_t rounds)
{
    bench_report_number(report, "per_second", bench_median(per_second, rounds));
    bench_report_number(report, "lower_quartile", per_second[rounds / 4]);
    bench_report_number(report, "upper_quartile", per_second[rounds - 1 - rounds / 4]);
}

void bench_report_latency(struct bench_report *report, const struct bench_latency *latency)
{
    static const struct {
        const char *name;
        double quantile;
    } quantiles[] = {{"p50", 0.5}, {"p99", 0.99}, {"p99.9", 0.999}, {"p99.99", 0.9999}};
    json_t *figure = json_object();
    for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++) {
        uint64_t ns = bench_latency_quantile_ns(latency, quantiles[i].quantile);
        json_object_set_new(figure, quantiles[i].name, json_integer((json_int_t)ns));
    }
    json_object_set_new(figure, "worst", json_integer((json_int_t)latency->worst_ns));
    json_object_set_new(report->figure, "latency_ns", figure);
}

bool bench_report_write(struct bench_report *report, const char *path)
{
    bool written = json_dump_file(report->root, path, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) == 0;
    if (!written) {
        fprintf(stderr, "cannot write %s\n", path);
    }
    json_decref(report->figures);
    json_decref(report->root);
    free(report);
    return written;
}
