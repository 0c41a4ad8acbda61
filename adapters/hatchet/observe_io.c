/* What the engine says of the runs that are watched, on the I/O thread: the stream of results, and questions of our own. */
#include "observed.h"

#include <stdio.h>

#include "memory.h"

#define ASK_LAST mf_seconds(60)
#define ASKING_MAX 8
#define MISSING_MAX 6                       /* in a row, half a minute: shortly after a trigger it is normal, */
#define MISSING mf_seconds(2)               /* and on a busy engine later than that; the pause doubles twice */
#define FAILED 3                            /* statuses of a run */
#define CANCELLED 4

static bool is_given(const char *text)
{
    return text != NULL && text[0] != '\0';
}

void io_observed_result(hatchet *h, const HatchetPb__RunEvent *e)
{
    observed *ended = NULL;
    pthread_mutex_lock(&h->lock);
    observed *o = hatchet_observed_find(h, e->workflow_run_id);
    if (o != NULL) {
        const HatchetPb__RunResult *mine = e->n_results > 0 ? e->results[0] : NULL;
        for (size_t i = 0; i < e->n_results; i++)
            if (e->results[i]->task_name != NULL && strcmp(e->results[i]->task_name, o->task) == 0)
                mine = e->results[i];
        if (mine != NULL && is_given(mine->error))
            ended = hatchet_observed_end(h, o, MF_STATUS_FAILED, MF_E_TASK_FAILED, mf_cstr(mine->error));
        else if (mine != NULL && is_given(mine->output))
            ended = hatchet_observed_end(h, o, MF_STATUS_DONE, MF_OK, mf_cstr(mine->output));
        if (ended == NULL) {        /* canceled, or too large for a stream: it is asked for by itself */
            o->ask_ns = 0;
            h->observe_soon = true;
            mfi_rpc_poke(h->rpc);
        }
    }
    pthread_mutex_unlock(&h->lock);
    if (ended != NULL)
        hatchet_observed_tell(ended);
}

bool io_observed_unasked(hatchet *h, bool again)
{
    pthread_mutex_lock(&h->lock);
    for (observed *o = again ? h->observed : NULL; o != NULL; o = o->hh.next)
        o->asked = false;
    h->observe_unasked = h->observe_unasked || (again && h->observed != NULL);
    bool any = h->observe_unasked;
    pthread_mutex_unlock(&h->lock);
    return any;
}

void io_observed_ask(hatchet *h)
{
    pthread_mutex_lock(&h->lock);
    bool all = true;
    for (observed *o = h->observe_unasked ? h->observed : NULL; o != NULL; o = o->hh.next) {
        HatchetPb__RunRef ref = HATCHET_PB__RUN_REF__INIT;
        hatchet_bytes bytes = {NULL, NULL, 0};
        if (o->asked)
            continue;
        ref.id = o->run;
        o->asked = hatchet_pack(h, &ref.base, &bytes, NULL) == MF_OK && mfi_rpc_send(h->results, hatchet_str(&bytes)) == MF_OK;
        all = all && o->asked;
        hatchet_bytes_free(&bytes);
    }
    h->observe_unasked = !all;
    pthread_mutex_unlock(&h->lock);
}

/* What is asked for by itself. */
typedef struct question {
    hatchet *owner;
    char     run[HATCHET_ID_MAX];
} question;

static void answered(void *user, mf_str message)
{
    question *q = user;
    hatchet *h = q->owner;
    observed *ended = NULL;
    HatchetPb__RunDetails *d = hatchet_pb__run_details__unpack(NULL, message.len, (const uint8_t *)message.at);
    pthread_mutex_lock(&h->lock);
    observed *o = hatchet_observed_find(h, q->run);
    if (o != NULL && d != NULL) {
        const HatchetPb__TaskDetails *mine = NULL;
        for (size_t i = 0; i < d->n_task_runs; i++)
            if (mine == NULL || (d->task_runs[i]->key != NULL && strcmp(d->task_runs[i]->key, o->task) == 0))
                mine = d->task_runs[i]->value;
        o->missing = 0;
        mf_str none = {NULL, 0};
        if (d->done && d->status == CANCELLED)
            ended = hatchet_observed_end(h, o, MF_STATUS_CANCELED, MF_E_CANCELED, none);
        else if (d->done && d->status == FAILED)
            ended = hatchet_observed_end(h, o, MF_STATUS_FAILED, MF_E_TASK_FAILED, mine != NULL && is_given(mine->error) ? mf_cstr(mine->error) : none);
        else if (d->done)
            ended = hatchet_observed_end(h, o, MF_STATUS_DONE, MF_OK, mine != NULL && mine->output.len > 0 ?
                        mf_str_of((const char *)mine->output.data, mine->output.len) : none);
    }
    pthread_mutex_unlock(&h->lock);
    hatchet_pb__run_details__free_unpacked(d, NULL);
    if (ended != NULL)
        hatchet_observed_tell(ended);
}

