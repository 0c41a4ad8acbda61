/* What becomes of a message that a manager with a queue delivered: it is given up only once nobody could miss it. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <mageflow/control.h>

#include "bench.h"
#include "memory_lease.h"

#define LEASE_MS 60000

static bench b;
static mf_key key;
static unsigned calls;
static void (*meanwhile)(void);     /* happens in the first call */

static mf_status body(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)ctx, (void)in, (void)out, (void)user;
    if (++calls == 1 && meanwhile != NULL)
        meanwhile();
    return calls == 1 ? MF_E_RETRY : MF_OK;
}

static void init(void)
{
    cr_assert(bench_open(&b));
    mfi_memory_set_lease(b.store, LEASE_MS);
    cr_assert(eq(int, mf_task(b.client, MF_TASK_DEF(.name = "work", .run = body, .retries = 3), NULL), MF_OK));
    mf_spec *spec = bench_spec(&b, MF_KIND_TASK, "work", 1);
    key = spec->key;
    cr_assert(eq(int, bench_put(&b, spec, &(mf_state){.status = MF_STATUS_PENDING}), MF_OK));
    calls = 0;
    meanwhile = NULL;
}

static void fini(void)
{
    cr_assert(bench_close(&b));
}

TestSuite(runtime_delivery, .init = init, .fini = fini);

static void deliver_attempt(uint32_t attempt)
{
    mf_delivery d = {.id = MF_STR_LIT("1"), .task = MF_STR_LIT("work"), .unit = {.key = key}, .attempt = attempt};
    b.mute.host->ops->deliver(b.mute.host, &d);
}

static void deliver(void)
{
    deliver_attempt(1);
}

static size_t waiting(void)
{
    size_t n = 0, claimed = 0;
    mf_store_load_counts(b.store, &n, &claimed);
    return n;
}

static mf_signature_status settled_as(void)
{
    return (mf_signature_status)atomic_load(&b.mute.last_status);
}

static void lose_the_claim(void)
{
    uint64_t token = mfi_control_current()->token;
    cr_assert(eq(int, mf_store_give_back(b.store, &token, 1, NULL), MF_OK));
}

Test(runtime_delivery, a_retry_is_sent_anew_and_the_message_is_done)
{
    deliver();
    cr_assert(all(eq(int, settled_as(), MF_STATUS_PENDING), eq(sz, waiting(), 1)));
}

/* As from a queue that never heard that it was done. */
Test(runtime_delivery, the_message_of_a_failed_attempt_runs_nothing_more_when_it_comes_again)
{
    deliver();
    deliver();
    cr_assert(all(eq(uint, calls, 1), eq(int, settled_as(), MF_STATUS_CANCELED), eq(sz, waiting(), 1)), "while its retry waits");
    deliver_attempt(2);
    cr_assert(all(eq(uint, calls, 2), eq(int, settled_as(), MF_STATUS_DONE)));
    deliver();
    cr_assert(eq(uint, calls, 2), "once it has ended");
}

/* Its retry was refused, since somebody else might run it by now; but nobody does unless the message comes again. */
Test(runtime_delivery, a_call_that_lost_its_claim_leaves_its_message_to_come_again)
{
    meanwhile = lose_the_claim;
    deliver();
    cr_assert(all(eq(int, settled_as(), MF_STATUS_ACTIVE), zero(sz, waiting())));
    deliver();
    cr_assert(eq(int, settled_as(), MF_STATUS_DONE));
}

static void lose_the_claim_and_succeed(void)
{
    lose_the_claim();
    calls++;
}

Test(runtime_delivery, so_does_one_whose_result_is_refused)
{
    meanwhile = lose_the_claim_and_succeed;
    deliver();
    cr_assert(eq(int, settled_as(), MF_STATUS_ACTIVE));
    deliver();
    cr_assert(eq(int, settled_as(), MF_STATUS_DONE));
}

static void close_the_worker(void)
{
    mf_stop_calls(b.client);
}

Test(runtime_delivery, a_call_that_gives_up_since_the_worker_closes_leaves_its_message_unclaimed)
{
    meanwhile = close_the_worker;
    deliver();
    cr_assert(all(eq(int, settled_as(), MF_STATUS_ACTIVE), zero(sz, waiting())));
    mf_claim claim = {.unit = {.key = key}, .attempt = 1};
    cr_assert(eq(int, mf_store_claim(b.store, &claim, 1, NULL), MF_OK));
    cr_assert(eq(int, claim.status, MF_OK));
}

Test(runtime_delivery, a_message_that_finds_its_unit_claimed_is_done)
{
    mf_claim other = {.unit = {.key = key}, .attempt = 1};
    cr_assert(eq(int, mf_store_claim(b.store, &other, 1, NULL), MF_OK));
    deliver();
    cr_assert(all(zero(uint, calls), zero(sz, waiting()), eq(int, settled_as(), MF_STATUS_CANCELED)));
}

/* ---- a store whose first answer to a claim is lost --------------------------------------------------------------------------- */

static unsigned answers;

static mf_status lossy_claim(mf_store *self, mf_claim *claims, size_t n, mf_error *err)
{
    (void)self;
    mf_status st = mf_store_claim(b.store, claims, n, err);
    return answers++ == 0 ? mf_fail(err, MF_E_IO, "the answer was lost") : st;
}

static mf_status lossy_commit(mf_store *self, const mf_batch *batch, mf_refusal *refusal, mf_error *err)
{
    (void)self;
    return mf_store_commit(b.store, batch, refusal, err);
}

static mf_status lossy_load(mf_store *self, const mf_key *keys, size_t n, mf_record *out, mf_error *err)
{
    (void)self;
    return mf_store_load(b.store, keys, n, out, err);
}

static int64_t lossy_now_ms(mf_store *self)
{
    (void)self;
    return mf_store_now_ms(b.store);
}

static int64_t lossy_lease_ms(mf_store *self)
{
    (void)self;
    return mf_store_lease_ms(b.store);
}

/* The claim is our own, and nobody serves it. */
Test(runtime_delivery, a_claim_whose_answer_was_lost_leaves_its_message_to_come_again_after_the_lease)
{
    static const mf_store_ops ops = {.struct_size = sizeof ops, .name = "lossy", .claim = lossy_claim, .commit = lossy_commit,
                                     .load = lossy_load, .now_ms = lossy_now_ms, .lease_ms = lossy_lease_ms};
    mf_store lossy = {.ops = &ops};
    b.client->store = &lossy;
    deliver();
    b.client->store = b.store;
    cr_assert(all(zero(uint, calls), eq(sz, waiting(), 1)));
    mf_entry entry;
    size_t got = 0;
    int64_t due_ms = 0;
    cr_assert(eq(int, mf_store_outbox(b.store, 1, &entry, &got, &due_ms, NULL), MF_OK));
    cr_assert(all(zero(sz, got), gt(i64, due_ms, mf_store_now_ms(b.store) + LEASE_MS / 2)));
}
