/* Ends that are told from outside: a manager saw one of a task that somebody else runs, or knows that there will be none. */
#include "runtime.h"

#include "compose.h"
#include "foreign.h"
#include "merge.h"

/* A manager's error map says what it knows, which may be little: the rest is the call's. */
static mf_status whole_error(mf_client *client, const mf_unit *unit, const mf_message *told, mf_message **out)
{
    mfi_failure failure = {.type = MF_STR_LIT("Error"), .attempt = 1, .key = unit->key, .index = unit->index, .final = true};
    mf_message *own = NULL;
    mf_status st = mfi_compose_error(&failure, client->allocator, &own);
    if (st == MF_OK)
        st = mfi_message_merge(own, told, client->allocator, NULL, out, NULL);
    if (st != MF_OK && st != MF_E_NOMEM) {      /* no map, or a large one: as it is */
        *out = told != NULL ? mf_message_ref(told) : mf_message_ref(own);
        st = MF_OK;
    }
    mf_message_unref(own);
    return st;
}

/* The message of a foreign call was noted with its sending, where an error callback wants it. */
static mf_status sent_message(mf_client *client, const mf_unit *unit, const mf_message *told, mf_message **out, mf_error *err)
{
    char name[MFI_FOREIGN_NAME_MAX];
    *out = mf_message_ref(told);
    if (told != NULL)
        return MF_OK;
    mf_status st = mf_store_read_note(client->store, MFI_FOREIGN_SENT, mfi_foreign_name(unit, name), out, err);
    return st == MF_E_NOT_FOUND ? MF_OK : st;
}

static mf_status failure_told(mf_client *client, mfi_flow_event *event, const mf_unit *unit, const mf_message *value,
                              const mf_message *sent)
{
    mf_error err = {.status = MF_E_NOMEM, .text = "no memory for an error"};
    unsigned tries = 0;
    mf_status st;
    while ((st = event->value == NULL ? whole_error(client, unit, value, &event->value) : MF_OK) != MF_OK ||
           (st = sent_message(client, unit, sent, &event->sent, &err)) != MF_OK) {
        if (atomic_load(&client->closing))
            break;      /* whoever told it tells another process */
        mfi_pause_before_retry(client, st, &err, &tries);
    }
    return st;
}

mf_status mfi_told_outcome(mf_host *host, const mf_unit *unit, mf_signature_status status, const mf_message *value,
                           const mf_message *sent)
{
    mf_client *client = mfi_client_of_host(host);
    mfi_flow_event event = {.index = unit->index, .kind = MFI_EV_ITEM_CANCELED};
    mf_status st = MF_OK;
    if (status == MF_STATUS_FAILED) {
        event.kind = MFI_EV_ITEM_FAILED;
        st = failure_told(client, &event, unit, value, sent);
    } else {
        event.kind = status == MF_STATUS_DONE ? MFI_EV_ITEM_DONE : MFI_EV_ITEM_CANCELED;
        event.value = mf_message_ref(value);
    }
    if (st == MF_OK)
        return mfi_dispatch_wait(client, &unit->key, &event, true);
    mfi_flow_event_release(&event);
    return st;
}
