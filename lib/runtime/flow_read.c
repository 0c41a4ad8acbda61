/* A flow written as data becomes a signature: one call of mageflow/flow.h for each map.
 *
 * Reading recurses, a frame for each map within another. That is bounded: a message is verified when it is made, and none is
 * deeper than MF_DEPTH_MAX. Frames stay small, so what is large lies once, in the reader. */
#include <mageflow/flow_data.h>

#include <inttypes.h>
#include <stdio.h>

#include "describe.h"
#include "flow_form.h"
#include "merge.h"
#include "sign.h"

/* Where a value stands, as a list from itself up to the root, on the stack of those who read. */
typedef struct place {
    const struct place *above;
    const char         *key;      /* NULL: item `index` of an array */
    size_t              index;
} place;

#define AT(above, word)    (&(const place){(above), mfi_word_text(word), 0})
#define ITEM_OF(above, i)  (&(const place){(above), NULL, (i)})

typedef struct reader {
    mf_client *client;
    mf_error  *err;
    mf_error   why;                        /* of the call that was made last */
    char       name[MFI_NAME_MAX + 1];     /* NUL-terminated, for the next call */
    char       source[MFI_NAME_MAX + 1];
} reader;

/** The values of one map, by their key; absent where there is none. */
typedef struct parts {
    mf_value at[MFI_WORDS];
    mf_str   unknown;      /* the first key that is none of ours; at NULL: none */
} parts;

static bool has(const parts *p, mfi_word word)
{
    return p->at[word].at != NULL;
}

/* ---- refusing ------------------------------------------------------------------------------------------------------ */

#define PATH_MAX_LEN 200

/* "flow.chain[1].task", written from its end; what does not fit is left out at the front. */
static const char *path_of(const place *at, char text[PATH_MAX_LEN])
{
    char *front = text + PATH_MAX_LEN - 1;
    *front = '\0';
    for (; at != NULL; at = at->above) {
        char part[48];
        int n = at->key == NULL ? snprintf(part, sizeof part, "[%zu]", at->index)
                                : snprintf(part, sizeof part, "%s%s", at->above != NULL ? "." : "", at->key);
        if (front - text < n + 3) {
            front -= 3;
            memcpy(front, "...", 3);
            break;
        }
        front -= n;
        memcpy(front, part, (size_t)n);
    }
    return front;
}

