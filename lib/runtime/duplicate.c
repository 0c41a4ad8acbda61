/* Duplicates: a stored signature read back into one that is being made, with new keys throughout.
 *
 * The way down is the way that signatures were put together: steps and items that have records, the callbacks of each. What was
 * removed meanwhile is left out where it is a callback, and is an error where something would wait for it. */
#include "sign.h"

#include "compose.h"
#include "memory.h"
#include "record.h"

#define ITEMS_PAGE 64
#define DEEPEST    64       /* containers and callbacks within each other */

struct copier {
    mf_client    *client;
    mf_signature *into;
    unsigned      deep;         /* the way down to here */
    unsigned      levels;       /* containers within each other in what is being copied, as far as it was; 0: a task */
    mf_error     *err;
};

/* Where a copy stands. */
struct place {
    mf_key   container, parent;
    uint64_t index;
};

static mf_status copy_record(struct copier *c, const mf_key *key, const struct place *place, mf_spec **out);

static mf_status no_memory(struct copier *c)
{
    return mf_fail(c->err, MF_E_NOMEM, "duplicate: no memory");
}

/* Everything of a spec but what refers to other records. */
static mf_status copy_spec(struct copier *c, const mf_spec *from, const mf_message *kwargs, mf_spec **out)
{
    mf_spec *spec = mfi_spec_make(c->client, from->kind, from->name, c->err);
    if (spec == NULL)
        return MF_E_NOMEM;
    if ((from->return_field.at != NULL && !mfi_spec_set_text(spec, &spec->return_field, from->return_field)) ||
        (from->source.len > 0 && !mfi_spec_set_text(spec, &spec->source, from->source))) {
        mf_spec_unref(spec);
        return no_memory(c);
    }
    spec->kwargs = mf_message_ref(kwargs);
    spec->numbered = from->numbered;
    spec->max_concurrency = from->max_concurrency;
    spec->stop_after_failures = from->stop_after_failures;
    spec->max_items = from->max_items;
    spec->close_on_max = from->close_on_max;
    spec->message_as_result = from->message_as_result;
    spec->ttl_ms = from->ttl_ms;
    spec->keep_ms = from->keep_ms;
    spec->stagger_ms = from->stagger_ms;
    spec->foreign = from->foreign;
    spec->timeout_ms = from->timeout_ms;
    *out = spec;
    return MF_OK;
}

/* The callbacks of one kind. */
static mf_status copy_callbacks(struct copier *c, const mf_key *from, size_t n, const mf_key *parent, mf_key **to, size_t *count)
{
    if (n == 0)
        return MF_OK;
    mf_key *keys = mfi_alloc_array(c->client->allocator, n, sizeof *keys);
    if (keys == NULL)
        return no_memory(c);
    size_t made = 0;
    unsigned levels = c->levels;        /* callbacks stand beside, not within */
    mf_status st = MF_OK;
    for (size_t i = 0; i < n && st == MF_OK; i++) {
        mf_spec *spec = NULL;
        st = copy_record(c, &from[i], &(struct place){.parent = *parent}, &spec);
        if (st == MF_OK)
            keys[made++] = spec->key;
        else if (st == MF_E_NOT_FOUND)
            st = MF_OK;
    }
    c->levels = levels;
    /* An array is released with its count as its size. */
    if (st == MF_OK && made == n) {
        *to = keys;
        *count = n;
        return MF_OK;
    }
    mf_key *fewer = st == MF_OK && made > 0 ? mfi_alloc_array(c->client->allocator, made, sizeof *keys) : NULL;
    if (fewer != NULL) {
        memcpy(fewer, keys, made * sizeof *keys);
        *to = fewer;
        *count = made;
    } else if (st == MF_OK && made > 0) {
        st = no_memory(c);
    }
    mfi_release(c->client->allocator, keys, n * sizeof *keys);
    return st;
}

