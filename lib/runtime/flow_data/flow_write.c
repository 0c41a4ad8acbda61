/* A signature becomes the flow that it can be made from again. What is left at its default is left out, so that what was
 * written by hand comes back as it was.
 *
 * Recursion ends with the builder, which refuses to go deeper than MF_DEPTH_MAX: each level looks at it before it goes on. */
#include <mageflow/flow_data.h>

#include <inttypes.h>
#include <stdio.h>

#include "flow_form.h"
#include "flow_view.h"
#include "record.h"

#define PAGE 16      /* items looked at together, on the stack of each level */

typedef struct writer {
    mfi_flow_view view;
    mf_builder    builder;
    mf_status     status;      /* of the view */
    mf_error      why;
} writer;

static void write_node(writer *w, const mfi_flow_node *node);

static bool going(const writer *w)
{
    return w->status == MF_OK && mf_builder_status(&w->builder) == MF_OK;
}

static void write_key(writer *w, mfi_word word)
{
    mf_build_key(&w->builder, mfi_word_text(word));
}

static void write_record(writer *w, const mf_key *key)
{
    mfi_flow_node node;
    w->status = mfi_flow_view_find(&w->view, key, &node, &w->why);
    if (going(w))
        write_node(w, &node);
    mfi_flow_node_release(&node);
}

static void write_item(writer *w, const mf_item *item)
{
    mfi_flow_node node;
    if (mf_key_is_set(&item->spec->key)) {
        write_record(w, &item->spec->key);
        return;
    }
    mfi_flow_view_plain(item, &node);
    write_node(w, &node);
}

static void write_items(writer *w, const mfi_flow_node *node, mfi_word word)
{
    mf_item page[PAGE];
    size_t got = 0;
    write_key(w, word);
    mf_build_array_begin(&w->builder);
    for (uint64_t from = 0; going(w); from += got) {
        w->status = mfi_flow_view_items(&w->view, node, from, PAGE, page, &got, &w->why);
        if (w->status != MF_OK || got == 0)
            break;
        for (size_t i = 0; i < got; i++) {
            if (going(w))
                write_item(w, &page[i]);
            mfi_item_unref(&page[i]);
        }
    }
    mf_build_end(&w->builder);
}

/* One that is gone was removed at the end, since its branch was not taken; the list is left out where nothing stands in it. */
static void write_callbacks(writer *w, mfi_word word, const mf_key *keys, size_t n)
{
    bool begun = false;
    for (size_t i = 0; going(w) && i < n; i++) {
        if (mfi_flow_view_is_gone(&w->view, &keys[i]))
            continue;
        if (!begun) {
            write_key(w, word);
            mf_build_array_begin(&w->builder);
            begun = true;
        }
        write_record(w, &keys[i]);
    }
    if (begun)
        mf_build_end(&w->builder);
}

/* The default name of a container is its kind. */
static void write_name(writer *w, const mfi_flow_node *node, const char *fallback)
{
    if (mf_str_eq(node->name, mf_cstr(fallback)))
        return;
    write_key(w, MFI_WORD_NAME);
    mf_build_str(&w->builder, node->name);
}

static void write_kwargs(writer *w, const mfi_flow_node *node)
{
    if (node->kwargs == NULL || mf_value_count(mf_message_value(node->kwargs)) == 0)
        return;
    write_key(w, MFI_WORD_KWARGS);
    mf_build_message(&w->builder, node->kwargs);
}

static void write_number(writer *w, mfi_word word, uint64_t n, uint64_t fallback)
{
    if (n == fallback)
        return;
    write_key(w, word);
    mf_build_uint(&w->builder, n);
}

static void write_flag(writer *w, mfi_word word, bool flag, bool fallback)
{
    if (flag == fallback)
        return;
    write_key(w, word);
    mf_build_bool(&w->builder, flag);
}

