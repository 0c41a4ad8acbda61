/* What a program does to a flow from outside. A verb is a function and its line in the table. */
#include "flows.h"

#include <mageflow/control.h>

#include "thread.h"

#define RESTARTS 2      /* at most */

/* ---- starting and waiting ------------------------------------------------------------------------------------------------ */

static mf_run *start(mf_client *client, flow *f, mf_error *err)
{
    mf_signature *sig = flow_build(f, f->root, client, err);
    if (sig == NULL)
        return NULL;
    f->root_key = mf_signature_key(sig);
    mf_run *run = mf_start_with(sig, mf_msg("{s:I}", "m", f->message),
                                MF_START_OPTIONS(.delay = mf_milliseconds(f->delay_ms), .priority = f->priority), err);
    mf_signature_destroy(sig);
    return run;
}

/* As a careful program does it: what it began before a crash it looks for before it begins again. */
static bool run_flow(mf_client *client, void *arg)
{
    flow *f = arg;
    mfi_sim *sim = mfi_sim_here();
    mf_error err = {0};
    mf_run *run = f->stored ? mf_run_open(client, &f->root_key, &err) : start(client, f, &err);
    if (run == NULL && f->stored && err.status == MF_E_NOT_FOUND) {
        f->started = true;      /* and removed since */
        f->waits = false;
        return true;
    }
    if (run == NULL) {
        if (err.status != MF_E_IO && err.status != MF_E_NOMEM && err.status != MF_E_TIMEOUT)
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
    flow       *f;
    node       *n;
    mf_key      key;            /* what was paused: the node may be built again meanwhile, under another key */
    mf_duration after, then;    /* when it begins; and how long it lets pass in the middle */
    unsigned    phase;          /* of a verb in two halves; and how many items were added */
    bool      (*verb)(mf_client *client, struct verb_call *call, mf_error *err);
} verb_call;

/* Called again until it answers true. A status that says that nothing was changed, or that somebody holds a lock, is a reason
 * to try again; that it has ended, or is gone, is an end. */
static bool is_over(mf_client *client, verb_call *call, mf_status st, mf_error *err)
{
    bool done = true;
    if (st == MF_OK || st == MF_E_NOT_FOUND)
        return true;
    if (st != MF_E_STATE)
        return false;
    st = mf_is_done(client, &call->n->key, &done, err);
    return st == MF_E_NOT_FOUND || (st == MF_OK && done);
}

static bool verb_cancel(mf_client *client, verb_call *call, mf_error *err)
{
    call->n->cancel_tried = true;
    mf_status st = mf_cancel(client, &call->n->key, err);
    return st == MF_E_STATE || is_over(client, call, st, err);
}

static bool verb_remove(mf_client *client, verb_call *call, mf_error *err)
{
    call->n->remove_tried = true;
    mf_status st = mf_remove(client, &call->n->key, call->f->message % 2 == 0 ? MF_REMOVE_ALL : MF_REMOVE_ALONE, err);
    return st == MF_E_STATE || is_over(client, call, st, err);
}

/* What was paused is resumed, whatever happens in between: or the flow would never end. */
static bool resume_again(mf_client *client, verb_call *call, mf_error *err)
{
    mf_counts counts;
    mf_status st = mf_resume(client, &call->key, err);
    if (st != MF_E_STATE)
        return st == MF_OK || st == MF_E_NOT_FOUND;
    st = mf_count(client, &call->key, &counts, err);     /* a lock, or nothing to resume */
    return st == MF_E_NOT_FOUND ||
           (st == MF_OK && counts.status != MF_STATUS_SUSPENDED && counts.status != MF_STATUS_INTERRUPTED);
}

static bool pause_and_resume(mf_client *client, verb_call *call, mf_error *err, bool interrupts)
{
    if (call->phase == 0) {
        call->phase = 1;
        call->key = call->n->key;
        mf_status st = interrupts ? mf_interrupt(client, &call->key, err) : mf_suspend(client, &call->key, err);
        if (st == MF_E_NOT_FOUND)
            return true;
        mfi_thread_sleep(call->then);
    }
    return resume_again(client, call, err);
}

static bool verb_suspend(mf_client *client, verb_call *call, mf_error *err)
{
    return pause_and_resume(client, call, err, false);
}

static bool verb_interrupt(mf_client *client, verb_call *call, mf_error *err)
{
    return pause_and_resume(client, call, err, true);
}

/* Where it is not given back, its lease ends it. */
static bool verb_lock(mf_client *client, verb_call *call, mf_error *err)
{
    uint64_t lock = 0;
    mf_status st = mf_lock(client, &call->n->key, call->then + mf_milliseconds(1), &lock, err);
    if (st != MF_OK)
        return is_over(client, call, st, err);
    mfi_thread_sleep(call->then);
    (void)mf_unlock(client, &call->n->key, lock, err);
    return true;
}

static bool verb_priority(mf_client *client, verb_call *call, mf_error *err)
{
    mf_edit *edit = mf_edit_begin(client, err);
    if (edit == NULL)
        return false;
    mf_status st = mf_edit_priority(edit, &call->n->key, 3, err);
    if (st != MF_OK) {
        mf_edit_drop(edit);
        return st == MF_E_NOT_FOUND;
    }
    st = mf_edit_commit(edit, err);
    return st == MF_OK || st == MF_E_NOT_FOUND || st == MF_E_STATE;
}

/* A field that no body looks at, so that whatever received it answers the same; and whether it stays, the model asks. */
static bool verb_kwargs(mf_client *client, verb_call *call, mf_error *err)
{
    mf_key key = call->n->key;
    mf_edit *edit = mf_edit_begin(client, err);
    if (edit == NULL)
        return false;
    mf_status st = mf_edit_kwargs(edit, &key, mf_msg("{s:b}", "edited", true), err);
    if (st != MF_OK) {
        mf_edit_drop(edit);
        return false;
    }
    st = mf_edit_commit(edit, err);
    if (st == MF_OK)
        call->n->edited = key;
    return st == MF_OK || st == MF_E_NOT_FOUND || st == MF_E_STATE;
}

/* Two copies that nobody starts: they are made whole, and go without a trace. */
static bool verb_duplicate(mf_client *client, verb_call *call, mf_error *err)
{
    mf_signature *copies[2];
    mf_status st = mf_signature_duplicate_many(client, &call->n->key, 2, copies, err);
    if (st != MF_OK)
        return st == MF_E_NOT_FOUND;
    mf_key one = mf_signature_key(copies[0]), other = mf_signature_key(copies[1]);
    if (mf_key_eq(&one, &other) || mf_key_eq(&one, &call->n->key))
        mfi_sim_break(mfi_sim_here(), "%.12s was duplicated under a key that is taken", one.text);
    mf_signature_destroy(copies[0]);
    mf_signature_destroy(copies[1]);
    return true;
}

static bool verb_event(mf_client *client, verb_call *call, mf_error *err)
{
    size_t woken = 0;
    (void)call;
    return mf_event_send(client, "go", NULL, &woken, err) == MF_OK;
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

/* Whether what is not there may still be added to something above it. */
static bool may_still_come(const node *n)
{
    for (const node *below = n; n != NULL; below = n, n = n->parent)
        if (n != below && n->open && below->index >= n->late && !n->filled)
            return true;
    return false;
}

/* Items are added to an open swarm one by one, and then it is closed. What went through before a crash is in its count. */
static bool fill(mf_client *client, verb_call *call, const mf_key *key, mf_error *err)
{
    node *n = call->n;
    call->phase = 0;        /* it may be another one than at the last look: built again after a crash */
    while (n->late + call->phase < n->child_count && mf_key_eq(key, &n->key)) {
        mf_counts counts;
        mf_status st = mf_count(client, key, &counts, err);
        if (st != MF_OK)
            return st == MF_E_NOT_FOUND && !may_still_come(n);
        if (mf_signature_status_ended(counts.status))
            return true;
        if (counts.total > n->late + call->phase) {
            call->phase++;
            continue;
        }
        mf_signature *item = flow_build(call->f, n->children[n->late + call->phase], client, err);
        if (item == NULL)
            return false;
        st = mf_items_add(client, key, &item, 1, err);
        if (st != MF_OK)
            return is_over(client, call, st, err);
    }
    if (!mf_key_eq(key, &n->key))
        return false;
    mf_status st = mf_items_close(client, key, err);
    return st == MF_E_NOT_FOUND ? !may_still_come(n) : is_over(client, call, st, err);
}

static bool verb_fill(mf_client *client, verb_call *call, mf_error *err)
{
    mf_key key = call->n->key;
    bool over = (!mf_key_is_set(&key) || fill(client, call, &key, err)) && !may_still_come(call->n) && mf_key_eq(&key, &call->n->key);
    call->n->filled = over;
    if (!over && err->status == MF_OK)
        err->status = MF_E_STATE;       /* later */
    return over;
}

static const struct verb {
    bool   (*verb)(mf_client *client, verb_call *call, mf_error *err);
    unsigned odds;      /* one flow in so many */
} verbs[] = {
    {verb_cancel, 4},   {verb_cancel, 8},    {verb_count, 6},    {verb_suspend, 5}, {verb_suspend, 10}, {verb_interrupt, 5},
    {verb_interrupt, 9}, {verb_lock, 4},     {verb_priority, 8}, {verb_event, 2},   {verb_event, 2},   {verb_event, 2},   {verb_event, 3},   {verb_event, 3},   {verb_event, 3},    {verb_remove, 8}, {verb_kwargs, 5},
    {verb_kwargs, 9},    {verb_duplicate, 8},
};

static bool run_verb(mf_client *client, void *arg)
{
    verb_call *call = arg;
    mf_error err = {0};
    mfi_thread_sleep(call->after);
    call->after = 0;
    if (!call->f->started)
        return false;
    if (!mf_key_is_set(&call->n->key) && call->verb != verb_fill)
        return true;
    bool done = call->verb(client, call, &err);
    if (!done && err.status != MF_E_IO && err.status != MF_E_NOMEM && err.status != MF_E_STATE && err.status != MF_E_NOT_FOUND)
        mfi_sim_break(mfi_sim_here(), "a verb fails: %s: %s", mf_status_name(err.status), err.text);
    return done;
}

typedef struct restart_call {
    unsigned    slot;
    mf_duration after;
} restart_call;

static void add_verb(flow *f, mfi_sim *sim, mfi_prng *prng, unsigned processes, node *n,
                     bool (*verb)(mf_client *client, verb_call *call, mf_error *err))
{
    verb_call *call = mfi_sim_new(sim, sizeof *call);
    *call = (verb_call){.f = f, .n = n, .verb = verb, .after = mf_microseconds(mfi_prng_below(prng, 30000)),
                        .then = mf_microseconds(mfi_prng_below(prng, 30000))};
    mfi_sim_program(sim, mfi_prng_below(prng, processes), "verb", run_verb, call);
}

/* Its process closes and another one follows, as when a new version of a program is rolled out. */
static bool run_restart(mf_client *client, void *arg)
{
    const restart_call *call = arg;
    (void)client;
    mfi_thread_sleep(call->after);
    mfi_sim_restart(mfi_sim_here(), call->slot);
    return true;
}

static void add_restart(mfi_sim *sim, mfi_prng *prng, unsigned processes)
{
    restart_call *call = mfi_sim_new(sim, sizeof *call);
    *call = (restart_call){.slot = mfi_prng_below(prng, processes), .after = mf_microseconds(mfi_prng_below(prng, 30000))};
    mfi_sim_program(sim, call->slot, "restart", run_restart, call);
}

void flow_programs(flow *f, mfi_sim *sim, unsigned processes, uint64_t seed)
{
    mfi_prng prng = mfi_prng_of(seed, 11);
    f->waits = mfi_prng_one_in(&prng, 3);
    mfi_sim_program(sim, mfi_prng_below(&prng, processes), "start", run_flow, f);
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (mfi_prng_one_in(&prng, verbs[i].odds))
            add_verb(f, sim, &prng, processes, &f->nodes[mfi_prng_below(&prng, f->node_count)], verbs[i].verb);
    for (unsigned i = 0; i < RESTARTS; i++)
        if (mfi_prng_one_in(&prng, 4))
            add_restart(sim, &prng, processes);
    for (unsigned i = 0; i < f->node_count; i++)
        if (f->nodes[i].open)
            add_verb(f, sim, &prng, processes, &f->nodes[i], verb_fill);
}
