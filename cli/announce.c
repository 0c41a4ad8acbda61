/* announce.c: the worker tells the others on its store that it serves, and what. On a thread of its own, since a store that is
 * away makes it wait, and signals and the watchdog must not. */
#include "worker.h"

#include "command.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define EVERY_S 10
#define GOOD_FOR mf_seconds(4 * EVERY_S)

struct announcer {
    mf_client      *client;
    pthread_t       thread;
    pthread_mutex_t lock;
    pthread_cond_t  changed;
    bool            stop;       /* L */
};

/* Whether it is time to stop; else it is time to tell again. */
static bool wait_for_stop(struct announcer *a)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += EVERY_S;
    pthread_mutex_lock(&a->lock);
    while (!a->stop && pthread_cond_timedwait(&a->changed, &a->lock, &until) == 0)
        continue;
    bool stop = a->stop;
    pthread_mutex_unlock(&a->lock);
    return stop;
}

/* What goes wrong passes, and the next time tells; a store that only this process can see has nobody to tell. */
static void *announce(void *arg)
{
    struct announcer *a = arg;
    mf_error err;
    do {
        if (mf_workers_announce(a->client, GOOD_FOR, &err) == MF_E_UNSUPPORTED)
            return NULL;
    } while (!wait_for_stop(a));
    (void)mf_workers_renounce(a->client, &err);
    return NULL;
}

struct announcer *announce_start(mf_client *client)
{
    pthread_condattr_t monotonic;
    struct announcer *a = calloc(1, sizeof *a);
    if (a == NULL)
        return NULL;
    a->client = client;
    pthread_mutex_init(&a->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&a->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&a->thread, NULL, announce, a) == 0)
        return a;
    pthread_cond_destroy(&a->changed);
    pthread_mutex_destroy(&a->lock);
    free(a);
    return NULL;
}

void announce_leaving(struct announcer *a)
{
    if (a == NULL)
        return;
    pthread_mutex_lock(&a->lock);
    a->stop = true;
    pthread_cond_signal(&a->changed);
    pthread_mutex_unlock(&a->lock);
}

void announce_end(struct announcer *a)
{
    if (a == NULL)
        return;
    announce_leaving(a);
    pthread_join(a->thread, NULL);
    pthread_cond_destroy(&a->changed);
    pthread_mutex_destroy(&a->lock);
    free(a);
}
