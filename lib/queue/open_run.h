/* queue/open_run.h: a few items that one thread has taken and others may take from it, until it gets to them.
 *
 * One word tells which of them are left, and in which filling: number << 16 | begin << 8 | end. Its owner fills it when it is
 * empty; owner and thieves take from the front:
 *
 *     owner                                    whoever takes k items
 *     F1  the word says empty (acquire)        K1  read the word: begin < end
 *     F2  write the slots                      K2  copy k slots
 *     F3  the word: next number, 0, n          K3  the word: begin + k (compare and swap, acquire and release)
 *
 * Invariant  what K2 copied is what the filling held, if K3 succeeds.
 * Why        F2 comes after a word that says empty, which is later than the one that K3 expects, for numbers do not come
 *            back; so a K3 that succeeds comes before F1 in that word's order, and K2 before F2. If not, the copy is dropped.
 *            Slots are atomic words, for K2 may read while F2 writes.
 * Orders     F3 and the word's reads are seq_cst, as the doorbell asks (S1 and the looks): the owner rings after F3.
 * Checked    tests/unit/queue/open_run_test.c, tests/stress/queue
 */
#ifndef MFI_OPEN_RUN_H
#define MFI_OPEN_RUN_H

#include "atomics.h"
#include "item.h"

#define MFI_RUN_MAX 32

typedef struct mfi_run {
    _Atomic uint64_t  word;                                                        /* A */
    _Atomic uintptr_t slots[MFI_RUN_MAX][sizeof(mfi_item) / sizeof(uintptr_t)];    /* A  written by the owner */
} mfi_run;

void mfi_run_init(mfi_run *run);
/** Owner only, and only while it is empty: hold n items, at most MFI_RUN_MAX. */
void mfi_run_fill(mfi_run *run, const mfi_item *items, size_t n);
/** Take the first one. */
bool mfi_run_take(mfi_run *run, mfi_item *out);
/** Take the first half, one at least, to `out`, which has room for MFI_RUN_MAX; how many, 0: empty. */
size_t mfi_run_steal(mfi_run *run, mfi_item *out);
size_t mfi_run_size(mfi_run *run);

#endif
