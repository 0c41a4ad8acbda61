/* The words in a node: what it is, its state, and for a container how far it is. */
#include "flow_draw.h"

#include <inttypes.h>
#include <stdio.h>

#include "verify.h"

#define NAME_SHOWN 60       /* bytes of a name or an error text */

/* At most NAME_SHOWN bytes, cut at a character; what cannot be seen or is no UTF-8 becomes a dot, and so a line end is one of
 * ours. */
static void add_words(mfi_drawer *d, mf_str text)
{
    size_t len = text.len < NAME_SHOWN ? text.len : NAME_SHOWN;
    while (len < text.len && len > 0 && ((unsigned char)text.at[len] & 0xc0) == 0x80)
        len--;
    for (size_t i = 0, good = 0; i < len; i++) {
        if (i >= good)
            good = i + mfi_utf8_valid(mf_str_of(text.at + i, len - i));
        unsigned char c = (unsigned char)text.at[i];
        bool seen = i < good && c >= 0x20 && c != 0x7f;
        mfi_flow_text_add(&d->graph.labels, seen ? mf_str_of(text.at + i, 1) : MF_STR_LIT("."));
    }
    if (len < text.len)
        mfi_flow_text_add(&d->graph.labels, MF_STR_LIT("..."));
}

static void add_error(mfi_drawer *d, const mf_message *error)
{
    mf_str type, text;
    if (mf_message_scan(error, NULL, "{s:S, s:S}", "type", &type, "text", &text) != MF_OK)
        return;
    mfi_flow_text_add(&d->graph.labels, MF_STR_LIT(": "));
    add_words(d, type);
    if (text.len > 0) {
        mfi_flow_text_add(&d->graph.labels, MF_STR_LIT(": "));
        add_words(d, text);
    }
}

static void add_count(mfi_drawer *d, uint64_t n, const char *word)
{
    if (n > 0)
        mfi_flow_text_printf(&d->graph.labels, ", %" PRIu64 " %s", n, word);
}

/* "2/3 done, 1 failed" after the state of a chain or swarm; of one that is not started, how it will run. */
static void add_progress(mfi_drawer *d, const mfi_flow_node *node)
{
    const mf_state *s = node->state;
    mfi_flow_text *label = &d->graph.labels;
    if (s != NULL) {
        uint64_t total = s->expected > s->total ? s->expected : s->total;
        if (total > 0)
            mfi_flow_text_printf(label, ", %" PRIu64 "/%" PRIu64 " done", s->done, total);
        add_count(d, s->failed, "failed");
        add_count(d, s->canceled, "canceled");
        if (node->kind == MF_KIND_SWARM && mf_signature_status_runs(s->status)) {
            add_count(d, s->running, "running");
            if (!node->closed && node->spec->source.len == 0)
                mfi_flow_text_add(label, MF_STR_LIT(", open"));
        }
    } else if (node->kind == MF_KIND_SWARM) {
        mfi_flow_text_printf(label, "\n%" PRIu32 " at once", node->spec->max_concurrency);
        if (node->spec->stop_after_failures > 0)
            mfi_flow_text_printf(label, ", stops after %" PRIu64 " failure%s", node->spec->stop_after_failures,
                                 node->spec->stop_after_failures == 1 ? "" : "s");
    }
}

static void add_title(mfi_drawer *d, const mfi_flow_node *node, const mfi_spot *at)
{
    mfi_flow_text *label = &d->graph.labels;
    if (at->numbered)
        mfi_flow_text_printf(label, "[%" PRIu64 "] ", at->index);
    if (node->kind == MF_KIND_TASK) {
        add_words(d, node->name);
        return;
    }
    const char *word = node->kind == MF_KIND_CHAIN ? "chain" : node->spec->source.len > 0 ? "map" : "swarm";
    mfi_flow_text_add(label, mf_cstr(word));
    if (!mf_str_eq(node->name, mf_cstr(node->kind == MF_KIND_CHAIN ? "chain" : "swarm"))) {
        mfi_flow_text_add(label, MF_STR_LIT(" "));
        add_words(d, node->name);
    }
    if (node->spec->source.len > 0) {
        mfi_flow_text_add(label, MF_STR_LIT(" over "));
        add_words(d, node->spec->source);
    }
}

static mfi_shade shade_of(const mfi_flow_node *node, const mfi_spot *at)
{
    if (at->stateless)
        return MFI_SHADE_NONE;
    if (node->state == NULL)
        return at->shade;
    return (mfi_shade)(MFI_SHADE_PENDING + (int)node->state->status);
}

static const mf_message *error_of(const mfi_flow_node *node, const mfi_spot *at)
{
    if (node->state == NULL)
        return at->error;
    return node->state->status == MF_STATUS_FAILED ? node->state->result : NULL;
}

uint32_t mfi_draw_node(mfi_drawer *d, const mfi_flow_node *node, const mfi_spot *at, bool container)
{
    mfi_shade shade = shade_of(node, at);
    bool never = shade == MFI_SHADE_PENDING && at->over;
    uint32_t n = mfi_graph_node_add(&d->graph, at->parent, container, shade);
    add_title(d, node, at);
    if (shade != MFI_SHADE_NONE) {
        mfi_flow_text_add(&d->graph.labels, MF_STR_LIT("\n"));
        mfi_flow_text_add(&d->graph.labels, never ? MF_STR_LIT("not run") : mf_cstr(mfi_shade_word(shade)));
    }
    if (node->kind != MF_KIND_TASK)
        add_progress(d, node);
    if (shade == MFI_SHADE_FAILED)
        add_error(d, error_of(node, at));
    mfi_graph_label_end(&d->graph);
    return n;
}

uint32_t mfi_draw_note(mfi_drawer *d, uint32_t parent, const char *fmt, ...)
{
    char text[200];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    uint32_t n = mfi_graph_node_add(&d->graph, parent, false, MFI_SHADE_NOTE);
    mfi_flow_text_add(&d->graph.labels, mf_cstr(text));
    mfi_graph_label_end(&d->graph);
    return n;
}

/* "480 more", and how they stand: what the head counts without those that are drawn. */
void mfi_draw_rest(mfi_drawer *d, const mfi_flow_node *swarm, uint32_t parent, uint64_t rest, const uint64_t drawn[MFI_SHADES])
{
    const mf_state *s = swarm->state;
    mfi_flow_text *label = &d->graph.labels;
    mfi_graph_node_add(&d->graph, parent, false, MFI_SHADE_NOTE);
    mfi_flow_text_printf(label, "%" PRIu64 " more", rest);
    if (s != NULL) {
        const struct { uint64_t all; mfi_shade shade; } counts[] = {
            {s->done, MFI_SHADE_DONE}, {s->failed, MFI_SHADE_FAILED}, {s->canceled, MFI_SHADE_CANCELED}, {s->running, MFI_SHADE_ACTIVE},
        };
        const char *between = "\n";
        for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
            if (counts[i].all <= drawn[counts[i].shade])     /* a record may be newer than the head that counts it */
                continue;
            mfi_flow_text_printf(label, "%s%" PRIu64 " %s", between, counts[i].all - drawn[counts[i].shade],
                                 mfi_shade_word(counts[i].shade));
            between = ", ";
        }
    }
    mfi_graph_label_end(&d->graph);
}
