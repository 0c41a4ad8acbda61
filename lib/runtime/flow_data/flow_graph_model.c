/* The model itself, and the words and colours of states. */
#include "flow_graph.h"

#include "memory.h"

/* Light insides that black text stands on, and lines that differ without colour vision too: the word is always there. */
static const struct shade {
    const char *word, *fill, *line;
} shades[MFI_SHADES] = {
    [MFI_SHADE_NONE]        = {"", "#ffffff", "#444444"},
    [MFI_SHADE_PENDING]     = {"pending", "#eeeeee", "#777777"},
    [MFI_SHADE_ACTIVE]      = {"active", "#cfe2ff", "#1f5fbf"},
    [MFI_SHADE_DONE]        = {"done", "#d4edda", "#2e7d32"},
    [MFI_SHADE_FAILED]      = {"failed", "#f8d0d0", "#b71c1c"},
    [MFI_SHADE_SUSPENDED]   = {"suspended", "#fff3cd", "#a67c00"},
    [MFI_SHADE_INTERRUPTED] = {"interrupted", "#ffe0b2", "#e65100"},
    [MFI_SHADE_CANCELED]    = {"canceled", "#e6dcf0", "#6a3d9a"},
    [MFI_SHADE_NOTE]        = {"", "#fafafa", "#999999"},
};

const char *mfi_shade_word(mfi_shade shade)
{
    return shades[shade].word;
}

const char *mfi_shade_fill(mfi_shade shade)
{
    return shades[shade].fill;
}

const char *mfi_shade_line(mfi_shade shade)
{
    return shades[shade].line;
}

void mfi_graph_init(mfi_graph *graph, const mf_allocator *allocator)
{
    *graph = (mfi_graph){.allocator = allocator, .labels = {.allocator = allocator}};
}

void mfi_graph_fini(mfi_graph *graph)
{
    mfi_release(graph->allocator, graph->nodes, graph->node_capacity * sizeof *graph->nodes);
    mfi_release(graph->allocator, graph->edges, graph->edge_capacity * sizeof *graph->edges);
    mfi_flow_text_fini(&graph->labels);
}

uint32_t mfi_graph_node_add(mfi_graph *graph, uint32_t parent, bool container, mfi_shade shade)
{
    if (!mfi_array_reserve(graph->allocator, (void **)&graph->nodes, &graph->node_capacity, graph->node_count + 1,
                           sizeof *graph->nodes)) {
        graph->no_memory = true;
        return 0;
    }
    uint32_t n = (uint32_t)graph->node_count++;
    graph->nodes[n] = (mfi_graph_node){.parent = parent, .container = container, .shade = shade, .label = graph->labels.len,
                                       .first = n, .last = n, .length = 1};
    return n;
}

void mfi_graph_label_end(mfi_graph *graph)
{
    mfi_flow_text_add(&graph->labels, mf_str_of("", 1));
    graph->no_memory |= graph->labels.no_memory;
}

void mfi_graph_edge_add(mfi_graph *graph, uint32_t from, uint32_t to, mfi_edge_kind kind)
{
    if (!mfi_array_reserve(graph->allocator, (void **)&graph->edges, &graph->edge_capacity, graph->edge_count + 1,
                           sizeof *graph->edges))
        graph->no_memory = true;
    else
        graph->edges[graph->edge_count++] = (mfi_graph_edge){from, to, kind};
}

const char *mfi_graph_label(const mfi_graph *graph, uint32_t node)
{
    return graph->labels.at + graph->nodes[node].label;
}

void mfi_graph_indent(mfi_flow_text *out, unsigned depth)
{
    for (unsigned i = 0; i <= depth; i++)
        mfi_flow_text_add(out, MF_STR_LIT("    "));
}

/* End the containers that `parent` does not stand in; answers how many are open then. */
static unsigned close_until(const mfi_graph *graph, const mfi_graph_language *language, uint32_t *open, uint32_t parent, unsigned depth,
                            mfi_flow_text *out)
{
    while (*open != parent) {
        *open = graph->nodes[*open].parent;
        mfi_graph_indent(out, --depth);
        mfi_flow_text_add(out, mf_cstr(language->container_end));
    }
    return depth;
}

void mfi_graph_walk(const mfi_graph *graph, const mfi_graph_language *language, mfi_flow_text *out)
{
    uint32_t open = MFI_GRAPH_TOP;
    unsigned depth = 0;
    for (uint32_t n = 0; n < graph->node_count; n++) {
        depth = close_until(graph, language, &open, graph->nodes[n].parent, depth, out);
        language->add_node(graph, n, depth, out);
        if (graph->nodes[n].container) {
            open = n;
            depth++;
        }
    }
    close_until(graph, language, &open, MFI_GRAPH_TOP, depth, out);
    for (size_t i = 0; i < graph->edge_count; i++)
        language->add_edge(graph, &graph->edges[i], out);
}
