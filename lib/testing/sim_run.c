/* The simulator for somebody's own flow: seed after seed, each a schedule with what it starts and what it checks. */
#include <mageflow/testing.h>

#include <stdio.h>

#include "sim.h"

#define DEFAULT_SEEDS 1000

struct schedule {
    const mf_sim_options *options;
    mfi_sim              *sim;
    mf_key                flow;         /* that the program started; unset: not stored yet */
    bool                  checked;
};

/* The commit that stores the flow's beginning: from here on it is there, whatever becomes of whoever started it. */
static void committed(void *user, mfi_process *process, const mf_batch *batch)
{
    struct schedule *s = user;
    const char *strand = mfi_sim_strand_name();
    (void)process;
    if (strand == NULL || strcmp(strand, "start") != 0 || mf_key_is_set(&s->flow) || batch->entry_count == 0)
        return;
    if (batch->put_count > 0)
        s->flow = batch->puts[batch->put_count - 1].spec->key;
    else if (batch->item_count > 0)
        s->flow = batch->key;       /* the last page of its items */
}

static bool start(mf_client *client, void *arg)
{
    struct schedule *s = arg;
    mf_error err = {0};
    if (mf_key_is_set(&s->flow))
        return true;
    mf_run *run = s->options->start(client, s->options->user, &err);
    if (run != NULL) {
        s->flow = mf_run_key(run);
        mf_run_destroy(run);
        return true;
    }
    if (err.status == MF_OK)
        mfi_sim_break(s->sim, "start: it returned NULL, and nothing that it called had failed");
    else if (err.status != MF_E_IO && err.status != MF_E_NOMEM)
        mfi_sim_break(s->sim, "start: %s", err.text);
    return mfi_sim_is_broken(s->sim);
}

static bool check(mf_client *client, void *arg)
{
    struct schedule *s = arg;
    mf_error err = {.text = "no reason was given"};
    s->checked = true;
    mf_status st = s->options->check(client, &s->flow, s->options->user, &err);
    if (st != MF_OK)
        mfi_sim_break(s->sim, "check: %s", err.text);
    return true;
}

static mfi_sim_config configure(const mf_sim_options *o, uint64_t seed, struct schedule *s)
{
    mfi_prng prng = mfi_prng_of(seed, 20);
    mfi_sim_config c = {
        .seed = seed,
        .processes = 1 + mfi_prng_below(&prng, o->processes),
        .workers = 1 + mfi_prng_below(&prng, o->threads),
        .queue = mfi_prng_one_in(&prng, 2),
        .no_fast_path = mfi_prng_one_in(&prng, 4),
        .faults = o->no_faults ? 0 : 1 + mfi_prng_below(&prng, o->faults),
        .odds = 4u << mfi_prng_below(&prng, 5),
        .kinds = MFI_FAULTS_ALL,
        .declare = o->declare,
        .user = o->user,
        .line = o->trace,
        .line_user = o->user,
        .committed = committed,
        .committed_user = s,
    };
    if (mfi_prng_one_in(&prng, 2))      /* one kind of fault alone, and more of it */
        c.kinds = MFI_FAULT_BIT(mfi_prng_below(&prng, MFI_FAULTS));
    return c;
}

/* The first line of each trace: also of the last one, where the program itself does not survive a schedule. */
static void tell_seed(const mf_sim_options *o, const mfi_sim_config *c)
{
    char line[200], faults[60] = "no faults";
    if (c->faults != 0)
        snprintf(faults, sizeof faults, "at most %u fault%s", c->faults, c->faults == 1 ? "" : "s");
    const char *kind = "";
    for (mfi_fault f = 0; c->faults != 0 && f < MFI_FAULTS; f++)
        kind = c->kinds == MFI_FAULT_BIT(f) ? mfi_fault_name(f) : kind;
    snprintf(line, sizeof line, "seed %llu: %u process%s of %u thread%s, messages in %s, %s%s%s", (unsigned long long)c->seed,
             c->processes, c->processes == 1 ? "" : "es", c->workers, c->workers == 1 ? "" : "s",
             c->queue ? "a queue of the manager's" : "the store", faults, *kind != '\0' ? " of one kind: " : "", kind);
    o->trace(o->user, line);
}

