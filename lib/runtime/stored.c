/* Signatures as records: storing one with everything below it, and handles on what is stored.
 *
 * What stands below is stored first, and the beginning is sent with the last commit: nothing of a start that failed half-way
 * ever runs. */
#include "sign.h"

#include "clock.h"
#include "lifecycle.h"
#include "memory.h"
#include "record.h"

mf_state mfi_draft_state(mf_client *client, const mfi_draft *draft, bool sent)
{
    const mf_spec *spec = draft->spec;
    mf_state state = {.status = MF_STATUS_PENDING, .closed = draft->closed};
    state.total = spec->kind == MF_KIND_SWARM ? draft->item_count : spec->step_count;
    int64_t now_ms = mf_store_now_ms(client->store);
    if (sent)
        state.started_ms = now_ms;
    if (!mf_key_is_set(&spec->parent))      /* what stands in something waits as long as that does */
        state.deadline_ms = mfi_deadline_ms(spec->ttl_ms, now_ms);
    return state;
}

static mf_status refused(const mfi_draft *draft, const mf_refusal *refusal, mf_error *err)
{
    if (refusal->guard == MF_GUARD_NOTE)
        return mf_fail(err, MF_E_EXISTS, "a run of that unique name is there already");
    return mf_fail(err, MF_E_EXISTS, "%s is stored already", draft->spec->key.text);
}

/* A swarm's items are stored page by page, and each page leaves the draft: from the first commit on there is no second
 * start. */
mf_status mfi_store_draft(mf_client *client, mfi_draft *draft, const mf_state *state, const mf_note *first, const mf_entry *entries,
                          size_t entry_count, const mf_note *notes, size_t note_count, mf_error *err)
{
    bool swarm = draft->spec->kind == MF_KIND_SWARM;
    size_t count = swarm ? draft->item_count : 0;
    mf_put put = {.spec = draft->spec, .state = state};
    mf_batch batch = {.puts = &put, .put_count = 1, .key = draft->spec->key, .notes = first, .note_count = first != NULL};
    mf_refusal refusal = {0};
    mf_status st;
    size_t page = 0;
    do {
        batch.items_from += batch.item_count;
        batch.item_count = swarm ? mfi_draft_page(draft, page, &batch.items) : 0;
        if (batch.items_from + batch.item_count == count) {
            batch.entries = entries;
            batch.entry_count = entry_count;
            if (note_count > 0) {       /* with a first note there are several commits, or none of these */
                batch.notes = notes;
                batch.note_count = note_count;
            }
        }
        st = mfi_commit(client, &batch, &refusal, err);
        if (swarm && st == MF_OK)
            mfi_draft_drop(client->allocator, draft, page);
        batch.put_count = batch.note_count = 0;
        page++;
    } while (st == MF_OK && batch.items_from + batch.item_count < count);
    return st == MF_E_CONFLICT ? refused(draft, &refusal, err) : st;
}

mf_status mfi_store_below(mf_signature *sig, const mfi_storing *storing, mf_error *err)
{
    mf_status st = MF_OK;
    for (size_t i = 0; st == MF_OK && i < sig->below_count; i++) {
        mf_state state = mfi_draft_state(sig->client, &sig->below[i], false);
        mf_note note = {.value = NULL};
        st = mfi_storing_in_time(storing, err);
        if (st == MF_OK && i % MFI_STORING_PAGE == 0)
            st = mfi_storing_page(storing, sig, i, &note, err);
        if (st == MF_OK)
            st = mfi_store_draft(sig->client, &sig->below[i], &state, note.value != NULL ? &note : NULL, NULL, 0, NULL, 0, err);
        mf_message_unref(note.value);
    }
    return st;
}

mf_status mfi_store_own(mf_signature *sig, const mfi_storing *storing, const mf_state *state, const mf_entry *entries,
                        size_t entry_count, const mf_note *notes, size_t note_count, mf_error *err)
{
    mf_note first = {.value = NULL}, *last = NULL;
    size_t last_count = 0;
    mf_status st = mfi_storing_end(storing, notes, note_count, &last, &last_count, err);
    if (st == MF_OK && storing->root)
        st = mfi_storing_root(storing, sig, &first, err);
    if (st == MF_OK)
        st = mfi_store_draft(sig->client, &sig->own, state, storing->root ? &first : NULL, entries, entry_count, last, last_count, err);
    mf_message_unref(first.value);
    if (last != NULL)
        mfi_release(sig->client->allocator, last, last_count * sizeof *last);
    return st;
}

