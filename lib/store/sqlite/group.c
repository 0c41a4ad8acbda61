/* Group commit: one transaction, and one wait for the disk, for everybody who wants to write at the same time.
 *
 *     caller                                             leader
 *     joins the line                                     takes the whole line
 *     nobody leads: it becomes the leader                runs each operation, in order, in one transaction
 *     else it sleeps until it is answered,               commits: the one wait for the disk; meanwhile a new line forms
 *     or made the leader of the next group               answers all, and makes the first of the new line the leader
 *
 * Nobody waits for a group to fill: a lone caller commits at once, on its own thread, with no other thread involved. Under
 * load the group is whatever came while the disk was busy. The leader leads once, so that its own caller gets its answer.
 *
 * What waits for the disk. A commit's answer promises that it survives a power failure, so a group with one is synced. What
 * take, claim, log and progress write survives the death of any process, which the kernel's page cache does, but needs no
 * sync of its own: a power failure takes the process that held the claim along with the claim, and the message is due
 * again either way. Whatever is synced later syncs all that came before it.
 *
 * All or nothing. An operation refuses before it writes wherever it can; then its group goes on without it. One that fails
 * after it wrote, a full disk, an I/O error: the transaction is rolled back, and each operation of the group is run again
 * in a transaction of its own, so that each fails or succeeds for itself. Rejected: a savepoint for each operation, which
 * costs every one of them to spare that rare second run.
 *
 * Rejected: a writer thread. Two changes of context for each operation of a lone caller, a thread to stop, and one more that
 * is missing after a fork. */
#include "sqlite_store.h"

#include "futex.h"

enum { WAITS, LEADS, ANSWERED };

#define NOT_KNOWN (-1)    /* a data version that none is: everything is read anew */

/* ---- a transaction ------------------------------------------------------------------------------------------------ */

mf_status mfi_sq_meta_read(struct mfi_sq_db *db, struct mfi_sq_meta *out, mf_error *err)
{
    struct mfi_sq_row q = mfi_sq_query(db, MFI_SQL_META_READ);
    if (mfi_sq_next(&q))
        *out = (struct mfi_sq_meta){mfi_sq_int(&q, 0), mfi_sq_int(&q, 1), mfi_sq_int(&q, 2), mfi_sq_int(&q, 3), mfi_sq_int(&q, 4),
                                  mfi_sq_int(&q, 5), mfi_sq_int(&q, 6) != 0};
    return mfi_sq_done(&q, err);
}

static mf_status plain(struct mfi_sq_db *db, enum mfi_sql sql, mf_error *err)
{
    struct mfi_sq_row q = mfi_sq_query(db, sql);
    return mfi_sq_run(&q, err);
}

/* Somebody else wrote since our last transaction: what we remember of records may be wrong by now. */
static mf_status refresh(struct mfi_sqlite *s, mf_error *err)
{
    struct mfi_sq_row q = mfi_sq_query(&s->writer, MFI_SQL_DATA_VERSION);
    int64_t version = mfi_sq_next(&q) ? mfi_sq_int(&q, 0) : NOT_KNOWN, sweeps = s->meta.sweeps;
    mf_status st = mfi_sq_done(&q, err);
    if (HASH_COUNT(s->heads) > MFI_HEADS_MAX)
        mfi_sq_heads_forget(s);
    if (st != MF_OK || version == s->data_version)
        return st;
    mfi_sq_heads_forget(s);
    st = mfi_sq_meta_read(&s->writer, &s->meta, err);
    if (st != MF_OK)
        return st;
    if (s->meta.sweeps != sweeps)
        mfi_sq_cache_clear(&s->cache);
    s->data_version = version;
    return MF_OK;
}

static mf_status begin(struct mfi_sqlite *s, bool durable, mf_error *err)
{
    mf_status st = mfi_sq_owner_in_place(s, err);
    if (st == MF_OK)
        st = mfi_sq_db_sync(&s->writer, durable, err);
    if (st == MF_OK)
        st = plain(&s->writer, MFI_SQL_BEGIN, err);
    return st == MF_OK ? refresh(s, err) : st;
}

/* What was remembered on the way never came to be; its numbers will be given again. */
static void roll_back(struct mfi_sqlite *s)
{
    if (mfi_sq_db_in_transaction(&s->writer))
        (void)plain(&s->writer, MFI_SQL_ROLLBACK, NULL);
    mfi_sq_heads_forget(s);
    mfi_sq_cache_clear(&s->cache);
    s->data_version = NOT_KNOWN;
}

static mf_status commit(struct mfi_sqlite *s, bool wrote, mf_error *err)
{
    struct mfi_sq_meta *m = &s->meta;
    if (!wrote)
        return plain(&s->writer, MFI_SQL_COMMIT, err);
    mfi_sq_db_reserve(&s->writer);
    m->commits++;
    mf_status st = mfi_sq_exec(&s->writer, MFI_SQL_META_WRITE, err, m->last_entry, m->last_id, m->last_record, m->clock_ms,
                                m->commits, m->sweeps);
    /* Counted before it can be seen, so that our own commit is never taken for somebody else's. */
    atomic_fetch_add_explicit(&s->own_commits, 1, memory_order_relaxed);
    if (st == MF_OK)
        st = plain(&s->writer, MFI_SQL_COMMIT, err);
    if (st != MF_OK)
        atomic_fetch_sub_explicit(&s->own_commits, 1, memory_order_relaxed);
    return st;
}

