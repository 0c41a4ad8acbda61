/* bench_rmw [--quick]: how many operations on shared words a job takes: of the thread that submits it, and of the workers. A build of
 * the pool that counts them (rmw.h). On two CPUs such an operation is nearly free; on sixty-four it is not, and no time measured here
 * would tell. */
#include <mageflow/pool.h>

#include "report.h"
#include "rmw.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 256 };

/* Each thread has one, for good; those of workers are added up when nothing runs. */
struct counter {
    unsigned long   n, fences;
    struct counter *next;
};

static struct counter *counters;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local struct counter *mine;

static struct counter *counter_of_thread(void)
{
    if (mine == NULL) {
        mine = calloc(1, sizeof *mine);
        if (mine == NULL)
            abort();
        (pthread_mutex_lock)(&lock);
        mine->next = counters;
        counters = mine;
        pthread_mutex_unlock(&lock);
    }
    return mine;
}

void bench_rmw_count(void)
{
    counter_of_thread()->n++;
}

void bench_rmw_fence(void)
{
    counter_of_thread()->fences++;
}

static struct counter of_others(void)
{
    struct counter sum = {0};
    (pthread_mutex_lock)(&lock);
    for (const struct counter *c = counters; c != NULL; c = c->next)
        if (c != mine) {
            sum.n += c->n;
            sum.fences += c->fences;
        }
    pthread_mutex_unlock(&lock);
    return sum;
}

/* ---- workloads ------------------------------------------------------------------------------------------------ */

static void check(mf_status st)
{
    if (st != MF_OK)
        abort();
}

static void nothing(void *arg)
{
    (void)arg;
}

static void singly(mf_pool *pool, size_t jobs)
{
    for (size_t i = 0; i < jobs; i++)
        check(mf_pool_submit(pool, nothing, NULL));
}

static void in_batches(mf_pool *pool, size_t jobs)
{
    static mf_job batch[BATCH];
    for (int i = 0; i < BATCH; i++)
        batch[i] = (mf_job){nothing, NULL};
    for (size_t i = 0; i < jobs; i += BATCH)
        check(mf_pool_submit_batch(pool, batch, BATCH, NULL));
}

/* Each job submits two more. */
struct branch {
    mf_pool *pool;
    size_t   left;
};

static void branches(void *arg)
{
    struct branch *b = arg;
    for (int i = 0; i < 2 && b->left > 1; i++) {
        struct branch *half = malloc(sizeof *half);
        if (half == NULL)
            abort();
        *half = (struct branch){b->pool, (b->left - 1) / 2};
        check(half->left > 0 ? mf_pool_submit(b->pool, branches, half) : MF_OK);
        if (half->left == 0)
            free(half);
    }
    free(b);
}

static void by_jobs(mf_pool *pool, size_t jobs)
{
    struct branch *root = malloc(sizeof *root);
    if (root == NULL)
        abort();
    *root = (struct branch){pool, jobs};
    check(mf_pool_submit(pool, branches, root));
}

typedef void workload_fn(mf_pool *pool, size_t jobs);

enum { SUBMIT, TAKE, SUBMIT_FENCES, TAKE_FENCES, ROWS };
static const char *const names[ROWS] = {"submit", "take", "fences on submit", "fences on take"};

static void count(report_row *rows, int round, workload_fn *workload, unsigned workers, size_t jobs)
{
    mf_pool *pool;
    check(mf_pool_create(MF_POOL_OPTIONS(.workers = workers, .when_full = MF_POOL_FULL_GROW), &pool, NULL));
    workload(pool, jobs / 10);
    check(mf_pool_drain(pool));
    struct counter self = *counter_of_thread(), others = of_others();
    workload(pool, jobs);
    struct counter after = *mine;
    check(mf_pool_drain(pool));
    struct counter done = of_others();
    const unsigned long values[ROWS] = {after.n - self.n, done.n - others.n, after.fences - self.fences, done.fences - others.fences};
    for (int i = 0; i < ROWS; i++)
        report_put(&rows[i], names[i], round, (double)values[i] / (double)jobs);
    check(mf_pool_destroy(pool));
}

static void bench(const char *title, workload_fn *workload, unsigned workers, int rounds, size_t jobs)
{
    report_row rows[ROWS] = {{0}};
    for (int r = 0; r < rounds; r++)
        count(rows, r, workload, workers, jobs);
    printf("| %s | %u |", title, workers);
    for (int i = 0; i < ROWS; i++) {
        report_summary s = report_summarize(&rows[i], rounds);
        printf(" **%.4f** | %.4f |", s.median, s.max);
    }
    putchar('\n');
    char name[96];
    snprintf(name, sizeof name, "Shared read-modify-writes a job, %s, %u worker%s", title, workers, workers == 1 ? "" : "s");
    report_json(name, "operations", rows, ROWS, rounds, REPORT_VALUES);
}

int main(int argc, char **argv)
{
    bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
    int rounds = quick ? 7 : 15;
    size_t jobs = (quick ? 400 : 4000) * BATCH;
    printf("## Operations on shared words, of a job\n\n");
    report_machine(quick ? "script/bench --quick rmw" : "script/bench rmw");
    printf("- %zu empty jobs a round, %d rounds; the pool that grows; read-modify-writes (failed ones too), stores in the one order of all "
           "and locks; the submitter's include waking a worker, the workers' going to sleep\n\n", jobs, rounds);
    printf("| handed in | workers | on submit | max | on take | max | fences on submit | max | fences on take | max |\n"
           "|---|---|---|---|---|---|---|---|---|---|\n");
    for (unsigned workers = 1; workers <= 4; workers *= 2) {
        bench("one by one", singly, workers, rounds, jobs);
        bench("by 256", in_batches, workers, rounds, jobs);
        bench("by other jobs", by_jobs, workers, rounds, jobs);
    }
    return 0;
}
