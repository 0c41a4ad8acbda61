/* Edits: changes of several records in one commit, each guarded by the version it was read at, and tried again on the records
 * as they are then when somebody else was faster. */
#include <mageflow/control.h>

#include "compose.h"
#include "lifecycle.h"
#include "memory.h"
#include "merge.h"
#include "runtime.h"
#include "sign.h"

#define EDIT_TRIES 64

struct change {
    mf_key      key;
    mf_message *kwargs;         /* NULL: they stay */
    bool        has_priority, has_ttl;
    int32_t     priority;
    mf_duration live;
};

struct mf_edit {
    mf_client     *client;
    struct change *changes;     /* one a key, in the order they were named */
    size_t         count, capacity;
};

mf_edit *mf_edit_begin(mf_client *client, mf_error *err)
{
    if (mfi_client_check(client, err) != MF_OK)
        return NULL;
    mf_edit *edit = mf_new(client->allocator, mf_edit);
    if (edit == NULL)
        mf_fail(err, MF_E_NOMEM, "edit: no memory");
    else
        edit->client = client;
    return edit;
}

void mf_edit_drop(mf_edit *edit)
{
    if (edit == NULL)
        return;
    for (size_t i = 0; i < edit->count; i++)
        mf_message_unref(edit->changes[i].kwargs);
    mfi_release(edit->client->allocator, edit->changes, edit->capacity * sizeof *edit->changes);
    mf_delete(edit->client->allocator, edit);
}

/* The change of that key, a new one if there is none. NULL: no memory, or no edit. */
static struct change *change_of(mf_edit *edit, const mf_key *key, mf_error *err)
{
    if (edit == NULL)
        return NULL;    /* err tells why there is none */
    for (size_t i = 0; i < edit->count; i++)
        if (mf_key_eq(&edit->changes[i].key, key))
            return &edit->changes[i];
    if (!mfi_array_reserve(edit->client->allocator, (void **)&edit->changes, &edit->capacity, edit->count + 1,
                           sizeof *edit->changes)) {
        mf_fail(err, MF_E_NOMEM, "edit: no memory");
        return NULL;
    }
    edit->changes[edit->count] = (struct change){.key = *key};
    return &edit->changes[edit->count++];
}

mf_status mf_edit_kwargs(mf_edit *edit, const mf_key *key, mf_message *kwargs, mf_error *err)
{
    struct change *change = change_of(edit, key, err);
    mf_message *merged = NULL;
    mf_status st = change == NULL ? MF_E_NOMEM : mfi_check_kwargs("edit: the kwargs", &kwargs, err);
    if (st == MF_OK && kwargs != NULL)
        st = mfi_message_merge(change->kwargs, kwargs, edit->client->allocator, &edit->client->limits, &merged, err);
    if (st == MF_OK && merged != NULL) {
        mf_message_unref(change->kwargs);
        change->kwargs = merged;
    }
    mf_message_unref(kwargs);
    return st;
}

mf_status mf_edit_priority(mf_edit *edit, const mf_key *key, int32_t priority, mf_error *err)
{
    struct change *change = change_of(edit, key, err);
    if (change == NULL)
        return MF_E_NOMEM;
    change->has_priority = true;
    change->priority = priority;
    return MF_OK;
}

mf_status mf_edit_ttl(mf_edit *edit, const mf_key *key, mf_duration live, mf_error *err)
{
    if (live <= 0)
        return mf_fail(err, MF_E_INVALID, "edit: expected a time to live above 0");
    struct change *change = change_of(edit, key, err);
    if (change == NULL)
        return MF_E_NOMEM;
    change->has_ttl = true;
    change->live = live;
    return MF_OK;
}

/* ---- the commit ------------------------------------------------------------------------------------------------------- */

