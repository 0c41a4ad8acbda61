/* Who may run what. A claim is refused by the record it is for: gone, of another epoch, with the outcome known.
 *
 * Messages that come from elsewhere may come twice, so there a claim is also refused while another one holds the same unit
 * of the same epoch. Our own queue gives each message once; whoever sends a unit twice means it. */
#include "memory_store.h"

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
        if (!head->spec->numbered)
            return mf_signature_status_ended((mf_signature_status)state->status);
        break;
    default:
        break;
    }
    const uintptr_t *packed = mfi_head_outcome(head, index);
    return packed != NULL && *packed != 0;
}

static mf_status judge(const struct mfi_memory *m, const struct mfi_head *head, const mf_unit *unit, enum origin origin)
{
    if (head == NULL)
        return MF_E_NOT_FOUND;
    if (origin == FRAMEWORK)
        return MF_OK;
    if (unit->epoch != head->state.epoch || outcome_known(head, unit->index))
        return MF_E_STALE;
    return origin == ELSEWHERE && mfi_claim_held(&m->queue, head, unit) ? MF_E_EXISTS : MF_OK;
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

/* Fill what a claim says of its record. Gives the record whose unit may be held; NULL: none, see claim->status. */
static struct mfi_head *claim_look(struct mfi_memory *m, mf_claim *claim, enum origin origin, int64_t now_ms)
{
    claim->token = 0;
    claim->status = MF_OK;
    claim->head = claim->above = MF_STATUS_ACTIVE;
    if (!mf_key_is_set(&claim->unit.key))
        return NULL;    /* a message on nobody's behalf */
    struct mfi_head *head = mfi_head_find(m, &claim->unit.key);
    claim->status = judge(m, head, &claim->unit, origin);
    if (head == NULL)
        return NULL;
    bool held = origin != FRAMEWORK && claim->status == MF_OK;
    claim->above = mfi_head_above(m, head);
    if (held && mf_signature_status_runs(claim->above))
        activate(head, now_ms);
    claim->head = (mf_signature_status)head->state.status;
    return held ? head : NULL;
}

mf_status mfi_memory_claim(mf_store *base, mf_claim *claims, size_t n, mf_error *err)
{
    struct mfi_memory *m = mfi_memory_of(base);
    int64_t now = mfi_memory_clock(m);
    pthread_mutex_lock(&m->lock);
    bool room = mfi_queue_reserve(&m->queue, m->allocator, n, 0);
    now = mfi_memory_advance(m, now);
    for (size_t i = 0; room && i < n; i++) {
        struct mfi_head *head = claim_look(m, &claims[i], ELSEWHERE, now);
        if (claims[i].status != MF_OK)
            continue;
        struct mfi_slot *slot = mfi_queue_slot(&m->queue);
        slot->entry = (mf_entry){.unit = claims[i].unit, .attempt = claims[i].attempt};
        claims[i].token = mfi_claim_begin(&m->queue, slot, head);
    }
    pthread_mutex_unlock(&m->lock);
    return room ? MF_OK : mf_fail(err, MF_E_NOMEM, "store: no memory for %zu claims", n);
}

static void take_one(struct mfi_memory *m, struct mfi_slot *slot, mf_taken *out, int64_t now_ms)
{
    out->entry = slot->entry;
    out->claim.unit = slot->entry.unit;
    out->claim.attempt = slot->entry.attempt;
    enum origin origin = mfi_name_is_framework(slot->entry.spec->name) ? FRAMEWORK : OURS;
    struct mfi_head *head = claim_look(m, &out->claim, origin, now_ms);
    slot->entry.spec = NULL;        /* the references go with the copy */
    slot->entry.message = NULL;
    slot->entry.error = NULL;
    out->claim.token = mfi_claim_begin(&m->queue, slot, head);
}

mf_status mfi_memory_take(mf_store *base, size_t max, mf_taken *out, size_t *got, int64_t *next_due_ms, mf_error *err)
{
    (void)err;    /* everything it needs was reserved when the entries were added */
    struct mfi_memory *m = mfi_memory_of(base);
    struct mfi_slot *slot;
    int64_t now = mfi_memory_clock(m);
    pthread_mutex_lock(&m->lock);
    now = mfi_memory_advance(m, now);
    while (*got < max && (slot = mfi_queue_due(&m->queue, now)) != NULL)
        take_one(m, slot, &out[(*got)++], now);
    *next_due_ms = mfi_queue_next_due(&m->queue);
    pthread_mutex_unlock(&m->lock);
    return MF_OK;
}

/* A row handed out is delayed rather than gone: should its publisher fail, it comes again; `published` ends it. */
static void hand_out(struct mfi_memory *m, struct mfi_slot *slot, mf_entry *out, int64_t now_ms)
{
    *out = slot->entry;
    mf_spec_ref(out->spec);
    mf_message_ref(out->message);
    mf_message_ref(out->error);
    mfi_queue_delay(&m->queue, slot, now_ms + MFI_OUTBOX_LEASE_MS);
}

mf_status mfi_memory_outbox(mf_store *base, size_t max, mf_entry *out, size_t *got, int64_t *next_due_ms, mf_error *err)
{
    struct mfi_memory *m = mfi_memory_of(base);
    struct mfi_slot *slot;
    int64_t now = mfi_memory_clock(m);
    pthread_mutex_lock(&m->lock);
    now = mfi_memory_advance(m, now);
    size_t most = max < m->queue.waiting ? max : m->queue.waiting;
    bool room = mfi_queue_reserve(&m->queue, m->allocator, 0, most);
    while (room && *got < most && (slot = mfi_queue_due(&m->queue, now)) != NULL)
        hand_out(m, slot, &out[(*got)++], now);
    *next_due_ms = mfi_queue_next_due(&m->queue);
    pthread_mutex_unlock(&m->lock);
    return room ? MF_OK : mf_fail(err, MF_E_NOMEM, "store: no memory to hand out %zu rows", most);
}
