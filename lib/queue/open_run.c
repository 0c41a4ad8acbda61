#include "open_run.h"

#include "step.h"

enum { WORDS = sizeof(mfi_item) / sizeof(uintptr_t) };

static uint64_t begin_of(uint64_t word)
{
    return word >> 8 & 0xff;
}

static uint64_t end_of(uint64_t word)
{
    return word & 0xff;
}

void mfi_run_init(mfi_run *run)
{
    atomic_init(&run->word, 0);
    for (size_t i = 0; i < MFI_RUN_MAX; i++)
        for (size_t w = 0; w < WORDS; w++)
            atomic_init(&run->slots[i][w], 0);
}

void mfi_run_fill(mfi_run *run, const mfi_item *items, size_t n)
{
    /* F1. */
    uint64_t number = (atomic_load_explicit(&run->word, memory_order_acquire) >> 16) + 1;
    for (size_t i = 0; i < n; i++)
        for (size_t w = 0; w < WORDS; w++)
            atomic_store_explicit(&run->slots[i][w], items[i].word[w], memory_order_relaxed);
    atomic_store_explicit(&run->word, number << 16 | n, memory_order_seq_cst);
}

/* One of `shares` of what is there. */
static size_t take(mfi_run *run, mfi_item *out, uint64_t shares)
{
    uint64_t word = atomic_load_explicit(&run->word, memory_order_seq_cst);
    while (begin_of(word) < end_of(word)) {
        uint64_t begin = begin_of(word), n = shares == 0 ? 1 : (end_of(word) - begin + shares - 1) / shares;
        for (uint64_t i = 0; i < n; i++)
            for (size_t w = 0; w < WORDS; w++)
                out[i].word[w] = atomic_load_explicit(&run->slots[begin + i][w], memory_order_relaxed);
        MFI_STEP("run.take.copied");
        if (atomic_compare_exchange_strong_explicit(&run->word, &word, word + (n << 8), memory_order_seq_cst,
                                                    memory_order_seq_cst))
            return n;
    }
    return 0;
}

bool mfi_run_take(mfi_run *run, mfi_item *out)
{
    return take(run, out, 0) == 1;
}

size_t mfi_run_steal(mfi_run *run, mfi_item *out)
{
    return take(run, out, 2);
}

size_t mfi_run_size(mfi_run *run)
{
    uint64_t word = atomic_load_explicit(&run->word, memory_order_seq_cst);
    return end_of(word) - begin_of(word);
}
