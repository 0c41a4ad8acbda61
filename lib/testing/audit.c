/* What must hold, whatever happens. It knows every record and message from the commits that went through, and no more.
 *
 * At every step       running items of a swarm that have no outcome never more than its cap, counted from the calls that are
 *                     being made; none that has one is claimed;
 *                     nothing begins below something that was stopped before its claim, or before this process knew;
 *                     what has ended stays as it ended; no call, start or end of a child is sent twice.
 * At the end          everything that was started has ended; every follow-up was sent once; counters equal a recount of
 *                     the outcomes; no message is left anywhere; a message that was given up failed its call, and what
 *                     ran out of its time is a dead letter, once. */
#include "sim_private.h"

#include <stdio.h>

#include "framework.h"
#include "lifecycle.h"
#include "record.h"

#undef uthash_malloc
#undef uthash_free
#define uthash_malloc(size) mfi_sim_new(audit->sim, (size))
#define uthash_free(at, size) (void)(at)

#define RUNNING_MAX 64

typedef struct audit_record {
    mf_key               key;
    const mf_spec       *spec;
    struct audit_record *above;
    mf_signature_status  status;
    bool                 ended;
    bool                 removed;       /* by a commit; what stands below it went along */
    bool                 dead;          /* a note says so */
    bool                 asked;         /* … by a verb on itself; else as a branch that is not taken */
    uint64_t             end_step;      /* of the commit */
    mfi_process         *end_process;
    uint64_t             paused_step;   /* suspended or interrupted since then; 0: it is not */
    uint64_t             told_step;     /* everybody below in that process was told by then; 0: not yet */
    UT_hash_handle       hh;
} audit_record;

enum what { CALL = 1, START, TELL, OUTCOME };

struct sent_key {
    mf_key   key;
    uint64_t index;
    uint32_t epoch;
    uint32_t what;
};
typedef struct audit_sent {
    struct sent_key of;
    unsigned        count;
    UT_hash_handle  hh;
} audit_sent;

struct mfi_audit {
    mfi_sim      *sim;
    audit_record *records;
    audit_sent   *sent;
    size_t        dead;
};

mfi_audit *mfi_audit_create(mfi_sim *sim)
{
    mfi_audit *audit = mfi_sim_new(sim, sizeof *audit);
    audit->sim = sim;
    return audit;
}

void mfi_audit_fini(mfi_audit *audit)
{
    for (audit_record *r = audit->records; r != NULL; r = r->hh.next)
        mf_spec_unref(r->spec);
}

static audit_record *record_of(mfi_audit *audit, const mf_key *key)
{
    audit_record *r = NULL;
    HASH_FIND(hh, audit->records, key, sizeof *key, r);
    return r;
}

static audit_record *above(mfi_audit *audit, audit_record *r)
{
    if (r->above == NULL && mf_key_is_set(&r->spec->container))
        r->above = record_of(audit, &r->spec->container);
    return r->above;
}

/* ---- commits ----------------------------------------------------------------------------------------------------------- */

static void add_record(mfi_audit *audit, const mf_put *put)
{
    audit_record *r = mfi_sim_new(audit->sim, sizeof *r);
    r->key = put->spec->key;
    r->spec = mf_spec_ref(put->spec);
    r->status = put->state->status;
    HASH_ADD(hh, audit->records, key, sizeof r->key, r);
}

static audit_sent *sent_of(mfi_audit *audit, const struct sent_key *of)
{
    audit_sent *s = NULL;
    HASH_FIND(hh, audit->sent, of, sizeof *of, s);
    return s;
}

static audit_sent *count_one(mfi_audit *audit, const struct sent_key *of)
{
    audit_sent *s = sent_of(audit, of);
    if (s == NULL) {
        s = mfi_sim_new(audit->sim, sizeof *s);
        s->of = *of;
        HASH_ADD(hh, audit->sent, of, sizeof s->of, s);
    }
    s->count++;
    return s;
}

static struct sent_key key_of(const mf_unit *unit, enum what what)
{
    struct sent_key of;
    memset(&of, 0, sizeof of);
    of.key = unit->key;
    of.index = unit->index;
    of.epoch = what == TELL || what == OUTCOME ? 0 : unit->epoch;
    of.what = what;
    return of;
}

static enum what what_of(const mf_entry *entry)
{
    switch (mfi_framework_find(entry->spec->name)) {
    case MFI_FRAMEWORK_TASKS:
        return entry->attempt == 1 ? CALL : 0;      /* a message that was delivered twice may fail twice: two retries */
    case MFI_RUN_FLOW:
        return START;
    case MFI_SWARM_FILL:
        return 0;
    default:
        return TELL;
    }
}

