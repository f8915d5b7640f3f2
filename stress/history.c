#include "stress/history.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define OP_NAMES "get, put, delete, pop, add, cas, incr"

static const char *const op_names[HISTORY_OP_COUNT] = {"get", "put", "delete", "pop",
                                                       "add", "cas", "incr"};

/* One file being read. */
struct reader {
    struct history *history;
    uint64_t line;
    char *message;
    size_t message_size;
};

const char *history_op_name(enum history_op op)
{
    return op_names[op];
}

bool history_append(struct history *history, const struct history_operation *operation)
{
    if (history->count == history->capacity) {
        size_t capacity = history->capacity != 0 ? 2 * history->capacity : 1024;
        struct history_operation *larger =
            realloc(history->operations, capacity * sizeof *history->operations);
        if (larger == NULL) {
            return false;
        }
        history->operations = larger;
        history->capacity = capacity;
    }
    history->operations[history->count++] = *operation;
    return true;
}

__attribute__((format(printf, 2, 3))) static bool refuse(struct reader *reader, const char *format,
                                                         ...)
{
    va_list arguments;
    int used = snprintf(reader->message, reader->message_size, "line %" PRIu64 ": ", reader->line);
    va_start(arguments, format);
    if (used > 0 && (size_t)used < reader->message_size) {
        vsnprintf(reader->message + used, reader->message_size - (size_t)used, format, arguments);
    }
    va_end(arguments);
    return false;
}

/* The number of a name in a growing list; false if memory runs out. */
static bool intern(char ***names, size_t *count, const char *name, size_t *number)
{
    for (size_t i = *count; i > 0; i--) {
        if (strcmp((*names)[i - 1], name) == 0) {
            *number = i - 1;
            return true;
        }
    }
    char **longer = realloc(*names, (*count + 1) * sizeof **names);
    if (longer == NULL) {
        return false;
    }
    *names = longer;
    longer[*count] = strdup(name);
    *number = *count;
    *count += longer[*count] != NULL;
    return longer[*number] != NULL;
}

/* Whether a text is an integer spelled the one usual way. */
static bool is_integer(const char *text, int64_t *number)
{
    char again[24];
    char *end;
    *number = strtoll(text, &end, 10);
    snprintf(again, sizeof again, "%" PRId64, *number);
    return *end == '\0' && strcmp(text, again) == 0;
}

static bool value_read(struct reader *reader, const char *what, const json_t *json,
                       struct history_value *value)
{
    size_t number;
    *value = (struct history_value){HISTORY_NONE, 0};
    if (json == NULL || json_is_null(json)) {
        return true;
    }
    if (json_is_integer(json)) {
        *value = history_integer(json_integer_value(json));
        return true;
    }
    if (!json_is_string(json)) {
        return refuse(reader, "\"%s\" is neither a string nor an integer nor null", what);
    }
    if (is_integer(json_string_value(json), &value->number)) {
        value->kind = HISTORY_INTEGER;
        return true;
    }
    if (!intern(&reader->history->texts, &reader->history->text_count, json_string_value(json),
                &number)) {
        return refuse(reader, "out of memory");
    }
    *value = (struct history_value){HISTORY_TEXT, (int64_t)number};
    return true;
}

static bool time_read(struct reader *reader, const char *name, const json_t *json, uint64_t *time)
{
    if (!json_is_integer(json) || json_integer_value(json) < 0) {
        return refuse(reader, "\"%s\" is not a time in nanoseconds", name);
    }
    *time = (uint64_t)json_integer_value(json);
    return true;
}

static bool times_read(struct reader *reader, const json_t *line,
                       struct history_operation *operation)
{
    const json_t *back = json_object_get(line, "return");
    if (!time_read(reader, "call", json_object_get(line, "call"), &operation->call)) {
        return false;
    }
    if (operation->outcome == HISTORY_UNKNOWN) {
        operation->back = UINT64_MAX;
        return true;
    }
    return time_read(reader, "return", back, &operation->back) &&
           (operation->back >= operation->call || refuse(reader, "it returned before its call"));
}

