/* The queue of the manager that has one: it survives every process, and knows mageflow's metadata alone. */
#include "sim_private.h"

static mf_str copy_text(mfi_sim *sim, mf_str text)
{
    char *copy = mfi_sim_new(sim, text.len + 1);
    memcpy(copy, text.at, text.len);
    return mf_str_of(copy, text.len);
}

static mfi_parcel *append(mfi_sim *sim, const mfi_parcel *from)
{
    mfi_parcel *p = mfi_sim_new(sim, sizeof *p);
    *p = *from;
    p->next = NULL;
    p->holder = NULL;
    p->number = ++sim->parcel_number;
    mf_message_ref(p->message);
    mf_message_ref(p->error);
    *sim->parcels_end = p;
    sim->parcels_end = &p->next;
    atomic_fetch_add_explicit(&sim->posted, 1, memory_order_relaxed);
    return p;
}

mfi_parcel *mfi_parcel_post(mfi_sim *sim, const mf_entry *entry, int64_t due_ns, unsigned met)
{
    mfi_parcel parcel = {
        .task = copy_text(sim, entry->spec->name), .unit = entry->unit, .container = entry->spec->container,
        .attempt = entry->attempt, .message = entry->message, .error = entry->error, .due_ns = due_ns, .met = met,
        .foreign = entry->spec->foreign,
    };
    return append(sim, &parcel);
}

mfi_parcel *mfi_parcel_pick(mfi_sim *sim, bool (*fits)(void *arg, mf_str task), void *arg, bool *early, int64_t *next_ns)
{
    unsigned n = 0;
    mfi_parcel *chosen = NULL, *oldest = NULL;
    *next_ns = INT64_MAX;
    for (mfi_parcel *p = sim->parcels; p != NULL; p = p->next) {
        if (p->holder != NULL || !fits(arg, p->task))
            continue;
        if (p->due_ns > sim->now_ns) {
            *next_ns = p->due_ns < *next_ns ? p->due_ns : *next_ns;
            continue;
        }
        if (oldest == NULL)
            oldest = p;
        if (mfi_prng_below(&sim->order, ++n) == 0)      /* each of n with the same chance */
            chosen = p;
    }
    *early = chosen != oldest;
    return chosen;
}

void mfi_parcel_done(mfi_sim *sim, mfi_parcel *parcel)
{
    mfi_parcel **at = &sim->parcels;
    while (*at != parcel)
        at = &(*at)->next;
    *at = parcel->next;
    if (sim->parcels_end == &parcel->next)
        sim->parcels_end = at;
    mf_message_unref(parcel->message);
    mf_message_unref(parcel->error);
    parcel->message = parcel->error = NULL;
}

void mfi_parcel_again(mfi_sim *sim, const mfi_parcel *parcel, int64_t due_ns)
{
    append(sim, parcel)->due_ns = due_ns;
}

void mfi_parcel_answer(mfi_sim *sim, const mfi_parcel *asked, const mfi_peer_answer *answer)
{
    mfi_parcel p = *asked;
    p.answer = true;
    p.status = answer->status;
    p.message = answer->value;
    p.error = NULL;
    for (unsigned i = 0; i < answer->times; i++) {
        p.due_ns = sim->now_ns + (int64_t)(i + 1) * answer->after_ns;
        append(sim, &p);
    }
}

bool mfi_sim_is_dead_letter(const mfi_sim *sim, const mf_key *key, uint64_t index)
{
    for (const struct mfi_dead *d = sim->dead; d != NULL; d = d->next)
        if (mf_key_eq(&d->unit.key, key) && d->unit.index == index)
            return true;
    return false;
}

void mfi_parcel_is_dead(mfi_sim *sim, const mfi_parcel *parcel)
{
    if (mfi_sim_is_dead_letter(sim, &parcel->unit.key, parcel->unit.index))
        return;     /* a copy of it, or one whose end was not told at the first try */
    struct mfi_dead *d = mfi_sim_new(sim, sizeof *d);
    *d = (struct mfi_dead){sim->dead, parcel->unit};
    sim->dead = d;
    sim->dead_letters++;
}

/* A queue hands out again what nobody acknowledged, later than a lease would end. */
static int64_t visible_ns(const mfi_sim *sim)
{
    return sim->config.lease_ms == 0 ? 0 : sim->now_ns + mf_milliseconds(sim->config.lease_ms + 1);
}

void mfi_parcels_of_paused(mfi_process *process)
{
    mfi_sim *sim = process->sim;
    int64_t due_ns = visible_ns(sim);
    if (sim->config.lease_ms == 0 || due_ns >= process->paused_until_ns)
        return;
    for (mfi_parcel *p = sim->parcels, *last = NULL; p != NULL && p != last; p = p->next)
        if (p->holder == process) {
            mfi_parcel *copy = append(sim, p);
            copy->due_ns = due_ns;
            copy->met |= MFI_FAULT_BIT(MFI_FAULT_TWICE);
            last = last == NULL ? copy : last;
        }
}

void mfi_parcels_of_dead(mfi_process *process)
{
    for (mfi_parcel *p = process->sim->parcels; p != NULL; p = p->next)
        if (p->holder == process) {
            p->holder = NULL;
            p->deaths++;
            p->due_ns = visible_ns(process->sim);
        }
    atomic_fetch_add_explicit(&process->sim->posted, 1, memory_order_relaxed);
}

void mfi_parcels_fini(mfi_sim *sim)
{
    while (sim->parcels != NULL)
        mfi_parcel_done(sim, sim->parcels);
}
