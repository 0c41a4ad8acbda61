#include "fiber.h"

#include <stdlib.h>
#include <sys/mman.h>

/* swapcontext makes a system call each time, for a signal mask that nobody here changes: where we can, the registers that a
 * call preserves are all that is kept. */
#if defined(__x86_64__) && !defined(__ILP32__)
#define OWN_SWITCH 1
#else
#include <ucontext.h>
#endif

/* Sanitizers follow the stack pointer: they are told of each change. */
#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif
#ifdef HAS_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#define GUARD ((size_t)4096)
#define STACK ((size_t)1024 * 1024 + GUARD)        /* address space: only what is touched is memory */

struct mfi_fiber {
    mfi_fiber  *next;          /* of those that nobody uses */
    char       *stack;
#ifdef OWN_SWITCH
    void       *here, *outside;     /* stack pointers, below which the registers lie */
#else
    ucontext_t  here, outside;
#endif
    void      (*fn)(void *arg);
    void       *arg;
    const void *outside_bottom;     /* of the stack that entered it, for the sanitizer */
    size_t      outside_size;
};

static _Thread_local mfi_fiber *unused;

#ifdef HAS_ASAN
static void before_switch(void **save, const void *bottom, size_t size)
{
    __sanitizer_start_switch_fiber(save, bottom, size);
}
static void after_switch(void *saved, const void **bottom, size_t *size)
{
    __sanitizer_finish_switch_fiber(saved, bottom, size);
}
static void clean(mfi_fiber *f)
{
    __asan_unpoison_memory_region(f->stack + GUARD, STACK - GUARD);
}
#else
static void before_switch(void **save, const void *bottom, size_t size)
{
    (void)save, (void)bottom, (void)size;
}
static void after_switch(void *saved, const void **bottom, size_t *size)
{
    (void)saved, (void)bottom, (void)size;
}
static void clean(mfi_fiber *f)
{
    (void)f;
}
#endif

static _Thread_local mfi_fiber *entering;

static void begin(void)
{
    mfi_fiber *f = entering;
    after_switch(NULL, &f->outside_bottom, &f->outside_size);
    f->fn(f->arg);
    abort();
}

#ifdef OWN_SWITCH
/* Push what a call preserves, change stacks, pop. */
extern void mfi_fiber_swap(void **from, void *to) __attribute__((visibility("hidden")));
__asm__(".text\n"
        ".p2align 4\n"
        ".hidden mfi_fiber_swap\n"
        ".globl mfi_fiber_swap\n"
        ".type mfi_fiber_swap, @function\n"
        "mfi_fiber_swap:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size mfi_fiber_swap, . - mfi_fiber_swap\n");

/* As if begin had been called by nobody, and had just been left in the middle of a swap. */
static void prepare(mfi_fiber *f)
{
    void **top = (void **)(void *)(f->stack + STACK);
    *--top = NULL;                                  /* where begin would return to */
    *--top = (void *)(uintptr_t)begin;
    for (int registers = 0; registers < 6; registers++)
        *--top = NULL;
    f->here = top;
}

static void swap_in(mfi_fiber *f)
{
    mfi_fiber_swap(&f->outside, f->here);
}

static void swap_out(mfi_fiber *f)
{
    mfi_fiber_swap(&f->here, f->outside);
}
#else
static void prepare(mfi_fiber *f)
{
    getcontext(&f->here);
    f->here.uc_stack.ss_sp = f->stack + GUARD;
    f->here.uc_stack.ss_size = STACK - GUARD;
    f->here.uc_link = NULL;
    makecontext(&f->here, begin, 0);
}

static void swap_in(mfi_fiber *f)
{
    swapcontext(&f->outside, &f->here);
}

static void swap_out(mfi_fiber *f)
{
    swapcontext(&f->here, &f->outside);
}
#endif

static mfi_fiber *make(void)
{
    mfi_fiber *f = calloc(1, sizeof *f);
    void *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    if (f == NULL || stack == MAP_FAILED || mprotect(stack, GUARD, PROT_NONE) != 0) {
        if (stack != MAP_FAILED)
            munmap(stack, STACK);
        free(f);
        return NULL;
    }
    f->stack = stack;
    return f;
}

mfi_fiber *mfi_fiber_create(void (*fn)(void *arg), void *arg)
{
    mfi_fiber *f = unused;
    if (f != NULL)
        unused = f->next;
    else
        f = make();
    if (f == NULL)
        return NULL;
    f->fn = fn;
    f->arg = arg;
    prepare(f);
    return f;
}

void mfi_fiber_enter(mfi_fiber *f)
{
    void *saved = NULL;
    before_switch(&saved, f->stack + GUARD, STACK - GUARD);
    entering = f;
    swap_in(f);
    after_switch(saved, NULL, NULL);
}

void mfi_fiber_leave(mfi_fiber *f, bool for_good)
{
    void *saved = NULL;
    before_switch(for_good ? NULL : &saved, f->outside_bottom, f->outside_size);
    swap_out(f);
    after_switch(saved, &f->outside_bottom, &f->outside_size);
}

void mfi_fiber_drop(mfi_fiber *f)
{
    clean(f);
    f->next = unused;
    unused = f;
}

size_t mfi_fiber_room(const mfi_fiber *f)
{
    char here;
    return (size_t)(&here - (f->stack + GUARD));
}

void mfi_fiber_fini(void)
{
    for (mfi_fiber *f; (f = unused) != NULL;) {
        unused = f->next;
        munmap(f->stack, STACK);
        free(f);
    }
}
