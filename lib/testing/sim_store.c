/* What a process sees of the common store. Every operation is a place where others go on, and where a fault may strike: the
 * process ends before or after it, somebody else writes the record in between, a claim is taken away, it fails and has
 * changed nothing. What the store told its watchers is passed on: to this process at once, to others when they get to it.
 *
 * A new operation of the protocol: a function here that begins with `enter`, and its line in the table. */
#include "sim_private.h"

#include <stdio.h>

struct sim_store {
    mf_store     base;
    mfi_process *process;
};

#define CRASHES (MFI_FAULT_BIT(MFI_FAULT_CRASH_BEFORE) | MFI_FAULT_BIT(MFI_FAULT_CRASH_AFTER))
#define READS   (MFI_FAULT_BIT(MFI_FAULT_CRASH_BEFORE) | MFI_FAULT_BIT(MFI_FAULT_ERROR))
#define TAKES   (CRASHES | MFI_FAULT_BIT(MFI_FAULT_ERROR) | MFI_FAULT_BIT(MFI_FAULT_PAUSE))

static mfi_process *process_of(mf_store *base)
{
    return ((struct sim_store *)(void *)base)->process;
}

static mf_store *inner_of(mf_store *base)
{
    return process_of(base)->sim->store;
}

/* ---- faults ----------------------------------------------------------------------------------------------------------- */

struct call {
    mfi_process    *process;
    const mf_batch *batch;      /* of a commit */
    unsigned        row;
    bool            crash_after;
};

static mf_status error_of(mfi_sim *sim, mf_error *err)
{
    return mfi_prng_one_in(&sim->chance, 3) ? mf_fail(err, MF_E_NOMEM, "simulated: no memory")
                                            : mf_fail(err, MF_E_IO, "simulated: the store does not answer");
}

/* Somebody else writes the record, as it is: only its version is another one then. */
static bool write_between(mfi_sim *sim, const mf_batch *batch)
{
    mf_record record = {0};
    if (mf_store_load(sim->store, &batch->key, 1, &record, NULL) != MF_OK || record.spec == NULL)
        return false;
    mf_batch between = {.key = batch->key, .version = record.state.version, .state = &record.state};
    bool written = mf_store_commit(sim->store, &between, NULL, NULL) == MF_OK;
    mf_record_release(&record);
    return written;
}

static uint64_t token_at_hand(const struct call *c)
{
    if (c->batch != NULL && c->batch->settle_count > 0)
        return c->batch->settles[mfi_prng_below(&c->process->sim->chance, (uint32_t)c->batch->settle_count)];
    return mfi_here.running != NULL ? mfi_here.running->token : 0;
}

/* Before the operation. Anything but MF_OK: it does not take place. */
static mf_status enter(struct call *c, unsigned allowed, mf_error *err)
{
    mfi_sim *sim = c->process->sim;
    mfi_fault fault;
    mfi_sim_yield(sim);
    if (!mfi_fault_draw(sim, allowed, &fault))
        return MF_OK;
    switch (fault) {
    case MFI_FAULT_CRASH_BEFORE:
        mfi_fault_count(sim, fault, c->row);
        mfi_process_crash(c->process);
        break;
    case MFI_FAULT_CRASH_AFTER:
        mfi_fault_count(sim, fault, c->row);
        c->crash_after = true;
        break;
    case MFI_FAULT_CONFLICT:
        if (write_between(sim, c->batch))
            mfi_fault_count(sim, fault, c->row);
        break;
    case MFI_FAULT_LOST_CLAIM:
        if (mfi_claims_lose(sim, token_at_hand(c)))
            mfi_fault_count(sim, fault, c->row);
        break;
    case MFI_FAULT_PAUSE:
        mfi_fault_count(sim, fault, c->row);
        mfi_process_pause(c->process);
        break;
    default:
        mfi_fault_count(sim, fault, c->row);
        return error_of(sim, err);
    }
    return MF_OK;
}

static void leave(struct call *c)
{
    if (c->crash_after)
        mfi_process_crash(c->process);
}

/* ---- what changes something ------------------------------------------------------------------------------------------ */

static unsigned row_of(const mf_batch *batch)
{
    if (batch->published_count > 0)
        return MFI_ROW_TICK;
    return batch->put_count > 0 || batch->item_count > 0 ? MFI_ROW_START : MFI_ROW_PLAIN;
}

static unsigned faults_of(const mf_batch *batch)
{
    unsigned allowed = TAKES;
    if (batch->state != NULL)
        allowed |= MFI_FAULT_BIT(MFI_FAULT_CONFLICT);
    if (batch->settle_count > 0)
        allowed |= MFI_FAULT_BIT(MFI_FAULT_LOST_CLAIM);
    return allowed;
}

