/* Making signatures: calls, chains, swarms, maps and callbacks. What is given is consumed, on failure too. */
#include "sign.h"

#include <mageflow/control.h>

#include <stdio.h>

#include "memory.h"
#include "merge.h"
#include "record.h"

/* ---- tasks and chains ---------------------------------------------------------------------------------------------- */

/* The words of the error are made when there is one. */
static mf_status check_message(const char *task, mf_message **kwargs, mf_error *err)
{
    if (mfi_check_kwargs("", kwargs, NULL) == MF_OK)
        return MF_OK;
    char what[300];
    snprintf(what, sizeof what, "task \"%s\": the message", task);
    return mfi_check_kwargs(what, kwargs, err);
}

mf_signature *mf_sign(mf_client *client, const char *task, mf_message *kwargs, mf_error *err)
{
    mf_signature *sig = mfi_signature_create(client, err);
    if (sig == NULL) {
        mf_message_unref(kwargs);
        return NULL;
    }
    sig->kwargs = kwargs;
    sig->task = mfi_find_task(client, mf_cstr(task));
    if (sig->task == NULL || mfi_name_is_framework(sig->task->name)) {
        mfi_registry_unknown_task(&client->registry, mf_cstr(task), err);
        return mfi_signature_fail(sig, NULL);
    }
    if (check_message(task, &sig->kwargs, err) != MF_OK)
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
        sig->own.spec->max_items = o.max_items;
        sig->own.spec->close_on_max = o.close_on_max;
        sig->own.spec->message_as_result = o.message_as_result;
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

/* One more item of a swarm that is being made. The lock is held. */
static mf_status add_item(mf_signature *swarm, mf_signature *item, mf_error *err)
{
    const mf_spec *spec = swarm->own.spec;
    if (spec->source.len > 0)
        return mf_fail(err, MF_E_INVALID, "mf_swarm_add: a map draws its items from its source");
    if (swarm->own.closed)
        return mf_fail(err, MF_E_CLOSED, "mf_swarm_add: the swarm is closed");
    if (spec->max_items > 0 && swarm->own.item_count >= spec->max_items)
        return mf_fail(err, MF_E_FULL, "mf_swarm_add: expected at most %llu items, as max_items says",
                       (unsigned long long)spec->max_items);
    mf_status st = mfi_signature_add_item(swarm, item, err);
    swarm->own.closed = st == MF_OK && spec->close_on_max && swarm->own.item_count == spec->max_items;
    return st;
}

mf_signature *mf_swarm_add(mf_signature *swarm, mf_signature *item, mf_error *err)
{
    if (swarm != NULL && item != NULL && swarm->stored && swarm != item) {
        mf_status st = mf_items_add(swarm->client, &swarm->own.spec->key, &item, 1, err);
        return st == MF_OK ? swarm : mfi_signature_fail(swarm, NULL);
    }
    if (swarm == NULL || item == NULL || mfi_signature_check_pair(swarm, item, MF_KIND_SWARM, "mf_swarm_add", err) != MF_OK)
        return mfi_signature_fail(swarm, swarm == item ? NULL : item);
    pthread_mutex_lock(&swarm->lock);
    mf_status st = add_item(swarm, item, err);
    pthread_mutex_unlock(&swarm->lock);
    mf_signature_destroy(item);
    return st == MF_OK ? swarm : mfi_signature_fail(swarm, NULL);
}

/* An item's own kwargs win over its message. message is consumed. */
static mf_status give_message(mf_signature *item, mf_message *message, mf_error *err)
{
    mf_status st = mfi_check_kwargs("mf_swarm_add_many: a message", &message, err);
    mf_message **kwargs = &item->kwargs, *merged = NULL;
    if (item->own.spec != NULL)
        kwargs = &item->own.spec->kwargs;       /* nobody else's yet */
    if (st == MF_OK && message != NULL)
        st = mfi_message_merge(message, *kwargs, item->client->allocator, &item->client->limits, &merged, err);
    if (st == MF_OK && merged != NULL) {
        mf_message_unref(*kwargs);
        *kwargs = merged;
    }
    mf_message_unref(message);
    return st;
}

/* One that is stored takes them all in one commit, or none. */
static bool takes_all_at_once(const mf_signature *swarm, mf_signature *const *items, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (items[i] == swarm)
            return false;
    return swarm != NULL && swarm->stored;
}

mf_signature *mf_swarm_add_many(mf_signature *swarm, mf_signature *const *items, size_t n, mf_message *const *messages,
                                size_t message_count, mf_error *err)
{
    mf_status st = MF_OK;
    if (message_count > 1 && message_count != n)
        st = mf_fail(err, MF_E_INVALID, "mf_swarm_add_many: expected no message, one for all or one for each of %zu items, got "
                     "%zu", n, message_count);
    for (size_t i = 0; i < n; i++) {
        mf_message *message = message_count == 0 || st != MF_OK ? NULL
                              : message_count == 1              ? mf_message_ref(messages[0])
                                                                : mf_message_ref(messages[i]);
        if (st == MF_OK && items[i] != NULL)
            st = give_message(items[i], message, err);
        else
            mf_message_unref(message);
    }
    bool at_once = st == MF_OK && takes_all_at_once(swarm, items, n);
    if (at_once)
        st = mf_items_add(swarm->client, &swarm->own.spec->key, items, n, err);
    for (size_t i = 0; i < n && !at_once; i++) {
        if (st == MF_OK)
            swarm = mf_swarm_add(swarm, items[i], err);
        else
            mf_signature_destroy(items[i]);
    }
    for (size_t i = 0; i < message_count; i++)
        mf_message_unref(messages[i]);
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
    if (swarm->stored)
        return mf_items_close(swarm->client, &swarm->own.spec->key, err) == MF_OK ? swarm : mfi_signature_fail(swarm, NULL);
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
    if (each->task->durable)
        return mf_fail(err, MF_E_UNSUPPORTED, "mf_map: \"%s\" is a durable task, and the items of a map have no record to "
                       "remember with: add them to a swarm instead", each->task->def.name);
    mf_status st = mfi_signature_freeze(each, err);
    if (st != MF_OK)
        return st;
    for (size_t i = 0; i < each->below_count; i++) {
        mf_spec *callback = each->below[i].spec;
        if (callback->kind != MF_KIND_TASK || callback->on_success_count > 0 || callback->on_error_count > 0)
            return mf_fail(err, MF_E_UNSUPPORTED, "mf_map: a callback of its items must be a plain task, \"%.*s\" is not",
                           (int)callback->name.len, callback->name.at);
        callback->numbered = true;
        callback->parent = map->own.spec->key;
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
    mf_status st = mfi_signature_need_spec(sig, err);
    if (st == MF_OK)
        st = mfi_signature_freeze(callback, err);
    if (st == MF_OK)
        callback->own.spec->parent = sig->own.spec->key;
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

/* ---- how long, and when ---------------------------------------------------------------------------------------------- */

/* For what is said of a signature that is being made. The answer holds its lock. */
static bool open_for_change(mf_signature *sig, const char *call, mf_error *err)
{
    if (mfi_client_check(sig->client, err) != MF_OK)
        return false;
    pthread_mutex_lock(&sig->lock);
    bool open = !sig->stored && mfi_signature_need_spec(sig, err) == MF_OK;
    if (sig->stored)
        mf_fail(err, MF_E_STATE, "%s: it was started or saved already", call);
    if (!open)
        pthread_mutex_unlock(&sig->lock);
    return open;
}

mf_signature *mf_ttl(mf_signature *sig, mf_duration live, mf_duration keep, mf_error *err)
{
    if (sig == NULL)
        return NULL;
    if (live < 0 || keep < 0) {
        mf_fail(err, MF_E_INVALID, "mf_ttl: expected spans of 0 or more");
        return mfi_signature_fail(sig, NULL);
    }
    if (!open_for_change(sig, "mf_ttl", err))
        return mfi_signature_fail(sig, NULL);
    mf_spec *spec = sig->own.spec;
    spec->ttl_ms = mfi_span_ms(live, sig->client->ttl_ms[spec->kind]);
    spec->keep_ms = mfi_span_ms(keep, sig->client->keep_ms[spec->kind]);
    pthread_mutex_unlock(&sig->lock);
    return sig;
}

mf_signature *mf_stagger(mf_signature *sig, mf_duration span, mf_error *err)
{
    if (sig == NULL)
        return NULL;
    if (span < 0 || span == MF_FOREVER) {
        mf_fail(err, MF_E_INVALID, "mf_stagger: expected a span of 0 or more that ends");
        return mfi_signature_fail(sig, NULL);
    }
    if (!open_for_change(sig, "mf_stagger", err))
        return mfi_signature_fail(sig, NULL);
    sig->own.spec->stagger_ms = span / 1000000 + (span % 1000000 > 0);
    pthread_mutex_unlock(&sig->lock);
    return sig;
}
