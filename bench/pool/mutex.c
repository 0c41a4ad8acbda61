/* The pool that everybody writes first: a growing array, one mutex, one condition for workers and one for waiters. */
#include "contestant.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct job {
    bench_fn *fn;
    void     *arg;
};

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t  work, idle;
    struct job     *jobs;
    size_t          capacity, head, count, running;
    unsigned        workers;
    bool            ending;
    pthread_t       threads[64];
};

static void *worker(void *arg)
{
    struct pool *p = arg;
    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (p->count == 0 && !p->ending)
            pthread_cond_wait(&p->work, &p->lock);
        if (p->count == 0)
            break;
        struct job job = p->jobs[p->head];
        p->head = (p->head + 1) % p->capacity;
        p->count--;
        p->running++;
        pthread_mutex_unlock(&p->lock);
        job.fn(job.arg);
        pthread_mutex_lock(&p->lock);
        if (--p->running == 0 && p->count == 0)
            pthread_cond_broadcast(&p->idle);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

static void *create(unsigned workers)
{
    struct pool *p = calloc(1, sizeof *p);
    if (p == NULL || (p->jobs = malloc(64 * sizeof *p->jobs)) == NULL)
        abort();
    p->capacity = 64;
    p->workers = workers;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->idle, NULL);
    for (unsigned i = 0; i < workers; i++)
        if (pthread_create(&p->threads[i], NULL, worker, p) != 0)
            abort();
    return p;
}

static void grow(struct pool *p)
{
    struct job *more = malloc(2 * p->capacity * sizeof *more);
    if (more == NULL)
        abort();
    for (size_t i = 0; i < p->count; i++)
        more[i] = p->jobs[(p->head + i) % p->capacity];
    free(p->jobs);
    p->jobs = more;
    p->head = 0;
    p->capacity *= 2;
}

static void submit(void *pool, bench_fn *fn, void *arg)
{
    struct pool *p = pool;
    pthread_mutex_lock(&p->lock);
    if (p->count == p->capacity)
        grow(p);
    p->jobs[(p->head + p->count++) % p->capacity] = (struct job){fn, arg};
    pthread_mutex_unlock(&p->lock);
    pthread_cond_signal(&p->work);
}

static void drain(void *pool)
{
    struct pool *p = pool;
    pthread_mutex_lock(&p->lock);
    while (p->count > 0 || p->running > 0)
        pthread_cond_wait(&p->idle, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

static void destroy(void *pool)
{
    struct pool *p = pool;
    pthread_mutex_lock(&p->lock);
    p->ending = true;
    pthread_mutex_unlock(&p->lock);
    pthread_cond_broadcast(&p->work);
    for (unsigned i = 0; i < p->workers; i++)
        pthread_join(p->threads[i], NULL);
    free(p->jobs);
    free(p);
}

static const char *version(void)
{
    return "written here";
}

const contestant bench_mutex = {"mutex + condition", version, create, submit, NULL, drain, destroy, false};
