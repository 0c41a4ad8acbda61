/* Of a long container a few items are drawn: which ones, and how they stand. */
#include "flow_draw.h"

#define LOOKED_MAX 100000   /* outcomes that are looked at for failed ones */
#define PAGE       64

_Static_assert(MFI_DRAW_FIRST + MFI_DRAW_FAILED + 2 <= MFI_DRAW_WHOLE, "mfi_picks has room for what is chosen");

static void pick(mfi_picks *p, uint64_t index)
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

static mf_status pick_failed(mfi_drawer *d, const mfi_flow_node *node, mfi_picks *p)
{
    mf_outcome page[PAGE];
    size_t got = 0;
    uint64_t left = node->state->failed < MFI_DRAW_FAILED ? node->state->failed : MFI_DRAW_FAILED;
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

mf_status mfi_draw_choose(mfi_drawer *d, const mfi_flow_node *node, mfi_picks *p)
{
    bool map = node->spec->source.len > 0;
    p->n = 0;
    for (uint64_t i = 0; !map && i < node->items && i < (node->items <= MFI_DRAW_WHOLE ? MFI_DRAW_WHOLE : MFI_DRAW_FIRST); i++)
        pick(p, i);
    if ((!map && node->items <= MFI_DRAW_WHOLE) || node->items == 0)
        return MF_OK;
    if (node->kind == MF_KIND_CHAIN) {
        if (node->state != NULL && node->state->next > 0)
            pick(p, node->state->next - 1);
        pick(p, node->items - 1);
        return MF_OK;
    }
    return node->state != NULL ? pick_failed(d, node, p) : MF_OK;
}

/* A chain keeps no outcomes: its counters tell. */
static void look_at_step(const mfi_flow_node *chain, mfi_spot *at)
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
mf_status mfi_draw_look_at(mfi_drawer *d, const mfi_flow_node *in, mfi_spot *at, mf_message **value)
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
