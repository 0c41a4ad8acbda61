/* From a flow to the model of its picture.
 *
 * The tree of containers is walked depth first, callbacks afterwards, in the order in which they were met, as they stand
 * outside of what they follow. What is walked is bounded (NODES_MAX): beyond it a container is drawn as one node and callbacks
 * are left out, and the picture says so. */
#include <mageflow/flow_data.h>

#include <inttypes.h>
#include <stdio.h>

#include "flow_graph.h"
#include "flow_view.h"
#include "memory.h"
#include "record.h"
#include "verify.h"

#define NODES_MAX   300      /* more than anybody reads; Mermaid refuses 500 edges or 50,000 characters */
#define WHOLE_MAX   12       /* items of a container that are all drawn */
#define FIRST       3        /* of a longer one: so many from its front */
#define FAILED      3        /* and so many that failed */
#define PICKS_MAX   (FIRST + FAILED + 2)
#define LOOKED_MAX  100000   /* outcomes that are looked at for failed ones */
#define PAGE        64
#define DEPTH_LIMIT 40       /* containers within each other, if a store should hold more than can be made */
#define NAME_SHOWN  60       /* bytes of a name or an error text */

/* A callback that was met and is still to be drawn. */
typedef struct follower {
    mf_key        key;
    uint32_t      of;
    mfi_edge_kind kind;
    bool          over;         /* its turn will not come */
    bool          stateless;
} follower;

typedef struct drawer {
    mfi_flow_view view;
    mfi_graph     graph;
    follower     *followers;
    size_t        follower_count, follower_capacity;
    bool          cut;          /* something was left out for want of room */
    mf_error     *err;
} drawer;

/* How something stands where it is drawn. */
typedef struct spot {
    uint32_t          parent;
    unsigned          depth;
    bool              numbered;     /* tell its place: */
    uint64_t          index;
    bool              over;         /* what it stands in has ended: what is pending will not run */
    bool              stateless;    /* stands for many: has no state of its own */
    mfi_shade         shade;        /* of a plain item */
    const mf_message *error;        /* of a plain item that failed; may be NULL */
} spot;

static mf_status draw(drawer *d, const mfi_flow_node *node, const spot *at, uint32_t *out);

static bool is_full(const drawer *d)
{
    return d->graph.node_count >= NODES_MAX;
}

static mf_status no_memory(drawer *d)
{
    return mf_fail(d->err, MF_E_NOMEM, "graph: no memory");
}

/* ---- labels -------------------------------------------------------------------------------------------------------- */

/* At most NAME_SHOWN bytes, cut at a character; what cannot be seen or is no UTF-8 becomes a dot, and so a line end is one of
 * ours. */
static void add_words(drawer *d, mf_str text)
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

static void add_error(drawer *d, const mf_message *error)
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

static void add_count(drawer *d, uint64_t n, const char *word)
{
    if (n > 0)
        mfi_flow_text_printf(&d->graph.labels, ", %" PRIu64 " %s", n, word);
}

/* "2/3 done, 1 failed" after the state of a chain or swarm; of one that is not started, how it will run. */
static void add_progress(drawer *d, const mfi_flow_node *node)
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
            mfi_flow_text_printf(label, ", stops after %" PRIu64 " failures", node->spec->stop_after_failures);
    }
}

static void add_title(drawer *d, const mfi_flow_node *node, const spot *at)
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

static mfi_shade shade_of(const mfi_flow_node *node, const spot *at)
{
    if (at->stateless)
        return MFI_SHADE_NONE;
    if (node->state == NULL)
        return at->shade;
    return (mfi_shade)(MFI_SHADE_PENDING + (int)node->state->status);
}

static const mf_message *error_of(const mfi_flow_node *node, const spot *at)
{
    if (node->state == NULL)
        return at->error;
    return node->state->status == MF_STATUS_FAILED ? node->state->result : NULL;
}

static uint32_t add_labeled(drawer *d, const mfi_flow_node *node, const spot *at, bool container)
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

