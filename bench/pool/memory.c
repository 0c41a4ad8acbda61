#include "workloads.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "apart.h"

enum { ROUNDS = 3 /* these hardly differ */, SETTLES_US = 200000 };      /* some give memory back when they are idle */

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

struct order {
    const contestant *c;
    size_t            jobs;
};

/* value: bytes a job; cpu: what is kept, in percent. */
static void fill_and_drain(const void *arg, cost *out)
{
    const struct order *o = arg;
    const contestant *c = o->c;
    void *pool = c->create(1);
    c->submit(pool, nothing, NULL);
    c->wait(pool);
    double before = resident();
    c->submit(pool, gate, NULL);
    while (sem_wait(&begun) != 0)
        ;
    for (size_t i = 0; i < o->jobs; i++)
        c->submit(pool, nothing, NULL);
    double peak = resident() - before;
    sem_post(&go_on);
    c->wait(pool);
    usleep(SETTLES_US);
    out->value = peak / (double)o->jobs;
    out->cpu = 100 * (resident() - before) / peak;
    c->destroy(pool);
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
            cost got = run_apart(fill_and_drain, &(struct order){contestants[i], jobs}, contestants[i]->name);
            report_put(&bytes[count], contestants[i]->name, r, got.value);
            report_put(&kept[count++], contestants[i]->name, r, got.cpu);
        }
    }
    snprintf(title, sizeof title, "Memory: %zu queued jobs", jobs);
    report_table(title, "bytes per job", bytes, count, ROUNDS, REPORT_VALUES);
    report_table("Memory that is kept when they have run", "% of the peak", kept, count, ROUNDS, REPORT_VALUES);
}
