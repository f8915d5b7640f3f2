/* Reads the file after a kill and decides whether it is what the promises of the mode allow. */
#ifndef DSQ_STRESS_CRASH_JUDGE_H
#define DSQ_STRESS_CRASH_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "stress/crash_page.h"

struct crash_judge {
    struct crash_page *page;
    const char *path;
    uint64_t *starts;        /* [round * CRASH_THREADS_MAX + thread]: the round's first write */
    uint64_t survived;       /* acknowledged writes found in force, over all rounds */
    uint64_t unacknowledged; /* writes found in force though nobody was told so */
};

bool crash_judge_init(struct crash_judge *judge, struct crash_page *page, const char *path,
                      uint64_t rounds);
void crash_judge_fini(struct crash_judge *judge);

/* Before each round: its writes begin where the last verdict left each thread. */
void crash_judge_begin_round(struct crash_judge *judge, uint64_t round);

/*
 * Opens the file and demands, thread by thread, that it holds the state after some prefix of the
 * programme that includes all that was acknowledged (lazy: flushed) and nothing not begun, that no
 * batch is torn, and that whatever a surviving write could know of survives too.  Sets each base to
 * the end of its prefix.  False after a violation.
 */
bool crash_judge_verify(struct crash_judge *judge);

#endif
