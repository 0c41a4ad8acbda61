/* What no store accepts, whoever keeps the records: settled once, before a batch reaches one. */
#include "record.h"

static mf_status check_outcome(const mf_outcome *outcome, size_t i, mf_error *err)
{
    if (!mf_signature_status_ended(outcome->status))
        return mf_fail(err, MF_E_INVALID, "store: outcome %zu is \"%s\", which is no end", i,
                       mf_signature_status_name(outcome->status));
    if (outcome->index > MFI_INDEX_MAX)
        return mf_fail(err, MF_E_TOO_BIG, "store: outcome %zu has an index above 2^32 - 1", i);
    return MF_OK;
}

static mf_status check_state(const mf_state *state, mf_error *err)
{
    if (state->cursor.len > MF_CURSOR_MAX)
        return mf_fail(err, MF_E_INVALID, "store: a cursor of %u bytes is above %d", state->cursor.len, MF_CURSOR_MAX);
    return MF_OK;
}

static mf_status check_puts(const mf_batch *b, mf_error *err)
{
    mf_status st = MF_OK;
    for (size_t i = 0; st == MF_OK && i < b->put_count; i++) {
        if (!mf_key_is_set(&b->puts[i].spec->key))
            return mf_fail(err, MF_E_INVALID, "store: put %zu has no key", i);
        st = check_state(b->puts[i].state, err);
    }
    return st;
}

static mf_status check_writes(const mf_batch *b, mf_error *err)
{
    mf_status st = b->state == NULL ? MF_OK : check_state(b->state, err);
    for (size_t i = 0; st == MF_OK && i < b->write_count; i++) {
        if (!mf_key_is_set(&b->writes[i].key))
            return mf_fail(err, MF_E_INVALID, "store: write %zu has no key", i);
        if (mf_key_eq(&b->writes[i].key, &b->key))
            return mf_fail(err, MF_E_INVALID, "store: write %zu is of the record that the batch itself names", i);
        st = check_state(b->writes[i].state, err);
    }
    return st;
}

static bool is_note_text(mf_str text)
{
    return text.len >= 1 && text.len <= MFI_NOTE_TEXT_MAX;
}

static mf_status check_notes(const mf_batch *b, mf_error *err)
{
    for (size_t i = 0; i < b->note_count; i++)
        if (!is_note_text(b->notes[i].space) || !is_note_text(b->notes[i].name))
            return mf_fail(err, MF_E_INVALID, "store: note %zu: space and name are 1 to %d bytes", i, MFI_NOTE_TEXT_MAX);
    return MF_OK;
}

mf_status mfi_batch_check(const mf_batch *b, mf_error *err)
{
    if ((b->state != NULL || b->item_count > 0 || b->outcome_count > 0) && !mf_key_is_set(&b->key))
        return mf_fail(err, MF_E_INVALID, "store: a state, items or outcomes, and no key");
    if (b->item_count > MFI_INDEX_MAX || b->items_from > MFI_INDEX_MAX - b->item_count)
        return mf_fail(err, MF_E_TOO_BIG, "store: an item would have an index above 2^32 - 1");
    mf_status st = check_puts(b, err);
    if (st == MF_OK)
        st = check_writes(b, err);
    for (size_t i = 0; st == MF_OK && i < b->outcome_count; i++)
        st = check_outcome(&b->outcomes[i], i, err);
    for (size_t i = 0; st == MF_OK && i < b->entry_count; i++)
        if (b->entries[i].spec == NULL)
            st = mf_fail(err, MF_E_INVALID, "store: entry %zu names no task", i);
    return st == MF_OK ? check_notes(b, err) : st;
}