/* A child that is canceled or removed before its time tells so at once, when nobody may be waiting for it, and again at its
 * start. */
static bool tells_outcome(const mf_entry *entry)
{
    mf_value error, type;
    mf_str text = {NULL, 0};
    mfi_framework_task task = mfi_framework_find(entry->spec->name);
    if (task == MFI_ON_CHAIN_DONE || task == MFI_ON_SWARM_ITEM_DONE)
        return true;
    if (!mf_value_get(mf_message_value(entry->message), MF_STR_LIT("error"), &error) || mf_value_type(error) == MF_TYPE_NIL)
        return false;
    return !mf_value_get(error, MF_STR_LIT("type"), &type) || mf_value_str(type, &text) != MF_OK ||
           !mf_str_eq(text, MF_STR_LIT("Removed"));
}

/* Whoever ran a call may send it again: tried once more, parked, put off while it is locked, or told by message; its claim
 * sees to it that this is once. A durable task calls itself again after a wait. */
static bool by_a_transition(mfi_audit *audit, const mf_batch *b, const mf_entry *entry)
{
    if (b->put_count > 0)
        return true;
    if (!mf_key_is_set(&b->key) || mf_key_is_set(&entry->parked))
        return false;
    const audit_record *r = record_of(audit, &b->key);
    return r == NULL || r->spec->kind != MF_KIND_TASK || !mf_key_eq(&b->key, &entry->unit.key);
}

static void add_sent(mfi_audit *audit, const mf_entry *entry)
{
    static const char *const names[] = {[CALL] = "is called", [START] = "is started", [TELL] = "is told the end of an item"};
    enum what what = what_of(entry);
    if (what == TELL && !mf_key_is_set(&entry->unit.key))
        mfi_sim_break(audit->sim, "an end is told to nobody: \"%.*s\"", (int)entry->spec->name.len, entry->spec->name.at);
    if (what == START && entry->error != NULL)
        mfi_sim_break(audit->sim, "%s is started with an error that nobody reads", entry->unit.key.text);
    if (what == 0 || !mf_key_is_set(&entry->unit.key) || (what == TELL && !tells_outcome(entry)))
        return;
    struct sent_key of = key_of(&entry->unit, what);
    if (count_one(audit, &of)->count > 1)
        mfi_sim_break(audit->sim, "%s %s a second time: item %llu, \"%.*s\"", of.key.text, names[what],
                      (unsigned long long)of.index, (int)entry->spec->name.len, entry->spec->name.at);
}

static unsigned sent_times(mfi_audit *audit, const mf_key *key, uint64_t index, const mf_spec *spec)
{
    unsigned times = 0;
    for (uint32_t epoch = 0; epoch < 8; epoch++) {
        struct sent_key of = key_of(&(mf_unit){*key, index, epoch}, spec->kind == MF_KIND_TASK ? CALL : START);
        const audit_sent *s = sent_of(audit, &of);
        times += s != NULL ? s->count : 0;
    }
    return times;
}

/* From here on the item's place in its swarm is free, whatever still runs of it. */
static void add_outcomes(mfi_audit *audit, const mf_batch *b)
{
    const audit_record *r = b->outcome_count > 0 ? record_of(audit, &b->key) : NULL;
    for (size_t i = 0; r != NULL && r->spec->kind == MF_KIND_SWARM && i < b->outcome_count; i++) {
        struct sent_key of = key_of(&(mf_unit){.key = b->key, .index = b->outcomes[i].index}, OUTCOME);
        count_one(audit, &of);
    }
}

static bool has_outcome(mfi_audit *audit, const audit_record *swarm, uint64_t index)
{
    struct sent_key of = key_of(&(mf_unit){.key = swarm->key, .index = index}, OUTCOME);
    return swarm->spec->kind == MF_KIND_SWARM && sent_of(audit, &of) != NULL;
}

static void change(mfi_process *process, audit_record *r, const mf_state *state)
{
    mfi_sim *sim = process->sim;
    if (r->ended && state->status != r->status)
        mfi_sim_break(sim, "%s had ended as %s and is %s now", r->key.text, mf_signature_status_name(r->status),
                      mf_signature_status_name(state->status));
    r->paused_step = !mfi_status_pauses(state->status) ? 0 : mfi_status_pauses(r->status) ? r->paused_step : sim->steps;
    r->status = state->status;
    if (r->ended || !mf_signature_status_ended(state->status))
        return;
    r->ended = true;
    r->end_step = sim->steps;
    r->end_process = process;
}

