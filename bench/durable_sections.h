/*
 * The sections of bench/durable.  Each makes its files in the run's folder, prints a table, checks that
 * every record is there, and removes its files.
 */
#ifndef DSQ_BENCH_DURABLE_SECTIONS_H
#define DSQ_BENCH_DURABLE_SECTIONS_H

#include "bench/durable_records.h"

/* durable_throughput.c */
void durable_burst(const struct durable_parameters *parameters);
void durable_many(const struct durable_parameters *parameters);
void durable_sustained(const struct durable_parameters *parameters);

/* durable_latency.c */
void durable_single(const struct durable_parameters *parameters);
void durable_folding(const struct durable_parameters *parameters);

/* durable_whole.c */
void durable_reopen(const struct durable_parameters *parameters);
void durable_len(const struct durable_parameters *parameters);
void durable_abandoned(const struct durable_parameters *parameters);

#endif