/* Answers false, so that a check can end with it. */
static bool MF_PRINTF(4, 5) refuse(reader *r, const place *at, mf_status st, const char *fmt, ...)
{
    char text[PATH_MAX_LEN];
    char what[MF_ERROR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    mf_fail(r->err, st, "%s: %s", path_of(at, text), what);
    return false;
}

static bool refuse_type(reader *r, const place *at, const char *expected, mf_value got)
{
    mfi_words words;
    return refuse(r, at, MF_E_TYPE, "expected %s, got %s", expected, mfi_describe(got, &words));
}

/* What a call of the API made; its error is told with the place. */
static mf_signature *made(reader *r, const place *at, mf_signature *sig)
{
    if (sig == NULL)
        refuse(r, at, r->why.status, "%s", r->why.text);
    return sig;
}

/* ---- one map ------------------------------------------------------------------------------------------------------- */

static bool collect(reader *r, mf_value map, const place *at, parts *out)
{
    *out = (parts){0};
    if (mf_value_type(map) != MF_TYPE_MAP)
        return refuse_type(r, at, "a map", map);
    mf_iter entries = mf_value_iter(map);
    mf_value key, value;
    while (mf_iter_next(&entries, &key, &value)) {
        mf_str text;
        if (mf_value_str(key, &text) != MF_OK)
            return refuse_type(r, at, "keys that are text", key);
        mfi_word word = mfi_word_find(text);
        if (word == MFI_WORDS && out->unknown.at == NULL)
            out->unknown = text;
        if (word == MFI_WORDS)
            continue;
        if (has(out, word))
            return refuse(r, at, MF_E_INVALID, "the key \"%s\" is there twice", mfi_word_text(word));
        out->at[word] = value;
    }
    return true;
}

/* "task, kwargs, on_success and on_error" */
static const char *list_words(mfi_form form, char *text, size_t size)
{
    size_t len = 0, left = 0;
    for (mfi_word word = 0; word < MFI_WORDS; word++)
        left += mfi_word_may(word, form);
    for (mfi_word word = 0; word < MFI_WORDS && len < size; word++) {
        if (!mfi_word_may(word, form))
            continue;
        const char *after = left > 2 ? ", " : left == 2 ? " and " : "";
        len += (size_t)snprintf(text + len, size - len, "%s%s", mfi_word_text(word), after);
        left--;
    }
    return text;
}

static bool refuse_key(reader *r, const place *at, mfi_form form, mf_str key)
{
    char known[200];
    mfi_words echo;
    return refuse(r, at, MF_E_INVALID, "unknown key \"%s\": %s has %s", mfi_echo(key, &echo), mfi_form_name(form),
                  list_words(form, known, sizeof known));
}

static bool check_keys(reader *r, const place *at, mfi_form form, const parts *p)
{
    if (p->unknown.at != NULL)
        return refuse_key(r, at, form, p->unknown);
    for (mfi_word word = 0; word < MFI_WORDS; word++) {
        if (has(p, word) && !mfi_word_may(word, form))
            return refuse_key(r, at, form, mf_cstr(mfi_word_text(word)));
        if (!has(p, word) && mfi_word_must(word, form))
            return refuse(r, at, MF_E_INVALID, "the key \"%s\" is missing: %s must have it", mfi_word_text(word),
                          mfi_form_name(form));
    }
    return true;
}

/* A flow is what its one key of the four says. */
static bool find_form(reader *r, const place *at, const parts *p, mfi_form *out)
{
    static const mfi_word by_form[] = {MFI_WORD_TASK, MFI_WORD_CHAIN, MFI_WORD_SWARM, MFI_WORD_MAP};
    mfi_form found = MFI_FORMS;
    for (mfi_form form = MFI_FORM_TASK; form <= MFI_FORM_MAP; form++) {
        if (!has(p, by_form[form]))
            continue;
        if (found != MFI_FORMS)
            return refuse(r, at, MF_E_INVALID, "expected one of the keys task, chain, swarm and map, got both %s and %s",
                          mfi_word_text(by_form[found]), mfi_word_text(by_form[form]));
        found = form;
    }
    mfi_words echo;
    if (found == MFI_FORMS && has(p, MFI_WORD_FLOW))
        return refuse(r, at, MF_E_INVALID, "expected one of the keys task, chain, swarm and map, got a document");
    if (found == MFI_FORMS && p->unknown.at != NULL)
        return refuse(r, at, MF_E_INVALID, "expected one of the keys task, chain, swarm and map, got \"%s\"",
                      mfi_echo(p->unknown, &echo));
    if (found == MFI_FORMS)
        return refuse(r, at, MF_E_INVALID, "expected one of the keys task, chain, swarm and map, got none of them");
    *out = found;
    return true;
}

/* ---- values -------------------------------------------------------------------------------------------------------- */

static bool read_text(reader *r, mf_value value, const place *at, char out[MFI_NAME_MAX + 1])
{
    mf_str text;
    if (mf_value_str(value, &text) != MF_OK)
        return refuse_type(r, at, "text", value);
    if (text.len > MFI_NAME_MAX)
        return refuse(r, at, MF_E_TOO_BIG, "expected at most %d bytes, got %zu", MFI_NAME_MAX, text.len);
    if (memchr(text.at, '\0', text.len) != NULL)
        return refuse(r, at, MF_E_INVALID, "expected text without NUL bytes");
    memcpy(out, text.at, text.len);
    out[text.len] = '\0';
    return true;
}

/* *out stays as it was where the key is missing. */
static bool read_number(reader *r, const parts *p, mfi_word word, uint64_t min, uint64_t max, const place *at, uint64_t *out)
{
    if (!has(p, word))
        return true;
    char expected[80];
    uint64_t n;
    if (mf_value_uint(p->at[word], &n) == MF_OK && n >= min && n <= max) {
        *out = n;
        return true;
    }
    snprintf(expected, sizeof expected, "an integer from %" PRIu64 " to %" PRIu64, min, max);
    return refuse_type(r, AT(at, word), expected, p->at[word]);
}

static bool read_bool(reader *r, const parts *p, mfi_word word, const place *at, bool *out)
{
    if (!has(p, word) || mf_value_bool(p->at[word], out) == MF_OK)
        return true;
    return refuse_type(r, AT(at, word), "true or false", p->at[word]);
}

/* A map of its own; NULL where the key is missing. */
static bool read_fields(reader *r, const parts *p, mfi_word word, const place *at, mf_message **out)
{
    *out = NULL;
    if (!has(p, word))
        return true;
    if (mf_value_type(p->at[word]) != MF_TYPE_MAP)
        return refuse_type(r, AT(at, word), "a map of fields", p->at[word]);
    mf_status st = mf_message_of_value(p->at[word], r->client->allocator, out, &r->why);
    return st == MF_OK || refuse(r, AT(at, word), st, "%s", r->why.text);
}

static bool read_options(reader *r, const parts *p, const place *at, mf_swarm_options *out)
{
    uint64_t concurrency = 0;
    *out = (mf_swarm_options){.struct_size = sizeof *out};
    if (!read_number(r, p, MFI_WORD_MAX_CONCURRENCY, 1, UINT32_MAX, at, &concurrency) ||
        !read_number(r, p, MFI_WORD_STOP_AFTER_FAILURES, 0, UINT64_MAX, at, &out->stop_after_failures))
        return false;
    out->max_concurrency = (unsigned)concurrency;
    return true;
}

/* The name for the next call; NULL: none was given. */
static bool read_name(reader *r, const parts *p, const place *at, const char **out)
{
    *out = has(p, MFI_WORD_NAME) ? r->name : NULL;
    return !has(p, MFI_WORD_NAME) || read_text(r, p->at[MFI_WORD_NAME], AT(at, MFI_WORD_NAME), r->name);
}

/* ---- flows --------------------------------------------------------------------------------------------------------- */

static mf_signature *read_flow(reader *r, mf_value value, const place *at);

typedef mf_signature *add_fn(mf_signature *to, mf_signature *child, mf_error *err);

/* Each flow of the list is read and added to `to`, which is consumed on failure. */
static mf_signature *read_list(reader *r, mf_signature *to, const parts *p, mfi_word word, const place *at, add_fn *add)
{
    const place list = {at, mfi_word_text(word), 0};
    if (to == NULL || !has(p, word))
        return to;
    if (mf_value_type(p->at[word]) != MF_TYPE_ARRAY) {
        refuse_type(r, &list, "an array of flows", p->at[word]);
        return mfi_signature_fail(to, NULL);
    }
    mf_iter items = mf_value_iter(p->at[word]);
    mf_value value;
    for (size_t i = 0; to != NULL && mf_iter_next(&items, NULL, &value); i++) {
        mf_signature *child = read_flow(r, value, ITEM_OF(&list, i));
        if (child == NULL)
            return mfi_signature_fail(to, NULL);
        to = made(r, ITEM_OF(&list, i), add(to, child, &r->why));
    }
    return to;
}

static mf_signature *read_task(reader *r, const parts *p, const place *at)
{
    mf_message *kwargs;
    if (!read_text(r, p->at[MFI_WORD_TASK], AT(at, MFI_WORD_TASK), r->name) ||
        !read_fields(r, p, MFI_WORD_KWARGS, at, &kwargs))
        return NULL;
    return made(r, at, mf_sign(r->client, r->name, kwargs, &r->why));
}

static mf_signature *read_chain(reader *r, const parts *p, const place *at)
{
    const char *name;
    mf_message *kwargs;
    if (mf_value_type(p->at[MFI_WORD_CHAIN]) == MF_TYPE_ARRAY && mf_value_count(p->at[MFI_WORD_CHAIN]) < 2) {
        refuse(r, AT(at, MFI_WORD_CHAIN), MF_E_INVALID, "expected two steps or more, got %zu",
               mf_value_count(p->at[MFI_WORD_CHAIN]));
        return NULL;
    }
    if (!read_name(r, p, at, &name) || !read_fields(r, p, MFI_WORD_KWARGS, at, &kwargs))
        return NULL;
    mf_signature *chain = made(r, at, mf_chain(r->client, name, kwargs, &r->why));
    return read_list(r, chain, p, MFI_WORD_CHAIN, at, mf_chain_add);
}

static mf_signature *read_swarm(reader *r, const parts *p, const place *at)
{
    const char *name;
    mf_swarm_options options;
    bool closed = true;
    if (!read_options(r, p, at, &options) || !read_bool(r, p, MFI_WORD_CLOSED, at, &closed) || !read_name(r, p, at, &name) ||
        !read_fields(r, p, MFI_WORD_KWARGS, at, &options.kwargs))
        return NULL;
    mf_signature *swarm = made(r, at, mf_swarm(r->client, name, &options, &r->why));
    swarm = read_list(r, swarm, p, MFI_WORD_SWARM, at, mf_swarm_add);
    return swarm != NULL && closed ? made(r, at, mf_swarm_close(swarm, &r->why)) : swarm;
}

static mf_signature *read_map(reader *r, const parts *p, const place *at)
{
    const char *name;
    mf_swarm_options options;
    mf_signature *each = read_flow(r, p->at[MFI_WORD_MAP], AT(at, MFI_WORD_MAP));
    if (each == NULL)
        return NULL;
    bool good = each->task != NULL ||
                refuse(r, AT(at, MFI_WORD_MAP), MF_E_UNSUPPORTED, "expected a task: each item of a map is the call of one");
    if (!good || !read_text(r, p->at[MFI_WORD_SOURCE], AT(at, MFI_WORD_SOURCE), r->source) ||
        !read_options(r, p, at, &options) || !read_name(r, p, at, &name) ||
        !read_fields(r, p, MFI_WORD_KWARGS, at, &options.kwargs))
        return mfi_signature_fail(each, NULL);
    return made(r, at, mf_map(r->client, name, r->source, each, &options, &r->why));
}

static mf_signature *read_flow(reader *r, mf_value value, const place *at)
{
    static mf_signature *(*const read[])(reader *, const parts *, const place *) = {
        [MFI_FORM_TASK] = read_task, [MFI_FORM_CHAIN] = read_chain, [MFI_FORM_SWARM] = read_swarm, [MFI_FORM_MAP] = read_map,
    };
    parts p;
    mfi_form form = MFI_FORM_TASK;     /* find_form writes it; gcc 12 at -O3 does not see that */
    if (!collect(r, value, at, &p) || !find_form(r, at, &p, &form) || !check_keys(r, at, form, &p))
        return NULL;
    mf_signature *sig = read[form](r, &p, at);
    sig = read_list(r, sig, &p, MFI_WORD_ON_SUCCESS, at, mf_on_success);
    return read_list(r, sig, &p, MFI_WORD_ON_ERROR, at, mf_on_error);
}

/* ---- the calls ----------------------------------------------------------------------------------------------------- */

static bool reader_init(reader *r, mf_client *client, const mf_message *message, mf_error *err)
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

static const place root = {NULL, "flow", 0};

mf_signature *mf_flow_from_message(mf_client *client, const mf_message *message, mf_error *err)
{
    reader r;
    return reader_init(&r, client, message, err) ? read_flow(&r, mf_message_value(message), &root) : NULL;
}

/* What stands beside the flow, or nothing where the document is the flow alone. */
static bool read_document(reader *r, mf_value document, mf_value *flow, mf_message **message)
{
    static const place top = {NULL, "document", 0};
    parts p;
    *message = NULL;
    *flow = document;
    if (mf_value_type(document) != MF_TYPE_MAP || !mf_value_get(document, MF_STR_LIT("flow"), flow)) {
        *flow = document;
        return true;
    }
    return collect(r, document, &top, &p) && check_keys(r, &top, MFI_FORM_DOCUMENT, &p) &&
           read_fields(r, &p, MFI_WORD_MESSAGE, &top, message);
}

/* The document's message, over which goes the caller's; both are consumed. */
static bool merge_messages(reader *r, mf_message **document, mf_message *caller)
{
    mf_message *both = NULL;
    mf_status st = mfi_check_kwargs("the message", &caller, r->err);
    if (st == MF_OK)
        st = mfi_message_merge(*document, caller, r->client->allocator, &r->client->limits, &both, r->err);
    mf_message_unref(*document);
    mf_message_unref(caller);
    *document = both;
    return st == MF_OK;
}

mf_run *mf_flow_start(mf_client *client, const mf_message *document, mf_message *message, mf_error *err)
{
    reader r;
    mf_value flow;
    mf_message *own;
    mf_run *run = NULL;
    if (!reader_init(&r, client, document, err) || !read_document(&r, mf_message_value(document), &flow, &own)) {
        mf_message_unref(message);
        return NULL;
    }
    if (merge_messages(&r, &own, message)) {
        mf_signature *sig = read_flow(&r, flow, &root);
        if (sig != NULL)
            run = mf_start(sig, mf_message_ref(own), err);
        mf_signature_destroy(sig);
    }
    mf_message_unref(own);
    return run;
}
