#include "meter.h"

#include "report.h"

#include <errno.h>
#include <time.h>

void meter_init(meter *m)
{
    *m = (meter){.begun = 0};
    sem_init(&m->reached, 0, 0);
}

void meter_fini(meter *m)
{
    sem_destroy(&m->reached);
}

void meter_expect(meter *m, unsigned long calls)
{
    while (sem_trywait(&m->reached) == 0)    /* of a round that was given up */
        ;
    atomic_store(&m->begun, 0);
    atomic_store(&m->ended, 0);
    atomic_store(&m->failed, 0);
    atomic_store(&m->busy_ns, 0);
    atomic_store(&m->first_begun, 0.0);
    atomic_store(&m->target, calls);
}

bool meter_wait(meter *m, unsigned patience_s)
{
    unsigned long seen = 0;
    for (unsigned idle = 0; idle < patience_s;) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec++;
        if (sem_timedwait(&m->reached, &until) == 0)
            return true;
        if (errno != ETIMEDOUT)
            continue;
        unsigned long begun = atomic_load(&m->begun), ended = atomic_load(&m->ended);
        idle = begun != ended || begun + ended != seen ? 0 : idle + 1;
        seen = begun + ended;
    }
    return false;
}

mf_status meter_call(mf_context *ctx, const mf_task_def *def, const mf_message *in, mf_message **out, void *user)
{
    meter *m = user;
    double begin = report_now_ns();
    if (atomic_fetch_add(&m->begun, 1) == 0)
        atomic_store(&m->first_begun, begin);
    mf_status st = def->run(ctx, in, out, def->user);
    atomic_fetch_add_explicit(&m->busy_ns, (unsigned long)(report_now_ns() - begin), memory_order_relaxed);
    if (st != MF_OK) {
        atomic_store(&m->failure, st);
        atomic_fetch_add(&m->failed, 1);
    }
    if (atomic_fetch_add(&m->ended, 1) + 1 == atomic_load(&m->target))
        sem_post(&m->reached);
    return st;
}
