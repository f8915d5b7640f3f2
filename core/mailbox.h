/*
 * A mailbox: notices that any thread sends and one thread takes when a descriptor says so.
 *
 * For programs that wait for many things at once with poll, epoll or an event loop: a thread of the
 * library tells them that something has ended without knowing how they wait, and without waiting.
 *
 * The list is a stack (after Treiber, 1986) of which only ever the whole is taken:
 *
 *     sender                                       owner, once the descriptor is readable
 *     link the notice to the head it has read      read the descriptor: not readable any more
 *     CAS head -> notice      <- sent              exchange head -> NULL      <- taken
 *     if the head was NULL: write the descriptor   turn the chain round: the oldest first
 *
 * No wake-up is lost: a notice is either taken by the exchange before which it was sent, or finds the
 * head NULL (or another notice that did) and then the descriptor is written, after the owner has read
 * it.  Reading after taking would be wrong: it could swallow the write of a notice that was sent between.
 * The other way round it costs at most a wake-up in vain.  One write serves all that are sent until the
 * owner looks.
 *
 * Ordering: the compare-and-swap of the head releases the notice's contents, the exchange acquires
 * them (through the senders in between, whose read-modify-writes continue the release sequence).
 * Linearization points are marked above.  Progress: sending is lock-free, plus a system call that does
 * not wait; a sender frozen anywhere leaves the list whole, but if it was the one to write, the notices
 * wait for it.  Taking is wait-free but for turning the chain round.  There is no ABA problem: nobody
 * pops a single notice, and a stale head that compares equal is the head.
 *
 * States of a notice: NEW (its maker's) --send--> SENT (the list's) --take--> TAKEN (the owner's).
 *
 * Lifetime: the owner has a reference of the mailbox, each notice that is NEW another; the last one
 * closes the descriptor.  So a late sender never writes into a descriptor that has become something
 * else.  Whoever does not want to be told any more releases the mailbox: what is still sent is
 * freed with it.
 *
 * In a forked child the mailbox is a copy that nobody sends to, but the descriptor is shared with the
 * parent: it must not be read, and is not.
 */
#ifndef DSQ_CORE_MAILBOX_H
#define DSQ_CORE_MAILBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "core/status.h"

struct dsq_mailbox;

struct dsq_notice {
    struct dsq_notice *next;
    struct dsq_mailbox *mailbox;
    uint64_t token;         /* what the owner knows it by */
    struct dsq_error error; /* what it says; the message is empty on DSQ_OK */
};

/* DSQ_ERR_NOMEM: out of memory or of descriptors. */
int dsq_mailbox_new(struct dsq_mailbox **mailbox);

/* The owner's reference; taken notices are its own to free. */
void dsq_mailbox_release(struct dsq_mailbox *mailbox);

/* Readable when there is something to collect. */
int dsq_mailbox_descriptor(const struct dsq_mailbox *mailbox);

/* Whether this process was forked from the one that made it. */
bool dsq_mailbox_is_inherited(const struct dsq_mailbox *mailbox);

/*
 * The oldest notice that was not handed out, to be freed by dsq_notice_free; NULL if there is none, or
 * if the mailbox was inherited.  Looks at the list when nothing is left of the last look.  The owner's
 * alone.
 */
struct dsq_notice *dsq_mailbox_take(struct dsq_mailbox *mailbox);

/* Whether something is left of the last look: if not, the next notice is announced by the descriptor. */
bool dsq_mailbox_has_more(const struct dsq_mailbox *mailbox);

/* NULL: out of memory. */
struct dsq_notice *dsq_notice_new(struct dsq_mailbox *mailbox, uint64_t token);

/* Sends it with a copy of the error; NULL: with DSQ_OK.  Any thread; never waits. */
void dsq_notice_send(struct dsq_notice *notice, const struct dsq_error *error);

/* Frees one that was not sent. */
void dsq_notice_discard(struct dsq_notice *notice);

/* Frees one that was taken. */
void dsq_notice_free(struct dsq_notice *notice);

#endif
