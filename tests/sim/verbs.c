/* What a program does to a flow from outside. A verb is a function and its line in the table. */
#include "flows.h"

#include "thread.h"

/* ---- starting and waiting ------------------------------------------------------------------------------------------------ */

static bool is_stored(const mfi_sim *sim, const mf_key *key)
{
    mf_record record = {0};
    bool there = mf_key_is_set(key) && mf_store_load(mfi_sim_store((mfi_sim *)(uintptr_t)sim), key, 1, &record, NULL) == MF_OK &&
                 record.spec != NULL;
    mf_record_release(&record);
    return there;
}

static mf_run *start(mf_client *client, flow *f, mf_error *err)
{
    mf_signature *sig = flow_build(f, f->root, client, err);
    if (sig == NULL)
        return NULL;
    f->root_key = mf_signature_key(sig);
    mf_run *run = mf_start(sig, mf_msg("{s:I}", "m", f->message), err);
    mf_signature_destroy(sig);
    return run;
}

/* As a careful program does it: what it began before a crash it looks for before it begins again. */
static bool run_flow(mf_client *client, void *arg)
{
    flow *f = arg;
    mfi_sim *sim = mfi_sim_here();
    mf_error err = {0};
    mf_run *run = is_stored(sim, &f->root_key) ? mf_run_open(client, &f->root_key, &err) : start(client, f, &err);
    if (run == NULL) {
        if (err.status != MF_E_IO && err.status != MF_E_NOMEM)
            mfi_sim_break(sim, "the flow cannot be started: %s", err.text);
        return false;
    }
    f->started = true;
    mf_status st = MF_OK;
    if (f->waits) {
        st = mf_run_wait(run, MF_FOREVER, NULL, &err);
        f->waited = st;
    }
    mf_run_destroy(run);
    return st != MF_E_IO && st != MF_E_NOMEM;
}

/* ---- verbs --------------------------------------------------------------------------------------------------------------- */

typedef struct verb_call {
    flow      *f;
    node      *n;
    mf_duration after;
    bool     (*verb)(mf_client *client, struct verb_call *call, mf_error *err);
} verb_call;

static bool verb_cancel(mf_client *client, verb_call *call, mf_error *err)
{
    call->n->cancel_tried = true;
    mf_status st = mf_cancel(client, &call->n->key, err);
    return st == MF_OK || st == MF_E_STATE || st == MF_E_NOT_FOUND;
}

static bool verb_count(mf_client *client, verb_call *call, mf_error *err)
{
    mf_counts counts;
    mf_status st = mf_count(client, &call->n->key, &counts, err);
    if (st == MF_OK && counts.done + counts.failed + counts.canceled + counts.running > counts.total &&
        call->n->kind != NODE_TASK)
        mfi_sim_break(mfi_sim_here(), "%.12s counts more ends than items", call->n->key.text);
    return st == MF_OK || st == MF_E_NOT_FOUND;
}

static const struct verb {
    bool   (*verb)(mf_client *client, verb_call *call, mf_error *err);
    unsigned odds;      /* one flow in so many */
} verbs[] = {
    {verb_cancel, 3},
    {verb_cancel, 6},
    {verb_count, 6},
};

static bool run_verb(mf_client *client, void *arg)
{
    verb_call *call = arg;
    mf_error err = {0};
    mfi_thread_sleep(call->after);
    call->after = 0;
    if (!call->f->started || !mf_key_is_set(&call->n->key)) {
        if (!call->f->started)
            return false;
        return true;
    }
    bool done = call->verb(client, call, &err);
    if (!done && err.status != MF_E_IO && err.status != MF_E_NOMEM)
        mfi_sim_break(mfi_sim_here(), "a verb fails: %s", err.text);
    return done;
}

void flow_programs(flow *f, mfi_sim *sim, unsigned processes, uint64_t seed)
{
    mfi_prng prng = mfi_prng_of(seed, 11);
    f->waits = mfi_prng_one_in(&prng, 3);
    mfi_sim_program(sim, mfi_prng_below(&prng, processes), "start", run_flow, f);
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (!mfi_prng_one_in(&prng, verbs[i].odds))
            continue;
        verb_call *call = mfi_sim_new(sim, sizeof *call);
        *call = (verb_call){.f = f, .n = &f->nodes[mfi_prng_below(&prng, f->node_count)], .verb = verbs[i].verb,
                            .after = mf_microseconds(mfi_prng_below(&prng, 30000))};
        mfi_sim_program(sim, mfi_prng_below(&prng, processes), "verb", run_verb, call);
    }
}
