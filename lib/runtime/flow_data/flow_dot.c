/* The model in the language of Graphviz. A container is a cluster; an edge to one ends at a node inside it and is cut at the
 * cluster's border (compound, lhead and ltail). */
#include "flow_graph.h"

/* A quoted string. A backslash would begin an escape, and an ampersand an entity of HTML; what cannot be seen was taken out when
 * the label was made. */
static void add_quoted(mfi_flow_text *out, const char *label)
{
    mfi_flow_text_add(out, MF_STR_LIT("\""));
    for (const char *at = label; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\')
            mfi_flow_text_add(out, MF_STR_LIT("\\"));
        mfi_flow_text_add(out, *at == '\n' ? MF_STR_LIT("\\n") : *at == '&' ? MF_STR_LIT("&amp;") : mf_str_of(at, 1));
    }
    mfi_flow_text_add(out, MF_STR_LIT("\""));
}

static void add_node(const mfi_graph *g, uint32_t n, unsigned depth, mfi_flow_text *out)
{
    const mfi_graph_node *node = &g->nodes[n];
    mfi_graph_indent(out, depth);
    if (node->container) {
        mfi_flow_text_printf(out, "subgraph cluster_%u {\n", n);
        mfi_graph_indent(out, depth + 1);
        mfi_flow_text_add(out, MF_STR_LIT("label="));
        add_quoted(out, mfi_graph_label(g, n));
        mfi_flow_text_printf(out, "; color=\"%s\"; bgcolor=\"%s\";\n", mfi_shade_line(node->shade),
                             mfi_shade_fill(node->shade));
        return;
    }
    mfi_flow_text_printf(out, "n%u [label=", n);
    add_quoted(out, mfi_graph_label(g, n));
    mfi_flow_text_printf(out, ", color=\"%s\", fillcolor=\"%s\"%s];\n", mfi_shade_line(node->shade),
                         mfi_shade_fill(node->shade), node->shade == MFI_SHADE_NOTE ? ", style=\"dashed,filled\"" : "");
}

static void add_edge(const mfi_graph *g, const mfi_graph_edge *edge, mfi_flow_text *out)
{
    const mfi_graph_node *from = &g->nodes[edge->from], *to = &g->nodes[edge->to];
    mfi_flow_text_printf(out, "    n%u -> n%u [", from->last, to->first);
    const char *between = "";
    if (from->container)
        mfi_flow_text_printf(out, "%sltail=cluster_%u", between, edge->from), between = ", ";
    if (to->container)
        mfi_flow_text_printf(out, "%slhead=cluster_%u", between, edge->to), between = ", ";
    if (edge->kind != MFI_EDGE_NEXT) {
        bool well = edge->kind == MFI_EDGE_SUCCESS;
        mfi_flow_text_printf(out, "%sstyle=dashed, label=\"%s\", color=\"%s\"", between, well ? "on_success" : "on_error",
                             mfi_shade_line(well ? MFI_SHADE_DONE : MFI_SHADE_FAILED));
    }
    mfi_flow_text_add(out, MF_STR_LIT("];\n"));
}

static const mfi_graph_language dot = {.container_end = "}\n", .add_node = add_node, .add_edge = add_edge};

mf_status mfi_graph_dot(const mfi_graph *g, char **text)
{
    mfi_flow_text out = {.allocator = g->allocator};
    mfi_flow_text_add(&out, MF_STR_LIT(
        "digraph flow {\n"
        "    graph [rankdir=LR, compound=true, fontname=\"Helvetica,sans-serif\", fontsize=12, style=rounded];\n"
        "    node [shape=box, style=\"rounded,filled\", fontname=\"Helvetica,sans-serif\", fontsize=12];\n"
        "    edge [fontname=\"Helvetica,sans-serif\", fontsize=10];\n"));
    mfi_graph_walk(g, &dot, &out);
    mfi_flow_text_add(&out, MF_STR_LIT("}\n"));
    return mfi_flow_text_take(&out, text);
}