/* A dead letter of the flow's is written with the end that it tells of. */
static void add_dead(mfi_audit *audit, const mf_batch *b, bool ends_here)
{
    for (size_t i = 0; i < b->note_count; i++) {
        if (!mf_str_eq(b->notes[i].space, MF_STR_LIT("dead")))
            continue;
        audit_record *r = record_of(audit, &b->key);
        if (r == NULL || !mf_str_eq(b->notes[i].name, mf_cstr(b->key.text)) || b->notes[i].value == NULL || r->dead || !ends_here ||
            r->status != MF_STATUS_FAILED)
            mfi_sim_break(audit->sim, "%.*s becomes a dead letter, and does not fail with it", (int)b->notes[i].name.len,
                          b->notes[i].name.at);
        if (r != NULL)
            r->dead = true;
        audit->dead++;
    }
}

/* What expired in this commit. */
static bool expires(const mf_batch *b)
{
    const mfi_mailbox *box = mfi_here.box;
    return box != NULL && box->batch.count == 1 && box->batch.at[0].event.kind == MFI_EV_EXPIRE && mf_key_eq(&box->key, &b->key);
}

void mfi_audit_commit(mfi_process *process, const mf_batch *b)
{
    mfi_audit *audit = process->sim->audit;
    for (size_t i = 0; i < b->put_count; i++)
        add_record(audit, &b->puts[i]);
    add_outcomes(audit, b);
    audit_record *r = b->state != NULL ? record_of(audit, &b->key) : NULL;
    bool had_ended = r != NULL && r->ended;
    if (r != NULL)
        change(process, r, b->state);
    add_dead(audit, b, r != NULL && r->ended && !had_ended);
    if (r != NULL && r->ended && !had_ended && expires(b) && !r->dead)
        mfi_sim_break(process->sim, "%s ran out of its time and is no dead letter", r->key.text);
    for (size_t i = 0; i < b->removal_count; i++) {
        audit_record *gone = record_of(audit, &b->removals[i].key);
        if (gone != NULL)
            gone->removed = true;
        if (gone != NULL && mf_key_eq(&b->removals[i].key, &b->key))
            gone->asked = true;
    }
    for (size_t i = 0; i < b->entry_count; i++) {
        const mf_entry *e = &b->entries[i];
        if (by_a_transition(audit, b, e))
            add_sent(audit, e);
        if (had_ended && what_of(e) == CALL && mf_key_eq(&e->unit.key, &b->key) && r->spec->kind != MF_KIND_TASK)
            mfi_sim_break(process->sim, "%s has ended and starts item %llu", r->key.text, (unsigned long long)e->unit.index);
    }
}

void mfi_audit_told(mfi_process *process, const mf_batch *b)
{
    audit_record *r = b->state != NULL ? record_of(process->sim->audit, &b->key) : NULL;
    if (r != NULL && r->ended && r->end_process == process && r->told_step == 0)
        r->told_step = process->sim->steps;
}

/* ---- what runs ----------------------------------------------------------------------------------------------------------- */

void mfi_audit_claimed(mfi_process *process, const mf_claim *claim)
{
    mfi_audit *audit = process->sim->audit;
    if (claim->status != MF_OK || !mf_key_is_set(&claim->unit.key) || !mfi_flow_should_run(claim->head, claim->above))
        return;
    uint64_t index = claim->unit.index;
    for (audit_record *r = record_of(audit, &claim->unit.key); r != NULL; index = r->spec->index, r = above(audit, r)) {
        if (r->ended || r->paused_step != 0)
            mfi_sim_break(process->sim, "%s was claimed to run, and %s was %s", claim->unit.key.text, r->key.text,
                          mf_signature_status_name(r->status));
        if (has_outcome(audit, r, index))
            mfi_sim_break(process->sim, "%s was claimed to run, and item %llu of %s had an outcome", claim->unit.key.text,
                          (unsigned long long)index, r->key.text);
    }
}

