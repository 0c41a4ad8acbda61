/* Who may run what, with the same rules as the memory store: a claim is refused by the record it is for: gone, of another
 * epoch, with the outcome known, or locked; one from elsewhere also where its unit is held, or a later attempt was sent.
 *
 * A claim is good for as long as its owner lives (owner.c), so renewing one only looks whether it is still there. */
#include "sqlite_store.h"

enum origin {
    ELSEWHERE,    /* another manager's queue: the same message may come twice */
    OURS,         /* our own, for a task */
    FRAMEWORK     /* our own, for one of mageflow's tasks: the claim covers the message alone */
};

/* ---- judging ------------------------------------------------------------------------------------------------------ */

static mf_status is_there(struct mfi_sq_db *db, enum mfi_sql sql, int64_t a, int64_t b, int parameters, bool *out, mf_error *err)
{
    struct mfi_sq_row q = mfi_sq_query(db, sql);
    mfi_sq_bind(&q, a);
    if (parameters == 2)
        mfi_sq_bind(&q, b);
    *out = mfi_sq_next(&q);
    return mfi_sq_done(&q, err);
}

static mf_status outcome_known(struct mfi_sqlite *s, const struct mfi_sq_head *head, uint64_t index, bool *known, mf_error *err)
{
    *known = false;
    switch (head->kind) {
    case MF_KIND_CHAIN:
        *known = head->running == 0 || index + 1 != head->next;
        return MF_OK;
    case MF_KIND_TASK:
        if (head->numbered)
            break;
        *known = mf_signature_status_ended((mf_signature_status)head->status);
        return MF_OK;
    default:
        break;
    }
    if (index > MFI_INDEX_MAX)
        return MF_OK;
    return is_there(&s->writer, MFI_SQL_OUTCOME_FIND, mfi_sq_place(head->rec, index), 0, 1, known, err);
}

/* Whether a later attempt was sent. */
static mf_status is_overtaken(struct mfi_sqlite *s, const struct mfi_sq_head *head, const mf_claim *claim, bool *yes, mf_error *err)
{
    *yes = false;
    if (!s->meta.retries || claim->unit.index > MFI_INDEX_MAX)
        return MF_OK;
    struct mfi_sq_row q = mfi_sq_query(&s->writer, MFI_SQL_RETRY_FIND);
    mfi_sq_bind(&q, mfi_sq_place(head->rec, claim->unit.index));
    mfi_sq_bind(&q, claim->unit.epoch);
    mfi_sq_bind(&q, claim->attempt);
    *yes = mfi_sq_next(&q);
    return mfi_sq_done(&q, err);
}

/* A task of its own that has not begun. */
static bool is_pending_task(const struct mfi_sq_head *head)
{
    return head->kind == MF_KIND_TASK && !head->numbered && head->status == MF_STATUS_PENDING;
}

static mf_status judge(struct mfi_sqlite *s, const struct mfi_sq_head *head, mf_claim *claim, enum origin origin, int64_t now_ms,
                       mf_error *err)
{
    const mf_unit *unit = &claim->unit;
    bool yes;
    claim->status = MF_OK;
    if (origin == FRAMEWORK)
        return MF_OK;
    claim->status = MF_E_STALE;
    if (unit->epoch != head->epoch)
        return MF_OK;
    mf_status st = outcome_known(s, head, unit->index, &yes, err);
    if (st != MF_OK || yes)
        return st;
    if (origin == ELSEWHERE) {
        st = is_overtaken(s, head, claim, &yes, err);
        if (st != MF_OK || yes)
            return st;
    }
    claim->status = MF_E_AGAIN;
    if (head->lock != 0 && head->lock_until_ms > now_ms && is_pending_task(head))
        return MF_OK;
    claim->status = MF_OK;
    if (origin != ELSEWHERE || unit->index > MFI_INDEX_MAX)
        return MF_OK;
    st = is_there(&s->writer, MFI_SQL_CLAIM_HELD, mfi_sq_place(head->rec, unit->index), unit->epoch, 2, &yes, err);
    if (st == MF_OK && yes)
        claim->status = MF_E_EXISTS;
    return st;
}

