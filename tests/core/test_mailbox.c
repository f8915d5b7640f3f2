#include "core/mailbox.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "core/error.h"

TestSuite(mailbox, .timeout = 60);

static struct dsq_mailbox *open_mailbox(void)
{
    struct dsq_mailbox *mailbox = NULL;
    cr_assert_eq(dsq_mailbox_new(&mailbox), DSQ_OK);
    return mailbox;
}

static bool is_readable(const struct dsq_mailbox *mailbox, int timeout_ms)
{
    struct pollfd polled = {.fd = dsq_mailbox_descriptor(mailbox), .events = POLLIN};
    return poll(&polled, 1, timeout_ms) == 1;
}

static void send_token(struct dsq_mailbox *mailbox, uint64_t token)
{
    struct dsq_notice *notice = dsq_notice_new(mailbox, token);
    cr_assert_not_null(notice);
    dsq_notice_send(notice, NULL);
}

static void take_token(struct dsq_mailbox *mailbox, uint64_t token)
{
    struct dsq_notice *notice = dsq_mailbox_take(mailbox);
    cr_assert_not_null(notice);
    cr_assert_eq(notice->token, token);
    cr_assert_eq(notice->error.status, DSQ_OK);
    dsq_notice_free(notice);
}

Test(mailbox, is_readable_from_the_first_notice_to_the_next_look)
{
    struct dsq_mailbox *mailbox = open_mailbox();
    cr_assert_not(is_readable(mailbox, 0));
    cr_assert_null(dsq_mailbox_take(mailbox));
    for (int round = 0; round < 3; round++) {
        send_token(mailbox, 1);
        cr_assert(is_readable(mailbox, 0));
        take_token(mailbox, 1);
        cr_assert_not(is_readable(mailbox, 0));
    }
    dsq_mailbox_release(mailbox);
}

Test(mailbox, one_write_announces_all_that_are_sent_before_a_look)
{
    struct dsq_mailbox *mailbox = open_mailbox();
    uint64_t writes = 0;
    send_token(mailbox, 1);
    send_token(mailbox, 2);
    send_token(mailbox, 3);
    cr_assert_eq(read(dsq_mailbox_descriptor(mailbox), &writes, sizeof writes), sizeof writes);
    cr_assert_eq(writes, 1);
    take_token(mailbox, 1);
    cr_assert(dsq_mailbox_has_more(mailbox));
    take_token(mailbox, 2);
    take_token(mailbox, 3);
    cr_assert_not(dsq_mailbox_has_more(mailbox));
    dsq_mailbox_release(mailbox);
}

Test(mailbox, what_comes_while_a_look_is_handed_out_is_announced_and_comes_after_it)
{
    struct dsq_mailbox *mailbox = open_mailbox();
    send_token(mailbox, 1);
    send_token(mailbox, 2);
    take_token(mailbox, 1);
    send_token(mailbox, 3);
    cr_assert(is_readable(mailbox, 0));
    take_token(mailbox, 2);
    take_token(mailbox, 3);
    cr_assert_not(is_readable(mailbox, 0));
    dsq_mailbox_release(mailbox);
}

Test(mailbox, a_notice_carries_its_error)
{
    struct dsq_mailbox *mailbox = open_mailbox();
    struct dsq_error error;
    dsq_error_set(&error, DSQ_ERR_FULL, "no room for %d", 7);
    dsq_notice_send(dsq_notice_new(mailbox, 9), &error);
    struct dsq_notice *notice = dsq_mailbox_take(mailbox);
    cr_assert_eq(notice->token, 9);
    cr_assert_eq(notice->error.status, DSQ_ERR_FULL);
    cr_assert_str_eq(notice->error.message, "no room for 7");
    dsq_notice_free(notice);
    dsq_mailbox_release(mailbox);
}

static bool is_open(int descriptor)
{
    return fcntl(descriptor, F_GETFD) >= 0;
}

Test(mailbox, its_descriptor_stays_open_until_the_last_sender_has_written)
{
    struct dsq_mailbox *mailbox = open_mailbox();
    int descriptor = dsq_mailbox_descriptor(mailbox);
    struct dsq_notice *late = dsq_notice_new(mailbox, 1);
    struct dsq_notice *never = dsq_notice_new(mailbox, 2);
    dsq_mailbox_release(mailbox);
    cr_assert(is_open(descriptor));
    dsq_notice_send(late, NULL);
    cr_assert(is_open(descriptor));
    dsq_notice_discard(never);
    cr_assert_not(is_open(descriptor));
}

Test(mailbox, released_with_notices_in_it_frees_them)
{
    struct dsq_mailbox *mailbox = open_mailbox();
    send_token(mailbox, 1);
    send_token(mailbox, 2);
    take_token(mailbox, 1);
    send_token(mailbox, 3);
    dsq_mailbox_release(mailbox);
}

/* In a child: 0 if it keeps its hands off what the parent waits for. */
static int use_inherited(struct dsq_mailbox *mailbox)
{
    int descriptor = dsq_mailbox_descriptor(mailbox);
    if (!dsq_mailbox_is_inherited(mailbox) || dsq_mailbox_take(mailbox) != NULL) {
        return 1;
    }
    dsq_mailbox_release(mailbox);
    return is_open(descriptor) ? 2 : 0;
}

Test(mailbox, a_forked_child_takes_nothing_and_closes_its_own_descriptor_only)
{
    struct dsq_mailbox *mailbox = open_mailbox();
    int status = -1;
    send_token(mailbox, 5);
    pid_t pid = fork();
    if (pid == 0) {
        _exit(use_inherited(mailbox));
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert_eq(WEXITSTATUS(status), 0);
    cr_assert_not(dsq_mailbox_is_inherited(mailbox));
    cr_assert(is_readable(mailbox, 0));
    take_token(mailbox, 5);
    dsq_mailbox_release(mailbox);
}

#define SENDERS 3
#define EACH 20000

static struct dsq_mailbox *shared;

static void *send_many(void *argument)
{
    uint64_t sender = (uint64_t)(uintptr_t)argument;
    for (uint64_t i = 0; i < EACH; i++) {
        dsq_notice_send(dsq_notice_new(shared, sender << 32 | i), NULL);
    }
    return NULL;
}

Test(mailbox, every_notice_of_many_senders_arrives_once_and_in_the_order_of_its_sender)
{
    pthread_t threads[SENDERS];
    uint64_t next[SENDERS] = {0};
    shared = open_mailbox();
    for (uintptr_t i = 0; i < SENDERS; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, send_many, (void *)i), 0);
    }
    for (int taken = 0; taken < SENDERS * EACH;) {
        cr_assert(is_readable(shared, 30000), "%d were announced", taken);
        struct dsq_notice *notice;
        for (notice = dsq_mailbox_take(shared); notice != NULL;
             notice = dsq_mailbox_has_more(shared) ? dsq_mailbox_take(shared) : NULL) {
            cr_assert_eq((uint32_t)notice->token, next[notice->token >> 32]++);
            dsq_notice_free(notice);
            taken++;
        }
    }
    for (int i = 0; i < SENDERS; i++) {
        pthread_join(threads[i], NULL);
    }
    dsq_mailbox_release(shared);
}
