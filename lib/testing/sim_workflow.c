/* Calls by name, without a signature: entries without a key, and a number that finds whoever waits. */
#include "sim_adapter.h"

#include "clock.h"
#include "compose.h"
#include "futex.h"

typedef struct sim_trigger {
    mf_workflow  base;
    sim_adapter *owner;
    mf_spec     *spec;
} sim_trigger;

static sim_trigger *trigger_of(mf_workflow *workflow)
{
    return (sim_trigger *)(void *)workflow;
}

static mf_status send(sim_trigger *t, const mf_message *message, mf_duration delay, uint64_t number, mf_error *err)
{
    mf_store *store = t->owner->store;
    mf_entry entry = {.spec = t->spec, .unit = {.index = number}, .attempt = 1, .message = (mf_message *)(uintptr_t)message,
                      .due_ms = delay > 0 ? mf_store_now_ms(store) + (delay + 999999) / 1000000 : 0};
    return mf_store_commit(store, &(mf_batch){.entries = &entry, .entry_count = 1}, NULL, err);
}

static mf_status run_many(mf_workflow *workflow, const mf_message *const *messages, size_t n, mf_duration delay, mf_error *err)
{
    mf_status st = MF_OK;
    for (size_t i = 0; st == MF_OK && i < n; i++)
        st = send(trigger_of(workflow), messages[i], delay, 0, err);
    return st;
}

static bool has_ended(void *arg)
{
    return ((sim_waiter *)arg)->ended;
}

static mf_status run_and_wait(mf_workflow *workflow, const mf_message *message, mf_duration timeout, mf_message **result,
                              mf_error *err)
{
    sim_trigger *t = trigger_of(workflow);
    sim_adapter *a = t->owner;
    sim_waiter *w = mfi_sim_new(a->sim, sizeof *w);
    *w = (sim_waiter){.next = a->waiters, .number = ++a->sim->parcel_number};
    a->waiters = w;
    int64_t deadline = mfi_deadline_ns(mfi_now_ns(NULL), timeout);
    mf_status st = send(t, message, 0, w->number, err);
    if (st == MF_OK && mf_adapter_help(&a->base, has_ended, w, deadline) != MF_OK)
        while (!w->ended && mfi_now_ns(NULL) < deadline)
            mfi_futex_wait(&a->changed, atomic_load_explicit(&a->changed, memory_order_relaxed), deadline);
    sim_waiter **at = &a->waiters;
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    if (st != MF_OK)
        return st;
    if (!w->ended)
        return mf_fail(err, MF_E_TIMEOUT, "simulated: no answer in time");
    if (w->status == MF_STATUS_DONE) {
        *result = w->value != NULL ? w->value : mf_message_nil();
        return MF_OK;
    }
    st = w->status == MF_STATUS_FAILED ? mfi_compose_failed(w->value, err) : mf_fail(err, MF_E_CANCELED, "it was canceled");
    mf_message_unref(w->value);
    return st;
}

static void trigger_destroy(mf_workflow *workflow)
{
    mf_spec_unref(trigger_of(workflow)->spec);
}

mf_status sim_adapter_workflow(mf_adapter *base, mf_str name, mf_workflow **out, mf_error *err)
{
    static const mf_workflow_ops ops = {.struct_size = sizeof(mf_workflow_ops), .run_many = run_many,
                                        .run_and_wait = run_and_wait, .destroy = trigger_destroy};
    sim_adapter *a = sim_adapter_of(base);
    mf_spec *spec = mf_spec_create(mfi_sim_allocator(a->sim), MF_KIND_TASK, name);
    if (spec == NULL)
        return mf_fail(err, MF_E_NOMEM, "simulated: no memory");
    sim_trigger *t = mfi_sim_new(a->sim, sizeof *t);
    *t = (sim_trigger){{&ops}, a, spec};
    *out = &t->base;
    return MF_OK;
}

/* The parcel is gone once its delivery returns, unless it is to come again; here only those are told who wait for a call. */
mf_status sim_adapter_settle(mf_adapter *base, const mf_settlement *settlements, size_t n, mf_error *err)
{
    sim_adapter *a = sim_adapter_of(base);
    (void)err;
    for (size_t i = 0; i < n; i++) {
        const mf_delivery *d = settlements[i].delivery;
        if (settlements[i].status == MF_STATUS_ACTIVE && d->claim == NULL)
            mfi_parcel_again(a->sim, d->native, 0);
        sim_waiter *w = a->waiters;
        while (w != NULL && (mf_key_is_set(&d->unit.key) || w->number != d->unit.index))
            w = w->next;
        if (w == NULL || w->ended || settlements[i].status == MF_STATUS_PENDING ||
            settlements[i].status == MF_STATUS_ACTIVE)
            continue;
        w->status = settlements[i].status;
        w->value = mf_message_ref(settlements[i].value);
        w->ended = true;
    }
    sim_adapter_changed(a);
    return MF_OK;
}