/* Fill what a claim says of its record. *held: the record whose unit is held; NULL: the claim covers the message alone. */
static mf_status look(struct mfi_sqlite *s, mf_claim *claim, enum origin origin, int64_t now_ms, struct mfi_sq_head **held,
                      mf_error *err)
{
    struct mfi_sq_head *head = NULL, *blocker = NULL;
    claim->token = 0;
    claim->status = MF_OK;
    claim->head = claim->above = MF_STATUS_ACTIVE;
    memset(&claim->blocker, 0, sizeof claim->blocker);
    *held = NULL;
    if (!mf_key_is_set(&claim->unit.key))
        return MF_OK;    /* a message on nobody's behalf */
    mf_status st = mfi_sq_head_find(s, &claim->unit.key, &head, err);
    if (st != MF_OK || head == NULL) {
        claim->status = MF_E_NOT_FOUND;
        return st;
    }
    st = judge(s, head, claim, origin, now_ms, err);
    if (st == MF_OK)
        st = mfi_sq_head_blocker(s, head, &blocker, err);
    if (st != MF_OK)
        return st;
    if (origin != FRAMEWORK && claim->status == MF_OK)
        *held = head;
    if (blocker != NULL)
        claim->above = (mf_signature_status)blocker->status;
    else if (*held != NULL && is_pending_task(head))
        st = mfi_sq_head_activate(s, head, now_ms, err);
    claim->head = (mf_signature_status)head->status;
    if (!mf_signature_status_runs(claim->head))
        blocker = head;
    if (blocker != NULL)
        claim->blocker = blocker->key;
    return st;
}

static mf_status hold(struct mfi_sqlite *s, mf_claim *claim, int64_t entry, const struct mfi_sq_head *held, mf_error *err)
{
    int64_t token = mfi_sq_next_id(s);
    struct mfi_sq_row q = mfi_sq_query(&s->writer, MFI_SQL_CLAIM_INSERT);
    mfi_sq_bind(&q, token);
    mfi_sq_bind(&q, s->owner);
    mfi_sq_bind(&q, entry);
    if (held != NULL && claim->unit.index <= MFI_INDEX_MAX)
        mfi_sq_bind(&q, mfi_sq_place(held->rec, claim->unit.index));
    else
        mfi_sq_bind_null(&q);
    mfi_sq_bind(&q, claim->unit.epoch);
    claim->token = (uint64_t)token;
    return mfi_sq_run(&q, err);
}

/* ---- claim -------------------------------------------------------------------------------------------------------- */

struct claim_op {
    struct mfi_sq_op op;
    mf_claim     *claims;
    size_t        n;
};

static mf_status claim_run(struct mfi_sqlite *s, struct mfi_sq_op *op)
{
    struct claim_op *c = (struct claim_op *)op;
    mf_status st = MF_OK;
    s->claims = true;
    for (size_t i = 0; st == MF_OK && i < c->n; i++) {
        struct mfi_sq_head *held;
        st = look(s, &c->claims[i], ELSEWHERE, op->now_ms, &held, op->err);
        if (st == MF_OK && c->claims[i].status == MF_OK)
            st = hold(s, &c->claims[i], 0, held, op->err);
    }
    return st;
}

mf_status mfi_sqlite_claim(mf_store *base, mf_claim *claims, size_t n, mf_error *err)
{
    struct claim_op c = {.op = {.run = claim_run, .err = err}, .claims = claims, .n = n};
    return mfi_sq_submit(mfi_sqlite_of(base), &c.op);
}

/* ---- take and outbox ---------------------------------------------------------------------------------------------- */

struct take_op {
    struct mfi_sq_op op;
    size_t        max, *got;
    mf_taken     *taken;      /* take */
    mf_entry     *handed;     /* outbox */
    int64_t      *next_due_ms;
    size_t        ready;      /* of owners who died */
    int64_t         put_off_ms;     /* the first entry that was put off is due then; INT64_MAX: none was */
};

static mf_entry *entry_at(const struct take_op *t, size_t i)
{
    return t->taken != NULL ? &t->taken[i].entry : &t->handed[i];
}

static void take_undo(struct mfi_sq_op *op)
{
    struct take_op *t = (struct take_op *)op;
    while (*t->got > 0)
        mf_entry_release(entry_at(t, --*t->got));
}

