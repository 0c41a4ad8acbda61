/* The one path from a delivery to user code and back: should it run, claim, call, retry or fail, finish. */
#include "runtime.h"

#include <stdio.h>

#include "clock.h"
#include "compose.h"
#include "durable.h"
#include "lifecycle.h"
#include "record.h"

#define BACKOFF_FIRST mf_milliseconds(100)
#define BACKOFF_MAX   mf_minutes(1)
#define LOCKED_LATER_MS 100
#define OTHERS_LATER_MS 200

/* ---- telling the outcome ----------------------------------------------------------------------------------------- */

/* What the bound store delivered, for a flow. */
static bool is_settled_by_commit(const mf_delivery *d)
{
    return d->claim != NULL && mf_key_is_set(&d->unit.key);
}

static void settle_with_manager(mf_client *client, const mf_delivery *d, mf_signature_status status, const mf_message *value)
{
    if (is_settled_by_commit(d))
        return;
    mf_error err = {0};
    mf_settlement settlement = {.delivery = d, .status = status, .value = value};
    if (mf_adapter_settle(client->adapter, &settlement, 1, &err) != MF_OK)
        mfi_log_about(client, MF_LOG_WARN, d, err.text, "cannot settle");
}

/* The claim was no longer ours when it ended: what came of the call does not count. The message of a manager with a queue must
 * come again then, since nobody else may have it: who claimed the unit since makes that harmless. */
static void settle_claimed(mf_client *client, const mf_delivery *d, mf_status committed, mf_signature_status status,
                           const mf_message *value)
{
    if (committed == MF_E_STALE)
        mfi_log_about(client, MF_LOG_WARN, d, NULL, "ended after its claim was over; what came of it does not count");
    settle_with_manager(client, d, committed == MF_E_STALE && d->claim == NULL ? MF_STATUS_ACTIVE : status, value);
}

/* The slow path: the outcome travels as a message of mageflow's own, instead of being recorded at once. */
static bool tell_by_message(mf_client *client, const mf_delivery *d, uint64_t token, const mfi_flow_event *event, mf_status *committed)
{
    if (client->fast_path || d->spec == NULL || mf_key_is_set(&d->spec->key) || event->kind == MFI_EV_ITEM_CANCELED || event->kind == MFI_EV_SETTLE)
        return false;
    mfi_plan plan;
    mfi_plan_init(&plan, client->allocator, &client->limits, &client->framework);
    mf_message *message = NULL;
    bool well = event->kind == MFI_EV_ITEM_DONE;
    if (well)
        message = mf_message_ref(event->value);
    else if (mfi_compose_pair("error", event->value, "message", event->sent, &plan, &message, NULL) != MF_OK)
        return false;
    mf_entry entry = {.spec = client->framework.specs[mfi_framework_for_end(&d->unit.key, well)], .unit = d->unit,
                      .attempt = 1, .message = message, .priority = d->priority};
    *committed = mfi_commit_plain(client, d, token != 0 ? &token : NULL, &entry);
    mf_message_unref(message);
    return true;
}

/* One of a swarm's many results, where the adapter has more to deliver. */
static bool waits_for_others(const mf_delivery *d, uint64_t token, const mfi_flow_event *event)
{
    return d->gather && token != 0 && event->kind == MFI_EV_ITEM_DONE && mfi_key_kind(&d->unit.key) == MF_KIND_SWARM;
}

/* event is consumed. */
static void tell(mf_client *client, const mf_delivery *d, uint64_t token, mfi_flow_event *event)
{
    static const mf_signature_status ends[] = {[MFI_EV_ITEM_DONE] = MF_STATUS_DONE, [MFI_EV_ITEM_FAILED] = MF_STATUS_FAILED,
                                               [MFI_EV_ITEM_CANCELED] = MF_STATUS_CANCELED,
                                               [MFI_EV_SETTLE] = MF_STATUS_CANCELED};
    mf_signature_status status = ends[event->kind];
    mf_status committed = MF_OK;
    bool settled = is_settled_by_commit(d);
    mf_message *value = settled ? NULL : mf_message_ref(event->value);
    event->priority = d->priority;
    if (!mf_key_is_set(&d->unit.key)) {
        if (token != 0)
            mfi_commit_plain(client, d, &token, NULL);
        mfi_flow_event_release(event);
    } else if (tell_by_message(client, d, token, event, &committed)) {
        mfi_flow_event_release(event);
    } else if (waits_for_others(d, token, event) &&
               mfi_dispatch_later(client, &d->unit.key, event->index, token, event->value)) {
        ;   /* event held nothing else */
    } else {
        event->settle = token;
        if (d->claim != NULL) {
            mfi_dispatch(client, &d->unit.key, event, true, NULL);
        } else {
            event->delivery = d;        /* it stays until the commit is done: it is waited for */
            committed = mfi_dispatch_wait(client, &d->unit.key, event, true);
        }
    }
    if (!settled)
        settle_claimed(client, d, committed, status, value);
    mf_message_unref(value);
}

