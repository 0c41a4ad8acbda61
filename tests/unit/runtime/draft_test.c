/* Items on their way from a signature to the store, page by page. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "bench.h"
#include "record.h"
#include "sign.h"

#include <mageflow/flow_data.h>

static bench    b;
static mf_error err;

static void init(void)
{
    cr_assert(bench_open(&b));
    cr_assert(eq(int, mf_task(b.client, MF_TASK_DEF(.name = "work", .run = bench_nothing), &err), MF_OK));
}

static void fini(void)
{
    cr_assert(bench_close(&b));
}

TestSuite(runtime_draft, .init = init, .fini = fini, .timeout = 120);

/* A swarm of n items that know their number; NULL where memory failed on the way. */
static mf_signature *swarm_of(uint64_t n)
{
    mf_signature *swarm = mf_swarm(b.client, "many", NULL, &err);
    for (uint64_t i = 0; swarm != NULL && i < n; i++)
        swarm = mf_swarm_add(swarm, mf_sign(b.client, "work", mf_msg("{s:i}", "i", (int)i), &err), &err);
    return mf_swarm_close(swarm, &err);
}

static int64_t number_of(const mf_item *item)
{
    mf_value value;
    int64_t number = -1;
    bool there = mf_value_get(mf_message_value(item->message), MF_STR_LIT("i"), &value);
    return there && mf_value_int(value, &number) == MF_OK ? number : -1;
}

static void check_stored(const mf_key *key, uint64_t n)
{
    mf_item page[100];
    size_t got = 0;
    uint64_t at = 0;
    do {
        cr_assert(eq(int, mf_store_items(b.store, key, at, 100, page, &got, &err), MF_OK));
        for (size_t i = 0; i < got; i++, at++) {
            if (number_of(&page[i]) != (int64_t)at)
                cr_fatal("item %lu is another one", (unsigned long)at);
            mfi_item_unref(&page[i]);
        }
    } while (got > 0);
    cr_assert(eq(u64, at, n));
}

static const uint64_t sizes[] = {0, 1, 8, 9, MFI_DRAFT_PAGE - 1, MFI_DRAFT_PAGE, MFI_DRAFT_PAGE + 1, 3 * MFI_DRAFT_PAGE,
                                 9 * MFI_DRAFT_PAGE + 7};

Test(runtime_draft, what_was_added_is_stored_in_order_and_leaves_the_signature)
{
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        mf_signature *swarm = swarm_of(sizes[i]);
        cr_assert(ne(ptr, swarm, NULL));
        mf_key key = mf_signature_key(swarm);
        mf_run *run = mf_start(swarm, NULL, &err);
        cr_assert(ne(ptr, run, NULL), "%s", err.text);
        for (size_t page = 0; page < swarm->own.page_capacity; page++)
            cr_assert(eq(ptr, swarm->own.pages[page], NULL), "%lu items", (unsigned long)sizes[i]);
        if (sizes[i] <= MFI_DRAFT_PAGE + 1) {       /* more is above what a message may hold */
            mf_message *flow = NULL;
            mf_value items;
            cr_assert(eq(int, mf_flow_to_message(swarm, &flow, &err), MF_OK), "its items are the store's now: %s", err.text);
            cr_assert(mf_value_get(mf_message_value(flow), MF_STR_LIT("swarm"), &items));
            cr_assert(eq(sz, mf_value_count(items), sizes[i]));
            mf_message_unref(flow);
        }
        mf_run_destroy(run);
        mf_signature_destroy(swarm);
        check_stored(&key, sizes[i]);
    }
}

Test(runtime_draft, a_page_without_memory_ends_the_swarm_and_leaks_nothing)
{
    mf_signature *swarm = swarm_of(MFI_DRAFT_PAGE);
    swarm->own.closed = false;
    mf_signature *item = mf_sign(b.client, "work", NULL, &err);
    long calls = atomic_load(&b.counting.calls);
    atomic_store(&b.counting.fail_at, calls + 1);    /* the directory has room: the page is all that is asked for */
    cr_assert(eq(ptr, mf_swarm_add(swarm, item, &err), NULL));
    cr_assert(eq(int, err.status, MF_E_NOMEM));
    atomic_store(&b.counting.fail_at, 0);
}

Test(runtime_draft, a_start_that_the_store_has_no_memory_for_leaks_nothing)
{
    for (long n = 1;; n++) {
        mf_signature *swarm = swarm_of(2 * MFI_DRAFT_PAGE);
        atomic_store(&b.counting.fail_at, atomic_load(&b.counting.calls) + n);
        mf_run *run = mf_start(swarm, NULL, &err);
        atomic_store(&b.counting.fail_at, 0);
        mf_run_destroy(run);
        mf_signature_destroy(swarm);
        if (run != NULL)
            break;
        cr_assert(eq(int, err.status, MF_E_NOMEM));
        n += n > 20 ? 7 : 0;    /* most of them are pages of the store, one like the other */
    }
}