/* The first rows of `ready`, as many as there is room for, read and taken out. */
static mf_status take_rows(struct mfi_sqlite *s, struct take_op *t, size_t *rows, mf_error *err)
{
    mf_status st = MF_OK;
    size_t room = t->max - *t->got;
    *rows = 0;
    struct mfi_sq_row q = mfi_sq_query(&s->writer, MFI_SQL_READY_LIST);
    mfi_sq_bind(&q, room > INT32_MAX ? INT32_MAX : (int64_t)room);
    while (st == MF_OK && mfi_sq_next(&q)) {
        st = mfi_sq_entry_read(s, &s->writer, &q, entry_at(t, *t->got + *rows), err);
        *rows += st == MF_OK;
    }
    mf_status done = mfi_sq_done(&q, err);
    st = st != MF_OK ? st : done;
    if (st == MF_OK && *rows > 0) {
        const mf_entry *last = entry_at(t, *t->got + *rows - 1);
        st = mfi_sq_exec(&s->writer, MFI_SQL_READY_TRIM, err, -(int64_t)last->priority, last->due_ms, (int64_t)last->id);
    }
    return st;
}

static mf_status put_off(struct mfi_sqlite *s, mf_entry *entry, int64_t until_ms, int64_t now_ms, mf_error *err)
{
    mf_status st = mfi_sq_exec(&s->writer, MFI_SQL_ENTRY_DUE, err, (int64_t)entry->id, until_ms);
    return st == MF_OK ? mfi_sq_entry_place(s, (int64_t)entry->id, entry->priority, until_ms, now_ms, err) : st;
}

/* *ours false: its task is locked, and it was put off; *put_off_ms is then at most when it is due. */
static mf_status take_one(struct mfi_sqlite *s, mf_taken *taken, int64_t now_ms, bool *ours, int64_t *put_off_ms, mf_error *err)
{
    struct mfi_sq_head *held, *locked;
    enum origin origin = mfi_name_is_framework(taken->entry.spec->name) ? FRAMEWORK : OURS;
    taken->claim.unit = taken->entry.unit;
    taken->claim.attempt = taken->entry.attempt;
    mf_status st = look(s, &taken->claim, origin, now_ms, &held, err);
    *ours = taken->claim.status != MF_E_AGAIN;
    if (st != MF_OK)
        return st;
    if (*ours)
        return hold(s, &taken->claim, (int64_t)taken->entry.id, held, err);
    st = mfi_sq_head_find(s, &taken->entry.unit.key, &locked, err);
    if (st != MF_OK)
        return st;
    int64_t due_ms = now_ms + MFI_LOCKED_WAIT_MS;
    if (locked->lock_until_ms < due_ms)
        due_ms = locked->lock_until_ms;
    if (due_ms < *put_off_ms)
        *put_off_ms = due_ms;
    st = put_off(s, &taken->entry, due_ms, now_ms, err);
    if (st == MF_OK)
        mf_entry_release(&taken->entry);
    return st;
}

/* The rows behind those that are ours already: each becomes ours or is put off. On failure none of them is. */
static mf_status take_each(struct mfi_sqlite *s, struct take_op *t, size_t rows, mf_error *err)
{
    size_t first = *t->got, i = 0;
    mf_status st = MF_OK;
    for (; i < rows; i++) {
        bool ours = true;
        mf_taken *at = &t->taken[first + i];
        st = take_one(s, at, t->op.now_ms, &ours, &t->put_off_ms, err);
        if (st != MF_OK)
            break;
        if (ours)
            t->taken[(*t->got)++] = *at;
    }
    for (; i < rows; i++)
        mf_entry_release(&t->taken[first + i].entry);
    return st;
}

static mf_status hand_each(struct mfi_sqlite *s, struct take_op *t, size_t rows, mf_error *err)
{
    mf_status st = MF_OK;
    for (size_t end = *t->got + rows; *t->got < end; (*t->got)++)
        if (st == MF_OK)
            st = put_off(s, &t->handed[*t->got], t->op.now_ms + MFI_OUTBOX_LEASE_MS, t->op.now_ms, err);
    return st;    /* on failure undo releases them all */
}

static mf_status take_run(struct mfi_sqlite *s, struct mfi_sq_op *op)
{
    struct take_op *t = (struct take_op *)op;
    size_t rows = 1;
    mf_status st = mfi_sq_queue_ripen(s, op->now_ms, op->err);
    while (st == MF_OK && rows > 0 && *t->got < t->max) {
        st = take_rows(s, t, &rows, op->err);
        if (st != MF_OK)
            while (rows > 0)
                mf_entry_release(entry_at(t, *t->got + --rows));
        else
            st = t->taken != NULL ? take_each(s, t, rows, op->err) : hand_each(s, t, rows, op->err);
    }
    return st == MF_OK ? mfi_sq_queue_next_due(s, t->next_due_ms, op->err) : st;
}

