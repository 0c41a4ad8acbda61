#include "queue_private.h"

#include <time.h>

#include "clock.h"
#include "memory.h"

struct workflow {
    mf_workflow    base;
    queue_manager *queue;
    mf_spec       *spec;
};

static struct workflow *workflow_of(mf_workflow *base)
{
    return (struct workflow *)(void *)base;
}

/* A call goes the way of all messages: into the store's outbox, all or none, and to publish when it is due. */
static mf_status send(struct workflow *w, const mf_message *const *messages, size_t n, mf_duration delay, uint64_t number,
                      mf_error *err)
{
    queue_manager *q = w->queue;
    int64_t due_ms = delay > 0 ? mf_store_now_ms(q->store) + (delay + 999999) / 1000000 : 0;
    mf_entry *entries = mfi_alloc_array(q->allocator, n, sizeof *entries);
    if (entries == NULL)
        return mf_fail(err, MF_E_NOMEM, "queue: no memory for %zu messages", n);
    for (size_t i = 0; i < n; i++)
        entries[i] = (mf_entry){.spec = w->spec, .unit = {.index = number}, .attempt = 1, .due_ms = due_ms,
                                .message = (mf_message *)(uintptr_t)messages[i]};
    mf_refusal refusal;
    mf_status st = mf_store_commit(q->store, &(mf_batch){.entries = entries, .entry_count = n}, &refusal, err);
    mfi_release(q->allocator, entries, n * sizeof *entries);
    return st;
}

static mf_status run_many(mf_workflow *base, const mf_message *const *messages, size_t n, mf_duration delay, mf_error *err)
{
    return n == 0 ? MF_OK : send(workflow_of(base), messages, n, delay, 0, err);     /* no waiter has the number 0 */
}

void queue_answer(queue_manager *q, const mf_settlement *settlement)
{
    const mf_delivery *d = settlement->delivery;
    waiter *w = q->waiters;
    while (w != NULL && (mf_key_is_set(&d->unit.key) || d->unit.index != w->number))
        w = w->next;
    if (w == NULL || settlement->status == MF_STATUS_PENDING)      /* nobody waits, or it is published again */
        return;
    w->value = mf_message_ref(settlement->value);
    w->status = settlement->status == MF_STATUS_DONE     ? MF_OK
                : settlement->status == MF_STATUS_FAILED ? MF_E_TASK_FAILED
                                                         : MF_E_CANCELED;
    q->wakes++;
}

struct wait {
    queue_manager *queue;
    waiter        *waiter;
};

static bool has_answer(void *arg)
{
    struct wait *wait = arg;
    pthread_mutex_lock(&wait->queue->lock);
    bool answered = wait->waiter->status != MF_E_TIMEOUT || wait->queue->stopping;     /* then there will be none */
    pthread_mutex_unlock(&wait->queue->lock);
    return answered;
}

static void wait_for_answer(queue_manager *q, waiter *w, mf_duration timeout)
{
    struct wait wait = {q, w};
    int64_t deadline = mfi_deadline_ns(mfi_now_ns(NULL), timeout);
    struct timespec until = {.tv_sec = deadline / 1000000000, .tv_nsec = deadline % 1000000000};
    mf_status helped = mf_adapter_help(&q->base, has_answer, &wait, deadline);
    pthread_mutex_lock(&q->lock);
    while (helped == MF_E_UNSUPPORTED && w->status == MF_E_TIMEOUT && mfi_now_ns(NULL) < deadline)
        pthread_cond_timedwait(&q->changed, &q->lock, &until);
    waiter **at = &q->waiters;
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    pthread_mutex_unlock(&q->lock);
}

static mf_status run_and_wait(mf_workflow *base, const mf_message *message, mf_duration timeout, mf_message **result,
                              mf_error *err)
{
    struct workflow *workflow = workflow_of(base);
    queue_manager *q = workflow->queue;
    waiter w = {.status = MF_E_TIMEOUT, .number = atomic_fetch_add(&q->numbers, 1) + 1};
    pthread_mutex_lock(&q->lock);
    w.next = q->waiters;
    q->waiters = &w;
    pthread_mutex_unlock(&q->lock);
    mf_status st = send(workflow, &message, 1, 0, w.number, err);
    wait_for_answer(q, &w, st == MF_OK ? timeout : 0);
    if (st != MF_OK)
        return st;
    if (w.status == MF_E_TIMEOUT)
        return mf_fail(err, w.status, "queue: no answer in time");
    if (w.status == MF_OK) {
        *result = w.value != NULL ? w.value : mf_message_nil();
        return MF_OK;
    }
    mf_str type = MF_STR_LIT("Error"), text = mf_cstr(mf_status_text(w.status));
    if (mf_message_scan(w.value, NULL, "{s?:S, s?:S}", "type", &type, "text", &text) != MF_OK)
        type = MF_STR_LIT("Error");
    mf_fail(err, w.status, "%.*s: %.*s", (int)type.len, type.at, (int)text.len, text.at);
    mf_message_unref(w.value);
    return w.status;
}

static void workflow_destroy(mf_workflow *base)
{
    struct workflow *w = workflow_of(base);
    mf_spec_unref(w->spec);
    mf_delete(w->queue->allocator, w);
}

mf_status queue_workflow(mf_adapter *base, mf_str name, mf_workflow **out, mf_error *err)
{
    static const mf_workflow_ops ops = {.struct_size = sizeof ops, .run_many = run_many, .run_and_wait = run_and_wait,
                                        .destroy = workflow_destroy};
    queue_manager *q = queue_of(base);
    struct workflow *w = mf_new(q->allocator, struct workflow);
    mf_spec *spec = mf_spec_create(q->allocator, MF_KIND_TASK, name);
    if (w == NULL || spec == NULL) {
        mf_spec_unref(spec);
        if (w != NULL)
            mf_delete(q->allocator, w);
        return mf_fail(err, MF_E_NOMEM, "queue: no memory");
    }
    *w = (struct workflow){{&ops}, q, spec};
    *out = &w->base;
    return MF_OK;
}
