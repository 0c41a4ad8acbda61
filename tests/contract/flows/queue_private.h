/* contract/flows/queue_private.h: the queue manager from the inside.
 *
 *   queue_manager.c    the adapter: publish, settle, context
 *   queue_worker.c     its threads: deliver, help, drain
 *   queue_workflow.c   calls by name, and who waits for their results */
#ifndef MFT_QUEUE_PRIVATE_H
#define MFT_QUEUE_PRIVATE_H

#include "queue_manager.h"

#include <pthread.h>
#include <stdatomic.h>

#define THREADS_MAX 16

/* A message as a broker would keep it: no spec, only what fits into metadata. */
typedef struct parcel {
    struct parcel *next;
    char           task[256];
    mf_unit        unit;
    mf_key         container;
    uint32_t       attempt;
    int32_t        priority;
    mf_message    *message, *error;
    bool           foreign;     /* served by somebody who knows nothing of mageflow */
    char           id[32];
    unsigned       copies;      /* L  deliveries still to be made */
    unsigned       holders;     /* L */
} parcel;

typedef struct waiter {
    struct waiter *next;
    uint64_t       number;      /* travels as unit.index, which is free in a call without a flow; retries keep it */
    mf_status      status;      /* MF_E_TIMEOUT: no answer yet */
    mf_message    *value;
} waiter;

typedef struct queue_manager {
    mf_adapter            base;
    mf_worker             worker;
    const mf_allocator   *allocator;
    queue_manager_options options;
    mf_host              *host;
    mf_store             *store;
    pthread_t             threads[THREADS_MAX];
    unsigned              thread_count;
    mf_worker_options     serving;
    atomic_ulong          published;
    atomic_ulong          numbers;
    pthread_mutex_t       lock;         /* everything below; never held while the host is called */
    pthread_cond_t        changed;
    parcel               *first, **last;
    waiter               *waiters;
    unsigned              running, refused;
    unsigned long         wakes;        /* how often helpers were asked to look */
    bool                  stopping;
} queue_manager;

queue_manager *queue_of(mf_adapter *base);
void           parcel_free(queue_manager *q, parcel *p);
/* The first parcel, or NULL. The lock is held. One that has more copies to come stays. */
parcel        *parcel_take(queue_manager *q);
void           parcel_done(queue_manager *q, parcel *p);

mf_status queue_worker(mf_adapter *base, const char *const *names, size_t n, const mf_worker_options *options,
                       mf_worker **out, mf_error *err);
mf_status queue_help(mf_adapter *base, bool (*done)(void *arg), void *arg, int64_t deadline_ns);
mf_status queue_workflow(mf_adapter *base, mf_str name, mf_workflow **out, mf_error *err);
/* Somebody may wait for this call's end. The lock is held. */
void      queue_answer(queue_manager *q, const mf_settlement *settlement);

#endif