mf_status mfi_sqlite_take(mf_store *base, size_t max, mf_taken *out, size_t *got, int64_t *next_due_ms, mf_error *err)
{
    struct mfi_sqlite *s = mfi_sqlite_of(base);
    struct take_op t = {.op = {.run = take_run, .undo = take_undo, .err = err}, .max = max, .got = got, .taken = out,
                        .next_due_ms = next_due_ms, .put_off_ms = INT64_MAX};
    mf_status st = mfi_sq_submit(s, &t.op);
    if (st == MF_OK && t.put_off_ms != INT64_MAX)
        mfi_watchers_tell(&s->watchers, &(struct mfi_news){.delayed_ms = t.put_off_ms});
    return st;
}

mf_status mfi_sqlite_outbox(mf_store *base, size_t max, mf_entry *out, size_t *got, int64_t *next_due_ms, mf_error *err)
{
    struct take_op t = {.op = {.run = take_run, .undo = take_undo, .err = err}, .max = max, .got = got, .handed = out,
                        .next_due_ms = next_due_ms};
    return mfi_sq_submit(mfi_sqlite_of(base), &t.op);
}

/* ---- the end of a claim ------------------------------------------------------------------------------------------- */

static mf_status find(struct mfi_sq_db *db, uint64_t token, int64_t *entry, mf_error *err)
{
    struct mfi_sq_row q = mfi_sq_query(db, MFI_SQL_CLAIM_READ);
    mfi_sq_bind(&q, (int64_t)token);
    bool found = mfi_sq_next(&q);
    *entry = found ? mfi_sq_int(&q, 0) : 0;
    mf_status st = mfi_sq_done(&q, err);
    return st == MF_OK && !found ? MF_E_STALE : st;
}

mf_status mfi_sq_claim_check(struct mfi_sq_db *db, uint64_t token, mf_error *err)
{
    int64_t entry;
    return find(db, token, &entry, err);
}

mf_status mfi_sq_claim_settle(struct mfi_sqlite *s, uint64_t token, mf_error *err)
{
    int64_t entry;
    mf_status st = find(&s->writer, token, &entry, err);
    if (st == MF_OK)
        st = mfi_sq_exec(&s->writer, MFI_SQL_CLAIM_DELETE, err, (int64_t)token);
    return st == MF_OK && entry != 0 ? mfi_sq_exec(&s->writer, MFI_SQL_ENTRY_DELETE, err, entry) : st;
}

/* The message of a claim that is over is due again; one from elsewhere is its manager's business. */
static mf_status release(struct mfi_sqlite *s, int64_t token, int64_t entry, bool died, int64_t now_ms, size_t *ready,
                         mf_error *err)
{
    mf_status st = mfi_sq_exec(&s->writer, MFI_SQL_CLAIM_DELETE, err, token);
    if (st != MF_OK || entry == 0)
        return st;
    if (died)
        st = mfi_sq_exec(&s->writer, MFI_SQL_ENTRY_DEATH, err, entry);
    if (st != MF_OK)
        return st;
    struct mfi_sq_row q = mfi_sq_query(&s->writer, MFI_SQL_ENTRY_WHERE);
    mfi_sq_bind(&q, entry);
    bool found = mfi_sq_next(&q);
    int32_t priority = found ? (int32_t)mfi_sq_int(&q, 0) : 0;
    int64_t due_ms = found ? mfi_sq_int(&q, 1) : 0;
    st = mfi_sq_done(&q, err);
    if (st != MF_OK || !found)
        return st;
    (*ready)++;
    return mfi_sq_entry_place(s, entry, priority, due_ms, now_ms, err);
}

/* ---- give back, renew --------------------------------------------------------------------------------------------- */

struct give_op {
    struct mfi_sq_op   op;
    const uint64_t *tokens;
    size_t          n, ready;
};

static mf_status give_run(struct mfi_sqlite *s, struct mfi_sq_op *op)
{
    struct give_op *g = (struct give_op *)op;
    mf_status st = MF_OK;
    g->ready = 0;
    for (size_t i = 0; st == MF_OK && i < g->n; i++) {
        int64_t entry;
        st = find(&s->writer, g->tokens[i], &entry, op->err);
        if (st == MF_OK)
            st = release(s, (int64_t)g->tokens[i], entry, false, op->now_ms, &g->ready, op->err);
        else if (st == MF_E_STALE)
            st = MF_OK;
    }
    return st;
}

