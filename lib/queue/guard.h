/* queue/guard.h: hazard pointers: memory that is not reused while somebody may still look at it.
 *
 *    reader                                   whoever wants to reuse block b
 *    G1  read the pointer to b                R1  unlink b: no shared pointer leads to it any more
 *    G2  write b into the guard               R2  read all guards; b is in none: it may be reused
 *    G3  read the pointer again; still b: go
 *
 * Invariant  G3 sees that b is unlinked, or R2 sees the guard; never neither. Each side writes, then reads the other's:
 *            G2, G3, R1 and R2 are seq_cst.
 * Cost       a halted reader keeps the one block it guards, and nothing else: memory stays bounded.
 * Progress   claim is lock-free as long as there is a free guard among those made at init; beyond that it asks the
 *            allocator, which may lock, for more of them. protect is lock-free: it repeats only when others moved on.
 * Rejected   epochs (one halted reader keeps everything); a count in the pointer's word (two shared operations on one
 *            word for every item, from all threads).
 * Checked    tests/stress/queue, tests/stress/halt
 */
#ifndef MFI_GUARD_H
#define MFI_GUARD_H

#include <mageflow/base.h>

#include "atomics.h"

typedef struct mfi_guard {
    _Atomic uint32_t  claimed;      /* A  1: some thread's */
    _Atomic uintptr_t block;        /* A  written by that thread; 0: none */
    MFI_APART(apart);
} mfi_guard;

struct mfi_guard_set {
    struct mfi_guard_set *next;     /* I  once published */
    size_t                count;    /* I */
    mfi_guard             guards[];
};

typedef struct mfi_guards {
    const mf_allocator             *allocator;
    _Atomic(struct mfi_guard_set *) sets;      /* A  only ever gets longer, until fini */
} mfi_guards;

/** False: no memory. */
bool mfi_guards_init(mfi_guards *g, const mf_allocator *allocator, size_t count);
void mfi_guards_fini(mfi_guards *g);
/** A guard for this thread, until mfi_guard_release. NULL: all are claimed and there is no memory for more. */
mfi_guard *mfi_guard_claim(mfi_guards *g);
void mfi_guard_release(mfi_guard *guard);

uintptr_t mfi_guard_protect_anew(mfi_guard *guard, const _Atomic uintptr_t *from);
/** G1 to G3: the block that *from leads to; it stays until the next protect or clear. Free when it is the block that the guard
 * has held since: that one was not reused, so the pointer never led elsewhere meanwhile and back. */
static inline uintptr_t mfi_guard_protect(mfi_guard *guard, const _Atomic uintptr_t *from)
{
    uintptr_t block = atomic_load_explicit(&guard->block, memory_order_relaxed);
    return block != 0 && atomic_load_explicit(from, memory_order_seq_cst) == block ? block : mfi_guard_protect_anew(guard, from);
}
void mfi_guard_clear(mfi_guard *guard);
/** R2. */
bool mfi_guards_hold(const mfi_guards *g, uintptr_t block);

#endif
