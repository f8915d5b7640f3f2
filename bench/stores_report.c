#include "bench/stores_report.h"

#include <inttypes.h>
#include <stdio.h>

#include <jansson.h>

#define STORE_COLUMN 15

static double median(struct store_report *report, struct store_cell *cell)
{
    return bench_median(cell->samples, report->rounds);
}

static void print_head(const struct store_report *report, const char *title)
{
    printf("\n%-36s%8s", title, "threads");
    for (unsigned i = 0; i < report->count; i++) {
        printf("%*s", STORE_COLUMN, report->names[i]);
    }
    printf("\n");
}

static void print_row_name(const struct store_row *row)
{
    printf("%-6s%-22s%-8s%8u", row->workload, row->what, row->keys, row->threads);
}

static void print_rates(struct store_report *report)
{
    print_head(report, "thousand operations a second");
    for (unsigned i = 0; i < report->rows; i++) {
        print_row_name(&report->row[i]);
        for (unsigned j = 0; j < report->count; j++) {
            if (report->row[i].measured[j]) {
                printf("%*.1f", STORE_COLUMN, median(report, &report->row[i].cells[j]) / 1e3);
            } else {
                printf("%*s", STORE_COLUMN, "");
            }
        }
        printf("\n");
    }
}

static void print_latencies(const struct store_report *report)
{
    print_head(report, "p50 / p99.9 in microseconds");
    for (unsigned i = 0; i < report->rows; i++) {
        print_row_name(&report->row[i]);
        for (unsigned j = 0; j < report->count; j++) {
            const struct bench_latency *latency = &report->row[i].cells[j].latency;
            char text[32] = "";
            if (report->row[i].measured[j]) {
                snprintf(text, sizeof text, "%.1f/%.0f",
                         (double)bench_latency_quantile_ns(latency, 0.5) / 1e3,
                         (double)bench_latency_quantile_ns(latency, 0.999) / 1e3);
            }
            printf("%*s", STORE_COLUMN, text);
        }
        printf("\n");
    }
}

void store_report_print(struct store_report *report)
{
    print_rates(report);
    print_latencies(report);
}

/* ---- JSON ---- */

static json_t *latency_new(const struct bench_latency *latency)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "p50",
                     (json_int_t)bench_latency_quantile_ns(latency, 0.5), "p99",
                     (json_int_t)bench_latency_quantile_ns(latency, 0.99), "p99.9",
                     (json_int_t)bench_latency_quantile_ns(latency, 0.999), "p99.99",
                     (json_int_t)bench_latency_quantile_ns(latency, 0.9999), "worst",
                     (json_int_t)latency->worst_ns);
}

static json_t *figure_new(struct store_report *report, struct store_row *row, unsigned store)
{
    struct store_cell *cell = &row->cells[store];
    double middle = median(report, cell);
    return json_pack("{s:s, s:s, s:s, s:s, s:i, s:f, s:f, s:f, s:o}", "store", report->names[store],
                     "workload", row->workload, "keys", row->keys, "durability",
                     store_durability_name(report->config.durability), "threads", (int)row->threads,
                     "per_second", middle, "lower_quartile", cell->samples[report->rounds / 4],
                     "upper_quartile", cell->samples[report->rounds - 1 - report->rounds / 4],
                     "latency_ns", latency_new(&cell->latency));
}

static json_t *figures_new(struct store_report *report)
{
    json_t *figures = json_array();
    for (unsigned i = 0; i < report->rows; i++) {
        for (unsigned j = 0; j < report->count; j++) {
            if (report->row[i].measured[j]) {
                json_array_append_new(figures, figure_new(report, &report->row[i], j));
            }
        }
    }
    return figures;
}

bool store_report_write(struct store_report *report, const char *path)
{
    const struct store_config *config = &report->config;
    json_t *json = json_pack(
        "{s:s, s:s, s:{s:I, s:I, s:I, s:I, s:s, s:I, s:I, s:I, s:I}, s:o}", "benchmark", "stores",
        "machine", report->machine, "parameters", "records", (json_int_t)report->loaded,
        "operations", (json_int_t)report->operations, "value_bytes",
        (json_int_t)config->value_bytes, "hot_percent", (json_int_t)report->hot_percent,
        "durability", store_durability_name(config->durability), "write_bytes",
        (json_int_t)config->write_bytes, "read_bytes", (json_int_t)config->read_bytes, "rounds",
        (json_int_t)report->rounds, "seed", (json_int_t)report->seed, "figures",
        figures_new(report));
    bool written =
        json != NULL && json_dump_file(json, path, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) == 0;
    json_decref(json);
    return written;
}