static uint32_t MF_PRINTF(3, 4) add_note(drawer *d, uint32_t parent, const char *fmt, ...)
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

/* ---- which items --------------------------------------------------------------------------------------------------- */

typedef struct picks {
    uint64_t at[PICKS_MAX > WHOLE_MAX ? PICKS_MAX : WHOLE_MAX];    /* ascending */
    size_t   n;
} picks;

static void pick(picks *p, uint64_t index)
{
    size_t i = p->n;
    while (i > 0 && p->at[i - 1] > index)
        i--;
    if (i > 0 && p->at[i - 1] == index)
        return;
    memmove(&p->at[i + 1], &p->at[i], (p->n - i) * sizeof p->at[0]);
    p->at[i] = index;
    p->n++;
}

static mf_status pick_failed(drawer *d, const mfi_flow_node *node, picks *p)
{
    mf_outcome page[PAGE];
    size_t got = 0;
    uint64_t left = node->state->failed < FAILED ? node->state->failed : FAILED;
    for (uint64_t from = 0; left > 0 && from < LOOKED_MAX; from += got) {
        mf_status st = mfi_flow_view_outcomes(&d->view, node, from, PAGE, page, &got, d->err);
        if (st != MF_OK || got == 0)
            return st;
        for (size_t i = 0; i < got; i++) {
            if (page[i].status == MF_STATUS_FAILED && left > 0) {
                pick(p, page[i].index);
                left--;
            }
            mf_message_unref(page[i].value);
        }
    }
    return MF_OK;
}

static mf_status choose(drawer *d, const mfi_flow_node *node, picks *p)
{
    bool map = node->spec->source.len > 0;
    p->n = 0;
    for (uint64_t i = 0; !map && i < node->items && i < (node->items <= WHOLE_MAX ? WHOLE_MAX : FIRST); i++)
        pick(p, i);
    if ((!map && node->items <= WHOLE_MAX) || node->items == 0)
        return MF_OK;
    if (node->kind == MF_KIND_CHAIN) {
        if (node->state != NULL && node->state->next > 0)
            pick(p, node->state->next - 1);
        pick(p, node->items - 1);
        return MF_OK;
    }
    return node->state != NULL ? pick_failed(d, node, p) : MF_OK;
}

/* ---- items --------------------------------------------------------------------------------------------------------- */

/* A chain keeps no outcomes: its counters tell. */
static void look_at_step(const mfi_flow_node *chain, spot *at)
{
    const mf_state *s = chain->state;
    if (at->index < s->done)
        at->shade = MFI_SHADE_DONE;
    else if (at->index == s->done && s->failed > 0)
        at->shade = MFI_SHADE_FAILED, at->error = s->result;
    else if (at->index == s->done && s->canceled > 0)
        at->shade = MFI_SHADE_CANCELED;
    else
        at->shade = at->index < s->next ? MFI_SHADE_ACTIVE : MFI_SHADE_PENDING;
}

/* The state of a plain item; *value is what at->error points to, for the caller to unref. */
static mf_status look_at_item(drawer *d, const mfi_flow_node *in, spot *at, mf_message **value)
{
    mf_outcome outcome = {0};
    size_t got;
    *value = NULL;
    if (in->state == NULL)
        return MF_OK;
    if (in->kind == MF_KIND_CHAIN) {
        look_at_step(in, at);
        return MF_OK;
    }
    mf_status st = mfi_flow_view_outcomes(&d->view, in, at->index, 1, &outcome, &got, d->err);
    if (st != MF_OK)
        return st;
    if (got > 0 && outcome.status != MF_STATUS_PENDING)
        at->shade = (mfi_shade)(MFI_SHADE_PENDING + (int)outcome.status);
    else
        at->shade = at->index < in->state->next ? MFI_SHADE_ACTIVE : MFI_SHADE_PENDING;
    *value = outcome.value;
    at->error = outcome.value;
    return MF_OK;
}

