/* A flow written as data becomes a signature: one call of mageflow/flow.h for each map.
 *
 * Reading recurses, a frame for each map within another. That is bounded: a message is verified when it is made, and none is
 * deeper than MF_DEPTH_MAX. Frames stay small, so what is large lies once, in the reader. */
#include <mageflow/flow_data.h>

#include "flow_reader.h"
#include "flow_start.h"
#include "merge.h"
#include "sign.h"

/* What a call of the API made; its error is told with the place. */
static mf_signature *made(mfi_reader *r, const mfi_place *at, mf_signature *sig)
{
    if (sig == NULL)
        mfi_refuse(r, at, r->why.status, "%s", r->why.text);
    return sig;
}

static bool read_options(mfi_reader *r, const mfi_parts *p, const mfi_place *at, mf_swarm_options *out)
{
    uint64_t concurrency = 0;
    *out = (mf_swarm_options){.struct_size = sizeof *out};
    if (!mfi_read_number(r, p, MFI_WORD_MAX_CONCURRENCY, 1, UINT32_MAX, at, &concurrency) ||
        !mfi_read_number(r, p, MFI_WORD_STOP_AFTER_FAILURES, 0, UINT64_MAX, at, &out->stop_after_failures))
        return false;
    out->max_concurrency = (unsigned)concurrency;
    return true;
}

/* The name for the next call; NULL: none was given. */
static bool read_name(mfi_reader *r, const mfi_parts *p, const mfi_place *at, const char **out)
{
    *out = mfi_has(p, MFI_WORD_NAME) ? r->name : NULL;
    return !mfi_has(p, MFI_WORD_NAME) || mfi_read_text(r, p->at[MFI_WORD_NAME], MFI_AT(at, MFI_WORD_NAME), r->name);
}

/* ---- flows --------------------------------------------------------------------------------------------------------- */

static mf_signature *read_flow(mfi_reader *r, mf_value value, const mfi_place *at);

typedef mf_signature *add_fn(mf_signature *to, mf_signature *child, mf_error *err);

/* Each flow of the list is read and added to `to`, which is consumed on failure. */
static mf_signature *read_list(mfi_reader *r, mf_signature *to, const mfi_parts *p, mfi_word word, const mfi_place *at, add_fn *add)
{
    const mfi_place list = {at, mfi_word_text(word), 0};
    if (to == NULL || !mfi_has(p, word))
        return to;
    if (mf_value_type(p->at[word]) != MF_TYPE_ARRAY) {
        mfi_refuse_type(r, &list, "an array of flows", p->at[word]);
        return mfi_signature_fail(to, NULL);
    }
    mf_iter items = mf_value_iter(p->at[word]);
    mf_value value;
    for (size_t i = 0; to != NULL && mf_iter_next(&items, NULL, &value); i++) {
        mf_signature *child = read_flow(r, value, MFI_ITEM_OF(&list, i));
        if (child == NULL)
            return mfi_signature_fail(to, NULL);
        to = made(r, MFI_ITEM_OF(&list, i), add(to, child, &r->why));
    }
    return to;
}

static mf_signature *read_task(mfi_reader *r, const mfi_parts *p, const mfi_place *at)
{
    mf_message *kwargs;
    if (!mfi_read_text(r, p->at[MFI_WORD_TASK], MFI_AT(at, MFI_WORD_TASK), r->name) ||
        !mfi_read_fields(r, p, MFI_WORD_KWARGS, at, &kwargs))
        return NULL;
    return made(r, at, mf_sign(r->client, r->name, kwargs, &r->why));
}

static mf_signature *read_chain(mfi_reader *r, const mfi_parts *p, const mfi_place *at)
{
    const char *name;
    mf_message *kwargs;
    if (mf_value_type(p->at[MFI_WORD_CHAIN]) == MF_TYPE_ARRAY && mf_value_count(p->at[MFI_WORD_CHAIN]) < 2) {
        mfi_refuse(r, MFI_AT(at, MFI_WORD_CHAIN), MF_E_INVALID, "expected two steps or more, got %zu",
               mf_value_count(p->at[MFI_WORD_CHAIN]));
        return NULL;
    }
    if (!read_name(r, p, at, &name) || !mfi_read_fields(r, p, MFI_WORD_KWARGS, at, &kwargs))
        return NULL;
    mf_signature *chain = made(r, at, mf_chain(r->client, name, kwargs, &r->why));
    return read_list(r, chain, p, MFI_WORD_CHAIN, at, mf_chain_add);
}

/* Of a swarm alone, not of a map. */
static bool read_bounds(mfi_reader *r, const mfi_parts *p, const mfi_place *at, mf_swarm_options *out)
{
    if (!mfi_read_number(r, p, MFI_WORD_MAX_ITEMS, 1, UINT64_MAX, at, &out->max_items) ||
        !mfi_read_bool(r, p, MFI_WORD_CLOSE_ON_MAX, at, &out->close_on_max) ||
        !mfi_read_bool(r, p, MFI_WORD_MESSAGE_AS_RESULT, at, &out->message_as_result))
        return false;
    size_t items = mf_value_count(p->at[MFI_WORD_SWARM]);
    return out->max_items == 0 || items <= out->max_items ||
           mfi_refuse(r, MFI_AT(at, MFI_WORD_SWARM), MF_E_INVALID, "expected at most %llu items, as max_items says, got %zu",
                      (unsigned long long)out->max_items, items);
}