static mf_duration backoff(const mfi_task *task, uint32_t attempt)
{
    mf_duration wait = task->def.backoff > 0 ? task->def.backoff : BACKOFF_FIRST;
    for (uint32_t i = 1; i < attempt && wait < BACKOFF_MAX; i++)
        wait *= 2;
    return wait < BACKOFF_MAX || wait == task->def.backoff ? wait : BACKOFF_MAX;
}

/* What an attempt calls: what the entry named; from elsewhere the record's own spec, or for an item the task's plain one. */
static mf_spec *spec_of(mf_client *client, const mf_delivery *d, const mfi_task *task)
{
    mf_record record = {0};
    const mf_spec *spec = d->spec;
    if (spec == NULL && mfi_key_kind(&d->unit.key) == MF_KIND_TASK &&
        mf_store_load(client->store, &d->unit.key, 1, &record, NULL) == MF_OK)
        spec = record.spec;
    mf_spec *held = mf_spec_ref(spec != NULL ? spec : task != NULL ? task->plain : NULL);
    mf_record_release(&record);
    return held;
}

/* The same call once more: entry's attempt, due time and parking are set. */
static void send_again(mf_client *client, const mf_delivery *d, uint64_t token, const mfi_task *task, mf_entry entry)
{
    entry.spec = spec_of(client, d, task);
    entry.unit = d->unit;
    entry.message = (mf_message *)(uintptr_t)d->message;
    entry.error = (mf_message *)(uintptr_t)d->error;
    entry.priority = d->priority;
    mf_status committed = mfi_commit_plain(client, d, token != 0 ? &token : NULL, &entry);
    mf_spec_unref(entry.spec);
    /* A call without a signature has no record to wait for: its manager keeps waiting for the last attempt. */
    settle_claimed(client, d, committed, MF_STATUS_PENDING, NULL);
}

static void try_again(mf_client *client, const mf_delivery *d, uint64_t token, const mfi_task *task)
{
    int64_t due_ms = mf_store_now_ms(client->store) + backoff(task, d->attempt) / 1000000;
    send_again(client, d, token, task, (mf_entry){.attempt = d->attempt + 1, .due_ms = due_ms});
}

/* Something above the unit is paused: the message waits in the store until that goes on. Should it do so meanwhile, the
 * message is due at once. */
static void park(mf_client *client, const mf_delivery *d, uint64_t token, const mfi_task *task, const mf_key *blocker)
{
    send_again(client, d, token, task, (mf_entry){.attempt = d->attempt, .parked = *blocker});
}

static void log_failure(mf_client *client, const mf_delivery *d, const char *type, const char *text, const char *what)
{
    char why[512];
    snprintf(why, sizeof why, "%s: %s", type, text);
    mfi_log_about(client, MF_LOG_INFO, d, why, "%s", what);
}

mf_message *mfi_failure_map(mf_client *client, const mf_unit *unit, uint32_t attempt, const char *type, const char *text, bool final)
{
    mfi_failure failure = {.type = mf_cstr(type), .text = mf_cstr(text), .attempt = attempt, .key = unit->key,
                           .index = unit->index, .final = final};
    mf_error err = {.status = MF_E_NOMEM, .text = "no memory for an error"};
    mf_message *map = NULL;
    unsigned tries = 0;
    while (mfi_compose_error(&failure, client->allocator, &map) == MF_E_NOMEM)
        mfi_pause_before_retry(client, MF_E_NOMEM, &err, &tries);
    return map;
}

