#include "record.h"

#include "memory.h"

#include <assert.h>

static const mf_str prefixes[] = {
    [MF_KIND_NONE]  = {NULL, 0},
    [MF_KIND_TASK]  = {"task-", 5},
    [MF_KIND_CHAIN] = {"chain-", 6},
    [MF_KIND_SWARM] = {"swarm-", 6},
};

static const char *const status_names[] = {
    [MF_STATUS_PENDING]   = "pending",
    [MF_STATUS_ACTIVE]    = "active",
    [MF_STATUS_DONE]      = "done",
    [MF_STATUS_FAILED]    = "failed",
    [MF_STATUS_SUSPENDED] = "suspended",
    [MF_STATUS_INTERRUPTED] = "interrupted",
    [MF_STATUS_CANCELED]  = "canceled",
};

const char *mf_signature_status_name(mf_signature_status status)
{
    size_t i = (size_t)status;
    return i < sizeof status_names / sizeof status_names[0] ? status_names[i] : "unknown";
}

/* ---- keys ------------------------------------------------------------------------------------------------------ */

static bool code_is_valid(const char *code)
{
    for (size_t i = 0; i < MFI_KEY_CODE_LEN; i++)
        if (!((code[i] >= 'a' && code[i] <= 'z') || (code[i] >= '0' && code[i] <= '9')))
            return false;
    return true;
}

static mf_kind kind_of_text(mf_str text)
{
    for (int kind = MF_KIND_TASK; kind <= MF_KIND_SWARM; kind++) {
        mf_str prefix = prefixes[kind];
        if (text.len >= prefix.len && memcmp(text.at, prefix.at, prefix.len) == 0)
            return (mf_kind)kind;
    }
    return MF_KIND_NONE;
}

mf_kind mfi_key_kind(const mf_key *key)
{
    return kind_of_text(mf_cstr(key->text));
}

mf_status mf_key_parse(mf_str text, mf_key *out, mf_error *err)
{
    mf_kind kind = text.len == 0 ? MF_KIND_NONE : kind_of_text(text);
    size_t prefix = prefixes[kind].len;
    if (kind == MF_KIND_NONE || text.len != prefix + MFI_KEY_CODE_LEN || !code_is_valid(text.at + prefix))
        return mf_fail(err, MF_E_INVALID,
                       "key: expected task-, chain- or swarm- and %d small letters and digits, got \"%.*s\"", MFI_KEY_CODE_LEN,
                       (int)(text.len < 64 ? text.len : 64), text.at == NULL ? "" : text.at);
    memset(out, 0, sizeof *out);
    memcpy(out->text, text.at, text.len);
    return MF_OK;
}

mf_status mfi_key_make(mf_kind kind, const mfi_random *source, mf_key *out)
{
    static const char alphabet[32] = "abcdefghijklmnopqrstuvwxyz234567";
    assert(kind != MF_KIND_NONE);
    unsigned char bytes[16];
    mf_status st = mfi_random_fill(source, bytes, sizeof bytes);
    if (st != MF_OK)
        return st;
    memset(out, 0, sizeof *out);
    memcpy(out->text, prefixes[kind].at, prefixes[kind].len);
    char *code = out->text + prefixes[kind].len;
    unsigned bits = 0, have = 0;
    for (size_t i = 0, b = 0; i < MFI_KEY_CODE_LEN; i++) {
        if (have < 5) {
            bits = bits << 8 | bytes[b++];
            have += 8;
        }
        have -= 5;
        code[i] = alphabet[bits >> have & 31];
    }
    return MF_OK;
}

/* ---- specs ----------------------------------------------------------------------------------------------------- */

/* The count is the one part of a const spec that changes. */
static unsigned *counter(const mf_spec *spec)
{
    return &((mf_spec *)(uintptr_t)spec)->refs;
}

mf_spec *mf_spec_create(const mf_allocator *allocator, mf_kind kind, mf_str name)
{
    if (allocator == NULL)
        allocator = mf_allocator_default();
    mf_spec *spec = mf_new(allocator, mf_spec);
    if (spec == NULL)
        return NULL;
    spec->allocator = allocator;
    spec->refs = 1;
    spec->kind = kind;
    char *copy = mfi_copy_text(allocator, name);
    if (copy == NULL) {
        mf_delete(allocator, spec);
        return NULL;
    }
    spec->name = mf_str_of(copy, name.len);
    return spec;
}

mf_spec *mf_spec_ref(const mf_spec *spec)
{
    mfi_spec_ref_many(spec, 1);
    return (mf_spec *)(uintptr_t)spec;
}

void mfi_spec_ref_many(const mf_spec *spec, unsigned n)
{
    /* relaxed: whoever adds one holds one already, so the spec cannot end meanwhile. */
    if (spec != NULL)
        __atomic_fetch_add(counter(spec), n, __ATOMIC_RELAXED);
}

static void free_text(const mf_spec *spec, mf_str text)
{
    mfi_release(spec->allocator, (void *)(uintptr_t)text.at, text.at == NULL ? 0 : text.len + 1);
}

static void spec_free(mf_spec *spec)
{
    const mf_allocator *a = spec->allocator;
    free_text(spec, spec->name);
    free_text(spec, spec->return_field);
    free_text(spec, spec->source);
    mf_message_unref(spec->kwargs);
    mfi_release(a, spec->on_success, spec->on_success_count * sizeof *spec->on_success);
    mfi_release(a, spec->on_error, spec->on_error_count * sizeof *spec->on_error);
    for (size_t i = 0; i < spec->step_count; i++)
        mfi_item_unref(&spec->steps[i]);
    mfi_release(a, spec->steps, spec->step_count * sizeof *spec->steps);
    mfi_item_unref(&spec->each);
    mf_delete(a, spec);
}

void mf_spec_unref(const mf_spec *spec)
{
    mfi_spec_unref_many(spec, 1);
}

void mfi_spec_unref_many(const mf_spec *spec, unsigned n)
{
    if (spec == NULL)
        return;
    /* acq_rel: every holder's last read comes before the release that the last one performs. */
    if (__atomic_fetch_sub(counter(spec), n, __ATOMIC_ACQ_REL) == n)
        spec_free((mf_spec *)(uintptr_t)spec);
}

/* ---- what holds references ------------------------------------------------------------------------------------- */

void mfi_item_ref(const mf_item *item)
{
    mfi_spec_ref_many(item->spec, 1);
    mf_message_ref(item->message);
}

void mfi_item_unref(const mf_item *item)
{
    mf_spec_unref(item->spec);
    mf_message_unref(item->message);
}

void mf_state_ref(const mf_state *state)
{
    mfi_message_ref_some(state->kwargs);
    mfi_message_ref_some(state->input);
    mfi_message_ref_some(state->inherited);
    mfi_message_ref_some(state->result);
}

void mf_state_unref(const mf_state *state)
{
    mfi_message_unref_some(state->kwargs);
    mfi_message_unref_some(state->input);
    mfi_message_unref_some(state->inherited);
    mfi_message_unref_some(state->result);
}

void mf_record_release(mf_record *record)
{
    if (record == NULL || record->spec == NULL)
        return;
    mf_spec_unref(record->spec);
    mf_state_unref(&record->state);
    *record = (mf_record){0};
}

void mf_entry_release(mf_entry *entry)
{
    if (entry == NULL)
        return;
    mf_spec_unref(entry->spec);
    mf_message_unref(entry->message);
    mfi_message_unref_some(entry->error);
    entry->spec = NULL;
    entry->message = NULL;
    entry->error = NULL;
}
