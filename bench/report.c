#include "bench/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "bench/harness.h"

#define NAME_MAX_BYTES 64

struct bench_report {
    json_t *root;
    json_t *parameters;
    json_t *work;
    json_t *figures;
    json_t *figure; /* the one being filled in */
};

/* In JSON: NULL where the option has no value, or is the file itself. */
static json_t *parameter_new(const struct stress_option *option)
{
    switch (option->kind) {
    case STRESS_NUMBER: {
        uint64_t number = *(const uint64_t *)option->target;
        return number > INT64_MAX ? json_string("unbounded") : json_integer((json_int_t)number);
    }
    case STRESS_MODE:
        return json_string(stress_mode_name(*(const int *)option->target));
    case STRESS_TEXT: {
        const char *text = *(const char *const *)option->target;
        return text == NULL || strcmp(option->name, "json") == 0 ? NULL : json_string(text);
    }
    }
    return NULL;
}

static void add_parameter(json_t *parameters, const struct stress_option *option)
{
    char name[NAME_MAX_BYTES];
    json_t *value = parameter_new(option);
    snprintf(name, sizeof name, "%s", option->name);
    for (char *dash = strchr(name, '-'); dash != NULL; dash = strchr(dash, '-')) {
        *dash = '_';
    }
    if (value != NULL) {
        json_object_set_new(parameters, name, value);
    }
}

static json_t *command_new(const char *benchmark, const struct stress_option *options, size_t count)
{
    json_t *words = json_array();
    json_array_append_new(words, json_string(benchmark));
    for (size_t i = 0; i < count; i++) {
        json_t *value = parameter_new(&options[i]);
        if (value == NULL) {
            continue;
        }
        json_array_append_new(words, json_sprintf("--%s", options[i].name));
        json_array_append_new(
            words, json_is_string(value)
                       ? json_string(json_string_value(value))
                       : json_sprintf("%" JSON_INTEGER_FORMAT, json_integer_value(value)));
        json_decref(value);
    }
    return words;
}

static struct bench_report *report_new(const char *benchmark, const char *machine,
                                       const struct stress_option *options, size_t count)
{
    struct bench_report *report = calloc(1, sizeof *report);
    if (report == NULL) {
        abort();
    }
    report->parameters = json_object();
    report->work = json_object();
    report->figures = json_array();
    report->root =
        json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "benchmark", benchmark, "machine", machine,
                  "command", command_new(benchmark, options, count), "parameters",
                  report->parameters, "work", report->work, "figures", report->figures);
    if (report->root == NULL) {
        abort();
    }
    for (size_t i = 0; i < count; i++) {
        add_parameter(report->parameters, &options[i]);
    }
    return report;
}

struct bench_report *bench_report_begin(const char *program, const struct stress_option *options,
                                        size_t count)
{
    char machine[BENCH_MACHINE_BYTES];
    const char *slash = strrchr(program, '/');
    bench_describe_machine(machine);
    printf("%s\n", machine);
    stress_options_print_replay(program, options, count);
    return report_new(slash != NULL ? slash + 1 : program, machine, options, count);
}

void bench_report_parameter(struct bench_report *report, const char *name, uint64_t number)
{
    json_object_set_new(report->parameters, name, json_integer((json_int_t)number));
}

void bench_report_work(struct bench_report *report, const char *of, uint64_t hash)
{
    json_object_set_new(report->work, of, json_sprintf("%016" PRIx64, hash));
}

void bench_report_figure_of(struct bench_report *report, const char *kind, const char *name,
                            const char *workload, unsigned threads)
{
    report->figure =
        json_pack("{s:s, s:s, s:i}", kind, name, "workload", workload, "threads", (int)threads);
    json_array_append_new(report->figures, report->figure);
}

void bench_report_figure(struct bench_report *report, const char *map, const char *workload,
                         unsigned threads)
{
    bench_report_figure_of(report, "map", map, workload, threads);
}

void bench_report_label(struct bench_report *report, const char *name, const char *text)
{
    json_object_set_new(report->figure, name, json_string(text));
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
    } quantiles[] = {
        {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}, {"p99.99", 0.9999}};
    json_t *figure = json_object();
    for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++) {
        uint64_t ns = bench_latency_quantile_ns(latency, quantiles[i].quantile);
        json_object_set_new(figure, quantiles[i].name, json_integer((json_int_t)ns));
    }
    json_object_set_new(figure, "worst", json_integer((json_int_t)latency->worst_ns));
    json_object_set_new(report->figure, "latency_ns", figure);
}

void bench_report_point(struct bench_report *report, const char *name, double x, double y)
{
    json_t *points = json_object_get(report->figure, name);
    if (points == NULL) {
        points = json_array();
        json_object_set_new(report->figure, name, points);
    }
    json_array_append_new(points, json_pack("[f, f]", x, y));
}

bool bench_report_write(struct bench_report *report, const char *path)
{
    bool written = path == NULL ||
                   json_dump_file(report->root, path, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) == 0;
    if (!written) {
        fprintf(stderr, "cannot write %s\n", path);
    }
    json_decref(report->root);
    free(report);
    return written;
}
