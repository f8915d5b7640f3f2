/* A benchmark's figures as JSON: what was measured, on what, with which parameters. */
#ifndef DSQ_BENCH_REPORT_H
#define DSQ_BENCH_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/latency.h"
#include "stress/options.h"

struct bench_report;

/* The parameters are the numbers among the options, dashes as underscores. */
struct bench_report *bench_report_new(const char *benchmark, const char *machine,
                                      const struct stress_option *options, size_t count);

/* Begins a figure; what follows until the next one belongs to it. */
void bench_report_figure(struct bench_report *report, const char *map, const char *workload,
                         unsigned threads);
/* Their median and quartiles; sorts the samples. */
void bench_report_rates(struct bench_report *report, double *per_second, size_t rounds);
void bench_report_latency(struct bench_report *report, const struct bench_latency *latency);
void bench_report_number(struct bench_report *report, const char *name, double number);

/* Frees the report.  False, and why on stderr, if the file cannot be written. */
bool bench_report_write(struct bench_report *report, const char *path);

#endif
