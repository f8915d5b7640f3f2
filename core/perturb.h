/*
 * Marks the steps between which another thread may come: before a compare-and-swap that may fail,
 * between two steps of one protocol.  Nothing in ordinary builds.  With DSQ_PERTURB (CMake option,
 * preset `perturb`) a thread that passes a mark sometimes yields or pauses there, so that schedules
 * which a two-core machine shows once in a billion come within seconds.  After the idea of Edelstein
 * et al., "Multithreaded Java program test generation" (IBM Systems Journal, 2002): noise at the
 * places that matter.
 */
#ifndef DSQ_CORE_PERTURB_H
#define DSQ_CORE_PERTURB_H

#ifdef DSQ_PERTURB
void dsq_perturb(void);

/* After a read of the file, which may last long: pauses more often. */
void dsq_perturb_read(void);
#else
static inline void dsq_perturb(void)
{
}

static inline void dsq_perturb_read(void)
{
}
#endif

#endif
