#include "flows.h"

#include <stdio.h>

#define DEPTH_MAX 3
#define ITEMS_MAX 50

static node *make(flow *f, node_kind kind, node *parent, unsigned index)
{
    node *n = &f->nodes[f->node_count++];
    *n = (node){.kind = kind, .parent = parent, .index = index, .id = (int64_t)f->node_count, .breaks_at = -1};
    return n;
}

static unsigned below(flow *f, unsigned n)
{
    return mfi_prng_below(&f->prng, n);
}

static bool full(const flow *f)
{
    return f->node_count + 2 >= NODES_MAX || f->item_count + 2 >= ITEMS_MAX;
}

/* Most tasks just work; the rest is one of everything. */
static mode random_mode(flow *f)
{
    static const mode others[] = {MODE_SLOW, MODE_SLOW, MODE_FLAKY, MODE_FLAKY, MODE_FAIL, MODE_FAIL, MODE_FAIL, MODE_EXHAUST,
                                  MODE_CANCEL, MODE_CANCEL, MODE_TIMEOUT, MODE_STUCK, MODE_DURABLE, MODE_DURABLE, MODE_DURABLE};
    if (f->foreign && below(f, 5) == 0)
        return (mode)(MODE_PEER + below(f, MODE_PEER_FAIL - MODE_PEER + 1));
    if (f->poison && below(f, 16) == 0)
        return MODE_POISON;
    return below(f, 5) < 3 ? MODE_OK : others[below(f, sizeof others / sizeof *others)];
}

static node *generate(flow *f, node *parent, unsigned index, unsigned depth);

static void add_callbacks(flow *f, node *n, unsigned depth)
{
    unsigned odds = depth == 0 ? 8 : 3;
    for (unsigned i = 0; i < CALLBACKS_MAX && !full(f) && below(f, odds + 3 * i) == 0; i++)
        n->success[n->success_count++] = generate(f, NULL, 0, depth > 0 ? depth - 1 : 0);
    for (unsigned i = 0; i < CALLBACKS_MAX && !full(f) && below(f, odds + 3 * i) == 0; i++)
        n->error[n->error_count++] = generate(f, NULL, 0, depth > 0 ? depth - 1 : 0);
}

static node *generate_task(flow *f, node *parent, unsigned index, bool callbacks)
{
    node *n = make(f, NODE_TASK, parent, index);
    n->mode = random_mode(f);
    f->item_count++;
    n->own_record = below(f, 6) == 0 || n->mode == MODE_DURABLE || mode_is_foreign(n->mode);    /* its end is looked at alone */
    if (callbacks)
        add_callbacks(f, n, 0);
    return n;
}

static node *generate_container(flow *f, node *parent, unsigned index, unsigned depth)
{
    bool chain = below(f, 2) == 0;
    node *n = make(f, chain ? NODE_CHAIN : NODE_SWARM, parent, index);
    n->k = below(f, 3) == 0 ? 1000 + n->id : 0;
    unsigned want = chain ? 2 + below(f, 3) : 1 + below(f, CHILDREN_MAX);
    if (!chain) {
        n->cap = 1 + below(f, 4);
        n->stop_after = below(f, 3) == 0 ? 1 + below(f, 3) : 0;
        if (below(f, 12) == 0)
            want = 0;       /* an empty swarm is done at once */
    }
    while (n->child_count < want && (!full(f) || (chain && n->child_count < 2))) {
        node *child = generate(f, n, n->child_count, depth - 1);
        n->children[n->child_count++] = child;
    }
    n->late = n->child_count;
    if (!chain && below(f, 4) == 0) {
        n->open = true;
        n->late = below(f, n->child_count + 1);
    }
    return n;
}

static node *generate_map(flow *f, node *parent, unsigned index)
{
    node *n = make(f, NODE_MAP, parent, index);
    n->k = below(f, 3) == 0 ? 1000 + n->id : 0;
    n->cap = 1 + below(f, 4);
    n->stop_after = below(f, 3) == 0 ? 1 + below(f, 3) : 0;
    n->items = below(f, 9);
    if (f->item_count + n->items > ITEMS_MAX)
        n->items = 0;
    f->item_count += n->items;
    if (below(f, 4) == 0)
        n->breaks_at = (int)below(f, n->items + 1);
    node *each = make(f, NODE_TASK, n, 0);
    each->mode = below(f, 3) == 0 ? MODE_ODD : below(f, 2) == 0 ? MODE_OK : random_mode(f);
    if (each->mode == MODE_DURABLE)
        each->mode = MODE_SLOW;
    n->children[n->child_count++] = each;
    for (unsigned i = 0; i < 2; i++) {
        if (below(f, 3) != 0 || full(f))
            continue;
        node *callback = make(f, NODE_TASK, NULL, 0);
        do
            callback->mode = random_mode(f);
        while (callback->mode == MODE_DURABLE);     /* it has no record of its own to remember in */
        callback->numbered = true;
        f->item_count++;
        if (i == 0)
            each->success[each->success_count++] = callback;
        else
            each->error[each->error_count++] = callback;
    }
    return n;
}

static node *generate(flow *f, node *parent, unsigned index, unsigned depth)
{
    if (depth == 0 || full(f) || below(f, 4) == 0)
        return generate_task(f, parent, index, !full(f));
    node *n = below(f, 4) == 0 ? generate_map(f, parent, index) : generate_container(f, parent, index, depth);
    add_callbacks(f, n, depth - 1);
    return n;
}

