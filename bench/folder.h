/* A folder for the files of one run of a benchmark. */
#ifndef DSQ_BENCH_FOLDER_H
#define DSQ_BENCH_FOLDER_H

#include <limits.h>

/* Makes one whose name begins with that, in `parent`; NULL: in TMPDIR or /tmp.  Ends the program if it cannot. */
void bench_folder_make(const char *parent, const char *name, char folder[PATH_MAX]);

/* Removes it with all that is in it. */
void bench_folder_remove(const char *folder);

#endif
