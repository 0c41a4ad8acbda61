#include "futex.h"

#include <errno.h>
#include <linux/futex.h>
#include <limits.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "world.h"

bool mfi_futex_wait(const _Atomic uint32_t *word, uint32_t seen, int64_t deadline_ns)
{
    if (mfi_world_here != NULL)
        return mfi_world_here->wait(mfi_world_here, word, seen, deadline_ns);
    struct timespec at, *until = NULL;
    if (deadline_ns != INT64_MAX) {
        at.tv_sec = deadline_ns > 0 ? deadline_ns / 1000000000 : 0;
        at.tv_nsec = deadline_ns > 0 ? deadline_ns % 1000000000 : 0;
        until = &at;
    }
    /* The bitset form takes an absolute time, so that early wake-ups do not stretch the wait. */
    long rc = syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, seen, until, NULL, FUTEX_BITSET_MATCH_ANY);
    return !(rc == -1 && errno == ETIMEDOUT);
}

void mfi_futex_wake(const _Atomic uint32_t *word, unsigned n)
{
    if (mfi_world_here == NULL)
        syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n > INT_MAX ? INT_MAX : (int)n, NULL, NULL, 0);
}
