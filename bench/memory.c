#include "bench/memory.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/harness.h"

static _Noreturn void child_run(int out, void (*body)(void *context), void *context)
{
    uint64_t before = bench_resident_bytes();
    body(context);
    uint64_t bytes = bench_resident_bytes() - before;
    _exit(write(out, &bytes, sizeof bytes) == (ssize_t)sizeof bytes ? 0 : 1);
}

uint64_t bench_memory_bytes(void (*body)(void *context), void *context)
{
    int ends[2];
    uint64_t bytes = 0;
    int status = 0;
    if (pipe(ends) != 0) {
        abort();
    }
    pid_t child = fork();
    if (child == 0) {
        child_run(ends[1], body, context);
    }
    close(ends[1]);
    if (child < 0 || read(ends[0], &bytes, sizeof bytes) != (ssize_t)sizeof bytes ||
        waitpid(child, &status, 0) != child || status != 0) {
        abort();
    }
    close(ends[0]);
    return bytes;
}
