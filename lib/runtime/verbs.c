/* What can be done to a stored signature by its key: each verb is an event of its record. */
#include <mageflow/control.h>

#include <stdio.h>

#include "memory.h"
#include "runtime.h"
#include "sign.h"

/* ---- asking ---------------------------------------------------------------------------------------------------------- */

/* Why a verb was refused, in words that fit the record as it is now. */
static mf_status explain(mf_client *client, const mf_key *key, mf_status st, const char *verb, mf_error *err)
{
    mf_record record = {0};
    if (st == MF_E_NOT_FOUND)
        return mf_fail(err, st, "there is no signature %s", key->text);
    if (st != MF_E_STATE)
        return st == MF_OK ? MF_OK : mf_fail(err, st, "%s: cannot %s: %s", key->text, verb, mf_status_text(st));
    if (mf_store_load(client->store, key, 1, &record, NULL) != MF_OK || record.spec == NULL)
        return mf_fail(err, st, "%s: cannot %s", key->text, verb);
    int64_t now_ms = mf_store_now_ms(client->store);
    if (mfi_flow_is_locked(&record.state, now_ms))
        mf_fail(err, st, "%s is locked for %lld ms more: cannot %s", key->text,
                (long long)(record.state.lock_until_ms - now_ms), verb);
    else if (mf_signature_status_ended(record.state.status))
        mf_fail(err, st, "%s has ended already, it is %s", key->text, mf_signature_status_name(record.state.status));
    else
        mf_fail(err, st, "%s is %s: cannot %s", key->text, mf_signature_status_name(record.state.status), verb);
    mf_record_release(&record);
    return st;
}

/* event is consumed. */
static mf_status ask(mf_client *client, const mf_key *key, mfi_flow_event *event, const char *verb, mf_error *err)
{
    mf_status st = mfi_client_check(client, err);
    if (st != MF_OK) {
        mfi_flow_event_release(event);
        return st;
    }
    mf_error why = {.text = ""};
    st = mfi_dispatch_ask(client, key, event, false, &why);
    if (why.text[0] != '\0')
        return mf_fail(err, st, "%s: cannot %s: %s", key->text, verb, why.text);
    return explain(client, key, st, verb, err);
}

/* ---- stop and go on --------------------------------------------------------------------------------------------------- */

mf_status mf_suspend(mf_client *client, const mf_key *key, mf_error *err)
{
    return ask(client, key, &(mfi_flow_event){.kind = MFI_EV_SUSPEND}, "suspend", err);
}

mf_status mf_interrupt(mf_client *client, const mf_key *key, mf_error *err)
{
    return ask(client, key, &(mfi_flow_event){.kind = MFI_EV_INTERRUPT}, "interrupt", err);
}

mf_status mf_resume(mf_client *client, const mf_key *key, mf_error *err)
{
    return ask(client, key, &(mfi_flow_event){.kind = MFI_EV_RESUME}, "resume", err);
}

mf_status mf_cancel(mf_client *client, const mf_key *key, mf_error *err)
{
    return ask(client, key, &(mfi_flow_event){.kind = MFI_EV_CANCEL}, "cancel", err);
}

/* A live record ends first, so that what runs below it is found and told; see mfi_remove_record. */
mf_status mf_remove(mf_client *client, const mf_key *key, mf_removes what, mf_error *err)
{
    mfi_unique unique = {.count = 0};
    mf_status st = mfi_client_check(client, err);
    if (st == MF_OK)
        st = mfi_unique_free(client, key, &unique, err);
    if (st != MF_OK)
        return st;
    do {
        mfi_flow_event event = {.kind = MFI_EV_REMOVE, .note = unique.notes, .note_count = unique.count,
                                .removal = {.key = *key, .on_success = (what & MF_REMOVE_SUCCESS) != 0,
                                            .on_error = (what & MF_REMOVE_ERROR) != 0}};
        st = mfi_dispatch_wait(client, key, &event, false);
    } while (st == MF_E_AGAIN);
    mfi_unique_release(&unique);
    return explain(client, key, st, "remove", err);
}

/* ---- swarms that run ---------------------------------------------------------------------------------------------------- */

#define ADD_TRIES 64        /* against others who add to the same swarm */

/* What was given, as items; those with a record of their own stand in `shell`, a swarm that is only made for that. */
static mf_status gather_items(mf_signature *shell, mf_signature *const *items, size_t n, mf_error *err)
{
    mf_status st = MF_OK;
    for (size_t i = 0; i < n && st == MF_OK; i++) {
        if (items[i] == NULL)
            return err != NULL && err->status != MF_OK ? err->status : MF_E_INVALID;    /* err tells why there is none */
        st = mfi_signature_check_pair(shell, items[i], MF_KIND_SWARM, "mf_items_add", err);
        if (st == MF_OK)
            st = mfi_signature_add_item(shell, items[i], err);
    }
    return st;
}

/* Items with records say where they stand, which is known once the swarm is read. */
static bool number_items(const mf_item *items, size_t n, uint64_t from)
{
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        if (!mf_key_is_set(&items[i].spec->key))
            continue;
        items[i].spec->index = from + i;
        any = true;
    }
    return any;
}

/* Store what they have below, then tell the swarm. */
static mf_status add_stored(mf_client *client, const mf_key *swarm, mf_signature *shell, const mfi_storing *storing,
                            mfi_flow_event *event, mf_error *err)
{
    mf_note *notes = NULL;
    size_t count = 0;
    mf_status st = mfi_store_below(shell, storing, err);
    if (st == MF_OK)
        st = mfi_storing_end(storing, NULL, 0, &notes, &count, err);
    event->note = notes;
    event->note_count = count;
    if (st == MF_OK)
        st = mfi_dispatch_wait(client, swarm, event, false);
    if (notes != NULL)
        mfi_release(client->allocator, notes, count * sizeof *notes);
    if (st != MF_OK)
        mfi_storing_undo(storing, shell);
    return st;
}

