/* unload LIBRARY: a program closes the library while a thread that submitted to a pool of it goes on, and ends later. The thread
 * calls what tells of its end (queue/owner.c), so that must still be there. */
#include <mageflow/pool.h>

#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef mf_status create_fn(const mf_pool_options *options, mf_pool **out, mf_error *err);
typedef mf_status submit_fn(mf_pool *pool, mf_job_fn *fn, void *arg);
typedef mf_status destroy_fn(mf_pool *pool);

static sem_t submitted, closed;
static submit_fn *submit;
static mf_pool *pool;

static void must(bool right, const char *what)
{
    if (right)
        return;
    fprintf(stderr, "unload: %s\n", what);
    exit(1);
}

static void nothing(void *arg)
{
    (void)arg;
}

static void *submitter(void *arg)
{
    must(submit(pool, nothing, NULL) == MF_OK, "a job was refused");
    sem_post(&submitted);
    while (sem_wait(&closed) != 0)
        ;
    return arg;
}

/* ISO C knows no way from an object's address to a function's. */
static void find(void *library, const char *name, void *function)
{
    void *at = dlsym(library, name);
    must(at != NULL, name);
    memcpy(function, &at, sizeof at);
}

int main(int argc, char **argv)
{
    must(argc == 2, "usage: unload LIBRARY");
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    must(library != NULL, "the library does not load");
    create_fn *create;
    destroy_fn *destroy;
    find(library, "mf_pool_create", &create);
    find(library, "mf_pool_submit", &submit);
    find(library, "mf_pool_destroy", &destroy);
    sem_init(&submitted, 0, 0);
    sem_init(&closed, 0, 0);
    must(create(MF_POOL_OPTIONS(.workers = 1, .when_full = MF_POOL_FULL_GROW), &pool, NULL) == MF_OK, "no pool");
    pthread_t thread;
    must(pthread_create(&thread, NULL, submitter, NULL) == 0, "no thread");
    while (sem_wait(&submitted) != 0)
        ;
    must(destroy(pool) == MF_OK, "the pool stays");
    dlclose(library);
    sem_post(&closed);
    pthread_join(thread, NULL);
    return 0;
}
