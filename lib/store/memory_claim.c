/* Who may run what. A claim is refused by the record it is for: gone, of another epoch, with the outcome known, or locked.
 *
 * Messages that come from elsewhere may come twice, so there a claim is also refused while another one holds the same unit
 * of the same epoch, and once a later attempt of it was sent. Our own queue gives each message once; whoever sends a unit twice means it. */
#include "memory_store.h"
#include "memory_tables.h"

#include "record.h"

enum origin {
    ELSEWHERE,    /* another manager's queue */
    OURS,         /* our own, for a task */
    FRAMEWORK     /* our own, for one of mageflow's tasks: the claim covers the message alone */
};

static bool outcome_known(const struct mfi_head *head, uint64_t index)
{
    const struct mfi_kept *state = &head->state;
    switch (head->spec->kind) {
    case MF_KIND_CHAIN:
        return state->running == 0 || index + 1 != state->next;
    case MF_KIND_TASK:
        if (!head->spec->numbered)    /* its outcomes, at 1 and above, are a durable task's memos */
            return mf_signature_status_ended(mfi_head_status(head));
        break;
    default:
        break;
    }
    const uintptr_t *packed = mfi_head_outcome(head, index);
    return packed != NULL && *packed != 0;
}

/* Somebody may be about to change its status: it must not begin meanwhile. */
static bool locked(const struct mfi_head *head, int64_t now_ms)
{
    return head->rare != NULL && head->rare->lock != 0 && head->rare->lock_until_ms > now_ms &&
           head->state.status == MF_STATUS_PENDING && head->spec->kind == MF_KIND_TASK && !head->spec->numbered;
}

static mf_status judge(const struct mfi_memory *m, const struct mfi_head *head, const mf_claim *claim, enum origin origin)
{
    const mf_unit *unit = &claim->unit;
    if (head == NULL)
        return MF_E_NOT_FOUND;
    if (origin == FRAMEWORK)
        return MF_OK;
    if (unit->epoch != head->state.epoch || outcome_known(head, unit->index))
        return MF_E_STALE;
    if (origin == ELSEWHERE && mfi_is_overtaken(head, unit, claim->attempt))
        return MF_E_STALE;
    if (locked(head, m->now_ms))
        return MF_E_AGAIN;
    return origin == ELSEWHERE && mfi_claim_held(&m->queue, head->serial, unit) ? MF_E_EXISTS : MF_OK;
}

/* A task of its own starts with its first claim. No version: nobody who loaded it before decides otherwise for that. */
static void activate(struct mfi_head *head, int64_t now_ms)
{
    struct mfi_kept *state = &head->state;
    if (head->spec->kind != MF_KIND_TASK || head->spec->numbered || state->status != MF_STATUS_PENDING)
        return;
    state->last_status = state->status;
    state->status = MF_STATUS_ACTIVE;
    if (state->started_ms == 0)
        state->started_ms = now_ms;
}

static const mf_key no_key;

/* Fill what a claim says of its record. Gives the serial number of the record whose unit may be held; 0: none. */
static uint64_t claim_look(struct mfi_memory *m, mf_claim *claim, enum origin origin)
{
    claim->token = 0;
    claim->status = MF_OK;
    claim->head = claim->above = MF_STATUS_ACTIVE;
    claim->blocker = no_key;
    if (!mf_key_is_set(&claim->unit.key))
        return 0;    /* a message on nobody's behalf */
    struct mfi_head *head = mfi_head_find(m, &claim->unit.key);
    claim->status = judge(m, head, claim, origin);
    if (head == NULL)
        return 0;
    bool held = origin != FRAMEWORK && claim->status == MF_OK;
    struct mfi_head *blocker = mf_key_is_set(&head->spec->container) ? mfi_head_blocker(m, head) : NULL;
    if (blocker != NULL)
        claim->above = mfi_head_status(blocker);
    else if (held)
        activate(head, m->now_ms);
    claim->head = mfi_head_status(head);
    if (!mf_signature_status_runs(claim->head))
        blocker = head;
    if (blocker != NULL)
        claim->blocker = blocker->spec->key;
    return held ? head->serial : 0;
}

mf_status mfi_memory_claim(mf_store *base, mf_claim *claims, size_t n, mf_error *err)
{
    struct mfi_memory *m = mfi_memory_of(base);
    int64_t now = mfi_memory_clock(m);
    mfi_mutex_lock(&m->lock);
    now = mfi_memory_advance(m, now);
    size_t ready = mfi_claims_sweep(&m->queue, now);
    bool room = mfi_queue_reserve(&m->queue, m->allocator, n, 0);
    mfi_claims_by_unit(&m->queue);
    for (size_t i = 0; room && i < n; i++) {
        uint64_t held = claim_look(m, &claims[i], ELSEWHERE);
        if (claims[i].status != MF_OK)
            continue;
        struct mfi_slot *slot = mfi_queue_slot(&m->queue);
        slot->unit = claims[i].unit;
        slot->attempt = claims[i].attempt;
        claims[i].token = mfi_claim_begin(&m->queue, slot, held, now);
    }
    mfi_mutex_unlock(&m->lock);
    mfi_watchers_tell_ready(&m->watchers, ready);
    return room ? MF_OK : mf_fail(err, MF_E_NOMEM, "store: no memory for %zu claims", n);
}

