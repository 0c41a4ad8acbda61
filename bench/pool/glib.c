#include "contestant.h"

#include <glib.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

struct pool {
    GThreadPool *threads;
    bench_fn    *fn;          /* GThreadPool has one function per pool; each submit names the same one here */
    atomic_long  left;
    GMutex       lock;
    GCond        idle;
};

static void run(gpointer data, gpointer user)
{
    struct pool *p = user;
    p->fn(data == p ? NULL : data);
    if (atomic_fetch_sub_explicit(&p->left, 1, memory_order_acq_rel) == 1) {
        g_mutex_lock(&p->lock);
        g_cond_broadcast(&p->idle);
        g_mutex_unlock(&p->lock);
    }
}

static void *create(unsigned workers)
{
    struct pool *p = calloc(1, sizeof *p);
    if (p == NULL)
        abort();
    g_mutex_init(&p->lock);
    g_cond_init(&p->idle);
    p->threads = g_thread_pool_new(run, p, (gint)workers, TRUE, NULL);
    return p;
}

static void submit(void *pool, bench_fn *fn, void *arg)
{
    struct pool *p = pool;
    p->fn = fn;
    atomic_fetch_add_explicit(&p->left, 1, memory_order_relaxed);
    g_thread_pool_push(p->threads, arg != NULL ? arg : p, NULL);
}

static void drain(void *pool)
{
    struct pool *p = pool;
    g_mutex_lock(&p->lock);
    while (atomic_load_explicit(&p->left, memory_order_acquire) > 0)
        g_cond_wait(&p->idle, &p->lock);
    g_mutex_unlock(&p->lock);
}

static void destroy(void *pool)
{
    struct pool *p = pool;
    g_thread_pool_free(p->threads, FALSE, TRUE);
    g_mutex_clear(&p->lock);
    g_cond_clear(&p->idle);
    free(p);
}

static const char *version(void)
{
    static char text[32];
    snprintf(text, sizeof text, "%u.%u.%u", glib_major_version, glib_minor_version, glib_micro_version);
    return text;
}

const contestant bench_glib = {"GThreadPool", version, create, submit, NULL, drain, destroy, false};
