/* Calls by name, without a signature: entries without a key, and for those who wait, a number that finds them again. */
#include "local.h"

#include "clock.h"
#include "compose.h"
#include "memory.h"

typedef struct local_trigger {
    mf_workflow base;
    local      *owner;
    mf_spec    *spec;
} local_trigger;

static local_trigger *trigger_of(mf_workflow *workflow)
{
    return (local_trigger *)(void *)workflow;
}

static mf_status send(local_trigger *t, const mf_message *const *messages, size_t n, mf_duration delay, uint64_t waiter,
                      mf_error *err)
{
    local *l = t->owner;
    int64_t due_ms = delay > 0 ? mf_store_now_ms(l->store) + (delay + 999999) / 1000000 : 0;
    mf_entry *entries = mfi_alloc_array(l->allocator, n, sizeof *entries);
    if (entries == NULL)
        return mf_fail(err, MF_E_NOMEM, "workflow: no memory for %zu messages", n);
    for (size_t i = 0; i < n; i++)
        entries[i] = (mf_entry){.spec = t->spec, .unit = {.index = waiter}, .attempt = 1, .due_ms = due_ms,
                                .message = (mf_message *)(uintptr_t)messages[i]};
    mf_batch batch = {.entries = entries, .entry_count = n};
    mf_refusal refusal;
    mf_status st = mf_store_commit(l->store, &batch, &refusal, err);
    mfi_release(l->allocator, entries, n * sizeof *entries);
    return st;
}

static mf_status check_fork(local *l, mf_error *err)
{
    mf_pool_counts counts;
    mf_pool *pool = local_pool_enter(l);
    bool forked = pool != NULL && mf_pool_stats(pool, &counts) == MF_E_FORKED;
    local_pool_leave(l);
    if (forked)
        return mf_fail(err, MF_E_FORKED, "the workflow was made before a fork; open a new client in the child");
    return MF_OK;
}

static mf_status trigger_run_many(mf_workflow *workflow, const mf_message *const *messages, size_t n, mf_duration delay,
                                  mf_error *err)
{
    mf_status st = check_fork(trigger_of(workflow)->owner, err);
    return st != MF_OK || n == 0 ? st : send(trigger_of(workflow), messages, n, delay, 0, err);
}

static void waiter_remove(local *l, local_waiter *waiter)
{
    local_waiter **at = &l->waiters;
    while (*at != waiter)
        at = &(*at)->next;
    *at = waiter->next;
}

struct wait {
    local        *owner;
    local_waiter *waiter;
};

/* Or never will: a task that waits for another must not keep its worker from stopping. */
static bool has_ended(void *arg)
{
    struct wait *w = arg;
    mfi_mutex_lock(&w->owner->lock);
    bool ended = w->waiter->ended || !w->owner->serving;
    mfi_mutex_unlock(&w->owner->lock);
    return ended;
}

static mf_status trigger_run_and_wait(mf_workflow *workflow, const mf_message *message, mf_duration timeout,
                                      mf_message **result, mf_error *err)
{
    local_trigger *t = trigger_of(workflow);
    local *l = t->owner;
    local_waiter waiter = {0};
    struct wait wait = {l, &waiter};
    mf_status forked = check_fork(l, err);
    if (forked != MF_OK)
        return forked;
    int64_t deadline = mfi_deadline_ns(mfi_now_ns(NULL), timeout);
    mfi_mutex_lock(&l->lock);
    waiter.id = ++l->next_waiter;
    waiter.next = l->waiters;
    l->waiters = &waiter;
    mfi_mutex_unlock(&l->lock);

    mf_status st = send(t, &message, 1, 0, waiter.id, err);
    mf_status helped = st == MF_OK ? mf_adapter_help(&l->base, has_ended, &wait, deadline) : MF_OK;
    mfi_mutex_lock(&l->lock);
    while (st == MF_OK && helped == MF_E_UNSUPPORTED && !waiter.ended)
        if (!local_wait(l, deadline) && !waiter.ended)
            break;
    waiter_remove(l, &waiter);
    bool stopped = helped == MF_OK && !l->serving;
    mfi_mutex_unlock(&l->lock);
    if (st != MF_OK)
        return st;
    if (!waiter.ended && stopped)
        return mf_fail(err, MF_E_CLOSED, "task \"%.*s\" did not end before the worker stopped", (int)t->spec->name.len,
                       t->spec->name.at);
    if (!waiter.ended)
        return mf_fail(err, MF_E_TIMEOUT, "task \"%.*s\" did not end in time; it still runs", (int)t->spec->name.len,
                       t->spec->name.at);
    if (waiter.status == MF_STATUS_FAILED) {
        st = mfi_compose_failed(waiter.value, err);
        mf_message_unref(waiter.value);
        return st;
    }
    if (waiter.status == MF_STATUS_CANCELED) {
        mf_message_unref(waiter.value);
        return mf_fail(err, MF_E_CANCELED, "task \"%.*s\" was canceled", (int)t->spec->name.len, t->spec->name.at);
    }
    *result = waiter.value != NULL ? waiter.value : mf_message_nil();
    return MF_OK;
}

static void trigger_destroy(mf_workflow *workflow)
{
    local_trigger *t = trigger_of(workflow);
    mf_spec_unref(t->spec);
    mf_delete(t->owner->allocator, t);
}

static const mf_workflow_ops trigger_ops = {
    .struct_size = sizeof(mf_workflow_ops),
    .run_many = trigger_run_many,
    .run_and_wait = trigger_run_and_wait,
    .destroy = trigger_destroy,
};

mf_status local_workflow(mf_adapter *base, mf_str name, mf_workflow **out, mf_error *err)
{
    local *l = local_of(base);
    local_trigger *t = mf_new(l->allocator, local_trigger);
    if (t != NULL)
        t->spec = mf_spec_create(l->allocator, MF_KIND_TASK, name);
    if (t == NULL || t->spec == NULL) {
        if (t != NULL)
            mf_delete(l->allocator, t);
        return mf_fail(err, MF_E_NOMEM, "workflow: no memory");
    }
    t->base.ops = &trigger_ops;
    t->owner = l;
    *out = &t->base;
    return MF_OK;
}

mf_status local_settle(mf_adapter *base, const mf_settlement *settlements, size_t n, mf_error *err)
{
    (void)err;
    local *l = local_of(base);
    bool any = false;
    mfi_mutex_lock(&l->lock);
    for (size_t i = 0; i < n; i++) {
        const mf_delivery *d = settlements[i].delivery;
        if (mf_key_is_set(&d->unit.key) || settlements[i].status == MF_STATUS_PENDING)
            continue;
        local_waiter *waiter = l->waiters;
        while (waiter != NULL && waiter->id != d->unit.index)
            waiter = waiter->next;
        if (waiter == NULL)
            continue;
        waiter->status = settlements[i].status;
        waiter->value = mf_message_ref(settlements[i].value);
        waiter->ended = true;
        any = true;
    }
    if (any)
        mfi_event_notify(&l->changed, UINT32_MAX);
    mfi_mutex_unlock(&l->lock);
    if (any)
        mf_adapter_wake_helpers(base);
    return MF_OK;
}
