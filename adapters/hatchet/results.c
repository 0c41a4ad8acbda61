/* Results that somebody here waits for: one stream for all of them, opened when the first one waits.
 *
 * The engine answers each id once, also one that had ended before. After the stream was lost all open ids are sent again. As a
 * slow net below it each waiter asks for its run by itself now and then: so it learns, too, of a run that never came to be,
 * which an engine accepts when it does not know the name. */
#include "hatchet.h"

#include <time.h>

#include "clock.h"
#include "memory.h"

#define ASK_EVERY mf_seconds(3)
#define NOT_FOUND_MAX 4             /* in a row: shortly after a trigger it is normal */
#define FAILED 3                    /* statuses of a run */
#define CANCELLED 4

/* ---- the stream ------------------------------------------------------------------------------------------------------- */

static char *copy_text(hatchet *h, const char *text, size_t *len)
{
    *len = strlen(text);
    return mfi_copy_text(h->allocator, mf_str_of(text, *len));
}

/* The lock is held. */
static void end_waiter(hatchet *h, hatchet_waiter *w, mf_status st, const char *output, const char *error)
{
    if (w->ended)
        return;
    w->st = st;
    w->has_output = output != NULL;
    const char *text = output != NULL ? output : error;
    if (text != NULL) {
        w->text = copy_text(h, text, &w->len);
        if (w->text == NULL)
            w->st = MF_E_NOMEM;
    }
    w->ended = true;
    pthread_cond_broadcast(&h->changed);
}

static bool is_given(const char *text)
{
    return text != NULL && text[0] != '\0';
}

static void on_result(void *user, mf_str message)
{
    hatchet *h = user;
    HatchetPb__RunEvent *e = hatchet_pb__run_event__unpack(NULL, message.len, (const uint8_t *)message.at);
    if (e == NULL || e->workflow_run_id == NULL) {
        hatchet_log(h, MF_LOG_ERROR, "a result that cannot be read");
        hatchet_pb__run_event__free_unpacked(e, NULL);
        return;
    }
    mfi_retry_reset(&h->results_retry);
    pthread_mutex_lock(&h->lock);
    for (hatchet_waiter *w = h->waiters; w != NULL; w = w->next) {
        if (strcmp(w->run, e->workflow_run_id) != 0)
            continue;
        const HatchetPb__RunResult *mine = e->n_results > 0 ? e->results[0] : NULL;
        for (size_t i = 0; i < e->n_results; i++)
            if (e->results[i]->task_name != NULL && strcmp(e->results[i]->task_name, w->task) == 0)
                mine = e->results[i];
        if (mine != NULL && is_given(mine->error))
            end_waiter(h, w, MF_E_TASK_FAILED, NULL, mine->error);
        else if (mine != NULL && is_given(mine->output))
            end_waiter(h, w, MF_OK, mine->output, NULL);
        else
            pthread_cond_broadcast(&h->changed);    /* canceled, or too large for a stream: it asks by itself */
    }
    pthread_mutex_unlock(&h->lock);
    io_observed_result(h, e);
    hatchet_pb__run_event__free_unpacked(e, NULL);
}

static void results_ended(void *user, const mfi_rpc_end *end)
{
    hatchet *h = user;
    mfi_rpc_call_unref(h->results);
    h->results = NULL;
    pthread_mutex_lock(&h->lock);
    bool wanted = h->waiters != NULL;
    for (hatchet_waiter *w = h->waiters; w != NULL; w = w->next)
        w->asked = false;
    pthread_mutex_unlock(&h->lock);
    wanted = io_observed_unasked(h, true) || wanted;
    if (wanted && end->status != MF_OK && end->status != MF_E_CLOSED && !io_token_refused(h, end))
        hatchet_log(h, MF_LOG_WARN, "the stream of results ended, it is opened again: %s", end->err->text);
    h->results_ns = mfi_now_ns(h->clock) + mfi_retry_next(&h->results_retry, NULL);
    mfi_rpc_poke(h->rpc);
}

static void ask_for(hatchet *h, hatchet_waiter *w)
{
    HatchetPb__RunRef ref = HATCHET_PB__RUN_REF__INIT;
    hatchet_bytes bytes;
    ref.id = w->run;
    if (hatchet_pack(h, &ref.base, &bytes, NULL) != MF_OK)
        return;
    w->asked = mfi_rpc_send(h->results, hatchet_str(&bytes)) == MF_OK;
    hatchet_bytes_free(&bytes);
}

int64_t io_results_tick(hatchet *h, int64_t now)
{
    pthread_mutex_lock(&h->lock);
    bool wanted = false;
    for (const hatchet_waiter *w = h->waiters; w != NULL && !wanted; w = w->next)
        wanted = !w->asked && !w->ended;
    pthread_mutex_unlock(&h->lock);
    wanted = io_observed_unasked(h, false) || wanted;
    if (!wanted)
        return INT64_MAX;
    if (h->results == NULL) {
        if (now < h->results_ns)
            return h->results_ns;
        if (mfi_rpc_begin(h->rpc, &(mfi_rpc_spec){.method = "/Dispatcher/SubscribeToWorkflowRuns", .open = true, .bare = true,
                          .within = MF_FOREVER, .message = on_result, .ended = results_ended, .user = h}, &h->results, NULL) != MF_OK)
            return h->results_ns = now + mfi_retry_next(&h->results_retry, NULL);
    }
    pthread_mutex_lock(&h->lock);
    for (hatchet_waiter *w = h->waiters; w != NULL; w = w->next)
        if (!w->asked && !w->ended)
            ask_for(h, w);
    pthread_mutex_unlock(&h->lock);
    io_observed_ask(h);
    return INT64_MAX;
}

