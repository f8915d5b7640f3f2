/* A benchmark's figures as JSON: what was measured, on what, with which parameters. */
#ifndef DSQ_BENCH_REPORT_H
#define DSQ_BENCH_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/latency.h"
#include "stress/options.h"

struct bench_report;

/*
 * Prints the machine as it is now, and the command that repeats the run.  The report is named as the file of the
 * program is; its parameters are the options that have a value, dashes as underscores, without --json.
 */
struct bench_report *bench_report_begin(const char *program, const struct stress_option *options,
                                        size_t count);

/* What is no option: sizes that the program fixes, and hashes of the work, which are the same for all sides. */
void bench_report_parameter(struct bench_report *report, const char *name, uint64_t number);
void bench_report_work(struct bench_report *report, const char *of, uint64_t hash);

/* Begins a figure; what follows until the next one belongs to it. */
void bench_report_figure(struct bench_report *report, const char *map, const char *workload,
                         unsigned threads);
/* The same of a store, a policy …: `kind` is the label of its name. */
void bench_report_figure_of(struct bench_report *report, const char *kind, const char *name,
                            const char *workload, unsigned threads);
void bench_report_label(struct bench_report *report, const char *name, const char *text);
/* Their median and quartiles; sorts the samples. */
void bench_report_rates(struct bench_report *report, double *per_second, size_t rounds);
void bench_report_latency(struct bench_report *report, const struct bench_latency *latency);
void bench_report_number(struct bench_report *report, const char *name, double number);
/* A curve: adds a point to the array of that name. */
void bench_report_point(struct bench_report *report, const char *name, double x, double y);

/* Frees the report.  False, and why on stderr, if the file cannot be written; path may be NULL: no file. */
bool bench_report_write(struct bench_report *report, const char *path);

#endif
