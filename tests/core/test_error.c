#include "core/error.h"

#include <string.h>

#include <criterion/criterion.h>

Test(error, every_status_has_its_name_and_its_own_sentence)
{
    static const int statuses[] = {
#define STATUS(name, value, sentence) name,
        DSQ_STATUS_LIST(STATUS)
#undef STATUS
    };
    const size_t count = sizeof statuses / sizeof statuses[0];
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(strncmp(dsq_status_name(statuses[i]), "DSQ_", 4), 0);
        for (size_t j = 0; j < i; j++) {
            cr_assert_neq(statuses[i], statuses[j]);
            cr_assert_str_neq(dsq_status_sentence(statuses[i]), dsq_status_sentence(statuses[j]));
        }
    }
    cr_assert_str_eq(dsq_status_name(DSQ_ERR_IO), "DSQ_ERR_IO");
}

Test(error, success_is_zero_outcomes_are_positive_and_errors_negative)
{
    cr_assert_eq(DSQ_OK, 0);
#define SIGN(name, value, sentence)                                                                \
    cr_assert_eq((name) < 0, strncmp(#name, "DSQ_ERR_", 8) == 0, "%s", #name);
    DSQ_STATUS_LIST(SIGN)
#undef SIGN
}

Test(error, an_unknown_status_has_a_sentence_but_no_name)
{
    cr_assert_null(dsq_status_name(12345));
    cr_assert_str_eq(dsq_status_sentence(12345), "unknown status");
}

Test(error, set_returns_the_status_with_or_without_a_place_for_the_message)
{
    struct dsq_error error = {0};
    cr_assert_eq(dsq_error_set(&error, DSQ_ERR_FULL, "%s of %d", "the third", 4), DSQ_ERR_FULL);
    cr_assert_eq(error.status, DSQ_ERR_FULL);
    cr_assert_str_eq(error.message, "the third of 4");
    cr_assert_eq(dsq_error_set(NULL, DSQ_ERR_IO, "lost"), DSQ_ERR_IO);
}

Test(error, a_message_that_is_too_long_is_cut)
{
    char words[2 * DSQ_ERROR_MESSAGE_BYTES];
    struct dsq_error error;
    memset(words, 'x', sizeof words - 1);
    words[sizeof words - 1] = '\0';
    dsq_error_set(&error, DSQ_ERR_IO, "%s", words);
    cr_assert_eq(strlen(error.message), DSQ_ERROR_MESSAGE_BYTES - 1);
}
