/* flow/compose.h: the messages a flow puts together. Each writes *out on success only; it is the caller's. Operands are
 * borrowed and may be NULL. */
#ifndef MFI_COMPOSE_H
#define MFI_COMPOSE_H

#include "plan.h"

/** The kwargs of a signature: as they were edited, else as it was made with. Borrowed. */
static inline const mf_message *mfi_kwargs_of(const mf_spec *spec, const mf_state *state)
{
    return state->kwargs != NULL ? state->kwargs : spec->kwargs;
}

/** The message of a call: what is handed to it, and over that, each winning over the one before, the task's stored
 * kwargs, the item's, and those of the containers above. */
mf_status mfi_compose_call(const mf_message *handed, const mf_message *task, const mf_message *item,
                           const mf_message *containers, const mfi_plan *plan, mf_message **out, mf_error *err);

/** The kwargs that a container's tasks get: its own, over which go those from above it. */
mf_status mfi_compose_kwargs(const mf_spec *container, const mf_state *state, const mfi_plan *plan, mf_message **out,
                             mf_error *err);

/** A result as the next task or a success callback receives it: under its return field; a swarm's end as the list there
 * (if it fit) beside "mageflow_swarm". */
mf_status mfi_compose_handed(const mf_message *result, mf_str return_field, const mfi_plan *plan, mf_message **out,
                             mf_error *err);

/** A swarm's message as one of its items receives it: what a step before the swarm gave stands under the item's own return field,
 * in place of the swarm's. */
mf_status mfi_compose_for_item(const mf_message *message, mf_str return_field, const mfi_plan *plan, mf_message **out, mf_error *err);

/** How a swarm's end travels: {mageflow.swarm_end: {swarm, total, done, failed}, results: […]}; results may be NULL, when they
 * are above the payload bound. */
mf_status mfi_compose_swarm_end(const mf_spec *swarm, const mf_state *state, const mf_message *results,
                                const mfi_plan *plan, mf_message **out, mf_error *err);
/** The list in a swarm's end, or the message itself where it is none; false: a swarm's end without its list. */
bool mfi_compose_results_of(const mf_message *result, mf_value *out);

/** {first: a, second: b}, as mageflow's own tasks receive it. Two parts that keep the limits may be above them together,
 * so there is none here. */
mf_status mfi_compose_pair(const char *first, const mf_message *a, const char *second, const mf_message *b,
                           const mfi_plan *plan, mf_message **out, mf_error *err);

/** {error: map or nil, child: key}: how an item with a record ended that had not started. */
mf_status mfi_compose_child_end(const mf_message *error, const mf_key *child, const mfi_plan *plan, mf_message **out, mf_error *err);

typedef struct mfi_failure {
    mf_str   type, text;
    uint32_t attempt;
    mf_key   key;
    uint64_t index;
    bool     final;
} mfi_failure;
/** The error map (see mageflow/store.h). */
mf_status mfi_compose_error(const mfi_failure *failure, const mf_allocator *allocator, mf_message **out);
/** The other way: MF_E_TASK_FAILED, with the map's type and text in err. */
mf_status mfi_compose_failed(const mf_message *map, mf_error *err);

#endif