void flow_generate(flow *f, uint64_t seed, bool foreign, bool poison)
{
    memset(f, 0, sizeof *f);
    f->foreign = foreign;
    f->poison = poison;
    f->prng = mfi_prng_of(seed, 10);
    f->waited = MF_E_AGAIN;
    f->message = 1 + below(f, 100);
    unsigned depth = 1 + below(f, DEPTH_MAX);
    f->root = below(f, 4) == 0 ? generate_map(f, NULL, 0) : generate_container(f, NULL, 0, depth);
    add_callbacks(f, f->root, depth - 1);
    f->root->ttl_ms = below(f, 7) == 0 ? 1 + below(f, 60) : 0;
    f->delay_ms = below(f, 4) == 0 ? below(f, 40) : 0;
    f->priority = below(f, 3) == 0 ? (int32_t)below(f, 5) - 2 : 0;
}

/* ---- signatures -------------------------------------------------------------------------------------------------------- */

static mf_message *kwargs_of(const node *n)
{
    return n->k != 0 ? mf_msg("{s:I}", "k", n->k) : NULL;
}

static mf_signature *build_task(node *n, mf_client *client, mf_error *err)
{
    const char *task = n->mode == MODE_TIMEOUT || n->mode == MODE_STUCK ? "timed" : n->mode == MODE_DURABLE ? "durable"
                     : mode_is_foreign(n->mode) ? "elsewhere" : "work";
    mf_signature *sig = mf_sign(client, task, mf_msg("{s:I, s:i}", "n", n->id, "mode", (int)n->mode), err);
    if (sig != NULL && n->own_record)
        (void)mf_signature_key(sig);
    return sig;
}

mf_signature *flow_build(flow *f, node *n, mf_client *client, mf_error *err)
{
    mf_signature *sig = NULL;
    mf_swarm_options options = {.struct_size = sizeof options, .max_concurrency = n->cap,
                                .stop_after_failures = n->stop_after, .kwargs = n->kind == NODE_TASK ? NULL : kwargs_of(n)};
    switch (n->kind) {
    case NODE_TASK:
        sig = build_task(n, client, err);
        break;
    case NODE_CHAIN:
        sig = mf_chain(client, "chain", options.kwargs, err);
        for (unsigned i = 0; i < n->child_count; i++)
            sig = mf_chain_add(sig, flow_build(f, n->children[i], client, err), err);
        break;
    case NODE_SWARM:
        sig = mf_swarm(client, "swarm", &options, err);
        for (unsigned i = 0; i < n->late; i++)
            sig = mf_swarm_add(sig, flow_build(f, n->children[i], client, err), err);
        if (!n->open)
            sig = mf_swarm_close(sig, err);
        break;
    case NODE_MAP: {
        char source[32];
        snprintf(source, sizeof source, "count %u %d", n->items, n->breaks_at);
        sig = mf_map(client, "map", source, flow_build(f, n->children[0], client, err), &options, err);
        break;
    }
    }
    if (n->ttl_ms > 0)
        sig = mf_ttl(sig, mf_milliseconds(n->ttl_ms), MF_FOREVER, err);
    for (unsigned i = 0; i < n->success_count; i++)
        sig = mf_on_success(sig, flow_build(f, n->success[i], client, err), err);
    for (unsigned i = 0; i < n->error_count; i++)
        sig = mf_on_error(sig, flow_build(f, n->error[i], client, err), err);
    /* A plain item has no record: it is asked for a key only where it has one anyway. */
    bool each = n->parent != NULL && n->parent->kind == NODE_MAP;
    if (sig != NULL && !each && (n->kind != NODE_TASK || n->own_record || n->parent == NULL || n->success_count + n->error_count > 0))
        n->key = mf_signature_key(sig);
    return sig;
}

/* ---- for people ---------------------------------------------------------------------------------------------------------- */

static void print_node(const node *n, unsigned indent, const char *as, void (*line)(void *user, const char *text), void *user)
{
    static const char *const kinds[] = {"task", "chain", "swarm", "map"};
    static const char *const modes[] = {"ok", "slow", "flaky", "fail", "exhaust", "cancel", "timeout", "stuck", "odd", "durable", "poison",
                                        "peer", "peer twice", "peer late", "peer silent", "peer fail"};
    char text[200];
    int len = snprintf(text, sizeof text, "%*s%s%s %lld", (int)indent, "", as, kinds[n->kind], (long long)n->id);
    if (n->kind == NODE_TASK)
        len += snprintf(text + len, sizeof text - (size_t)len, " %s", modes[n->mode]);
    if (n->kind >= NODE_SWARM)
        len += snprintf(text + len, sizeof text - (size_t)len, " cap %u stop_after %u", n->cap, n->stop_after);
    if (n->kind == NODE_MAP)
        len += snprintf(text + len, sizeof text - (size_t)len, " items %u breaks at %d", n->items, n->breaks_at);
    if (n->open)
        len += snprintf(text + len, sizeof text - (size_t)len, " open, late from %u", n->late);
    if (n->ttl_ms != 0)
        len += snprintf(text + len, sizeof text - (size_t)len, " lives %u ms", n->ttl_ms);
    if (n->k != 0)
        len += snprintf(text + len, sizeof text - (size_t)len, " k %lld", (long long)n->k);
    if (mf_key_is_set(&n->key))
        snprintf(text + len, sizeof text - (size_t)len, "  %.12s", n->key.text);
    line(user, text);
    for (unsigned i = 0; i < n->child_count; i++)
        print_node(n->children[i], indent + 2, "", line, user);
    for (unsigned i = 0; i < n->success_count; i++)
        print_node(n->success[i], indent + 2, "on success: ", line, user);
    for (unsigned i = 0; i < n->error_count; i++)
        print_node(n->error[i], indent + 2, "on error: ", line, user);
}

void flow_print(const flow *f, void (*line)(void *user, const char *text), void *user)
{
    print_node(f->root, 0, "", line, user);
}
