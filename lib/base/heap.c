#include "heap.h"

#include "memory.h"

static void set(struct mfi_heap *heap, size_t at, struct mfi_node *node)
{
    heap->at[at] = node;
    node->place = (uint32_t)at;
}

static void up(struct mfi_heap *heap, size_t at, struct mfi_node *node)
{
    while (at > 0 && mfi_node_before(node, heap->at[(at - 1) / 2])) {
        set(heap, at, heap->at[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    set(heap, at, node);
}

static void down(struct mfi_heap *heap, size_t at, struct mfi_node *node)
{
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < heap->count && mfi_node_before(heap->at[child + 1], heap->at[child]))
            child++;
        if (child >= heap->count || mfi_node_before(node, heap->at[child]))
            break;
        set(heap, at, heap->at[child]);
        at = child;
    }
    set(heap, at, node);
}

bool mfi_heap_reserve(struct mfi_heap *heap, const mf_allocator *a, size_t n)
{
    return n <= UINT32_MAX && mfi_array_reserve(a, (void **)&heap->at, &heap->capacity, n, sizeof *heap->at);
}

void mfi_heap_fini(struct mfi_heap *heap, const mf_allocator *a)
{
    mfi_release(a, heap->at, heap->capacity * sizeof *heap->at);
    *heap = (struct mfi_heap){0};
}

void mfi_heap_push(struct mfi_heap *heap, struct mfi_node *node)
{
    up(heap, heap->count++, node);
}

void mfi_heap_remove(struct mfi_heap *heap, struct mfi_node *node)
{
    size_t at = node->place;
    struct mfi_node *moved = heap->at[--heap->count];
    if (moved == node)
        return;
    if (at > 0 && mfi_node_before(moved, heap->at[(at - 1) / 2]))
        up(heap, at, moved);
    else
        down(heap, at, moved);
}
