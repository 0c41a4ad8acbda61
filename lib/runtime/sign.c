/* Making signatures: chains, swarms and callbacks out of calls.
 *
 * A signature that is put into another one is taken apart: its spec becomes a record below the new owner, its own records
 * below move along, and the handle is gone. A task without callbacks of its own becomes a plain item and no record. */
#include "sign.h"

#include <stdio.h>

#include "memory.h"
#include "record.h"

#define DEFAULT_CONCURRENCY 30

/* ---- life -------------------------------------------------------------------------------------------------------- */

static void draft_fini(mf_client *client, mfi_draft *draft)
{
    for (size_t i = 0; i < draft->item_count; i++)
        mfi_item_unref(&draft->items[i]);
    mfi_release(client->allocator, draft->items, draft->item_capacity * sizeof *draft->items);
    mf_spec_unref(draft->spec);
}

void mf_signature_destroy(mf_signature *sig)
{
    if (sig == NULL)
        return;
    mf_client *client = sig->client;
    draft_fini(client, &sig->own);
    for (size_t i = 0; i < sig->below_count; i++)
        draft_fini(client, &sig->below[i]);
    mfi_release(client->allocator, sig->below, sig->below_capacity * sizeof *sig->below);
    mfi_release(client->allocator, sig->on_success, sig->on_success_capacity * sizeof *sig->on_success);
    mfi_release(client->allocator, sig->on_error, sig->on_error_capacity * sizeof *sig->on_error);
    mf_message_unref(sig->kwargs);
    pthread_mutex_destroy(&sig->lock);
    mf_delete(client->allocator, sig);
}

static mf_signature *fail(mf_signature *a, mf_signature *b)
{
    mf_signature_destroy(a);
    mf_signature_destroy(b);
    return NULL;
}

static mf_signature *signature_create(mf_client *client, mf_error *err)
{
    if (mfi_client_check(client, err) != MF_OK)
        return NULL;
    mf_signature *sig = mf_new(client->allocator, mf_signature);
    if (sig == NULL) {
        mf_fail(err, MF_E_NOMEM, "signature: no memory");
        return NULL;
    }
    sig->client = client;
    pthread_mutex_init(&sig->lock, NULL);
    return sig;
}

mf_status mfi_check_kwargs(const char *what, mf_message **kwargs, mf_error *err)
{
    if (*kwargs == NULL)
        return MF_OK;
    mf_status st = mf_message_status(*kwargs);
    if (st != MF_OK)
        return mf_fail(err, st, "%s could not be built: %s", what, mf_status_text(st));
    mf_type type = mf_value_type(mf_message_value(*kwargs));
    if (type == MF_TYPE_NIL) {
        mf_message_unref(*kwargs);
        *kwargs = NULL;
    } else if (type != MF_TYPE_MAP) {
        return mf_fail(err, MF_E_TYPE, "%s: expected a map of fields, got %s", what, mf_type_name(type));
    }
    return MF_OK;
}

/* A text of its own for a spec. */
static bool set_text(const mf_spec *spec, mf_str *to, mf_str from)
{
    char *copy = mfi_copy_text(spec->allocator, from);
    if (copy != NULL)
        *to = mf_str_of(copy, from.len);
    return copy != NULL;
}

static mf_spec *spec_create(mf_client *client, mf_kind kind, mf_str name, mf_error *err)
{
    mf_spec *spec = mf_spec_create(client->allocator, kind, name);
    if (spec == NULL || mfi_key_make(kind, NULL, &spec->key) != MF_OK) {
        mf_spec_unref(spec);
        mf_fail(err, MF_E_NOMEM, "signature: no memory");
        return NULL;
    }
    return spec;
}

/* A task's spec is made when it turns out to need a record: for callbacks, at the root, or for its key. */
static mf_status need_spec(mf_signature *sig, mf_error *err)
{
    if (sig->own.spec != NULL)
        return MF_OK;
    mf_spec *spec = spec_create(sig->client, MF_KIND_TASK, sig->task->name, err);
    if (spec == NULL)
        return MF_E_NOMEM;
    if (!set_text(spec, &spec->return_field, sig->task->plain->return_field)) {
        mf_spec_unref(spec);
        return mf_fail(err, MF_E_NOMEM, "signature: no memory");
    }
    spec->kwargs = sig->kwargs;
    sig->kwargs = NULL;
    sig->own.spec = spec;
    return MF_OK;
}

