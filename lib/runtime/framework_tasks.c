/* mageflow's own tasks: each message is an event of the record its metadata names. */
#include "runtime.h"

#include "lifecycle.h"
#include "record.h"

/* A copy of one part of the message; NULL: it is not there, or nil. What a flow is told is not lost for want of memory. */
static mf_message *part(mf_client *client, const mf_message *message, const char *name)
{
    mf_value value;
    mf_message *copy = NULL;
    if (message == NULL || !mf_value_get(mf_message_value(message), mf_cstr(name), &value) ||
        mf_value_type(value) == MF_TYPE_NIL)
        return NULL;
    mf_error err = {0};
    mf_status st;
    unsigned tries = 0;
    while ((st = mf_message_of_value(value, client->allocator, &copy, &err)) == MF_E_NOMEM)
        mfi_pause_before_retry(client, st, &err, &tries);
    return copy;
}

/* Who ended before it started; unset: the message tells of another end. */
static mf_key child_of(const mf_message *message)
{
    mf_value value;
    mf_str text;
    mf_key key = {{0}};
    if (message == NULL || !mf_value_get(mf_message_value(message), MF_STR_LIT("child"), &value) ||
        mf_value_str(value, &text) != MF_OK || mf_key_parse(text, &key, NULL) != MF_OK)
        memset(&key, 0, sizeof key);
    return key;
}

static uint64_t expected_items(mf_client *client, const mf_key *key, const mf_message *message)
{
    mf_record record = mfi_load_record(client, key);
    uint64_t expected = 0;
    if (record.spec != NULL && record.spec->source.len > 0) {
        mfi_source *source = mfi_registry_source(&client->registry, record.spec->source);
        if (source != NULL && source->def.expected != NULL)
            expected = source->def.expected(message != NULL ? message : mf_message_nil(), source->def.user);
    }
    mf_record_release(&record);
    return expected;
}

static mfi_flow_event event_of(mf_client *client, mfi_framework_task task, const mf_delivery *d)
{
    mfi_flow_event event = {.index = d->unit.index};
    switch (task) {
    case MFI_ON_CHAIN_DONE:
    case MFI_ON_SWARM_ITEM_DONE:
        event.kind = MFI_EV_ITEM_DONE;
        event.value = mf_message_ref(d->message);
        break;
    case MFI_ON_CHAIN_ERROR:
    case MFI_ON_SWARM_ITEM_ERROR:
        event.value = part(client, d->message, "error");
        event.sent = part(client, d->message, "message");
        event.child = child_of(d->message);
        /* The child of a container ends as canceled without an error. */
        event.kind = event.value == NULL ? MFI_EV_ITEM_CANCELED : MFI_EV_ITEM_FAILED;
        break;
    case MFI_SWARM_FILL:
        event.kind = MFI_EV_FILL;
        break;
    case MFI_RUN_FLOW:
        event.kind = MFI_EV_START;
        event.value = part(client, d->message, "message");
        event.inherited = part(client, d->message, "inherited");
        event.expected = expected_items(client, &d->unit.key, event.value);
        event.priority = d->priority;
        break;
    case MFI_FRAMEWORK_TASKS:
        break;
    }
    return event;
}

/* How what it stands in stands, with the record whose status that is. */
static mf_signature_status standing(mf_client *client, const mf_delivery *d, mf_key *blocker)
{
    if (d->claim == NULL || mfi_control_stopped_since(client, d->mark))
        return mfi_control_standing_above(client, &d->unit.key, blocker);
    *blocker = d->claim->blocker;
    return d->claim->above;
}

/* A start, or more items, of something that is paused itself or stands in something that is: the message waits with it. */
static bool park(mf_client *client, mfi_framework_task task, const mf_delivery *d, mf_signature_status above,
                 const mf_key *blocker)
{
    mf_key at = *blocker;
    bool paused = mfi_status_pauses(above);
    if (!paused && task == MFI_RUN_FLOW) {
        mf_record record = mfi_load_record(client, &d->unit.key);
        paused = record.spec != NULL && mfi_status_pauses(record.state.status);
        mf_record_release(&record);
        at = d->unit.key;
    }
    if (!paused || (task != MFI_RUN_FLOW && task != MFI_SWARM_FILL))
        return false;
    mf_entry entry = {.spec = client->framework.specs[task], .unit = d->unit, .attempt = d->attempt, .parked = at,
                      .message = (mf_message *)(uintptr_t)d->message, .priority = d->priority};
    mfi_commit_plain(client, d, d->claim != NULL ? &d->claim->token : NULL, &entry);
    if (d->claim == NULL)
        mf_adapter_settle(client->adapter, &(mf_settlement){.delivery = d, .status = MF_STATUS_PENDING}, 1, NULL);
    return true;
}