mf_status mfi_sqlite_give_back(mf_store *base, const uint64_t *tokens, size_t n, mf_error *err)
{
    struct mfi_sqlite *s = mfi_sqlite_of(base);
    struct give_op g = {.op = {.run = give_run, .err = err}, .tokens = tokens, .n = n};
    mf_status st = mfi_sq_submit(s, &g.op);
    if (st == MF_OK)
        mfi_watchers_tell_ready(&s->watchers, g.ready);
    return st;
}

int64_t mfi_sqlite_lease_ms(mf_store *base)
{
    (void)base;
    return 0;
}

mf_status mfi_sqlite_renew(mf_store *base, uint64_t *tokens, size_t n, mf_error *err)
{
    struct mfi_sqlite *s = mfi_sqlite_of(base);
    struct mfi_sq_db *db;
    mf_status st = mfi_sq_reader_borrow(s, n > 1, &db, err);
    if (st != MF_OK)
        return st;
    for (size_t i = 0; st == MF_OK && i < n; i++) {
        st = mfi_sq_claim_check(db, tokens[i], err);
        if (st == MF_E_STALE) {
            tokens[i] = 0;
            st = MF_OK;
        }
    }
    mfi_sq_reader_return(s, db);
    return st;
}

/* ---- owners ------------------------------------------------------------------------------------------------------- */

enum { SOME = 256 };

struct held {
    int64_t token, entry;
};

static mf_status some_of(struct mfi_sqlite *s, int64_t owner, struct held *out, size_t *n, mf_error *err)
{
    *n = 0;
    struct mfi_sq_row q = mfi_sq_query(&s->writer, MFI_SQL_CLAIMS_OF_OWNER);
    mfi_sq_bind(&q, owner);
    while (*n < SOME && mfi_sq_next(&q))
        out[(*n)++] = (struct held){mfi_sq_int(&q, 0), mfi_sq_int(&q, 1)};
    return mfi_sq_done(&q, err);
}

static mf_status release_all(struct mfi_sqlite *s, int64_t owner, bool died, int64_t now_ms, size_t *ready, mf_error *err)
{
    struct held held[SOME];
    size_t n;
    mf_status st;
    do {
        st = some_of(s, owner, held, &n, err);
        for (size_t i = 0; st == MF_OK && i < n; i++)
            st = release(s, held[i].token, held[i].entry, died, now_ms, ready, err);
    } while (st == MF_OK && n > 0);
    return st;
}

/* The first other owner behind `after` who holds claims and is dead; 0: none. */
static mf_status dead_owner(struct mfi_sqlite *s, struct mfi_sq_db *db, int64_t *out, mf_error *err)
{
    *out = 0;
    struct mfi_sq_row q = mfi_sq_query(db, MFI_SQL_CLAIM_OWNERS);
    mfi_sq_bind(&q, s->owner);
    while (*out == 0 && mfi_sq_next(&q))
        if (!mfi_sq_owner_lives(s, mfi_sq_int(&q, 0)))
            *out = mfi_sq_int(&q, 0);
    return mfi_sq_done(&q, err);
}

static mf_status revive_run(struct mfi_sqlite *s, struct mfi_sq_op *op)
{
    struct give_op *g = (struct give_op *)op;
    int64_t owner;
    mf_status st;
    g->ready = 0;
    while ((st = dead_owner(s, &s->writer, &owner, op->err)) == MF_OK && owner != 0) {
        st = release_all(s, owner, true, op->now_ms, &g->ready, op->err);
        if (st != MF_OK)
            break;
    }
    return st;
}

mf_status mfi_sq_revive(struct mfi_sqlite *s, size_t *ready, mf_error *err)
{
    struct mfi_sq_db *db;
    int64_t owner = 0;
    *ready = 0;
    mf_status st = mfi_sq_reader_borrow(s, false, &db, err);
    if (st != MF_OK)
        return st;
    st = dead_owner(s, db, &owner, err);
    mfi_sq_reader_return(s, db);
    if (st != MF_OK || owner == 0)
        return st;
    struct give_op g = {.op = {.run = revive_run, .err = err}};
    st = mfi_sq_submit(s, &g.op);
    *ready = st == MF_OK ? g.ready : 0;
    return st;
}

static mf_status leave_run(struct mfi_sqlite *s, struct mfi_sq_op *op)
{
    size_t ready = 0;
    return release_all(s, s->owner, false, op->now_ms, &ready, op->err);
}

mf_status mfi_sq_claims_leave(struct mfi_sqlite *s, mf_error *err)
{
    struct mfi_sq_op op = {.run = leave_run, .err = err};
    return mfi_sq_submit(s, &op);
}
