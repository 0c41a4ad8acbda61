/* pool/gate.h: jobs that stand still until the test opens the gate; nobody sleeps for a guessed time. */
#ifndef MFT_GATE_H
#define MFT_GATE_H

#include <mageflow/pool.h>

#include <semaphore.h>
#include <stdatomic.h>

typedef struct gate {
    sem_t inside;      /* posted by each job that stands at the gate */
    sem_t open;
    atomic_int passed;
} gate;

static inline void gate_init(gate *g)
{
    sem_init(&g->inside, 0, 0);
    sem_init(&g->open, 0, 0);
    atomic_init(&g->passed, 0);
}

static inline void gate_sem_wait(sem_t *s)
{
    while (sem_wait(s) != 0)
        ;
}

static inline void gate_job(void *arg)
{
    gate *g = arg;
    sem_post(&g->inside);
    gate_sem_wait(&g->open);
    atomic_fetch_add(&g->passed, 1);
}

/* Returns when n jobs stand at the gate. */
static inline void gate_await(gate *g, int n)
{
    for (int i = 0; i < n; i++)
        gate_sem_wait(&g->inside);
}

static inline void gate_open(gate *g, int n)
{
    for (int i = 0; i < n; i++)
        sem_post(&g->open);
}

static inline void count_job(void *arg)
{
    atomic_fetch_add((atomic_long *)arg, 1);
}

#endif
