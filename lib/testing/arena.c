#include "arena.h"

#include <stdlib.h>

#define CHUNK ((size_t)64 * 1024)
#define STEP  ((size_t)32)

#if defined(__SANITIZE_ADDRESS__)
#define SMALL_MAX ((size_t)0)
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SMALL_MAX ((size_t)0)
#endif
#endif
#ifndef SMALL_MAX
#define SMALL_MAX (STEP * MFI_ARENA_CLASSES)
#endif

struct mfi_arena_block {
    struct mfi_arena_block *next, **link;
};
struct mfi_arena_chunk {
    struct mfi_arena_chunk *next;
    size_t                  pad;
};
struct mfi_arena_free {
    struct mfi_arena_free *next;
};

static size_t class_of(size_t size)
{
    return size == 0 ? 0 : (size - 1) / STEP;
}

static void *small_alloc(mfi_arena *a, size_t size)
{
    size_t class = class_of(size);
    struct mfi_arena_free *block = a->free[class];
    if (block != NULL) {
        a->free[class] = block->next;
        return block;
    }
    size_t bytes = (class + 1) * STEP;
    if ((size_t)(a->end - a->at) < bytes) {
        struct mfi_arena_chunk *chunk = malloc(CHUNK);
        if (chunk == NULL)
            return NULL;
        chunk->next = a->chunks;
        a->chunks = chunk;
        a->at = (char *)(chunk + 1);
        a->end = (char *)chunk + CHUNK;
    }
    void *at = a->at;
    a->at += bytes;
    return at;
}

static void *large_alloc(mfi_arena *a, size_t size)
{
    struct mfi_arena_block *block = malloc(sizeof *block + size);
    if (block == NULL)
        return NULL;
    block->next = a->large;
    block->link = &a->large;
    if (a->large != NULL)
        a->large->link = &block->next;
    a->large = block;
    return block + 1;
}

static void *arena_alloc(void *user, size_t size)
{
    mfi_arena *a = user;
    if (a->refuse > 0) {
        a->refuse--;
        return NULL;
    }
    void *at = size <= SMALL_MAX ? small_alloc(a, size) : large_alloc(a, size);
    a->live += at != NULL;
    return at;
}

static void arena_release(void *user, void *at, size_t size)
{
    mfi_arena *a = user;
    if (at == NULL)
        return;
    a->live--;
    if (size <= SMALL_MAX) {
        struct mfi_arena_free *block = at;
        block->next = a->free[class_of(size)];
        a->free[class_of(size)] = block;
        return;
    }
    struct mfi_arena_block *block = (struct mfi_arena_block *)at - 1;
    *block->link = block->next;
    if (block->next != NULL)
        block->next->link = block->link;
    free(block);
}

static void *arena_resize(void *user, void *at, size_t old_size, size_t size)
{
    if (at != NULL && old_size <= SMALL_MAX && size <= SMALL_MAX && class_of(old_size) == class_of(size))
        return at;
    void *moved = arena_alloc(user, size);
    if (moved == NULL)
        return NULL;
    if (at != NULL) {
        memcpy(moved, at, old_size < size ? old_size : size);
        arena_release(user, at, old_size);
    }
    return moved;
}

void mfi_arena_init(mfi_arena *arena)
{
    memset(arena, 0, sizeof *arena);
    arena->allocator = (mf_allocator){arena_alloc, arena_resize, arena_release, arena};
}

void mfi_arena_fini(mfi_arena *arena)
{
    for (struct mfi_arena_block *next; arena->large != NULL; arena->large = next) {
        next = arena->large->next;
        free(arena->large);
    }
    for (struct mfi_arena_chunk *next; arena->chunks != NULL; arena->chunks = next) {
        next = arena->chunks->next;
        free(arena->chunks);
    }
    memset(arena, 0, sizeof *arena);
}