static void trace_commit(mfi_sim *sim, const mf_batch *b, mf_status st, const mf_error *err)
{
    if (!mfi_sim_traces(sim))
        return;
    size_t n = mfi_here.box != NULL ? mfi_here.box->batch.count : 0;
    char events[160] = "";
    size_t used = 0;
    for (size_t i = 0; i < n && used < sizeof events - 24; i++) {
        const mfi_flow_event *e = &mfi_here.box->batch.at[i].event;
        used += (size_t)snprintf(events + used, sizeof events - used, "%s%s %llu", i == 0 ? "" : ", ", mfi_row_name(e->kind),
                                 (unsigned long long)e->index);
    }
    mfi_sim_trace(sim, "commit %.12s [%s]%s%s, %zu outcomes, %zu settled, %zu sent%s: %s", b->key.text, events,
                  b->state != NULL ? " to " : "", b->state != NULL ? mf_signature_status_name(b->state->status) : "",
                  b->outcome_count, b->settle_count, b->entry_count, b->published_count > 0 ? ", ticked off" : "",
                  st == MF_OK ? "ok" : err->text);
    for (size_t i = 0; st == MF_OK && i < b->entry_count; i++)
        mfi_sim_trace(sim, "    sends %.*s for %.12s %llu, attempt %u", (int)b->entries[i].spec->name.len,
                      b->entries[i].spec->name.at, b->entries[i].unit.key.text,
                      (unsigned long long)b->entries[i].unit.index, b->entries[i].attempt);
}

static mf_status sim_commit(mf_store *self, const mf_batch *batch, mf_refusal *refusal, mf_error *err)
{
    struct call c = {.process = process_of(self), .batch = batch, .row = row_of(batch)};
    mfi_sim *sim = c.process->sim;
    mf_error why = {0};
    mf_status st = enter(&c, faults_of(batch), &why);
    if (st == MF_OK)
        st = mf_store_commit(sim->store, batch, refusal, &why);
    trace_commit(sim, batch, st, &why);
    if (st == MF_OK) {
        for (size_t i = 0; i < batch->settle_count; i++)
            mfi_claims_settled(sim, batch->settles[i]);
        mfi_attempts_committed(sim, batch);
        mfi_ends_committed(sim, batch);
        mfi_audit_commit(c.process, batch);
        if (sim->config.committed != NULL)
            sim->config.committed(sim->config.committed_user, c.process, batch);
        mfi_fault_count_met(sim, c.row);
    } else if (st == MF_E_CONFLICT && refusal->guard == MF_GUARD_OUTCOME) {
        mfi_fault_count_met(sim, MFI_EV_SETTLE);
    }
    if (st != MF_OK && err != NULL)
        *err = why;
    leave(&c);
    mfi_process_tell(sim, c.process);
    if (st == MF_OK)
        mfi_audit_told(c.process, batch);
    return st;
}

static mf_status sim_claim(mf_store *self, mf_claim *claims, size_t n, mf_error *err)
{
    struct call c = {.process = process_of(self), .row = MFI_ROW_TAKE};
    mf_status st = enter(&c, TAKES, err);
    if (st == MF_OK)
        st = mf_store_claim(inner_of(self), claims, n, err);
    for (size_t i = 0; st == MF_OK && i < n; i++) {
        mfi_sim_trace(c.process->sim, "claim %.12s %llu: %s", claims[i].unit.key.text, (unsigned long long)claims[i].unit.index,
                      mf_status_name(claims[i].status));
        if (claims[i].token != 0)
            mfi_claims_note_elsewhere(c.process, &claims[i]);
        mfi_attempts_claimed(c.process->sim, &claims[i]);
        mfi_audit_claimed(c.process, &claims[i]);
    }
    leave(&c);
    return st;
}

static mf_status sim_take(mf_store *self, size_t max, mf_taken *out, size_t *got, int64_t *next_due_ms, mf_error *err)
{
    struct call c = {.process = process_of(self), .row = MFI_ROW_TAKE};
    mf_status st = enter(&c, max > 0 ? TAKES : READS, err);
    if (st == MF_OK)
        st = mf_store_take(inner_of(self), max, out, got, next_due_ms, err);
    for (size_t i = 0; st == MF_OK && i < *got; i++) {
        mfi_sim_trace(c.process->sim, "takes %.*s for %.12s %llu: %s", (int)out[i].entry.spec->name.len,
                      out[i].entry.spec->name.at, out[i].entry.unit.key.text, (unsigned long long)out[i].entry.unit.index,
                      mf_status_name(out[i].claim.status));
        mfi_claims_note(c.process, &out[i]);
        if (mf_key_is_set(&out[i].entry.unit.key) && strncmp(out[i].entry.spec->name.at, "mageflow.", 9) == 0)
            continue;
        mfi_attempts_claimed(c.process->sim, &out[i].claim);
        mfi_audit_claimed(c.process, &out[i].claim);
    }
    leave(&c);
    return st;
}

