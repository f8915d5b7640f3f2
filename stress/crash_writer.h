/* The process that stress/crash kills. */
#ifndef DSQ_STRESS_CRASH_WRITER_H
#define DSQ_STRESS_CRASH_WRITER_H

#include <stdbool.h>

#include <dictsqlite.h>

#include "stress/crash_page.h"

/*
 * Opens path and performs the programme from each thread's base on until killed; with open_only
 * opens and closes it over and over.  Returns (1) only after an error, with page->failed set.
 */
int crash_writer_run(struct crash_page *page, const char *path, bool open_only);

/* Performs the programme on an open store until page->stop or an error. */
void crash_writers_run(struct crash_page *page, dsq_db *db);

/* dsq_open as writer and judge do it; failures are violations. */
int crash_database_open(const struct crash_page *page, const char *path, dsq_db **db);

#endif