static void check_begin(mfi_audit *audit, const mfi_strand *s, const mfi_running *running)
{
    mfi_sim *sim = audit->sim;
    uint64_t claimed = mfi_claims_step(sim, running->token);
    const mf_key *key = &running->call.delivery->unit.key;
    for (audit_record *r = record_of(audit, key); r != NULL; r = above(audit, r)) {
        if (!r->ended || r->status == MF_STATUS_DONE)
            continue;
        if (claimed > r->end_step || (r->end_process == s->process && r->told_step != 0 && r->told_step < sim->steps))
            mfi_sim_break(sim, "task \"%.*s\" of %s begins, and %s was stopped before", (int)running->call.delivery->task.len,
                          running->call.delivery->task.at, key->text, r->key.text);
    }
}

struct seat {
    const audit_record *swarm;
    uint64_t            index;
};

/* The places that a call takes: in each swarm above it, until the commit of that item's outcome. What is canceled, or given up by
 * the queue, may run on behind it, and takes none. */
static unsigned add_seats(mfi_audit *audit, const mf_unit *unit, struct seat *seats, unsigned n)
{
    uint64_t index = unit->index;
    for (audit_record *r = record_of(audit, &unit->key), *from = NULL; r != NULL; from = r, r = above(audit, r)) {
        if (from != NULL)
            index = from->spec->index;
        bool known = r->spec->kind != MF_KIND_SWARM || has_outcome(audit, r, index);
        for (unsigned i = 0; i < n && !known; i++)
            known = seats[i].swarm == r && seats[i].index == index;
        if (!known && n < RUNNING_MAX)
            seats[n++] = (struct seat){r, index};
    }
    return n;
}

void mfi_audit_step(mfi_sim *sim)
{
    mfi_audit *audit = sim->audit;
    struct seat seats[RUNNING_MAX];
    unsigned n = 0;
    for (mfi_strand *s = sim->strands; s != NULL; s = s->next) {
        const mfi_running *innermost = s->gone ? NULL : s->here.running;
        if (innermost == NULL) {
            s->began = NULL;
        } else if (innermost->begun && innermost != s->began) {
            s->began = innermost;
            check_begin(audit, s, innermost);
        }
        for (const mfi_running *r = innermost; r != NULL; r = r->below)
            if (r->begun && r->token != 0 && mfi_sim_claim_is_held(sim, r->token))
                n = add_seats(audit, &r->call.delivery->unit, seats, n);
    }
    for (unsigned i = 0; i < n; i++) {
        unsigned taken = 0;
        for (unsigned k = 0; k < n; k++)
            taken += seats[k].swarm == seats[i].swarm;
        if (taken > seats[i].swarm->spec->max_concurrency)
            mfi_sim_break(sim, "%u items of %s run at once, its cap is %u", taken, seats[i].swarm->key.text,
                          seats[i].swarm->spec->max_concurrency);
    }
}

/* ---- the end ------------------------------------------------------------------------------------------------------------- */

static void check_counters(mfi_audit *audit, const audit_record *r, const mf_state *s)
{
    mfi_sim *sim = audit->sim;
    uint64_t done = 0, failed = 0, canceled = 0;
    mf_outcome page[64];
    size_t got = 0;
    for (uint64_t from = 0;; from += got) {
        if (mf_store_outcomes(sim->store, &r->key, from, 64, page, &got, NULL) != MF_OK || got == 0)
            break;
        for (size_t i = 0; i < got; i++) {
            done += page[i].status == MF_STATUS_DONE;
            failed += page[i].status == MF_STATUS_FAILED;
            canceled += page[i].status == MF_STATUS_CANCELED;
            mf_message_unref(page[i].value);
        }
    }
    if (done != s->done || failed != s->failed || canceled != s->canceled)
        mfi_sim_break(sim, "%s counts %llu done, %llu failed, %llu canceled; its outcomes are %llu, %llu, %llu", r->key.text,
                      (unsigned long long)s->done, (unsigned long long)s->failed, (unsigned long long)s->canceled,
                      (unsigned long long)done, (unsigned long long)failed, (unsigned long long)canceled);
    if (s->running != 0 || s->next != done + failed + canceled)
        mfi_sim_break(sim, "%s has %llu running, published %llu of %llu items, and %llu have an outcome", r->key.text,
                      (unsigned long long)s->running, (unsigned long long)s->next, (unsigned long long)s->total,
                      (unsigned long long)(done + failed + canceled));
    if (s->status == MF_STATUS_DONE && s->next != s->total)
        mfi_sim_break(sim, "%s is done after %llu of %llu items", r->key.text, (unsigned long long)s->next,
                      (unsigned long long)s->total);
}

