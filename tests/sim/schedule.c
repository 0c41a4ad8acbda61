#include "flows.h"

#include <stdlib.h>

#define LEASE_MS      900
#define OF_DELIVERIES (MFI_FAULT_BIT(MFI_FAULT_TWICE) | MFI_FAULT_BIT(MFI_FAULT_LATE))
#define OF_MESSAGES   (OF_DELIVERIES | MFI_FAULT_BIT(MFI_FAULT_REFUSED) | MFI_FAULT_BIT(MFI_FAULT_LOST_PUBLISH))

static mfi_sim_config configure(uint64_t seed)
{
    mfi_prng prng = mfi_prng_of(seed, 12);
    mfi_sim_config c = {
        .seed = seed,
        .processes = 1 + mfi_prng_below(&prng, 3),
        .workers = 1 + mfi_prng_below(&prng, 3),
        .queue = mfi_prng_one_in(&prng, 2),
        .no_fast_path = mfi_prng_one_in(&prng, 4),
        .faults = 1 + mfi_prng_below(&prng, 4),
        .odds = 6u << mfi_prng_below(&prng, 5),
        .kinds = MFI_FAULTS_ALL,
        .lease_ms = mfi_prng_one_in(&prng, 3) ? LEASE_MS : 0,
        .peer = serve_as_peer,
    };
    c.deaths_max = mfi_prng_one_in(&prng, 2) ? 1 + mfi_prng_below(&prng, 2) : 0;
    /* Half of the schedules try one kind of fault alone, and more of it. */
    if (mfi_prng_one_in(&prng, 2)) {
        c.kinds = MFI_FAULT_BIT(mfi_prng_below(&prng, MFI_FAULTS));
        c.faults += 2;
        c.odds /= 2;
        if ((c.kinds & OF_MESSAGES) != 0) {     /* of many messages few lead to what is rare */
            c.faults += (c.kinds & OF_DELIVERIES) != 0 ? 20 : 6;
            c.odds = 3;
        }
    }
    return c;
}

/* The commit that stores the root: from there on the flow is accepted. */
static void committed(void *user, mfi_process *process, const mf_batch *batch)
{
    flow *f = user;
    (void)process;
    for (size_t i = 0; i < batch->put_count; i++)
        f->stored = f->stored || mf_key_eq(&batch->puts[i].spec->key, &f->root_key);
}

static bool run_once(const mfi_sim_config *config, void *line_user, schedule_result *result, mf_error *err)
{
    flow *f = malloc(sizeof *f);
    mfi_sim *sim = NULL;
    if (f == NULL) {
        mf_fail(err, MF_E_NOMEM, "no memory for a flow");
        return false;
    }
    flow_generate(f, config->seed, config->queue, config->queue && config->deaths_max > 0);
    mfi_sim_config c = *config;
    c.declare = declare_tasks;
    c.user = f;
    c.committed = committed;
    c.committed_user = f;
    mf_status st = mfi_sim_create(&c, &sim, err);
    if (st == MF_OK) {
        flow_programs(f, sim, c.processes, c.seed);
        st = mfi_sim_settle(sim, err);
    }
    if (c.line != NULL)
        flow_print(f, c.line, line_user);
    if (st == MF_OK) {
        mfi_audit_end(sim);
        if (!mfi_sim_is_broken(sim))
            model_check(f, sim);
        st = mfi_sim_settle(sim, err);      /* nothing is left to do: only tells what broke */
    }
    if (st == MF_OK && !f->started)
        st = mf_fail(err, MF_E_STATE, "the flow was never started");
    *result = (schedule_result){.faults = mfi_sim_faults(sim), .crashes = mfi_sim_crashes(sim), .restarts = mfi_sim_restarts(sim),
                                .lapsed = mfi_sim_lapsed(sim), .answers = mfi_sim_answers(sim),
                                .dead_letters = mfi_sim_dead_letters(sim), .overtaken = mfi_sim_overtaken(sim), .steps = mfi_sim_steps(sim), .items = f->item_count};
    if (st == MF_OK)
        st = mfi_sim_close(sim, err);
    mfi_sim_destroy(sim);
    free(f);
    return st == MF_OK;
}

/* A schedule that went by without a fault is run again with more of them. */
bool schedule_run(uint64_t seed, mfi_cells *cells, void (*line)(void *user, const char *text), void *user,
                  schedule_result *result, mf_error *err)
{
    mfi_sim_config c = configure(seed);
    c.cells = cells;
    c.line = line;
    c.line_user = user;
    bool fine = true;
    unsigned odds = c.odds;
    for (;;) {
        fine = run_once(&c, user, result, err);
        if (!fine || result->faults > 0)
            return fine;
        if (odds <= 1) {
            if (c.kinds == MFI_FAULTS_ALL)
                return fine;
            c.kinds = MFI_FAULTS_ALL;       /* this kind meets nothing in such a flow */
            odds = 16;
        }
        odds /= 2;
        c.odds = odds > 0 ? odds : 1;
    }
}
