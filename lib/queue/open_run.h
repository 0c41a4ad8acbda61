/* queue/open_run.h: a few items that one thread has taken and others may take from it, until it gets to them.
 *
 * Its owner fills it when it is empty and takes from the front, with plain stores, as long as nobody else wants any. The first
 * one that does asks; from then on the rest of that filling is taken from the front by everybody alike. Fillings are numbered. One
 * word tells whose it is:
 *
 *     owner's (number, n)  →  asked (number, n)  →  shared (number, n, first, begin)  →  …  →  owner's (number + 1, n')
 *
 *     owner, filling                           whoever wants some
 *     F1  nothing is left                      K1  the word: owner's → asked            (compare and swap)
 *     F2  write the slots                          and a barrier for all threads (sync/barrier.h)
 *     F3  taken = number + 1, 0                K2  read taken; of a later number: nothing is left
 *         the word: number + 1, owner's        K3  the word: asked → shared, first = begin = taken   (compare and swap)
 *
 *     owner, taking                            then it, or the owner, or another
 *     O1  taken = number, t + 1
 *     O2  the word is still its own:           S1  copy slots from begin on
 *         slot t it is                         S2  the word: begin + k                  (compare and swap)
 *     O3  asked: do K3 itself, with t + 1
 *     O4  shared: first = t + 1: slot t it is; first = t: it is not, S1
 *
 * Invariant  a slot is taken by one. Up to `first` the owner took, from there on S2 decides.
 * Why        `taken` has the number of its filling, for between the two stores of F3 it is not that of the word.
 *            O1, then O2; K1, then K2: one of them sees the other (barrier.h: O1 is A1, K1 is B1). So K3 counts every slot that O2 gave
 *            away; the one that the owner is just about to take is counted or not, and it learns which.
 *            What S1 copied is what the filling held, if S2 succeeds: F2 comes after a word that says empty, or after all was taken in
 *            O2, and then no S2 of that filling succeeds; numbers do not come back. If it fails, the copy is dropped. Slots are atomic
 *            words, for S1 may read while F2 writes.
 * Progress   whoever finds it asked may do K2 and K3 itself, after a barrier of its own: a thief halted there stops nobody.
 * Orders     F3 is mfi_publish and the word's reads seq_cst, as the doorbell asks (S1 and the looks): the owner rings after F3.
 * Cost       an item of one's own takes no operation on shared words. With a compare-and-swap each, and no asking, a job of a batch took
 *            22 ns of processor time where it takes 14 (`script/bench pool`). Whoever asks pays a barrier for all threads, 0.2 to 1 µs,
 *            once a filling.
 * Rejected   a private array: what is in it waits for the one job that takes long. A deque whose thieves come from the other end
 *            (Chase and Lev): jobs would be taken out of their order. Items left where they are in the lane: a thief would have to
 *            guard their segment on the word of the owner's guard, and a guard taken over from another may be missed by who looks at
 *            them one after the other. Fetching what comes behind a run ahead of time: no difference.
 * Checked    tests/unit/queue/open_run_test.c, tests/stress/queue, tests/stress/halt, tests/model/open_run.pml
 */
#ifndef MFI_OPEN_RUN_H
#define MFI_OPEN_RUN_H

#include "barrier.h"
#include "item.h"

#define MFI_RUN_MAX 64

typedef struct mfi_run_slot {
    _Atomic uintptr_t word[3];      /* A  written by the owner */
} mfi_run_slot;

typedef struct mfi_run {
    MFI_APART(apart);
    _Atomic uint64_t  word;                                      /* A  number, whose, first, begin, end: open_run.c */
    _Atomic uint64_t  taken;                                     /* A  number << 7 | how many its owner took; written by it */
    mfi_run_slot      slots[MFI_RUN_MAX];
} mfi_run;

void mfi_run_init(mfi_run *run);
/** Owner only, and only while it is empty: hold n items, at most MFI_RUN_MAX. */
void mfi_run_fill(mfi_run *run, const mfi_item *items, size_t n);
/** The same in parts: F1, and F2 for each slot from 0 on, as often as it takes; F3. */
static inline void mfi_run_begin(mfi_run *run);
static inline void mfi_run_put(mfi_run *run, size_t slot, uintptr_t a, uintptr_t b, uintptr_t c);
void mfi_run_show(mfi_run *run, size_t n);
/** Owner only: take the first one, which stays where it is until the next fill. NULL: empty. */
static inline const mfi_run_slot *mfi_run_take(mfi_run *run);
static inline mfi_item mfi_run_item(const mfi_run_slot *slot);
/** Another thread: take the first half, one at least, to `out`, which has room for MFI_RUN_MAX; how many, 0: empty. */
size_t mfi_run_steal(mfi_run *run, mfi_item *out);
size_t mfi_run_size(mfi_run *run);

/* ---- the hot half --------------------------------------------------------------------------------------------- */

#define MFI_RUN_END    0x7full         /* bits 0 to 6; then 7 each for begin and first, 2 for whose it is, and the number */
#define MFI_RUN_OTHERS (3ull << 21)    /* none of them set: its owner's */

const mfi_run_slot *mfi_run_take_asked(mfi_run *run, uint64_t t);
const mfi_run_slot *mfi_run_take_shared(mfi_run *run);

static inline void mfi_run_begin(mfi_run *run)
{
    /* F1, acquire: pairs with S2; the copies are made. */
    (void)atomic_load_explicit(&run->word, memory_order_acquire);
}

static inline void mfi_run_put(mfi_run *run, size_t slot, uintptr_t a, uintptr_t b, uintptr_t c)
{
    _Atomic uintptr_t *word = run->slots[slot].word;
    atomic_store_explicit(&word[0], a, memory_order_relaxed);
    atomic_store_explicit(&word[1], b, memory_order_relaxed);
    atomic_store_explicit(&word[2], c, memory_order_relaxed);
}

static inline mfi_item mfi_run_item(const mfi_run_slot *slot)
{
    return (mfi_item){{atomic_load_explicit(&slot->word[0], memory_order_relaxed), atomic_load_explicit(&slot->word[1], memory_order_relaxed),
                       atomic_load_explicit(&slot->word[2], memory_order_relaxed)}};
}

static inline const mfi_run_slot *mfi_run_take(mfi_run *run)
{
    /* Relaxed: a first look, O2 is the one that counts. */
    uint64_t word = atomic_load_explicit(&run->word, memory_order_relaxed);
    if (word & MFI_RUN_OTHERS)
        return mfi_run_take_shared(run);
    uint64_t taken = atomic_load_explicit(&run->taken, memory_order_relaxed), t = taken & MFI_RUN_END;
    if (t == (word & MFI_RUN_END))
        return NULL;
    mfi_publish(&run->taken, taken + 1);                                            /* O1 */
    if (atomic_load_explicit(&run->word, memory_order_seq_cst) != word)             /* O2 */
        return mfi_run_take_asked(run, t);
    return &run->slots[t];
}

#endif
