/* Without memory: from opening a client to the end of a small flow, each allocation is made to fail in turn, once.
 *
 * Either everything works all the same, since an outcome is kept and tried again, or a call says MF_E_NOMEM and gives
 * nothing. Nothing crashes, nothing is lost, and whatever was made is released. */
#include "kit.h"

#include <stdlib.h>

typedef mf_signature *make_fn(mf_client *mage, mf_error *err);

typedef struct trial {
    counting_allocator counting;
    const flow_maker  *maker;
    make_fn           *make;
    mf_status          st;          /* the first that was not MF_OK */
    char               where[32];
    char               result[64];
} trial;

static mf_status plus_one(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)user;
    int64_t n = 0;
    if (mf_message_scan(in, NULL, "{s?:I}", "mageflow_results", &n) != MF_OK)
        return mf_task_fail(ctx, MF_FINAL, "InvalidMessage", "no number");
    *out = mf_msg("I", n + 1);
    return MF_OK;
}

static mf_status breaks(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)in, (void)out, (void)user;
    return mf_task_fail(ctx, MF_FINAL, "Boom", "it broke");
}

static bool well(trial *t, mf_status st, const char *where)
{
    if (st != MF_OK && t->st == MF_OK) {
        t->st = st;
        snprintf(t->where, sizeof t->where, "%s", where);
    }
    return t->st == MF_OK;
}

/* Draws 1 and 2, as {mageflow_results}. */
static mf_status next(const mf_message *message, mf_cursor *cursor, mf_message **item, void *user, mf_error *err)
{
    (void)message, (void)user;
    if (cursor->len == 2)
        return MF_OK;
    *item = mf_msg("{s:i}", "mageflow_results", cursor->len + 1);
    cursor->bytes[cursor->len++] = 0;
    return mf_message_status(*item) == MF_OK ? MF_OK : mf_fail(err, MF_E_NOMEM, "no memory for a number");
}

static mf_signature *map_of(mf_client *mage, mf_error *err)
{
    mf_signature *each = mf_on_success(mf_sign(mage, "plus_one", NULL, err), mf_sign(mage, "plus_one", NULL, err), err);
    mf_signature *map = mf_map(mage, "map", "two", each, NULL, err);
    return mf_on_success(map, mf_sign(mage, "breaks", NULL, err), err);
}

/* A chain of a task and a swarm of two, one of which fails, with a callback. */
static mf_signature *flow_of(mf_client *mage, mf_error *err)
{
    mf_signature *bad = mf_on_error(mf_sign(mage, "breaks", NULL, err), mf_sign(mage, "plus_one", NULL, err), err);
    mf_signature *swarm = mf_swarm(mage, "swarm", MF_SWARM_OPTIONS(.kwargs = mf_msg("{s:i}", "k", 1)), err);
    swarm = mf_swarm_add(swarm, mf_sign(mage, "plus_one", NULL, err), err);
    swarm = mf_swarm_close(mf_swarm_add(swarm, bad, err), err);
    mf_signature *chain = mf_chain_add(mf_chain(mage, "chain", NULL, err), mf_sign(mage, "plus_one", NULL, err), err);
    return mf_chain_add(chain, swarm, err);
}

static void run_flow(trial *t, mf_client *mage)
{
    mf_error err = {0};
    mf_message *result = NULL;
    mf_signature *sig = t->make(mage, &err);
    mf_run *run = mf_start(sig, mf_msg("{s:i}", "mageflow_results", 1), &err);
    if (well(t, run != NULL ? MF_OK : err.status, "start")) {
        mf_status st = mf_run_wait(run, PATIENCE, &result, &err);
        if (st == MF_E_NOMEM)       /* the end is there; without memory it could not be told */
            st = mf_run_wait(run, PATIENCE, &result, &err);
        if (well(t, st, "wait"))
            snprintf(t->result, sizeof t->result, "%s", json_of(result));
        else
            snprintf(t->result, sizeof t->result, "%.60s", err.text);
    }
    mf_message_unref(result);
    mf_run_destroy(run);
    mf_signature_destroy(sig);
}

static void try_flow(trial *t)
{
    mf_error err = {0};
    mf_store *store = NULL;
    mf_client *mage = NULL;
    mf_options options = {.struct_size = sizeof options, .allocator = &t->counting.allocator, .threads = 2};
    if (!well(t, mf_memory_store_create(&t->counting.allocator, NULL, &store, &err), "store") ||
        !well(t, t->maker->open(&options, store, &mage, &err), "open"))
        return;
    if (well(t, mf_task(mage, MF_TASK_DEF(.name = "plus_one", .run = plus_one), &err), "task") &&
        well(t, mf_task(mage, MF_TASK_DEF(.name = "breaks", .run = breaks), &err), "task") &&
        well(t, mf_source(mage, MF_SOURCE_DEF(.name = "two", .next = next), &err), "source"))
        run_flow(t, mage);
    (void)mf_drain(mage, PATIENCE);
    mf_client_destroy(mage);
}

static void is_released(const trial *t, long n)
{
    cr_assert(eq(long, atomic_load(&t->counting.live), 0), "%s, allocation %ld: not released", t->maker->name, n);
    cr_assert(eq(long, atomic_load(&t->counting.wrong_size), 0));
}

static void fail_each(size_t maker, make_fn *make, const char *result)
{
    long worked = 0, refused = 0, n = 1;
    for (bool reached = true; reached; n++) {
        trial *t = calloc(1, sizeof *t);
        t->maker = &flow_makers[maker];
        t->make = make;
        counting_init(&t->counting);
        atomic_store(&t->counting.fail_at, n);
        try_flow(t);
        is_released(t, n);
        if (t->st == MF_OK)
            is_text(t->result, result);
        else
            cr_assert(eq(str, (char *)mf_status_name(t->st), "MF_E_NOMEM"), "%s, allocation %ld, %s: %s", t->maker->name, n,
                      t->where, t->result);
        worked += t->st == MF_OK;
        refused += t->st != MF_OK;
        reached = atomic_load(&t->counting.calls) >= n;
        free(t);
    }
    cr_assert(all(gt(long, worked, 20), gt(long, refused, 20)), "%ld worked, %ld were refused", worked, refused);
}

ParameterizedTestParameters(flow_nomem, a_chain_around_a_swarm_works_or_is_refused_clearly)
{
    return flow_parameters();
}

ParameterizedTest(size_t *maker, flow_nomem, a_chain_around_a_swarm_works_or_is_refused_clearly, .timeout = 170)
{
    fail_each(*maker, flow_of, "[3,null]");
}

ParameterizedTestParameters(flow_nomem, a_map_works_or_is_refused_clearly)
{
    return flow_parameters();
}

ParameterizedTest(size_t *maker, flow_nomem, a_map_works_or_is_refused_clearly, .timeout = 170)
{
    fail_each(*maker, map_of, "[2,3]");
}