static mf_status run_schedule(struct schedule *s, mf_error *err)
{
    mfi_sim_program(s->sim, 0, "start", start, s);
    mf_status st = mfi_sim_settle(s->sim, err);
    if (st == MF_OK && !mf_key_is_set(&s->flow))
        st = mf_fail(err, MF_E_TASK_FAILED, "start: it returned, and no flow was stored");
    if (st == MF_OK) {
        mfi_audit_end(s->sim);
        st = mfi_sim_settle(s->sim, err);
    }
    mfi_sim_calm(s->sim);
    if (st == MF_OK && s->options->check != NULL) {
        mfi_sim_program(s->sim, 0, "check", check, s);
        st = mfi_sim_settle(s->sim, err);
    }
    if (st == MF_OK && s->options->check != NULL && !s->checked)
        st = mf_fail(err, MF_E_TASK_FAILED, "the check was not called");
    return st != MF_OK ? st : mfi_sim_close(s->sim, err);
}

static mf_status run_seed(const mf_sim_options *o, uint64_t seed, mf_error *err)
{
    struct schedule s = {.options = o};
    mf_error why = {0};
    if (o->reset != NULL)
        o->reset(o->user);
    mfi_sim_config config = configure(o, seed, &s);
    if (o->trace != NULL)
        tell_seed(o, &config);
    mf_status st = mfi_sim_create(&config, &s.sim, &why);
    if (st == MF_OK)
        st = run_schedule(&s, &why);
    mfi_sim_destroy(s.sim);
    if (st == MF_OK || st == MF_E_NOMEM)
        return st == MF_OK ? st : mf_fail(err, st, "%s", why.text);
    return mf_fail(err, MF_E_TASK_FAILED, "seed %llu: %s (again with .first = %llu, .seeds = 1)", (unsigned long long)seed,
                   why.text, (unsigned long long)seed);
}

static mf_status check_options(const mf_sim_options *options, mf_sim_options *o, mf_error *err)
{
    if (options == NULL || options->struct_size == 0)
        return mf_fail(err, MF_E_INVALID, "simulator: struct_size is 0; make the options with MF_SIM_OPTIONS(...)");
    memcpy(o, options, options->struct_size < sizeof *o ? options->struct_size : sizeof *o);
    if (o->declare == NULL || o->start == NULL)
        return mf_fail(err, MF_E_INVALID, "simulator: expected a function in .%s, got NULL", o->declare == NULL ? "declare" : "start");
    if (o->processes > 8 || o->threads > 64)
        return mf_fail(err, MF_E_INVALID, "simulator: expected at most 8 processes of 64 threads, got %u of %u", o->processes,
                       o->threads);
    if (mfi_sim_here() != NULL)
        return mf_fail(err, MF_E_STATE, "simulator: this thread has a test, or is in a simulation already");
    o->first = o->first != 0 ? o->first : 1;
    o->seeds = o->seeds != 0 ? o->seeds : DEFAULT_SEEDS;
    o->processes = o->processes != 0 ? o->processes : 3;
    o->threads = o->threads != 0 ? o->threads : 3;
    o->faults = o->faults != 0 ? o->faults : 4;
    return MF_OK;
}

mf_status mf_sim_run(const mf_sim_options *options, mf_error *err)
{
    mf_sim_options o = {0};
    mf_status st = check_options(options, &o, err);
    for (uint64_t i = 0; st == MF_OK && i < o.seeds; i++)
        st = run_seed(&o, o.first + i, err);
    mfi_fiber_fini();
    return st;
}