void mfi_attempt_failed(mf_client *client, const mf_delivery *d, uint64_t token, const mfi_task *task, const char *type,
                        const char *text, bool final)
{
    unsigned whose = mf_key_is_set(&d->unit.key) ? MF_CAP_RETRIES : MF_CAP_RETRIES | MF_CAP_RETRIES_CALLS;
    if (!final && task != NULL && d->attempt <= task->def.retries && (client->adapter->ops->capabilities & whose) == 0) {
        mfi_stats_count(task, MFI_TALLY_RETRIED);
        log_failure(client, d, type, text, "failed, and is tried again");
        try_again(client, d, token, task);
        return;
    }
    mfi_stats_count(task, MFI_TALLY_FAILED);
    log_failure(client, d, type, text, "failed");
    mfi_flow_event event = {.kind = MFI_EV_ITEM_FAILED, .index = d->unit.index};
    event.value = mfi_failure_map(client, &d->unit, d->attempt, type, text, final);
    event.sent = mf_message_ref(d->message);
    tell(client, d, token, &event);
}

/* ---- the call ---------------------------------------------------------------------------------------------------- */

struct result {
    mf_status   st;
    mf_message *value;
    unsigned    stop;
    bool        ours;       /* false: the keeper told the outcome already */
};

static struct result call_task(mf_client *client, mfi_task *task, mfi_running *running, const mf_message *in)
{
    struct result r = {.st = MF_OK};
    running->deadline_ns = INT64_MAX;
    mf_duration timeout = running->call.delivery->timeout > 0 ? running->call.delivery->timeout : task->def.timeout;
    if (timeout > 0 && !mf_adapter_can(client->adapter, MF_CAP_TIMEOUTS))
        running->deadline_ns = mfi_deadline_ns(mfi_now_ns(client->clock), timeout);
    mfi_control_enter(client, running);
    unsigned overtaken = mfi_control_overtaken(client, running);
    if (overtaken != 0)
        mfi_call_stop(&running->call, overtaken);
    /* A stop may also have found this call in the list while the records were read. */
    if ((atomic_load_explicit(&running->call.stop, memory_order_acquire) & (MFI_STOP_CANCEL | MFI_STOP_INTERRUPT)) != 0) {
        r.st = MF_E_CANCELED;
    } else {
        running->begun = true;
        mfi_stats_count_call(running, MFI_TALLY_STARTED);
        bool measured = atomic_load_explicit(&client->stats.measures, memory_order_relaxed);
        int64_t began_ns = measured ? mfi_now_ns(client->clock) : 0;
        atomic_store_explicit(&running->began_ns, began_ns, memory_order_relaxed);
        if (client->call != NULL && task->kind != MFI_TASK_OWN)
            r.st = client->call(&running->call.ctx, &task->def, in, &r.value, client->call_user);
        else
            r.st = task->def.run(&running->call.ctx, in, &r.value, task->def.user);
        if (measured)
            mfi_stats_duration(task, mfi_now_ns(client->clock) - began_ns);
    }
    r.ours = mfi_control_leave(client, running);
    r.stop = atomic_load_explicit(&running->call.stop, memory_order_acquire);
    return r;
}

/* A result that breaks its own rules is the task's failure; false: told. */
static bool check_result(mf_client *client, const mf_delivery *d, uint64_t token, mfi_task *task, mf_message *value)
{
    mf_error err;
    size_t limit = client->limits.bytes != 0 ? client->limits.bytes : (size_t)1 << 20;
    if (value == NULL)
        return true;
    if (mf_message_status(value) != MF_OK) {
        mfi_attempt_failed(client, d, token, task, "InvalidResult", "the result could not be built", true);
    } else if (mf_message_bytes(value).len > limit) {
        mf_fail(&err, MF_E_TOO_BIG, "the result has %zu bytes, the limit is %zu", mf_message_bytes(value).len, limit);
        mfi_attempt_failed(client, d, token, task, "ResultTooBig", err.text, true);
    } else if (task->def.out != NULL && mf_fields_validate(task->def.out, value, &err) != MF_OK) {
        mfi_attempt_failed(client, d, token, task, "InvalidResult", err.text, true);
    } else {
        return true;
    }
    return false;
}

/* Another call of a durable task has gone on where this one was. That may have been one of an epoch that is over, which counts
 * no more although it still runs: then this one, whose epoch it is, goes on after it, with what it left. */
static void another_went_on(mf_client *client, const mf_delivery *d, uint64_t token, mfi_task *task)
{
    mf_record record = mfi_load_record(client, &d->unit.key);
    bool counts = record.spec != NULL && !mf_signature_status_ended(record.state.status) && record.state.epoch == d->unit.epoch;
    mf_record_release(&record);
    if (counts) {
        send_again(client, d, token, task, (mf_entry){.attempt = d->attempt});
        return;
    }
    mfi_flow_event event = {.kind = MFI_EV_SETTLE, .index = d->unit.index};
    tell(client, d, token, &event);
}

