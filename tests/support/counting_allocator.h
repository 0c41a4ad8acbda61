/* support/counting_allocator.h: an allocator that counts what is out, checks every release, and can fail on purpose. */
#ifndef MFT_COUNTING_ALLOCATOR_H
#define MFT_COUNTING_ALLOCATOR_H

#include <mageflow/base.h>

#include <stdatomic.h>
#include <stdlib.h>

/* Each block carries its size in front, so that a release with another size is caught. */
typedef struct counting_allocator {
    mf_allocator         allocator;   /* hand this one out */
    atomic_long          live;        /* blocks out now */
    atomic_long          calls;       /* allocations and growths asked for */
    atomic_long          bytes;       /* bytes asked for, in all */
    atomic_long          fail_at;     /* the call (from 1) that is refused; 0: none */
    atomic_bool          fail_all;    /* from fail_at on every call is refused */
    atomic_long          wrong_size;  /* releases and resizes that named another size than allocated */
} counting_allocator;

static bool counting_refuses(counting_allocator *c, size_t size)
{
    long call = atomic_fetch_add(&c->calls, 1) + 1;
    long fail_at = atomic_load(&c->fail_at);
    atomic_fetch_add(&c->bytes, (long)size);
    return fail_at != 0 && (call == fail_at || (call > fail_at && atomic_load(&c->fail_all)));
}

static void *counting_alloc(void *user, size_t size)
{
    counting_allocator *c = user;
    if (counting_refuses(c, size))
        return NULL;
    size_t *block = aligned_alloc(16, (16 + size + 15) / 16 * 16);
    if (block == NULL)
        return NULL;
    block[0] = size;
    atomic_fetch_add(&c->live, 1);
    return block + 2;
}

static void counting_release(void *user, void *at, size_t size)
{
    counting_allocator *c = user;
    if (at == NULL)
        return;
    size_t *block = (size_t *)at - 2;
    if (block[0] != size)
        atomic_fetch_add(&c->wrong_size, 1);
    atomic_fetch_sub(&c->live, 1);
    free(block);
}

static void *counting_resize(void *user, void *at, size_t old_size, size_t size)
{
    void *moved = counting_alloc(user, size);
    if (moved == NULL || at == NULL)
        return moved;
    memcpy(moved, at, old_size < size ? old_size : size);
    counting_release(user, at, old_size);
    return moved;
}

static inline void counting_init(counting_allocator *c)
{
    memset(c, 0, sizeof *c);
    c->allocator.alloc = counting_alloc;
    c->allocator.resize = counting_resize;
    c->allocator.release = counting_release;
    c->allocator.user = c;
}

#endif