/* state is a copy of the record's that holds its references. */
static mf_status apply(mf_client *client, const struct change *change, const mf_spec *spec, mf_state *state, mf_error *err)
{
    int64_t now_ms = mf_store_now_ms(client->store);
    if (mfi_flow_is_locked(state, now_ms))
        return mf_fail(err, MF_E_STATE, "%s is locked for %lld ms more: cannot edit it", change->key.text,
                       (long long)(state->lock_until_ms - now_ms));
    if (change->has_priority)
        state->priority = change->priority;
    if (change->has_ttl && !mfi_status_pauses(state->status))
        state->deadline_ms = mfi_deadline_ms(mfi_span_ms(change->live, 0), now_ms);
    if (change->kwargs == NULL)
        return MF_OK;
    mf_message *merged = NULL;
    mf_status st = mfi_message_merge(mfi_kwargs_of(spec, state), change->kwargs, client->allocator, &client->limits, &merged, err);
    mfi_task *task = spec->kind == MF_KIND_TASK ? mfi_find_task(client, spec->name) : NULL;
    if (st == MF_OK && task != NULL && task->def.in != NULL) {
        mf_error why;
        st = mf_fields_validate_present(task->def.in, merged, &why);
        if (st != MF_OK)
            mf_fail(err, st, "task \"%s\": %s", task->def.name, why.text);
    }
    if (st != MF_OK) {
        mf_message_unref(merged);
        return st;
    }
    mf_message_unref(state->kwargs);
    state->kwargs = merged;
    return MF_OK;
}

struct attempt {
    mf_key    *keys;
    mf_record *records;
    mf_state  *states;
    mf_write  *writes;
};

static mf_status commit_once(mf_edit *edit, struct attempt *a, mf_error *err)
{
    mf_client *client = edit->client;
    size_t n = edit->count, made = 0;
    mf_refusal refusal;
    memset(a->records, 0, n * sizeof *a->records);
    mf_status st = mf_store_load(client->store, a->keys, n, a->records, err);
    for (; made < n && st == MF_OK; made++) {
        if (a->records[made].spec == NULL) {
            st = mf_fail(err, MF_E_NOT_FOUND, "there is no signature %s", a->keys[made].text);
            break;
        }
        a->states[made] = a->records[made].state;
        mf_state_ref(&a->states[made]);
        a->writes[made] = (mf_write){.key = a->keys[made], .version = a->states[made].version, .state = &a->states[made]};
        st = apply(client, &edit->changes[made], a->records[made].spec, &a->states[made], err);
    }
    if (st == MF_OK)
        st = mfi_commit(client, &(mf_batch){.writes = a->writes, .write_count = n}, &refusal, err);
    for (size_t i = 0; i < made; i++)
        mf_state_unref(&a->states[i]);
    for (size_t i = 0; i < n; i++)
        mf_record_release(&a->records[i]);
    return st;
}

static void attempt_fini(struct attempt *a, const mf_allocator *allocator, size_t n)
{
    mfi_release(allocator, a->keys, n * sizeof *a->keys);
    mfi_release(allocator, a->records, n * sizeof *a->records);
    mfi_release(allocator, a->states, n * sizeof *a->states);
    mfi_release(allocator, a->writes, n * sizeof *a->writes);
}

static mf_status attempt_init(struct attempt *a, const mf_edit *edit, mf_error *err)
{
    const mf_allocator *allocator = edit->client->allocator;
    size_t n = edit->count;
    *a = (struct attempt){.keys = mfi_alloc_array(allocator, n, sizeof *a->keys),
                          .records = mfi_alloc_array(allocator, n, sizeof *a->records),
                          .states = mfi_alloc_array(allocator, n, sizeof *a->states),
                          .writes = mfi_alloc_array(allocator, n, sizeof *a->writes)};
    if (a->keys == NULL || a->records == NULL || a->states == NULL || a->writes == NULL)
        return mf_fail(err, MF_E_NOMEM, "edit: no memory for %zu signatures", n);
    for (size_t i = 0; i < n; i++)
        a->keys[i] = edit->changes[i].key;
    return MF_OK;
}

mf_status mf_edit_commit(mf_edit *edit, mf_error *err)
{
    if (edit == NULL)
        return err != NULL && err->status != MF_OK ? err->status : MF_E_INVALID;
    struct attempt a = {0};
    mf_status st = mfi_client_check(edit->client, err);
    if (st == MF_OK && edit->count > 0) {
        st = attempt_init(&a, edit, err);
        int tries = 0;
        while (st == MF_OK && (st = commit_once(edit, &a, err)) == MF_E_CONFLICT && ++tries < EDIT_TRIES)
            st = MF_OK;
        if (st == MF_E_CONFLICT)
            mf_fail(err, st, "edit: its signatures are changed all the time by others");
        attempt_fini(&a, edit->client->allocator, edit->count);
    }
    mf_edit_drop(edit);
    return st;
}