static bool outcome_read(struct reader *reader, const json_t *json,
                         struct history_operation *operation)
{
    const char *name = json != NULL ? json_string_value(json) : "ok";
    operation->outcome = HISTORY_OK;
    if (name != NULL && strcmp(name, "fail") == 0) {
        operation->outcome = HISTORY_FAIL;
    } else if (name != NULL && strcmp(name, "unknown") == 0) {
        operation->outcome = HISTORY_UNKNOWN;
    } else if (name == NULL || strcmp(name, "ok") != 0) {
        return refuse(reader, "\"outcome\" is none of ok, fail, unknown");
    }
    return true;
}

static bool input_read(struct reader *reader, const json_t *json,
                       struct history_operation *operation)
{
    if (operation->op == HISTORY_CAS) {
        if (!json_is_array(json) || json_array_size(json) != 2) {
            return refuse(reader, "the input of cas is not [old, new]");
        }
        return value_read(reader, "input", json_array_get(json, 0), &operation->expected) &&
               value_read(reader, "input", json_array_get(json, 1), &operation->input);
    }
    if (!value_read(reader, "input", json, &operation->input)) {
        return false;
    }
    if (operation->op == HISTORY_INCR && operation->input.kind == HISTORY_NONE) {
        operation->input = history_integer(1);
    }
    if (operation->op == HISTORY_INCR && operation->input.kind != HISTORY_INTEGER) {
        return refuse(reader, "the input of incr is not an integer");
    }
    if ((operation->op == HISTORY_PUT || operation->op == HISTORY_ADD) &&
        operation->input.kind == HISTORY_NONE) {
        return refuse(reader, "the input of %s is missing", op_names[operation->op]);
    }
    return true;
}

static bool output_read(struct reader *reader, const json_t *json,
                        struct history_operation *operation)
{
    switch (operation->op) {
    case HISTORY_DELETE:
    case HISTORY_ADD:
    case HISTORY_CAS:
        if (operation->outcome == HISTORY_OK && !json_is_boolean(json)) {
            return refuse(reader, "the output of %s is neither true nor false",
                          op_names[operation->op]);
        }
        operation->done = json_is_true(json);
        return true;
    case HISTORY_GET:
    case HISTORY_POP:
    case HISTORY_INCR:
        if (operation->outcome != HISTORY_OK) {
            return true;
        }
        return value_read(reader, "output", json, &operation->output) &&
               (operation->op != HISTORY_INCR || operation->output.kind == HISTORY_INTEGER ||
                refuse(reader, "the output of incr is not an integer"));
    case HISTORY_PUT:
    case HISTORY_OP_COUNT:
        break;
    }
    return true;
}

static bool op_read(struct reader *reader, const json_t *json, enum history_op *op)
{
    const char *name = json_string_value(json);
    for (int i = 0; name != NULL && i < HISTORY_OP_COUNT; i++) {
        if (strcmp(name, op_names[i]) == 0) {
            *op = (enum history_op)i;
            return true;
        }
    }
    return refuse(reader, "\"op\" is none of " OP_NAMES);
}

static bool operation_read(struct reader *reader, const json_t *line,
                           struct history_operation *operation)
{
    const json_t *process = json_object_get(line, "process");
    const char *key = json_string_value(json_object_get(line, "key"));
    size_t number;
    if (!json_is_object(line)) {
        return refuse(reader, "not an object");
    }
    if (!json_is_integer(process) || json_integer_value(process) < 0 ||
        json_integer_value(process) > UINT32_MAX) {
        return refuse(reader, "\"process\" is not a number of one");
    }
    if (key == NULL) {
        return refuse(reader, "\"key\" is not a string");
    }
    if (!intern(&reader->history->keys, &reader->history->key_count, key, &number)) {
        return refuse(reader, "out of memory");
    }
    operation->process = (uint32_t)json_integer_value(process);
    operation->key = (uint32_t)number;
    return op_read(reader, json_object_get(line, "op"), &operation->op) &&
           outcome_read(reader, json_object_get(line, "outcome"), operation) &&
           times_read(reader, line, operation) &&
           input_read(reader, json_object_get(line, "input"), operation) &&
           output_read(reader, json_object_get(line, "output"), operation);
}

