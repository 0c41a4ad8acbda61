/* Who holds which claim. A lease that expires, a process that dies: the claim becomes void and the message somebody else's. */
#include "sim_private.h"

#undef uthash_malloc
#undef uthash_free
#define uthash_malloc(size) mfi_sim_new(sim, (size))
#define uthash_free(at, size) (void)(at)

struct mfi_claim_kept {
    uint64_t       token;
    mf_claim       claim;
    mfi_process   *process;
    mfi_parcel    *parcel;      /* its message, where that lies with the manager; NULL: the store has it */
    uint64_t       step;        /* when it was given */
    int64_t        until_ms;    /* its lease ends, on the store's clock; INT64_MAX: it has none */
    bool           held;
    UT_hash_handle hh;
};

static mfi_claim_kept *find(mfi_sim *sim, uint64_t token)
{
    mfi_claim_kept *kept = NULL;
    HASH_FIND(hh, sim->claims, &token, sizeof token, kept);
    return kept;
}

static int64_t lease_end(mfi_sim *sim)
{
    return sim->config.lease_ms == 0 ? INT64_MAX : mf_store_now_ms(sim->store) + sim->config.lease_ms;
}

/* Its lease may have ended since. */
static bool is_held(mfi_sim *sim, mfi_claim_kept *kept)
{
    if (kept != NULL && kept->held && kept->until_ms <= mf_store_now_ms(sim->store)) {
        kept->held = false;
        sim->lapsed += !kept->process->dead;
    }
    return kept != NULL && kept->held;
}

static mfi_claim_kept *add(mfi_process *process, const mf_claim *claim)
{
    mfi_sim *sim = process->sim;
    mfi_claim_kept *kept = mfi_sim_new(sim, sizeof *kept);
    kept->token = claim->token;
    kept->claim = *claim;
    kept->process = process;
    kept->step = sim->steps;
    kept->until_ms = lease_end(sim);
    kept->held = true;
    HASH_ADD(hh, sim->claims, token, sizeof kept->token, kept);
    return kept;
}

void mfi_claims_note(mfi_process *process, const mf_taken *taken)
{
    add(process, &taken->claim);
}

void mfi_claims_note_elsewhere(mfi_process *process, const mf_claim *claim)
{
    mfi_claim_kept *kept = add(process, claim);
    kept->parcel = process->sim->current->parcel;
}

void mfi_claims_settled(mfi_sim *sim, uint64_t token)
{
    mfi_claim_kept *kept = find(sim, token);
    if (kept != NULL && kept->held)
        kept->held = false;
}

void mfi_claims_renewed(mfi_sim *sim, uint64_t token)
{
    mfi_claim_kept *kept = find(sim, token);
    if (kept != NULL)
        kept->until_ms = lease_end(sim);
}

bool mfi_claims_lose(mfi_sim *sim, uint64_t token)
{
    mfi_claim_kept *kept = find(sim, token);
    if (!is_held(sim, kept))
        return false;
    mf_error err = {0};
    if (mf_store_give_back(sim->store, &token, 1, &err) != MF_OK)
        mfi_sim_break(sim, "a claim cannot be taken away: %s", err.text);
    if (kept->parcel != NULL && !kept->process->dead)
        mfi_parcel_again(sim, kept->parcel, 0);
    sim->lost_claims = true;
    kept->held = false;
    mfi_process_tell(sim, NULL);
    return true;
}

void mfi_claims_lose_all(mfi_process *process)
{
    mfi_sim *sim = process->sim;
    if (sim->config.lease_ms != 0)
        return;     /* nobody knows that it is dead; its leases end */
    for (mfi_claim_kept *kept = sim->claims; kept != NULL; kept = kept->hh.next)
        if (kept->held && kept->process == process)
            mfi_claims_lose(sim, kept->token);
}

bool mfi_sim_claim_is_held(mfi_sim *sim, uint64_t token)
{
    return is_held(sim, find(sim, token));
}

const mf_claim *mfi_claims_of(mfi_sim *sim, uint64_t token)
{
    const mfi_claim_kept *kept = find(sim, token);
    return kept == NULL ? NULL : &kept->claim;
}

uint64_t mfi_claims_step(mfi_sim *sim, uint64_t token)
{
    const mfi_claim_kept *kept = find(sim, token);
    return kept == NULL ? 0 : kept->step;
}
