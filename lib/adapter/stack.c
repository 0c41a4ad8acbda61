/* How much stack a thread has left, for adapters whose waiting calls run others on top of themselves. */
#include "stack.h"

#include <pthread.h>
#include <stddef.h>

bool mfi_stack_is_short(void)
{
    static _Thread_local char *low;     /* where this thread's stack ends */
    if (low == NULL) {
        pthread_attr_t attr;
        void *at;
        size_t size;
        if (pthread_getattr_np(pthread_self(), &attr) != 0)
            return false;
        if (pthread_attr_getstack(&attr, &at, &size) == 0)
            low = at;
        pthread_attr_destroy(&attr);
    }
    return low != NULL && (size_t)((char *)__builtin_frame_address(0) - low) < MFI_STACK_LEFT;
}