/* ---- waiting ---------------------------------------------------------------------------------------------------------- */

/* The slow net. True: nothing more is to be waited for. */
static bool look(hatchet *h, hatchet_waiter *w, unsigned *missing)
{
    HatchetPb__RunRef ref = HATCHET_PB__RUN_REF__INIT;
    ProtobufCMessage *answer = NULL;
    mfi_rpc_code code;
    mf_error err = {0};
    ref.id = w->run;
    mf_status st = hatchet_call(h, "/v1.AdminService/GetRunDetails", &ref.base, mf_seconds(5), &hatchet_pb__run_details__descriptor,
                                &answer, &code, &err);
    pthread_mutex_lock(&h->lock);
    if (st == MF_E_NOT_FOUND && ++*missing >= NOT_FOUND_MAX) {
        end_waiter(h, w, MF_E_NOT_FOUND, NULL, "the engine has no such run: is a workflow of this name known to it?");
    } else if (st == MF_OK) {
        const HatchetPb__RunDetails *d = (HatchetPb__RunDetails *)answer;
        const HatchetPb__TaskDetails *mine = NULL;
        for (size_t i = 0; i < d->n_task_runs; i++)
            if (mine == NULL || (d->task_runs[i]->key != NULL && strcmp(d->task_runs[i]->key, w->task) == 0))
                mine = d->task_runs[i]->value;
        *missing = 0;
        if (!d->done) {
        } else if (d->status == CANCELLED) {
            end_waiter(h, w, MF_E_CANCELED, NULL, "the run was canceled");
        } else if (d->status == FAILED) {
            end_waiter(h, w, MF_E_TASK_FAILED, NULL, mine != NULL && is_given(mine->error) ? mine->error : "the run failed");
        } else if (mine != NULL && mine->output.len > 0 && !w->ended) {
            w->text = mfi_copy_text(h->allocator, mf_str_of((const char *)mine->output.data, mine->output.len));
            w->len = mine->output.len;
            w->has_output = true;
            w->st = w->text != NULL ? MF_OK : MF_E_NOMEM;
            w->ended = true;
        } else {
            end_waiter(h, w, MF_OK, NULL, NULL);
        }
    }
    bool ended = w->ended;
    pthread_mutex_unlock(&h->lock);
    if (answer != NULL)
        protobuf_c_message_free_unpacked(answer, NULL);
    return ended;
}

static void take_out(hatchet *h, hatchet_waiter *w)
{
    pthread_mutex_lock(&h->lock);
    hatchet_waiter **at = &h->waiters;
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    pthread_mutex_unlock(&h->lock);
}

/* False: the time is over. */
static bool wait_for_end(hatchet *h, hatchet_waiter *w, int64_t deadline_ns)
{
    unsigned missing = 0;
    for (;;) {
        int64_t now = mfi_now_ns(NULL), wake = mfi_deadline_ns(now, ASK_EVERY);
        wake = wake < deadline_ns ? wake : deadline_ns;
        struct timespec until = {.tv_sec = wake / 1000000000, .tv_nsec = wake % 1000000000};
        pthread_mutex_lock(&h->lock);
        bool late = false;
        while (!w->ended && !late)
            late = pthread_cond_timedwait(&h->changed, &h->lock, &until) != 0;
        bool ended = w->ended;
        pthread_mutex_unlock(&h->lock);
        if (ended || look(h, w, &missing))
            return true;
        if (mfi_now_ns(NULL) >= deadline_ns)
            return false;
    }
}

/* In the words of who failed, as with every manager. SDKs end them with a new line. */
static mf_status tell_failure(const hatchet_waiter *w, mf_error *err)
{
    if (w->text == NULL)
        return mf_fail(err, w->st, "task \"%s\": %s", w->task, mf_status_text(w->st));
    size_t len = strlen(w->text);
    while (len > 0 && (w->text[len - 1] == '\n' || w->text[len - 1] == ' '))
        len--;
    return mf_fail(err, w->st, "%.*s", (int)len, w->text);
}

mf_status hatchet_wait(hatchet *h, const char *run, const char *task, int64_t deadline_ns, mf_message **result, mf_error *err)
{
    hatchet_waiter w = {.task = task};
    memcpy(w.run, run, strlen(run) + 1);
    pthread_mutex_lock(&h->lock);
    w.next = h->waiters;
    h->waiters = &w;
    pthread_mutex_unlock(&h->lock);
    mfi_rpc_poke(h->rpc);
    (void)mf_pool_block_begin();        /* on a thread of a pool another one takes its place */
    bool ended = wait_for_end(h, &w, deadline_ns);
    mf_pool_block_end();
    take_out(h, &w);
    mf_status st = MF_OK;
    if (!ended)
        st = mf_fail(err, MF_E_TIMEOUT, "task \"%s\": run %s has not ended in time", task, run);
    else if (w.st != MF_OK)
        st = tell_failure(&w, err);
    else if (!w.has_output)
        *result = mf_message_nil();
    else
        st = hatchet_unwrap(h, mf_str_of(w.text, w.len), result, err);
    hatchet_text_free(h, w.text);
    return st;
}
