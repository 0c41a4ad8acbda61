#include "workloads.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "external.h"

enum { PRODUCERS = 4 };

static void nothing(void *arg)
{
    (void)arg;
}

struct producer {
    const contestant *c;
    void             *pool;
    size_t            jobs;
};

static void *produce(void *arg)
{
    struct producer *p = arg;
    for (size_t i = 0; i < p->jobs; i++)
        p->c->submit(p->pool, nothing, NULL);
    return NULL;
}

static void submit_by_producers(const contestant *c, void *pool, size_t jobs)
{
    struct producer p = {c, pool, jobs / PRODUCERS};
    pthread_t threads[PRODUCERS];
    for (int i = 0; i < PRODUCERS; i++)
        if (pthread_create(&threads[i], NULL, produce, &p) != 0)
            abort();
    for (int i = 0; i < PRODUCERS; i++)
        pthread_join(threads[i], NULL);
}

static void submit_all(const contestant *c, void *pool, size_t jobs, submit_how how)
{
    if (how == BY_PRODUCERS)
        submit_by_producers(c, pool, jobs);
    else if (how == IN_BATCHES && c->submit_many != NULL)
        c->submit_many(pool, nothing, NULL, jobs);
    else
        for (size_t i = 0; i < jobs; i++)
            c->submit(pool, nothing, NULL);
    c->wait(pool);
}

void submit_once(const contestant *c, unsigned workers, size_t jobs, submit_how how, double *ns, double *cpu)
{
    void *pool = c->create(workers);
    submit_all(c, pool, jobs / 10, how);
    double begin = report_now_ns(), used = report_cpu_ns();
    submit_all(c, pool, jobs, how);
    *ns = (report_now_ns() - begin) / (double)jobs;
    *cpu = (report_cpu_ns() - used) / (double)jobs;
    c->destroy(pool);
}

struct order {
    const contestant *c;
    unsigned          workers;
    size_t            jobs;
    submit_how        how;
};

static void run(const void *arg, cost *out)
{
    const struct order *o = arg;
    submit_once(o->c, o->workers, o->jobs, o->how, &out->value, &out->cpu);
}

void submit_bench(unsigned workers, int rounds, size_t jobs, submit_how how)
{
    static const char *const titles[] = {"One by one", "Batches of 256, from those that have any", "Four producers"};
    static const char *const workloads[] = {"submit", "batch", "producers"};
    report_row rows[REPORT_ROWS_MAX] = {{0}};
    static external outside[EXTERNALS_MAX];
    int outside_count = externals(workloads[how], outside), count = 0;
    char title[96], w[16], n[24];
    snprintf(w, sizeof w, "%u", workers);
    snprintf(n, sizeof n, "%zu", jobs);
    for (int r = -1; r < rounds; r++) {    /* the first one warms up */
        count = 0;
        for (int i = 0; i < contestant_count; i++) {
            const contestant *c = contestants[i];
            if ((how == BY_PRODUCERS && c->one_producer) || (how == IN_BATCHES && c->submit_many == NULL))
                continue;
            cost got = run_apart(run, &(struct order){c, workers, jobs, how}, c->name);
            report_put_cost(&rows[count++], c->name, r, got.value, got.cpu, got.peak_mib);
        }
        for (int i = 0; i < outside_count && count < REPORT_ROWS_MAX; i++) {
            cost got = external_round(&outside[i], workloads[how], w, n);
            rows[count].weak = outside[i].weak;
            report_put_cost(&rows[count++], outside[i].name, r, got.value, got.cpu, got.peak_mib);
        }
    }
    snprintf(title, sizeof title, "%s, %u worker%s", titles[how], workers, workers == 1 ? "" : "s");
    report_table(title, "ns per job", rows, count, rounds, REPORT_COST);
}
