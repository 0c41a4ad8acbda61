/* Calls on top of each other end before the stack does. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <pthread.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "stack.h"

#define STACK ((size_t)2 << 20)
#define FRAME ((size_t)16 << 10)

struct dive {
    char  *stack;
    bool   short_at_first;
    size_t left;        /* of the stack, where it was short for the first time */
};

/* Down, a frame at a time: none of several calls in one. */
__attribute__((noinline)) static void go_down(struct dive *d)
{
    volatile char frame[FRAME];
    memset((char *)(uintptr_t)frame, 1, sizeof frame);
    if (mfi_stack_is_short())
        d->left = (size_t)((char *)__builtin_frame_address(0) - d->stack);
    else
        go_down(d);
    frame[0] = 2;       /* so that the call above is none at the end, which would need no frame */
}

static void *run(void *arg)
{
    struct dive *d = arg;
    d->short_at_first = mfi_stack_is_short();
    go_down(d);
    return NULL;
}

Test(adapter_stack, is_short_before_it_is_used_up)
{
    pthread_attr_t attr;
    pthread_t thread;
    struct dive d = {.stack = aligned_alloc(4096, STACK)};
    cr_assert(ne(ptr, d.stack, NULL));
    pthread_attr_init(&attr);
    cr_assert(eq(int, pthread_attr_setstack(&attr, d.stack, STACK), 0));
    cr_assert(eq(int, pthread_create(&thread, &attr, run, &d), 0));
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attr);
    cr_assert(not(d.short_at_first));
    /* To a frame: the look itself stands below the one that is measured. */
    cr_assert(le(sz, d.left, MFI_STACK_LEFT + 2 * FRAME));
    cr_assert(ge(sz, d.left, MFI_STACK_LEFT - 2 * FRAME));
    free(d.stack);
}
