/* base/heap.h: what is next, of things that each have a time: messages, records with a deadline, notes that expire, timers.
 *
 * A binary heap of pointers to nodes, which stand inside the things they order and know their place, so that one is taken
 * out from anywhere. Room is reserved ahead: pushing cannot fail. The unit of `due` is its user's. */
#ifndef MFI_HEAP_H
#define MFI_HEAP_H

#include <mageflow/base.h>

/* 24 bytes, the fields that are compared first. */
struct mfi_node {
    int64_t  due;
    uint64_t id;       /* unique in its heap */
    int32_t  rank;     /* greater goes first, before time is looked at; 0 where only time counts */
    uint32_t place;    /* while it is in a heap: where */
};

struct mfi_heap {
    struct mfi_node **at;
    size_t            count, capacity;
};

static inline bool mfi_node_before(const struct mfi_node *a, const struct mfi_node *b)
{
    if (a->rank != b->rank)
        return a->rank > b->rank;
    if (a->due != b->due)
        return a->due < b->due;
    return a->id < b->id;
}

/** Have room for n nodes in all. false: no memory, nothing changed. */
bool mfi_heap_reserve(struct mfi_heap *heap, const mf_allocator *a, size_t n);
void mfi_heap_fini(struct mfi_heap *heap, const mf_allocator *a);
void mfi_heap_push(struct mfi_heap *heap, struct mfi_node *node);
/** Take out a node that is in it. */
void mfi_heap_remove(struct mfi_heap *heap, struct mfi_node *node);
/** The first one, or NULL. */
static inline struct mfi_node *mfi_heap_top(const struct mfi_heap *heap)
{
    return heap->count == 0 ? NULL : heap->at[0];
}

#endif
