/* The I/O thread: one loop over an inbox, the connection that takes calls, those that still finish some, and a timer.
 *
 * Waking it without losing a call, and without a system call while it is awake, is done as in redis/io.c, with the same
 * proof: the submitter publishes, then reads `asleep`; the thread sets `asleep`, then looks once more; all four are seq_cst, so
 * that one of them sees the other. */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "clock.h"
#include "memory.h"
#include "rpc_impl.h"

static _Thread_local const mfi_rpc *here;

bool rpc_here(const mfi_rpc *rpc)
{
    return here == rpc;
}

void rpc_ring(mfi_rpc *rpc)
{
    if (atomic_load_explicit(&rpc->asleep, memory_order_seq_cst) == 0 ||
        atomic_exchange_explicit(&rpc->asleep, 0, memory_order_seq_cst) == 0)
        return;
    uint64_t one = 1;
    while (write(rpc->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

static void end_queue(mfi_rpc *rpc, mfi_rpc_code code, const mf_error *why)
{
    rpc_list ending = rpc->queue;
    rpc->queue = (rpc_list){NULL, NULL, 0};
    mfi_rpc_call *call;
    while ((call = ending.first) != NULL) {
        rpc_list_remove(&ending, call);
        rpc_call_tell(call, code, why->status, true, why);
        rpc_call_forget(call);
    }
}

void rpc_changed(mfi_rpc *rpc, const mf_error *why)
{
    bool up = why == NULL;
    bool news = rpc->up != up || (!up && strcmp(rpc->why.text, why->text) != 0);
    pthread_mutex_lock(&rpc->lock);
    rpc->up = up;
    rpc->refused = !up && (why->status == MF_E_INVALID || why->status == MF_E_UNSUPPORTED);
    if (!up)
        rpc->why = *why;
    pthread_cond_broadcast(&rpc->changed);
    pthread_mutex_unlock(&rpc->lock);
    if (news && rpc->observe != NULL)
        rpc->observe(rpc->user, up, up ? NULL : &rpc->why);
    if (rpc->refused)
        end_queue(rpc, MFI_RPC_UNAVAILABLE, &rpc->why);
}

/* ---- deadlines that come nearer: mfi_rpc_hurry ------------------------------------------------------------------- */

static void bring_near(mfi_rpc *rpc, mfi_rpc_call *call, int64_t until)
{
    if (call->deadline == INT64_MAX || call->deadline <= until)
        return;
    call->deadline = until;
    rpc->next_deadline = until < rpc->next_deadline ? until : rpc->next_deadline;
}

static void hurry_list(mfi_rpc *rpc, const rpc_list *list, int64_t until)
{
    for (mfi_rpc_call *call = list->first; call != NULL; call = call->next)
        bring_near(rpc, call, until);
}

static void hurry(mfi_rpc *rpc, int64_t now)
{
    if (atomic_load_explicit(&rpc->hurried, memory_order_relaxed) == 0 ||
        atomic_exchange_explicit(&rpc->hurried, 0, memory_order_acquire) == 0)
        return;
    int64_t until = mfi_deadline_ns(now, atomic_load_explicit(&rpc->within_max, memory_order_relaxed));
    hurry_list(rpc, &rpc->queue, until);
    if (rpc->conn != NULL)
        hurry_list(rpc, &rpc->conn->calls, until);
    for (rpc_conn *c = rpc->old; c != NULL; c = c->next)
        hurry_list(rpc, &c->calls, until);
}

/* ---- the inbox --------------------------------------------------------------------------------------------------- */

static void begin(mfi_rpc *rpc, mfi_rpc_call *call)
{
    if (rpc->refused) {
        mf_error why = rpc->why;
        rpc_call_tell(call, MFI_RPC_UNAVAILABLE, why.status, true, &why);
        rpc_call_forget(call);
        return;
    }
    int64_t most = atomic_load_explicit(&rpc->within_max, memory_order_relaxed);
    if (most != INT64_MAX)
        bring_near(rpc, call, mfi_deadline_ns(mfi_now_ns(rpc->clock), most));
    if (call->deadline < rpc->next_deadline)
        rpc->next_deadline = call->deadline;
    rpc_list_push(&rpc->queue, call);
}

static void cancel(mfi_rpc *rpc, mfi_rpc_call *call)
{
    if (call->told)
        return;
    rpc_call_fail(call, MFI_RPC_CANCELLED, MF_E_CANCELED, "canceled here");
    if (call->conn == NULL) {       /* else when its stream is closed */
        rpc_list_remove(&rpc->queue, call);
        rpc_call_forget(call);
    }
}

static void obey(mfi_rpc *rpc, rpc_ask *ask)
{
    mfi_rpc_call *call = ask->call;
    switch (ask->kind) {
    case RPC_BEGIN:
        begin(rpc, call);           /* the ask lies in the call, and has no reference of its own */
        return;
    case RPC_SEND:
        if (call->told)
            rpc_out_free(call->allocator, ask->message);
        else
            rpc_call_add(call, ask->message, false);
        break;
    case RPC_SEND_END:
        rpc_call_add(call, NULL, true);
        break;
    case RPC_CANCEL:
        cancel(rpc, call);
        break;
    }
    mf_delete(rpc->allocator, ask);
    mfi_rpc_call_unref(call);
}

static void take_inbox(mfi_rpc *rpc)
{
    /* Acquire: what the submitters wrote into their asks. */
    rpc_ask *newest = atomic_exchange_explicit(&rpc->inbox, NULL, memory_order_acquire), *oldest = NULL;
    while (newest != NULL) {
        rpc_ask *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest != NULL) {
        rpc_ask *next = oldest->next;
        obey(rpc, oldest);
        oldest = next;
    }
}

static bool has_news(mfi_rpc *rpc)
{
    return atomic_load_explicit(&rpc->inbox, memory_order_seq_cst) != NULL ||
           atomic_load_explicit(&rpc->poked, memory_order_seq_cst) != 0 ||
           atomic_load_explicit(&rpc->hurried, memory_order_seq_cst) != 0 ||
           atomic_load_explicit(&rpc->closing, memory_order_seq_cst) == 1;      /* 2: known */
}

/* ---- time -------------------------------------------------------------------------------------------------------- */

static void expire_in(mfi_rpc *rpc, rpc_list *list, int64_t now)
{
    for (mfi_rpc_call *call = list->first, *next; call != NULL; call = next) {
        next = call->next;
        if (call->told)
            continue;
        if (now < call->deadline) {
            rpc->next_deadline = call->deadline < rpc->next_deadline ? call->deadline : rpc->next_deadline;
            continue;
        }
        if (call->conn != NULL) {
            rpc_call_fail(call, MFI_RPC_DEADLINE_EXCEEDED, MF_E_TIMEOUT, "no answer in time; not known whether it was done");
        } else {
            rpc_call_fail(call, MFI_RPC_DEADLINE_EXCEEDED, MF_E_TIMEOUT, "not sent in time%s%.*s", rpc->up ? "" : ": ",
                          rpc->up ? 0 : MF_ERROR_TEXT_MAX - 160, rpc->why.text);
            rpc_list_remove(list, call);
            rpc_call_forget(call);
        }
    }
}

static void expire(mfi_rpc *rpc, int64_t now)
{
    if (now < rpc->next_deadline)
        return;
    rpc->next_deadline = INT64_MAX;
    expire_in(rpc, &rpc->queue, now);
    if (rpc->conn != NULL)
        expire_in(rpc, &rpc->conn->calls, now);
    for (rpc_conn *c = rpc->old; c != NULL; c = c->next)
        expire_in(rpc, &c->calls, now);
}

static void run_tick(mfi_rpc *rpc, int64_t now)
{
    bool poked = atomic_load_explicit(&rpc->poked, memory_order_relaxed) != 0 &&
                 atomic_exchange_explicit(&rpc->poked, 0, memory_order_acquire) != 0;
    if (rpc->tick != NULL && (poked || now >= rpc->tick_at))
        rpc->tick_at = rpc->tick(rpc->user, now);
}

static int64_t earliest(const mfi_rpc *rpc, int64_t drain_until)
{
    int64_t due = rpc->tick != NULL ? rpc->tick_at : INT64_MAX;
    int64_t others[] = {drain_until, rpc->next_deadline, rpc->conn != NULL ? rpc_conn_due(rpc->conn) : rpc->retry_at};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        due = others[i] < due ? others[i] : due;
    for (const rpc_conn *c = rpc->old; c != NULL; c = c->next) {
        int64_t at = rpc_conn_due(c);
        due = at < due ? at : due;
    }
    return due;
}

/* ---- connections ------------------------------------------------------------------------------------------------- */

static void sweep(mfi_rpc *rpc)
{
    rpc_conn *conn = rpc->conn;
    if (conn != NULL && conn->state == RPC_DEAD) {
        rpc->conn = NULL;
        rpc_conn_destroy(conn);
    }
    for (rpc_conn **at = &rpc->old; *at != NULL;) {
        rpc_conn *old = *at;
        if (old->state != RPC_DEAD) {
            at = &old->next;
            continue;
        }
        *at = old->next;
        rpc_conn_destroy(old);
    }
}

/* The one that goes away makes room for the next. */
static void step_aside(mfi_rpc *rpc, int64_t now)
{
    rpc_conn *conn = rpc->conn;
    if (conn == NULL || conn->state != RPC_LEAVING)
        return;
    size_t count = 0;
    rpc_conn *oldest = NULL;
    for (rpc_conn *c = rpc->old; c != NULL; c = c->next, count++)
        oldest = c;
    rpc->conn = NULL;
    conn->next = rpc->old;
    rpc->old = conn;
    if (now - conn->up_since >= mf_seconds(1))
        mfi_retry_reset(&rpc->retry);
    rpc->retry_at = rpc->retry.failures == 0 ? now : now + mfi_retry_next(&rpc->retry, rpc->random);
    rpc->retry.failures += rpc->retry.failures == 0;
    if (count >= RPC_OLD_MAX) {
        mf_error err;
        mf_fail(&err, MF_E_IO, "%s: the server asked for a new connection again and again", rpc->what);
        rpc_conn_drop(oldest, now, MF_E_IO, &err);
    }
}

static void connect_if_due(mfi_rpc *rpc, int64_t now)
{
    if (rpc->conn != NULL || now < rpc->retry_at)
        return;
    mf_error err = {0};
    rpc->conn = rpc_conn_create(rpc, &err);
    if (rpc->conn != NULL)
        return;
    rpc->retry_at = now + mfi_retry_next(&rpc->retry, rpc->random);
    rpc_changed(rpc, &err);
}

static void start_calls(mfi_rpc *rpc, int64_t now)
{
    rpc_conn *c = rpc->conn;
    while (c != NULL && rpc->queue.first != NULL && rpc_conn_has_room(c)) {
        mfi_rpc_call *call = rpc->queue.first;
        rpc_list_remove(&rpc->queue, call);
        if (!rpc_call_start(call, c, now)) {        /* out of stream numbers, or of memory */
            rpc_list_push_front(&rpc->queue, call);
            c->state = RPC_LEAVING;
            return;
        }
        rpc_list_push(&c->calls, call);
    }
}

static void drive(mfi_rpc *rpc, int64_t now)
{
    step_aside(rpc, now);
    sweep(rpc);
    connect_if_due(rpc, now);
    start_calls(rpc, now);
    for (rpc_conn *c = rpc->old; c != NULL; c = c->next)
        rpc_conn_drive(c, now);
    if (rpc->conn != NULL)
        rpc_conn_drive(rpc->conn, now);
    if (rpc->queue.first != NULL && rpc->conn != NULL && rpc_conn_has_room(rpc->conn)) {     /* it came up just now */
        start_calls(rpc, now);
        rpc_conn_drive(rpc->conn, now);
    }
    step_aside(rpc, now);
    sweep(rpc);
}

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

static void wait_and_read(mfi_rpc *rpc, int64_t drain_until)
{
    struct pollfd fds[3 + RPC_OLD_MAX] = {{.fd = rpc->wake_fd, .events = POLLIN}};
    rpc_conn *conns[3 + RPC_OLD_MAX] = {NULL};
    nfds_t n = 1;
    if (rpc->conn != NULL && rpc_conn_wants(rpc->conn, &fds[n].fd, &fds[n].events))
        conns[n++] = rpc->conn;
    for (rpc_conn *c = rpc->old; c != NULL && n < sizeof fds / sizeof *fds; c = c->next)
        if (rpc_conn_wants(c, &fds[n].fd, &fds[n].events))
            conns[n++] = c;

    struct timespec span = {0}, *timeout = &span;
    int64_t due = earliest(rpc, drain_until);
    atomic_store_explicit(&rpc->asleep, 1, memory_order_seq_cst);
    if (has_news(rpc)) {
        atomic_store_explicit(&rpc->asleep, 0, memory_order_relaxed);
    } else if (due == INT64_MAX) {
        timeout = NULL;
    } else {
        int64_t left = due - mfi_now_ns(rpc->clock);
        if (left > 0)
            span = (struct timespec){left / 1000000000, left % 1000000000};
    }
    int ready = ppoll(fds, n, timeout, NULL);
    atomic_store_explicit(&rpc->asleep, 0, memory_order_relaxed);
    if (ready <= 0)
        return;
    if (fds[0].revents != 0) {
        uint64_t rings;
        ssize_t got = read(rpc->wake_fd, &rings, sizeof rings);
        (void)got;
    }
    for (nfds_t i = 1; i < n; i++)
        if (fds[i].revents != 0)
            rpc_conn_read(conns[i], mfi_now_ns(rpc->clock));
}

/* Calls that end by themselves. */
static bool has_finite(const rpc_list *list)
{
    for (const mfi_rpc_call *call = list->first; call != NULL; call = call->next)
        if (!call->told && call->deadline != INT64_MAX)
            return true;
    return false;
}

static bool closed(mfi_rpc *rpc, int64_t now, int64_t *drain_until)
{
    if (atomic_load_explicit(&rpc->closing, memory_order_acquire) == 0)
        return false;
    if (*drain_until == INT64_MAX) {
        atomic_store_explicit(&rpc->closing, 2, memory_order_relaxed);
        int64_t until = mfi_deadline_ns(now, rpc->drain);
        *drain_until = until < INT64_MAX ? until : INT64_MAX - 1;
    }
    bool busy = has_finite(&rpc->queue) || (rpc->conn != NULL && has_finite(&rpc->conn->calls));
    for (const rpc_conn *c = rpc->old; c != NULL && !busy; c = c->next)
        busy = has_finite(&c->calls);
    return now >= *drain_until || !busy;
}

void *rpc_io(void *arg)
{
    mfi_rpc *rpc = arg;
    int64_t drain_until = INT64_MAX;
    here = rpc;
    for (;;) {
        take_inbox(rpc);
        int64_t now = mfi_now_ns(rpc->clock);
        hurry(rpc, now);
        expire(rpc, now);
        if (closed(rpc, now, &drain_until))
            break;
        run_tick(rpc, now);
        take_inbox(rpc);                /* what the tick, and the answers before it, began goes out with this write */
        drive(rpc, now);
        wait_and_read(rpc, drain_until);
    }
    mf_error err;
    mf_fail(&err, MF_E_CLOSED, "%s: closed", rpc->what);
    if (rpc->conn != NULL)
        rpc_conn_drop(rpc->conn, mfi_now_ns(rpc->clock), MF_E_CLOSED, &err);
    for (rpc_conn *c = rpc->old; c != NULL; c = c->next)
        rpc_conn_drop(c, mfi_now_ns(rpc->clock), MF_E_CLOSED, &err);
    sweep(rpc);
    end_queue(rpc, MFI_RPC_CANCELLED, &err);
    return NULL;
}
