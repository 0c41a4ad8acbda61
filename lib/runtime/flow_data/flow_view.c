#include "flow_view.h"

#include "record.h"

/* ---- views --------------------------------------------------------------------------------------------------------- */

void mfi_flow_view_draft(mfi_flow_view *view, const mf_signature *sig)
{
    *view = (mfi_flow_view){.client = sig->client, .draft = sig};
    pthread_mutex_lock(&((mf_signature *)(uintptr_t)sig)->lock);
}

void mfi_flow_view_stored(mfi_flow_view *view, mf_client *client)
{
    *view = (mfi_flow_view){.client = client};
}

void mfi_flow_view_end(mfi_flow_view *view)
{
    if (view->draft != NULL)
        pthread_mutex_unlock(&((mf_signature *)(uintptr_t)view->draft)->lock);
}

/* ---- nodes --------------------------------------------------------------------------------------------------------- */

static void show_spec(const mf_spec *spec, mfi_flow_node *out)
{
    out->kind = spec->kind;
    out->name = spec->name;
    out->kwargs = spec->kwargs;
    out->on_success = spec->on_success;
    out->on_success_count = spec->on_success_count;
    out->on_error = spec->on_error;
    out->on_error_count = spec->on_error_count;
    out->spec = spec;
    out->items = spec->step_count;
}

static void show_draft(const mfi_draft *draft, mfi_flow_node *out)
{
    show_spec(draft->spec, out);
    out->draft = draft;
    out->items = draft->item_count;
    out->closed = draft->closed;
}

/* What is not frozen yet keeps its callbacks beside its spec, and a task may have no spec at all. */
void mfi_flow_view_root(const mfi_flow_view *view, mfi_flow_node *out)
{
    const mf_signature *sig = view->draft;
    *out = (mfi_flow_node){.kind = MF_KIND_TASK, .kwargs = sig->kwargs};
    if (sig->own.spec != NULL)
        show_draft(&sig->own, out);
    else
        out->name = sig->task->name;
    out->on_success = sig->on_success;
    out->on_success_count = sig->on_success_count;
    out->on_error = sig->on_error;
    out->on_error_count = sig->on_error_count;
}

void mfi_flow_view_plain(const mf_item *item, mfi_flow_node *out)
{
    *out = (mfi_flow_node){0};
    show_spec(item->spec, out);
    if (item->message != NULL)
        out->kwargs = item->message;
}

/* Records lie as they were added, each behind what is below it, and are asked for from the root on: what comes next is
 * mostly near what came last. */
static const mfi_draft *find_draft(mfi_flow_view *view, const mf_key *key)
{
    const mf_signature *sig = view->draft;
    size_t n = sig->below_count;
    for (size_t away = 0; away < n; away++) {
        const size_t at[] = {view->near + away, view->near - away};
        for (size_t side = 0; side < 2; side++) {
            if (at[side] < n && mf_key_eq(&sig->below[at[side]].spec->key, key)) {
                view->near = at[side];
                return &sig->below[at[side]];
            }
        }
    }
    return NULL;
}

static mf_status gone(const mf_key *key, mf_error *err)
{
    return mf_fail(err, MF_E_NOT_FOUND, "there is no signature %s", key->text);
}

mf_status mfi_flow_view_find(mfi_flow_view *view, const mf_key *key, mfi_flow_node *out, mf_error *err)
{
    *out = (mfi_flow_node){0};
    if (view->draft != NULL) {
        const mfi_draft *draft = find_draft(view, key);
        if (draft == NULL)
            return gone(key, err);
        show_draft(draft, out);
        return MF_OK;
    }
    mf_status st = mf_store_load(view->client->store, key, 1, &out->record, err);
    if (st != MF_OK)
        return st;
    if (out->record.spec == NULL)
        return gone(key, err);
    show_spec(out->record.spec, out);
    out->state = &out->record.state;
    if (out->kind == MF_KIND_SWARM)
        out->items = out->state->total;
    out->closed = out->state->closed;
    return MF_OK;
}

bool mfi_flow_view_is_gone(mfi_flow_view *view, const mf_key *key)
{
    mfi_flow_node node;
    mf_status st = mfi_flow_view_find(view, key, &node, NULL);
    mfi_flow_node_release(&node);
    return st == MF_E_NOT_FOUND;
}

void mfi_flow_node_release(mfi_flow_node *node)
{
    mf_record_release(&node->record);
    *node = (mfi_flow_node){0};
}

mf_status mfi_flow_view_items(mfi_flow_view *view, const mfi_flow_node *node, uint64_t from, size_t n, mf_item *out, size_t *got,
                              mf_error *err)
{
    *got = 0;
    if (node->draft == NULL && node->kind == MF_KIND_SWARM)
        return mf_store_items(view->client->store, &node->spec->key, from, n, out, got, err);
    for (; *got < n && from < node->items; from++, (*got)++) {
        out[*got] = node->draft != NULL ? *mfi_draft_item(node->draft, from) : node->spec->steps[from];
        mfi_item_ref(&out[*got]);
    }
    return MF_OK;
}

mf_status mfi_flow_view_outcomes(mfi_flow_view *view, const mfi_flow_node *node, uint64_t from, size_t n, mf_outcome *out,
                                 size_t *got, mf_error *err)
{
    *got = 0;
    if (node->state == NULL)
        return MF_OK;
    return mf_store_outcomes(view->client->store, &node->spec->key, from, n, out, got, err);
}