/* A step or item: plain ones are shared, the others copied. *out holds references. */
static mf_status copy_item(struct copier *c, const mf_item *from, const mf_key *container, uint64_t index, mf_item *out)
{
    if (!mf_key_is_set(&from->spec->key)) {
        *out = *from;
        mfi_item_ref(out);
        return MF_OK;
    }
    mf_spec *spec = NULL;
    unsigned levels = c->levels;
    mf_status st = copy_record(c, &from->spec->key, &(struct place){*container, *container, index}, &spec);
    c->levels = c->levels + 1 > levels ? c->levels + 1 : levels;
    if (st == MF_E_NOT_FOUND)
        return mf_fail(c->err, st, "duplicate: %s, which stands in it, is gone", from->spec->key.text);
    if (st == MF_OK)
        *out = (mf_item){.spec = mf_spec_ref(spec)};
    return st;
}

static mf_status copy_steps(struct copier *c, const mf_spec *from, mf_spec *spec, mfi_draft *draft)
{
    mf_status st = MF_OK;
    spec->steps = mfi_alloc_array(spec->allocator, from->step_count, sizeof *spec->steps);
    if (spec->steps == NULL)
        return no_memory(c);
    memset(spec->steps, 0, from->step_count * sizeof *spec->steps);
    spec->step_count = from->step_count;
    for (size_t i = 0; i < from->step_count && st == MF_OK; i++) {
        st = copy_item(c, &from->steps[i], &spec->key, i, &spec->steps[i]);
        if (st == MF_OK && !mfi_draft_reserve(c->client->allocator, draft))
            st = no_memory(c);
        if (st == MF_OK) {
            *mfi_draft_item(draft, draft->item_count) = spec->steps[i];
            mfi_item_ref(&spec->steps[i]);
            draft->item_count++;
        }
    }
    return st;
}

static mf_status copy_items(struct copier *c, const mf_key *from, const mf_spec *spec, mfi_draft *draft)
{
    mf_item page[ITEMS_PAGE];
    mf_status st = MF_OK;
    for (size_t got = ITEMS_PAGE; got == ITEMS_PAGE && st == MF_OK;) {
        uint64_t at = draft->item_count;
        st = mf_store_items(c->client->store, from, at, ITEMS_PAGE, page, &got, c->err);
        if (st != MF_OK)
            break;
        for (size_t i = 0; i < got; i++) {
            mf_item item = {0};
            if (st == MF_OK)
                st = copy_item(c, &page[i], &spec->key, at + i, &item);
            if (st == MF_OK && !mfi_draft_reserve(c->client->allocator, draft))
                st = no_memory(c);
            if (st == MF_OK)
                *mfi_draft_item(draft, draft->item_count++) = item;
            else
                mfi_item_unref(&item);
            mfi_item_unref(&page[i]);
        }
    }
    return st;
}

/* The one task of a map: a spec without a key, whose callbacks run once an item. */
static mf_status copy_each(struct copier *c, const mf_spec *from, mf_spec *spec)
{
    if (from->each.spec == NULL)
        return MF_OK;
    mf_spec *each = NULL;
    const mf_spec *e = from->each.spec;
    mf_status st = copy_spec(c, e, e->kwargs, &each);
    if (st != MF_OK)
        return st;
    memset(&each->key, 0, sizeof each->key);
    spec->each.spec = each;
    st = copy_callbacks(c, e->on_success, e->on_success_count, &spec->key, &each->on_success, &each->on_success_count);
    if (st == MF_OK)
        st = copy_callbacks(c, e->on_error, e->on_error_count, &spec->key, &each->on_error, &each->on_error_count);
    return st;
}

static mf_status copy_below(struct copier *c, const mf_record *from, mfi_draft *draft)
{
    const mf_spec *f = from->spec;
    mf_spec *spec = draft->spec;
    mf_status st = MF_OK;
    if (f->kind == MF_KIND_CHAIN)
        st = copy_steps(c, f, spec, draft);
    else if (f->kind == MF_KIND_SWARM)
        st = f->source.len > 0 ? copy_each(c, f, spec) : copy_items(c, &f->key, spec, draft);
    draft->closed = f->kind == MF_KIND_SWARM && f->source.len == 0 && from->state.closed;
    if (st == MF_OK)
        st = copy_callbacks(c, f->on_success, f->on_success_count, &spec->key, &spec->on_success, &spec->on_success_count);
    if (st == MF_OK)
        st = copy_callbacks(c, f->on_error, f->on_error_count, &spec->key, &spec->on_error, &spec->on_error_count);
    return st;
}

