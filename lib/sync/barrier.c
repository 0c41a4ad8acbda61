#include "barrier.h"

#include <linux/membarrier.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

atomic_bool mfi_barrier_remote;

static bool membarrier_do(int command)
{
    return syscall(SYS_membarrier, command, 0, 0) == 0;
}

static void ask(void)
{
#ifndef MFI_BARRIER_UNSEEN
    if (membarrier_do(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) && membarrier_do(MEMBARRIER_CMD_PRIVATE_EXPEDITED))
        atomic_store_explicit(&mfi_barrier_remote, true, memory_order_seq_cst);
#endif
}

void mfi_barrier_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, ask);
}

void mfi_barrier_forgo(void)
{
    if (!atomic_exchange_explicit(&mfi_barrier_remote, false, memory_order_seq_cst))
        return;
    /* What others have written without a barrier until they see this is in memory long before that. */
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

void mfi_barrier_everywhere(void)
{
    if (!atomic_load_explicit(&mfi_barrier_remote, memory_order_relaxed) || membarrier_do(MEMBARRIER_CMD_PRIVATE_EXPEDITED))
        return;
    /* Forbidden since we asked, or a child of fork whose kernel forgot. */
    if (!membarrier_do(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) || !membarrier_do(MEMBARRIER_CMD_PRIVATE_EXPEDITED))
        mfi_barrier_forgo();
}
