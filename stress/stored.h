/* What a database file holds, read by SQLite alone, while the library has it open. */
#ifndef DSQ_STRESS_STORED_H
#define DSQ_STRESS_STORED_H

#include "stress/map_ops.h"

/* Visits every record, journaled or in kv, in one read transaction; MAP_ERROR: it has said why. */
enum map_status stored_walk(const char *path, map_visitor visit, void *context);

#endif
