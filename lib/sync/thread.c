#include "thread.h"

#include "clock.h"
#include "futex.h"
#include "world.h"

bool mfi_thread_start(mfi_thread *thread, void *(*run)(void *arg), void *arg)
{
    mfi_world *world = mfi_world_here;
    if (world == NULL) {
        thread->strand = NULL;
        return pthread_create(&thread->system, NULL, run, arg) == 0;
    }
    thread->strand = world->start(world, run, arg);
    return thread->strand != NULL;
}

void mfi_thread_join(mfi_thread *thread)
{
    if (thread->strand != NULL)
        mfi_world_here->join(mfi_world_here, thread->strand);
    else
        pthread_join(thread->system, NULL);
}

uintptr_t mfi_thread_self(void)
{
    static _Thread_local char mark;
    return mfi_world_here != NULL ? mfi_world_here->self(mfi_world_here) : (uintptr_t)&mark;
}

void mfi_thread_sleep(mf_duration span)
{
    _Atomic uint32_t word = 0;      /* nobody knows it: nobody changes it */
    int64_t deadline = mfi_deadline_ns(mfi_now_ns(NULL), span);
    while (mfi_futex_wait(&word, 0, deadline))
        ;
}