/* Whoever is handed the message next must not find it claimed. */
static void give_back(mf_client *client, uint64_t token)
{
    mf_error err = {0};
    unsigned tries = 0;
    mf_status st;
    while (token != 0 && (st = mf_store_give_back(client->store, &token, 1, &err)) != MF_OK)
        mfi_pause_before_retry(client, st, &err, &tries);
}

static void finish(mf_client *client, const mf_delivery *d, uint64_t token, mfi_task *task, mfi_running *running,
                   struct result *r)
{
    mfi_flow_event event = {.index = d->unit.index};
    mfi_call *call = &running->call;
    if (running->durable.wait == MFI_WAIT_MANAGER) {
        mfi_stats_count_call(running, MFI_TALLY_PUT_BACK);
        settle_with_manager(client, d, MF_STATUS_ACTIVE, NULL);
    } else if (r->st == MF_E_WAIT && running->durable.wait != MFI_WAIT_NOT && (r->stop & (MFI_STOP_SELF | MFI_STOP_CANCEL)) == 0) {
        mfi_stats_count_call(running, MFI_TALLY_PUT_BACK);
        settle_claimed(client, d, mfi_durable_wait(client, running), MF_STATUS_PENDING, NULL);
    } else if (r->st == MF_E_STALE && task->durable) {
        mfi_stats_count_call(running, MFI_TALLY_PUT_BACK);
        another_went_on(client, d, token, task);
    } else if ((r->stop & (MFI_STOP_SELF | MFI_STOP_CANCEL)) != 0) {
        mfi_stats_count_call(running, MFI_TALLY_CANCELED);
        event.kind = MFI_EV_ITEM_CANCELED;
        tell(client, d, token, &event);
    } else if (r->st == MF_OK) {
        if (!check_result(client, d, token, task, r->value))
            return;
        mfi_stats_count_call(running, MFI_TALLY_SUCCEEDED);
        event.kind = MFI_EV_ITEM_DONE;
        event.value = r->value;
        r->value = NULL;
        tell(client, d, token, &event);
    } else if ((r->stop & MFI_STOP_INTERRUPT) != 0) {
        mf_key blocker;
        mfi_stats_count_call(running, MFI_TALLY_PUT_BACK);
        mfi_control_standing(client, &d->unit.key, &blocker);
        park(client, d, token, task, &blocker);
    } else if ((r->stop & MFI_STOP_CLOSING) != 0) {
        /* It gave up because the worker closes: no outcome, and whoever has its message, the store or the manager, hands it on. */
        mfi_stats_count_call(running, MFI_TALLY_PUT_BACK);
        give_back(client, token);
        settle_with_manager(client, d, d->claim != NULL ? MF_STATUS_PENDING : MF_STATUS_ACTIVE, NULL);
    } else if ((r->stop & MFI_STOP_TIMEOUT) != 0) {
        mfi_attempt_failed(client, d, token, task, "Timeout", "the task did not end within its timeout", false);
    } else {
        const char *type = call->error_type[0] != '\0' ? call->error_type : mf_status_name(r->st);
        const char *text = call->error_text != NULL ? call->error_text : mf_status_text(r->st);
        mfi_attempt_failed(client, d, token, task, type, text, r->st == MF_E_FINAL);
    }
}

static void run(mf_client *client, const mf_delivery *d, uint64_t token, uint64_t mark, mfi_task *task)
{
    mf_error err;
    const mf_message *in = d->message != NULL ? d->message : mf_message_nil();
    if (task->def.in != NULL && mf_fields_validate(task->def.in, in, &err) != MF_OK) {
        mfi_attempt_failed(client, d, token, task, "InvalidMessage", err.text, true);
        return;
    }
    mfi_running running;
    memset(&running, 0, offsetof(mfi_running, durable.event));
    running.durable.event[0] = '\0';
    running.task = task;
    running.token = token;
    running.mark = mark;
    running.call.allocator = client->allocator;
    running.call.clock = client->clock;
    running.call.client = client;
    running.call.delivery = d;
    mf_status st = mf_adapter_create_task_context(client->adapter, d, &running.call.ctx);
    if (st != MF_OK) {
        mfi_attempt_failed(client, d, token, task, mf_status_name(st), "no context could be made", false);
        return;
    }
    running.call.ctx.host = &client->host;
    running.call.ctx.call = &running.call;
    struct result r = call_task(client, task, &running, in);
    if (r.ours)
        finish(client, d, token, task, &running, &r);
    mf_message_unref(r.value);
    mfi_durable_fini(client, &running.durable);
    mfi_call_fini(&running.call);
}