static bool line_read(struct reader *reader, const char *text)
{
    struct history_operation operation = {.process = 0};
    json_error_t error;
    json_t *line = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    bool good = line != NULL ? operation_read(reader, line, &operation)
                             : refuse(reader, "not JSON: %s", error.text);
    json_decref(line);
    if (good && !history_append(reader->history, &operation)) {
        return refuse(reader, "out of memory");
    }
    return good;
}

bool history_read(FILE *file, struct history *history, char *message, size_t message_size)
{
    struct reader reader = {.history = history, .message = message, .message_size = message_size};
    char *text = NULL;
    size_t size = 0;
    bool good = true;
    while (good && getline(&text, &size, file) >= 0) {
        reader.line++;
        if (strspn(text, " \t\r\n") < strlen(text)) {
            good = line_read(&reader, text);
        }
    }
    free(text);
    if (good && ferror(file) != 0) {
        return refuse(&reader, "the file cannot be read on");
    }
    return good;
}

void history_value_print(const struct history *history, struct history_value value, char *text,
                         size_t size)
{
    switch (value.kind) {
    case HISTORY_NONE:
        snprintf(text, size, "null");
        break;
    case HISTORY_INTEGER:
        snprintf(text, size, "%" PRId64, value.number);
        break;
    case HISTORY_TEXT: {
        json_t *string = json_string(history->texts[value.number]);
        char *quoted = json_dumps(string, JSON_ENCODE_ANY);
        snprintf(text, size, "%s", quoted != NULL ? quoted : "?");
        free(quoted);
        json_decref(string);
        break;
    }
    }
}

static json_t *value_json(const struct history *history, struct history_value value)
{
    switch (value.kind) {
    case HISTORY_INTEGER:
        return json_integer(value.number);
    case HISTORY_TEXT:
        return json_string(history->texts[value.number]);
    case HISTORY_NONE:
        break;
    }
    return json_null();
}

static json_t *output_json(const struct history *history, const struct history_operation *operation)
{
    if (operation->outcome != HISTORY_OK) {
        return json_null();
    }
    switch (operation->op) {
    case HISTORY_DELETE:
    case HISTORY_ADD:
    case HISTORY_CAS:
        return json_boolean(operation->done);
    case HISTORY_GET:
    case HISTORY_POP:
    case HISTORY_INCR:
        return value_json(history, operation->output);
    case HISTORY_PUT:
    case HISTORY_OP_COUNT:
        break;
    }
    return json_null();
}

void history_write(FILE *file, const struct history *history,
                   const struct history_operation *operation, const char *key_name)
{
    json_t *input = value_json(history, operation->input);
    if (operation->op == HISTORY_CAS) {
        input = json_pack("[o, o]", value_json(history, operation->expected), input);
    }
    json_t *line =
        json_pack("{s:I, s:s, s:s, s:o, s:o, s:I}", "process", (json_int_t)operation->process, "op",
                  op_names[operation->op], "key", key_name, "input", input, "output",
                  output_json(history, operation), "call", (json_int_t)operation->call);
    json_object_set_new(line, "return",
                        operation->outcome == HISTORY_UNKNOWN
                            ? json_null()
                            : json_integer((json_int_t)operation->back));
    if (operation->outcome != HISTORY_OK) {
        json_object_set_new(line, "outcome",
                            json_string(operation->outcome == HISTORY_FAIL ? "fail" : "unknown"));
    }
    json_dumpf(line, file, JSON_COMPACT);
    fputc('\n', file);
    json_decref(line);
}

static void names_free(char **names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(names[i]);
    }
    free(names);
}

void history_free(struct history *history)
{
    names_free(history->keys, history->key_count);
    names_free(history->texts, history->text_count);
    free(history->operations);
    *history = (struct history){0};
}