mf_key mf_signature_key(const mf_signature *sig)
{
    if (sig == NULL)
        return (mf_key){{0}};
    mf_signature *s = (mf_signature *)(uintptr_t)sig;
    pthread_mutex_lock(&s->lock);
    mf_key key = need_spec(s, NULL) == MF_OK ? s->own.spec->key : (mf_key){{0}};
    pthread_mutex_unlock(&s->lock);
    return key;
}

/* ---- freezing and consuming --------------------------------------------------------------------------------------- */

static mf_status copy_keys(const mf_spec *spec, mf_key **to, size_t *to_count, const mf_key *from, size_t n)
{
    if (n == 0)
        return MF_OK;
    *to = mfi_alloc_array(spec->allocator, n, sizeof *from);
    if (*to == NULL)
        return MF_E_NOMEM;
    memcpy(*to, from, n * sizeof *from);
    *to_count = n;
    return MF_OK;
}

static mf_status freeze_chain(mf_signature *sig, mf_error *err)
{
    mf_spec *spec = sig->own.spec;
    size_t n = sig->own.item_count;
    if (n < 2)
        return mf_fail(err, MF_E_INVALID, "chain \"%.*s\": expected two steps or more, got %zu", (int)spec->name.len,
                       spec->name.at, n);
    spec->steps = mfi_alloc_array(spec->allocator, n, sizeof *spec->steps);
    if (spec->steps == NULL || !set_text(spec, &spec->return_field, sig->own.items[0].spec->return_field))
        return mf_fail(err, MF_E_NOMEM, "chain: no memory");
    for (size_t i = 0; i < n; i++) {
        spec->steps[i] = sig->own.items[i];
        mfi_item_ref(&spec->steps[i]);
    }
    spec->step_count = n;
    return MF_OK;
}

static mf_status freeze_callbacks(mf_signature *sig, mf_error *err)
{
    mf_spec *spec = sig->own.spec;
    mf_status st = copy_keys(spec, &spec->on_success, &spec->on_success_count, sig->on_success, sig->on_success_count);
    if (st == MF_OK)
        st = copy_keys(spec, &spec->on_error, &spec->on_error_count, sig->on_error, sig->on_error_count);
    sig->on_success_count = sig->on_error_count = 0;
    return st == MF_OK ? MF_OK : mf_fail(err, st, "signature: no memory for its callbacks");
}

mf_status mfi_signature_freeze(mf_signature *sig, mf_error *err)
{
    mf_status st = need_spec(sig, err);
    if (st != MF_OK)
        return st;
    mf_spec *spec = sig->own.spec;
    if (spec->kind == MF_KIND_CHAIN && spec->step_count == 0)
        st = freeze_chain(sig, err);
    else if (spec->kind == MF_KIND_SWARM && spec->source.len == 0 && !sig->own.closed)
        st = mf_fail(err, MF_E_INVALID, "swarm \"%.*s\" is not closed: close it with mf_swarm_close after the last item",
                     (int)spec->name.len, spec->name.at);
    return st == MF_OK ? freeze_callbacks(sig, err) : st;
}

/* Move the records of `from`, its own included if it has one, below `to`; from is then empty. */
static mf_status adopt(mf_signature *to, mf_signature *from, mf_error *err)
{
    size_t more = from->below_count + (from->own.spec != NULL ? 1 : 0);
    if (!mfi_array_reserve(to->client->allocator, (void **)&to->below, &to->below_capacity, to->below_count + more,
                           sizeof *to->below))
        return mf_fail(err, MF_E_NOMEM, "signature: no memory");
    if (from->below_count > 0)
        memcpy(to->below + to->below_count, from->below, from->below_count * sizeof *from->below);
    to->below_count += from->below_count;
    from->below_count = 0;
    if (from->own.spec != NULL)
        to->below[to->below_count++] = from->own;
    memset(&from->own, 0, sizeof from->own);
    return MF_OK;
}

