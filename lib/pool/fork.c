#include "fork.h"

#include <pthread.h>

_Atomic uint32_t mfi_forks;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool watching;

static void in_child(void)
{
    atomic_fetch_add_explicit(&mfi_forks, 1, memory_order_relaxed);
}

static void watch(void)
{
    watching = pthread_atfork(NULL, NULL, in_child) == 0;
}

bool mfi_fork_watch(void)
{
    return pthread_once(&once, watch) == 0 && watching;
}
