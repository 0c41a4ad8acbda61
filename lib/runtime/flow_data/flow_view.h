/* flow_view.h: one way to look at a flow, whether it is still being made or stored and perhaps running. */
#ifndef MFI_FLOW_VIEW_H
#define MFI_FLOW_VIEW_H

#include "sign.h"

typedef struct mfi_flow_view {
    mf_client          *client;
    const mf_signature *draft;    /* NULL: what is stored */
    size_t              near;     /* where the draft's record that was found last lies */
} mfi_flow_view;

/** A signature as it stands: a task, chain or swarm, or a plain item. Its texts and keys are borrowed from what `record`
 * holds, or from the draft. */
typedef struct mfi_flow_node {
    mf_kind           kind;
    mf_str            name;
    const mf_message *kwargs;       /* may be NULL */
    const mf_key     *on_success, *on_error;
    size_t            on_success_count, on_error_count;
    const mf_spec    *spec;         /* NULL: a draft's task without a record */
    const mf_state   *state;        /* NULL: a draft, or a plain item */
    uint64_t          items;        /* steps of a chain, items of a swarm that were added or drawn */
    bool              closed;       /* swarm: no more will be added */
    const mfi_draft  *draft;
    mf_record         record;       /* what was loaded */
} mfi_flow_node;

/** Look at a signature that is not started; its lock is held until mfi_flow_view_end. */
void mfi_flow_view_draft(mfi_flow_view *view, const mf_signature *sig);
/** Look at what the client's store has. */
void mfi_flow_view_stored(mfi_flow_view *view, mf_client *client);
void mfi_flow_view_end(mfi_flow_view *view);

/** The draft itself. */
void mfi_flow_view_root(const mfi_flow_view *view, mfi_flow_node *out);
/** The record of that key; mfi_flow_node_release it. MF_E_NOT_FOUND; MF_E_NOMEM, MF_E_IO. */
mf_status mfi_flow_view_find(mfi_flow_view *view, const mf_key *key, mfi_flow_node *out, mf_error *err);
/** Whether there is none: the branch that an ended signature did not take is removed at its end. */
bool mfi_flow_view_is_gone(mfi_flow_view *view, const mf_key *key);
/** A plain item, or the call that a map's items are given to. */
void mfi_flow_view_plain(const mf_item *item, mfi_flow_node *out);
/** Up to n items of a chain or of a swarm without a source, from index `from`; *got is 0 past the end. Each is the caller's
 * for mfi_item_unref. */
mf_status mfi_flow_view_items(mfi_flow_view *view, const mfi_flow_node *node, uint64_t from, size_t n, mf_item *out, size_t *got,
                              mf_error *err);
/** Up to n outcomes of a stored container's items, from index `from`; *got 0 past the last one, and for a draft. Each value is the
 * caller's to unref. */
mf_status mfi_flow_view_outcomes(mfi_flow_view *view, const mfi_flow_node *node, uint64_t from, size_t n, mf_outcome *out,
                                 size_t *got, mf_error *err);
void mfi_flow_node_release(mfi_flow_node *node);

#endif
