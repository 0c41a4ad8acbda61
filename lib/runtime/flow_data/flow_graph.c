/* From a flow to the model of its picture.
 *
 * The tree of containers is walked depth first, callbacks afterwards, in the order in which they were met, as they stand
 * outside of what they follow. What is walked is bounded (NODES_MAX): beyond it a container is drawn as one node and callbacks
 * are left out, and the picture says so. */
#include <mageflow/flow_data.h>

#include "flow_draw.h"

#include <inttypes.h>

#include "memory.h"
#include "record.h"

#define NODES_MAX   300      /* more than anybody reads; Mermaid refuses 500 edges or 50,000 characters */
#define DEPTH_LIMIT 40       /* containers within each other, if a store should hold more than can be made */

static mf_status draw(mfi_drawer *d, const mfi_flow_node *node, const mfi_spot *at, uint32_t *out);

static bool is_full(const mfi_drawer *d)
{
    return d->graph.node_count >= NODES_MAX;
}

static mf_status no_memory(mfi_drawer *d)
{
    return mf_fail(d->err, MF_E_NOMEM, "graph: no memory");
}

/* ---- items --------------------------------------------------------------------------------------------------------- */

static mf_status draw_key(mfi_drawer *d, const mf_key *key, const mfi_spot *at, uint32_t *out)
{
    mfi_flow_node node;
    mf_status st = mfi_flow_view_find(&d->view, key, &node, d->err);
    if (st == MF_OK)
        st = draw(d, &node, at, out);
    else if (st == MF_E_NOT_FOUND) {
        *out = mfi_draw_note(d, at->parent, "%s\nis gone", key->text);
        st = MF_OK;
    }
    mfi_flow_node_release(&node);
    return st;
}

static mf_status draw_item(mfi_drawer *d, const mfi_flow_node *in, const mf_item *item, mfi_spot *at, uint32_t *out)
{
    mfi_flow_node node;
    mf_message *value;
    if (mf_key_is_set(&item->spec->key))
        return draw_key(d, &item->spec->key, at, out);
    mf_status st = mfi_draw_look_at(d, in, at, &value);
    if (st != MF_OK)
        return st;
    mfi_flow_view_plain(item, &node);
    st = draw(d, &node, at, out);
    mf_message_unref(value);
    return st;
}

/* Item `at->index` of a container. A drawn item of a map is the call of its task. */
static mf_status draw_index(mfi_drawer *d, const mfi_flow_node *in, mfi_spot *at, uint32_t *out)
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
        *out = mfi_draw_note(d, at->parent, "[%" PRIu64 "]\nis gone", at->index);
        return MF_OK;
    }
    st = draw_item(d, in, &item, at, out);
    mfi_item_unref(&item);
    return st;
}

/* ---- containers ---------------------------------------------------------------------------------------------------- */

static mf_status draw_each(mfi_drawer *d, const mfi_flow_node *map, uint32_t parent, unsigned depth)
{
    mfi_flow_node node;
    uint32_t n;
    mfi_flow_view_plain(&map->spec->each, &node);
    return draw(d, &node, &(mfi_spot){.parent = parent, .depth = depth + 1, .stateless = true}, &n);
}

