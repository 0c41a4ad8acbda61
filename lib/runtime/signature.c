/* A signature while it is made.
 *
 * A signature that is put into another one is taken apart: its spec becomes a record below the new owner, its own records
 * below move along, and the handle is gone. A task without callbacks of its own becomes a plain item and no record. */
#include "sign.h"

#include "memory.h"
#include "record.h"

/* As deep as claims and stops look upward (a task's own record and its containers are 32 records). */
#define NESTING_MAX 31

#ifdef __SANITIZE_ADDRESS__
#define KEEPS_NO_SPARE
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KEEPS_NO_SPARE
#endif
#endif

/* ---- life -------------------------------------------------------------------------------------------------------- */

/* One that ended is kept for the next: where items are added one by one, each would be an allocation else. acq_rel: whoever
 * takes it may write where the one who left it wrote. Under the address sanitizer none is kept, so that it sees the use of one
 * that has ended. */
static mf_signature *spare_swap(mf_client *client, mf_signature *sig)
{
#ifdef KEEPS_NO_SPARE
    (void)client;
    return sig;
#else
    return atomic_exchange_explicit(&client->spare, sig, memory_order_acq_rel);
#endif
}

void mfi_signature_spare_fini(mf_client *client)
{
    mf_signature *sig = atomic_load_explicit(&client->spare, memory_order_acquire);
    if (sig != NULL)
        mf_delete(client->allocator, sig);
}

void mf_signature_destroy(mf_signature *sig)
{
    if (sig == NULL)
        return;
    mf_client *client = sig->client;
    mfi_draft_fini(client->allocator, &sig->own);
    for (size_t i = 0; i < sig->below_count; i++)
        mfi_draft_fini(client->allocator, &sig->below[i]);
    mfi_release(client->allocator, sig->below, sig->below_capacity * sizeof *sig->below);
    mfi_release(client->allocator, sig->on_success, sig->on_success_capacity * sizeof *sig->on_success);
    mfi_release(client->allocator, sig->on_error, sig->on_error_capacity * sizeof *sig->on_error);
    mf_message_unref(sig->kwargs);
    pthread_mutex_destroy(&sig->lock);
    sig = spare_swap(client, sig);
    if (sig != NULL)
        mf_delete(client->allocator, sig);
}

mf_signature *mfi_signature_fail(mf_signature *a, mf_signature *b)
{
    mf_signature_destroy(a);
    mf_signature_destroy(b);
    return NULL;
}