/* ---- a group ------------------------------------------------------------------------------------------------------ */

static void run_one(struct mfi_sqlite *s, struct mfi_sq_op *op)
{
    if (op->now_ms > s->meta.clock_ms)
        s->meta.clock_ms = op->now_ms;
    op->now_ms = s->meta.clock_ms;
    op->status = op->run(s, op);
}

static void undo(struct mfi_sq_op *op)
{
    if (op->undo != NULL)
        op->undo(op);
}

/* true: the transaction was committed, or none was begun: every operation has its answer. false: nothing was changed, and
 * only the first `*ran` were run; *err is why. */
static bool run_together(struct mfi_sqlite *s, struct mfi_sq_op *first, bool durable, size_t *ran, mf_error *err)
{
    *ran = 0;
    mf_status st = begin(s, durable, err);
    int64_t before = sqlite3_total_changes64(s->writer.at), id_before = s->meta.last_id;
    for (struct mfi_sq_op *op = first; st == MF_OK && op != NULL; op = op->next) {
        int64_t changes = sqlite3_total_changes64(s->writer.at);
        (*ran)++;
        run_one(s, op);
        if (op->status != MF_OK
            && (sqlite3_total_changes64(s->writer.at) != changes || !mfi_sq_db_in_transaction(&s->writer)))
            st = op->status;
    }
    bool wrote = sqlite3_total_changes64(s->writer.at) != before || s->meta.last_id != id_before;
    if (st == MF_OK)
        st = commit(s, wrote, err);
    if (st == MF_OK) {
        atomic_store_explicit(&s->latest_ms, s->meta.clock_ms, memory_order_relaxed);
        if (wrote)
            mfi_sq_owner_tell(s);
        return true;
    }
    if (err->status == MF_OK)
        err->status = st;
    roll_back(s);
    return false;
}

/* One operation, which fails as it failed or as its transaction did. */
static void run_alone(struct mfi_sqlite *s, struct mfi_sq_op *op)
{
    struct mfi_sq_op *next = op->next;
    mf_error why = {0};
    size_t ran;
    op->next = NULL;
    op->status = MF_OK;
    if (!run_together(s, op, op->durable, &ran, &why)) {
        if (op->status == MF_OK)
            op->status = mf_fail(op->err, why.status, "%s", why.text);
        if (ran > 0)
            undo(op);
    }
    op->next = next;
}

static void run_group(struct mfi_sqlite *s, struct mfi_sq_op *first)
{
    bool durable = false;
    mf_error why = {0};
    size_t ran;
    if (first->next == NULL) {
        run_alone(s, first);
        return;
    }
    for (struct mfi_sq_op *op = first; op != NULL; op = op->next)
        durable |= op->durable;
    if (run_together(s, first, durable, &ran, &why))
        return;
    if (ran == 0) {    /* no transaction: that was waited for long enough, once for all */
        for (struct mfi_sq_op *op = first; op != NULL; op = op->next)
            op->status = mf_fail(op->err, why.status, "%s", why.text);
        return;
    }
    for (struct mfi_sq_op *op = first; ran > 0; op = op->next, ran--)
        undo(op);
    for (struct mfi_sq_op *op = first; op != NULL; op = op->next)
        run_alone(s, op);
}

/* ---- the line ----------------------------------------------------------------------------------------------------- */

/* After this the operation is its caller's again, and may be gone: wake touches no memory there. */
static void turn(struct mfi_sq_op *op, uint32_t to)
{
    atomic_store_explicit(&op->turn, to, memory_order_release);
    mfi_futex_wake(&op->turn, 1);
}

static void answer(struct mfi_sq_op *first, const struct mfi_sq_op *ours)
{
    while (first != NULL) {
        struct mfi_sq_op *next = first->next;
        if (first != ours)
            turn(first, ANSWERED);
        first = next;
    }
}

static void lead(struct mfi_sqlite *s, const struct mfi_sq_op *ours)
{
    pthread_mutex_lock(&s->group_lock);
    struct mfi_sq_op *group = s->waiting;
    s->waiting = NULL;
    s->last_waiting = &s->waiting;
    pthread_mutex_unlock(&s->group_lock);
    run_group(s, group);
    answer(group, ours);
    pthread_mutex_lock(&s->group_lock);
    struct mfi_sq_op *successor = s->waiting;
    s->led = successor != NULL;
    pthread_mutex_unlock(&s->group_lock);
    if (successor != NULL)
        turn(successor, LEADS);
}

mf_status mfi_sq_submit(struct mfi_sqlite *s, struct mfi_sq_op *op)
{
    mf_status st = mfi_sq_owner_check(s, op->err);
    if (st != MF_OK)
        return st;
    op->next = NULL;
    op->now_ms = mfi_sqlite_now_ms(&s->base);
    atomic_store_explicit(&op->turn, WAITS, memory_order_relaxed);
    pthread_mutex_lock(&s->group_lock);
    *s->last_waiting = op;
    s->last_waiting = &op->next;
    bool leads = !s->led;
    s->led = true;
    pthread_mutex_unlock(&s->group_lock);
    uint32_t now = leads ? LEADS : WAITS;
    while (now == WAITS) {
        mfi_futex_wait(&op->turn, WAITS, INT64_MAX);
        now = atomic_load_explicit(&op->turn, memory_order_acquire);
    }
    if (now == LEADS)
        lead(s, op);
    return op->status;
}
