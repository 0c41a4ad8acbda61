#include "open_run.h"

#include "step.h"

#define ASKED  (1ull << 21)
#define SHARED (2ull << 21)
#define NUMBER (1ull << 23)

enum { OWNERS = 0 };

static uint64_t state_of(uint64_t word)  { return word & MFI_RUN_OTHERS; }
static uint64_t end_of(uint64_t word)    { return word & MFI_RUN_END; }
static uint64_t begin_of(uint64_t word)  { return word >> 7 & MFI_RUN_END; }
static uint64_t first_of(uint64_t word)  { return word >> 14 & MFI_RUN_END; }

/* The same filling, shared from its slot `first` on. */
static uint64_t shared_from(uint64_t word, uint64_t first)
{
    return (word & ~(NUMBER - 1)) | SHARED | first << 14 | first << 7 | end_of(word);
}

/* How many of word's filling the owner took; all, if it has begun another since. */
static uint64_t taken_of(mfi_run *run, uint64_t word)
{
    uint64_t taken = atomic_load_explicit(&run->taken, memory_order_seq_cst);
    return taken >> 7 == word / NUMBER ? taken & MFI_RUN_END : end_of(word);
}

static bool change(mfi_run *run, uint64_t *word, uint64_t to)
{
    return atomic_compare_exchange_strong_explicit(&run->word, word, to, memory_order_seq_cst, memory_order_seq_cst);
}

void mfi_run_init(mfi_run *run)
{
    atomic_init(&run->word, 0);
    atomic_init(&run->taken, 0);
    for (size_t i = 0; i < MFI_RUN_MAX; i++)
        for (size_t w = 0; w < 3; w++)
            atomic_init(&run->slots[i].word[w], 0);
}

void mfi_run_show(mfi_run *run, size_t n)
{
    uint64_t number = atomic_load_explicit(&run->word, memory_order_relaxed) / NUMBER + 1;
    /* Release, as the word: whoever reads this number in the word does so here. */
    atomic_store_explicit(&run->taken, number << 7, memory_order_release);
    mfi_publish(&run->word, number * NUMBER | n);
}

void mfi_run_fill(mfi_run *run, const mfi_item *items, size_t n)
{
    mfi_run_begin(run);
    for (size_t i = 0; i < n; i++)
        mfi_run_put(run, i, items[i].word[0], items[i].word[1], items[i].word[2]);
    mfi_run_show(run, n);
}

/* S1 and S2. 0: nothing is left, or it is not shared any more. */
static size_t steal_shared(mfi_run *run, uint64_t word, mfi_item *out)
{
    while (state_of(word) == SHARED && begin_of(word) < end_of(word)) {
        uint64_t begin = begin_of(word), n = (end_of(word) - begin + 1) / 2;
        for (uint64_t i = 0; i < n; i++)
            out[i] = mfi_run_item(&run->slots[begin + i]);
        MFI_STEP("run.steal.copied");
        if (change(run, &word, word + (n << 7)))
            return n;
    }
    return 0;
}

/* The owner needs no copy: nobody else fills. */
static const mfi_run_slot *take_shared(mfi_run *run, uint64_t word)
{
    while (begin_of(word) < end_of(word)) {
        uint64_t begin = begin_of(word);
        MFI_STEP("run.take.shared");
        if (change(run, &word, word + (1 << 7)))
            return &run->slots[begin];
    }
    return NULL;
}

const mfi_run_slot *mfi_run_take_asked(mfi_run *run, uint64_t t)
{
    uint64_t word = atomic_load_explicit(&run->word, memory_order_seq_cst);
    MFI_STEP("run.take.asked");
    /* O3; it fails only when another has done K3. */
    if (state_of(word) == ASKED && change(run, &word, shared_from(word, t + 1)))
        return &run->slots[t];
    return first_of(word) == t + 1 ? &run->slots[t] : take_shared(run, word);      /* O4 */
}

const mfi_run_slot *mfi_run_take_shared(mfi_run *run)
{
    uint64_t word = atomic_load_explicit(&run->word, memory_order_seq_cst);
    if (state_of(word) == ASKED) {
        /* Since the last O2, of this thread: it knows best what was taken. */
        uint64_t to = shared_from(word, taken_of(run, word));
        if (change(run, &word, to))
            word = to;
    }
    return take_shared(run, word);
}

/* K2 and K3, whoever did K1. False: it is another filling by now. */
static bool share(mfi_run *run, uint64_t *word)
{
    mfi_barrier_everywhere();
    uint64_t to = shared_from(*word, taken_of(run, *word));
    MFI_STEP("run.steal.counted");
    if (!change(run, word, to))
        return state_of(*word) == SHARED;
    *word = to;
    return true;
}

size_t mfi_run_steal(mfi_run *run, mfi_item *out)
{
    if (mfi_run_size(run) == 0)
        return 0;
    uint64_t word = atomic_load_explicit(&run->word, memory_order_seq_cst);
    /* K1. */
    if (state_of(word) == OWNERS && change(run, &word, word | ASKED))
        word |= ASKED;
    MFI_STEP("run.steal.asked");
    if (state_of(word) == ASKED && !share(run, &word))
        return 0;
    return steal_shared(run, word, out);
}

size_t mfi_run_size(mfi_run *run)
{
    uint64_t word = atomic_load_explicit(&run->word, memory_order_seq_cst);
    if (state_of(word) == SHARED)
        return end_of(word) - begin_of(word);
    /* Nothing, if there is a later filling: that one is rung for. */
    return end_of(word) - taken_of(run, word);
}
