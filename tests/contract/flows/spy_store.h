/* contract/flows/spy_store.h: a store wrapped around another, which counts its operations and notes what is sent. */
#ifndef MFT_SPY_STORE_H
#define MFT_SPY_STORE_H

#include <mageflow/store.h>

#include <pthread.h>
#include <stdatomic.h>

#define SPY_SENT_MAX 512

/* One entry as it was committed. */
typedef struct spy_sent {
    char     task[64];
    mf_unit  unit;
    uint32_t attempt;
    int32_t  priority;
    int64_t  due_ms;        /* store clock; 0: at once */
    int64_t  delay_ms;      /* from the commit until then: what was asked for, less the time until the commit */
} spy_sent;

typedef struct spy_store {
    mf_store        base;
    mf_store_ops    ops;                    /* as lasting and as shared as inner's */
    mf_store       *inner;
    atomic_ulong    loads, reads, commits, claims, takes, others;     /* calls that passed */
    atomic_int      refusals;               /* so many commits of outcomes are refused, */
    atomic_int      refusal;                /* with this mf_status */
    pthread_mutex_t lock;
    spy_sent        sent[SPY_SENT_MAX];     /* L  the first so many, about in the order of their commits */
    size_t          sent_count;             /* L  all of them */
} spy_store;

/* inner is consumed. */
mf_store *spy_store_create(mf_store *inner);
spy_store *spy_store_of(mf_store *store);
/* Every call that passed. */
unsigned long spy_store_calls(spy_store *spy);
/* The first entry sent for that attempt of the task; false: there is none. */
bool spy_store_sent(spy_store *spy, const char *task, uint32_t attempt, spy_sent *out);

#endif