static mf_status add_once(mf_client *client, const mf_key *swarm, mf_signature *shell, const mf_item *items, mf_error *err)
{
    mf_record record = {0};
    size_t n = shell->own.item_count;
    mf_status st = mf_store_load(client->store, swarm, 1, &record, err);
    uint64_t from = record.state.total;
    bool there = record.spec != NULL;
    mf_record_release(&record);
    if (st != MF_OK || !there)
        return st != MF_OK ? st : MF_E_NOT_FOUND;
    bool numbered = number_items(items, n, from);
    mfi_flow_event event = {.kind = MFI_EV_ADD, .items = items, .item_count = n, .from = numbered ? from : UINT64_MAX};
    mfi_storing storing;
    st = mfi_storing_begin_below(shell, &storing, err);
    if (st == MF_OK)
        st = add_stored(client, swarm, shell, &storing, &event, err);
    mfi_storing_fini(&storing);
    return st;
}

/* A swarm below that was stored has given its items away: only plain items and signatures without such swarms are tried
 * again. */
static bool can_try_again(const mf_signature *shell)
{
    for (size_t i = 0; i < shell->below_count; i++)
        if (shell->below[i].spec->kind == MF_KIND_SWARM && shell->below[i].item_count > 0)
            return false;
    return true;
}

static mf_status add_all(mf_client *client, const mf_key *swarm, mf_signature *shell, mf_error *err)
{
    size_t n = shell->own.item_count;
    mf_item *items = mfi_alloc_array(client->allocator, n, sizeof *items);
    if (items == NULL)
        return mf_fail(err, MF_E_NOMEM, "mf_items_add: no memory for %zu items", n);
    for (size_t i = 0; i < n; i++)
        items[i] = *mfi_draft_item(&shell->own, i);
    mf_status st;
    int tries = 0;
    do
        st = add_once(client, swarm, shell, items, err);
    while (st == MF_E_CONFLICT && can_try_again(shell) && ++tries < ADD_TRIES);
    mfi_release(client->allocator, items, n * sizeof *items);
    return st;
}

static mf_status explain_add(mf_client *client, const mf_key *swarm, mf_status st, mf_error *err)
{
    switch (st) {
    case MF_E_CLOSED: return mf_fail(err, st, "%s is closed: nothing can be added any more", swarm->text);
    case MF_E_FULL: return mf_fail(err, st, "%s: more items than its max_items allows", swarm->text);
    case MF_E_INVALID: return mf_fail(err, st, "%s: expected a swarm of items that are added", swarm->text);
    default: return explain(client, swarm, st, "add to it", err);
    }
}

mf_status mf_items_add(mf_client *client, const mf_key *swarm, mf_signature *const *items, size_t n, mf_error *err)
{
    mf_signature *shell = NULL;
    mf_status st = mfi_client_check(client, err);
    if (st == MF_OK && (shell = mf_swarm(client, NULL, NULL, err)) == NULL)
        st = MF_E_NOMEM;
    if (st == MF_OK) {
        shell->own.spec->key = *swarm;
        st = gather_items(shell, items, n, err);
    }
    for (size_t i = 0; i < n; i++)
        mf_signature_destroy(items[i]);
    if (st == MF_OK && n > 0)
        st = explain_add(client, swarm, add_all(client, swarm, shell, err), err);
    mf_signature_destroy(shell);
    return st;
}

mf_status mf_items_close(mf_client *client, const mf_key *swarm, mf_error *err)
{
    mfi_flow_event event = {.kind = MFI_EV_CLOSE};
    mf_status st = mfi_client_check(client, err);
    return st != MF_OK ? st : explain_add(client, swarm, mfi_dispatch_wait(client, swarm, &event, true), err);
}

/* ---- locks -------------------------------------------------------------------------------------------------------------- */

mf_status mf_lock(mf_client *client, const mf_key *key, mf_duration lease, uint64_t *lock, mf_error *err)
{
    mf_status st = mfi_client_check(client, err);
    if (st == MF_OK && (lease <= 0 || lease == MF_FOREVER))
        st = mf_fail(err, MF_E_INVALID, "lock: expected a lease above 0 that ends");
    if (st != MF_OK)
        return st;
    uint64_t token = *lock;
    while (token == 0)
        token = mfi_client_random(client);
    mfi_flow_event event = {.kind = MFI_EV_LOCK, .lock = token, .renews = *lock != 0,
                            .until_ms = mf_store_now_ms(client->store) + mfi_span_ms(lease, 0)};
    st = explain(client, key, mfi_dispatch_wait(client, key, &event, false), "lock", err);
    if (st == MF_OK)
        *lock = token;
    return st;
}

mf_status mf_unlock(mf_client *client, const mf_key *key, uint64_t lock, mf_error *err)
{
    return ask(client, key, &(mfi_flow_event){.kind = MFI_EV_UNLOCK, .lock = lock}, "unlock", err);
}

/* ---- looking ------------------------------------------------------------------------------------------------------------ */

mf_status mf_is_done(mf_client *client, const mf_key *key, bool *done, mf_error *err)
{
    mf_counts counts;
    mf_status st = mf_count(client, key, &counts, err);
    if (st == MF_OK)
        *done = mf_signature_status_ended(counts.status);
    return st;
}
