/* libuv has one thread pool per process, sized by the environment when it is first used: bench_pool starts itself again for
 * each number of workers. Requests are kept in a list and used again, as a program that cares would. */
#include "contestant.h"

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

struct request {
    uv_work_t       work;
    bench_fn       *fn;
    void           *arg;
    struct request *next;
    struct pool    *pool;
};

struct pool {
    uv_loop_t       loop;
    struct request *unused;
};

static void *create(unsigned workers)
{
    char text[16];
    snprintf(text, sizeof text, "%u", workers);
    setenv("UV_THREADPOOL_SIZE", text, 1);
    struct pool *p = calloc(1, sizeof *p);
    if (p == NULL || uv_loop_init(&p->loop) != 0)
        abort();
    return p;
}

static void work(uv_work_t *w)
{
    struct request *r = w->data;
    r->fn(r->arg);
}

static void after(uv_work_t *w, int status)
{
    struct request *r = w->data;
    (void)status;
    r->next = r->pool->unused;
    r->pool->unused = r;
}

static void submit(void *pool, bench_fn *fn, void *arg)
{
    struct pool *p = pool;
    struct request *r = p->unused;
    if (r != NULL)
        p->unused = r->next;
    else if ((r = malloc(sizeof *r)) == NULL)
        abort();
    r->fn = fn;
    r->arg = arg;
    r->pool = p;
    r->work.data = r;
    if (uv_queue_work(&p->loop, &r->work, work, after) != 0)
        abort();
}

static void drain(void *pool)
{
    struct pool *p = pool;
    uv_run(&p->loop, UV_RUN_DEFAULT);
}

static void destroy(void *pool)
{
    struct pool *p = pool;
    drain(p);
    for (struct request *r = p->unused, *next; r != NULL; r = next) {
        next = r->next;
        free(r);
    }
    uv_loop_close(&p->loop);
    free(p);
}

static const char *version(void)
{
    return uv_version_string();
}

const contestant bench_uv = {"libuv", version, create, submit, NULL, drain, destroy, true};