mf_signature *mfi_signature_create(mf_client *client, mf_error *err)
{
    if (mfi_client_check(client, err) != MF_OK)
        return NULL;
    mf_signature *sig = spare_swap(client, NULL);
    if (sig != NULL)
        memset(sig, 0, sizeof *sig);
    else
        sig = mf_new(client->allocator, mf_signature);
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
bool mfi_spec_set_text(const mf_spec *spec, mf_str *to, mf_str from)
{
    char *copy = mfi_copy_text(spec->allocator, from);
    if (copy != NULL)
        *to = mf_str_of(copy, from.len);
    return copy != NULL;
}

mf_spec *mfi_spec_make(mf_client *client, mf_kind kind, mf_str name, mf_error *err)
{
    mf_spec *spec = mf_spec_create(client->allocator, kind, name);
    if (spec == NULL || mfi_key_make(kind, mfi_durable_keys(), &spec->key) != MF_OK) {
        mf_spec_unref(spec);
        mf_fail(err, MF_E_NOMEM, "signature: no memory");
        return NULL;
    }
    spec->ttl_ms = client->ttl_ms[kind];
    spec->keep_ms = client->keep_ms[kind];
    return spec;
}

/* A task's spec is made when it turns out to need a record: for callbacks, at the root, or for its key. */
mf_status mfi_signature_need_spec(mf_signature *sig, mf_error *err)
{
    if (sig->own.spec != NULL)
        return MF_OK;
    mf_spec *spec = mfi_spec_make(sig->client, MF_KIND_TASK, sig->task->name, err);
    if (spec == NULL)
        return MF_E_NOMEM;
    if (!mfi_spec_set_text(spec, &spec->return_field, sig->task->plain->return_field)) {
        mf_spec_unref(spec);
        return mf_fail(err, MF_E_NOMEM, "signature: no memory");
    }
    spec->foreign = sig->task->plain->foreign;
    spec->timeout_ms = sig->task->plain->timeout_ms;
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
    mf_key key = mfi_signature_need_spec(s, NULL) == MF_OK ? s->own.spec->key : (mf_key){{0}};
    pthread_mutex_unlock(&s->lock);
    return key;
}

/* ---- freezing and consuming --------------------------------------------------------------------------------------- */

static mf_status copy_keys(const mf_spec *spec, mf_key **to, size_t *to_count, const mf_key *from, size_t n)
{
    if (n == 0)
        return MF_OK;
    mf_key *copy = mfi_alloc_array(spec->allocator, n, sizeof *from);
    if (copy == NULL)
        return MF_E_NOMEM;
    memcpy(copy, from, n * sizeof *from);
    mfi_release(spec->allocator, *to, *to_count * sizeof *from);    /* of a start that was refused before */
    *to = copy;
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
    if (spec->return_field.at == NULL &&
        !mfi_spec_set_text(spec, &spec->return_field, mfi_draft_item(&sig->own, 0)->spec->return_field))
        return mf_fail(err, MF_E_NOMEM, "chain: no memory");
    mf_item *steps = mfi_alloc_array(spec->allocator, n, sizeof *steps);
    if (steps == NULL)
        return mf_fail(err, MF_E_NOMEM, "chain: no memory for %zu steps", n);
    for (size_t i = 0; i < spec->step_count; i++)       /* of a start that was refused before */
        mfi_item_unref(&spec->steps[i]);
    mfi_release(spec->allocator, spec->steps, spec->step_count * sizeof *steps);
    spec->steps = steps;
    for (size_t i = 0; i < n; i++) {
        spec->steps[i] = *mfi_draft_item(&sig->own, i);
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
    return st == MF_OK ? MF_OK : mf_fail(err, st, "signature: no memory for its callbacks");
}

mf_status mfi_signature_freeze(mf_signature *sig, mf_error *err)
{
    mf_status st = mfi_signature_need_spec(sig, err);
    if (st != MF_OK)
        return st;
    mf_spec *spec = sig->own.spec;
    if (spec->kind == MF_KIND_CHAIN)
        st = freeze_chain(sig, err);
    return st == MF_OK ? freeze_callbacks(sig, err) : st;
}

/* Move the records of `from`, its own included if it has one, below `to`; from is then empty. */
mf_status mfi_signature_adopt(mf_signature *to, mf_signature *from, mf_error *err)
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

/* A durable task remembers what it did with its record, so it has one. */
static bool is_plain(const mf_signature *sig)
{
    return sig->own.spec == NULL && sig->on_success_count == 0 && sig->on_error_count == 0 && !sig->task->durable;
}

/* Add `child` (consumed) as the next item of a container. */
mf_status mfi_signature_add_item(mf_signature *container, mf_signature *child, mf_error *err)
{
    mfi_draft *own = &container->own;
    if (!mfi_draft_reserve(container->client->allocator, own))
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
        if (child->depth + 1 > NESTING_MAX)
            return mf_fail(err, MF_E_TOO_BIG, "signature: expected at most %d chains and swarms within each other", NESTING_MAX);
        if (container->depth < child->depth + 1)
            container->depth = child->depth + 1;
        child->own.spec->container = child->own.spec->parent = own->spec->key;
        child->own.spec->index = own->item_count;
        mf_spec *spec = child->own.spec;
        st = mfi_signature_adopt(container, child, err);
        if (st != MF_OK)
            return st;
        item.spec = mf_spec_ref(spec);
    }
    *mfi_draft_item(own, own->item_count) = item;
    own->item_count++;
    return MF_OK;
}

/* Two signatures become one: both are checked, and on failure both are gone. */
mf_status mfi_signature_check_pair(mf_signature *to, mf_signature *from, mf_kind kind, const char *call, mf_error *err)
{
    mf_status st = mfi_client_check(to->client, err);
    if (st != MF_OK)
        return st;
    if (to == from)
        return mf_fail(err, MF_E_INVALID, "%s: a signature cannot stand in itself", call);
    if (to->client != from->client)
        return mf_fail(err, MF_E_INVALID, "%s: the two signatures belong to different clients", call);
    if (to->stored || from->stored)
        return mf_fail(err, MF_E_STATE, "%s: it was started or saved already", call);
    if (kind != MF_KIND_NONE && (to->own.spec == NULL || to->own.spec->kind != kind))
        return mf_fail(err, MF_E_INVALID, "%s: expected a %s, got a %s", call, kind == MF_KIND_CHAIN ? "chain" : "swarm",
                       to->task != NULL ? "task" : to->own.spec->kind == MF_KIND_CHAIN ? "chain" : "swarm");
    return MF_OK;
}
