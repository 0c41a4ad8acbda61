/* Many threads tell outcomes of one swarm, most of them twice and some with different ends. Afterwards the counters are what
 * a recount of the kept outcomes gives, each item was called back once, and the end was asked for once. */
#include "bench.h"
#include "scenario.h"

#include "memory.h"

enum { ITEMS = 4000, TELLERS = 4 };

static bench b;
static mf_key swarm;

static mf_key *one_key(mf_key key)
{
    mf_key *keys = mfi_alloc_array(&b.counting.allocator, 1, sizeof *keys);
    CHECK(keys != NULL);
    keys[0] = key;
    return keys;
}

/* A map whose items were all drawn and run now, with a callback for each that ends well and each that fails. */
static void put_swarm(void)
{
    mf_key good = bench_key(MF_KIND_TASK, 1), bad = bench_key(MF_KIND_TASK, 2);
    swarm = bench_key(MF_KIND_SWARM, 3);
    mf_spec *on_success = bench_spec(&b, MF_KIND_TASK, "good", 1), *on_error = bench_spec(&b, MF_KIND_TASK, "bad", 2);
    on_success->numbered = on_error->numbered = true;
    CHECK_EQ(bench_put(&b, on_success, &(mf_state){.status = MF_STATUS_PENDING}), MF_OK);
    CHECK_EQ(bench_put(&b, on_error, &(mf_state){.status = MF_STATUS_PENDING}), MF_OK);

    mf_spec *spec = bench_spec(&b, MF_KIND_SWARM, "swarm", 3);
    spec->max_concurrency = ITEMS;
    spec->source = mf_str_of(mfi_copy_text(&b.counting.allocator, MF_STR_LIT("source")), 6);
    spec->each.spec = bench_spec(&b, MF_KIND_TASK, "each", 0);
    spec->each.spec->on_success = one_key(good);
    spec->each.spec->on_error = one_key(bad);
    spec->each.spec->on_success_count = spec->each.spec->on_error_count = 1;
    CHECK_EQ(bench_put(&b, spec, &(mf_state){.status = MF_STATUS_ACTIVE, .started_ms = 1, .closed = true, .total = ITEMS,
                                             .next = ITEMS, .running = ITEMS}), MF_OK);
}

/* Each teller tells every item, from a place of its own on; every third one, and one teller of all, waits for it. */
static void *tell(void *arg)
{
    size_t me = (size_t)(uintptr_t)arg;
    for (size_t i = 0; i < ITEMS; i++) {
        uint64_t index = (i * 7 + me * (ITEMS / TELLERS)) % ITEMS;
        bool failed = (index + me) % 5 == 0;
        mfi_flow_event event = {.kind = failed ? MFI_EV_ITEM_FAILED : MFI_EV_ITEM_DONE, .index = index,
                                .value = mf_msg("{s:U}", "index", index)};
        if (me == 0 || i % 3 == 0)
            CHECK(mfi_dispatch_wait(b.client, &swarm, &event, true) == MF_OK);
        else
            mfi_dispatch(b.client, &swarm, &event, true, NULL);
    }
    return NULL;
}

static void recount(void)
{
    mf_counts counts;
    uint64_t done = 0, failed = 0, from = 0;
    static mf_outcome page[256];
    for (size_t got = 1; got > 0; from += got) {
        got = 0;
        CHECK_EQ(mf_store_outcomes(b.store, &swarm, from, 256, page, &got, NULL), MF_OK);
        for (size_t i = 0; i < got; i++) {
            done += page[i].status == MF_STATUS_DONE;
            failed += page[i].status == MF_STATUS_FAILED;
            mf_message_unref(page[i].value);
        }
    }
    CHECK_EQ(done + failed, ITEMS);
    CHECK_EQ(mf_count(b.client, &swarm, &counts, NULL), MF_OK);
    CHECK_EQ(counts.done, done);
    CHECK_EQ(counts.failed, failed);
    CHECK_EQ(counts.running, 0);
    CHECK_EQ(counts.canceled, 0);
}

static void follow_ups(void)
{
    static unsigned char calls[ITEMS];
    unsigned fills = 0;
    mf_taken taken;
    int64_t next_due;
    memset(calls, 0, sizeof calls);
    for (;;) {
        size_t got = 0;
        CHECK_EQ(mf_store_take(b.store, 1, &taken, &got, &next_due, NULL), MF_OK);
        if (got == 0)
            break;
        mf_str name = taken.entry.spec->name;
        if (mf_str_eq(name, MF_STR_LIT("mageflow.swarm_fill")))
            fills++;
        else if (mf_str_eq(name, MF_STR_LIT("good")) || mf_str_eq(name, MF_STR_LIT("bad")))
            calls[taken.entry.unit.index]++;
        mf_entry_release(&taken.entry);
    }
    CHECK_EQ(fills, 1);
    for (size_t i = 0; i < ITEMS; i++)
        CHECK_EQ(calls[i], 1);
}

static void outcomes_count_once(void)
{
    for (long round = 0; round < scenario_rounds(3); round++) {
        pthread_t tellers[TELLERS];
        CHECK(bench_open(&b));
        put_swarm();
        for (size_t i = 0; i < TELLERS; i++)
            CHECK_EQ(pthread_create(&tellers[i], NULL, tell, (void *)(uintptr_t)i), 0);
        for (size_t i = 0; i < TELLERS; i++)
            pthread_join(tellers[i], NULL);
        /* The last posts may still be under way on the thread that found the mailbox idle, which has ended: so they are not. */
        recount();
        follow_ups();
        CHECK(bench_close(&b));
    }
}

/* ---- one end of many ------------------------------------------------------------------------------------------------ */

static atomic_uint won;

static void *end_it(void *arg)
{
    mfi_flow_event event = {.kind = (uintptr_t)arg % 2 == 0 ? MFI_EV_CANCEL : MFI_EV_ITEM_DONE};
    mf_status st = mfi_dispatch_wait(b.client, &swarm, &event, true);
    CHECK(st == MF_OK || st == MF_E_STATE);
    atomic_fetch_add(&won, st == MF_OK);
    return NULL;
}

/* A task's record, ended by all at once: it ends once, and who came in the batch of the first end is told the truth or
 * that it had ended. */
static void a_task_ends_once(void)
{
    CHECK(bench_open(&b));
    for (unsigned round = 0; round < (unsigned)scenario_rounds(500); round++) {
        pthread_t enders[TELLERS];
        mf_counts counts;
        swarm = bench_key(MF_KIND_TASK, 100 + round);
        atomic_store(&won, 0);
        CHECK_EQ(bench_put(&b, bench_spec(&b, MF_KIND_TASK, "task", 100 + round), &(mf_state){.status = MF_STATUS_ACTIVE}), MF_OK);
        for (size_t i = 0; i < TELLERS; i++)
            CHECK_EQ(pthread_create(&enders[i], NULL, end_it, (void *)(uintptr_t)i), 0);
        for (size_t i = 0; i < TELLERS; i++)
            pthread_join(enders[i], NULL);
        CHECK(atomic_load(&won) >= 1);
        CHECK_EQ(mf_count(b.client, &swarm, &counts, NULL), MF_OK);
        CHECK(counts.status == MF_STATUS_CANCELED || counts.status == MF_STATUS_DONE);
        CHECK_EQ(counts.done, counts.status == MF_STATUS_DONE);
    }
    CHECK(bench_close(&b));
}

const scenario scenarios[] = {
    {"outcomes_count_once", outcomes_count_once},
    {"a_task_ends_once", a_task_ends_once},
    {NULL, NULL},
};
