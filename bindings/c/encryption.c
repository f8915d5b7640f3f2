/* The C API's passwords: rekeying a store, and turning a whole file into an encrypted or a plain one. */
#include "bindings/c/handle.h"
#include "core/error.h"
#include "crypto/keyring.h"
#include "crypto/superblock.h"
#include "persist/sqlite_store.h"

_Static_assert(DSQ_PASSWORD_SIZE_MAX == DSQ_PASSWORD_BYTES_MAX, "the header says so");
_Static_assert((int)DSQ_CIPHER_AES256GCM == (int)DSQ_SEAL_AES256GCM &&
                   (int)DSQ_CIPHER_XCHACHA20POLY1305 == (int)DSQ_SEAL_XCHACHA20POLY1305,
               "the ciphers have the same numbers");

int dsq_make_vault(const struct dsq_options *options, struct dsq_vault **vault,
                   struct dsq_error *error)
{
    const struct dsq_seal_options seal = {options->kdf_operations, options->kdf_memory,
                                          options->cipher};

    *vault = NULL;
    if (options->password == NULL) {
        return options->password_size == 0
                   ? DSQ_OK
                   : dsq_error_set(error, DSQ_ERR_INVALID, "the password is NULL but has a size");
    }
    return dsq_keyring_new(options->password, options->password_size, &seal, vault, error);
}

struct new_password {
    struct dsq_vault *vault;
    struct dsq_bytes password;
};

static int rewrap(void *context, struct dsq_error *error)
{
    const struct new_password *new_password = context;

    return dsq_keyring_rewrap(new_password->vault, new_password->password.data,
                              new_password->password.size, error);
}

int dsq_rekey(dsq_db *db, const void *password, size_t password_size)
{
    struct dsq_error error = {0};
    int status = dsq_handle_enter(db);

    if (status == DSQ_OK && password == NULL) {
        status = dsq_error_set(&error, DSQ_ERR_INVALID, "a new password is needed");
    }
    if (status == DSQ_OK && db->vault == NULL) {
        status = dsq_error_set(&error, DSQ_ERR_UNSUPPORTED, "the store is not encrypted");
    }
    if (status == DSQ_OK) {
        struct new_password context = {db->vault, {password, password_size}};

        status = dsq_tier_reseal(db->tier, rewrap, &context, &error);
    }
    return dsq_handle_leave(db, status, &error);
}

static int check_conversion(const char *path, const struct dsq_options *options,
                            struct dsq_error *error)
{
    if (path == NULL || path[0] == '\0') {
        return dsq_error_set(error, DSQ_ERR_INVALID, "there is no path of a file");
    }
    if (options == NULL || options->password == NULL) {
        return dsq_error_set(error, DSQ_ERR_INVALID, "a password is needed");
    }
    return DSQ_OK;
}

/* Between plain and encrypted, into the direction asked for. */
static int convert(const char *path, const struct dsq_options *options, bool encrypt,
                   dsq_progress progress, void *context)
{
    const struct dsq_store_progress store_progress = {progress, context};
    struct dsq_error *out = options != NULL ? options->error : NULL;
    struct dsq_error error = {0};
    struct dsq_vault *vault = NULL;
    int status = check_conversion(path, options, &error);

    if (status == DSQ_OK) {
        status = dsq_make_vault(options, &vault, &error);
    }
    if (status == DSQ_OK) {
        status = dsq_sqlite_convert(path, encrypt ? NULL : vault, encrypt ? vault : NULL,
                                    &store_progress, &error);
    }
    dsq_vault_destroy(vault);
    return status == DSQ_OK ? DSQ_OK : dsq_error_set(out, status, "%s", error.message);
}

int dsq_encrypt(const char *path, const struct dsq_options *options, dsq_progress progress,
                void *context)
{
    return convert(path, options, true, progress, context);
}

int dsq_decrypt(const char *path, const struct dsq_options *options, dsq_progress progress,
                void *context)
{
    return convert(path, options, false, progress, context);
}