static mf_status sim_outbox(mf_store *self, size_t max, mf_entry *out, size_t *got, int64_t *next_due_ms, mf_error *err)
{
    struct call c = {.process = process_of(self), .row = MFI_ROW_PUBLISH};
    mf_status st = enter(&c, TAKES, err);
    if (st == MF_OK)
        st = mf_store_outbox(inner_of(self), max, out, got, next_due_ms, err);
    leave(&c);
    return st;
}

static mf_status sim_renew(mf_store *self, uint64_t *tokens, size_t n, mf_error *err)
{
    struct call c = {.process = process_of(self), .row = MFI_ROW_TAKE};
    mf_status st = enter(&c, TAKES, err);
    if (st == MF_OK)
        st = mf_store_renew(inner_of(self), tokens, n, err);
    size_t renewed = 0;
    for (size_t i = 0; st == MF_OK && i < n; renewed += tokens[i] != 0, i++)
        mfi_claims_renewed(c.process->sim, tokens[i]);
    mfi_sim_trace(c.process->sim, "renews %zu of %zu claims", renewed, n);
    leave(&c);
    return st;
}

static mf_status sim_give_back(mf_store *self, const uint64_t *tokens, size_t n, mf_error *err)
{
    struct call c = {.process = process_of(self), .row = MFI_ROW_TAKE};
    mf_status st = enter(&c, TAKES, err);
    if (st == MF_OK)
        st = mf_store_give_back(inner_of(self), tokens, n, err);
    for (size_t i = 0; st == MF_OK && i < n; i++)
        mfi_claims_settled(c.process->sim, tokens[i]);
    leave(&c);
    mfi_process_tell(c.process->sim, c.process);
    return st;
}

static mf_status sim_expired(mf_store *self, size_t max, mf_key *out, size_t *got, int64_t *next_ms, mf_error *err)
{
    struct call c = {.process = process_of(self), .row = MFI_ROW_TAKE};
    mf_status st = enter(&c, TAKES, err);
    if (st == MF_OK)
        st = mf_store_expired(inner_of(self), max, out, got, next_ms, err);
    leave(&c);
    return st;
}

static mf_status sim_log(mf_store *self, const mf_key *key, mf_str line)
{
    struct call c = {.process = process_of(self), .row = MFI_ROWS};
    mf_status st = enter(&c, CRASHES, NULL);
    return st == MF_OK ? mf_store_log(inner_of(self), key, line) : st;
}

static mf_status sim_read_lines(mf_store *self, const mf_key *key, uint64_t from, size_t n, const mf_allocator *allocator,
                                 mf_line *out, size_t *got, mf_error *err)
{
    return mf_store_read_lines(inner_of(self), key, from, n, allocator, out, got, err);
}

static mf_status sim_progress(mf_store *self, const mf_key *key, const mf_message *progress)
{
    struct call c = {.process = process_of(self), .row = MFI_ROWS};
    mf_status st = enter(&c, CRASHES, NULL);
    return st == MF_OK ? mf_store_progress(inner_of(self), key, progress) : st;
}

/* ---- what only reads ---------------------------------------------------------------------------------------------------- */

static mf_status sim_load(mf_store *self, const mf_key *keys, size_t n, mf_record *out, mf_error *err)
{
    struct call c = {.process = process_of(self), .row = MFI_ROWS};
    mf_status st = enter(&c, READS | MFI_FAULT_BIT(MFI_FAULT_LOST_CLAIM), err);
    if (st == MF_OK)
        st = mf_store_load(inner_of(self), keys, n, out, err);
    if (st == MF_OK && n == 1)
        mfi_sim_trace(c.process->sim, "loads %.12s: %s", keys[0].text,
                      out[0].spec != NULL ? mf_signature_status_name(out[0].state.status) : "gone");
    return st;
}

static mf_status sim_items(mf_store *self, const mf_key *key, uint64_t from, size_t n, mf_item *out, size_t *got,
                           mf_error *err)
{
    struct call c = {.process = process_of(self), .row = MFI_ROWS};
    mf_status st = enter(&c, READS, err);
    return st == MF_OK ? mf_store_items(inner_of(self), key, from, n, out, got, err) : st;
}

