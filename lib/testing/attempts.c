/* Attempts of calls: which were sent, as the commits that went through say, and which are claimed to run.
 *
 * At every claim   no attempt of a unit is run once a later one was sent, however often its message comes.
 * At every commit  each attempt is sent once: what failed twice at the same time, since its claim was lost, is tried again once.
 *                  A message that is put off or parked is the same attempt, whose claim ends with it. */
#include "sim_private.h"

#include "framework.h"

#undef uthash_malloc
#undef uthash_free
#define uthash_malloc(size) mfi_sim_new(sim, (size))
#define uthash_free(at, size) (void)(at)

struct unit_key {
    mf_key   key;
    uint64_t index;
    uint64_t epoch;
};

struct mfi_attempts {
    struct unit_key of;
    uint32_t        latest;     /* above 1 */
    UT_hash_handle  hh;
};

static struct mfi_attempts *find(mfi_sim *sim, const mf_unit *unit)
{
    struct unit_key of = {unit->key, unit->index, unit->epoch};
    struct mfi_attempts *a = NULL;
    HASH_FIND(hh, sim->attempts, &of, sizeof of, a);
    return a;
}

static struct mfi_attempts *add(mfi_sim *sim, const mf_unit *unit)
{
    struct mfi_attempts *a = mfi_sim_new(sim, sizeof *a);
    a->of = (struct unit_key){unit->key, unit->index, unit->epoch};
    HASH_ADD(hh, sim->attempts, of, sizeof a->of, a);
    return a;
}

static bool same_unit(const mf_unit *a, const mf_unit *b)
{
    return mf_key_eq(&a->key, &b->key) && a->index == b->index && a->epoch == b->epoch;
}

/* The batch ends the claim of the attempt before. */
static bool is_retry(mfi_sim *sim, const mf_batch *b, const mf_entry *e)
{
    for (size_t i = 0; i < b->settle_count; i++) {
        const mf_claim *claim = mfi_claims_of(sim, b->settles[i]);
        if (claim != NULL && same_unit(&claim->unit, &e->unit) && claim->attempt + 1 == e->attempt)
            return true;
    }
    return false;
}

void mfi_attempts_committed(mfi_sim *sim, const mf_batch *b)
{
    for (size_t i = 0; i < b->entry_count; i++) {
        const mf_entry *e = &b->entries[i];
        if (e->attempt <= 1 || !mf_key_is_set(&e->unit.key) || mfi_framework_find(e->spec->name) != MFI_FRAMEWORK_TASKS)
            continue;
        struct mfi_attempts *a = find(sim, &e->unit);
        if (a != NULL && a->latest >= e->attempt && is_retry(sim, b, e))
            mfi_sim_break(sim, "attempt %u of %s %llu is sent a second time, the latest is %u", e->attempt, e->unit.key.text,
                          (unsigned long long)e->unit.index, a->latest);
        if (a == NULL)
            a = add(sim, &e->unit);
        if (e->attempt > a->latest)
            a->latest = e->attempt;
    }
}

void mfi_attempts_claimed(mfi_sim *sim, const mf_claim *claim)
{
    const struct mfi_attempts *a = mf_key_is_set(&claim->unit.key) ? find(sim, &claim->unit) : NULL;
    if (a == NULL || claim->attempt >= a->latest)
        return;
    sim->overtaken++;
    if (claim->status == MF_OK)
        mfi_sim_break(sim, "attempt %u of %s %llu is claimed to run, and attempt %u was sent before", claim->attempt,
                      claim->unit.key.text, (unsigned long long)claim->unit.index, a->latest);
}