static mf_signature *read_swarm(mfi_reader *r, const mfi_parts *p, const mfi_place *at)
{
    const char *name;
    mf_swarm_options options;
    bool closed = true;
    if (!read_options(r, p, at, &options) || !read_bounds(r, p, at, &options) ||
        !mfi_read_bool(r, p, MFI_WORD_CLOSED, at, &closed) || !read_name(r, p, at, &name) ||
        !mfi_read_fields(r, p, MFI_WORD_KWARGS, at, &options.kwargs))
        return NULL;
    mf_signature *swarm = made(r, at, mf_swarm(r->client, name, &options, &r->why));
    swarm = read_list(r, swarm, p, MFI_WORD_SWARM, at, mf_swarm_add);
    return swarm != NULL && closed ? made(r, at, mf_swarm_close(swarm, &r->why)) : swarm;
}

/* The items of a map have no records that could live long or begin late. */
static bool check_each(mfi_reader *r, mf_value each, const mfi_place *at)
{
    static const mfi_word no[] = {MFI_WORD_TTL, MFI_WORD_KEEP, MFI_WORD_STAGGER};
    mf_value value;
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++) {
        if (mf_value_get(each, mf_cstr(mfi_word_text(no[i])), &value))
            return mfi_refuse(r, MFI_AT(at, no[i]), MF_E_UNSUPPORTED, "the items of a map cannot have it: the map can");
    }
    return true;
}

static mf_signature *read_map(mfi_reader *r, const mfi_parts *p, const mfi_place *at)
{
    const char *name;
    mf_swarm_options options;
    mf_signature *each = read_flow(r, p->at[MFI_WORD_MAP], MFI_AT(at, MFI_WORD_MAP));
    if (each == NULL)
        return NULL;
    bool good = each->task != NULL ||
                mfi_refuse(r, MFI_AT(at, MFI_WORD_MAP), MF_E_UNSUPPORTED, "expected a task: each item of a map is the call of one");
    good = good && check_each(r, p->at[MFI_WORD_MAP], MFI_AT(at, MFI_WORD_MAP));
    if (!good || !mfi_read_text(r, p->at[MFI_WORD_SOURCE], MFI_AT(at, MFI_WORD_SOURCE), r->source) ||
        !read_options(r, p, at, &options) || !read_name(r, p, at, &name) ||
        !mfi_read_fields(r, p, MFI_WORD_KWARGS, at, &options.kwargs))
        return mfi_signature_fail(each, NULL);
    return made(r, at, mf_map(r->client, name, r->source, each, &options, &r->why));
}

/* What any of the four may have beside its callbacks. */
static mf_signature *read_times(mfi_reader *r, mf_signature *sig, const mfi_parts *p, const mfi_place *at)
{
    mf_duration live = 0, keep = 0, stagger = 0;
    if (sig == NULL)
        return NULL;
    if (!mfi_read_span(r, p, MFI_WORD_TTL, true, at, &live) || !mfi_read_span(r, p, MFI_WORD_KEEP, true, at, &keep) ||
        !mfi_read_span(r, p, MFI_WORD_STAGGER, false, at, &stagger))
        return mfi_signature_fail(sig, NULL);
    if (live > 0 || keep > 0)
        sig = made(r, at, mf_ttl(sig, live, keep, &r->why));
    return sig != NULL && stagger > 0 ? made(r, at, mf_stagger(sig, stagger, &r->why)) : sig;
}

static mf_signature *read_flow(mfi_reader *r, mf_value value, const mfi_place *at)
{
    static mf_signature *(*const read[])(mfi_reader *, const mfi_parts *, const mfi_place *) = {
        [MFI_FORM_TASK] = read_task, [MFI_FORM_CHAIN] = read_chain, [MFI_FORM_SWARM] = read_swarm, [MFI_FORM_MAP] = read_map,
    };
    mfi_parts p;
    mfi_form form = MFI_FORM_TASK;     /* find_form writes it; gcc 12 at -O3 does not see that */
    if (!mfi_read_parts(r, value, at, &p) || !mfi_read_form(r, at, &p, &form) || !mfi_read_check(r, at, form, &p))
        return NULL;
    mf_signature *sig = read_times(r, read[form](r, &p, at), &p, at);
    sig = read_list(r, sig, &p, MFI_WORD_ON_SUCCESS, at, mf_on_success);
    return read_list(r, sig, &p, MFI_WORD_ON_ERROR, at, mf_on_error);
}

/* ---- the calls ----------------------------------------------------------------------------------------------------- */