/* ---- what stands below an end ------------------------------------------------------------------------------------ */

#define BELOW_PAGE 64

static void cancel_item(mf_client *client, const mf_item *item)
{
    if (!mf_key_is_set(&item->spec->key))
        return;
    mfi_flow_event cancel = {.kind = MFI_EV_CANCEL};
    mfi_dispatch(client, &item->spec->key, &cancel, true, NULL);
}

static void cancel_items(mf_client *client, const mf_key *swarm, uint64_t published)
{
    mf_item items[BELOW_PAGE];
    size_t got;
    for (uint64_t from = 0; from < published; from += got) {
        size_t want = published - from < BELOW_PAGE ? (size_t)(published - from) : BELOW_PAGE;
        mf_error err = {0};
        mf_status st;
        unsigned tries = 0;
        while ((st = mf_store_items(client->store, swarm, from, want, items, &got, &err)) == MF_E_NOMEM || st == MF_E_IO)
            mfi_pause_before_retry(client, st, &err, &tries);
        if (st != MF_OK || got == 0)
            return;
        for (size_t i = 0; i < got; i++) {
            cancel_item(client, &items[i]);     /* one that has ended stays as it is */
            mfi_item_unref(&items[i]);
        }
    }
}

/* A record that ended early tells those below it that started (see mfi_end): the rest never will. */
static void tell_below(mf_client *client, const mf_key *key)
{
    mf_record record = mfi_load_record(client, key);
    if (record.spec == NULL)
        return;
    bool early = mf_signature_status_ended(record.state.status) && record.state.status != MF_STATUS_DONE;
    if (early && record.spec->kind == MF_KIND_CHAIN && record.state.next > 0)
        cancel_item(client, &record.spec->steps[record.state.next - 1]);
    else if (early && record.spec->kind == MF_KIND_SWARM && record.spec->source.len == 0)
        cancel_items(client, key, record.state.next);
    mf_record_release(&record);
}

void mfi_framework_deliver(mf_client *client, mfi_framework_task task, const mf_delivery *delivery)
{
    mf_key blocker;
    mf_signature_status above = standing(client, delivery, &blocker);
    if (park(client, task, delivery, above, &blocker))
        return;
    mfi_flow_event event = event_of(client, task, delivery);
    /* So does it, before it could start or end otherwise. But a child that ended before its start may tell so while the flow
     * is still being stored: what is not there above it comes last. */
    if (mf_signature_status_ended(above) && !mf_key_is_set(&event.child)) {
        mfi_flow_event cancel = {.kind = MFI_EV_CANCEL};
        mfi_dispatch(client, &delivery->unit.key, &cancel, true, NULL);
    }
    if (task == MFI_SWARM_FILL && (delivery->claim == NULL || mf_signature_status_ended(delivery->claim->head)))
        tell_below(client, &delivery->unit.key);
    if (delivery->claim != NULL) {
        event.settle = delivery->claim->token;      /* settled by the commit */
        mfi_dispatch(client, &delivery->unit.key, &event, true, NULL);
        return;
    }
    event.delivery = delivery;
    mfi_dispatch_wait(client, &delivery->unit.key, &event, true);
    mf_adapter_settle(client->adapter, &(mf_settlement){.delivery = delivery, .status = MF_STATUS_DONE}, 1, NULL);
}

/* The end of an item is that item's; without a start, or more items, the whole cannot go on. */
void mfi_framework_give_up(mf_client *client, mfi_framework_task task, const mf_delivery *d, const char *type, const char *text)
{
    bool of_item = task != MFI_SWARM_FILL && task != MFI_RUN_FLOW;
    mfi_flow_event event = {.kind = of_item ? MFI_EV_ITEM_FAILED : MFI_EV_FAIL, .index = d->unit.index, .delivery = d};
    event.value = mfi_failure_map(client, &d->unit, d->attempt, type, text, true);
    if (task == MFI_ON_CHAIN_ERROR || task == MFI_ON_SWARM_ITEM_ERROR)
        event.child = child_of(d->message);
    mfi_dispatch_wait(client, &d->unit.key, &event, true);
    mf_adapter_settle(client->adapter, &(mf_settlement){.delivery = d, .status = MF_STATUS_FAILED}, 1, NULL);
}
