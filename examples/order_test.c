/* How a program that uses mageflow is tested: docs/testing.md goes through this file.
 *
 * An order is a chain: charge the card, pack the parcels (a swarm), write to the customer. Three tests: what is dispatched,
 * that a refused card is tried again when it should be, and that no crash charges anybody twice. */
#include <mageflow/mageflow.h>
#include <mageflow/testing.h>

#include <stdio.h>

/* ---- the program under test --------------------------------------------------------------------------------------- */

/* What stands for the world outside: a bank that knows each order by its number, as banks do. */
typedef struct shop {
    unsigned charges;           /* that the bank accepted */
    bool     charged[100];      /* … by order */
    unsigned refusals;          /* so many attempts are refused first */
    unsigned packed, mails;
} shop;

static mf_status charge(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    shop *s = user;
    int order = 0;
    if (mf_message_scan(in, NULL, "{s:i}", "order", &order) != MF_OK || order < 0 || order >= 100)
        return mf_task_fail(ctx, MF_FINAL, "NoOrder", "expected an order from 0 to 99");
    if (mf_context_execution_info(ctx)->attempt_number <= s->refusals)
        return mf_task_fail(ctx, MF_RETRY, "Refused", "the bank does not answer");
    if (!s->charged[order])     /* the task may run again after a crash: the order's number makes that harmless */
        s->charges++;
    s->charged[order] = true;
    *out = mf_msg("{s:i}", "order", order);
    return MF_OK;
}

static mf_status pack(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)in, (void)out;
    ((shop *)user)->packed++;
    return mf_context_sleep(ctx, mf_minutes(20));
}

static mf_status mail(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)ctx, (void)in, (void)out;
    ((shop *)user)->mails++;
    return MF_OK;
}

static mf_status declare(mf_client *mage, void *user, mf_error *err)
{
    mf_status st = mf_task(mage, MF_TASK_DEF(.name = "charge", .run = charge, .user = user, .retries = 3,
                                             .backoff = mf_seconds(30)), err);
    if (st == MF_OK)
        st = mf_task(mage, MF_TASK_DEF(.name = "pack", .run = pack, .user = user), err);
    if (st == MF_OK)
        st = mf_task(mage, MF_TASK_DEF(.name = "mail", .run = mail, .user = user), err);
    return st;
}

static mf_run *place_order(mf_client *mage, int order, int parcels, mf_error *err)
{
    mf_signature *packing = mf_swarm(mage, "packing", MF_SWARM_OPTIONS(.max_concurrency = 2), err);
    for (int i = 0; i < parcels; i++)
        packing = mf_swarm_add(packing, mf_sign(mage, "pack", mf_msg("{s:i}", "parcel", i), err), err);
    mf_signature *chain = mf_chain(mage, "order", NULL, err);
    chain = mf_chain_add(chain, mf_sign(mage, "charge", mf_msg("{s:i}", "order", order), err), err);
    chain = mf_chain_add(chain, mf_swarm_close(packing, err), err);
    chain = mf_chain_add(chain, mf_sign(mage, "mail", NULL, err), err);
    mf_run *run = mf_start(chain, NULL, err);
    mf_signature_destroy(chain);
    return run;
}

/* ---- its tests ------------------------------------------------------------------------------------------------------ */

/* What is dispatched; nothing runs. */
static mf_status an_order_is_a_chain_of_three(mf_error *err)
{
    shop s = {0};
    mf_test *t;
    mf_status st = mf_test_create(NULL, &t, err);
    if (st != MF_OK)
        return st;
    st = declare(mf_test_client(t), &s, err);
    if (st == MF_OK)
        st = mf_test_nothing_dispatched(t, err);
    if (st == MF_OK) {
        mf_run_destroy(place_order(mf_test_client(t), 17, 3, err));
        st = mf_test_chain_dispatched(t, "order", (const char *[]){"charge", "packing", "mail"}, 3, err);
    }
    mf_test_destroy(t);
    return st;
}

/* Run in order, with a clock of the test's own: no second of it is waited for. */
static mf_status a_refused_card_is_tried_again(mf_error *err)
{
    shop s = {.refusals = 2};
    mf_test *t;
    mf_status st = mf_test_create(MF_TEST_OPTIONS(.run = true), &t, err);
    if (st != MF_OK)
        return st;
    st = declare(mf_test_client(t), &s, err);
    mf_run *run = st == MF_OK ? place_order(mf_test_client(t), 17, 3, err) : NULL;
    if (run != NULL)
        st = mf_test_advance(t, mf_seconds(89), err);           /* refused at once, and after 30 s */
    if (st == MF_OK && s.charges != 0)
        st = mf_fail(err, MF_E_STATE, "charged too early");
    if (st == MF_OK)
        st = mf_test_advance(t, mf_seconds(1), err);            /* a minute after that it works */
    if (st == MF_OK)
        st = mf_test_swarm_dispatched(t, "packing", (const char *[]){"pack", "pack", "pack"}, 3, err);
    if (st == MF_OK)
        st = mf_run_wait(run, mf_minutes(61), NULL, err);       /* one worker, 20 minutes a parcel */
    if (st == MF_OK && (s.charges != 1 || s.packed != 3 || s.mails != 1))
        st = mf_fail(err, MF_E_STATE, "%u charges, %u packed, %u mails", s.charges, s.packed, s.mails);
    mf_run_destroy(run);
    mf_test_destroy(t);
    return st;
}

/* A thousand schedules of crashes, lost claims, refused commits and messages that come twice. */
static void reset(void *user)
{
    *(shop *)user = (shop){.refusals = 1};
}

static mf_run *start(mf_client *mage, void *user, mf_error *err)
{
    (void)user;
    return place_order(mage, 17, 5, err);
}

static mf_status check(mf_client *mage, const mf_key *order, void *user, mf_error *err)
{
    const shop *s = user;
    mf_counts counts;
    mf_status st = mf_count(mage, order, &counts, err);
    if (st == MF_OK && counts.status != MF_STATUS_DONE)
        st = mf_fail(err, MF_E_STATE, "the order is %s", mf_signature_status_name(counts.status));
    if (st == MF_OK && s->charges != 1)
        st = mf_fail(err, MF_E_STATE, "charged %u times", s->charges);
    return st;
}

static mf_status no_crash_charges_anybody_twice(mf_error *err)
{
    shop s;
    return mf_sim_run(MF_SIM_OPTIONS(.seeds = 1000, .reset = reset, .declare = declare, .start = start, .check = check,
                                     .user = &s), err);
}

int main(void)
{
    static const struct {
        const char *name;
        mf_status (*run)(mf_error *err);
    } tests[] = {
        {"an order is a chain of three", an_order_is_a_chain_of_three},
        {"a refused card is tried again", a_refused_card_is_tried_again},
        {"no crash charges anybody twice", no_crash_charges_anybody_twice},
    };
    int failed = 0;
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        mf_error err = {.text = "no reason given"};
        mf_status st = tests[i].run(&err);
        printf("%s: %s\n", tests[i].name, st == MF_OK ? "fine" : err.text);
        failed += st != MF_OK;
    }
    return failed;
}
