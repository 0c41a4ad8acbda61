/* idle [seconds]: a pool that was used once and then has nothing to do, for idle.sh to watch from outside. The main thread
 * sleeps in one system call, between two lines on stderr; so every other call between them would be the pool's. */
#include <mageflow/pool.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "threads_rest.h"

static void nothing(void *arg)
{
    (void)arg;
}

int main(int argc, char **argv)
{
    mf_pool *pool;
    struct timespec span = {argc > 1 ? atol(argv[1]) : 10, 0};
    if (mf_pool_create(MF_POOL_OPTIONS(.workers = 4), &pool, NULL) != MF_OK)
        return 1;
    for (int i = 0; i < 1000; i++)
        if (mf_pool_submit(pool, nothing, NULL) != MF_OK)
            return 1;
    if (mf_pool_drain(pool) != MF_OK)
        return 1;
    threads_rest();
    (void)!write(STDERR_FILENO, "idle begins\n", 12);
    nanosleep(&span, NULL);
    (void)!write(STDERR_FILENO, "idle ends\n", 10);
    return mf_pool_destroy(pool) == MF_OK ? 0 : 1;
}