static void check_chain(mfi_sim *sim, const audit_record *r, const mf_state *s)
{
    bool whole = s->status != MF_STATUS_DONE || (s->done == s->total && s->failed == 0 && s->canceled == 0);
    if (!whole || s->running != 0 || s->done + s->failed + s->canceled != s->next)
        mfi_sim_break(sim, "chain %s is %s with %llu of %llu steps done, %llu failed, %llu canceled, %llu running", r->key.text,
                      mf_signature_status_name(s->status), (unsigned long long)s->done, (unsigned long long)s->total,
                      (unsigned long long)s->failed, (unsigned long long)s->canceled, (unsigned long long)s->running);
}

static void check_followers(mfi_audit *audit, const audit_record *r, const mf_key *keys, size_t n, bool wanted, const char *what)
{
    for (size_t i = 0; i < n; i++) {
        const audit_record *callback = record_of(audit, &keys[i]);
        unsigned times = callback == NULL ? 0 : sent_times(audit, &keys[i], 0, callback->spec);
        bool fine = wanted ? times == 1 : times == 0;
        if (wanted && times == 0 && callback != NULL && callback->status == MF_STATUS_CANCELED)
            fine = true;        /* canceled before its time came */
        if (!fine)
            mfi_sim_break(audit->sim, "%s is %s, and its %s callback %s was started %u times", r->key.text,
                          mf_signature_status_name(r->status), what, keys[i].text, times);
    }
}

static bool was_removed(mfi_audit *audit, const audit_record *r, bool *asked)
{
    bool removed = false;
    for (*asked = false; r != NULL; r = mf_key_is_set(&r->spec->parent) ? record_of(audit, &r->spec->parent) : NULL) {
        removed = removed || r->removed;
        *asked = *asked || r->asked;
    }
    return removed;
}

static void check_record(mfi_audit *audit, audit_record *r)
{
    mfi_sim *sim = audit->sim;
    mf_record record = {0};
    mf_error err;
    if (mf_store_load(sim->store, &r->key, 1, &record, &err) != MF_OK || record.spec == NULL) {
        bool asked;
        if (!was_removed(audit, r, &asked))
            mfi_sim_break(sim, "%s is not in the store", r->key.text);
        else if (!asked && sent_times(audit, &r->key, 0, r->spec) > 0)
            mfi_sim_break(sim, "%s was started, and removed as a branch that is not taken", r->key.text);
        return;
    }
    const mf_state *s = &record.state;
    bool started = s->started_ms != 0 || sent_times(audit, &r->key, 0, r->spec) > 0;
    bool ended = mf_signature_status_ended(s->status);
    if (r->spec->numbered) {
        if (s->status != MF_STATUS_PENDING && s->status != MF_STATUS_CANCELED)
            mfi_sim_break(sim, "%s runs once an item and is %s", r->key.text, mf_signature_status_name(s->status));
    } else if (started && !ended) {
        mfi_why_open(sim, r->spec, s);
    } else if (ended) {
        r->status = s->status;
        check_followers(audit, r, r->spec->on_success, r->spec->on_success_count, s->status == MF_STATUS_DONE, "success");
        check_followers(audit, r, r->spec->on_error, r->spec->on_error_count, s->status == MF_STATUS_FAILED, "error");
    }
    if (ended && r->spec->kind == MF_KIND_SWARM)
        check_counters(audit, r, s);
    else if (ended && r->spec->kind == MF_KIND_CHAIN)
        check_chain(sim, r, s);
    mf_record_release(&record);
}

void mfi_audit_has_end(mfi_sim *sim, const mf_unit *unit, const char *why)
{
    mf_record record = {0};
    mf_outcome outcome = {.status = MF_STATUS_PENDING};
    size_t got = 0;
    if (mf_store_load(sim->store, &unit->key, 1, &record, NULL) != MF_OK || record.spec == NULL)
        return;     /* removed since */
    bool ended = mf_signature_status_ended(record.state.status) || record.spec->numbered;
    if (record.spec->kind == MF_KIND_CHAIN)
        ended = ended || unit->index < record.state.done + record.state.failed + record.state.canceled;
    if (!ended && record.spec->kind != MF_KIND_TASK && mf_store_outcomes(sim->store, &unit->key, unit->index, 1, &outcome, &got, NULL) == MF_OK &&
        got == 1) {
        ended = outcome.status != MF_STATUS_PENDING;
        mf_message_unref(outcome.value);
    }
    if (!ended)
        mfi_sim_break(sim, "%s %llu %s, and has no end", unit->key.text, (unsigned long long)unit->index, why);
    mf_record_release(&record);
}