static bool is_plain(const mf_signature *sig)
{
    return sig->own.spec == NULL && sig->on_success_count == 0 && sig->on_error_count == 0;
}

/* Add `child` (consumed) as the next item of a container. */
static mf_status add_item(mf_signature *container, mf_signature *child, mf_error *err)
{
    mfi_draft *own = &container->own;
    if (!mfi_array_reserve(container->client->allocator, (void **)&own->items, &own->item_capacity, own->item_count + 1,
                           sizeof *own->items))
        return mf_fail(err, MF_E_NOMEM, "signature: no memory for an item");
    mf_item item = {0};
    if (is_plain(child)) {
        item.spec = mf_spec_ref(child->task->plain);
        item.message = child->kwargs;
        child->kwargs = NULL;
    } else {
        mf_status st = mfi_signature_freeze(child, err);
        if (st != MF_OK)
            return st;
        child->own.spec->container = own->spec->key;
        child->own.spec->index = own->item_count;
        mf_spec *spec = child->own.spec;
        st = adopt(container, child, err);
        if (st != MF_OK)
            return st;
        item.spec = mf_spec_ref(spec);
    }
    own->items[own->item_count++] = item;
    return MF_OK;
}

/* Two signatures become one: both are checked, and on failure both are gone. */
static mf_status check_pair(mf_signature *to, mf_signature *from, mf_kind kind, const char *call, mf_error *err)
{
    if (to == from)
        return mf_fail(err, MF_E_INVALID, "%s: a signature cannot stand in itself", call);
    if (to->client != from->client)
        return mf_fail(err, MF_E_INVALID, "%s: the two signatures belong to different clients", call);
    if (to->started || from->started)
        return mf_fail(err, MF_E_STATE, "%s: it was started already", call);
    if (kind != MF_KIND_NONE && (to->own.spec == NULL || to->own.spec->kind != kind))
        return mf_fail(err, MF_E_INVALID, "%s: expected a %s, got a %s", call, kind == MF_KIND_CHAIN ? "chain" : "swarm",
                       to->task != NULL ? "task" : to->own.spec->kind == MF_KIND_CHAIN ? "chain" : "swarm");
    return MF_OK;
}

/* ---- tasks and chains ---------------------------------------------------------------------------------------------- */

mf_signature *mf_sign(mf_client *client, const char *task, mf_message *kwargs, mf_error *err)
{
    mf_signature *sig = signature_create(client, err);
    if (sig == NULL) {
        mf_message_unref(kwargs);
        return NULL;
    }
    char what[300];
    snprintf(what, sizeof what, "task \"%s\": the message", task == NULL ? "" : task);
    sig->kwargs = kwargs;
    sig->task = mfi_registry_task(&client->registry, mf_cstr(task));
    if (sig->task == NULL || mfi_name_is_framework(sig->task->name)) {
        mfi_registry_unknown_task(&client->registry, mf_cstr(task), err);
        return fail(sig, NULL);
    }
    if (mfi_check_kwargs(what, &sig->kwargs, err) != MF_OK)
        return fail(sig, NULL);
    if (sig->task->def.in != NULL && sig->kwargs != NULL) {
        mf_error why;
        mf_status st = mf_fields_validate_present(sig->task->def.in, sig->kwargs, &why);
        if (st != MF_OK) {
            mf_fail(err, st, "task \"%s\": %s", task, why.text);
            return fail(sig, NULL);
        }
    }
    return sig;
}