/* ---- should it run ------------------------------------------------------------------------------------------------ */

/* A unit that will not run: its container counts it as canceled. What stands in something that ended ends with it. */
static void drop(mf_client *client, const mf_delivery *d, const mf_claim *claim)
{
    mfi_flow_event event = {.kind = MFI_EV_ITEM_CANCELED, .index = d->unit.index};
    if (claim->status == MF_E_STALE && !mf_signature_status_ended(claim->head))
        event.kind = MFI_EV_SETTLE;     /* a durable task that was woken otherwise, or whose outcome is known */
    if (claim->status == MF_OK && mf_signature_status_runs(claim->head)) {
        mfi_flow_event cancel = {.kind = MFI_EV_CANCEL};
        mfi_dispatch(client, &d->unit.key, &cancel, true, NULL);
    }
    tell(client, d, claim->token, &event);
}

/* Another process on this store declared the task: it is put off for a moment, and that one takes it. */
static bool leave_to_others(mf_client *client, const mf_delivery *d, uint64_t token, const mfi_task *task)
{
    bool known = task != NULL ? task->kind == MFI_TASK_REMOTE : mfi_definition_is_known(client, d->task);
    if (!known || d->spec == NULL)
        return false;
    send_again(client, d, token, task, (mf_entry){.attempt = d->attempt,
                                                  .due_ms = mf_store_now_ms(client->store) + OTHERS_LATER_MS});
    return true;
}

static uint64_t stops_so_far(mf_host *host)
{
    return atomic_load_explicit(&mfi_client_of_host(host)->control.stops, memory_order_seq_cst);
}

/* The same message once more, when something that is in its way now may be over. */
static void put_off(mf_client *client, const mf_delivery *d, int64_t ms)
{
    send_again(client, d, 0, mfi_registry_task(&client->registry, d->task),
               (mf_entry){.attempt = d->attempt, .due_ms = mf_store_now_ms(client->store) + ms});
}

/* Who may run it, in *claim: with its status OK, STALE, AGAIN, or what the store says of a unit that is gone. False: settled
 * already. */
static bool take_claim(mf_client *client, const mf_delivery *d, mf_claim *claim)
{
    if (d->claim != NULL)
        *claim = *d->claim;
    if (d->claim != NULL || !mf_key_is_set(&d->unit.key))
        return true;
    claim->unit = d->unit;
    claim->attempt = d->attempt;
    mf_error err = {0};
    unsigned tries = 0;
    mf_status st;
    /* The manager has given its message away: nobody else would bring it again. */
    while ((st = mf_store_claim(client->store, claim, 1, &err)) != MF_OK && !atomic_load(&client->closing))
        mfi_pause_before_retry(client, st, &err, &tries);
    if (st != MF_OK) {
        settle_with_manager(client, d, MF_STATUS_ACTIVE, NULL);
        return false;
    }
    int64_t lease_ms = mf_store_lease_ms(client->store);
    if (claim->status == MF_E_EXISTS && d->again && lease_ms > 0 && mf_adapter_can(client->adapter, MF_CAP_HOLDS)) {
        settle_with_manager(client, d, MF_STATUS_SUSPENDED, NULL);      /* as below, where the manager counts deaths */
        return false;
    }
    if (claim->status == MF_E_EXISTS && (tries > 0 || d->again) && lease_ms > 0) {
        /* Perhaps it is ours: the answer to a try before may have been lost, after the claim was made. Or it is that of a
         * worker whose death the manager has noticed before the store did. */
        put_off(client, d, lease_ms);
        return false;
    }
    if (claim->status == MF_E_EXISTS ||
        (claim->status != MF_OK && claim->token == 0 && claim->status != MF_E_STALE && claim->status != MF_E_AGAIN)) {
        settle_with_manager(client, d, MF_STATUS_CANCELED, NULL);   /* somebody else runs it, or nobody will */
        return false;
    }
    return true;
}

