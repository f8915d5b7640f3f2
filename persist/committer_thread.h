/* The body of the committer's thread; its argument is the struct dsq_committer. */
#ifndef DSQ_PERSIST_COMMITTER_THREAD_H
#define DSQ_PERSIST_COMMITTER_THREAD_H

void *dsq_committer_thread(void *argument);

#endif
