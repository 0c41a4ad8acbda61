#include "workloads.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report.h"

enum { ROUNDS = 3, SETTLES_US = 200000 };      /* some give memory back when they are idle */

static sem_t begun, go_on;

/* The only worker stays in here while the others queue up behind it. */
static void gate(void *arg)
{
    (void)arg;
    sem_post(&begun);
    while (sem_wait(&go_on) != 0)
        ;
}

static void nothing(void *arg)
{
    (void)arg;
}

/* Bytes of this process that are in memory. */
static double resident(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL || fscanf(f, "%*d %ld", &pages) != 1)
        abort();
    fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static void fill_and_drain(const contestant *c, size_t jobs, double out[2])
{
    void *pool = c->create(1);
    c->submit(pool, nothing, NULL);
    c->wait(pool);
    double before = resident();
    c->submit(pool, gate, NULL);
    while (sem_wait(&begun) != 0)
        ;
    for (size_t i = 0; i < jobs; i++)
        c->submit(pool, nothing, NULL);
    double peak = resident() - before;
    sem_post(&go_on);
    c->wait(pool);
    usleep(SETTLES_US);
    out[0] = peak / (double)jobs;
    out[1] = 100 * (resident() - before) / peak;
    c->destroy(pool);
}

/* In a process of its own: what one contestant's allocator keeps is not another's. */
static void measure(const contestant *c, size_t jobs, double out[2])
{
    int pipes[2];
    if (pipe(pipes) != 0)
        abort();
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        fill_and_drain(c, jobs, out);
        ssize_t wrote = write(pipes[1], out, 2 * sizeof *out);
        _exit(wrote == (ssize_t)(2 * sizeof *out) ? 0 : 1);
    }
    close(pipes[1]);
    if (read(pipes[0], out, 2 * sizeof *out) != (ssize_t)(2 * sizeof *out)) {
        fprintf(stderr, "bench_pool: no memory figure of %s\n", c->name);
        exit(1);
    }
    close(pipes[0]);
    waitpid(child, NULL, 0);
}

void memory_bench(size_t jobs)
{
    report_row bytes[REPORT_ROWS_MAX] = {{0}}, kept[REPORT_ROWS_MAX] = {{0}};
    char title[96];
    int count = 0;
    sem_init(&begun, 0, 0);
    sem_init(&go_on, 0, 0);
    for (int r = 0; r < ROUNDS; r++) {
        count = 0;
        for (int i = 0; i < contestant_count; i++) {
            double out[2];
            measure(contestants[i], jobs, out);
            report_put(&bytes[count], contestants[i]->name, r, out[0]);
            report_put(&kept[count++], contestants[i]->name, r, out[1]);
        }
    }
    snprintf(title, sizeof title, "Memory: %zu queued jobs", jobs);
    report_table(title, "bytes per job", bytes, count, ROUNDS, false);
    report_table("Memory that is kept when they have run", "% of the peak", kept, count, ROUNDS, false);
}
