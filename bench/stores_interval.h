/*
 * A thread that makes durable what a store has acknowledged, every STORE_INTERVAL_MS: what dictsqlite's
 * lazy mode does by itself.
 */
#ifndef DSQ_BENCH_STORES_INTERVAL_H
#define DSQ_BENCH_STORES_INTERVAL_H

#ifdef __cplusplus
extern "C" {
#endif

struct store_interval;

struct store_interval *store_interval_start(void (*sync)(void *store), void *store);
/* interval may be NULL. */
void store_interval_stop(struct store_interval *interval);

#ifdef __cplusplus
}
#endif

#endif
