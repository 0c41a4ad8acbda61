/* Draining: nothing that is due waits, and nothing runs here.
 *
 * The engine tells nobody how much waits in it. So a process that serves remembers the runs of its own tasks that it has sent, until
 * they arrive here. One that does not arrive may have gone to another worker: whoever drains asks for it by itself. What other
 * processes have sent, and runs that a restart made nobody's, stay unknown; they are of another process's drain.
 *
 * A run may arrive before the engine's answer to who sent it: while anything is being sent, arrivals are remembered, too. */
#define HASH_NONFATAL_OOM 1
#include "registry.h"       /* uthash, with our allocator */

#include "hatchet.h"

#include <stdio.h>
#include <time.h>

#include "clock.h"

#define KEPT 10000                      /* the newest; where others serve as well, this is what they took */
#define ROUND mf_milliseconds(500)      /* between questions */
#define ASK_AFTER mf_seconds(2)
#define ASK_MOST 64                     /* in a round */
#define MISSING mf_seconds(30)          /* later than that, a run that the engine does not know never was */
#define ON_ITS_WAY mf_seconds(10)       /* RUNNING, and not here: later than that it is elsewhere */
#define SOON_MS 1000                    /* what is put off until then is waited for */
#define QUEUED 0                        /* of a run's statuses, those before its end */
#define RUNNING 1
#define EVICTED 5

/* L all of it */
struct hatchet_sent {
    UT_hash_handle hh;                  /* by run; the oldest first */
    char           run[HATCHET_ID_MAX];
    int64_t        since_ns;
    int64_t        running_ns;          /* the engine said RUNNING, the first time then; 0: not yet */
    bool           seen;                /* it arrived while something was being sent: perhaps it itself */
};
typedef struct hatchet_sent hatchet_sent;

/* ---- what was sent ---------------------------------------------------------------------------------------------------- *
 * The lock is held for all of these. */

static hatchet_sent *find(hatchet *h, const char *run)
{
    hatchet_sent *s;
    HASH_FIND_STR(h->sent, run, s);
    return s;
}

static void drop(hatchet *h, hatchet_sent *s)
{
    h->sent_waits -= !s->seen;
    HASH_DEL(h->sent, s);
    mf_delete(h->allocator, s);
}

/* Without memory it is not waited for. */
static void keep(hatchet *h, const char *run, bool seen)
{
    hatchet_sent *s = mf_new(h->allocator, hatchet_sent);
    if (s == NULL)
        return;
    snprintf(s->run, sizeof s->run, "%s", run);
    s->since_ns = mfi_now_ns(h->clock);
    s->seen = seen;
    HASH_ADD_STR(h->sent, run, s);
    if (s->hh.tbl == NULL) {
        mf_delete(h->allocator, s);
        return;
    }
    h->sent_waits += !seen;
    if (HASH_COUNT(h->sent) > KEPT)
        drop(h, h->sent);
}

static void forget_seen(hatchet *h)
{
    for (hatchet_sent *s = h->sent, *next; s != NULL; s = next) {
        next = s->hh.next;
        if (s->seen)
            drop(h, s);
    }
}

/* ---- sending and arriving ---------------------------------------------------------------------------------------------- */

void hatchet_sending(hatchet *h)
{
    pthread_mutex_lock(&h->lock);
    h->sending++;
    h->moves++;
    pthread_mutex_unlock(&h->lock);
}

void hatchet_sent_run(hatchet *h, mf_str task, const char *run)
{
    if (run == NULL || run[0] == '\0' || strlen(run) >= HATCHET_ID_MAX)
        return;
    pthread_mutex_lock(&h->lock);
    hatchet_sent *s = find(h, run);
    if (s != NULL)
        drop(h, s);
    else if (h->serving && hatchet_task_find(h, task) != NULL)
        keep(h, run, false);
    pthread_mutex_unlock(&h->lock);
}

void hatchet_sending_ended(hatchet *h)
{
    pthread_mutex_lock(&h->lock);
    if (--h->sending == 0 && h->sent_seen) {
        forget_seen(h);
        h->sent_seen = false;
    }
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->lock);
}

/* The lock is held. */
void hatchet_arrived(hatchet *h, const char *run)
{
    hatchet_sent *s = run != NULL ? find(h, run) : NULL;
    h->moves++;
    if (s != NULL) {
        if (!s->seen)
            drop(h, s);
    } else if (run != NULL && h->sending > 0 && strlen(run) < HATCHET_ID_MAX) {
        keep(h, run, true);
        h->sent_seen = true;
    }
}

void hatchet_sent_free(hatchet *h)
{
    while (h->sent != NULL)
        drop(h, h->sent);
}

/* ---- asking ------------------------------------------------------------------------------------------------------------ *
 * The engine calls a run RUNNING once it has given it to a worker, and does not say to which. It may be on its way to us. */

typedef enum place { WAITING, GIVEN, OVER } place;

typedef struct question {
    char    run[HATCHET_ID_MAX];
    int64_t age_ns;
} question;

