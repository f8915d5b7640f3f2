/* The C API: flushes that are waited for by a descriptor. */
#include "bindings/c/handle.h"
#include "core/error.h"
#include "core/mailbox.h"

int dsq_notifier_new(dsq_notifier **notifier)
{
    if (notifier == NULL) {
        return DSQ_ERR_INVALID;
    }
    *notifier = NULL;
    return dsq_mailbox_new(notifier);
}

int dsq_notifier_descriptor(const dsq_notifier *notifier)
{
    return notifier != NULL ? dsq_mailbox_descriptor(notifier) : -1;
}

size_t dsq_notifier_take(dsq_notifier *notifier, struct dsq_completion *completions,
                         size_t capacity)
{
    size_t count = 0;

    if (notifier == NULL || completions == NULL) {
        return 0;
    }
    while (count < capacity && (count == 0 || dsq_mailbox_has_more(notifier))) {
        struct dsq_notice *notice = dsq_mailbox_take(notifier);

        if (notice == NULL) {
            break;
        }
        completions[count].token = notice->token;
        completions[count].error = notice->error;
        dsq_notice_free(notice);
        count++;
    }
    return count;
}

void dsq_notifier_destroy(dsq_notifier *notifier)
{
    if (notifier != NULL) {
        dsq_mailbox_release(notifier);
    }
}

/* The notice is the queue's only if it says that it will be sent. */
static int ask(dsq_db *db, dsq_notifier *notifier, uint64_t token, struct dsq_error *error)
{
    struct dsq_notice *notice = dsq_notice_new(notifier, token);
    int status;

    if (notice == NULL) {
        return dsq_error_set(error, DSQ_ERR_NOMEM, "out of memory for a flush");
    }
    status = dsq_tier_notify(db->tier, notice, error);
    if (status != DSQ_WOULD_BLOCK) {
        dsq_notice_discard(notice);
    }
    return status;
}

int dsq_flush_notify(dsq_db *db, dsq_notifier *notifier, uint64_t token)
{
    struct dsq_error error = {0};
    int status = dsq_handle_enter(db);

    if (status == DSQ_OK && notifier == NULL) {
        status = dsq_error_set(&error, DSQ_ERR_INVALID, "a notifier is needed");
    }
    if (status == DSQ_OK && dsq_mailbox_is_inherited(notifier)) {
        status = DSQ_ERR_FORKED;
    }
    if (status == DSQ_OK) {
        status = ask(db, notifier, token, &error);
    }
    return dsq_handle_leave(db, status, &error);
}

int dsq_watch(dsq_db *db)
{
    struct dsq_error error = {0};
    int status = dsq_handle_enter(db);

    if (status == DSQ_OK) {
        status = dsq_tier_watch(db->tier, &error);
    }
    return dsq_handle_leave(db, status, &error);
}
