#include "memory.h"

#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "world.h"

static void *heap_alloc(void *user, size_t size)
{
    (void)user;
    return malloc(size);
}

static void *heap_resize(void *user, void *at, size_t old_size, size_t size)
{
    (void)user;
    (void)old_size;
    return realloc(at, size);
}

static void heap_release(void *user, void *at, size_t size)
{
    (void)user;
    (void)size;
    free(at);
}

const mf_allocator *mf_allocator_default(void)
{
    static const mf_allocator heap = {heap_alloc, heap_resize, heap_release, NULL};
    return mfi_world_here != NULL ? mfi_world_here->allocator : &heap;
}

static const mf_allocator *or_default(const mf_allocator *a)
{
    return a != NULL ? a : mf_allocator_default();
}

void *mfi_alloc(const mf_allocator *a, size_t size)
{
    a = or_default(a);
    return a->alloc(a->user, size);
}

void *mfi_alloc_zero(const mf_allocator *a, size_t size)
{
    void *at = mfi_alloc(a, size);
    if (at != NULL)
        memset(at, 0, size);
    return at;
}

void *mfi_alloc_array(const mf_allocator *a, size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes))
        return NULL;
    return mfi_alloc(a, bytes);
}

void *mfi_resize(const mf_allocator *a, void *at, size_t old_size, size_t size)
{
    a = or_default(a);
    return a->resize(a->user, at, old_size, size);
}

void mfi_release(const mf_allocator *a, void *at, size_t size)
{
    a = or_default(a);
    if (at != NULL)
        a->release(a->user, at, size);
}

char *mfi_copy_text(const mf_allocator *a, mf_str text)
{
    char *copy = mfi_alloc(a, text.len + 1);
    if (copy == NULL)
        return NULL;
    if (text.len > 0)
        memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    return copy;
}

bool mfi_array_reserve(const mf_allocator *a, void **array, size_t *capacity, size_t need, size_t size)
{
    if (need <= *capacity)
        return true;
    size_t grown = *capacity < 8 ? 8 : *capacity * 2;
    if (grown < need)
        grown = need;
    size_t bytes;
    if (__builtin_mul_overflow(grown, size, &bytes))
        return false;
    void *moved = mfi_resize(a, *array, *capacity * size, bytes);
    if (moved == NULL)
        return false;
    *array = moved;
    *capacity = grown;
    return true;
}

void mfi_give_back(const mf_allocator *a)
{
#ifdef __GLIBC__
    if (or_default(a)->release == heap_release)
        malloc_trim(0);
#else
    (void)a;
#endif
}