static void question_ended(void *user, const mfi_rpc_end *e)
{
    question *q = user;
    hatchet *h = q->owner;
    observed *ended = NULL;
    pthread_mutex_lock(&h->lock);
    h->asking--;
    observed *o = hatchet_observed_find(h, q->run);
    if (o != NULL) {
        o->asking = false;
        if (e->code == MFI_RPC_NOT_FOUND && ++o->missing >= MISSING_MAX)
            ended = hatchet_observed_end(h, o, MF_STATUS_FAILED, MF_E_NOT_FOUND,
                        MF_STR_LIT("the engine has no such run: is a workflow of this name known to it?"));
    }
    h->observe_soon = true;
    pthread_mutex_unlock(&h->lock);
    if (ended != NULL)
        hatchet_observed_tell(ended);
    mf_delete(h->allocator, q);
    mfi_rpc_poke(h->rpc);
}

static bool ask(hatchet *h, const char *run)
{
    HatchetPb__RunRef ref = HATCHET_PB__RUN_REF__INIT;
    question *q = mf_new(h->allocator, question);
    if (q == NULL)
        return false;
    q->owner = h;
    snprintf(q->run, sizeof q->run, "%s", run);
    ref.id = q->run;
    if (hatchet_begin(h, "/v1.AdminService/GetRunDetails", &ref.base, mf_seconds(5), answered, question_ended, q, NULL, NULL) == MF_OK)
        return true;
    mf_delete(h->allocator, q);
    return false;
}

/* The lock is held. When the next one is due, and those that are: up to as many as may be under way. */
static int64_t due(hatchet *h, int64_t now, char runs[ASKING_MAX][HATCHET_ID_MAX], size_t *n)
{
    int64_t next = INT64_MAX;
    for (observed *o = h->observed; o != NULL; o = o->hh.next) {
        if (o->asking)
            continue;
        if (o->ask_ns <= now && h->asking < ASKING_MAX) {
            int64_t pause = o->missing > 0 ? MISSING << (o->missing < 3 ? o->missing - 1 : 2) : ASK_FIRST << (o->asks < 4 ? o->asks : 4);
            o->asking = true;
            o->asks++;
            o->ask_ns = now + (pause < ASK_LAST ? pause : ASK_LAST);
            h->asking++;
            memcpy(runs[(*n)++], o->run, HATCHET_ID_MAX);
        } else if (o->ask_ns > now) {       /* one that has to wait for others is looked at behind them */
            next = o->ask_ns < next ? o->ask_ns : next;
        }
    }
    return next;
}

int64_t io_observe_tick(hatchet *h, int64_t now)
{
    char runs[ASKING_MAX][HATCHET_ID_MAX];
    size_t n = 0;
    pthread_mutex_lock(&h->lock);
    if (h->observe_soon || now >= h->observe_ns) {
        h->observe_soon = false;
        h->observe_ns = due(h, now, runs, &n);
    }
    int64_t next = h->observe_ns;
    bool notes = h->store != NULL && h->store->ops->shared && (h->serving || h->observed != NULL);
    bool round = notes && !h->in_round && now >= h->round_ns;
    h->in_round = h->in_round || round;
    if (notes && !h->in_round && h->round_ns < next)
        next = h->round_ns;
    pthread_mutex_unlock(&h->lock);
    for (size_t i = 0; i < n; i++) {
        if (ask(h, runs[i]))
            continue;
        pthread_mutex_lock(&h->lock);
        observed *o = hatchet_observed_find(h, runs[i]);
        if (o != NULL)
            o->asking = false;
        h->asking--;
        h->observe_soon = true;
        pthread_mutex_unlock(&h->lock);
    }
    if (round) {
        mf_pool *pool = hatchet_observers(h);
        if (pool == NULL || mf_pool_submit(pool, hatchet_observe_notes, h) != MF_OK) {
            pthread_mutex_lock(&h->lock);
            h->in_round = false;
            h->round_ns = now + LOOK_ROUND;
            pthread_mutex_unlock(&h->lock);
        }
    }
    return next;
}
