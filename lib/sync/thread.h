/* sync/thread.h: a thread of ours, and who runs here. On a simulator's thread these are its strands (base/world.h). */
#ifndef MFI_THREAD_H
#define MFI_THREAD_H

#include <mageflow/base.h>

#include <pthread.h>

typedef struct mfi_thread {
    pthread_t system;
    void     *strand;       /* of a world; NULL: the system's */
} mfi_thread;

/** Start one. false: there is none. */
bool mfi_thread_start(mfi_thread *thread, void *(*run)(void *arg), void *arg);
/** Returns when it has ended. Once a thread. */
void mfi_thread_join(mfi_thread *thread);
/** What stands for the calling thread among all that live; never 0. */
uintptr_t mfi_thread_self(void);
void mfi_thread_sleep(mf_duration span);

#endif