static mf_status draw_key(drawer *d, const mf_key *key, const spot *at, uint32_t *out)
{
    mfi_flow_node node;
    mf_status st = mfi_flow_view_find(&d->view, key, &node, d->err);
    if (st == MF_OK)
        st = draw(d, &node, at, out);
    else if (st == MF_E_NOT_FOUND) {
        *out = add_note(d, at->parent, "%s\nis gone", key->text);
        st = MF_OK;
    }
    mfi_flow_node_release(&node);
    return st;
}

static mf_status draw_item(drawer *d, const mfi_flow_node *in, const mf_item *item, spot *at, uint32_t *out)
{
    mfi_flow_node node;
    mf_message *value;
    if (mf_key_is_set(&item->spec->key))
        return draw_key(d, &item->spec->key, at, out);
    mf_status st = look_at_item(d, in, at, &value);
    if (st != MF_OK)
        return st;
    mfi_flow_view_plain(item, &node);
    st = draw(d, &node, at, out);
    mf_message_unref(value);
    return st;
}

/* Item `at->index` of a container. A drawn item of a map is the call of its task. */
static mf_status draw_index(drawer *d, const mfi_flow_node *in, spot *at, uint32_t *out)
{
    mf_item item;
    size_t got = 0;
    if (in->spec->source.len > 0) {
        mf_spec plain = *in->spec->each.spec;
        plain.on_success_count = plain.on_error_count = 0;      /* they hang on the node that stands for all */
        return draw_item(d, in, &(mf_item){.spec = &plain}, at, out);
    }
    mf_status st = mfi_flow_view_items(&d->view, in, at->index, 1, &item, &got, d->err);
    if (st != MF_OK)
        return st;
    if (got == 0) {
        *out = add_note(d, at->parent, "[%" PRIu64 "]\nis gone", at->index);
        return MF_OK;
    }
    st = draw_item(d, in, &item, at, out);
    mfi_item_unref(&item);
    return st;
}

/* ---- containers ---------------------------------------------------------------------------------------------------- */

/* "480 more", and how they stand: what the head counts without those that are drawn. */
static void note_rest(drawer *d, const mfi_flow_node *swarm, uint32_t parent, uint64_t rest, const uint64_t drawn[MFI_SHADES])
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

static mf_status draw_each(drawer *d, const mfi_flow_node *map, uint32_t parent, unsigned depth)
{
    mfi_flow_node node;
    uint32_t n;
    mfi_flow_view_plain(&map->spec->each, &node);
    return draw(d, &node, &(spot){.parent = parent, .depth = depth + 1, .stateless = true}, &n);
}

/* Steps with arrows between them; where some are left out, their number stands in their place. */
static mf_status draw_steps(drawer *d, const mfi_flow_node *chain, const picks *p, spot *at)
{
    uint32_t before = 0, n = 0;
    uint64_t expected = 0;
    for (size_t i = 0; i < p->n; i++) {
        at->index = p->at[i];
        if (at->index > expected) {
            n = add_note(d, at->parent, "%" PRIu64 " more", at->index - expected);
            mfi_graph_edge_add(&d->graph, before, n, MFI_EDGE_NEXT);
            before = n;
        }
        mf_status st = draw_index(d, chain, at, &n);
        if (st != MF_OK)
            return st;
        if (i > 0)
            mfi_graph_edge_add(&d->graph, before, n, MFI_EDGE_NEXT);
        before = n;
        expected = at->index + 1;
    }
    return MF_OK;
}

static mf_status draw_swarm_items(drawer *d, const mfi_flow_node *swarm, const picks *p, spot *at)
{
    uint64_t drawn[MFI_SHADES] = {0};
    uint32_t n;
    for (size_t i = 0; i < p->n; i++) {
        at->index = p->at[i];
        mf_status st = draw_index(d, swarm, at, &n);
        if (st != MF_OK)
            return st;
        drawn[d->graph.nodes[n].shade]++;
    }
    if (swarm->items > p->n)
        note_rest(d, swarm, at->parent, swarm->items - p->n, drawn);
    else if (swarm->items == 0 && swarm->spec->source.len == 0)
        add_note(d, at->parent, "no items");
    return MF_OK;
}

