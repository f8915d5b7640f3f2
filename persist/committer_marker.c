/*
 * Markers that tell: a MARKER item whose value is the address of a notice (core/mailbox.h), until that is
 * sent.  A marker without a value is one that somebody waits for (dsq_committer_flush).
 *
 * From the push on it is the thread's: nobody else reads the address or changes it.
 */
#include "persist/committer_internal.h"

struct dsq_record *dsq_marker_new(struct dsq_notice *notice)
{
    struct dsq_bytes none = {0};
    struct dsq_bytes value = {&notice, sizeof notice};

    return dsq_record_new(DSQ_ITEM_MARKER, DSQ_RECORD_READY, 1, 0, none, value);
}

void dsq_marker_send(struct dsq_record *marker, const struct dsq_error *error)
{
    struct dsq_notice *const sent = NULL;
    struct dsq_notice *notice = NULL;

    if (dsq_record_value(marker).size == 0) {
        return;
    }
    memcpy(&notice, dsq_record_value(marker).data, sizeof notice);
    if (notice != NULL) {
        memcpy(dsq_record_unshared_value(marker), &sent, sizeof sent);
        dsq_notice_send(notice, error);
    }
}
