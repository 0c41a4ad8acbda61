#include "guard.h"

#include "memory.h"

enum { SET_MORE = 32 };

static size_t set_size(size_t count)
{
    return sizeof(struct mfi_guard_set) + count * sizeof(mfi_guard);
}

static struct mfi_guard_set *set_create(const mf_allocator *allocator, size_t count)
{
    struct mfi_guard_set *set = mfi_alloc(allocator, set_size(count));
    if (set == NULL)
        return NULL;
    set->next = NULL;
    set->count = count;
    for (size_t i = 0; i < count; i++) {
        atomic_init(&set->guards[i].claimed, 0);
        atomic_init(&set->guards[i].block, 0);
    }
    return set;
}

bool mfi_guards_init(mfi_guards *g, const mf_allocator *allocator, size_t count)
{
    g->allocator = allocator;
    struct mfi_guard_set *set = set_create(allocator, count > 0 ? count : 1);
    atomic_init(&g->sets, set);
    return set != NULL;
}

void mfi_guards_fini(mfi_guards *g)
{
    struct mfi_guard_set *set = atomic_load_explicit(&g->sets, memory_order_relaxed);
    for (struct mfi_guard_set *next; set != NULL; set = next) {
        next = set->next;
        mfi_release(g->allocator, set, set_size(set->count));
    }
    atomic_store_explicit(&g->sets, NULL, memory_order_relaxed);
}

static bool try_claim(mfi_guard *guard)
{
    uint32_t unclaimed = 0;
    /* Acquire: pairs with the release below; the last owner's use of the guard is over. */
    return atomic_load_explicit(&guard->claimed, memory_order_relaxed) == 0
        && atomic_compare_exchange_strong_explicit(&guard->claimed, &unclaimed, 1, memory_order_acquire,
                                                   memory_order_relaxed);
}

/* Where this thread begins to look: where it found one before, of whichever queue, mostly still in its own cache. */
static _Thread_local size_t usual_place;

static mfi_guard *claim_in(struct mfi_guard_set *set)
{
    size_t at = usual_place < set->count ? usual_place : 0;
    for (size_t left = set->count; left > 0; left--, at = at + 1 < set->count ? at + 1 : 0)
        if (try_claim(&set->guards[at])) {
            usual_place = at;
            return &set->guards[at];
        }
    return NULL;
}

mfi_guard *mfi_guard_claim(mfi_guards *g)
{
    struct mfi_guard_set *first = atomic_load_explicit(&g->sets, memory_order_acquire);
    for (struct mfi_guard_set *set = first; set != NULL; set = set->next) {
        mfi_guard *guard = claim_in(set);
        if (guard != NULL)
            return guard;
    }
    struct mfi_guard_set *more = set_create(g->allocator, SET_MORE);
    if (more == NULL)
        return NULL;
    atomic_init(&more->guards[0].claimed, 1);
    do
        more->next = first;
    while (!atomic_compare_exchange_weak_explicit(&g->sets, &first, more, memory_order_seq_cst, memory_order_acquire));
    return &more->guards[0];
}

void mfi_guard_release(mfi_guard *guard)
{
    if (guard == NULL)
        return;
    mfi_guard_clear(guard);
    atomic_store_explicit(&guard->claimed, 0, memory_order_release);
}

uintptr_t mfi_guard_protect_anew(mfi_guard *guard, const _Atomic uintptr_t *from)
{
    uintptr_t block = atomic_load_explicit(from, memory_order_relaxed);
    for (;;) {
        atomic_store_explicit(&guard->block, block, memory_order_seq_cst);
        uintptr_t now = atomic_load_explicit(from, memory_order_seq_cst);
        if (now == block)
            return block;
        block = now;
    }
}

void mfi_guard_clear(mfi_guard *guard)
{
    /* Release: what was done with the block is over before anybody finds the guard without it. */
    atomic_store_explicit(&guard->block, 0, memory_order_release);
}

bool mfi_guards_hold(const mfi_guards *g, uintptr_t block)
{
    const struct mfi_guard_set *set = atomic_load_explicit(&g->sets, memory_order_seq_cst);
    for (; set != NULL; set = set->next)
        for (size_t i = 0; i < set->count; i++)
            if (atomic_load_explicit(&set->guards[i].block, memory_order_seq_cst) == block)
                return true;
    return false;
}
