#include "workloads.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "external.h"
#include "report.h"

enum { PRODUCERS = 4 };

static external outside[EXTERNALS_MAX];
static int outside_count;

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

static double submit_round(const contestant *c, void *pool, size_t jobs, submit_how how)
{
    double begin = report_now_ns();
    if (how == BY_PRODUCERS)
        submit_by_producers(c, pool, jobs);
    else if (how == IN_BATCHES && c->submit_many != NULL)
        c->submit_many(pool, nothing, NULL, jobs);
    else
        for (size_t i = 0; i < jobs; i++)
            c->submit(pool, nothing, NULL);
    c->wait(pool);
    return (report_now_ns() - begin) / (double)jobs;
}

double submit_round_of(const contestant *c, unsigned workers, size_t jobs, submit_how how)
{
    void *pool = c->create(workers);
    submit_round(c, pool, jobs / 10, how);
    double ns = submit_round(c, pool, jobs, how);
    c->destroy(pool);
    return ns;
}

static double outside_round(const external *e, unsigned workers, size_t jobs, submit_how how)
{
    char w[16], n[24];
    snprintf(w, sizeof w, "%u", workers);
    snprintf(n, sizeof n, "%zu", jobs);
    return external_round(e, how == BY_PRODUCERS ? "producers" : "submit", w, n);
}

void submit_with_externals(void)
{
    outside_count = externals("submit", outside);
    for (int i = 0; i < outside_count; i++)
        printf("- %s, a program of its own\n", outside[i].name);
}

void submit_bench(unsigned workers, int rounds, size_t jobs, submit_how how)
{
    static const char *const titles[] = {"One by one", "Batches of 256, from those that have any", "Four producers"};
    report_row rows[REPORT_ROWS_MAX] = {{0}};
    char title[96];
    int count = 0;
    for (int r = -1; r < rounds; r++) {    /* the first one warms up */
        count = 0;
        for (int i = 0; i < contestant_count; i++) {
            const contestant *c = contestants[i];
            if ((how == BY_PRODUCERS && c->one_producer) || (how == IN_BATCHES && c->submit_many == NULL))
                continue;
            double ns = submit_round_of(c, workers, jobs, how);
            report_put(&rows[count++], c->name, r, ns);
        }
        for (int i = 0; i < outside_count && how != IN_BATCHES; i++) {
            double ns = outside_round(&outside[i], workers, jobs, how);
            report_put(&rows[count++], outside[i].name, r, ns);
        }
    }
    snprintf(title, sizeof title, "%s, %u worker%s", titles[how], workers, workers == 1 ? "" : "s");
    report_table(title, "ns per job", rows, count, rounds, false);
}