static mf_signature *container_create(mf_client *client, mf_kind kind, const char *name, mf_message *kwargs, mf_error *err)
{
    mf_signature *sig = signature_create(client, err);
    if (sig == NULL) {
        mf_message_unref(kwargs);
        return NULL;
    }
    const char *word = kind == MF_KIND_CHAIN ? "chain" : "swarm";
    sig->kwargs = kwargs;       /* released with it until its spec holds them */
    if (mfi_check_kwargs(word, &sig->kwargs, err) != MF_OK)
        return fail(sig, NULL);
    if (name != NULL && strlen(name) > 255) {
        mf_fail(err, MF_E_TOO_BIG, "%s name: expected at most 255 bytes, got %zu", word, strlen(name));
        return fail(sig, NULL);
    }
    sig->own.spec = spec_create(client, kind, mf_cstr(name == NULL ? word : name), err);
    if (sig->own.spec == NULL)
        return fail(sig, NULL);
    sig->own.spec->kwargs = sig->kwargs;
    sig->kwargs = NULL;
    return sig;
}

mf_signature *mf_chain(mf_client *client, const char *name, mf_message *kwargs, mf_error *err)
{
    return container_create(client, MF_KIND_CHAIN, name, kwargs, err);
}

mf_signature *mf_chain_add(mf_signature *chain, mf_signature *step, mf_error *err)
{
    if (chain == NULL || step == NULL || check_pair(chain, step, MF_KIND_CHAIN, "mf_chain_add", err) != MF_OK)
        return fail(chain, chain == step ? NULL : step);
    pthread_mutex_lock(&chain->lock);
    mf_status st = add_item(chain, step, err);
    pthread_mutex_unlock(&chain->lock);
    mf_signature_destroy(step);
    return st == MF_OK ? chain : fail(chain, NULL);
}

/* ---- swarms --------------------------------------------------------------------------------------------------------- */

static mf_signature *swarm_create(mf_client *client, const char *name, const mf_swarm_options *options, mf_error *err)
{
    mf_swarm_options o = {0};
    if (options != NULL)
        memcpy(&o, options, options->struct_size < sizeof o ? options->struct_size : sizeof o);
    if (options != NULL && options->struct_size == 0) {
        mf_fail(err, MF_E_INVALID, "swarm: struct_size is 0; make the options with MF_SWARM_OPTIONS(...)");
        return NULL;
    }
    mf_signature *sig = container_create(client, MF_KIND_SWARM, name, o.kwargs, err);
    if (sig != NULL) {
        sig->own.spec->max_concurrency = o.max_concurrency == 0 ? DEFAULT_CONCURRENCY : o.max_concurrency;
        sig->own.spec->stop_after_failures = o.stop_after_failures;
        if (!set_text(sig->own.spec, &sig->own.spec->return_field, mf_fields_return_name(NULL))) {
            mf_fail(err, MF_E_NOMEM, "swarm: no memory");
            sig = fail(sig, NULL);
        }
    }
    if (o.on_success != NULL)
        sig = mf_on_success(sig, o.on_success, err);
    if (o.on_error != NULL)
        sig = mf_on_error(sig, o.on_error, err);
    return sig;
}

mf_signature *mf_swarm(mf_client *client, const char *name, const mf_swarm_options *options, mf_error *err)
{
    return swarm_create(client, name, options, err);
}

mf_signature *mf_swarm_add(mf_signature *swarm, mf_signature *item, mf_error *err)
{
    if (swarm == NULL || item == NULL || check_pair(swarm, item, MF_KIND_SWARM, "mf_swarm_add", err) != MF_OK)
        return fail(swarm, swarm == item ? NULL : item);
    mf_status st;
    pthread_mutex_lock(&swarm->lock);
    if (swarm->own.spec->source.len > 0)
        st = mf_fail(err, MF_E_INVALID, "mf_swarm_add: a map draws its items from its source");
    else if (swarm->own.closed)
        st = mf_fail(err, MF_E_CLOSED, "mf_swarm_add: the swarm is closed");
    else
        st = add_item(swarm, item, err);
    pthread_mutex_unlock(&swarm->lock);
    mf_signature_destroy(item);
    return st == MF_OK ? swarm : fail(swarm, NULL);
}

