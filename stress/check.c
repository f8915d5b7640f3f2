/*
 * Judges history files (stress/history.h): exit status 0 if all are linearizable, 1 if one is not, 2
 * if one cannot be decided or read.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "stress/history.h"
#include "stress/judge.h"

static enum linearizability file_judge(const char *path)
{
    static const char *const verdicts[] = {"linearizable", "not linearizable", "undecided"};
    struct history history = {0};
    char message[256];
    enum linearizability result = UNDECIDED;
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
    if (file == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return UNDECIDED;
    }
    if (history_read(file, &history, message, sizeof message)) {
        result = judge_history(stdout, &history);
        printf("%s: %s; %zu operations on %zu keys\n", path, verdicts[result], history.count,
               history.key_count);
    } else {
        fprintf(stderr, "%s: %s\n", path, message);
    }
    history_free(&history);
    if (file != stdin) {
        fclose(file);
    }
    return result;
}

int main(int argc, char **argv)
{
    enum linearizability worst = LINEARIZABLE;
    if (argc < 2) {
        fprintf(stderr, "usage: %s FILE...   (- is the standard input)\n", argv[0]);
        return 2;
    }
    for (int i = 1; i < argc; i++) {
        enum linearizability result = file_judge(argv[i]);
        if (result == NOT_LINEARIZABLE || worst == LINEARIZABLE) {
            worst = result;
        }
    }
    return (int)worst;
}