static void deliver(mf_host *host, const mf_delivery *d)
{
    mf_client *client = mfi_client_of_host(host);
    mfi_framework_task framework = mfi_framework_find(d->task);
    bool from_outside = framework == MFI_RUN_FLOW && !mf_key_is_set(&d->unit.key);
    if (framework != MFI_FRAMEWORK_TASKS && !from_outside) {
        mfi_framework_deliver(client, framework, d);
        return;
    }

    mf_claim claim = {.status = MF_OK, .head = MF_STATUS_ACTIVE, .above = MF_STATUS_ACTIVE};
    uint64_t mark = d->claim != NULL ? d->mark : stops_so_far(host);
    if (!take_claim(client, d, &claim))
        return;
    if (d->claim == NULL && claim.status == MF_E_AGAIN) {       /* locked: a moment later it may not be */
        put_off(client, d, LOCKED_LATER_MS);
        return;
    }
    mfi_task *task = mfi_registry_task(&client->registry, d->task);
    if (mf_key_is_set(&d->unit.key) && (claim.status != MF_OK || !mfi_flow_should_run(claim.head, claim.above))) {
        mf_signature_status blocking = mf_signature_status_runs(claim.head) ? claim.above : claim.head;
        if (claim.status == MF_OK && mfi_status_pauses(blocking))
            park(client, d, claim.token, task, &claim.blocker);
        else
            drop(client, d, &claim);
        return;
    }
    if (leave_to_others(client, d, claim.token, task))
        return;
    if (task == NULL || task->def.run == NULL) {     /* nobody declared it here, or only as somebody else's */
        mf_error err;
        mfi_stats_unknown(client);
        mfi_registry_unknown_task(&client->registry, d->task, &err);
        mfi_attempt_failed(client, d, claim.token, NULL, "UnknownTask", err.text, true);
        return;
    }
    run(client, d, claim.token, mark, task);
}

/* ---- what else a manager tells ------------------------------------------------------------------------------------ */

/* Whoever has its claim may still be running it: the end is theirs, or comes when their claim is over. */
static void give_up(mf_host *host, const mf_delivery *d, const char *type, const char *text)
{
    mf_client *client = mfi_client_of_host(host);
    mfi_framework_task framework = mfi_framework_find(d->task);
    if (framework != MFI_FRAMEWORK_TASKS) {
        mfi_framework_give_up(client, framework, d, type, text);
        return;
    }
    mf_claim claim = {.status = MF_OK, .head = MF_STATUS_ACTIVE, .above = MF_STATUS_ACTIVE};
    if (!take_claim(client, d, &claim))
        return;
    mf_signature_status blocking = mf_signature_status_runs(claim.head) ? claim.above : claim.head;
    if (claim.status == MF_E_AGAIN && mf_adapter_can(client->adapter, MF_CAP_HOLDS))
        settle_with_manager(client, d, MF_STATUS_SUSPENDED, NULL);
    else if (claim.status == MF_E_AGAIN)
        put_off(client, d, LOCKED_LATER_MS);
    else if (claim.status != MF_OK || (!mf_signature_status_runs(blocking) && !mfi_status_pauses(blocking)))
        drop(client, d, &claim);
    else
        mfi_attempt_failed(client, d, claim.token, mfi_registry_task(&client->registry, d->task), type, text, true);
}

static mf_status lost(mf_host *host, const mf_delivery *d, const char *why)
{
    mf_client *client = mfi_client_of_host(host);
    mfi_attempt_failed(client, d, d->claim != NULL ? d->claim->token : 0, mfi_registry_task(&client->registry, d->task),
                       "Lost", why, false);
    return MF_OK;
}

static void stop(mf_host *host, mf_str id)
{
    mfi_control_stop_id(mfi_client_of_host(host), id);
}

static mf_status refresh_timeout(mf_host *host, mf_context *ctx, mf_duration more)
{
    return mfi_control_refresh(mfi_client_of_host(host), ctx->call, more);
}

static void flush(mf_host *host)
{
    mfi_dispatch_flush(mfi_client_of_host(host));
}

static void look(mf_host *host, int64_t within_ms)
{
    mf_client *client = mfi_client_of_host(host);
    mfi_keeper_delayed(client, mf_store_now_ms(client->store) + within_ms);
}

const mf_host_ops mfi_host_ops = {
    .struct_size = sizeof(mf_host_ops),
    .deliver = deliver,
    .outcome = mfi_told_outcome,
    .lost = lost,
    .stop = stop,
    .mark = stops_so_far,
    .refresh_timeout = refresh_timeout,
    .flush = flush,
    .look = look,
    .give_up = give_up,
};
