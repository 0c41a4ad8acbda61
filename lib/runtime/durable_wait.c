/* How a durable task waits, and how it is woken: the waiting is committed with the end of the call, and the event with the next
 * one. A waiter is a note in the event's space, named by its key and the memo that it waits for. */
#include <mageflow/control.h>

#include <stdio.h>

#include "durable.h"
#include "runtime.h"

#define NOTES_PAGE 64

void mfi_event_note_fill(struct mfi_event_note *n, const char *event, const mf_key *key, uint64_t index)
{
    snprintf(n->space, sizeof n->space, MFI_EVENT_SPACE "%s", event);
    snprintf(n->name, sizeof n->name, "%s/%llu", key->text, (unsigned long long)index);
    n->note = (mf_note){.space = mf_cstr(n->space), .name = mf_cstr(n->name)};
}

/* ---- the wait's commit ------------------------------------------------------------------------------------------- */

/* What a sender needs to call the body again: {index, attempt, message}. */
static mf_status note_value(mf_client *client, const mf_delivery *d, uint64_t index, mf_message **out)
{
    mf_builder b;
    mf_builder_init(&b, client->allocator, NULL);
    mf_build_map(&b, 3);
    mf_build_key(&b, "index");
    mf_build_uint(&b, index);
    mf_build_key(&b, "attempt");
    mf_build_uint(&b, d->attempt);
    mf_build_key(&b, "message");
    mf_build_message(&b, d->message);
    mf_status st = mf_builder_finish(&b, out, NULL);
    mf_builder_fini(&b);
    return st;
}

static mf_status commit_wait(mf_client *client, mfi_running *running, mf_error *err)
{
    const mf_delivery *d = running->call.delivery;
    mfi_durable *durable = &running->durable;
    const char *verb = durable->wait == MFI_WAIT_SLEEP ? "sleep" : "event";
    struct mfi_event_note n;
    mf_record record = {0};
    mf_outcome outcome = {.index = durable->count + 1, .status = MF_STATUS_DONE};
    mf_status st = mf_store_load(client->store, &d->unit.key, 1, &record, err);
    if (st == MF_OK && record.spec == NULL)
        st = MF_E_NOT_FOUND;
    if (st == MF_OK && !durable->known)
        st = mfi_memo_make(client, verb, durable->event, "until", NULL, durable->until_ms, &outcome.value);
    mfi_event_note_fill(&n, durable->event, &d->unit.key, durable->count + 2);
    if (st == MF_OK && !durable->known && durable->wait == MFI_WAIT_EVENT)
        st = note_value(client, d, durable->count + 2, &n.note.value);
    if (st == MF_OK) {
        mf_entry again = {.spec = record.spec, .unit = d->unit, .attempt = d->attempt, .due_ms = durable->until_ms,
                          .message = (mf_message *)(uintptr_t)d->message, .error = (mf_message *)(uintptr_t)d->error,
                          .priority = d->priority};
        mf_batch batch = {.key = d->unit.key, .outcomes = &outcome, .outcome_count = durable->known ? 0 : 1,
                          .settles = &running->token, .settle_count = 1, .deliveries = &d, .delivery_count = 1,
                          .entries = &again, .entry_count = durable->until_ms == INT64_MAX ? 0 : 1,
                          .notes = &n.note, .note_count = n.note.value != NULL ? 1 : 0};
        mf_refusal refusal;
        st = mfi_commit(client, &batch, &refusal, err);
    }
    mf_record_release(&record);
    mf_message_unref(outcome.value);
    mf_message_unref(n.note.value);
    return st;
}

mf_status mfi_durable_wait(mf_client *client, mfi_running *running)
{
    unsigned tries = 0;
    mf_error err = {.text = "no memory for a wait"};
    mf_status st;
    if (running->durable.wait == MFI_WAIT_SLEEP)
        running->durable.event[0] = '\0';
    while ((st = commit_wait(client, running, &err)) != MF_OK && st != MF_E_CONFLICT && st != MF_E_NOT_FOUND)
        mfi_pause_before_retry(client, st, &err, &tries);
    /* Another call has gone on, or the record is gone: the message alone is left. */
    return st == MF_OK ? MF_OK : mfi_commit_plain(client, running->call.delivery, &running->token, NULL);
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

/* One who waits: wake it. False: it no longer does. */
static bool wake(mf_client *client, const mf_note *waiting, mf_message *came)
{
    mf_key key;
    uint64_t index = 0, attempt = 1;
    mf_value message;
    mf_value value = mf_message_value(waiting->value);
    const char *slash = memchr(waiting->name.at, '/', waiting->name.len);
    mf_note gone = {.space = waiting->space, .name = waiting->name};
    mfi_flow_event event = {.kind = MFI_EV_WAKE, .note = &gone};
    mf_status st = slash == NULL ? MF_E_MALFORMED
                                 : mf_key_parse(mf_str_of(waiting->name.at, (size_t)(slash - waiting->name.at)), &key, NULL);
    if (st == MF_OK)
        st = mf_message_scan(waiting->value, NULL, "{s:U, s:U}", "index", &index, "attempt", &attempt);
    if (st == MF_OK && mf_value_get(value, MF_STR_LIT("message"), &message) && mf_value_type(message) != MF_TYPE_NIL)
        st = mf_message_of_value(message, client->allocator, &event.sent, NULL);
    if (st == MF_OK) {
        event.index = index;
        event.attempt = (uint32_t)attempt;
        event.value = mf_message_ref(came);
        st = mfi_dispatch_wait(client, &key, &event, false);
    } else {
        mf_message_unref(event.sent);
    }
    if (st == MF_E_NOT_FOUND || st == MF_E_MALFORMED) {
        mf_batch batch = {.notes = &gone, .note_count = 1};
        mf_refusal refusal;
        (void)mfi_commit(client, &batch, &refusal, NULL);
    }
    return st == MF_OK;
}

mf_status mf_event_send(mf_client *client, const char *name, const mf_message *message, size_t *woken, mf_error *err)
{
    char space[sizeof MFI_EVENT_SPACE + 200], after[256] = "";
    mf_note page[NOTES_PAGE];
    size_t got = 0, count = 0, len = name == NULL ? 0 : strlen(name);
    mf_message *came = NULL;
    mf_status st = mfi_client_check(client, err);
    if (st == MF_OK && (len == 0 || len > 200))
        st = mf_fail(err, MF_E_INVALID, "event: expected a name of 1 to 200 bytes, got %zu", len);
    if (st == MF_OK && message != NULL && (st = mf_message_status(message)) != MF_OK)
        mf_fail(err, st, "event \"%s\": its message could not be built", name);
    if (st == MF_OK && (st = mfi_memo_make(client, "came", "", "value", message != NULL ? message : mf_message_nil(), 0, &came)) != MF_OK)
        mf_fail(err, st, "event \"%s\": no memory", name);
    if (st != MF_OK)
        return st;
    snprintf(space, sizeof space, MFI_EVENT_SPACE "%s", name);
    do {
        st = mf_store_notes(client->store, mf_cstr(space), mf_cstr(after), NOTES_PAGE, page, &got, err);
        for (size_t i = 0; st == MF_OK && i < got; i++) {
            count += wake(client, &page[i], came) ? 1 : 0;
            snprintf(after, sizeof after, "%.*s", (int)page[i].name.len, page[i].name.at);
            mf_note_release(client->store, &page[i]);
        }
    } while (st == MF_OK && got > 0);
    mf_message_unref(came);
    if (woken != NULL)
        *woken = count;
    return st;
}
