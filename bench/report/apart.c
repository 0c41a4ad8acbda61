#include "apart.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_S = 120 };

bool apart(bool (*run)(const void *, void *), const void *order, void *out, size_t size, long *peak_kib)
{
    int ends[2], status = 1;
    struct rusage used = {.ru_maxrss = 0};
    if (pipe(ends) != 0)
        return false;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        _exit(run(order, out) && write(ends[1], out, size) == (ssize_t)size ? 0 : 1);
    close(ends[1]);
    bool good = pid > 0 && read(ends[0], out, size) == (ssize_t)size;
    close(ends[0]);
    if (pid > 0 && (wait4(pid, &status, 0, &used) != pid || status != 0))
        good = false;
    if (peak_kib != NULL)
        *peak_kib = used.ru_maxrss;
    return good;
}

typedef struct measured {
    void      (*run)(const void *order, cost *out);
    const void *order;
} measured;

/* alarm ends the child that hangs. */
static bool run_measured(const void *order, void *out)
{
    const measured *m = order;
    alarm(PATIENCE_S);
    m->run(m->order, out);
    return true;
}

cost run_apart(void (*run)(const void *, cost *), const void *order, const char *who)
{
    cost out = {0};
    long peak_kib;
    if (!apart(run_measured, &(measured){run, order}, &out, sizeof out, &peak_kib)) {
        fprintf(stderr, "bench: no figure from %s\n", who);
        exit(1);
    }
    out.peak_mib = (double)peak_kib / 1024;
    return out;
}