/* The entry as it is handed out, without references of its own. */
static void entry_of(const struct mfi_slot *slot, mf_entry *out)
{
    out->id = slot->node.id;
    out->spec = slot->spec;
    out->unit = slot->unit;
    out->attempt = slot->attempt;
    out->due_ms = slot->node.due;
    out->message = slot->message;
    out->error = slot->error;
    out->priority = slot->priority;
    out->deaths = slot->deaths;
    out->parked = no_key;
}

/* false: its task is locked, and it was put off; *put_off_ms is then at most when it is due. */
static bool take_one(struct mfi_memory *m, struct mfi_slot *slot, mf_taken *out, int64_t *put_off_ms)
{
    out->claim.unit = slot->unit;
    out->claim.attempt = slot->attempt;
    enum origin origin = mfi_name_is_framework(slot->spec->name) ? FRAMEWORK : OURS;
    uint64_t held = claim_look(m, &out->claim, origin);
    if (out->claim.status == MF_E_AGAIN) {
        int64_t until = mfi_head_find(m, &slot->unit.key)->rare->lock_until_ms, soon = m->now_ms + MFI_LOCKED_WAIT_MS;
        slot->node.due = until < soon ? until : soon;
        mfi_queue_place(&m->queue, slot, m->now_ms);
        if (slot->node.due < *put_off_ms)
            *put_off_ms = slot->node.due;
        return false;
    }
    entry_of(slot, &out->entry);
    out->claim.token = mfi_claim_begin(&m->queue, slot, held, m->now_ms);
    return true;
}

/* Neighbours are mostly calls of the same task: one atomic addition serves a run of them. */
static void ref_taken(const mf_taken *taken, size_t n)
{
    for (size_t i = 0; i < n;) {
        const mf_spec *spec = taken[i].entry.spec;
        unsigned same = 0;
        for (; i < n && taken[i].entry.spec == spec; i++, same++) {
            mf_message_ref(taken[i].entry.message);
            if (taken[i].entry.error != NULL)    /* rare */
                mf_message_ref(taken[i].entry.error);
        }
        mfi_spec_ref_many(spec, same);
    }
}

mf_status mfi_memory_take(mf_store *base, size_t max, mf_taken *out, size_t *got, int64_t *next_due_ms, mf_error *err)
{
    (void)err;    /* everything it needs was reserved when the entries were added */
    struct mfi_memory *m = mfi_memory_of(base);
    struct mfi_slot *slot;
    struct mfi_news news = {.delayed_ms = INT64_MAX};
    int64_t now = mfi_memory_clock(m);
    mfi_mutex_lock(&m->lock);
    now = mfi_memory_advance(m, now);
    mfi_claims_sweep(&m->queue, now);
    size_t n = 0;
    while (n < max && (slot = mfi_queue_due(&m->queue, now)) != NULL)
        n += take_one(m, slot, &out[n], &news.delayed_ms);
    ref_taken(out, n);
    *got = n;
    *next_due_ms = mfi_queue_next_due(&m->queue);
    int64_t lease_ends = mfi_claims_next(&m->queue);
    if (lease_ends < *next_due_ms)
        *next_due_ms = lease_ends;
    mfi_mutex_unlock(&m->lock);
    if (news.delayed_ms != INT64_MAX)
        mfi_watchers_tell(&m->watchers, &news);
    return MF_OK;
}

/* A row handed out is delayed rather than gone: should its publisher fail, it comes again; `published` ends it. */
static void hand_out(struct mfi_memory *m, struct mfi_slot *slot, mf_entry *out)
{
    entry_of(slot, out);
    mf_spec_ref(out->spec);
    mf_message_ref(out->message);
    mf_message_ref(out->error);
    slot->node.due = m->now_ms + MFI_OUTBOX_LEASE_MS;
    mfi_queue_place(&m->queue, slot, m->now_ms);
}

mf_status mfi_memory_outbox(mf_store *base, size_t max, mf_entry *out, size_t *got, int64_t *next_due_ms, mf_error *err)
{
    (void)err;
    struct mfi_memory *m = mfi_memory_of(base);
    struct mfi_slot *slot;
    int64_t now = mfi_memory_clock(m);
    mfi_mutex_lock(&m->lock);
    now = mfi_memory_advance(m, now);
    while (*got < max && (slot = mfi_queue_due(&m->queue, now)) != NULL)
        hand_out(m, slot, &out[(*got)++]);
    *next_due_ms = mfi_queue_next_due(&m->queue);
    mfi_mutex_unlock(&m->lock);
    return MF_OK;
}
