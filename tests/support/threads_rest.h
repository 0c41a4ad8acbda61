/* threads_rest.h: wait until every other thread of this process sleeps, however long it is kept from a CPU before that.
 *
 * For what has no event to wait for: a thread that lies down tells nobody. Before a fork: one that is just being started, or
 * allocates, may hold a lock of a sanitizer's runtime, which the child would inherit without its holder. */
#ifndef MFT_THREADS_REST_H
#define MFT_THREADS_REST_H

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* How often that thread gave up a CPU, of itself or not; -1: it does not sleep. */
static inline long threads_rest_one(const char *id)
{
    char path[64], line[256];
    long switches = 0, n;
    bool sleeps = false;
    snprintf(path, sizeof path, "/proc/self/task/%.16s/status", id);
    FILE *status = fopen(path, "r");
    if (status == NULL)
        return 0;       /* it has ended */
    while (fgets(line, sizeof line, status) != NULL) {
        sleeps |= strncmp(line, "State:\tS", 8) == 0;
        if (strstr(line, "ctxt_switches:") != NULL && sscanf(line, "%*s %ld", &n) == 1)
            switches += n;
    }
    fclose(status);
    return sleeps ? switches : -1;
}

/* The sum over all but the calling one; -1: one of them does not sleep. */
static inline long threads_rest_look(void)
{
    char self[16];
    long all = 0, one = 0;
    DIR *tasks = opendir("/proc/self/task");
    if (tasks == NULL)
        abort();
    snprintf(self, sizeof self, "%ld", (long)gettid());
    for (const struct dirent *task; one >= 0 && (task = readdir(tasks)) != NULL; all += one)
        one = task->d_name[0] == '.' || strcmp(task->d_name, self) == 0 ? 0 : threads_rest_one(task->d_name);
    closedir(tasks);
    return one < 0 ? -1 : all;
}

/* Twice the same, a moment apart: so none has been awake in between. */
static inline void threads_rest(void)
{
    const struct timespec moment = {.tv_nsec = 5000000};
    for (long before = -2, now = -1; before != now || now < 0;) {
        before = now;
        nanosleep(&moment, NULL);
        now = threads_rest_look();
    }
}

#endif
