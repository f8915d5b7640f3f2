#include "core/mailbox.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#ifndef __linux__
#error "core/mailbox.c needs an eventfd, which Linux has"
#endif
#include <sys/eventfd.h>

#include "core/atomic.h"
#include "core/perturb.h"
#include "core/reclaim.h"

struct dsq_mailbox {
    _Atomic(struct dsq_notice *) head; /* sent, the newest first */
    _Atomic uint32_t refs;
    int descriptor;
    uint64_t fork_generation;
    struct dsq_notice *taken; /* the owner's: looked at and not handed out, the oldest first */
};

int dsq_mailbox_new(struct dsq_mailbox **mailbox)
{
    struct dsq_mailbox *made = calloc(1, sizeof *made);

    dsq_fork_watch();

    if (made == NULL) {
        return DSQ_ERR_NOMEM;
    }
    made->descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (made->descriptor < 0) {
        free(made);
        return DSQ_ERR_NOMEM;
    }
    atomic_init(&made->refs, 1);
    made->fork_generation = dsq_fork_generation();
    *mailbox = made;
    return DSQ_OK;
}

static void free_chain(struct dsq_notice *notice)
{
    while (notice != NULL) {
        struct dsq_notice *next = notice->next;

        free(notice);
        notice = next;
    }
}

static void destroy(struct dsq_mailbox *mailbox)
{
    free_chain(mailbox->taken);
    free_chain(dsq_exchange_acq_rel(&mailbox->head, NULL));
    close(mailbox->descriptor);
    free(mailbox);
}

static void drop(struct dsq_mailbox *mailbox)
{
    if (dsq_sub_acq_rel(&mailbox->refs, 1) == 1) {
        destroy(mailbox);
    }
}

void dsq_mailbox_release(struct dsq_mailbox *mailbox)
{
    if (dsq_mailbox_is_inherited(mailbox)) {
        destroy(mailbox); /* those who would have sent to it are the parent's */
    } else {
        drop(mailbox);
    }
}

int dsq_mailbox_descriptor(const struct dsq_mailbox *mailbox)
{
    return mailbox->descriptor;
}

bool dsq_mailbox_is_inherited(const struct dsq_mailbox *mailbox)
{
    return mailbox->fork_generation != dsq_fork_generation();
}

static struct dsq_notice *turn_round(struct dsq_notice *newest)
{
    struct dsq_notice *oldest = NULL;

    while (newest != NULL) {
        struct dsq_notice *older = newest->next;

        newest->next = oldest;
        oldest = newest;
        newest = older;
    }
    return oldest;
}

/* First the descriptor, then the list: see the head of the header. */
static void look(struct dsq_mailbox *mailbox)
{
    uint64_t writes;

    while (read(mailbox->descriptor, &writes, sizeof writes) < 0 && errno == EINTR) {
    }
    dsq_perturb();
    mailbox->taken = turn_round(dsq_exchange_acq_rel(&mailbox->head, NULL));
}

struct dsq_notice *dsq_mailbox_take(struct dsq_mailbox *mailbox)
{
    struct dsq_notice *notice;

    if (dsq_mailbox_is_inherited(mailbox)) {
        return NULL;
    }
    if (mailbox->taken == NULL) {
        look(mailbox);
    }
    notice = mailbox->taken;
    if (notice != NULL) {
        mailbox->taken = notice->next;
    }
    return notice;
}

bool dsq_mailbox_has_more(const struct dsq_mailbox *mailbox)
{
    return mailbox->taken != NULL;
}

struct dsq_notice *dsq_notice_new(struct dsq_mailbox *mailbox, uint64_t token)
{
    struct dsq_notice *notice = malloc(sizeof *notice);

    if (notice != NULL) {
        /* Relaxed: the caller has a reference. */
        dsq_add_relaxed(&mailbox->refs, 1);
        notice->next = NULL;
        notice->mailbox = mailbox;
        notice->token = token;
    }
    return notice;
}

/* Whether the list was empty.  The notice is the owner's once it is on the list. */
static bool push(struct dsq_mailbox *mailbox, struct dsq_notice *notice)
{
    /* Relaxed: what lies behind the head is not looked at. */
    struct dsq_notice *head = dsq_load_relaxed(&mailbox->head);

    do {
        notice->next = head;
        dsq_perturb();
    } while (!dsq_cas_acq_rel(&mailbox->head, &head, notice));
    return head == NULL;
}

void dsq_notice_send(struct dsq_notice *notice, const struct dsq_error *error)
{
    static const uint64_t one = 1;
    struct dsq_mailbox *mailbox = notice->mailbox;

    if (error != NULL) {
        notice->error = *error;
    } else {
        notice->error.status = DSQ_OK;
        notice->error.message[0] = '\0';
    }
    if (push(mailbox, notice)) {
        dsq_perturb();
        /* It cannot be full: one write at most stands between two reads, but for those of late senders. */
        while (write(mailbox->descriptor, &one, sizeof one) < 0 && errno == EINTR) {
        }
    }
    drop(mailbox);
}

void dsq_notice_discard(struct dsq_notice *notice)
{
    drop(notice->mailbox);
    free(notice);
}

void dsq_notice_free(struct dsq_notice *notice)
{
    free(notice);
}