/* Steps with arrows between them; where some are left out, their number stands in their place. */
static mf_status draw_steps(mfi_drawer *d, const mfi_flow_node *chain, const mfi_picks *p, mfi_spot *at)
{
    uint32_t before = 0, n = 0;
    uint64_t expected = 0;
    for (size_t i = 0; i < p->n; i++) {
        at->index = p->at[i];
        if (at->index > expected) {
            n = mfi_draw_note(d, at->parent, "%" PRIu64 " more", at->index - expected);
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

static mf_status draw_swarm_items(mfi_drawer *d, const mfi_flow_node *swarm, const mfi_picks *p, mfi_spot *at)
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
        mfi_draw_rest(d, swarm, at->parent, swarm->items - p->n, drawn);
    else if (swarm->items == 0 && swarm->spec->source.len == 0)
        mfi_draw_note(d, at->parent, "no items");
    return MF_OK;
}

static mf_status draw_inside(mfi_drawer *d, const mfi_flow_node *node, const mfi_spot *at, uint32_t number)
{
    mfi_picks p;
    mf_status st = mfi_draw_choose(d, node, &p);
    bool over = at->over || (node->state != NULL && mf_signature_status_ended(node->state->status));
    mfi_spot inside = {.parent = number, .depth = at->depth + 1, .over = over, .stateless = at->stateless,
                   .numbered = node->kind == MF_KIND_SWARM || node->items > MFI_DRAW_WHOLE};
    if (st == MF_OK && node->spec->source.len > 0)
        st = draw_each(d, node, number, at->depth);
    if (st != MF_OK)
        return st;
    return node->kind == MF_KIND_CHAIN ? draw_steps(d, node, &p, &inside) : draw_swarm_items(d, node, &p, &inside);
}

/* Edges of a chain hold on to its ends. Those of a swarm begin at the end of its longest item, so that what comes next is drawn
 * behind all of it, and end in its middle. */
static void find_ends(mfi_drawer *d, const mfi_flow_node *node, uint32_t number)
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

static bool follow(mfi_drawer *d, const mfi_flow_node *node, const mfi_spot *at, uint32_t of, bool success)
{
    const mf_key *keys = success ? node->on_success : node->on_error;
    size_t n = success ? node->on_success_count : node->on_error_count;
    bool ended = node->state != NULL && mf_signature_status_ended(node->state->status);
    bool over = ended ? node->state->status != (success ? MF_STATUS_DONE : MF_STATUS_FAILED) : at->over;
    if (!mfi_array_reserve(d->graph.allocator, (void **)&d->followers, &d->follower_capacity, d->follower_count + n,
                           sizeof *d->followers))
        return n == 0;
    for (size_t i = 0; i < n; i++)
        d->followers[d->follower_count++] = (mfi_follower){
            .key = keys[i], .of = of, .kind = success ? MFI_EDGE_SUCCESS : MFI_EDGE_ERROR, .over = over,
            .stateless = at->stateless,
        };
    return true;
}

static mf_status draw_followers(mfi_drawer *d)
{
    mf_status st = MF_OK;
    for (size_t i = 0; st == MF_OK && i < d->follower_count; i++) {
        mfi_follower f = d->followers[i];       /* drawing it may move the array */
        uint32_t n;
        if (f.over && mfi_flow_view_is_gone(&d->view, &f.key))
            continue;                       /* the branch that was not taken may be removed at the end */
        if (is_full(d)) {
            d->cut = true;
            break;
        }
        st = draw_key(d, &f.key, &(mfi_spot){.parent = MFI_GRAPH_TOP, .over = f.over, .stateless = f.stateless}, &n);
        if (st == MF_OK)
            mfi_graph_edge_add(&d->graph, f.of, n, f.kind);
    }
    return st;
}

/* ---- anything ------------------------------------------------------------------------------------------------------ */

/* Recursion is bounded by DEPTH_LIMIT. */
static mf_status draw(mfi_drawer *d, const mfi_flow_node *node, const mfi_spot *at, uint32_t *out)
{
    bool container = node->kind != MF_KIND_TASK;
    if (container && (is_full(d) || at->depth >= DEPTH_LIMIT)) {
        container = false;
        d->cut = true;
    }
    *out = mfi_draw_node(d, node, at, container);
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

static mf_status write_graph(mfi_drawer *d, mf_graph_format format, char **text)
{
    if (d->cut)
        mfi_draw_note(d, MFI_GRAPH_TOP, "more than %d nodes:\nthe rest is left out", NODES_MAX);
    mf_status st = d->graph.no_memory                ? MF_E_NOMEM
                   : format == MF_GRAPH_DOT          ? mfi_graph_dot(&d->graph, text)
                                                     : mfi_graph_mermaid(&d->graph, text);
    return st == MF_OK ? MF_OK : no_memory(d);
}

static mf_status make_picture(mfi_drawer *d, const mfi_flow_node *root, mf_graph_format format, char **text)
{
    uint32_t n;
    mf_status st = draw(d, root, &(mfi_spot){.parent = MFI_GRAPH_TOP}, &n);
    if (st == MF_OK)
        st = draw_followers(d);
    return st == MF_OK ? write_graph(d, format, text) : st;
}

/* ---- the calls ----------------------------------------------------------------------------------------------------- */

static mf_status drawer_init(mfi_drawer *d, mf_client *client, mf_graph_format format, mf_error *err)
{
    *d = (mfi_drawer){.err = err};
    mfi_graph_init(&d->graph, client->allocator);
    mf_status st = mfi_client_check(client, err);
    if (st == MF_OK && format != MF_GRAPH_DOT && format != MF_GRAPH_MERMAID)
        st = mf_fail(err, MF_E_INVALID, "graph: expected MF_GRAPH_DOT or MF_GRAPH_MERMAID, got format %d", (int)format);
    return st;
}

static void drawer_fini(mfi_drawer *d)
{
    mfi_release(d->graph.allocator, d->followers, d->follower_capacity * sizeof *d->followers);
    mfi_graph_fini(&d->graph);
}

mf_status mf_flow_graph(mf_client *client, const mf_key *key, mf_graph_format format, char **text, mf_error *err)
{
    mfi_drawer d;
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
    mfi_drawer d;
    mfi_flow_node root;
    if (sig == NULL)
        return mf_fail(err, MF_E_INVALID, "graph: expected a signature, got NULL");
    mf_status st = drawer_init(&d, sig->client, format, err);
    if (st != MF_OK)
        return st;
    mfi_flow_view_draft(&d.view, sig);
    if (sig->stored) {      /* nothing of it is here any more */
        mf_key key = sig->own.spec->key;
        mfi_flow_view_end(&d.view);
        return mf_flow_graph(sig->client, &key, format, text, err);
    }
    mfi_flow_view_root(&d.view, &root);
    st = make_picture(&d, &root, format, text);
    mfi_flow_view_end(&d.view);
    drawer_fini(&d);
    return st;
}