static place ask(hatchet *h, question *q)
{
    HatchetPb__RunRef ref = HATCHET_PB__RUN_REF__INIT;
    ProtobufCMessage *answer = NULL;
    mfi_rpc_code code = MFI_RPC_OK;
    ref.id = q->run;
    mf_status st = hatchet_call(h, "/v1.AdminService/GetRunDetails", &ref.base, mf_seconds(2), &hatchet_pb__run_details__descriptor, &answer,
                                &code, NULL);
    if (st != MF_OK)
        return code == MFI_RPC_NOT_FOUND && q->age_ns > MISSING ? OVER : WAITING;
    const HatchetPb__RunDetails *d = (HatchetPb__RunDetails *)answer;
    place at = d->done ? OVER : d->status == RUNNING ? GIVEN : d->status == QUEUED || d->status == EVICTED ? WAITING : OVER;
    protobuf_c_message_free_unpacked(answer, NULL);
    return at;
}

/* The lock is held. */
static void learn(hatchet *h, const char *run, place at)
{
    hatchet_sent *s = find(h, run);
    int64_t now = mfi_now_ns(h->clock);
    if (s == NULL)
        return;
    if (at != GIVEN)
        s->running_ns = 0;
    else if (s->running_ns == 0)
        s->running_ns = now;
    if (at == OVER || (at == GIVEN && now - s->running_ns >= ON_ITS_WAY)) {
        drop(h, s);
        return;
    }
    HASH_DEL(h->sent, s);       /* it goes to the end, so that all are asked for in turn */
    HASH_ADD_STR(h->sent, run, s);
    if (s->hh.tbl == NULL) {
        h->sent_waits -= !s->seen;
        mf_delete(h->allocator, s);
    }
}

static void ask_for_old_ones(hatchet *h, int64_t deadline_ns)
{
    question asked[ASK_MOST];
    int64_t now = mfi_now_ns(h->clock);
    size_t n = 0;
    pthread_mutex_lock(&h->lock);
    for (hatchet_sent *s = h->sent; s != NULL && n < ASK_MOST; s = s->hh.next)
        if (!s->seen && now - s->since_ns >= ASK_AFTER) {
            memcpy(asked[n].run, s->run, sizeof s->run);
            asked[n++].age_ns = now - s->since_ns;
        }
    pthread_mutex_unlock(&h->lock);
    for (size_t i = 0; i < n && mfi_now_ns(NULL) < deadline_ns; i++) {
        place at = ask(h, &asked[i]);
        pthread_mutex_lock(&h->lock);
        learn(h, asked[i].run, at);
        pthread_mutex_unlock(&h->lock);
    }
}

/* ---- the wait ---------------------------------------------------------------------------------------------------------- */

/* The lock is held. */
static bool is_busy(const hatchet *h)
{
    return h->job_count > 0 || h->returning > 0 || h->telling.first != NULL || h->under_way > 0 || h->streaming > 0 ||
           h->sending > 0;
}

/* The lock is held. */
static bool is_idle(const hatchet *h)
{
    return !is_busy(h) && h->sent_waits == 0;
}

/* The lock is held, and given up meanwhile. */
static bool wait_idle(hatchet *h, int64_t until_ns)
{
    struct timespec until = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
    while (h->serving && !is_idle(h))
        if (pthread_cond_timedwait(&h->changed, &h->lock, &until) != 0)
            return is_idle(h);
    return is_idle(h);
}

/* A row of the outbox stays there until its run is known here: nothing slips from one place to the other behind this look. */
static bool nothing_soon(hatchet *h)
{
    size_t waiting = 0, claimed = 0, got = 0;
    int64_t next_due = INT64_MAX;
    mf_taken nothing;
    mf_store_load_counts(h->store, &waiting, &claimed);
    return waiting == 0 || (mf_store_take(h->store, 0, &nothing, &got, &next_due, NULL) == MF_OK &&
                            (next_due == INT64_MAX || next_due > mf_store_now_ms(h->store) + SOON_MS));
}

mf_status hatchet_drain(hatchet *h, mf_duration timeout)
{
    int64_t deadline = mfi_deadline_ns(mfi_now_ns(NULL), timeout);
    for (;;) {
        int64_t round = mfi_deadline_ns(mfi_now_ns(NULL), ROUND);
        pthread_mutex_lock(&h->lock);
        bool idle = wait_idle(h, round < deadline ? round : deadline), busy = is_busy(h), serving = h->serving;
        uint64_t moves = h->moves;
        pthread_mutex_unlock(&h->lock);
        if (!serving)
            return MF_OK;
        bool nothing = idle && nothing_soon(h);
        pthread_mutex_lock(&h->lock);
        nothing = nothing && h->moves == moves && is_idle(h);
        pthread_mutex_unlock(&h->lock);
        if (nothing)
            return MF_OK;
        if (mfi_now_ns(NULL) >= deadline)
            return MF_E_TIMEOUT;
        if (!idle && !busy)
            ask_for_old_ones(h, deadline);
        else if (idle)
            nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
}