static mf_status draw_inside(drawer *d, const mfi_flow_node *node, const spot *at, uint32_t number)
{
    picks p;
    mf_status st = choose(d, node, &p);
    bool over = at->over || (node->state != NULL && mf_signature_status_ended(node->state->status));
    spot inside = {.parent = number, .depth = at->depth + 1, .over = over, .stateless = at->stateless,
                   .numbered = node->kind == MF_KIND_SWARM || node->items > WHOLE_MAX};
    if (st == MF_OK && node->spec->source.len > 0)
        st = draw_each(d, node, number, at->depth);
    if (st != MF_OK)
        return st;
    return node->kind == MF_KIND_CHAIN ? draw_steps(d, node, &p, &inside) : draw_swarm_items(d, node, &p, &inside);
}

/* Edges of a chain hold on to its ends. Those of a swarm begin at the end of its longest item, so that what comes next is drawn
 * behind all of it, and end in its middle. */
static void find_ends(drawer *d, const mfi_flow_node *node, uint32_t number)
{
    mfi_graph_node *nodes = d->graph.nodes, *self = &nodes[number];
    uint32_t children = 0, seen = 0;
    for (uint32_t n = number + 1; n < d->graph.node_count; n++)
        children += nodes[n].parent == number;
    self->length = 0;
    for (uint32_t n = number + 1; n < d->graph.node_count; n++) {
        if (nodes[n].parent != number)
            continue;
        bool chain = node->kind == MF_KIND_CHAIN, middle = seen == (children - 1) / 2;
        if (chain ? seen == 0 : middle)
            self->first = nodes[n].first;
        if (chain || nodes[n].length > self->length || (middle && nodes[n].length == self->length))
            self->last = nodes[n].last;
        self->length = chain ? self->length + nodes[n].length
                             : nodes[n].length > self->length ? nodes[n].length : self->length;
        seen++;
    }
}

/* ---- callbacks ----------------------------------------------------------------------------------------------------- */

static bool follow(drawer *d, const mfi_flow_node *node, const spot *at, uint32_t of, bool success)
{
    const mf_key *keys = success ? node->on_success : node->on_error;
    size_t n = success ? node->on_success_count : node->on_error_count;
    bool ended = node->state != NULL && mf_signature_status_ended(node->state->status);
    bool over = ended ? node->state->status != (success ? MF_STATUS_DONE : MF_STATUS_FAILED) : at->over;
    if (!mfi_array_reserve(d->graph.allocator, (void **)&d->followers, &d->follower_capacity, d->follower_count + n,
                           sizeof *d->followers))
        return n == 0;
    for (size_t i = 0; i < n; i++)
        d->followers[d->follower_count++] = (follower){
            .key = keys[i], .of = of, .kind = success ? MFI_EDGE_SUCCESS : MFI_EDGE_ERROR, .over = over,
            .stateless = at->stateless,
        };
    return true;
}

static bool is_gone(drawer *d, const mf_key *key)
{
    mfi_flow_node node;
    mf_status st = mfi_flow_view_find(&d->view, key, &node, NULL);
    mfi_flow_node_release(&node);
    return st == MF_E_NOT_FOUND;
}

static mf_status draw_followers(drawer *d)
{
    mf_status st = MF_OK;
    for (size_t i = 0; st == MF_OK && i < d->follower_count; i++) {
        follower f = d->followers[i];       /* drawing it may move the array */
        uint32_t n;
        if (f.over && is_gone(d, &f.key))
            continue;                       /* the branch that was not taken may be removed at the end */
        if (is_full(d)) {
            d->cut = true;
            break;
        }
        st = draw_key(d, &f.key, &(spot){.parent = MFI_GRAPH_TOP, .over = f.over, .stateless = f.stateless}, &n);
        if (st == MF_OK)
            mfi_graph_edge_add(&d->graph, f.of, n, f.kind);
    }
    return st;
}