static size_t count_notes(mfi_sim *sim, mf_str space)
{
    mf_note page[16];
    char after[256] = "";
    size_t n = 0, got = 0;
    do {
        if (mf_store_notes(sim->store, space, mf_cstr(after), 16, page, &got, NULL) != MF_OK)
            return SIZE_MAX;
        for (size_t i = 0; i < got; i++) {
            snprintf(after, sizeof after, "%.*s", (int)page[i].name.len, page[i].name.at);
            mf_note_release(sim->store, &page[i]);
        }
        n += got;
    } while (got > 0);
    return n;
}

static void check_dead_letters(mfi_audit *audit)
{
    mfi_sim *sim = audit->sim;
    size_t notes = count_notes(sim, MF_STR_LIT("dead"));
    if (notes != audit->dead)
        mfi_sim_break(sim, "%zu dead letters were written, and %zu are there", audit->dead, notes);
    for (const struct mfi_dead *d = sim->dead; d != NULL; d = d->next)
        mfi_audit_has_end(sim, &d->unit, "was given up by the queue");
}

static bool is_there(mfi_sim *sim, const mf_key *key)
{
    mf_record record = {0};
    bool there = mf_store_load(sim->store, key, 1, &record, NULL) == MF_OK && record.spec != NULL;
    mf_record_release(&record);
    return there;
}

/* Not its callback, nor what is drawn. */
static bool is_item(const mf_spec *spec, const mf_spec *in)
{
    return in->kind == MF_KIND_SWARM && in->source.len == 0 && mf_key_eq(&spec->container, &in->key);
}

/* The swarm has it at its place. One that was taken away is not asked: what stood in it may have gone before or after. */
static bool has_item(mfi_sim *sim, const audit_record *swarm, const audit_record *item)
{
    mf_item at = {.spec = NULL};
    size_t got = 0;
    if (!is_there(sim, &swarm->key))
        return true;
    if (mf_store_items(sim->store, &swarm->key, item->spec->index, 1, &at, &got, NULL) != MF_OK || got == 0)
        return false;
    bool same = mf_key_eq(&at.spec->key, &item->key);
    mfi_item_unref(&at);
    return same;
}

/* Nothing is left of a start or an addition that did not come to its end: what is there stands in what is there. */
static void check_stands(mfi_audit *audit, const audit_record *r)
{
    if (!mf_key_is_set(&r->spec->parent) || !is_there(audit->sim, &r->key))
        return;
    const audit_record *in = record_of(audit, &r->spec->parent);
    if (in == NULL)
        mfi_sim_break(audit->sim, "%s is there, and what it stands in never was", r->key.text);
    else if (is_item(r->spec, in->spec) && !has_item(audit->sim, in, r))
        mfi_sim_break(audit->sim, "%s is there, and was never added to %s", r->key.text, in->key.text);
}

static void check_left(mfi_audit *audit)
{
    mfi_sim *sim = audit->sim;
    size_t notes = count_notes(sim, MF_STR_LIT("storing"));
    if (notes != 0)
        mfi_sim_break(sim, "at the end %zu notes say that something is being stored", notes);
    for (audit_record *r = audit->records; r != NULL && !sim->broken; r = r->hh.next)
        check_stands(audit, r);
}

/* What keeps others from their end is told before them. */
static void check_held(mfi_audit *audit, const audit_record *r)
{
    mf_record record = {0};
    if (mf_store_load(audit->sim->store, &r->key, 1, &record, NULL) != MF_OK || record.spec == NULL)
        return;
    if (!r->spec->numbered && mfi_why_is_held(r->spec, &record.state))
        mfi_why_open(audit->sim, r->spec, &record.state);
    mf_record_release(&record);
}

void mfi_audit_end(mfi_sim *sim)
{
    mfi_audit *audit = sim->audit;
    for (audit_record *r = audit->records; r != NULL && !sim->broken; r = r->hh.next)
        check_held(audit, r);
    for (audit_record *r = audit->records; r != NULL && !sim->broken; r = r->hh.next)
        check_record(audit, r);
    if (!sim->broken)
        check_dead_letters(audit);
    if (!sim->broken)
        check_left(audit);
    size_t waiting = 0, claimed = 0;
    mf_store_load_counts(sim->store, &waiting, &claimed);
    if (waiting != 0 || claimed != 0 || sim->parcels != NULL)
        mfi_sim_break(sim, "at the end %zu messages wait, %zu are claimed, and the queue is %s", waiting, claimed,
                      sim->parcels == NULL ? "empty" : "not empty");
}
