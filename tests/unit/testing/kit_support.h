/* unit/testing/kit_support.h: a test's client with a few tasks, and comparisons that say what they compared. */
#ifndef MFT_KIT_SUPPORT_H
#define MFT_KIT_SUPPORT_H

#include <mageflow/mageflow.h>
#include <mageflow/testing.h>

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#define is_text(got, want)   cr_assert(eq(str, (char *)(got), (char *)(want)))
#define is_status(got, want) cr_assert(eq(str, (char *)mf_status_name(got), (char *)mf_status_name(want)))

struct mail_in {
    mf_str to;
    int    copies;
};
MF_FIELDS(mail_in, struct mail_in, MF_STR(to, MF_REQUIRED), MF_INT(copies, .min = 1, .max = 9, .fallback = 1));

static mf_test *t;
static mf_client *mage;
static mf_error err;
static char calls[256];     /* the tasks that ran, "a b b " */

static inline mf_status noted(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)user;
    mf_str name = mf_context_execution_info(ctx)->task_name;
    size_t used = strlen(calls);
    cr_assert(lt(sz, used + name.len + 2, sizeof calls));
    memcpy(calls + used, name.at, name.len);
    calls[used + name.len] = ' ';
    calls[used + name.len + 1] = '\0';
    *out = mf_message_ref(in);
    return MF_OK;
}

static inline mf_status stumble(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    if (mf_context_execution_info(ctx)->attempt_number < 3)
        return mf_task_fail(ctx, MF_RETRY, "Stumble", "attempt %u", mf_context_execution_info(ctx)->attempt_number);
    return noted(ctx, in, out, user);
}

static inline mf_status nap(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    mf_status st = mf_context_sleep(ctx, mf_minutes(10));
    return st != MF_OK ? st : noted(ctx, in, out, user);
}

static inline mf_status deaf(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)in, (void)out, (void)user;
    while (mf_context_sleep(ctx, mf_minutes(1)) == MF_OK)
        ;
    return MF_E_RETRY;
}

static inline void open_test(bool run)
{
    calls[0] = '\0';
    cr_assert(eq(int, mf_test_create(MF_TEST_OPTIONS(.run = run), &t, &err), MF_OK), "%s", err.text);
    mage = mf_test_client(t);
    const mf_task_def defs[] = {
        {.name = "a", .run = noted}, {.name = "b", .run = noted}, {.name = "c", .run = noted},
        {.name = "mail", .run = noted, .in = &mail_in},
        {.name = "stumble", .run = stumble, .retries = 3, .backoff = mf_seconds(10)},
        {.name = "nap", .run = nap},
        {.name = "deaf", .run = deaf, .timeout = mf_seconds(30)},
    };
    for (size_t i = 0; i < sizeof defs / sizeof *defs; i++) {
        mf_task_def def = defs[i];
        def.struct_size = sizeof def;
        cr_assert(eq(int, mf_task(mage, &def, &err), MF_OK), "%s", err.text);
    }
}

static inline void close_test(void)
{
    mf_test_destroy(t);
    t = NULL;
}

/* Starts and lets go. */
static inline mf_key begin(mf_signature *sig, mf_message *message)
{
    mf_run *run = mf_start(sig, message, &err);
    cr_assert(ne(ptr, run, NULL), "%s", err.text);
    mf_key key = mf_run_key(run);
    mf_run_destroy(run);
    mf_signature_destroy(sig);
    return key;
}

static inline mf_signature *sign(const char *task, mf_message *kwargs)
{
    mf_signature *sig = mf_sign(mage, task, kwargs, &err);
    cr_assert(ne(ptr, sig, NULL), "%s", err.text);
    return sig;
}

static inline mf_signature *chain3(void)
{
    mf_signature *chain = mf_chain(mage, "order", NULL, &err);
    chain = mf_chain_add(chain, sign("a", NULL), &err);
    chain = mf_chain_add(chain, sign("b", NULL), &err);
    return mf_chain_add(chain, sign("c", NULL), &err);
}

static inline mf_signature *swarm3(void)
{
    mf_signature *swarm = mf_swarm(mage, "images", NULL, &err);
    swarm = mf_swarm_add(swarm, sign("a", NULL), &err);
    swarm = mf_swarm_add(swarm, sign("b", NULL), &err);
    swarm = mf_swarm_add(swarm, sign("b", NULL), &err);
    return mf_swarm_close(swarm, &err);
}

static inline mf_signature_status status_of(const mf_key *key)
{
    mf_counts counts;
    cr_assert(eq(int, mf_count(mage, key, &counts, &err), MF_OK), "%s", err.text);
    return counts.status;
}

#endif
