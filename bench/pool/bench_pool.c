/* bench_pool [--quick]: this pool beside others, all of them in turn in each round, so that a disturbance of the machine
 * meets everybody.
 *
 * Contestants are linked in, or programs of their own (external.h), which a quick run leaves out.
 *
 *     submit   one outside thread submits empty jobs, then waits for all; ns per job
 *     batch    the same, 256 at a time where the contestant has batches
 *     producers  four outside threads submit, two workers
 *     wake     an idle pool gets one job; µs from the submit until it runs, median of many; and the CPU used meanwhile
 *
 * A process per number of workers, for libuv sizes its pool once.
 */
#include "contestant.h"
#include "external.h"
#include "report.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WAKE_SAMPLES = 400, WAKE_GAP_US = 200, PRODUCERS = 4 };

static const contestant *const contestants[] = {
    &bench_ours,
#ifdef BENCH_MOODYCAMEL
    &bench_moodycamel,
#endif
#ifdef BENCH_TBB
    &bench_tbb,
#endif
#ifdef BENCH_GLIB
    &bench_glib,
#endif
#ifdef BENCH_UV
    &bench_uv,
#endif
    &bench_mutex,
};
enum { CONTESTANTS = sizeof contestants / sizeof contestants[0] };

static external outside[EXTERNALS_MAX];
static int outside_count;

static void nothing(void *arg)
{
    (void)arg;
}

/* ---- submit --------------------------------------------------------------------------------------------------- */

typedef enum workload { SINGLY, IN_BATCHES, BY_PRODUCERS } workload;

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

static double submit_round(const contestant *c, void *pool, size_t jobs, workload how)
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

static double linked_round(const contestant *c, unsigned workers, size_t jobs, workload how)
{
    void *pool = c->create(workers);
    submit_round(c, pool, jobs / 10, how);
    double ns = submit_round(c, pool, jobs, how);
    c->destroy(pool);
    return ns;
}

static double outside_round(const external *e, unsigned workers, size_t jobs, workload how)
{
    char w[16], n[24];
    snprintf(w, sizeof w, "%u", workers);
    snprintf(n, sizeof n, "%zu", jobs);
    return external_round(e, how == BY_PRODUCERS ? "producers" : "submit", w, n);
}

static void submit_bench(unsigned workers, int rounds, size_t jobs, workload how)
{
    static const char *const titles[] = {"One by one", "Batches of 256, from those that have any", "Four producers"};
    report_row rows[REPORT_ROWS_MAX] = {{0}};
    char title[96];
    int count = 0;
    for (int r = -1; r < rounds; r++) {    /* the first one warms up */
        count = 0;
        for (int i = 0; i < CONTESTANTS; i++) {
            const contestant *c = contestants[i];
            if ((how == BY_PRODUCERS && c->one_producer) || (how == IN_BATCHES && c->submit_many == NULL))
                continue;
            double ns = linked_round(c, workers, jobs, how);
            rows[count].name = c->name;
            if (r >= 0)
                rows[count].value[r] = ns;
            count++;
        }
        for (int i = 0; i < outside_count && how != IN_BATCHES; i++) {
            double ns = outside_round(&outside[i], workers, jobs, how);
            rows[count].name = outside[i].name;
            if (r >= 0)
                rows[count].value[r] = ns;
            count++;
        }
    }
    snprintf(title, sizeof title, "%s, %u worker%s", titles[how], workers, workers == 1 ? "" : "s");
    report_table(title, "ns per job", rows, count, rounds, false);
}

/* ---- wake ----------------------------------------------------------------------------------------------------- */

static _Atomic(double) woken_at;

static void note_time(void *arg)
{
    (void)arg;
    atomic_store_explicit(&woken_at, report_now_ns(), memory_order_release);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double wake_round(const contestant *c, void *pool, double *cores)
{
    static double us[WAKE_SAMPLES];
    double begin = report_now_ns(), cpu = report_cpu_ns();
    for (int i = 0; i < WAKE_SAMPLES; i++) {
        struct timespec gap = {0, WAKE_GAP_US * 1000};
        nanosleep(&gap, NULL);
        atomic_store_explicit(&woken_at, 0.0, memory_order_relaxed);
        double at = report_now_ns();
        c->submit(pool, note_time, NULL);
        c->wait(pool);
        us[i] = (atomic_load_explicit(&woken_at, memory_order_acquire) - at) / 1e3;
    }
    *cores = (report_cpu_ns() - cpu) / (report_now_ns() - begin);
    qsort(us, WAKE_SAMPLES, sizeof us[0], by_value);
    return us[WAKE_SAMPLES / 2];
}

static void wake_bench(unsigned workers, int rounds)
{
    report_row rows[REPORT_ROWS_MAX] = {{0}};
    char title[96];
    for (int r = -1; r < rounds; r++)
        for (int i = 0; i < CONTESTANTS; i++) {
            const contestant *c = contestants[i];
            void *pool = c->create(workers);
            double cores, us = wake_round(c, pool, &cores);
            c->destroy(pool);
            rows[i].name = c->name;
            if (r >= 0) {
                rows[i].value[r] = us;
                rows[i].cpu[r] = cores;
            }
        }
    snprintf(title, sizeof title, "Wake-up of an idle pool, %u workers, a job every %d µs", workers, WAKE_GAP_US);
    report_table(title, "µs (p50)", rows, CONTESTANTS, rounds, true);
}

/* ---- all of it ------------------------------------------------------------------------------------------------ */

static void print_contestants(void)
{
    static const struct { const char *name; bool there; } optional[] = {
#ifdef BENCH_MOODYCAMEL
        {"moodycamel", true},
#else
        {"moodycamel", false},
#endif
#ifdef BENCH_TBB
        {"oneTBB", true},
#else
        {"oneTBB", false},
#endif
#ifdef BENCH_GLIB
        {"GThreadPool", true},
#else
        {"GThreadPool", false},
#endif
#ifdef BENCH_UV
        {"libuv", true},
#else
        {"libuv", false},
#endif
    };
    for (int i = 0; i < CONTESTANTS; i++)
        printf("- %s %s\n", contestants[i]->name, contestants[i]->version());
    for (int i = 0; i < outside_count; i++)
        printf("- %s, a program of its own\n", outside[i].name);
    for (size_t i = 0; i < sizeof optional / sizeof optional[0]; i++)
        if (!optional[i].there)
            printf("- missing: %s was not found when this was built\n", optional[i].name);
    fflush(stdout);
}

static int in_child(unsigned workers, int rounds, size_t jobs)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        submit_bench(workers, rounds, jobs, SINGLY);
        submit_bench(workers, rounds, jobs, IN_BATCHES);
        if (workers == 2) {
            submit_bench(workers, rounds, jobs, BY_PRODUCERS);
            wake_bench(workers, rounds);
        }
        fflush(stdout);
        _exit(0);
    }
    int status = 1;
    waitpid(child, &status, 0);
    return status;
}

int main(int argc, char **argv)
{
    bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
    int rounds = quick ? 7 : 9, failed = 0;
    size_t jobs = quick ? 200000 : 1000000;
    outside_count = quick ? 0 : externals("submit", outside);
    printf("## The pool beside others\n\n");
    report_machine(quick ? "script/bench --quick" : "script/bench");
    print_contestants();
    printf("- %zu jobs a round, %d interleaved rounds; a new pool in each\n", jobs, rounds);
    for (unsigned workers = 1; workers <= 4; workers *= 2)
        failed |= in_child(workers, rounds, jobs);
    return failed != 0;
}
