/* flow_graph.h: a flow as nodes and edges, for whoever draws it.
 *
 * flow_graph.c fills the model from a flow; flow_dot.c and flow_mermaid.c write it. A node that is a container is drawn around
 * the nodes that name it as their parent, which follow it at once: the order of the nodes is the order of writing. */
#ifndef MFI_FLOW_GRAPH_H
#define MFI_FLOW_GRAPH_H

#include <mageflow/store.h>

#include "flow_text.h"

#define MFI_GRAPH_TOP UINT32_MAX    /* the parent of what stands in no container */

/** What a node shows beside its words. */
typedef enum mfi_shade {
    MFI_SHADE_NONE,          /* not started: no state */
    MFI_SHADE_PENDING,
    MFI_SHADE_ACTIVE,
    MFI_SHADE_DONE,
    MFI_SHADE_FAILED,
    MFI_SHADE_SUSPENDED,
    MFI_SHADE_INTERRUPTED,
    MFI_SHADE_CANCELED,
    MFI_SHADE_NOTE,          /* no signature: something left out, or gone */
    MFI_SHADES
} mfi_shade;

/** "done", …; static. */
const char *mfi_shade_word(mfi_shade shade);
/** Colours as "#rrggbb", static: the inside, and the line around it. */
const char *mfi_shade_fill(mfi_shade shade);
const char *mfi_shade_line(mfi_shade shade);

typedef enum mfi_edge_kind { MFI_EDGE_NEXT, MFI_EDGE_SUCCESS, MFI_EDGE_ERROR } mfi_edge_kind;

typedef struct mfi_graph_node {
    uint32_t  parent;
    bool      container;
    mfi_shade shade;
    size_t    label;          /* where it begins in labels: NUL-terminated, a line end between its lines */
    uint32_t  first, last;    /* container: nodes inside, no containers, that an edge to it and from it may hold on to */
    uint32_t  length;         /* nodes one after the other on the longest way through it */
} mfi_graph_node;

typedef struct mfi_graph_edge {
    uint32_t      from, to;
    mfi_edge_kind kind;
} mfi_graph_edge;

typedef struct mfi_graph {
    const mf_allocator *allocator;
    mfi_graph_node     *nodes;
    size_t              node_count, node_capacity;
    mfi_graph_edge     *edges;
    size_t              edge_count, edge_capacity;
    mfi_flow_text       labels;
    bool                no_memory;
} mfi_graph;

void mfi_graph_init(mfi_graph *graph, const mf_allocator *allocator);
void mfi_graph_fini(mfi_graph *graph);
/** Its number; without memory 0, and no_memory is set. A label is added to labels afterwards, see mfi_graph_label_end. */
uint32_t mfi_graph_node_add(mfi_graph *graph, uint32_t parent, bool container, mfi_shade shade);
void     mfi_graph_label_end(mfi_graph *graph);
void     mfi_graph_edge_add(mfi_graph *graph, uint32_t from, uint32_t to, mfi_edge_kind kind);
const char *mfi_graph_label(const mfi_graph *graph, uint32_t node);

/** How a language writes the parts: a node, a container's with all that begins it, and what ends a container. */
typedef struct mfi_graph_language {
    const char *container_end;
    void (*add_node)(const mfi_graph *graph, uint32_t node, unsigned depth, mfi_flow_text *out);
    void (*add_edge)(const mfi_graph *graph, const mfi_graph_edge *edge, mfi_flow_text *out);
} mfi_graph_language;

/** Nodes in their containers, then edges. */
void mfi_graph_walk(const mfi_graph *graph, const mfi_graph_language *language, mfi_flow_text *out);
void mfi_graph_indent(mfi_flow_text *out, unsigned depth);

/** Write the model. MF_E_NOMEM. */
MF_NODISCARD mf_status mfi_graph_dot(const mfi_graph *graph, char **out);
MF_NODISCARD mf_status mfi_graph_mermaid(const mfi_graph *graph, char **out);

#endif
