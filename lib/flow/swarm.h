/* flow/swarm.h: a swarm's head holds counters and a cursor; its items are numbered and their outcomes kept by index. */
#ifndef MFI_SWARM_H
#define MFI_SWARM_H

#include "transition.h"

void mfi_swarm_start(const mf_spec *spec, mf_state *state, const mfi_flow_event *event, mfi_plan *plan);
void mfi_swarm_fill(const mf_spec *spec, mf_state *state, const mfi_flow_event *event, int64_t now_ms, mfi_plan *plan);
void mfi_swarm_item(const mf_spec *spec, mf_state *state, const mfi_flow_event *event, int64_t now_ms, mfi_plan *plan);
/** It was resumed: what ended it meanwhile does so now. */
void mfi_swarm_resumed(const mf_spec *spec, mf_state *state, int64_t now_ms, mfi_plan *plan);
/** Items, and the end of adding; see mfi_flow_apply for the answers. */
mf_status mfi_swarm_add(const mf_spec *spec, mf_state *state, const mfi_flow_event *event, mfi_plan *plan);
mf_status mfi_swarm_close(const mf_spec *spec, mf_state *state, mfi_plan *plan);

#endif
