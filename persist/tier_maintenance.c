/* Backup, verification, compaction: what concerns the store alone. */
#include "core/error.h"
#include "persist/tier_internal.h"

int dsq_tier_backup(struct dsq_tier *tier, const char *path, bool overwrite,
                    const struct dsq_store_progress *progress, struct dsq_error *error)
{
    int status;

    if (tier->store == NULL) {
        return dsq_error_set(error, DSQ_ERR_UNSUPPORTED, "in memory mode there is no file to copy");
    }
    status = dsq_tier_flush(tier, DSQ_NO_DEADLINE, error);
    return status == DSQ_OK
               ? tier->store->ops->backup(tier->store, path, overwrite, progress, error)
               : status;
}

int dsq_tier_verify(struct dsq_tier *tier, const struct dsq_store_progress *progress,
                    struct dsq_error *error)
{
    return tier->store != NULL ? tier->store->ops->verify(tier->store, progress, error) : DSQ_OK;
}

static int compact(struct dsq_store *store, void *context, struct dsq_error *error)
{
    return store->ops->compact(store, context, error);
}

int dsq_tier_compact(struct dsq_tier *tier, const struct dsq_store_progress *progress,
                     struct dsq_error *error)
{
    struct dsq_store_progress copy = *progress;
    int status;

    if (tier->readonly) {
        return dsq_error_set(error, DSQ_ERR_READONLY, "the store was opened read-only");
    }
    if (tier->committer == NULL) {
        return DSQ_OK;
    }
    status = dsq_tier_fold(tier, error);
    return status == DSQ_OK ? dsq_committer_do(tier->committer, compact, &copy, error) : status;
}

static int reseal(struct dsq_store *store, void *context, struct dsq_error *error)
{
    (void)context;
    return store->ops->reseal(store, error);
}

int dsq_tier_reseal(struct dsq_tier *tier, int (*prepare)(void *context, struct dsq_error *error),
                    void *context, struct dsq_error *error)
{
    int status;

    if (tier->readonly) {
        return dsq_error_set(error, DSQ_ERR_READONLY, "the store was opened read-only");
    }
    if (tier->committer == NULL) {
        return dsq_error_set(error, DSQ_ERR_UNSUPPORTED, "in memory mode there is no file");
    }
    status = prepare(context, error);
    return status == DSQ_OK ? dsq_committer_do(tier->committer, reseal, NULL, error) : status;
}