mf_signature *mf_swarm_close(mf_signature *swarm, mf_error *err)
{
    if (swarm == NULL)
        return NULL;
    if (swarm->own.spec == NULL || swarm->own.spec->kind != MF_KIND_SWARM) {
        mf_fail(err, MF_E_INVALID, "mf_swarm_close: expected a swarm");
        return fail(swarm, NULL);
    }
    pthread_mutex_lock(&swarm->lock);
    swarm->own.closed = swarm->own.spec->source.len == 0;
    pthread_mutex_unlock(&swarm->lock);
    return swarm;
}

/* The call that every drawn message is given to: a plain item whose spec has its kwargs and callbacks. */
static mf_status set_each(mf_signature *map, mf_signature *each, mf_error *err)
{
    if (each->task == NULL)
        return mf_fail(err, MF_E_UNSUPPORTED, "mf_map: each item must be the call of a task, not a chain or swarm");
    mf_status st = mfi_signature_freeze(each, err);
    if (st != MF_OK)
        return st;
    for (size_t i = 0; i < each->below_count; i++) {
        mf_spec *callback = each->below[i].spec;
        if (callback->kind != MF_KIND_TASK || callback->on_success_count > 0 || callback->on_error_count > 0)
            return mf_fail(err, MF_E_UNSUPPORTED, "mf_map: a callback of its items must be a plain task, \"%.*s\" is not",
                           (int)callback->name.len, callback->name.at);
        callback->numbered = true;
    }
    mf_spec *spec = each->own.spec;
    each->own.spec = NULL;
    memset(&spec->key, 0, sizeof spec->key);
    map->own.spec->each.spec = spec;
    return adopt(map, each, err);
}

mf_signature *mf_map(mf_client *client, const char *name, const char *source, mf_signature *each,
                     const mf_swarm_options *options, mf_error *err)
{
    mf_signature *map = swarm_create(client, name, options, err);
    if (map == NULL || each == NULL || check_pair(map, each, MF_KIND_SWARM, "mf_map", err) != MF_OK)
        return fail(map, each);
    mf_status st;
    if (mfi_registry_source(&client->registry, mf_cstr(source)) == NULL)
        st = mf_fail(err, MF_E_NOT_FOUND, "mf_map: no source \"%s\" was declared; declare it with mf_source",
                     source == NULL ? "" : source);
    else if (!set_text(map->own.spec, &map->own.spec->source, mf_cstr(source)))
        st = mf_fail(err, MF_E_NOMEM, "mf_map: no memory");
    else
        st = set_each(map, each, err);
    mf_signature_destroy(each);
    return st == MF_OK ? map : fail(map, NULL);
}

/* ---- callbacks ------------------------------------------------------------------------------------------------------ */

static mf_signature *add_callback(mf_signature *sig, mf_signature *callback, bool success, mf_error *err)
{
    const char *call = success ? "mf_on_success" : "mf_on_error";
    if (sig == NULL || callback == NULL || check_pair(sig, callback, MF_KIND_NONE, call, err) != MF_OK)
        return fail(sig, sig == callback ? NULL : callback);
    pthread_mutex_lock(&sig->lock);
    mf_key **keys = success ? &sig->on_success : &sig->on_error;
    size_t *count = success ? &sig->on_success_count : &sig->on_error_count;
    size_t *capacity = success ? &sig->on_success_capacity : &sig->on_error_capacity;
    mf_status st = mfi_signature_freeze(callback, err);
    if (st == MF_OK && !mfi_array_reserve(sig->client->allocator, (void **)keys, capacity, *count + 1, sizeof **keys))
        st = mf_fail(err, MF_E_NOMEM, "%s: no memory", call);
    if (st == MF_OK) {
        mf_key key = callback->own.spec->key;
        st = adopt(sig, callback, err);
        if (st == MF_OK)
            (*keys)[(*count)++] = key;
    }
    pthread_mutex_unlock(&sig->lock);
    mf_signature_destroy(callback);
    return st == MF_OK ? sig : fail(sig, NULL);
}

mf_signature *mf_on_success(mf_signature *sig, mf_signature *callback, mf_error *err)
{
    return add_callback(sig, callback, true, err);
}

mf_signature *mf_on_error(mf_signature *sig, mf_signature *callback, mf_error *err)
{
    return add_callback(sig, callback, false, err);
}
