#include "fiber.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

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
#define STACK ((size_t)1024 * 1024)
#else
#define STACK ((size_t)256 * 1024)
#endif
#define GUARD ((size_t)4096)

struct mfi_fiber {
    mfi_fiber  *next;          /* of those that nobody uses */
    char       *stack;
    ucontext_t  here, outside;
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

/* makecontext hands on ints only: a pointer goes in two of them. */
static void begin(unsigned high, unsigned low)
{
    mfi_fiber *f = (mfi_fiber *)((uintptr_t)high << 32 | (uintptr_t)low);
    after_switch(NULL, &f->outside_bottom, &f->outside_size);
    f->fn(f->arg);
    abort();
}

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

/* Apart from its caller, since getcontext may return twice as far as the compiler knows. */
static void prepare(mfi_fiber *f)
{
    getcontext(&f->here);
    f->here.uc_stack.ss_sp = f->stack + GUARD;
    f->here.uc_stack.ss_size = STACK - GUARD;
    f->here.uc_link = NULL;
    makecontext(&f->here, (void (*)(void))begin, 2, (unsigned)((uintptr_t)f >> 32), (unsigned)(uintptr_t)f);
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
    swapcontext(&f->outside, &f->here);
    after_switch(saved, NULL, NULL);
}

void mfi_fiber_leave(mfi_fiber *f, bool for_good)
{
    void *saved = NULL;
    before_switch(for_good ? NULL : &saved, f->outside_bottom, f->outside_size);
    swapcontext(&f->here, &f->outside);
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