static mf_status sim_outcomes(mf_store *self, const mf_key *key, uint64_t from, size_t n, mf_outcome *out, size_t *got,
                              mf_error *err)
{
    struct call c = {.process = process_of(self), .row = MFI_ROWS};
    mf_status st = enter(&c, READS, err);
    return st == MF_OK ? mf_store_outcomes(inner_of(self), key, from, n, out, got, err) : st;
}

static mf_status sim_list(mf_store *self, const mf_filter *filter, const mf_key *after, size_t max, mf_key *out, size_t *got,
                          mf_error *err)
{
    struct call c = {.process = process_of(self), .row = MFI_ROWS};
    mf_status st = enter(&c, READS, err);
    return st == MF_OK ? mf_store_list(inner_of(self), filter, after, max, out, got, err) : st;
}

static mf_status sim_notes(mf_store *self, mf_str space, mf_str after, size_t max, mf_note *out, size_t *got, mf_error *err)
{
    struct call c = {.process = process_of(self), .row = MFI_ROWS};
    mf_status st = enter(&c, READS, err);
    return st == MF_OK ? mf_store_notes(inner_of(self), space, after, max, out, got, err) : st;
}

static mf_status sim_read_note(mf_store *self, mf_str space, mf_str name, mf_message **out, mf_error *err)
{
    struct call c = {.process = process_of(self), .row = MFI_ROWS};
    mf_status st = enter(&c, READS, err);
    return st == MF_OK ? mf_store_read_note(inner_of(self), space, name, out, err) : st;
}

static int64_t sim_lease_ms(mf_store *self)
{
    return mf_store_lease_ms(inner_of(self));
}

static int64_t sim_now_ms(mf_store *self)
{
    return mf_store_now_ms(inner_of(self));
}

static void sim_load_counts(mf_store *self, size_t *waiting, size_t *claimed)
{
    mf_store_load_counts(inner_of(self), waiting, claimed);
}

static mf_status sim_read_log(mf_store *self, const mf_key *key, uint64_t n, const mf_allocator *allocator, char **text,
                              size_t *len)
{
    return mf_store_read_log(inner_of(self), key, n, allocator, text, len);
}

static mf_status sim_read_progress(mf_store *self, const mf_key *key, mf_message **out)
{
    return mf_store_read_progress(inner_of(self), key, out);
}

/* ---- watchers ----------------------------------------------------------------------------------------------------------- */

static mf_status sim_watch(mf_store *self, const mf_store_watch *watch)
{
    mfi_process *process = process_of(self);
    mfi_watcher_of *w = mfi_sim_new(process->sim, sizeof *w);
    w->watch = *watch;
    w->next = process->watchers;
    process->watchers = w;
    return MF_OK;
}

static void sim_unwatch(mf_store *self, void *user)
{
    mfi_process *process = process_of(self);
    for (mfi_watcher_of **at = &process->watchers, *w; (w = *at) != NULL;) {
        if (w->watch.user != user) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        w->watch = (mf_store_watch){.user = user};      /* who is between two calls makes no other */
        uint32_t inside;
        while ((inside = atomic_load_explicit(&w->inside, memory_order_relaxed)) > 0)
            mfi_strand_wait(process->sim, &w->inside, inside, INT64_MAX);
    }
}

static void sim_destroy(mf_store *self)
{
    (void)self;     /* the common store stays */
}

mf_status mfi_sim_store_create(mfi_process *process, mf_store **out, mf_error *err)
{
    static const mf_store_ops ops = {
        .struct_size = sizeof(mf_store_ops), .name = "simulated", .durable = true, .shared = true, .destroy = sim_destroy,
        .watch = sim_watch, .unwatch = sim_unwatch, .now_ms = sim_now_ms, .load = sim_load, .items = sim_items,
        .outcomes = sim_outcomes, .commit = sim_commit, .claim = sim_claim, .take = sim_take, .outbox = sim_outbox,
        .lease_ms = sim_lease_ms, .renew = sim_renew, .give_back = sim_give_back, .expired = sim_expired, .list = sim_list,
        .notes = sim_notes, .read_note = sim_read_note, .load_counts = sim_load_counts, .log = sim_log, .read_log = sim_read_log, .read_lines = sim_read_lines, .progress = sim_progress,
        .read_progress = sim_read_progress,
    };
    (void)err;
    struct sim_store *store = mfi_sim_new(process->sim, sizeof *store);
    store->base.ops = &ops;
    store->base.allocator = process->sim->store->allocator;
    store->process = process;
    process->store = &store->base;
    *out = &store->base;
    return MF_OK;
}
