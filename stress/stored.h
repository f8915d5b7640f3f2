/* What a database file holds, read by SQLite alone, while the library has it open. */
#ifndef DSQ_STRESS_STORED_H
#define DSQ_STRESS_STORED_H

#include <stdbool.h>

#include "stress/map_ops.h"

/* Visits every record, journaled or in kv, in one read transaction; MAP_ERROR: it has said why. */
enum map_status stored_walk(const char *path, map_visitor visit, void *context);

/*
 * PRAGMA integrity_check; false: it has said what it answered.  For a file that nobody has open; of an
 * encrypted one a decrypted copy is looked at.
 */
bool stored_integrity(const char *path);

/* Removes a database file and what may lie beside it. */
void stored_remove(const char *path);

#endif
