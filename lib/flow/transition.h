/* flow/transition.h: the flow engine: event + record → new state + effects.
 *
 * A transition has no clock, no thread and no I/O: time is an input, what it wants done goes into a plan. It touches one
 * record. That a container's child ended is an event to the container; that a signature is to be started is an effect.
 * Whoever runs transitions may apply many events of one record before committing them together.
 *
 * Every rule stands where it is used: tasks in transition.c, chains and swarms in files of their own; what happens at an end in
 * lifecycle.c and callbacks.c; how messages are put together in compose.c. */
#ifndef MFI_TRANSITION_H
#define MFI_TRANSITION_H

#include "plan.h"

typedef enum mfi_flow_event_kind {
    MFI_EV_START,           /* value: the message it receives; inherited; expected */
    MFI_EV_FILL,            /* value: a complete swarm's results (see mfi_swarm_is_complete), else NULL */
    MFI_EV_ITEM_DONE,       /* value: the result */
    MFI_EV_ITEM_FAILED,     /* value: the error map; sent: the message its task was sent */
    MFI_EV_ITEM_CANCELED,   /* the item will not run, or ended as canceled; value: an error map or NULL */
    MFI_EV_CANCEL,          /* the whole signature */
    MFI_EV_FAIL,            /* the whole signature, by an error of the flow itself; value: the error map */
    MFI_EV_SETTLE           /* nothing but the delivery */
} mfi_flow_event_kind;

typedef struct mfi_flow_event {
    mfi_flow_event_kind kind;
    uint64_t       index;       /* of the item; 0 for a task's own record */
    uint64_t       expected;
    uint64_t       settle;      /* the token of the delivery that is settled with it; 0: none */
    mf_message    *value;
    mf_message    *sent;
    mf_message    *inherited;
} mfi_flow_event;
void mfi_flow_event_release(mfi_flow_event *event);

/** Apply one event. state is a working copy that holds its references. An event that comes twice, or too late, changes
 * nothing but settles its delivery. Failures are in plan->status; state and plan are then not to be used. */
void mfi_flow_apply(const mf_spec *spec, mf_state *state, const mfi_flow_event *event, int64_t now_ms, mfi_plan *plan);

/** Whether a claimed unit may run, by the status of its record and what stands above. */
bool mfi_flow_should_run(mf_signature_status head, mf_signature_status above);

/* ---- swarms draw their items ------------------------------------------------------------------------------------ */

/** How many items may be published now. */
uint64_t mfi_swarm_room(const mf_spec *spec, const mf_state *state);
/** Publish n items from index state->next on. exhausted: the source has no more. */
void mfi_swarm_publish(const mf_spec *spec, mf_state *state, const mf_item *items, size_t n, bool exhausted, mfi_plan *plan);
/** Every item has ended and none will come: the next MFI_EV_FILL ends it, with its results in value. */
bool mfi_swarm_is_complete(const mf_spec *spec, const mf_state *state);

/* ---- starts ------------------------------------------------------------------------------------------------------ */

/** A signature that is to be started has ended already: its container, which was not waiting for it then, is told now. */
void mfi_flow_ended_before(const mf_spec *spec, mfi_plan *plan);
/** Turn a start into the entry that does it, now that the record of the signature was read (spec; epoch of its state). */
void mfi_flow_start_entry(const mf_spec *spec, uint32_t epoch, const mfi_start *start, mfi_plan *plan);

#endif
