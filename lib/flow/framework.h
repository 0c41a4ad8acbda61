/* flow/framework.h: mageflow's own tasks, by which a flow goes on where no native worker could do it at once: outcomes of
 * foreign tasks, leftovers of the outbox, starts from outside. Managers show them as "mageflow.<name>". */
#ifndef MFI_FRAMEWORK_H
#define MFI_FRAMEWORK_H

#include <mageflow/store.h>

typedef enum mfi_framework_task {
    MFI_ON_CHAIN_DONE,          /* a step of the chain ended well; the message is its result */
    MFI_ON_CHAIN_ERROR,         /* a step failed; the message is {error, message} */
    MFI_ON_SWARM_ITEM_DONE,     /* the same for an item of a swarm */
    MFI_ON_SWARM_ITEM_ERROR,
    MFI_SWARM_FILL,             /* draw and publish items, or end a swarm that is complete; no message */
    MFI_RUN_FLOW,               /* start the record; the message is {message, inherited} */
    MFI_FRAMEWORK_TASKS
} mfi_framework_task;

/** One spec a task, shared by every entry addressed to it. */
struct mfi_framework {
    mf_spec *specs[MFI_FRAMEWORK_TASKS];
};
typedef struct mfi_framework mfi_framework;

MF_NODISCARD mf_status mfi_framework_init(mfi_framework *framework, const mf_allocator *allocator);
void mfi_framework_fini(mfi_framework *framework);

/** "mageflow.swarm_fill"; static. */
const char *mfi_framework_name(mfi_framework_task task);
/** Which one a name is; MFI_FRAMEWORK_TASKS: none. */
mfi_framework_task mfi_framework_find(mf_str name);
/** The task that carries how an item of `container` ended. */
mfi_framework_task mfi_framework_for_end(const mf_key *container, bool well);

#endif