static bool reader_init(mfi_reader *r, mf_client *client, const mf_message *message, mf_error *err)
{
    r->client = client;
    r->err = err;
    if (mfi_client_check(client, err) != MF_OK)
        return false;
    mf_status st = mf_message_status(message);
    if (st != MF_OK)
        mf_fail(err, st, "flow: the message could not be built: %s", mf_status_text(st));
    return st == MF_OK;
}

static const mfi_place root = {NULL, "flow", 0};

mf_signature *mf_flow_from_message(mf_client *client, const mf_message *message, mf_error *err)
{
    mfi_reader r;
    return reader_init(&r, client, message, err) ? read_flow(&r, mf_message_value(message), &root) : NULL;
}

static const mfi_place top = {NULL, "document", 0};

struct document {
    mf_value         flow;
    mf_message      *message;
    mf_start_options options;
    char             unique[MFI_NAME_MAX + 1];
};

static bool read_unique(mfi_reader *r, const mfi_parts *p, struct document *out)
{
    static const mfi_word of_it[] = {MFI_WORD_UNIQUE_WINDOW, MFI_WORD_JOIN};
    for (size_t i = 0; i < sizeof of_it / sizeof of_it[0]; i++) {
        if (mfi_has(p, of_it[i]) && !mfi_has(p, MFI_WORD_UNIQUE))
            return mfi_refuse(r, MFI_AT(&top, of_it[i]), MF_E_INVALID, "it means something only beside \"unique\", which is missing");
    }
    if (!mfi_has(p, MFI_WORD_UNIQUE))
        return true;
    const mfi_place *at = MFI_AT(&top, MFI_WORD_UNIQUE);
    if (!mfi_read_text(r, p->at[MFI_WORD_UNIQUE], at, out->unique))
        return false;
    out->options.unique = out->unique;
    return out->unique[0] != '\0' || mfi_refuse(r, at, MF_E_INVALID, "expected a name, got an empty text");
}

/* What stands beside the flow, or nothing where the document is the flow alone. */
static bool read_document(mfi_reader *r, mf_value value, struct document *out)
{
    mfi_parts p;
    *out = (struct document){.flow = value, .options = {.struct_size = sizeof out->options}};
    if (!mf_value_get(value, MF_STR_LIT("flow"), &out->flow)) {
        out->flow = value;
        return true;
    }
    return mfi_read_parts(r, value, &top, &p) && mfi_read_check(r, &top, MFI_FORM_DOCUMENT, &p) &&
           mfi_read_span(r, &p, MFI_WORD_DELAY, false, &top, &out->options.delay) &&
           mfi_read_int32(r, &p, MFI_WORD_PRIORITY, &top, &out->options.priority) && read_unique(r, &p, out) &&
           mfi_read_span(r, &p, MFI_WORD_UNIQUE_WINDOW, false, &top, &out->options.unique_window) &&
           mfi_read_bool(r, &p, MFI_WORD_JOIN, &top, &out->options.join) &&
           mfi_read_fields(r, &p, MFI_WORD_MESSAGE, &top, &out->message);
}

/* The document's message, over which goes the caller's; both are consumed. */
static bool merge_messages(mfi_reader *r, mf_message **own, mf_message *caller)
{
    mf_message *both = NULL;
    mf_status st = mfi_check_kwargs("the message", &caller, r->err);
    if (st == MF_OK)
        st = mfi_message_merge(*own, caller, r->client->allocator, &r->client->limits, &both, r->err);
    mf_message_unref(*own);
    mf_message_unref(caller);
    *own = both;
    return st == MF_OK;
}

mf_run *mf_flow_start(mf_client *client, const mf_message *document, mf_message *message, mf_error *err)
{
    return mfi_flow_start(client, document, message, NULL, err);
}

/* What the flow cannot be started with is told with its place. */
static void refuse_start(mfi_reader *r)
{
    if (r->why.status == MF_E_INVALID)
        mfi_refuse(r, &root, MF_E_INVALID, "%s", r->why.text);
    else
        mf_fail(r->err, r->why.status, "%s", r->why.text);
}

mf_run *mfi_flow_start(mf_client *client, const mf_message *document, mf_message *message, const char *unique, mf_error *err)
{
    mfi_reader r;
    struct document d;
    mf_run *run = NULL;
    if (!reader_init(&r, client, document, err) || !read_document(&r, mf_message_value(document), &d)) {
        mf_message_unref(message);
        return NULL;
    }
    if (d.options.unique == NULL && unique != NULL) {
        d.options.unique = unique;
        d.options.join = true;
    }
    if (merge_messages(&r, &d.message, message)) {
        mf_signature *sig = read_flow(&r, d.flow, &root);
        if (sig != NULL)
            run = mf_start_with(sig, mf_message_ref(d.message), &d.options, &r.why);
        if (sig != NULL && run == NULL)
            refuse_start(&r);
        mf_signature_destroy(sig);
    }
    mf_message_unref(d.message);
    return run;
}