/* In the largest unit that it is a whole number of. */
static void write_span(writer *w, mfi_word word, int64_t ms, int64_t fallback)
{
    static const struct { const char *unit; int64_t ms; } units[] = {
        {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
    };
    char text[32] = "forever";
    if (ms == fallback)
        return;
    size_t u = 0;
    while (ms > 0 && ms % units[u].ms != 0)
        u++;
    if (ms > 0)
        snprintf(text, sizeof text, "%" PRId64 "%s", ms / units[u].ms, units[u].unit);
    write_key(w, word);
    mf_build_str(&w->builder, mf_cstr(text));
}

static void write_times(writer *w, const mfi_flow_node *node)
{
    const mf_spec *spec = node->spec;
    if (spec == NULL || !mf_key_is_set(&spec->key))
        return;     /* a plain call has none */
    write_span(w, MFI_WORD_TTL, spec->ttl_ms, w->view.client->ttl_ms[spec->kind]);
    write_span(w, MFI_WORD_KEEP, spec->keep_ms, w->view.client->keep_ms[spec->kind]);
    write_span(w, MFI_WORD_STAGGER, spec->stagger_ms, 0);
}

static void write_swarm(writer *w, const mfi_flow_node *node)
{
    if (node->spec->source.len > 0) {
        write_key(w, MFI_WORD_MAP);
        write_item(w, &node->spec->each);
        write_key(w, MFI_WORD_SOURCE);
        mf_build_str(&w->builder, node->spec->source);
    } else {
        write_items(w, node, MFI_WORD_SWARM);
    }
    write_name(w, node, "swarm");
    write_kwargs(w, node);
    write_number(w, MFI_WORD_MAX_CONCURRENCY, node->spec->max_concurrency, MFI_DEFAULT_CONCURRENCY);
    write_number(w, MFI_WORD_STOP_AFTER_FAILURES, node->spec->stop_after_failures, 0);
    write_number(w, MFI_WORD_MAX_ITEMS, node->spec->max_items, 0);
    write_flag(w, MFI_WORD_CLOSE_ON_MAX, node->spec->close_on_max, false);
    write_flag(w, MFI_WORD_CLOSED, node->closed || node->spec->source.len > 0, true);
    write_flag(w, MFI_WORD_MESSAGE_AS_RESULT, node->spec->message_as_result, false);
}

static void write_node(writer *w, const mfi_flow_node *node)
{
    mf_build_map_begin(&w->builder);
    if (node->kind == MF_KIND_CHAIN) {
        write_items(w, node, MFI_WORD_CHAIN);
        write_name(w, node, "chain");
        write_kwargs(w, node);
    } else if (node->kind == MF_KIND_SWARM) {
        write_swarm(w, node);
    } else {
        write_key(w, MFI_WORD_TASK);
        mf_build_str(&w->builder, node->name);
        write_kwargs(w, node);
    }
    write_times(w, node);
    write_callbacks(w, MFI_WORD_ON_SUCCESS, node->on_success, node->on_success_count);
    write_callbacks(w, MFI_WORD_ON_ERROR, node->on_error, node->on_error_count);
    mf_build_end(&w->builder);
}

/* ---- the calls ----------------------------------------------------------------------------------------------------- */

static void writer_init(writer *w, mf_client *client)
{
    mf_limits limits = client->limits;
    limits.depth = MF_DEPTH_MAX;
    w->status = MF_OK;
    mf_builder_init(&w->builder, client->allocator, &limits);
}

static mf_status writer_finish(writer *w, mf_message **out, mf_error *err)
{
    mf_status st = w->status;
    if (st != MF_OK)
        mf_fail(err, st, "%s", w->why.text);
    else
        st = mf_builder_finish(&w->builder, out, err);
    mf_builder_fini(&w->builder);
    mfi_flow_view_end(&w->view);
    return st;
}

mf_status mf_flow_to_message(const mf_signature *sig, mf_message **out, mf_error *err)
{
    writer w;
    mfi_flow_node root;
    if (sig == NULL)
        return mf_fail(err, MF_E_INVALID, "flow: expected a signature, got NULL");
    mf_status st = mfi_client_check(sig->client, err);
    if (st != MF_OK)
        return st;
    writer_init(&w, sig->client);
    mfi_flow_view_draft(&w.view, sig);
    if (sig->stored) {      /* nothing of it is here any more */
        mf_key key = sig->own.spec->key;
        mfi_flow_view_end(&w.view);
        mf_builder_fini(&w.builder);
        return mf_flow_read(sig->client, &key, out, err);
    }
    mfi_flow_view_root(&w.view, &root);
    write_node(&w, &root);
    return writer_finish(&w, out, err);
}

mf_status mf_flow_read(mf_client *client, const mf_key *key, mf_message **out, mf_error *err)
{
    writer w;
    mf_status st = mfi_client_check(client, err);
    if (st != MF_OK)
        return st;
    writer_init(&w, client);
    mfi_flow_view_stored(&w.view, client);
    write_record(&w, key);
    return writer_finish(&w, out, err);
}
