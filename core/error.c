#include "core/error.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

struct status_text {
    int status;
    const char *name;
    const char *sentence;
};

static const struct status_text texts[] = {
#define DSQ_STATUS_TEXT(name, value, sentence) {name, #name, sentence},
    DSQ_STATUS_LIST(DSQ_STATUS_TEXT)
#undef DSQ_STATUS_TEXT
};

static const struct status_text *find(int status)
{
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i].status == status) {
            return &texts[i];
        }
    }
    return NULL;
}

const char *dsq_status_name(int status)
{
    const struct status_text *text = find(status);
    return text != NULL ? text->name : NULL;
}

const char *dsq_status_sentence(int status)
{
    const struct status_text *text = find(status);
    return text != NULL ? text->sentence : "unknown status";
}

int dsq_error_set(struct dsq_error *error, int status, const char *format, ...)
{
    if (error != NULL) {
        va_list arguments;
        va_start(arguments, format);
        error->status = status;
        vsnprintf(error->message, sizeof error->message, format, arguments);
        va_end(arguments);
    }
    return status;
}
