/* flow/chain.h: a chain is a head with one step in flight, each result handed on to the next. */
#ifndef MFI_CHAIN_H
#define MFI_CHAIN_H

#include "transition.h"

void mfi_chain_start(const mf_spec *spec, mf_state *state, int64_t now_ms, mfi_plan *plan);
void mfi_chain_item(const mf_spec *spec, mf_state *state, const mfi_flow_event *event, int64_t now_ms, mfi_plan *plan);
/** It was resumed: what ended it meanwhile does so now. */
void mfi_chain_resumed(const mf_spec *spec, mf_state *state, int64_t now_ms, mfi_plan *plan);

/** Whether the event is of an item that was not published yet: nothing is counted, since who publishes it will see that it has
 * ended (see mfi_flow_ended_before). Somebody elsewhere may be about to, and have looked before it ended: so the record becomes
 * another version, and that commit is refused and looks again. Was it the faster one, then the item is not ahead, and counts. */
bool mfi_item_ahead(mf_state *state, const mfi_flow_event *event, mfi_plan *plan);
/** Count how an item ended. */
void mfi_count_item(mf_state *state, const mfi_flow_event *event);

/** Publish one item of a container: a plain task gets its message, a signature of its own is started. handed: what it
 * receives; is_result: under its return field. */
void mfi_item_publish(const mf_spec *container, const mf_state *state, const mf_item *item, uint64_t index,
                      const mf_message *handed, bool is_result, mfi_plan *plan);

#endif
