/* flow_draw.h: what the parts that fill the model of a picture share: flow_graph.c walks, flow_graph_items.c chooses
 * and looks at items, flow_graph_label.c writes what stands in a node. */
#ifndef MFI_FLOW_DRAW_H
#define MFI_FLOW_DRAW_H

#include "flow_graph.h"
#include "flow_view.h"

#define MFI_DRAW_WHOLE  12      /* items of a container that are all drawn */
#define MFI_DRAW_FIRST  3       /* of a longer one: so many from its front */
#define MFI_DRAW_FAILED 3       /* and so many that failed */

/* A callback that was met and is still to be drawn. */
typedef struct mfi_follower {
    mf_key        key;
    uint32_t      of;
    mfi_edge_kind kind;
    bool          over;         /* its turn will not come */
    bool          stateless;
} mfi_follower;

typedef struct mfi_drawer {
    mfi_flow_view view;
    mfi_graph     graph;
    mfi_follower *followers;
    size_t        follower_count, follower_capacity;
    bool          cut;          /* something was left out for want of room */
    mf_error     *err;
} mfi_drawer;

/* How something stands where it is drawn. */
typedef struct mfi_spot {
    uint32_t          parent;
    unsigned          depth;
    bool              numbered;     /* tell its place: */
    uint64_t          index;
    bool              over;         /* what it stands in has ended: what is pending will not run */
    bool              stateless;    /* stands for many: has no state of its own */
    mfi_shade         shade;        /* of a plain item */
    const mf_message *error;        /* of a plain item that failed; may be NULL */
} mfi_spot;

/** A node with its words; its number. */
uint32_t mfi_draw_node(mfi_drawer *d, const mfi_flow_node *node, const mfi_spot *at, bool container);
/** A node that is no signature. */
uint32_t mfi_draw_note(mfi_drawer *d, uint32_t parent, const char *fmt, ...) MF_PRINTF(3, 4);
/** The items of a swarm that are not drawn: what its head counts without those that are, by their shade. */
void mfi_draw_rest(mfi_drawer *d, const mfi_flow_node *swarm, uint32_t parent, uint64_t rest, const uint64_t drawn[MFI_SHADES]);

/** Indices of the items to draw, ascending. */
typedef struct mfi_picks {
    uint64_t at[MFI_DRAW_WHOLE];
    size_t   n;
} mfi_picks;
mf_status mfi_draw_choose(mfi_drawer *d, const mfi_flow_node *node, mfi_picks *out);
/** The state of a plain item, into the spot; *value is what its error points to, for the caller to unref. */
mf_status mfi_draw_look_at(mfi_drawer *d, const mfi_flow_node *in, mfi_spot *at, mf_message **value);

#endif