/* ---- anything ------------------------------------------------------------------------------------------------------ */

/* Recursion is bounded by DEPTH_LIMIT. */
static mf_status draw(drawer *d, const mfi_flow_node *node, const spot *at, uint32_t *out)
{
    bool container = node->kind != MF_KIND_TASK;
    if (container && (is_full(d) || at->depth >= DEPTH_LIMIT)) {
        container = false;
        d->cut = true;
    }
    *out = add_labeled(d, node, at, container);
    if (container && !d->graph.no_memory) {
        mf_status st = draw_inside(d, node, at, *out);
        if (st != MF_OK)
            return st;
        if (!d->graph.no_memory)
            find_ends(d, node, *out);
    }
    if (!follow(d, node, at, *out, true) || !follow(d, node, at, *out, false) || d->graph.no_memory)
        return no_memory(d);
    return MF_OK;
}

static mf_status write_graph(drawer *d, mf_graph_format format, char **text)
{
    if (d->cut)
        add_note(d, MFI_GRAPH_TOP, "more than %d nodes:\nthe rest is left out", NODES_MAX);
    mf_status st = d->graph.no_memory                ? MF_E_NOMEM
                   : format == MF_GRAPH_DOT          ? mfi_graph_dot(&d->graph, text)
                                                     : mfi_graph_mermaid(&d->graph, text);
    return st == MF_OK ? MF_OK : no_memory(d);
}

static mf_status make_picture(drawer *d, const mfi_flow_node *root, mf_graph_format format, char **text)
{
    uint32_t n;
    mf_status st = draw(d, root, &(spot){.parent = MFI_GRAPH_TOP}, &n);
    if (st == MF_OK)
        st = draw_followers(d);
    return st == MF_OK ? write_graph(d, format, text) : st;
}

/* ---- the calls ----------------------------------------------------------------------------------------------------- */

static mf_status drawer_init(drawer *d, mf_client *client, mf_graph_format format, mf_error *err)
{
    *d = (drawer){.err = err};
    mfi_graph_init(&d->graph, client->allocator);
    mf_status st = mfi_client_check(client, err);
    if (st == MF_OK && format != MF_GRAPH_DOT && format != MF_GRAPH_MERMAID)
        st = mf_fail(err, MF_E_INVALID, "graph: expected MF_GRAPH_DOT or MF_GRAPH_MERMAID, got format %d", (int)format);
    return st;
}

static void drawer_fini(drawer *d)
{
    mfi_release(d->graph.allocator, d->followers, d->follower_capacity * sizeof *d->followers);
    mfi_graph_fini(&d->graph);
}

mf_status mf_flow_graph(mf_client *client, const mf_key *key, mf_graph_format format, char **text, mf_error *err)
{
    drawer d;
    mfi_flow_node root;
    mf_status st = drawer_init(&d, client, format, err);
    if (st != MF_OK)
        return st;
    mfi_flow_view_stored(&d.view, client);
    st = mfi_flow_view_find(&d.view, key, &root, err);
    if (st == MF_OK)
        st = make_picture(&d, &root, format, text);
    mfi_flow_node_release(&root);
    drawer_fini(&d);
    return st;
}

mf_status mf_signature_graph(const mf_signature *sig, mf_graph_format format, char **text, mf_error *err)
{
    drawer d;
    mfi_flow_node root;
    if (sig == NULL)
        return mf_fail(err, MF_E_INVALID, "graph: expected a signature, got NULL");
    mf_status st = drawer_init(&d, sig->client, format, err);
    if (st != MF_OK)
        return st;
    mfi_flow_view_draft(&d.view, sig);
    mfi_flow_view_root(&d.view, &root);
    if (sig->started)
        st = mf_fail(err, MF_E_STATE, "graph: it was started already; mf_flow_graph draws it from the store");
    else
        st = make_picture(&d, &root, format, text);
    mfi_flow_view_end(&d.view);
    drawer_fini(&d);
    return st;
}