static mf_status copy_draft(struct copier *c, const mf_key *key, const struct place *place, mfi_draft *draft)
{
    mf_record record = {0};
    if (c->deep >= DEEPEST)
        return mf_fail(c->err, MF_E_TOO_BIG, "duplicate: more than %d signatures within each other", DEEPEST);
    mf_status st = mf_store_load(c->client->store, key, 1, &record, c->err);
    if (st != MF_OK)
        return st;
    if (record.spec == NULL)
        return mf_fail(c->err, MF_E_NOT_FOUND, "there is no signature %s", key->text);
    c->deep++;
    c->levels = record.spec->kind != MF_KIND_TASK;
    st = copy_spec(c, record.spec, mfi_kwargs_of(record.spec, &record.state), &draft->spec);
    if (st == MF_OK) {
        draft->spec->container = place->container;
        draft->spec->parent = place->parent;
        draft->spec->index = place->index;
        st = copy_below(c, &record, draft);
    }
    c->deep--;
    mf_record_release(&record);
    return st;
}

static mf_status copy_record(struct copier *c, const mf_key *key, const struct place *place, mf_spec **out)
{
    mf_signature *into = c->into;
    mfi_draft draft = {0};
    mf_status st = copy_draft(c, key, place, &draft);
    if (st == MF_OK && !mfi_array_reserve(c->client->allocator, (void **)&into->below, &into->below_capacity,
                                          into->below_count + 1, sizeof *into->below))
        st = no_memory(c);
    if (st != MF_OK) {
        mfi_draft_fini(c->client->allocator, &draft);
        return st;
    }
    if (draft.spec->kind == MF_KIND_CHAIN) {        /* its steps are in its spec; only one that is still made needs both */
        mf_spec *spec = draft.spec;
        draft.spec = NULL;
        mfi_draft_fini(c->client->allocator, &draft);
        draft = (mfi_draft){.spec = spec};
    }
    into->below[into->below_count++] = draft;
    *out = draft.spec;
    return MF_OK;
}

/* Callbacks of a signature that is being made stand beside its spec until it is stored. */
static mf_status take_callbacks(mf_signature *sig, mf_error *err)
{
    mf_spec *spec = sig->own.spec;
    const mf_allocator *a = sig->client->allocator;
    if (!mfi_array_reserve(a, (void **)&sig->on_success, &sig->on_success_capacity, spec->on_success_count, sizeof(mf_key)) ||
        !mfi_array_reserve(a, (void **)&sig->on_error, &sig->on_error_capacity, spec->on_error_count, sizeof(mf_key)))
        return mf_fail(err, MF_E_NOMEM, "duplicate: no memory");
    if (spec->on_success_count > 0)
        memcpy(sig->on_success, spec->on_success, spec->on_success_count * sizeof(mf_key));
    if (spec->on_error_count > 0)
        memcpy(sig->on_error, spec->on_error, spec->on_error_count * sizeof(mf_key));
    sig->on_success_count = spec->on_success_count;
    sig->on_error_count = spec->on_error_count;
    return MF_OK;
}

mf_signature *mf_signature_duplicate(mf_client *client, const mf_key *key, mf_error *err)
{
    mf_signature *sig = mfi_signature_create(client, err);
    if (sig == NULL)
        return NULL;
    struct copier c = {.client = client, .into = sig, .err = err};
    mf_status st = copy_draft(&c, key, &(struct place){.index = 0}, &sig->own);
    if (st == MF_OK)
        st = take_callbacks(sig, err);
    if (st != MF_OK)
        return mfi_signature_fail(sig, NULL);
    sig->own.spec->numbered = false;
    if (sig->own.spec->kind == MF_KIND_TASK)
        sig->task = mfi_find_task(client, sig->own.spec->name);
    sig->depth = c.levels;
    return sig;
}

mf_status mf_signature_duplicate_many(mf_client *client, const mf_key *key, size_t n, mf_signature **out, mf_error *err)
{
    for (size_t i = 0; i < n; i++)
        out[i] = NULL;
    for (size_t i = 0; i < n; i++) {
        mf_error why = {.status = MF_E_NOMEM};
        out[i] = mf_signature_duplicate(client, key, &why);
        if (out[i] != NULL)
            continue;
        while (i > 0) {
            mf_signature_destroy(out[--i]);
            out[i] = NULL;
        }
        if (err != NULL)
            *err = why;
        return why.status;
    }
    return MF_OK;
}