static mf_status unstore(mf_client *client, const mf_key *key)
{
    mf_removal removal = {.key = *key};
    mf_batch batch = {.removals = &removal, .removal_count = 1};
    mf_refusal refusal;
    return mfi_commit(client, &batch, &refusal, NULL);
}

mf_status mfi_unstore_below(mf_signature *sig)
{
    mf_status first = MF_OK;
    for (size_t i = 0; i < sig->below_count; i++) {
        mf_status st = unstore(sig->client, &sig->below[i].spec->key);
        first = first == MF_OK ? st : first;
    }
    return first;
}

void mfi_unstore(mf_signature *sig)
{
    (void)unstore(sig->client, &sig->own.spec->key);
    (void)mfi_unstore_below(sig);
}

mf_status mfi_meet_replay(mf_signature *sig, mf_error *err)
{
    const mf_spec *spec = sig->own.spec;
    mf_record record = {0};
    mf_status st = mf_store_load(sig->client->store, &spec->key, 1, &record, err);
    if (st == MF_OK && record.spec == NULL) {
        (void)mfi_unstore_below(sig);
        st = MF_E_NOT_FOUND;
    } else if (st == MF_OK && (record.spec->kind != spec->kind || !mf_str_eq(record.spec->name, spec->name))) {
        st = mf_fail(err, MF_E_INVALID, "replay: signature %s was \"%.*s\" and is \"%.*s\" now: a durable task must make the "
                     "same signatures in the same order", spec->key.text, (int)record.spec->name.len, record.spec->name.at,
                     (int)spec->name.len, spec->name.at);
    }
    mf_record_release(&record);
    return st;
}

/* ---- saving and loading ------------------------------------------------------------------------------------------- */

static mf_status save_new(mf_signature *sig, mf_error *err)
{
    mfi_storing storing = {.client = sig->client};
    mf_status st = mfi_storing_begin(sig, &storing, err);
    if (st == MF_OK) {
        sig->stored = true;
        st = mfi_store_below(sig, &storing, err);
        mf_state state = mfi_draft_state(sig->client, &sig->own, false);
        if (st == MF_OK)
            st = mfi_store_own(sig, &storing, &state, NULL, 0, NULL, 0, err);
        if (st != MF_OK)
            mfi_storing_failed(&storing);
    }
    mfi_storing_fini(&storing);
    return st;
}

mf_status mf_signature_save(mf_signature *sig, mf_error *err)
{
    if (sig == NULL)
        return MF_E_INVALID;    /* err tells why there is none */
    mf_status st = mfi_client_check(sig->client, err);
    if (st != MF_OK)
        return st;
    pthread_mutex_lock(&sig->lock);
    if (sig->stored)
        st = mf_fail(err, MF_E_STATE, "%s is stored already", sig->own.spec->key.text);
    else
        st = mfi_signature_freeze(sig, err);
    mf_status met = st == MF_OK && mfi_durable_is_here() ? mfi_meet_replay(sig, err) : MF_E_NOT_FOUND;
    if (st == MF_OK && met == MF_E_NOT_FOUND)
        st = save_new(sig, err);
    else if (st == MF_OK && (st = met) == MF_OK)
        sig->stored = sig->replayed = true;
    pthread_mutex_unlock(&sig->lock);
    return st;
}

mf_signature *mf_signature_load(mf_client *client, const mf_key *key, mf_error *err)
{
    mf_record record = {0};
    mf_signature *sig = mfi_signature_create(client, err);
    if (sig == NULL)
        return NULL;
    mf_status st = mf_store_load(client->store, key, 1, &record, err);
    if (st == MF_OK && record.spec == NULL)
        st = mf_fail(err, MF_E_NOT_FOUND, "there is no signature %s", key->text);
    if (st != MF_OK)
        return mfi_signature_fail(sig, NULL);
    sig->own.spec = mf_spec_ref(record.spec);
    sig->task = record.spec->kind == MF_KIND_TASK ? mfi_find_task(client, record.spec->name) : NULL;
    sig->stored = true;
    sig->started = record.state.started_ms != 0 || record.state.status != MF_STATUS_PENDING;
    mf_record_release(&record);
    return sig;
}
