/* Making signatures: calls, chains, swarms, maps and callbacks. What is given is consumed, on failure too. */
#include "sign.h"

#include <stdio.h>

#include "memory.h"
#include "record.h"

/* ---- tasks and chains ---------------------------------------------------------------------------------------------- */

mf_signature *mf_sign(mf_client *client, const char *task, mf_message *kwargs, mf_error *err)
{
    mf_signature *sig = mfi_signature_create(client, err);
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
        return mfi_signature_fail(sig, NULL);
    }
    if (mfi_check_kwargs(what, &sig->kwargs, err) != MF_OK)
        return mfi_signature_fail(sig, NULL);
    if (sig->task->def.in != NULL && sig->kwargs != NULL) {
        mf_error why;
        mf_status st = mf_fields_validate_present(sig->task->def.in, sig->kwargs, &why);
        if (st != MF_OK) {
            mf_fail(err, st, "task \"%s\": %s", task, why.text);
            return mfi_signature_fail(sig, NULL);
        }
    }
    return sig;
}

static mf_signature *container_create(mf_client *client, mf_kind kind, const char *name, mf_message *kwargs, mf_error *err)
{
    mf_signature *sig = mfi_signature_create(client, err);
    if (sig == NULL) {
        mf_message_unref(kwargs);
        return NULL;
    }
    sig->depth = 1;
    const char *word = kind == MF_KIND_CHAIN ? "chain" : "swarm";
    sig->kwargs = kwargs;       /* released with it until its spec holds them */
    if (mfi_check_kwargs(word, &sig->kwargs, err) != MF_OK)
        return mfi_signature_fail(sig, NULL);
    if (name != NULL && strlen(name) > 255) {
        mf_fail(err, MF_E_TOO_BIG, "%s name: expected at most 255 bytes, got %zu", word, strlen(name));
        return mfi_signature_fail(sig, NULL);
    }
    sig->own.spec = mfi_spec_make(client, kind, mf_cstr(name == NULL ? word : name), err);
    if (sig->own.spec == NULL)
        return mfi_signature_fail(sig, NULL);
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
    if (chain == NULL || step == NULL)
        return mfi_signature_fail(chain, step);
    pthread_mutex_lock(&chain->lock);
    mf_status st = mfi_signature_check_pair(chain, step, MF_KIND_CHAIN, "mf_chain_add", err);
    if (st == MF_OK)
        st = mfi_signature_add_item(chain, step, err);
    pthread_mutex_unlock(&chain->lock);
    if (chain != step)
        mf_signature_destroy(step);
    return st == MF_OK ? chain : mfi_signature_fail(chain, NULL);
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
        sig->own.spec->max_concurrency = o.max_concurrency == 0 ? MFI_DEFAULT_CONCURRENCY : o.max_concurrency;
        sig->own.spec->stop_after_failures = o.stop_after_failures;
        if (!mfi_spec_set_text(sig->own.spec, &sig->own.spec->return_field, mf_fields_return_name(NULL))) {
            mf_fail(err, MF_E_NOMEM, "swarm: no memory");
            sig = mfi_signature_fail(sig, NULL);
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
    if (swarm == NULL || item == NULL || mfi_signature_check_pair(swarm, item, MF_KIND_SWARM, "mf_swarm_add", err) != MF_OK)
        return mfi_signature_fail(swarm, swarm == item ? NULL : item);
    mf_status st;
    pthread_mutex_lock(&swarm->lock);
    if (swarm->own.spec->source.len > 0)
        st = mf_fail(err, MF_E_INVALID, "mf_swarm_add: a map draws its items from its source");
    else if (swarm->own.closed)
        st = mf_fail(err, MF_E_CLOSED, "mf_swarm_add: the swarm is closed");
    else
        st = mfi_signature_add_item(swarm, item, err);
    pthread_mutex_unlock(&swarm->lock);
    mf_signature_destroy(item);
    return st == MF_OK ? swarm : mfi_signature_fail(swarm, NULL);
}

mf_signature *mf_swarm_close(mf_signature *swarm, mf_error *err)
{
    if (swarm == NULL)
        return NULL;
    if (mfi_client_check(swarm->client, err) != MF_OK)
        return mfi_signature_fail(swarm, NULL);
    if (swarm->own.spec == NULL || swarm->own.spec->kind != MF_KIND_SWARM) {
        mf_fail(err, MF_E_INVALID, "mf_swarm_close: expected a swarm");
        return mfi_signature_fail(swarm, NULL);
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
    return mfi_signature_adopt(map, each, err);
}

mf_signature *mf_map(mf_client *client, const char *name, const char *source, mf_signature *each,
                     const mf_swarm_options *options, mf_error *err)
{
    mf_signature *map = swarm_create(client, name, options, err);
    if (map == NULL || each == NULL || mfi_signature_check_pair(map, each, MF_KIND_SWARM, "mf_map", err) != MF_OK)
        return mfi_signature_fail(map, each);
    mf_status st;
    if (mfi_registry_source(&client->registry, mf_cstr(source)) == NULL)
        st = mf_fail(err, MF_E_NOT_FOUND, "mf_map: no source \"%s\" was declared; declare it with mf_source",
                     source == NULL ? "" : source);
    else if (!mfi_spec_set_text(map->own.spec, &map->own.spec->source, mf_cstr(source)))
        st = mf_fail(err, MF_E_NOMEM, "mf_map: no memory");
    else
        st = set_each(map, each, err);
    mf_signature_destroy(each);
    return st == MF_OK ? map : mfi_signature_fail(map, NULL);
}

/* ---- callbacks ------------------------------------------------------------------------------------------------------ */

static mf_signature *add_callback(mf_signature *sig, mf_signature *callback, bool success, mf_error *err)
{
    const char *call = success ? "mf_on_success" : "mf_on_error";
    if (sig == NULL || callback == NULL || mfi_signature_check_pair(sig, callback, MF_KIND_NONE, call, err) != MF_OK)
        return mfi_signature_fail(sig, sig == callback ? NULL : callback);
    pthread_mutex_lock(&sig->lock);
    mf_key **keys = success ? &sig->on_success : &sig->on_error;
    size_t *count = success ? &sig->on_success_count : &sig->on_error_count;
    size_t *capacity = success ? &sig->on_success_capacity : &sig->on_error_capacity;
    mf_status st = mfi_signature_freeze(callback, err);
    if (st == MF_OK && !mfi_array_reserve(sig->client->allocator, (void **)keys, capacity, *count + 1, sizeof **keys))
        st = mf_fail(err, MF_E_NOMEM, "%s: no memory", call);
    if (st == MF_OK) {
        mf_key key = callback->own.spec->key;
        st = mfi_signature_adopt(sig, callback, err);
        if (st == MF_OK)
            (*keys)[(*count)++] = key;
    }
    pthread_mutex_unlock(&sig->lock);
    mf_signature_destroy(callback);
    return st == MF_OK ? sig : mfi_signature_fail(sig, NULL);
}

mf_signature *mf_on_success(mf_signature *sig, mf_signature *callback, mf_error *err)
{
    return add_callback(sig, callback, true, err);
}

mf_signature *mf_on_error(mf_signature *sig, mf_signature *callback, mf_error *err)
{
    return add_callback(sig, callback, false, err);
}
