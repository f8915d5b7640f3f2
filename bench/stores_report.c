#include "bench/stores_report.h"

#include <stdio.h>

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

static void report_cell(struct store_report *table, struct store_row *row, unsigned store,
                        struct bench_report *report)
{
    struct store_cell *cell = &row->cells[store];
    bench_report_figure_of(report, "store", table->names[store], row->workload, row->threads);
    bench_report_label(report, "keys", row->keys);
    bench_report_label(report, "durability", store_durability_name(table->config.durability));
    bench_report_rates(report, cell->samples, table->rounds);
    bench_report_latency(report, &cell->latency);
}

void store_report_fill(struct store_report *table, struct bench_report *report)
{
    const struct store_config *config = &table->config;
    bench_report_parameter(report, "operations", table->operations);
    bench_report_parameter(report, "write_bytes", config->write_bytes);
    bench_report_parameter(report, "read_bytes", config->read_bytes);
    for (unsigned i = 0; i < table->rows; i++) {
        for (unsigned j = 0; j < table->count; j++) {
            if (table->row[i].measured[j]) {
                report_cell(table, &table->row[i], j, report);
            }
        }
    }
}
