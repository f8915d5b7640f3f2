#include "stress/options.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <dictsqlite.h>

#define UNBOUNDED_NAME "unbounded"

static const struct {
    const char *name;
    int mode;
} modes[] = {
    {"memory", DSQ_MODE_MEMORY},
    {"lazy", DSQ_MODE_LAZY},
    {"writethrough", DSQ_MODE_WRITETHROUGH},
};

#define MODE_COUNT (sizeof modes / sizeof modes[0])

const char *stress_mode_name(int mode)
{
    for (size_t i = 0; i < MODE_COUNT; i++) {
        if (modes[i].mode == mode) {
            return modes[i].name;
        }
    }
    return "?";
}

static bool mode_parse(const char *text, int *mode)
{
    for (size_t i = 0; i < MODE_COUNT; i++) {
        if (strcmp(modes[i].name, text) == 0) {
            *mode = modes[i].mode;
            return true;
        }
    }
    return false;
}

static bool number_parse(const char *text, uint64_t *number)
{
    if (strcmp(text, UNBOUNDED_NAME) == 0) {
        *number = UINT64_MAX;
        return true;
    }
    char *end;
    *number = strtoull(text, &end, 0);
    return *text >= '0' && *text <= '9' && *end == '\0';
}

static bool value_parse(const struct stress_option *option, const char *text)
{
    switch (option->kind) {
    case STRESS_NUMBER:
        return number_parse(text, option->target);
    case STRESS_MODE:
        return mode_parse(text, option->target);
    case STRESS_TEXT:
        *(const char **)option->target = text;
        return true;
    }
    return false;
}

static const struct stress_option *option_find(const char *argument,
                                               const struct stress_option *options, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strncmp(argument, "--", 2) == 0 && strcmp(argument + 2, options[i].name) == 0) {
            return &options[i];
        }
    }
    return NULL;
}

static void value_print(FILE *out, const struct stress_option *option)
{
    switch (option->kind) {
    case STRESS_NUMBER: {
        uint64_t number = *(uint64_t *)option->target;
        if (number == UINT64_MAX) {
            fputs(UNBOUNDED_NAME, out);
        } else {
            fprintf(out, "%" PRIu64, number);
        }
        break;
    }
    case STRESS_MODE:
        fputs(stress_mode_name(*(int *)option->target), out);
        break;
    case STRESS_TEXT: {
        const char *text = *(const char **)option->target;
        fputs(text != NULL ? text : "none", out);
        break;
    }
    }
}

static void explain(const char *program, const struct stress_option *options, size_t count)
{
    fprintf(stderr, "usage: %s [--name value]..., with the defaults:\n", program);
    for (size_t i = 0; i < count; i++) {
        fprintf(stderr, "  --%-10s ", options[i].name);
        value_print(stderr, &options[i]);
        fprintf(stderr, "\t%s\n", options[i].meaning);
    }
}

bool stress_options_parse(int argc, char **argv, const struct stress_option *options, size_t count)
{
    for (int i = 1; i < argc; i += 2) {
        const struct stress_option *option = option_find(argv[i], options, count);
        if (option == NULL || i + 1 == argc || !value_parse(option, argv[i + 1])) {
            fprintf(stderr, "%s: cannot use \"%s\"\n", argv[0], argv[i]);
            explain(argv[0], options, count);
            return false;
        }
    }
    return true;
}

void stress_options_print_replay(const char *program, const struct stress_option *options,
                                 size_t count)
{
    printf("replay: %s", program);
    for (size_t i = 0; i < count; i++) {
        if (options[i].kind == STRESS_TEXT && *(const char **)options[i].target == NULL) {
            continue;
        }
        bool quoted = options[i].kind == STRESS_TEXT &&
                      strchr(*(const char **)options[i].target, ' ') != NULL;
        printf(" --%s %s", options[i].name, quoted ? "'" : "");
        value_print(stdout, &options[i]);
        fputs(quoted ? "'" : "", stdout);
    }
    printf("\n");
    fflush(stdout);
}

void stress_seed_choose(uint64_t *seed)
{
    while (*seed == 0) {
        if (getrandom(seed, sizeof *seed, 0) != (ssize_t)sizeof *seed) {
            *seed = (uint64_t)(uintptr_t)seed;
        }
    }
}
