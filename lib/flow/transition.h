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
    MFI_EV_START,           /* value: the message it receives; inherited; expected; priority */
    MFI_EV_FILL,            /* value: a complete swarm's results (see mfi_swarm_is_complete), else NULL */
    MFI_EV_ITEM_DONE,       /* value: the result; priority: of the call, where it is a task's own record */
    MFI_EV_ITEM_FAILED,     /* value: the error map; sent: the message its task was sent; child; priority */
    MFI_EV_ITEM_CANCELED,   /* the item will not run, or ended as canceled; value: an error map or NULL; child */
    MFI_EV_CANCEL,          /* the whole signature */
    MFI_EV_FAIL,            /* the whole signature, by an error of the flow itself; value: the error map */
    MFI_EV_SUSPEND,         /* nothing of it starts until it is resumed */
    MFI_EV_INTERRUPT,       /* the same, and what runs is asked to stop */
    MFI_EV_RESUME,
    MFI_EV_REMOVE,          /* the record goes, in two steps if it is alive; removal says which callbacks go along, note what
                               changes with it */
    MFI_EV_ADD,             /* a swarm: items, from */
    MFI_EV_CLOSE,           /* a swarm: nothing will be added any more */
    MFI_EV_EXPIRE,          /* its deadline may have passed */
    MFI_EV_WAKE,            /* a durable task waits for memo `index`, and here it is: value; sent, attempt: its next call;
                               note: the one that told of its waiting */
    MFI_EV_LOCK,            /* lock, renews, until_ms */
    MFI_EV_UNLOCK,          /* lock */
    MFI_EV_SETTLE           /* nothing but the delivery */
} mfi_flow_event_kind;

typedef struct mfi_flow_event {
    mfi_flow_event_kind kind;
    uint64_t       index;       /* of the item; 0 for a task's own record */
    uint64_t       expected;
    uint64_t       settle;      /* the token of the delivery that is settled with it; 0: none */
    const struct mf_delivery *delivery;     /* which that is, where its manager may want to acknowledge it with the commit */
    int32_t        priority;
    uint32_t       attempt;
    uint64_t       lock;
    bool           renews;      /* the lock must be held: its lease begins anew */
    int64_t        until_ms;
    mf_removal     removal;
    mf_key         child;       /* an item with a record that ended before it started; unset: it had started */
    const mf_item *items;       /* borrowed until the commit */
    size_t         item_count;
    uint64_t       from;        /* the index that the first one must get; UINT64_MAX: any */
    const mf_note *note;        /* borrowed until the commit */
    size_t         note_count;  /* of a removal or an addition */
    mf_message    *value;
    mf_message    *sent;
    mf_message    *inherited;
} mfi_flow_event;
void mfi_flow_event_release(mfi_flow_event *event);

/** Apply one event. state is a working copy that holds its references. An event that comes twice, or too late, changes
 * nothing but settles its delivery. Failures are in plan->status; state and plan are then not to be used.
 * Answers whoever asked for the event: MF_OK: it is so now. MF_E_STATE: it has ended, or what is asked does not fit how it
 * stands. MF_E_CLOSED, MF_E_FULL, MF_E_INVALID, MF_E_CONFLICT: of MFI_EV_ADD: the swarm was closed, its max_items is reached, it is
 * none that is added to, another index is next. MF_E_STALE: the lock is not held. MF_E_AGAIN: see MFI_EV_REMOVE. */
mf_status mfi_flow_apply(const mf_spec *spec, mf_state *state, const mfi_flow_event *event, int64_t now_ms, mfi_plan *plan);

/** Whether somebody holds a lock on the record: its status stays as it is until then. */
bool mfi_flow_is_locked(const mf_state *state, int64_t now_ms);
/** Whether the event has to wait for the end of a lock. */
bool mfi_flow_waits_for_lock(mfi_flow_event_kind kind);
/** Whether the event is a verb of somebody who is told that the record is locked, instead of waiting. */
bool mfi_flow_is_verb(mfi_flow_event_kind kind);

/** Whether a claimed unit may run, by the status of its record and what stands above. */
bool mfi_flow_should_run(mf_signature_status head, mf_signature_status above);

/* ---- swarms draw their items ------------------------------------------------------------------------------------ */

/** How many items may be published now. */
uint64_t mfi_swarm_room(const mf_spec *spec, const mf_state *state);
/** Publish n items from index state->next on. A message that is handed on as it is belongs to the plan then, and is NULL in its item;
 * all else stays the caller's. exhausted: the source has no more. */
void mfi_swarm_publish(const mf_spec *spec, mf_state *state, mf_item *items, size_t n, bool exhausted, mfi_plan *plan);
/** Every item has ended and none will come: the next MFI_EV_FILL ends it, with its results in value. */
bool mfi_swarm_is_complete(const mf_spec *spec, const mf_state *state);

/* ---- starts ------------------------------------------------------------------------------------------------------ */

/** A signature that is to be started has ended already: its container, which was not waiting for it then, is told now. One that
 * ends after this was looked at tells it while the start is committed: see mfi_item_ahead. */
void mfi_flow_ended_before(const mf_spec *spec, mfi_plan *plan);
/** A signature that is to be started was removed: so its container, if it has one, is told that it failed. */
void mfi_flow_gone(const mfi_start *start, mfi_plan *plan);
/** The entry that calls a task for the first time (message is consumed); of a foreign one, with the end of its timeout. */
void mfi_flow_call(const mf_spec *spec, const mf_unit *unit, mf_message *message, mfi_plan *plan);
/** Turn a start into the entry that does it, now that the record of the signature was read. */
void mfi_flow_start_entry(const mf_spec *spec, const mf_state *state, const mfi_start *start, mfi_plan *plan);

#endif
