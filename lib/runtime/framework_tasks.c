/* mageflow's own tasks: each message is an event of the record its metadata names. */
#include "runtime.h"

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

static uint64_t expected_items(mf_client *client, const mf_key *key, const mf_message *message)
{
    mf_record record = {0};
    uint64_t expected = 0;
    if (mf_store_load(client->store, key, 1, &record, NULL) == MF_OK && record.spec != NULL && record.spec->source.len > 0) {
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
        break;
    case MFI_FRAMEWORK_TASKS:
        break;
    }
    return event;
}

void mfi_framework_deliver(mf_client *client, mfi_framework_task task, const mf_delivery *delivery)
{
    mfi_flow_event event = event_of(client, task, delivery);
    bool above = delivery->claim != NULL && !mfi_control_stopped_since(client, delivery->mark)
                     ? mf_signature_status_runs(delivery->claim->above)
                     : mfi_control_above_runs(client, &delivery->unit.key);
    if (!above) {   /* what it stands in has ended: so does it, before it could start or end otherwise */
        mfi_flow_event cancel = {.kind = MFI_EV_CANCEL};
        mfi_dispatch(client, &delivery->unit.key, &cancel, true, NULL);
    }
    if (delivery->claim != NULL) {
        event.settle = delivery->claim->token;      /* settled by the commit */
        mfi_dispatch(client, &delivery->unit.key, &event, true, NULL);
        return;
    }
    mfi_dispatch_wait(client, &delivery->unit.key, &event, true);
    mf_adapter_settle(client->adapter, &(mf_settlement){.delivery = delivery, .status = MF_STATUS_DONE}, 1, NULL);
}
